"""Bits of tiles where runs take whole bursts, for the presolve: of lists exactly, or at least.

A tensor's runs are longest, and its bursts fewest, where channels are whole: a sum of bursts of parts is no
less than the bursts of the whole. So what a spatial tile moves with all channels in one tile bounds what it
moves beside any tiles of channels; and pairs of channel tiles, whose weights are exact, are bounded by the
least of that over the spatial tiles.
"""

from __future__ import annotations

from dataclasses import replace

from formulation.cost import Num, Trips
from formulation.pricing.bursts import Runs, pinned, runs, weight_bits
from formulation.relaxed.structure import Structure, class_passes
from formulation.space.space import Space
from formulation.space.tables import SpatialTable


def exact_runs(space: Space, co: Num, ci: Num, sp: SpatialTable) -> Runs | None:
    """Of all combinations of channel and spatial tiles, as they broadcast; None without bursts."""
    layer, hardware = space.problem.layer, space.problem.hardware
    return runs(layer, hardware, co, ci, space.grid.tiles(sp.rank)) if hardware.burst_bytes else None


def spatial_runs(space: Space, sp: SpatialTable) -> Runs | None:
    """Of spatial tiles beside any channel tiles, at least."""
    layer = space.problem.layer
    return exact_runs(space, layer.out_channels, layer.in_channels, sp)


def channel_runs(space: Space, co: Num, ci: Num, sp: SpatialTable) -> Runs | None:
    """Of channel tiles beside any of some spatial tiles, at least."""
    least = spatial_runs(space, sp)
    if least is None:
        return None
    weights = weight_bits(space.problem.layer, space.problem.hardware, co, ci)
    fewest = (bits.min() for bits in (least.ifmap, least.ofmap, least.partial))
    ifmap, ofmap, partial = fewest
    return replace(least, ifmap=ifmap, weights=weights, ofmap=ofmap, partial=partial)


def class_bits(groups: int, structure: Structure, trips: Trips, once: Runs) -> Num:
    """Bits moved in a class, with the passes of its loop order as of ``class_traffic``."""
    moved = class_passes(structure, trips)
    if not structure.partial_sums:
        moved = replace(moved, ci=1)
    return 1.0 * pinned(groups, moved, once).total
