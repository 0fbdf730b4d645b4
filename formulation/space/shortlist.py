"""The tiles over the batch and the spatial axes that are worth looking at, made once per layer and array.

A tile enters every cost and footprint through its columns in ``SpatialTable`` and its cycle factor, and none
of these falls where one of those rises. The columns are products over the dimensions. Take tiles that differ
in one dimension only, a run of sizes along which none of its columns falls (so its trips stay). One of them
is never the answer if an earlier one of the run has as few cycles: that is as good in all else, and comes
first in the order that breaks ties. Buffer, bandwidth and objective do not matter, so a sweep over them makes
the list once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dnns.layer import Layer
from formulation.extents import AxisTable, Ints
from formulation.hardware import Hardware
from formulation.space.tables import SpatialGrid, SpatialTable

_KEPT = 256
_COLUMNS = tuple(name for name in AxisTable.__slots__ if name not in ("tile", "edge"))


@lru_cache(maxsize=_KEPT)
def short_list(layer: Layer, machine: Hardware) -> tuple[SpatialTable, Ints]:
    """Tiles, of which one is the optimum's whatever the buffer and the DRAM, and their cycle factors.

    Args:
        layer: whose tiles; in lexicographic order.
        machine: ``Hardware.for_tables`` of it.
    """
    grid = SpatialGrid(layer, machine)
    table = grid.table([np.arange(n) for n in grid.shape])
    cycles = grid.cycles(table)
    keep = _first_of_runs(grid, cycles)
    return table.take(keep), cycles[keep]


def _first_of_runs(grid: SpatialGrid, cycles: Ints) -> NDArray[np.bool_]:
    """Which tiles take fewer cycles than all before them in their runs, along every dimension.

    Taking a growing amount off each run turns the least so far into the least of the run so far.
    """
    rank = np.unique(cycles, return_inverse=True)[1].reshape(grid.shape)
    keep = np.ones(grid.shape, dtype=np.bool_)
    for d, dim in enumerate(grid.dims):
        falls = [np.diff(getattr(dim, name)) < 0 for name in _COLUMNS]
        run = np.cumsum(np.r_[0, np.logical_or.reduce(falls)])
        value = np.moveaxis(rank, d, -1) - run * rank.size
        fewer = value[..., 1:] < np.minimum.accumulate(value, axis=-1)[..., :-1]
        np.moveaxis(keep, d, -1)[..., 1:] &= fewer
    return keep.reshape(-1)
