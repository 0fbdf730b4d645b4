"""Our mappings in the words of AccelForge, and the tiles that it can price."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dnns.layer import Layer
from formulation.mapping import Group, Mapping

RANKS = {"ifmap": "cpq", "weights": "mc", "ofmap": "mpq"}
"""Loops that each tensor depends on: output channels m, input channels c, rows p, columns q."""
TENSORS = {"ifmap": "T0", "weights": "W0", "ofmap": "T1"}
"""Names in the workload that AccelForge is given."""

Nodes = list[tuple[str, str, Any]]


def divisor_tiles(layer: Layer, mapping: Mapping, channels: bool = False) -> Mapping:
    """The mapping with each spatial tile, and those of channels if asked for, the next smaller divisor."""
    tile = mapping.tile
    spatial = tuple(largest_divisor(a.out, t) for a, t in zip(layer.axes, tile.spatial, strict=True))
    smaller = replace(tile, spatial=spatial)
    if channels:
        co = largest_divisor(layer.out_channels, tile.out_channels)
        ci = largest_divisor(layer.in_channels, tile.in_channels)
        smaller = replace(smaller, out_channels=co, in_channels=ci)
    return replace(mapping, tile=smaller)


def largest_divisor(extent: int, most: int) -> int:
    """The largest divisor of ``extent`` that is not above ``most``."""
    return next(size for size in range(most, 0, -1) if extent % size == 0)


def loops(layer: Layer, mapping: Mapping) -> list[tuple[str, int]]:
    """Tile loops of more than one trip, outermost first, as rank and tile size; what slides is innermost."""
    tile = mapping.tile
    axes = list(range(len(layer.axes)))
    if mapping.sliding_axis is not None:
        axes.sort(key=lambda i: i == mapping.sliding_axis)
    spatial = [("pq"[i], tile.spatial[i], layer.axes[i].out) for i in axes]
    groups = {
        Group.CO: [("m", tile.out_channels, layer.out_channels)],
        Group.CI: [("c", tile.in_channels, layer.in_channels)],
        Group.SP: spatial,
    }
    every = (loop for group in mapping.stationary.loops for loop in groups[group])
    return [(rank, size) for rank, size, extent in every if size < extent]


def nodes(layer: Layer, mapping: Mapping) -> Nodes:
    """The mapping as AccelForge has it: where each tensor is stored among the loops.

    A tensor stands in the SRAM below the innermost loop that it depends on, so that it moves once for each of
    that loop's steps and stays while loops further in run. An ifmap that slides stands above its sliding
    loop: AccelForge then fetches what is new in each step.
    """
    order = loops(layer, mapping)
    below = dict.fromkeys(TENSORS, 0)
    for name, ranks in RANKS.items():
        below[name] = max((i + 1 for i, (rank, _) in enumerate(order) if rank in ranks), default=0)
    if mapping.sliding_axis is not None and slides(order, "pq"[mapping.sliding_axis]):
        below["ifmap"] -= 1
    found: Nodes = [("store", "DRAM", list(TENSORS.values()))]
    for i in range(len(order) + 1):
        for name in ("weights", "ofmap", "ifmap"):  # only what stands next to a loop slides along it
            if below[name] == i:
                found.append(("store", "SRAM", [TENSORS[name]]))
        if i < len(order):
            found.append(("loop", *order[i]))
    return found


def slides(order: list[tuple[str, int]], rank: str) -> bool:
    """Whether the ifmap's innermost loop is the sliding one."""
    own = [r for r, _ in order if r in RANKS["ifmap"]]
    return bool(own) and own[-1] == rank
