"""Bursts: what crosses the DRAM's pins if each contiguous run of a tile takes whole bursts.

Feature maps lie in the DRAM as (batch, channels of all groups, axes), ``NCHW``, or as (batch, axes,
channels), ``NHWC``; weights as (output channels, input channels, taps). The DMA engine has one descriptor for
all tiles of a tensor. Its run reaches from the innermost dimension outward while the tiles take a dimension
whole: while there is one tile as long as what is stored. It ends with the first dimension that they do not
take whole. Where there are several groups it ends with the channels, as those of other groups lie beside
them. With ``r(len)`` the bits of a run that has ``len`` of the dimension where it ends::

    bits of all tiles, once = product over the dimensions outside of (sum over tiles of len)
                              * sum over tiles of ceil(r(len) / burst) * burst

A run begins a burst. Like ``cost``, every function takes integers or integer arrays; bits are of one group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod

import numpy as np

from dnns.axes import Axis
from dnns.layer import Layer, Operator
from formulation.cost import Num, Trips, passes
from formulation.extents import AxisTable, Ints, edge_tile, full_axis_table, trip_count
from formulation.hardware import Hardware, Layout
from formulation.mapping import Group, Stationary


@dataclass(frozen=True, slots=True)
class Side:
    """A dimension of a tensor, cut into tiles.

    Attributes:
        total: sum of the tiles' lengths.
        whole: 1 where one tile takes all that is stored, else 0.
        bursts: those of a run that ends here, summed over the tiles.
    """

    total: Num
    whole: Num
    bursts: Num


Cut = Callable[[int], Side]
"""A dimension, by the bits of what a run holds of all dimensions inside it."""


def box_bits(dims: Sequence[tuple[Cut, int]], width: int, burst: int) -> Num:
    """Bits of all tiles of a tensor, once: the module's equation.

    Args:
        dims: outermost first, each with its stored length.
        width: of a word [bits].
        burst: bits.
    """
    inside, sides = width, []
    for cut, length in reversed(dims):
        sides.append(cut(inside))
        inside *= length
    sides.reverse()
    bits: Num = 0
    reaches: Num = 1  # whether the run reaches the dimension
    for place in reversed(range(len(sides))):
        side = sides[place]
        ends = reaches * (1 - side.whole) if place else reaches
        bits = bits + ends * side.bursts * prod(outer.total for outer in sides[:place])
        reaches = reaches * side.whole
    return burst * bits


def cut_evenly(extent: int, tile: Num, burst: int) -> Cut:
    """A dimension without halo in tiles of one size."""

    def side(inside: int) -> Side:
        trips, edge = trip_count(extent, tile), edge_tile(extent, tile)
        bursts = (trips - 1) * -(-tile * inside // burst) - (-edge * inside // burst)
        return Side(extent, 1 * (trips == 1), bursts)

    return side


def cut_intervals(axis: Axis, tile: Num, burst: int) -> Cut:
    """An axis of the ifmap by the intervals of its tiles."""
    each = partial(_interval_bursts, axis, burst=burst)
    return cut_as_tabled(full_axis_table(axis), axis.in_size, tile, each)


def cut_as_tabled(table: AxisTable, stored: int, tile: Num, bursts: Callable[[int], Ints]) -> Cut:
    """An axis of the ifmap by the words of its tiles.

    Args:
        table: of every tile size.
        stored: words along it.
        tile: sizes.
        bursts: those of all sizes, by the bits of what a run holds of all dimensions inside.
    """

    def side(inside: int) -> Side:
        at = tile - 1
        whole = 1 * ((table.trips[at] == 1) & (table.largest[at] == stored))
        found = table.fetched[at], whole, bursts(inside)[at]
        return Side(*(map(int, found) if isinstance(tile, int) else found))

    return side


def _beside(burst: int) -> Cut:
    """The groups of a layer that has several, seen from one."""
    return lambda inside: Side(1, 0, -(-inside // burst))


@lru_cache(maxsize=1024)
def _interval_bursts(axis: Axis, inside: int, burst: int) -> Ints:
    """For each tile size, the sum over tiles of the bursts of their intervals."""
    found = np.empty(axis.out, dtype=np.int64)
    for tile in range(1, axis.out + 1):
        first = np.arange(0, axis.out, tile)
        start = np.clip(first * axis.stride - axis.pad_lo, 0, axis.in_size)
        last = np.minimum(first + tile, axis.out) - 1
        end = np.clip(last * axis.stride - axis.pad_lo + axis.effective_kernel, 0, axis.in_size)
        found[tile - 1] = (-(-np.maximum(end - start, 0) * inside // burst)).sum()
    return found


def map_bits(
    layer: Operator,
    hardware: Hardware,
    width: int,
    batch: Num,
    axes: list[tuple[Cut, int]],
    channels: Cut,
    count: int,
) -> Num:
    """Of a feature map of some operator, its axes and channels cut in some way; of ``count`` channels."""
    burst = hardware.burst_bits
    images = cut_evenly(layer.batch, batch, burst), layer.batch
    inner = [(channels, count)]
    if layer.groups > 1:
        inner = [(_beside(burst), layer.groups), *inner]
    dims = [*inner, *axes] if hardware.layout is Layout.NCHW else [*axes, *inner]
    return box_bits([images, *dims], width, burst)


def ifmap_bits(
    layer: Layer, hardware: Hardware, ci: Num, sizes: Sequence[Num], channels: Cut | None = None
) -> Num:
    """Of all ifmap tiles, once, halo refetched.

    Args:
        layer: the layer.
        hardware: gives the layout, the burst and the width.
        ci: input channels of a tile.
        sizes: of a tile, of the batch and each axis [outputs].
        channels: in place of the input channels in tiles of ``ci``.
    """
    burst, count = hardware.burst_bits, layer.in_channels
    pairs = zip(layer.axes, sizes[1:], strict=True)
    axes = [(cut_intervals(axis, size, burst), axis.in_size) for axis, size in pairs]
    channels = channels or cut_evenly(count, ci, burst)
    return map_bits(layer, hardware, hardware.bits.ifmap, sizes[0], axes, channels, count)


def ofmap_bits(
    layer: Layer, hardware: Hardware, width: int, co: Num, sizes: Sequence[Num], channels: Cut | None = None
) -> Num:
    """Of all ofmap tiles, once, at some width; the others as of ``ifmap_bits``, ``co`` for ``ci``."""
    burst, count = hardware.burst_bits, layer.out_channels
    pairs = zip(layer.axes, sizes[1:], strict=True)
    axes = [(cut_evenly(axis.out, size, burst), axis.out) for axis, size in pairs]
    channels = channels or cut_evenly(count, co, burst)
    return map_bits(layer, hardware, width, sizes[0], axes, channels, count)


def weight_bits(layer: Layer, hardware: Hardware, co: Num, ci: Num) -> Num:
    """Of all weight tiles, once."""
    burst = hardware.burst_bits
    inputs = cut_evenly(layer.in_channels, ci, burst), layer.in_channels
    outputs = cut_evenly(layer.out_channels, co, burst), layer.out_channels
    return box_bits([outputs, inputs], hardware.bits.weights * layer.taps, burst)


def channel_bursts(layer: Layer, hardware: Hardware, group: Group, tile: Ints) -> list[Ints]:
    """All bursts by which a tile of channels costs: of runs that end with them.

    Bits moved are non-decreasing in each of them, and depend on the tile through nothing else but its trips.
    """
    burst, width = hardware.burst_bits, hardware.bits
    if group is Group.CO:
        extent, units = layer.out_channels, [width.ofmap, width.partial_sums]
        inner, inside = width.weights * layer.taps * layer.in_channels, prod(a.out for a in layer.axes)
    else:
        extent, units = layer.in_channels, [width.ifmap]
        inner, inside = width.weights * layer.taps, prod(axis.in_size for axis in layer.axes)
    units = [unit * (inside if hardware.layout is Layout.NCHW else 1) for unit in units]
    return [cut_evenly(extent, tile, burst)(unit).bursts for unit in (*units, inner)]


def spatial_bursts(layer: Layer, hardware: Hardware, sizes: Sequence[Num]) -> list[Ints]:
    """All bits by which a tile of batch and axes costs: of both feature maps, with channels whole and cut.

    Bits moved are non-decreasing in each, and depend on the tile through nothing else but its trips.
    """
    width, count = hardware.bits, layer.out_channels
    found = [ifmap_bits(layer, hardware, layer.in_channels, sizes), *split_ifmap_bits(layer, hardware, sizes)]
    for each in (width.ofmap, width.partial_sums):
        whole = ofmap_bits(layer, hardware, each, count, sizes)
        found += [whole, *split_ofmap_bits(layer, hardware, each, sizes)]
    return [np.broadcast_to(np.asarray(column), np.shape(sizes[0])) for column in found]


def split_ifmap_bits(layer: Layer, hardware: Hardware, sizes: Sequence[Num]) -> tuple[Num, Num]:
    """With cut channels: what is moved whatever their tiles, and for each burst of runs that end with them.

    The bursts are the first of ``channel_bursts``.
    """
    return _split(partial(ifmap_bits, layer, hardware, 1, sizes), layer.in_channels)


def split_ofmap_bits(layer: Layer, hardware: Hardware, width: int, sizes: Sequence[Num]) -> tuple[Num, Num]:
    """The same of the ofmap, at some width."""
    return _split(partial(ofmap_bits, layer, hardware, width, 1, sizes), layer.out_channels)


def _split(bits: Callable[[Cut], Num], extent: int) -> tuple[Num, Num]:
    fixed, more = (bits(partial(_cut_channels, extent, bursts)) for bursts in (0, 1))
    return fixed, more - fixed


def _cut_channels(extent: int, bursts: int, inside: int) -> Side:
    """Channels that are cut, with so many bursts of runs that end with them."""
    return Side(extent, 0, bursts)


@dataclass(frozen=True, slots=True)
class TensorPins:
    """Bits across the pins of all groups, by tensor; partial sums are in the ofmap's."""

    ifmap: Num
    weights: Num
    ofmap: Num

    @property
    def total(self) -> Num:
        """Of the three."""
        return self.ifmap + self.weights + self.ofmap

    def by_tensor(self) -> dict[str, Num]:
        """By name."""
        return {name: getattr(self, name) for name in self.__slots__}


