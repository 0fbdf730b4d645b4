"""A mapping's tiles as a picture: what lies in the buffer, and how the maps are cut."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from formulation.extents import axis_table
from solvers.network.data.geometry import axis_of
from solvers.network.data.mapping_fields import AxisData

Data = Mapping[str, Any]


def rooms(layer: Data, piece: Data, machine: Data, stack: Data | None) -> list[dict[str, Any]]:
    """What lies in the buffer while a piece runs, one after another [bytes].

    Each has ``label``, ``kind`` (``ifmap``, ``ofmap``, ``weights``, ``stays`` or ``free``), ``bytes`` and,
    of tiles, ``copies`` and ``tile`` (its extents).
    """
    held = layer.get("held_bytes", 0)
    found = _stack_rooms(stack) if stack is not None else _part_rooms(layer, piece, machine)
    if stack is None and held:
        found.append({"label": "feature maps that stay", "kind": "stays", "bytes": held, "copies": 1})
    free = machine["bufsize"] - sum(room["bytes"] for room in found)
    if free > 0:
        found.append({"label": "free", "kind": "free", "bytes": free, "copies": 1})
    return found


def _stack_rooms(stack: Data) -> list[dict[str, Any]]:
    kinds = {"source": "ifmap", "operand": "ifmap", "ofmap": "ofmap", "drained": "ofmap"}
    found = [
        {"label": f"{room['map']} ({room['kind']})", "kind": kinds[room["kind"]], "bytes": room["bytes"]}
        for room in stack["buffer"]
        if room["bytes"]
    ]
    weights = stack["buffer_bytes"] - sum(room["bytes"] for room in found)
    if weights > 0:
        found.append({"label": "weights", "kind": "weights", "bytes": weights})
    return [{**room, "copies": 1} for room in found]


def _part_rooms(layer: Data, piece: Data, machine: Data) -> list[dict[str, Any]]:
    mapping = piece["mapping"]
    if mapping is None:
        return []
    parts, extents = mapping["partition_bytes"], tile_extents(piece)
    words = {name: prod(sizes) for name, sizes in extents.items()}
    copies = 2 if machine["double_buffered"] else 1
    found = []
    for name in ("ifmap", "ofmap", "weights"):
        if parts[name]:
            room = {"label": name, "kind": name, "bytes": parts[name], "copies": copies}
            if name in extents:
                room["tile"], room["words"] = " x ".join(map(str, extents[name])), words[name]
            found.append(room)
    return found


def tile_extents(piece: Data) -> dict[str, list[int]]:
    """Extents of the largest tile of each tensor [words]; of shared tiles of the ifmap alone nothing."""
    tile, geometry = piece["mapping"]["tile"], piece.get("geometry")
    if geometry is None or "out_channels" not in tile:
        return {}
    batch = [tile["batch"]] if geometry["batch"] > 1 else []
    windows = [window(axis, size) for axis, size in zip(geometry["axes"], tile["spatial"], strict=True)]
    kernel = [axis["kernel"] for axis in geometry["axes"]]
    co, ci = tile["out_channels"], tile["in_channels"]
    return {
        "ifmap": [*batch, ci, *windows],
        "ofmap": [*batch, co, *tile["spatial"]],
        "weights": [co, ci, *kernel],
    }


def window(axis: AxisData, size: int) -> int:
    """The longest interval of inputs under a tile of so many outputs [words]."""
    return int(axis_table(axis_of(axis), np.array([size])).largest[0])


def planes(piece: Data) -> list[dict[str, Any]]:
    """The maps that are cut, on their last two axes: ``label``, and ``size``, ``tile``, ``trips`` of each.

    ``channels`` is how many a tile has, ``of`` so many. Nothing where sub-convolutions share tiles.
    """
    extents = tile_extents(piece) if piece["mapping"] else {}
    if not extents:
        return []
    geometry, trips = piece["geometry"], piece["mapping"]["trips"]
    cut = [1, 1, *trips["spatial"]][-2:]
    spatial = piece["mapping"]["tile"]["spatial"]
    ofmap = [1, 1, *(axis["ofmap"] for axis in geometry["axes"])][-2:]
    ifmap = [1, 1, *(axis["ifmap"] for axis in geometry["axes"])][-2:]
    windows = extents["ifmap"][-len(spatial) :]
    ci, co = geometry["in_channels"], geometry["out_channels"]
    n_ci, n_co = trips["in_channels"], trips["out_channels"]
    tile = piece["mapping"]["tile"]
    return [
        _plane("ifmap", ifmap, [1, 1, *windows][-2:], [1, 1], tile["in_channels"], ci),
        _plane("ofmap", ofmap, [1, 1, *spatial][-2:], cut, tile["out_channels"], co),
        _plane("weights", [co, ci], [tile["out_channels"], tile["in_channels"]], [n_co, n_ci], None, None),
    ]


def _plane(
    label: str, size: list[int], tile: list[int], trips: list[int], channels: int | None, of: int | None
) -> dict[str, Any]:
    return {"label": label, "size": size, "tile": tile, "trips": trips, "channels": channels, "of": of}
