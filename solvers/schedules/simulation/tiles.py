"""The tiles of each dimension, one after another, and runs of those that are alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

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


def cut(extent: int, size: int) -> list[range]:
    """The tiles of a dimension; the last may be smaller."""
    return [range(start, min(start + size, extent)) for start in range(0, extent, size)]


def runs(tiles: Iterable[Kind]) -> Runs[Kind]:
    """Tiles that are alike and one after another, together."""
    return tuple((sum(1 for _ in same), kind) for kind, same in groupby(tiles))


def channel_pieces(extent: int, size: int) -> Runs[ChannelPiece]:
    """The tiles of the input channels."""
    tiles = cut(extent, size)
    last = len(tiles) - 1
    return runs(ChannelPiece(len(tile), i > 0, i == last) for i, tile in enumerate(tiles))


def axis_pieces(axes: Sequence[SpatialAxis], extent: int, size: int) -> Runs[AxisPiece]:
    """The tiles along an axis of kernels that share ifmap tiles, or of one.

    Each kernel makes its own outputs, as many of a tile's as it has; the ifmap tile reaches from the first to
    the last input that any of them reads.

    Args:
        axes: the axis as each kernel has it.
        extent: outputs of the kernel that has most, be it one without taps.
        size: outputs of a tile.
    """
    pieces = []
    before = range(0)
    for tile in cut(extent, size):
        outputs = [range(tile.start, max(tile.start, min(tile.stop, axis.ofmap))) for axis in axes]
        inputs = _hull([axis.inputs(own) for axis, own in zip(axes, outputs, strict=True)])
        shared = range(max(inputs.start, before.start), min(inputs.stop, before.stop))
        pieces.append(AxisPiece(tuple(map(len, outputs)), len(inputs), len(inputs) - len(shared)))
        before = inputs
    return runs(pieces)


def _hull(parts: Sequence[range]) -> range:
    """From the first to the last position of some intervals, of which some may be empty."""
    parts = [part for part in parts if part]
    return range(min(p.start for p in parts), max(p.stop for p in parts)) if parts else range(0)
