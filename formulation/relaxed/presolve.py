"""What is left of a class of mappings: the tiles that may be within the caps and as good as a known mapping.

A class is a product of three lists: output-channel tiles, input-channel tiles, tiles over the batch and the
axes. A tile stays unless it is too much even beside the *least* that the other lists still hold, column by
column (trips, words, largest tile, array cycles): it does not fit the buffer, or the class's own formula puts
its latency above the cap or its objective above that of the known mapping. Each formula is non-decreasing in
every column, so no mapping of the class that is within the caps and no worse than the known one has such a
tile. What is left out of one list raises the least of the others: the lists are gone through until
nothing changes.

What the array's rounding up leaves within a tight cap is often a handful of mappings. A few may be priced one
by one, which is the exact bound of the class; otherwise the ranges that they span restrict its relaxation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from formulation.extents import Ints
from formulation.mapping import Group
from formulation.relaxed.classes import Aim, Variant
from formulation.relaxed.lists import NOTHING, Channels, Rest
from formulation.relaxed.prices import ClassPrices, limit
from formulation.relaxed.runs import channel_runs, exact_runs, spatial_runs
from formulation.space.blocks import pairs
from formulation.space.space import Space
from formulation.space.tables import SpatialTable

Mask = NDArray[np.bool_]

_TILES = 1 << 18  # most spatial tiles of a class that are kept in a list
_PRICED = 1 << 16  # most mappings that are priced one by one


class Presolve(ClassPrices):
    """The classes of one problem under one objective, with what is left of each.

    Args:
        space: the problem's map space.
        aim: the objective and its caps.
        check: called between pieces of work; what it raises ends the presolve.

    Attributes:
        lists: of each class that is known; none where they are too long.
    """

    def __init__(self, space: Space, aim: Aim, check: Callable[[], object] = bool) -> None:
        super().__init__(space, aim)
        self.check = check
        self.lists: dict[Variant, Rest] = {}

    def start(self, variants: Iterable[Variant], incumbent: float) -> tuple[Variant, ...]:
        """List what is left of whole classes.

        Args:
            variants: the classes.
            incumbent: objective of a known mapping, in the models' units.

        Returns:
            The classes of which nothing is left, in their order.
        """
        variants = tuple(variants)
        for some in self._together(variants):
            self._list(some, incumbent)
        return tuple(v for v in variants if v in self.lists and not len(self.lists[v]))

    def _together(self, variants: Sequence[Variant]) -> Iterable[Sequence[Variant]]:
        """The classes that are listed together, as they have the same spatial tiles."""
        return [variants] if variants else []

    def _space(self, variant: Variant) -> Space:
        """The map space of a class."""
        return self.space

    def _list(self, variants: Sequence[Variant], incumbent: float) -> None:
        """List what is left of classes that have the same spatial tiles."""
        channels = {v: self._channels(v) for v in variants}
        pieces: dict[Variant, list[tuple[SpatialTable, Ints]]] = {v: [] for v in channels}
        space = self._space(variants[0])

        def wanted(blocks: SpatialTable) -> Mask:
            self.check()
            cycles = space.least_cycles(blocks)
            masks = [
                self._wanted(v, Rest(*channels[v], blocks, cycles), incumbent, block=True) for v in pieces
            ]
            return np.asarray(np.logical_or.reduce(masks))

        def closely(blocks: SpatialTable) -> Mask:
            return self._beside_channels({v: channels[v] for v in pieces}, blocks, incumbent)

        for tiles in space.stages()[-1](wanted, closely):
            self.check()
            cycles = space.cycles(tiles)
            for variant, kept in list(pieces.items()):
                mask = self._wanted(variant, Rest(*channels[variant], tiles, cycles), incumbent)
                kept.append((tiles.take(mask), cycles[mask]))
                if sum(len(c) for _, c in kept) > _TILES:
                    del pieces[variant]
            if not pieces:
                break
        for variant, kept in pieces.items():
            rest = Rest(*channels[variant], *_joined(kept)) if kept else NOTHING
            self.lists[variant] = self._narrowed(variant, rest, incumbent)

    def _beside_channels(
        self, channels: Mapping[Variant, tuple[Ints, Ints]], blocks: SpatialTable, incumbent: float
    ) -> Mask:
        """Which blocks stay beside some pair of channel tiles of some class."""
        kept = np.zeros(len(blocks), dtype=np.bool_)
        for variant, (co, ci) in channels.items():
            cycles = self._space(variant).least_cycles(blocks)
            for row, at in pairs(len(blocks), len(co)):
                self.check()
                row, at = row[~kept[row]], at[~kept[row]]
                kept[self._rows_beside(variant, co[at], ci, row, blocks, cycles, incumbent)] = True
        return kept

    def _rows_beside(
        self,
        variant: Variant,
        out: Ints,
        ci: Ints,
        row: Ints,
        blocks: SpatialTable,
        cycles: Ints,
        incumbent: float,
    ) -> Ints:
        """The blocks that stay beside a given output-channel tile each, and some input-channel tile."""
        part, co = blocks.take(row), self._of(variant, Group.CO, out)
        least = self._within(variant, Group.CI, self._of(variant, Group.CI, ci).least, co, part)
        good = self._price(variant, co, least, part, cycles[row]) <= limit(incumbent)
        row, out = row[good], out[good]
        stay = np.zeros(len(row), dtype=np.bool_)
        for pair, at in pairs(len(row), len(ci)):
            self.check()
            co, inp = self._of(variant, Group.CO, out[pair]), self._of(variant, Group.CI, ci[at])
            price = self._price(variant, co, inp, blocks.take(row[pair]), cycles[row[pair]])
            stay[pair[price <= limit(incumbent)]] = True
        return np.asarray(row[stay])

    def _channels(self, variant: Variant) -> tuple[Ints, Ints]:
        space = self._space(variant)
        ci = np.flatnonzero((space.ci.trips > 1) == variant.structure.partial_sums)
        return np.arange(len(space.co.tile)), ci

    def _of(self, variant: Variant, group: Group, positions: Ints) -> Channels:
        """Channel tiles of a class."""
        space = self._space(variant)
        return Channels.listed(space.co if group is Group.CO else space.ci, positions)

    def _within(
        self, variant: Variant, group: Group, least: Channels, beside: Channels, sp: SpatialTable
    ) -> Channels:
        """The least columns of channel tiles that fit beside those of the other group."""
        space, layer = self._space(variant), self.space.problem.layer
        if group is Group.CO:
            return least.within(space.co, layer.out_channels, self._most(variant, group, beside, sp))
        return least.within(space.ci, layer.in_channels, self._most(variant, group, beside, sp))

    def _most(self, variant: Variant, group: Group, beside: Channels, sp: SpatialTable) -> Ints:
        """Most channels of a tile beside those of the other group."""
        if group is Group.CO:
            return np.asarray(self.space.most_out_channels(sp, beside.tile))
        return np.asarray(self.space.most_in_channels(beside.tile, sp))

    def reduce(self, variant: Variant, incumbent: float) -> tuple[float | None, Variant]:
        """Shorten the lists of a class.

        Returns:
            The least objective of what is left, infinite if nothing is; None if there is too much to price.
            The class cut down to what is left, with the same lists.
        """
        if variant not in self.lists:
            return None, variant
        rest = self.lists[variant] = self._narrowed(variant, self.lists[variant], incumbent)
        if not len(rest):
            return inf, variant
        if self.is_short(variant):
            return self._least(variant, rest), variant
        cut = self._ranges(variant, rest)
        self.lists[cut] = rest
        return None, cut

    def is_short(self, variant: Variant) -> bool:
        """Whether a class is listed, and its mappings are few enough to be priced one by one."""
        return variant in self.lists and len(self.lists[variant]) <= _PRICED

    def cut(self, whole: Variant, part: Variant) -> None:
        """List a part of a class."""
        if whole in self.lists:
            self.lists[part] = self._part(part, self.lists[whole])

    def _narrowed(self, variant: Variant, rest: Rest, incumbent: float) -> Rest:
        """The tiles that stay, all lists considered."""
        before = -1
        while len(rest) and len(rest) != before:
            before = len(rest)
            mask = self._wanted(variant, rest, incumbent)
            rest = replace(rest, sp=rest.sp.take(mask), cycles=rest.cycles[mask])
            if len(rest):
                pairs = self._wanted_pairs(variant, rest, incumbent)
                rest = replace(rest, co=rest.co[pairs.any(axis=1)], ci=rest.ci[pairs.any(axis=0)])
        return rest

    def _part(self, variant: Variant, rest: Rest) -> Rest:
        """The tiles within a class's ranges."""
        masks = [np.ones(len(each), dtype=np.bool_) for each in (rest.co, rest.ci, rest.sp)]
        for (which, tile), (smallest, greatest) in zip(
            self._tiles(variant, rest), variant.tiles, strict=True
        ):
            masks[which] &= (smallest <= tile) & (tile <= greatest)
        co, ci, sp = masks
        return Rest(rest.co[co], rest.ci[ci], rest.sp.take(sp), rest.cycles[sp])

    def _ranges(self, variant: Variant, rest: Rest) -> Variant:
        """The class cut down to the ranges that its lists span, none of which is empty."""
        tiles = [tile for _, tile in self._tiles(variant, rest)]
        return replace(variant, tiles=tuple((int(t.min()), int(t.max())) for t in tiles))

    def _tiles(self, variant: Variant, rest: Rest) -> list[tuple[int, Ints]]:
        """Sizes of the tiles in each list, by dimension: which list it is, and they."""
        channels = [(0, self.space.co.tile[rest.co]), (1, self.space.ci.tile[rest.ci])]
        return channels + [(2, tile) for tile in self.space.grid.tiles(rest.sp.rank)]

    def _least(self, variant: Variant, rest: Rest) -> float:
        """The least objective of all mappings of the lists."""
        co = self._of(variant, Group.CO, rest.co[:, None, None])
        ci = self._of(variant, Group.CI, rest.ci[:, None])
        once = exact_runs(self.space, co.tile, ci.tile, rest.sp)
        return float(self._price(variant, co, ci, rest.sp, rest.cycles, once).min())

    def _wanted(self, variant: Variant, rest: Rest, incumbent: float, *, block: bool = False) -> Mask:
        """Which spatial tiles stay beside the least channel tiles, and the least trips that then fit.

        Blocks of tiles are bounded by their words, tiles by their bursts.
        """
        once = None if block else spatial_runs(self.space, rest.sp)
        least_co = self._of(variant, Group.CO, rest.co).least
        least_ci = self._of(variant, Group.CI, rest.ci).least
        co = self._within(variant, Group.CO, least_co, least_ci, rest.sp)
        ci = self._within(variant, Group.CI, least_ci, least_co, rest.sp)
        return self._price(variant, co, ci, rest.sp, rest.cycles, once) <= limit(incumbent)

    def _wanted_pairs(self, variant: Variant, rest: Rest, incumbent: float) -> Mask:
        """Which pairs of channel tiles stay beside the least of the spatial columns."""
        co, ci = self._of(variant, Group.CO, rest.co[:, None]), self._of(variant, Group.CI, rest.ci)
        columns = (getattr(rest.sp, name) for name in rest.sp.__match_args__)
        least = type(rest.sp)(*(np.array(column.min()) for column in columns))
        once = channel_runs(self.space, co.tile, ci.tile, rest.sp)
        return self._price(variant, co, ci, least, rest.cycles.min(), once) <= limit(incumbent)


def _joined(pieces: Sequence[tuple[SpatialTable, Ints]]) -> tuple[SpatialTable, Ints]:
    return SpatialTable.join([tiles for tiles, _ in pieces]), np.concatenate([c for _, c in pieces])
