"""Pairs of a tile and a sub-tile along one axis, in families that are bounded before they are listed.

The tiles of equal trip counts form a block: sizes from ``first`` to ``last``. Beside it stand three kinds of
families of sub-tiles ``s`` of a tile ``t``, which share out all pairs: ``s = t`` (not cut); a single small
``s <= q``; and all larger ones that cut ``t`` into ``m`` parts. With ``q = isqrt(last)`` a block has some
``2 q`` families.

What a family has at least, with its smallest tile, smallest sub-tile, and fewest parts ``m``:

* pieces: ``(trips - 1) * m + 1``, as the last tile has a piece, and ``ceil(out / largest sub-tile)``.
* words: those of the whole tiles, and what so many pieces have at least (``cuts.least_fetched``).
* largest interval: what so large pieces have at least (``cuts.least_largest``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import isqrt

import numpy as np

from dnns.axes import Axis
from formulation.extents import AxisTable, Ints, full_axis_table
from formulation.pricing.cuts import CutTable, cut_table, least_fetched, least_largest


@dataclass(frozen=True, slots=True, eq=False)
class Families:
    """Families of pairs along one axis, block by block; all arrays have one entry a family.

    Attributes:
        smallest: sub-tile that is the smallest of the family.
        single: whether that is its only sub-tile.
        parts: of the family's tiles; 0 for a single sub-tile, 1 where the tiles are not cut.
        first: smallest tile.
        last: largest tile.
        trips: of the tiles.
        pieces: fewest.
        fetched: least words of a pass.
        within: the same, slid in each tile.
        slid: the same, slid throughout.
        held: least words of the largest interval of a sub-tile.
        whole_fetched: least words of a pass of the tiles, not cut.
        whole_slid: the same, slid.
        whole_held: least words of the largest interval of a tile.
    """

    smallest: Ints
    single: Ints
    parts: Ints
    first: Ints
    last: Ints
    trips: Ints
    pieces: Ints
    fetched: Ints
    within: Ints
    slid: Ints
    held: Ints
    whole_fetched: Ints
    whole_slid: Ints
    whole_held: Ints


class CutAxis:
    """The pairs of one axis.

    Args:
        axis: the axis.
        whole: the table of all its tiles.
        menu: sub-tiles that are looked at, beside tiles that are not cut; None for all.

    Attributes:
        starts: of each block, its first tile less one.
        families: of all blocks.
        inside: of each block, how many pairs it has.
        offset: of each block, the place of its first family; and the number of all.
    """

    def __init__(self, axis: Axis, whole: AxisTable, menu: Sequence[int] | None = None) -> None:
        self.axis, self.whole = axis, whole
        self.starts = np.flatnonzero(np.diff(whole.trips, prepend=0))
        ends = np.r_[self.starts[1:], axis.out]
        rows, counts = [], []
        for first, last in zip((self.starts + 1).tolist(), ends.tolist(), strict=True):
            found = _family_rows(first, last) if menu is None else _menu_rows(first, last, menu)
            rows.append(found)
            counts.append(len(found))
        self.inside = np.add.reduceat(np.arange(1, axis.out + 1), self.starts)
        self.offset = np.r_[0, np.cumsum(counts)]
        self.families = self._families(np.concatenate(rows), np.repeat(np.arange(len(counts)), counts))

    def _families(self, rows: Ints, block: Ints) -> Families:
        """Their least columns; see the module's equations."""
        smallest, single, parts, first, last = rows.T
        axis, whole = self.axis, self.whole
        trips = whole.trips[first - 1]
        names = ("fetched", "slid", "largest")
        least = [np.minimum.reduceat(getattr(whole, n), self.starts)[block] for n in names]
        fewest = np.where(single, -(-first // smallest), parts)
        largest = np.where(
            single, smallest, np.where(parts > 1, (last - 1) // np.maximum(parts - 1, 1), last)
        )
        uncut = parts == 1
        pieces = np.maximum((trips - 1) * fewest + 1, -(-axis.out // largest))
        pieces = np.where(uncut, trips, pieces)
        if axis.effective_kernel >= axis.stride:
            fetched = np.where(uncut, least[0], np.maximum(least[0], least_fetched(axis)[pieces - 1]))
            within, slid = least[:2]
        else:
            fetched = np.where(uncut, least[0], whole.fetched[0])
            within, slid = fetched, fetched
        held = np.where(uncut, least[2], least_largest(axis)[smallest - 1])
        return Families(
            smallest, single, parts, first, last, trips, pieces, fetched, within, slid, held, *least
        )

    @cached_property
    def least(self) -> Families:
        """The least of every column over the families of each block; tiles not cut stand for all."""
        columns = (
            np.minimum.reduceat(getattr(self.families, n), self.offset[:-1]) for n in Families.__slots__
        )
        return replace(Families(*columns), parts=np.ones(len(self.starts), dtype=np.int64))

    def members(self, family: int) -> tuple[Ints, Ints]:
        """All pairs of a family: tiles, and their sub-tiles."""
        f = self.families
        tiles = np.arange(f.first[family], f.last[family] + 1)
        if f.single[family]:
            tiles = tiles[tiles > f.smallest[family]]
            return tiles, np.full(len(tiles), f.smallest[family])
        parts = int(f.parts[family])
        if parts == 1:
            return tiles, tiles
        low = np.maximum(-(-tiles // parts), f.smallest[family])
        high = (tiles - 1) // (parts - 1)
        count = np.maximum(high - low + 1, 0)
        tile = np.repeat(tiles, count)
        ends = np.cumsum(count)
        return tile, np.arange(len(tile)) - np.repeat(ends - count, count) + np.repeat(low, count)

    def table(self, families: Ints) -> tuple[CutTable, Ints]:
        """The exact columns of all members of some families, and how many each has."""
        pairs = [self.members(int(family)) for family in families]
        count = np.array([len(tile) for tile, _ in pairs], dtype=np.int64)
        tile, sub = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
        return cut_table(self.axis, tile, sub), count


@lru_cache(maxsize=1024)
def cut_axis(axis: Axis, menu: tuple[int, ...] | None = None) -> CutAxis:
    """The pairs of an axis, all or those of a few sub-tiles."""
    return CutAxis(axis, full_axis_table(axis), menu)


def _menu_rows(first: int, last: int, menu: Sequence[int]) -> Ints:
    """The same of tiles that are not cut, and of a few sub-tiles."""
    rows = [(sub, 1, 0, max(first, sub + 1), last) for sub in menu if sub < last]
    return np.array([(first, 0, 1, first, last), *rows], dtype=np.int64)


def _family_rows(first: int, last: int) -> Ints:
    """Smallest sub-tile, whether it is the only one, parts, and smallest and largest tile of each family."""
    most = isqrt(last)
    rows = [(first, 0, 1, first, last)]
    rows += [(sub, 1, 0, max(first, sub + 1), last) for sub in range(1, min(most, last - 1) + 1)]
    for parts in range(2, -(-last // (most + 1)) + 1):
        low = max(most + 1, -(-first // parts))
        tile = max(first, (parts - 1) * low + 1)  # the smallest tile that such a sub-tile cuts so
        if tile <= last:
            rows.append((low, 0, parts, tile, last))
    return np.array(rows, dtype=np.int64)
