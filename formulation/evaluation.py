"""The cost of one mapping: the formulas of ``formulation.cost`` put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    footprint,
    group_cycles,
    held_bits,
    traffic,
    transfers,
)
from formulation.extents import AxisTable, axis_table, batch_axis, cut_tiles, product_tiles, spatial_tiles
from formulation.hardware import Halo, Hardware
from formulation.mapping import Group, Mapping, Partition
from formulation.pricing.bursts import TensorPins, pins
from formulation.pricing.cuts import CutTable, cut_table
from formulation.pricing.price import Cost, latency_ticks


@dataclass(frozen=True, slots=True)
class Work:
    """What a mapping makes a layer do, before anything is said of where its operands are.

    Attributes:
        trips: tiles of each group of loops.
        traffic: words between DRAM and SRAM if nothing stays there.
        compute: cycles in which the array works.
        array: words between buffer and array.
        tile: bits of the largest tile of each tensor.
        setup: cycles in which the DMA engine sets its transfers up.
        pins: bits across the DRAM's pins where runs take whole bursts; None where the words say it all.
        transfers: of the DMA engine, by tensor; None where setting them up takes no time.
    """

    trips: Trips
    traffic: Traffic
    compute: int
    array: Traffic
    tile: TensorBits
    setup: int = 0
    pins: TensorPins | None = None
    transfers: Traffic | None = None


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
    tile, steps = mapping.tile, mapping.steps
    limits = {
        "out_channels": (tile.out_channels, layer.out_channels),
        "in_channels": (tile.in_channels, layer.in_channels),
        "batch": (tile.batch, layer.batch),
    }
    check_tile(limits, tile.spatial, [axis.out for axis in layer.axes])
    check_slide(hardware, mapping.sliding_axis, len(layer.axes))
    check_cut(hardware, mapping)
    axes = (batch_axis(layer), *layer.axes)
    extents = (tile.batch, *tile.spatial)
    tables = [_tile_table(a, t) for a, t in zip(axes, extents, strict=True)]
    trips, fetched, slid, largest = tile_words(((table, 0) for table in tables), mapping.sliding_axis)
    n = Trips(-(-layer.out_channels // tile.out_channels), -(-layer.in_channels // tile.in_channels), trips)
    each = [int(table.trips[0]) for table in tables]
    spatial = spatial_tiles(each, list(extents), [int(t.edge[0]) for t in tables])
    if mapping.cut is Group.SP:
        cuts = [_cut(a, t, s) for a, t, s in zip(axes, extents, (steps.batch, *steps.spatial), strict=True)]
        spatial = product_tiles(kinds_of(cut) for cut in cuts)
        if mapping.streamed == "ifmap":
            fetched, slid, largest = cut_words(cuts, mapping.sliding_axis)
    elif mapping.streamed == "ifmap":
        slid = fetched
    channels, cut = layer.in_channels, mapping.cut
    moved = traffic(layer, mapping.stationary, n, channels * fetched, channels * slid, cut)
    compute, passes, pieces = layer.groups, {}, {}
    for group, tiles in (
        (Group.CO, cut_tiles(layer.out_channels, tile.out_channels, steps.out_channels)),
        (Group.CI, cut_tiles(layer.in_channels, tile.in_channels, steps.in_channels)),
        (Group.SP, spatial),
    ):
        pieces[group] = sum(count for count, _ in tiles)
        cycles = group_cycles(layer, hardware, group, pieces[group], tiles)
        compute *= cycles
        passes[group.value] = array_passes(hardware, group, pieces[group], cycles)
    array = array_traffic(layer, layer.ifmap_reads, Trips(**passes))
    ifmap, ofmap, weights = (mapping.held(tensor) for tensor in ("ifmap", "ofmap", "weights"))
    held = held_bits(
        hardware,
        ifmap.in_channels * largest,
        ofmap.out_channels * ofmap.pixels,
        weights.out_channels * weights.in_channels * layer.taps,
        pieces[Group.CI],
    )
    moves, setup, burst = None, 0, None
    if hardware.transfer_cycles:
        moves = transfers(layer.groups, mapping.stationary, n)
        setup = hardware.transfer_cycles * moves.total
    if hardware.burst_bytes:
        held_channels = tile.out_channels, tile.in_channels
        burst = pins(layer, hardware, mapping.stationary, n, *held_channels, (tile.batch, *tile.spatial))
    return Work(n, moved, compute, array, held, setup, burst, moves)


@lru_cache(maxsize=4096)
def _cut(axis: Axis, tile: int, sub: int) -> CutTable:
    """The table of one pair of sizes, in Python's integers."""
    return cut_table(axis, np.array([tile], dtype=object), np.array([sub], dtype=object))


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


def cut_words(cuts: Sequence[CutTable], sliding_axis: int | None) -> tuple[int, int, int]:
    """Words of sub-tiles of one pair: fetched and slid in one pass, and of the largest, per input channel.

    They slide along the sliding axis if it is the only dimension that is cut: within each tile, which is all
    that ``fetched`` has of it, and between tiles as well, which ``slid`` has.
    """
    fetched = slid = largest = 1
    alone = all(
        cut.sub[0] == cut.whole.tile[0] for i, cut in enumerate(cuts) if i - 1 != sliding_axis
    )  # with no sliding axis some dimension is cut, so that this is false
    for i, cut in enumerate(cuts):
        slides = sliding_axis is not None and alone and i == sliding_axis + 1
        fetched *= int((cut.within if slides else cut.fetched)[0])
        slid *= int((cut.slid if slides else cut.fetched)[0])
        largest *= int(cut.largest[0])
    return fetched, slid, largest


def kinds_of(cut: CutTable) -> list[tuple[int, int]]:
    """Pairs (how many sub-tiles, outputs) of one pair of sizes."""
    return [(int(np.ravel(count)[0]), int(np.ravel(size)[0])) for count, size in cut.kinds]


def cost_of(hardware: Hardware, macs: int, work: Work) -> Cost:
    """The cost of so many multiply-accumulates and what is moved, computed and held for them."""
    bits = work.traffic.bits(hardware) if work.pins is None else work.pins.total
    need = footprint(hardware, work.tile)
    ticks = latency_ticks(hardware, work.compute, bits, work.tile, work.setup)
    parts = Partition(need.ifmap, need.ofmap, need.weights)
    return Cost(
        work.traffic,
        bits,
        work.compute,
        ticks,
        hardware.tick.cycles(ticks),
        parts,
        work.array,
        macs,
        work.pins,
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


def check_cut(hardware: Hardware, mapping: Mapping) -> None:
    """Raise ValueError unless tiles may be cut so: the machine streams, and an outer group is cut."""
    if mapping.cut is not None:
        mapping.stationary.streamed_across(mapping.cut)
        if not hardware.streaming:
            raise ValueError(f"inner {mapping.inner} needs a machine that streams")


def check_slide(hardware: Hardware, slide: int | None, axes: int) -> None:
    """Raise ValueError unless tiles may slide along an axis."""
    if slide is not None and (hardware.halo is Halo.REFETCH or not 0 <= slide < axes):
        raise ValueError(f"sliding axis {slide} needs halo reuse and one of {axes} axes")