def pins(
    layer: Layer,
    hardware: Hardware,
    stationary: Stationary,
    trips: Trips,
    co: Num,
    ci: Num,
    sizes: Sequence[Num],
) -> TensorPins:
    """Bits across the DRAM's pins: of each tensor those of its tiles, times its passes.

    Args:
        layer: the layer.
        hardware: the machine.
        stationary: the loop order.
        trips: trip counts.
        co: output channels of a tile.
        ci: input channels of a tile.
        sizes: of a tile, of the batch and each axis.
    """
    return pinned(layer.groups, all_passes(stationary, trips), runs(layer, hardware, co, ci, sizes))


def all_passes(stationary: Stationary, trips: Trips) -> Trips:
    """Passes over the tensor that is independent of each group of loops."""
    return Trips(**{group.value: passes(stationary, group, trips) for group in Group})


@dataclass(frozen=True, slots=True)
class Runs:
    """Bits of all tiles of each tensor of one group, once, in whole bursts; partial sums at their width."""

    ifmap: Num
    weights: Num
    ofmap: Num
    partial: Num


def runs(layer: Layer, hardware: Hardware, co: Num, ci: Num, sizes: Sequence[Num]) -> Runs:
    """Those of tiles; arguments as of ``pins``."""
    width = hardware.bits
    return Runs(
        ifmap_bits(layer, hardware, ci, sizes),
        weight_bits(layer, hardware, co, ci),
        ofmap_bits(layer, hardware, width.ofmap, co, sizes),
        ofmap_bits(layer, hardware, width.partial_sums, co, sizes),
    )


def pinned(groups: int, moved: Trips, once: Runs) -> TensorPins:
    """Bits across the pins of all groups; all but an ofmap's last write are partial sums.

    Args:
        groups: how many.
        moved: passes of the tensor that is independent of each group of loops.
        once: bits of one pass.
    """
    return TensorPins(
        groups * once.ifmap * moved.co,
        groups * once.weights * moved.sp,
        groups * (once.ofmap + 2 * (moved.ci - 1) * once.partial),
    )
