"""Blocks of tiles, so that most tiles need not be looked at one by one.

A block holds the tiles that have equal trip counts in every dimension. Whatever is asked of a tile in terms
of its columns in ``SpatialTable`` (trips, words fetched and slid, largest ifmap tile, pixels), it is asked of
a block's least value of every column first: a column is a product over the dimensions, so the least product
is the product of the least. All costs and footprints are non-decreasing in every column, so what is too
much for these values is too much for every tile of the block. The smallest tile of a block nearly reaches
them, and there are few blocks: an axis of 512 outputs has 45 trip counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from formulation.extents import AxisTable, Ints
from formulation.space.tables import SLAB, SpatialTable, TileGrid

_MANY = 4  # tiles of a block from which a closer look at it is worth its time

Wanted = Callable[[SpatialTable], NDArray[np.bool_]]
"""Where tiles are of interest; true for a tile if it is for one that is at least as large in every column."""

Stage = Callable[[Wanted, Wanted], Iterator[SpatialTable]]
"""From what is wanted, and a sharper look that takes longer, to such tiles, and perhaps others, in pieces."""

CELLS = 1 << 16
"""Mappings priced at once: few enough that the arrays stay in the processor's cache."""


def pairs(length: int, width: int) -> Iterator[tuple[Ints, Ints]]:
    """All pairs of ``length`` rows and ``width`` columns, some rows at a time."""
    step = max(1, CELLS // max(1, width))
    for start in range(0, length, step):
        rows = np.arange(start, min(length, start + step))
        yield np.repeat(rows, width), np.tile(np.arange(width), len(rows))


def sift(
    grid: TileGrid, wanted: Wanted, size: int = SLAB, closer: Wanted | None = None
) -> Iterator[SpatialTable]:
    """The tiles of all blocks that are wanted by their least columns, so all that are wanted, and others.

    Args:
        grid: all tiles.
        wanted: is asked about blocks; their ``rank`` is that of their first tile, ``slide`` means nothing.
        size: most tiles in a piece.
        closer: a sharper look that takes longer, for the blocks left that hold many tiles; None for none.

    Returns:
        Pieces of the tiles, block by block.
    """
    first = [np.flatnonzero(np.diff(dim.trips, prepend=0)) for dim in grid.dims]
    count = [np.diff(f, append=n) for f, n in zip(first, grid.shape, strict=True)]
    blocks = TileGrid(
        [_least(d, f) for d, f in zip(grid.dims, first, strict=True)], grid.in_channels, grid.hardware
    )
    for slab in blocks.slabs():
        index = np.unravel_index(slab.rank, blocks.shape)
        starts = [f[i] for f, i in zip(first, index, strict=True)]
        counts = [c[i] for c, i in zip(count, index, strict=True)]
        slab = replace(slab, rank=np.ravel_multi_index(starts, grid.shape))
        keep = np.flatnonzero(wanted(slab))
        if closer is not None:
            keep = _closer(slab, keep, np.prod(counts, axis=0), closer)
        for picks in spread_out([s[keep] for s in starts], [c[keep] for c in counts], size):
            yield grid.at(picks)


def _closer(blocks: SpatialTable, keep: Ints, inside: Ints, closer: Wanted) -> Ints:
    """The positions among ``keep`` that a closer look leaves; blocks of few tiles are not worth it."""
    many = inside[keep] >= _MANY
    left = np.ones(len(keep), dtype=np.bool_)
    if many.any():
        left[many] = closer(blocks.take(keep[many]))
    return np.asarray(keep[left])


def _least(dim: AxisTable, first: Ints) -> AxisTable:
    """The least of every column over the runs of tile sizes that begin at the given positions."""
    return AxisTable(*(np.minimum.reduceat(getattr(dim, name), first) for name in AxisTable.__slots__))


def spread_out(starts: Sequence[Ints], counts: Sequence[Ints], size: int) -> Iterator[list[Ints]]:
    """All places in the boxes that begin at ``starts`` and hold ``counts`` positions of each dimension.

    Box by box, in lexicographic order in each, ``size`` of them in a piece.
    """
    inside = np.prod(counts, axis=0)
    ends = np.cumsum(inside)
    for place in range(0, int(inside.sum()), size):
        tile = np.arange(place, min(place + size, int(ends[-1])))
        box = np.searchsorted(ends, tile, side="right")
        rest, picks = tile - (ends - inside)[box], []
        for start, count in zip(reversed(starts), reversed(counts), strict=True):
            rest, within = np.divmod(rest, count[box])
            picks.append(start[box] + within)
        yield picks[::-1]
