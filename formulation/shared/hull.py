"""One ifmap tile shared by all sub-kernels of a deconvolution: its extent along one axis.

The phases of an axis are cut by one common grid. A tile's interval of inputs is the hull of what each
phase that has taps needs for its own outputs in the tile. Sub-kernels are all combinations of the axes'
phases, so the hull over the sub-kernels is the product of the hulls per axis.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dnns.axes import TransposedAxis
from formulation.deconv import phase_axis
from formulation.extents import AxisTable, Ints, edge_tile, trip_count

_CELLS = 1 << 21  # tiles of all sizes looked at together


def grid_extent(axis: TransposedAxis) -> int:
    """Extent of the common grid: ``ceil(out / stride)``, that of the longest phase."""
    return -(-axis.out // axis.stride)


@lru_cache(maxsize=512)
def hull_table(axis: TransposedAxis) -> AxisTable:
    """The common grid cut into tiles, for every tile size; words are those of the hulls.

    Phase p's part of tile k is its outputs ``k*t .. min((k+1)*t, out_p) - 1``, none if that is empty; it
    needs the interval of ``Axis.interval``. The hull runs from the least beginning to the greatest end
    of the intervals that are not empty. Slid, a tile fetches the part of its hull outside the last one's.
    """
    extent = grid_extent(axis)
    size = np.arange(1, extent + 1)
    trips = trip_count(extent, size)
    columns: list[list[Ints]] = [[], [], []]
    start = 0
    while start < extent:
        ahead = np.cumsum(trips[start:])
        stop = start + max(1, int(np.searchsorted(ahead, _CELLS, side="right")))
        for column, values in zip(columns, _sums(axis, size[start:stop], trips[start:stop]), strict=True):
            column.append(values)
        start = stop
    fetched, slid, largest = (np.concatenate(column) for column in columns)
    return AxisTable(size, trips, edge_tile(extent, size), fetched, slid, largest)


def _sums(axis: TransposedAxis, size: Ints, trips: Ints) -> tuple[Ints, Ints, Ints]:
    """Sum of the hulls, sum of their new parts, longest hull, for the given tile sizes."""
    first = np.r_[0, np.cumsum(trips)[:-1]]
    tile = np.repeat(size, trips)
    index = np.arange(len(tile)) - np.repeat(first, trips)
    low, high = hulls(axis, index * tile, tile)
    length = np.maximum(high - low, 0)
    overlap = np.minimum(high[1:], high[:-1]) - np.maximum(low[1:], low[:-1])
    both = (length[1:] > 0) & (length[:-1] > 0) & (index[1:] > 0)
    new = length.copy()
    new[1:] -= np.where(both, np.maximum(overlap, 0), 0)
    return np.add.reduceat(length, first), np.add.reduceat(new, first), np.maximum.reduceat(length, first)


def hulls(axis: TransposedAxis, start: Ints, tile: Ints) -> tuple[Ints, Ints]:
    """Hull ``[low, high)`` of tiles that begin at given grid points; ``high <= low`` if empty."""
    low, high = np.full_like(start, axis.in_size), np.zeros_like(start)
    for phase in axis.phases:
        if phase.taps:
            part = phase_axis(phase, axis.in_size)
            stop = np.minimum(start + tile, part.out)
            lo = np.maximum(0, start - part.pad_lo)
            hi = np.minimum(axis.in_size, stop - 1 - part.pad_lo + part.effective_kernel)
            needed = (stop > start) & (hi > lo)
            low = np.where(needed, np.minimum(low, lo), low)
            high = np.where(needed, np.maximum(high, hi), high)
    return low, high
