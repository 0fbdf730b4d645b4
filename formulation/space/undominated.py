"""Spatial tiles that no other is at least as good as, for whoever searches the same layer many times.

A tile over the batch and the spatial axes enters footprint, traffic and latency only through six numbers:
trip count, ifmap words (refetched and slid), the largest ifmap tile, pixels and array cycles. All of
footprint, traffic and latency are non-decreasing in each. Where runs take whole bursts, it enters traffic
also through the bursts of both feature maps, in which all is non-decreasing as well. So a tile may be left
out if another one is at most as large in all of these, whatever the partition of the buffer, the latency
cap and the objective.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from formulation.extents import Ints
from formulation.space.tables import SpatialGrid, SpatialTable


def undominated_tiles(
    grid: SpatialGrid, fits: Callable[[SpatialTable], NDArray[np.bool_]] | None = None
) -> tuple[SpatialTable, Ints]:
    """The tiles of a grid that no other one dominates, and their cycle factors.

    Args:
        grid: all tiles.
        fits: where a tile is of any use, which every tile then is that dominates it; None if all are.
    """
    slabs = (slab if fits is None else slab.take(fits(slab)) for slab in grid.slabs())
    kept = SpatialTable.join([_front(grid, slab) for slab in slabs])
    kept = _front(grid, kept)
    return kept, grid.cycles(kept)


def _front(grid: SpatialGrid, table: SpatialTable) -> SpatialTable:
    return table.take(undominated(np.stack(grid.columns(table, grid.cycles(table)))))


def undominated(columns: Ints, check: Callable[[], object] = bool) -> NDArray[np.int64]:
    """Positions, ascending, of the points that no other one dominates; of equal points one is kept.

    A point that is drawn leads to the least sum of logarithms among those that dominate it, which nothing
    dominates, and which clears away all that it dominates: a few such leave little to go through.

    Args:
        columns: criteria x points, not negative; less is better.
        check: called between pieces of work; what it raises ends it.
    """
    draw = np.random.default_rng(0).permutation(columns.shape[1])
    values = columns[:, draw]
    size = np.log1p(values).sum(axis=0)
    settled = np.zeros(len(draw), dtype=bool)
    while not settled.all():
        check()
        drawn = int(np.argmin(settled))
        better = np.flatnonzero(_all_at_most(values, values[:, drawn]))
        best = int(better[np.argmin(size[better])])
        keep = ~_all_at_most(-values, -values[:, best])
        keep[best] = settled[best] = True
        draw, values, size, settled = draw[keep], values[:, keep], size[keep], settled[keep]
    return np.sort(draw)


def _all_at_most(values: Ints, limit: Ints) -> NDArray[np.bool_]:
    """Where a column is at most the limit in every row."""
    within = values[0] <= limit[0]
    for row, most in zip(values[1:], limit[1:], strict=True):
        within &= row <= most
    return np.asarray(within)
