"""The cost of one mapping: the formulas of ``formulation.cost`` put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dnns.layer import Layer
from formulation.cost import (
    Cost,
    TensorBits,
    Traffic,
    Trips,
    batch_axis,
    channel_tiles,
    footprint,
    group_cycles,
    latency_ticks,
    spatial_tiles,
    tile_bits,
    traffic,
)
from formulation.extents import axis_table
from formulation.hardware import Halo, Hardware
from formulation.mapping import Group, Mapping, Partition


@dataclass(frozen=True, slots=True)
class Work:
    """What a mapping makes a layer do, before anything is said of where its operands are.

    Attributes:
        trips: tiles of each group of loops.
        traffic: words between DRAM and SRAM if nothing stays there.
        compute: cycles in which the array works.
        tile: bits of the largest tile of each tensor.
    """

    trips: Trips
    traffic: Traffic
    compute: int
    tile: TensorBits


def evaluate(layer: Layer, hardware: Hardware, mapping: Mapping) -> Cost:
    """The cost of one mapping in Python's integers, whether or not it fits the buffer.

    Raises:
        ValueError: if a tile size is out of range, or the sliding axis is no axis of the layer.
    """
    work = work_of(layer, hardware, mapping)
    bits = work.traffic.bits(hardware)
    ticks = latency_ticks(hardware, work.compute, bits, work.tile)
    need = footprint(hardware, work.tile)
    parts = Partition(need.ifmap, need.ofmap, need.weights)
    return Cost(work.traffic, bits, work.compute, ticks, hardware.tick.cycles(ticks), parts)


def work_of(layer: Layer, hardware: Hardware, mapping: Mapping) -> Work:
    """Words, cycles and tiles of one mapping; raises as ``evaluate``."""
    _check_mapping(layer, hardware, mapping)
    tile, axis = mapping.tile, mapping.sliding_axis
    axes = (batch_axis(layer), *layer.axes)
    extents = (tile.batch, *tile.spatial)
    tables = [axis_table(a, np.array([t], dtype=object)) for a, t in zip(axes, extents, strict=True)]
    trips = [int(t.trips[0]) for t in tables]
    fetched = slid = largest = 1
    for i, table in enumerate(tables):
        fetched *= int(table.fetched[0])
        slid *= int(table.slid[0] if axis is not None and i == axis + 1 else table.fetched[0])
        largest *= int(table.largest[0])
    n = Trips(-(-layer.out_channels // tile.out_channels), -(-layer.in_channels // tile.in_channels), 1)
    for count in trips:
        n = Trips(n.co, n.ci, n.sp * count)
    spatial = spatial_tiles(trips, list(extents), [int(t.edge[0]) for t in tables])
    channels = layer.in_channels
    moved = traffic(layer, mapping.stationary, n, channels * fetched, channels * slid)
    compute = layer.groups
    for group, tiles in (
        (Group.CO, channel_tiles(layer.out_channels, tile.out_channels, n.co)),
        (Group.CI, channel_tiles(layer.in_channels, tile.in_channels, n.ci)),
        (Group.SP, spatial),
    ):
        compute *= group_cycles(layer, hardware, group, n.of(group), tiles)
    held = tile_bits(layer, hardware, tile.out_channels, tile.in_channels, largest, tile.pixels, n.ci)
    return Work(n, moved, compute, held)


def _check_mapping(layer: Layer, hardware: Hardware, mapping: Mapping) -> None:
    tile = mapping.tile
    limits = {
        "out_channels": (tile.out_channels, layer.out_channels),
        "in_channels": (tile.in_channels, layer.in_channels),
        "batch": (tile.batch, layer.batch),
    }
    if len(tile.spatial) != len(layer.axes):
        raise ValueError(f"tile has {len(tile.spatial)} spatial axes, layer has {len(layer.axes)}")
    for i, (size, axis) in enumerate(zip(tile.spatial, layer.axes, strict=True)):
        limits[f"spatial[{i}]"] = (size, axis.out)
    for name, (size, extent) in limits.items():
        if not 1 <= size <= extent:
            raise ValueError(f"tile {name} is {size}, must be from 1 to {extent}")
    slide = mapping.sliding_axis
    if slide is not None and (hardware.halo is Halo.REFETCH or not 0 <= slide < len(layer.axes)):
        raise ValueError(f"sliding axis {slide} needs halo reuse and one of {len(layer.axes)} axes")
