"""The cost of one mapping: the formulas of ``formulation.cost`` put together."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Fields
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.cost import (
    TensorBits,
    Traffic,
    Trips,
    array_passes,
    array_traffic,
    batch_axis,
    channel_tiles,
    footprint,
    group_cycles,
    spatial_tiles,
    tile_bits,
    traffic,
)
from formulation.extents import AxisTable, axis_table
from formulation.hardware import Halo, Hardware
from formulation.mapping import Group, Mapping, Partition
from formulation.price import Cost, energy_quanta, latency_ticks


@dataclass(frozen=True, slots=True)
class Work:
    """What a mapping makes a layer do, before anything is said of where its operands are.

    Attributes:
        trips: tiles of each group of loops.
        traffic: words between DRAM and SRAM if nothing stays there.
        compute: cycles in which the array works.
        array: words between buffer and array.
        tile: bits of the largest tile of each tensor.
    """

    trips: Trips
    traffic: Traffic
    compute: int
    array: Traffic
    tile: TensorBits


@lru_cache(maxsize=1024)  # an answer is priced when it is found, checked, kept and told
def evaluate(layer: Layer, hardware: Hardware, mapping: Mapping) -> Cost:
    """The cost of one mapping in Python's integers, whether or not it fits the buffer.

    Raises:
        ValueError: if a tile size is out of range, or the sliding axis is no axis of the layer.
    """
    work = work_of(layer, hardware, mapping)
    return cost_of(hardware, layer.macs, work)


def work_of(layer: Layer, hardware: Hardware, mapping: Mapping) -> Work:
    """Words, cycles and tiles of one mapping; raises as ``evaluate``."""
    tile = mapping.tile
    limits = {
        "out_channels": (tile.out_channels, layer.out_channels),
        "in_channels": (tile.in_channels, layer.in_channels),
        "batch": (tile.batch, layer.batch),
    }
    check_tile(limits, tile.spatial, [axis.out for axis in layer.axes])
    check_slide(hardware, mapping.sliding_axis, len(layer.axes))
    axes = (batch_axis(layer), *layer.axes)
    extents = (tile.batch, *tile.spatial)
    tables = [_tile_table(a, t) for a, t in zip(axes, extents, strict=True)]
    trips, fetched, slid, largest = tile_words(((table, 0) for table in tables), mapping.sliding_axis)
    n = Trips(-(-layer.out_channels // tile.out_channels), -(-layer.in_channels // tile.in_channels), trips)
    each = [int(table.trips[0]) for table in tables]
    spatial = spatial_tiles(each, list(extents), [int(t.edge[0]) for t in tables])
    channels = layer.in_channels
    moved = traffic(layer, mapping.stationary, n, channels * fetched, channels * slid)
    compute, passes = layer.groups, {}
    for group, tiles in (
        (Group.CO, channel_tiles(layer.out_channels, tile.out_channels, n.co)),
        (Group.CI, channel_tiles(layer.in_channels, tile.in_channels, n.ci)),
        (Group.SP, spatial),
    ):
        cycles = group_cycles(layer, hardware, group, n.of(group), tiles)
        compute *= cycles
        passes[group.value] = array_passes(hardware, group, n.of(group), cycles)
    array = array_traffic(layer, layer.ifmap_reads, Trips(**passes))
    held = tile_bits(layer, hardware, tile.out_channels, tile.in_channels, largest, tile.pixels, n.ci)
    return Work(n, moved, compute, array, held)


@lru_cache(maxsize=4096)
def _tile_table(axis: Axis, tile: int) -> AxisTable:
    """The table of one tile size, in Python's integers."""
    return axis_table(axis, np.array([tile], dtype=object))


def tile_words(
    tables: Iterable[tuple[AxisTable, int]], sliding_axis: int | None
) -> tuple[int, int, int, int]:
    """Trips, words fetched and slid in one pass, and words of the largest tile, per input channel.

    Args:
        tables: of the batch and of each axis, with the tile's position.
        sliding_axis: of the mapping.
    """
    trips = fetched = slid = largest = 1
    for i, (table, at) in enumerate(tables):
        slides = sliding_axis is not None and i == sliding_axis + 1
        trips *= int(table.trips[at])
        fetched *= int(table.fetched[at])
        slid *= int((table.slid if slides else table.fetched)[at])
        largest *= int(table.largest[at])
    return trips, fetched, slid, largest


def cost_of(hardware: Hardware, macs: int, work: Work) -> Cost:
    """The cost of so many multiply-accumulates and what is moved, computed and held for them."""
    bits, need = work.traffic.bits(hardware), footprint(hardware, work.tile)
    ticks = latency_ticks(hardware, work.compute, bits, work.tile)
    energy = energy_quanta(hardware, macs, work.array.bits(hardware), bits, ticks)
    parts = Partition(need.ifmap, need.ofmap, need.weights)
    return Cost(
        work.traffic, bits, work.compute, ticks, hardware.tick.cycles(ticks), parts, work.array, energy
    )


def check_tile(limits: Fields[str, tuple[int, int]], spatial: tuple[int, ...], extents: list[int]) -> None:
    """Raise ValueError unless every tile size is from one to its extent.

    Args:
        limits: size and extent by dimension, but for the axes.
        spatial: sizes along the axes.
        extents: of the axes.
    """
    if len(spatial) != len(extents):
        raise ValueError(f"tile has {len(spatial)} spatial axes, layer has {len(extents)}")
    axes = {f"spatial[{i}]": pair for i, pair in enumerate(zip(spatial, extents, strict=True))}
    for name, (size, extent) in {**limits, **axes}.items():
        if not 1 <= size <= extent:
            raise ValueError(f"tile {name} is {size}, must be from 1 to {extent}")


def check_slide(hardware: Hardware, slide: int | None, axes: int) -> None:
    """Raise ValueError unless tiles may slide along an axis."""
    if slide is not None and (hardware.halo is Halo.REFETCH or not 0 <= slide < axes):
        raise ValueError(f"sliding axis {slide} needs halo reuse and one of {axes} axes")
