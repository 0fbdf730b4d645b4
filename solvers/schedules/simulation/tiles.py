"""The tiles of each dimension, one after another, and runs of those that are alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from typing import Any, TypeVar

Kind = TypeVar("Kind")
Runs = tuple[tuple[int, Kind], ...]
"""How many tiles that are alike come one after another, and what they are like."""


@dataclass(frozen=True, slots=True)
class SpatialAxis:
    """One spatial axis of a convolution: output y reads inputs ``y*stride - before + dilation*tap``."""

    ifmap: int
    ofmap: int
    kernel: int
    stride: int
    dilation: int
    before: int

    def inputs(self, outputs: range) -> range:
        """The stored inputs from the first to the last that some outputs, one after another, read."""
        if not outputs:
            return range(0)
        first = outputs[0] * self.stride - self.before
        last = outputs[-1] * self.stride - self.before + self.dilation * (self.kernel - 1)
        return range(max(first, 0), min(last + 1, self.ifmap))


@dataclass(frozen=True, slots=True)
class ChannelPiece:
    """A tile of input channels.

    Attributes:
        length: channels.
        begun: whether its ofmap tile has partial sums already.
        ends: whether its ofmap tile is final behind it.
    """

    length: int
    begun: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class AxisPiece:
    """A tile along a spatial axis.

    Attributes:
        outputs: positions of each kernel's ofmap.
        inputs: positions of the ifmap tile.
        fresh: those that the tile before, along this axis, does not have.
    """

    outputs: tuple[int, ...]
    inputs: int
    fresh: int


@dataclass(frozen=True, slots=True)
class CutPiece:
    """A tile along a dimension that is cut into sub-tiles.

    Attributes:
        whole: what the tile is like.
        parts: its sub-tiles.
    """

    whole: Any
    parts: Runs[Any]


@dataclass(frozen=True, slots=True)
class MetPieces:
    """A tile, or a sub-tile, of each dimension, that meet in the array.

    Attributes:
        filters: of each kernel that shares the ifmap tile.
        channels: input channels.
        images: of the batch.
        axes: spatial ones, by their loop.
        taps: of each kernel.
    """

    filters: tuple[int, ...]
    channels: ChannelPiece
    images: int
    axes: Mapping[str, AxisPiece]
    taps: tuple[int, ...]

    @property
    def kernels(self) -> list[tuple[int, int, int]]:
        """Filters, pixels and taps of each kernel."""
        outputs = zip(*(axis.outputs for axis in self.axes.values()), strict=True)
        pixels = [self.images * prod(own) for own in outputs]
        return list(zip(self.filters, pixels, self.taps, strict=True))

    @property
    def weights(self) -> int:
        """Words."""
        return self.channels.length * sum(f * taps for f, _, taps in self.kernels)

    @property
    def ofmap(self) -> int:
        """Words."""
        return sum(f * p for f, p, _ in self.kernels)

    def ifmap(self, fresh: str | None = None) -> int:
        """Words; only those that are new along an axis, if one is named."""
        lengths = (axis.fresh if name == fresh else axis.inputs for name, axis in self.axes.items())
        return self.channels.length * self.images * prod(lengths)


def cut(extent: int, size: int) -> list[range]:
    """The tiles of a dimension; the last may be smaller."""
    return [range(start, min(start + size, extent)) for start in range(0, extent, size)]


def cut_pieces(extent: int, size: int, sub: int, kind: Callable[[range], Any]) -> Runs[CutPiece]:
    """The tiles of a dimension that are cut into sub-tiles.

    Args:
        extent: of the dimension.
        size: of a tile.
        sub: of a sub-tile; the last of a tile may be smaller.
        kind: what a tile, or a sub-tile, is like.
    """
    tiles = cut(extent, size)
    return runs(CutPiece(kind(tile), runs(map(kind, _parts(tile, sub)))) for tile in tiles)


def _parts(tile: range, sub: int) -> list[range]:
    return [tile[part.start : part.stop] for part in cut(len(tile), sub)]


def runs(tiles: Iterable[Kind]) -> Runs[Kind]:
    """Tiles that are alike and one after another, together."""
    return tuple((sum(1 for _ in same), kind) for kind, same in groupby(tiles))


def channel_pieces(extent: int, size: int) -> Runs[ChannelPiece]:
    """The tiles of the input channels."""
    return runs(channel_piece(extent, tile) for tile in cut(extent, size))


def channel_piece(extent: int, tile: range) -> ChannelPiece:
    """Some input channels of so many."""
    return ChannelPiece(len(tile), tile.start > 0, tile.stop == extent)


def axis_pieces(axes: Sequence[SpatialAxis], extent: int, size: int) -> Runs[AxisPiece]:
    """The tiles along an axis of kernels that share ifmap tiles, or of one.

    Each kernel makes its own outputs, as many of a tile's as it has; the ifmap tile reaches from the first to
    the last input that any of them reads.

    Args:
        axes: the axis as each kernel has it.
        extent: outputs of the kernel that has most, be it one without taps.
        size: outputs of a tile.
    """
    return runs(_in_turn(axes, cut(extent, size)))


def cut_axis_pieces(axis: SpatialAxis, size: int, sub: int) -> Runs[CutPiece]:
    """The tiles along an axis of one kernel that are cut into sub-tiles, of at most ``sub`` outputs."""
    tiles = cut(axis.ofmap, size)
    each = [_parts(tile, sub) for tile in tiles]
    parts = _in_turn([axis], [part for inside in each for part in inside])
    wholes = _in_turn([axis], tiles)
    return runs(
        CutPiece(whole, runs([next(parts) for _ in inside]))
        for whole, inside in zip(wholes, each, strict=True)
    )


def _in_turn(axes: Sequence[SpatialAxis], tiles: Iterable[range]) -> Iterator[AxisPiece]:
    """Tiles along an axis, one after another."""
    before = range(0)
    for tile in tiles:
        outputs = [range(tile.start, max(tile.start, min(tile.stop, axis.ofmap))) for axis in axes]
        inputs = _hull([axis.inputs(own) for axis, own in zip(axes, outputs, strict=True)])
        shared = range(max(inputs.start, before.start), min(inputs.stop, before.stop))
        yield AxisPiece(tuple(map(len, outputs)), len(inputs), len(inputs) - len(shared))
        before = inputs


def _hull(parts: Sequence[range]) -> range:
    """From the first to the last position of some intervals, of which some may be empty."""
    parts = [part for part in parts if part]
    return range(min(p.start for p in parts), max(p.stop for p in parts)) if parts else range(0)
