"""Footprint, traffic and compute of a mapping: the only home of these formulas; ``price`` goes on from here.

Every function takes integers or integer arrays alike, so that one formula serves a single mapping
(``evaluation``) and a whole table of them (``tables``). Counts are exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Protocol

from dnns.layer import Layer
from formulation.hardware import Dataflow, Hardware
from formulation.mapping import Group, Partition, Stationary

Num = Any  # an int, or an array of int64; latencies also ``WideTicks``

_ROWS, _COLS = "rows", "cols"
_ARRAY_SIDES = {  # the group that is not named here streams through the array
    Dataflow.OUTPUT: {Group.SP: _ROWS, Group.CO: _COLS},
    Dataflow.WEIGHT: {Group.CI: _ROWS, Group.CO: _COLS},
    Dataflow.INPUT: {Group.CI: _ROWS, Group.SP: _COLS},
}


@dataclass(frozen=True, slots=True)
class Trips:
    """A number for each of the three groups of tile loops: trip counts, or factors of the array's cycles."""

    co: Num
    ci: Num
    sp: Num

    def of(self, group: Group) -> Num:
        """That of one group."""
        return getattr(self, group)

    @property
    def product(self) -> Num:
        """Of all three."""
        return self.co * self.ci * self.sp


@dataclass(frozen=True, slots=True)
class TensorBits:
    """Bits of one tile, or of one part of the buffer, for each tensor."""

    ifmap: Num
    ofmap: Num
    weights: Num

    @property
    def total(self) -> Num:
        """Bits of the three together."""
        return self.ifmap + self.ofmap + self.weights


def passes(stationary: Stationary, group: Group, trips: Trips, cut: Group | None = None) -> Num:
    """How often the tensor that is independent of ``group`` is moved whole.

    Once, times the trips of ``group`` *if* a loop of more than one trip runs inside it: all loops inside
    are over groups that the tensor depends on, so its tile has been replaced when the group advances.
    A streamed tensor is replaced in any case: its tile's sub-tiles come one after another in inner steps.

    Args:
        stationary: the loop order.
        group: one of its groups.
        trips: of the tiles.
        cut: the group whose tiles are cut into sub-tiles; None for none.
    """
    if cut is not None and group is stationary.streamed_across(cut):
        return trips.of(group)
    inside = stationary.loops[stationary.loops.index(group) + 1 :]
    if not inside:
        return 1
    replaced = reduce(or_, (trips.of(inner) > 1 for inner in inside))
    return 1 + (trips.of(group) - 1) * replaced


def ifmap_pass_words(stationary: Stationary, trips_ci: Num, fetched: Num, slid: Num) -> Num:
    """Ifmap words of one pass: slid along the sliding axis where consecutive tiles share a channel tile.

    That is always so in WEIGHT and INPUT, and in OUTPUT when there is a single input-channel tile.
    """
    if stationary is Stationary.OUTPUT:
        return slid + (fetched - slid) * (trips_ci > 1)
    return slid


@dataclass(frozen=True, slots=True)
class Traffic:
    """Words between DRAM and SRAM of all groups, or transfers; partial sums are read back."""

    ifmap: Num
    weights: Num
    ofmap_write: Num
    ofmap_read: Num

    @property
    def total(self) -> Num:
        """Of all tensors."""
        return self.ifmap + self.weights + self.ofmap_write + self.ofmap_read

    def by_tensor(self, hardware: Hardware) -> dict[str, Num]:
        """Bits: all but the last write of an ofmap word, and every read, move at the partial-sum width."""
        width, last_write = hardware.bits, self.ofmap_write - self.ofmap_read
        return {
            "ifmap": self.ifmap * width.ifmap,
            "weights": self.weights * width.weights,
            "ofmap": last_write * width.ofmap + 2 * self.ofmap_read * width.partial_sums,
        }

    def bits(self, hardware: Hardware) -> Num:
        """Of all tensors."""
        each = self.by_tensor(hardware)
        return each["ifmap"] + each["weights"] + each["ofmap"]


class Tensors(Protocol):
    """A layer, or what else has weights and an ofmap."""

    @property
    def groups(self) -> int:
        """Groups, run one after another."""
        ...

    @property
    def weight_words(self) -> int:
        """Weights of all groups."""
        ...

    @property
    def ofmap_words(self) -> int:
        """Ofmap of all groups."""
        ...


def traffic(
    layer: Tensors, stationary: Stationary, trips: Trips, fetched: Num, slid: Num, cut: Group | None = None
) -> Traffic:
    """Traffic of one loop order: each tensor's words times its passes.

    Args:
        layer: gives the words of weights and ofmap, with all groups.
        stationary: the loop order.
        trips: trip counts.
        fetched: ifmap words of one pass with halo, one group.
        slid: the same with the mapping's sliding axis; ``fetched`` where nothing slides.
        cut: the group whose tiles are cut into sub-tiles; None for none.
    """
    ifmap = layer.groups * ifmap_pass_words(stationary, trips.ci, fetched, slid)
    writes = passes(stationary, Group.CI, trips, cut)
    return Traffic(
        ifmap=ifmap * passes(stationary, Group.CO, trips, cut),
        weights=layer.weight_words * passes(stationary, Group.SP, trips, cut),
        ofmap_write=layer.ofmap_words * writes,
        ofmap_read=layer.ofmap_words * (writes - 1),
    )


