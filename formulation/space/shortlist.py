"""The tiles over the batch and the spatial axes that are worth looking at, made once per layer and array.

A tile enters every cost and footprint through its columns in ``SpatialTable`` and its cycle factor, and none
of these falls where one of those rises. So a tile is never the answer if the first of its block, the tiles
with as many trips in every dimension, is at most as large in all of them: it also comes first in the order
that breaks ties. Buffer, bandwidth, widths and objective do not matter, so a sweep over them makes the list
once.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from math import prod

import numpy as np

from dnns.layer import Layer
from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.space.tables import SpatialGrid, SpatialTable

_KEPT = 256
_COLUMNS = tuple(name for name in SpatialTable.__slots__ if name not in ("rank", "slide"))


@lru_cache(maxsize=_KEPT)
def short_list(layer: Layer, array: Hardware) -> tuple[SpatialTable, Ints]:
    """Tiles, of which one is the optimum's whatever the machine beside its array, and their cycle factors.

    Args:
        layer: whose tiles; in lexicographic order.
        array: ``Hardware.array_only`` of the machine.
    """
    grid = SpatialGrid(layer, array)
    table = grid.table([np.arange(n) for n in grid.shape])
    cycles, first = grid.cycles(table), _first_of_block(grid)
    keep = first == table.rank
    for column in (*(getattr(table, name) for name in _COLUMNS), cycles):
        keep |= column < column[first]
    return table.take(keep), cycles[keep]


def _first_of_block(grid: SpatialGrid) -> Ints:
    """For each tile the rank of the first with as many trips in every dimension."""
    starts = [np.searchsorted(-dim.trips, -dim.trips) for dim in grid.dims]
    steps = [prod(grid.shape[d + 1 :]) for d in range(len(grid.shape))]
    ranks = [start * step for start, step in zip(starts, steps, strict=True)]
    return np.asarray(reduce(np.add.outer, ranks).reshape(-1))
