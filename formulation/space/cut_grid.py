"""Tiles over the batch and the spatial axes, each with a sub-tile, looked at in blocks and families first.

There are as many pairs as tiles squared. So blocks of tiles (of equal trip counts) are asked of by the least
columns of their families, then each product of families (``cut_axis``), then the pairs themselves. Every
column of a block or a family is at most that of each of its pairs, and costs and footprints are
non-decreasing in all of them, so nothing is left out but what is of no interest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from math import isqrt, prod

import numpy as np

from dnns.layer import Layer
from formulation.cost import Num, group_cycles
from formulation.extents import Ints, batch_axis, product_tiles
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.pricing.cuts import CutTable, cut_table
from formulation.space.blocks import Stage, Wanted, spread_out
from formulation.space.counts import SAFE, TooLargeError
from formulation.space.cut_axis import CutAxis, Families, cut_axis
from formulation.space.cut_table import CutSpatialTable, product, streamed_words, whole_words
from formulation.space.tables import SLAB, SpatialTable, spread

_MANY = 1 << 16  # pairs from which a better mapping is looked for before they are gone through


class CutGrid:
    """All pairs of a tile and a sub-tile over the batch and the spatial axes of a layer.

    Args:
        layer: whose tiles.
        hardware: says whether the halo is reused, and gives the array.
        streamed: the tensor that holds the sub-tile: ifmap or ofmap.

    Raises:
        TooLargeError: if 64 bits do not count the pairs.
    """

    def __init__(self, layer: Layer, hardware: Hardware, streamed: str) -> None:
        self.layer, self.hardware, self.streams_ifmap = layer, hardware, streamed == "ifmap"
        axes = (batch_axis(layer), *layer.axes)
        self.axes = [cut_axis(axis) for axis in axes]
        self.sizes_of = [axis.out * (axis.out + 1) // 2 for axis in axes]
        if prod(self.sizes_of) >= SAFE:
            raise TooLargeError(f"{layer.name} is too large: {prod(self.sizes_of):.3g} tiles with sub-tiles")

    def sizes(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sizes of tile and sub-tile, batch first, of a rank."""
        tiles, subs = [], []
        for size in reversed(self.sizes_of):
            rank, place = divmod(rank, size)
            tile = (isqrt(8 * place + 1) + 1) // 2
            tiles.append(tile)
            subs.append(place - tile * (tile - 1) // 2 + 1)
        return tuple(reversed(tiles)), tuple(reversed(subs))

    def sizes_at(self, rank: Ints) -> tuple[list[Ints], list[Ints]]:
        """As ``sizes``, of many ranks."""
        tiles, subs = [], []
        for size in reversed(self.sizes_of):
            rank, place = np.divmod(rank, size)
            tile = ((np.sqrt(8 * place + 1) + 1) // 2).astype(np.int64)
            tiles.append(tile)
            subs.append(place - tile * (tile - 1) // 2 + 1)
        return tiles[::-1], subs[::-1]

    @staticmethod
    def no_tiles() -> CutSpatialTable:
        """A table of no pairs."""
        return CutSpatialTable(*(np.zeros(0, dtype=np.int64) for _ in CutSpatialTable.__match_args__))

    @staticmethod
    def cycles(table: SpatialTable) -> Ints:
        """The spatial group's factor of the compute cycles, or the bound on it."""
        assert isinstance(table, CutSpatialTable)
        return table.cycles

    @staticmethod
    def pieces(table: SpatialTable) -> Ints:
        """Sub-tiles, over all tiles, or the bound on them."""
        assert isinstance(table, CutSpatialTable)
        return table.pieces

    def stages(self) -> list[Stage]:
        """A few pairs, all tiles with a few sub-tiles, and all pairs; the first two only where it pays.

        What blocks are left is looked at again only where there were many pairs in them: a block that was not
        wanted stays so, for what is known can only become better.
        """
        left: list[list[Ints]] = []

        def many(wanted: Wanted, closer: Wanted) -> bool:
            pairs = sum(self._pairs(blocks) for blocks in left)
            if not left or pairs > _MANY:
                left[:] = self._blocks(wanted, closer)
                pairs = sum(self._pairs(blocks) for blocks in left)
            return pairs > _MANY

        def coarse(wanted: Wanted, closer: Wanted) -> Iterator[SpatialTable]:
            return self._coarse() if many(wanted, closer) else iter(())

        def rough(wanted: Wanted, closer: Wanted) -> Iterator[SpatialTable]:
            few = not many(wanted, closer)
            return iter(()) if few else self._sift(self.menus, left, wanted, closer)

        def whole(wanted: Wanted, closer: Wanted) -> Iterator[SpatialTable]:
            many(wanted, closer)
            return self._sift(self.axes, left, wanted, closer)

        return [coarse, rough, whole]

    @cached_property
    def menus(self) -> list[CutAxis]:
        """The axes with a few sub-tiles: one, those that fill the array, and some between."""
        sides = (self.hardware.rows, self.hardware.cols)
        menu = tuple(sorted({max(1, side >> by) for side in sides for by in range(4)} | {1}))
        return [cut_axis(axis.axis, menu) for axis in self.axes]

    def _pairs(self, blocks: Sequence[Ints]) -> int:
        """How many pairs some blocks hold."""
        inside = [axis.inside[at] for axis, at in zip(self.axes, blocks, strict=True)]
        return int(np.prod(inside, axis=0).sum())

    def _coarse(self) -> Iterator[SpatialTable]:
        """Some thousand pairs spread over all."""
        budget = max(3, int(1024 ** (1 / max(1, sum(axis.axis.out > 1 for axis in self.axes)))) // 3)
        pairs = []
        for axis, menu in zip(self.axes, self.menus, strict=True):
            tiles = spread(axis.axis.out, self.hardware, budget) + 1
            subs = np.unique(menu.families.smallest[menu.families.single.astype(bool)])
            some = {(int(t), int(s)) for t in tiles for s in (*subs, t) if s <= t}
            pairs.append(np.array(sorted(some)))
        return self.product(pairs)

    def product(self, pairs: Sequence[Ints]) -> Iterator[SpatialTable]:
        """All combinations of some pairs of each dimension, but for those that are cut in none; in pieces.

        Args:
            pairs: of each dimension, rows of a tile and a sub-tile.
        """
        tables = [cut_table(axis.axis, *some.T) for axis, some in zip(self.axes, pairs, strict=True)]
        shape = tuple(len(table.sub) for table in tables)
        whole = [table.sub == table.whole.tile for table in tables]
        for start in range(0, prod(shape), SLAB):
            at = np.unravel_index(np.arange(start, min(prod(shape), start + SLAB)), shape)
            cut = ~np.logical_and.reduce([w[i] for w, i in zip(whole, at, strict=True)])
            yield self._exact(tables, [i[cut] for i in at])

    @staticmethod
    def _boxes(axes: Sequence[CutAxis], blocks: Sequence[Ints]) -> tuple[list[Ints], list[Ints]]:
        """The first family of each block along each axis, and how many it has."""
        starts = [axis.offset[block] for axis, block in zip(axes, blocks, strict=True)]
        return starts, [np.diff(axis.offset)[block] for axis, block in zip(axes, blocks, strict=True)]

    def _sift(
        self, axes: Sequence[CutAxis], left: Sequence[Sequence[Ints]], wanted: Wanted, closer: Wanted
    ) -> Iterator[SpatialTable]:
        """The pairs in all families of some axes that are wanted by their least columns, in pieces.

        Args:
            axes: with their families.
            left: blocks, by their places along each axis.
            wanted: is asked of families.
            closer: a sharper look that takes longer, at those that are left.
        """
        families = [axis.families for axis in axes]
        for blocks in left:
            for picks in spread_out(*self._boxes(axes, blocks), SLAB):
                cut = np.logical_or.reduce(
                    [f.parts[pick] != 1 for f, pick in zip(families, picks, strict=True)]
                )
                some = [pick[cut] for pick in picks]
                keep = _looked(self._bounds(families, some), wanted, closer)
                if len(keep):
                    yield from self._members(axes, [pick[keep] for pick in some])

    def _blocks(self, wanted: Wanted, closer: Wanted) -> Iterator[list[Ints]]:
        """The blocks of tiles that are wanted: their places along each axis."""
        least = [axis.least for axis in self.axes]
        shape = tuple(len(axis.starts) for axis in self.axes)
        for start in range(0, prod(shape), SLAB):
            index = np.unravel_index(np.arange(start, min(prod(shape), start + SLAB)), shape)
            keep = _looked(self._bounds(least, index), wanted, closer)
            yield [at[keep] for at in index]

    def _bounds(self, columns: Sequence[Families], picks: Sequence[Ints]) -> CutSpatialTable:
        """The least columns of products of families, one of each axis."""

        def of(name: str) -> list[Ints]:
            return [getattr(f, name)[pick] for f, pick in zip(columns, picks, strict=True)]

        trips, pieces = product(of("trips")), product(of("pieces"))
        if self.streams_ifmap:
            held, pixels, uncut = of("held"), of("first"), [parts == 1 for parts in of("parts")]
            fetched, slid, slide = streamed_words(
                self.hardware.halo, of("fetched"), of("within"), of("slid"), uncut
            )
        else:
            held, pixels = of("whole_held"), of("smallest")
            fetched, slid, slide = whole_words(self.hardware.halo, of("whole_fetched"), of("whole_slid"))
        one = group_cycles(self.layer, self.hardware, Group.SP, pieces, [(1, self.layer.pixels)])
        each = group_cycles(self.layer, self.hardware, Group.SP, pieces, [(pieces, 1)])
        return self._table(
            0 * trips,
            trips,
            (fetched, slid, slide),
            product(held),
            product(pixels),
            pieces,
            np.maximum(one, each),
        )

    def _members(self, axes: Sequence[CutAxis], picks: Sequence[Ints]) -> Iterator[CutSpatialTable]:
        """All pairs in some products of families."""
        tables, starts, counts = [], [], []
        for axis, pick in zip(axes, picks, strict=True):
            families, place = np.unique(pick, return_inverse=True)
            table, count = axis.table(families)
            tables.append(table)
            counts.append(count[place])
            starts.append((np.cumsum(count) - count)[place])
        for at in spread_out(starts, counts, SLAB):
            yield self._exact(tables, at)

    def _exact(self, tables: Sequence[CutTable], picks: Sequence[Ints]) -> CutSpatialTable:
        """The columns of pairs, one place in the table of each axis."""

        def of(column: Callable[[CutTable], Ints]) -> list[Ints]:
            return [column(table)[pick] for table, pick in zip(tables, picks, strict=True)]

        tile, sub, trips = of(lambda t: t.whole.tile), of(lambda t: t.sub), of(lambda t: t.whole.trips)
        if self.streams_ifmap:
            held, pixels, uncut = (
                of(lambda t: t.largest),
                tile,
                [t == s for t, s in zip(tile, sub, strict=True)],
            )
            words = of(lambda t: t.fetched), of(lambda t: t.within), of(lambda t: t.slid), uncut
            fetched = streamed_words(self.hardware.halo, *words)
        else:
            held, pixels = of(lambda t: t.whole.largest), sub
            fetched = whole_words(
                self.hardware.halo, of(lambda t: t.whole.fetched), of(lambda t: t.whole.slid)
            )
        rank: Num = 0
        for size, t, s in zip(self.sizes_of, tile, sub, strict=True):
            rank = rank * size + t * (t - 1) // 2 + s - 1
        kinds = [
            [(_at(count, pick), _at(size, pick)) for count, size in table.kinds]
            for table, pick in zip(tables, picks, strict=True)
        ]
        pieces = product([sum(count for count, _ in dim) for dim in kinds])
        used = [dim for dim, axis in zip(kinds, self.axes, strict=True) if axis.axis.out > 1]
        cycles = group_cycles(self.layer, self.hardware, Group.SP, pieces, product_tiles(used))
        return self._table(rank, product(trips), fetched, product(held), product(pixels), pieces, cycles)

    def _table(
        self,
        rank: Ints,
        trips: Ints,
        words: tuple[Ints, Ints, Ints],
        largest: Ints,
        pixels: Ints,
        pieces: Ints,
        cycles: Ints,
    ) -> CutSpatialTable:
        channels, (fetched, slid, slide) = self.layer.in_channels, words
        return CutSpatialTable(
            rank,
            trips,
            channels * fetched,
            channels * slid,
            slide,
            largest,
            pixels,
            pieces,
            np.asarray(cycles),
        )


def _looked(table: CutSpatialTable, wanted: Wanted, closer: Wanted) -> Ints:
    """Positions that are wanted, after both looks."""
    keep = np.flatnonzero(wanted(table))
    return keep[closer(table.take(keep))] if len(keep) else keep


def _at(values: Num, pick: Ints) -> Num:
    return values if isinstance(values, int) else values[pick]