def transfers(groups: int, stationary: Stationary, trips: Trips) -> Traffic:
    """DMA transfers of all groups: the tiles of each tensor, times its passes.

    Every time that a tile moves is one transfer; partial sums go out and come back. Of the three groups of
    loops a tensor has a tile for each pair of trips of the two that it depends on.
    """
    sums = passes(stationary, Group.CI, trips)
    outputs = groups * trips.co * trips.sp
    return Traffic(
        ifmap=groups * trips.ci * trips.sp * passes(stationary, Group.CO, trips),
        weights=groups * trips.co * trips.ci * passes(stationary, Group.SP, trips),
        ofmap_write=outputs * sums,
        ofmap_read=outputs * (sums - 1),
    )


def moved_tiles(trips: Trips, moved: Trips) -> Num:
    """Tiles of all tensors that move: of weights and ifmap in each pass, of the ofmap out and, but once, in.

    Args:
        trips: tiles of each group of loops.
        moved: passes of the tensor that is independent of the group.
    """
    weights, ifmap = trips.co * trips.ci * moved.sp, trips.ci * trips.sp * moved.co
    return weights + ifmap + trips.co * trips.sp * (2 * moved.ci - 1)


def setup_cycles(hardware: Hardware, groups: int, stationary: Stationary, trips: Trips) -> Num:
    """Cycles in which the DMA engine sets up its ``transfers``; 0, uncounted, where that takes none."""
    if not hardware.transfer_cycles:
        return 0
    return hardware.transfer_cycles * transfers(groups, stationary, trips).total


def tile_bits(
    layer: Layer, hardware: Hardware, co: Num, ci: Num, largest: Num, pixels: Num, trips_ci: Num
) -> TensorBits:
    """Bits of the largest tile of each tensor; the ofmap's are partial sums if ``trips_ci > 1``.

    Args:
        layer: gives the taps.
        hardware: gives the widths.
        co: output channels of the tile.
        ci: input channels of the tile.
        largest: words of the largest ifmap tile per input channel.
        pixels: output positions of the tile.
        trips_ci: input-channel tiles.
    """
    return held_bits(hardware, ci * largest, co * pixels, co * ci * layer.taps, trips_ci)


def held_bits(hardware: Hardware, ifmap: Num, ofmap: Num, weights: Num, trips_ci: Num) -> TensorBits:
    """Bits of tiles of so many words; the ofmap's are partial sums if ``trips_ci > 1``."""
    width = hardware.bits
    partial = 1 * (trips_ci > 1)  # a number: expressions cannot be multiplied by a truth value
    ofmap_width = width.ofmap + (width.partial_sums - width.ofmap) * partial
    return TensorBits(ifmap * width.ifmap, ofmap * ofmap_width, weights * width.weights)


def footprint(hardware: Hardware, tile: TensorBits) -> TensorBits:
    """Buffer that a tile of each tensor takes: twice if double-buffered, rounded up to whole banks."""

    def part(bits: Num) -> Num:
        return -(-hardware.copies * bits // hardware.bank_bits) * hardware.bank_bits

    return TensorBits(part(tile.ifmap), part(tile.ofmap), part(tile.weights))


def fits(hardware: Hardware, partition: Partition | None, need: TensorBits) -> Num:
    """Whether a footprint fits: each part of a given partition, or the buffer as a whole."""
    if partition is None:
        return need.total <= hardware.buffer_bits
    within = (need.ifmap <= partition.ifmap) & (need.ofmap <= partition.ofmap)
    return within & (need.weights <= partition.weights)


def array_side(hardware: Hardware, group: Group) -> int | None:
    """The side of the array that a group lies on [processing elements]; None for the one that streams."""
    side = _ARRAY_SIDES[hardware.dataflow].get(group)
    return None if side is None else int(getattr(hardware, side))


def group_cycles(
    layer: Layer, hardware: Hardware, group: Group, trips: Num, tiles: Iterable[tuple[Num, Num]]
) -> Num:
    """The factor of one group of loops in the compute cycles.

    A group on a side of the array takes ``sum over tiles of ceil(extent / side)``; the group that streams
    takes ``total extent + trips * fill``. On the output-stationary array pixels lie on the rows,
    output channels on the columns, and the reduction ``ci * taps`` streams.

    Args:
        layer: gives the taps.
        hardware: gives the array.
        group: of the loops.
        trips: tiles of the group.
        tiles: pairs ``(how many tiles, extent)``, whose sum over tiles is the group's.
    """
    words = layer.taps if group is Group.CI else 1
    size = array_side(hardware, group)
    if size is None:
        return sum(count * extent * words for count, extent in tiles) + trips * hardware.fill_cycles
    return sum(count * -(-extent * words // size) for count, extent in tiles)


def array_passes(hardware: Hardware, group: Group, trips: Num, cycles: Num) -> Num:
    """How often the tensor that is independent of a group moves whole between buffer and array.

    Once per row or column of processing elements that the group takes, one after another, if it lies on a
    side of the array: its factor of the compute cycles. Once per tile if it streams.

    Args:
        hardware: gives the array.
        group: of the loops.
        trips: its tiles.
        cycles: its factor, as of ``group_cycles``.
    """
    return cycles if group in _ARRAY_SIDES[hardware.dataflow] else trips


def array_traffic(layer: Tensors, ifmap_reads: Num, moved: Trips) -> Traffic:
    """Words between buffer and array of all groups; partial sums go and come whether or not they spill.

    Args:
        layer: gives the words of weights and ofmap.
        ifmap_reads: ``Layer.ifmap_reads``: a word for each output and tap that reads no padding, once.
        moved: how often each tensor moves, by the group that it is independent of (``array_passes``).
    """
    writes = layer.ofmap_words * moved.ci
    return Traffic(ifmap_reads * moved.co, layer.weight_words * moved.sp, writes, writes - layer.ofmap_words)
