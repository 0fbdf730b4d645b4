"""Mappings as plain data: tiles, how many of them there are, the order of their loops, the buffer's parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from formulation.mapping import Group, Mapping, Partition, Stationary, Tile
from formulation.shared.hull import grid_extent
from solvers.result import partition_dict

if TYPE_CHECKING:
    from dnns.layer import Deconvolution, Layer
    from formulation.shared.problem import SharedMapping
    from solvers.network.data.mapping_fields import ChoicesData, MappingData, SharedMappingData, TileData


def mapping_choices(mapping: Mapping, parts: Partition) -> ChoicesData:
    """What a mapping chooses, and the buffer's parts."""
    choices: ChoicesData = {
        "tile": _tile(mapping.tile),
        "stationary": mapping.stationary.value,
        "sliding_axis": mapping.sliding_axis,
        "partition_bytes": partition_dict(parts),
    }
    if mapping.inner is not None and mapping.streamed is not None:
        choices["streamed"] = {"tensor": mapping.streamed, "sub_tile": _tile(mapping.inner)}
    return choices


def _tile(tile: Tile) -> TileData:
    return {
        "out_channels": tile.out_channels,
        "in_channels": tile.in_channels,
        "batch": tile.batch,
        "spatial": list(tile.spatial),
    }


def mapping_dict(layer: Layer, mapping: Mapping, parts: Partition) -> MappingData:
    """The same with what follows for a layer: how many tiles there are, and the order of the loops."""
    tile = mapping.tile
    return {
        **mapping_choices(mapping, parts),
        "trips": {
            "groups": layer.groups,
            "out_channels": _tiles(layer.out_channels, tile.out_channels),
            "in_channels": _tiles(layer.in_channels, tile.in_channels),
            "batch": _tiles(layer.batch, tile.batch),
            "spatial": _trips([axis.out for axis in layer.axes], tile.spatial),
        },
        "loop_order": _loops(mapping.stationary, len(tile.spatial), mapping.sliding_axis, "out_channels"),
    }


def shared_mapping_dict(deconv: Deconvolution, mapping: SharedMapping, parts: Partition) -> SharedMappingData:
    """A mapping of sub-kernels that share ifmap tiles, which are of the grid of their outputs."""
    extents = [grid_extent(axis) for axis in deconv.axes]
    return {
        "tile": {
            "in_channels": mapping.in_channels,
            "batch": mapping.batch,
            "spatial": list(mapping.spatial),
        },
        "trips": {
            "groups": deconv.groups,
            "rounds": mapping.round_count,
            "in_channels": _tiles(deconv.in_channels, mapping.in_channels),
            "batch": _tiles(deconv.batch, mapping.batch),
            "spatial": _trips(extents, mapping.spatial),
        },
        "loop_order": _loops(mapping.stationary, len(mapping.spatial), mapping.sliding_axis, "rounds"),
        "rounds": mapping.round_count,
        "stationary": mapping.stationary.value,
        "sliding_axis": mapping.sliding_axis,
        "partition_bytes": partition_dict(parts),
    }


def _tiles(extent: int, size: int) -> int:
    return -(-extent // size)


def _trips(extents: Sequence[int], sizes: Sequence[int]) -> list[int]:
    return [_tiles(extent, size) for extent, size in zip(extents, sizes, strict=True)]


def _loops(stationary: Stationary, axes: int, sliding: int | None, outputs: str) -> list[str]:
    """The loops over tiles, outermost first; the axis that slides is the innermost of its group."""
    spatial = [f"spatial.{axis}" for axis in range(axes) if axis != sliding]
    spatial += [] if sliding is None else [f"spatial.{sliding}"]
    of = {Group.CO: [outputs], Group.CI: ["in_channels"], Group.SP: ["batch", *spatial]}
    return ["groups", *(name for group in stationary.loops for name in of[group])]
