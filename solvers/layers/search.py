"""Best-first search of the whole map space: bounds first, then exact prices of what they leave.

Of a small layer there is a short list of spatial tiles (``formulation.space.shortlist``), bounded once for
all goals. Of others they are the long list (hundreds of thousands in 2-D, millions in 3-D), so they are
bounded in blocks (``formulation.space.blocks``), then one by one, against the best mapping of a coarse grid.
What survives is taken in ascending order of its bound, extended by output channels, bounded again, extended
by input channels, and priced exactly. When the next bound is above the incumbent, the incumbent is optimal.
Nothing is left out but what is proven dominated, worse than the incumbent, or equal to it and after it in the
order that breaks ties.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np

from formulation.cost import Num
from formulation.extents import Ints
from formulation.mapping import Group, Mapping
from formulation.space.blocks import CELLS, pairs
from formulation.space.shortlist import short_list
from formulation.space.space import Space
from formulation.space.tables import SpatialTable
from solvers.backends.deadline import NEVER, Deadline, TimeUp
from solvers.goals import Goal, LayerFound, Outcome, better, limit, ranked, safe
from solvers.layers.interest import Interest, Mask, TileBounds

_Left = tuple[SpatialTable, Ints, tuple[Num, ...]]
"""Spatial tiles, their cycle factors, and bounds on the measures of their mappings."""

_SHORT = 1 << 15  # tiles of a layer up to which its short list is made
_FIRST = 16  # spatial tiles of the first chunk; the next are larger
_FEW = 1 << 11  # mappings priced before the bounds are looked at again


class Search:
    """One space searched, possibly for several goals in turn.

    Args:
        space: the map space.
        deadline: when to stop.
    """

    def __init__(self, space: Space, deadline: Deadline = NEVER) -> None:
        self.space, self.deadline = space, deadline

    @cached_property
    def _short(self) -> TileBounds | None:
        """The tiles that are worth looking at, if there are few in all, bounded once for all goals."""
        space, problem = self.space, self.space.problem
        if space.cut is Group.SP or problem.hardware.burst_bytes or len(space.grid) > _SHORT:
            return None
        return TileBounds.of(space, *short_list(problem.layer, problem.hardware.for_tables))

    def minimise(self, goal: Goal, known: Sequence[LayerFound] = ()) -> Outcome[Mapping]:
        """The optimum of a goal over the whole space, or the best by the deadline.

        Args:
            goal: what to minimise.
            known: feasible mappings to start from, whatever goal they were found for.
        """
        within = [ranked(goal, k) for k in known if goal.allows(k.price)]
        best = min(within, key=lambda k: k.order, default=None)
        try:
            if self._short is not None:
                left = _taken(self._short, *self._interest(goal, best).among(self._short))
                return self._best_first(goal, left, best)
            *rough, whole = self.space.stages()
            for stage in rough:
                interest = self._interest(goal, best)
                left = self._left(stage(interest.blocks, interest.closely), interest)
                best = self._best_first(goal, left, best).found
            interest = self._interest(goal, best)
            left = self._left(whole(interest.blocks, interest.closely), interest)
        except TimeUp:
            return Outcome(best, None, False)
        return self._best_first(goal, left, best)

    def rough(self, goal: Goal, best: LayerFound) -> LayerFound:
        """A better mapping, if the stages before the whole search find one; raises TimeUp at the deadline."""
        for stage in self.space.stages()[:-1]:
            interest = self._interest(goal, best)
            left = self._left(stage(interest.blocks, interest.closely), interest)
            best = self._best_first(goal, left, best).found or best
        return best

    def survivors(self, goal: Goal, best: LayerFound, alike: bool = True) -> tuple[SpatialTable, Ints]:
        """All spatial tiles whose bound is within the cap and no worse than a known mapping, with cycles.

        No worse in the goal's first quantity: what is as good is kept. At least the known mapping's is.
        If ``alike`` is false, only what may come before the known mapping.

        Raises:
            TimeUp: at the deadline.
        """
        interest = Interest(self.space, goal, best, alike, self.deadline)
        *_, whole = self.space.stages()
        tiles, cycles, _ = self._left(whole(interest.blocks, interest.closely), interest)
        order = np.argsort(tiles.rank)
        return tiles.take(order), cycles[order]

    def _interest(self, goal: Goal, best: LayerFound | None) -> Interest:
        return Interest(self.space, goal, best, deadline=self.deadline)

    def _best_first(self, goal: Goal, left: _Left, seed: LayerFound | None) -> Outcome[Mapping]:
        """The best mapping of some tiles, which are taken in ascending order of their bounds."""
        table, cycles, keys = left
        if not len(table):
            return Outcome(seed, seed.keys[0] if seed else None, True)
        best, order = seed, np.lexsort((table.rank, *keys[::-1]))
        table, cycles, bound = table.take(order), cycles[order], keys[0][order]
        start, size = 0, _FIRST
        while start < len(bound) and not _beaten(bound[start], best):
            stop = min(len(bound), start + size)
            if best is not None:
                stop = start + int(np.count_nonzero(bound[start:stop] <= limit(best)))
            try:
                for found in self._extend(goal, table.take(slice(start, stop)), cycles[start:stop], best):
                    best = found
            except TimeUp:
                low = safe(bound[start])
                return Outcome(best, low if best is None else min(low, best.keys[0]), False)
            start, size = stop, min(4 * size, max(_FIRST, 8 * CELLS // len(self.space.co.tile)))
        return Outcome(best, best.keys[0] if best else None, True)

    def _left(self, slabs: Iterable[SpatialTable], interest: Interest) -> _Left:
        """Tiles that are of interest: by a cheap bound, then with exact cycles; with those and the bounds."""
        left: list[_Left] = []
        for slab in slabs:
            tiles = slab.take(interest.blocks(slab))
            if len(tiles):
                bounded = TileBounds.of(self.space, tiles, self.space.cycles(tiles))
                left.append(_taken(bounded, *interest.among(bounded)))
        if not left:
            none = self.space.no_tiles()
            return none, none.rank, tuple(none.rank for _ in interest.goal.measures)
        tables, factors, bounds = zip(*left, strict=True)
        keys = tuple(np.concatenate(each) for each in zip(*bounds, strict=True))
        return SpatialTable.join(tables), np.concatenate(factors), keys

    def _extend(
        self, goal: Goal, sp: SpatialTable, cycles: Ints, best: LayerFound | None
    ) -> Iterator[LayerFound | None]:
        """Extend spatial tiles by all output-channel tiles, and what the bounds leave by all others.

        Yields:
            The best mapping so far, after each piece of work.

        Raises:
            TimeUp: at the deadline.
        """
        space = self.space
        channels = Interest(space, goal, best).out_channels(sp, cycles)
        for row, at in pairs(len(sp), len(channels)):
            self.deadline.check()
            bounded = TileBounds.of(space, sp.take(row), cycles[row], channels[at])
            keys = {which: goal.keys(price) for which, price in bounded.prices.items()}
            for which in _promising(bounded.fits, {which: each[0] for which, each in keys.items()}):
                may = bounded.fits & Interest(space, goal, best).mappings(which, bounded)
                chosen = np.flatnonzero(may)
                chosen = chosen[np.lexsort(tuple(key[chosen] for key in keys[which][::-1]))]
                for found in self._price(goal, which, bounded, chosen, best):
                    best = found
                    yield best

    def _price(
        self, goal: Goal, which: int, bounded: TileBounds, at: Ints, best: LayerFound | None
    ) -> Iterator[LayerFound | None]:
        """Price all input-channel tiles beside some pairs, the best first; yields the best mapping so far.

        Args:
            goal: the order of mappings.
            which: position of the loop order.
            bounded: pairs of a spatial and an output-channel tile.
            at: positions of those to be looked at.
            best: so far.
        """
        price, most = bounded.prices[which], _FEW
        while len(at):
            self.deadline.check()
            some, at = np.split(at, [max(1, most // len(self.space.ci.tile))])
            best, most = self._priced(goal, which, bounded, some, best), CELLS
            yield best
            if len(at):
                at = at[goal.wanted(price.take(at), best)]

    def _priced(
        self, goal: Goal, which: int, bounded: TileBounds, pair: Ints, best: LayerFound | None
    ) -> LayerFound | None:
        """The best of the mappings with all input-channel tiles beside these pairs, and the incumbent."""
        space, out_channels = self.space, bounded.co
        assert out_channels is not None
        most = space.most_beside(out_channels[pair], bounded.sp.take(pair))
        each = np.searchsorted(space.ci.tile, most, side="right")
        ends = np.cumsum(each)
        ci, pair = np.arange(ends[-1]) - np.repeat(ends - each, each), np.repeat(pair, each)
        co, sp = out_channels[pair], bounded.sp.take(pair)
        fits = space.feasible(space.tile(co, ci, sp))
        price = space.price(space.orders[which], co, ci, sp, bounded.cycles[pair])
        i = goal.least(price, (co, ci, sp.rank), best, fits)
        if i is None:
            return best
        choice = which, int(co[i]), int(ci[i]), int(sp.rank[i])
        return better(space, goal, choice, price.one(i), int(sp.slide[i]), best)


def _taken(tiles: TileBounds, alive: Mask, keys: tuple[Num, ...]) -> _Left:
    """The tiles that are alive."""
    return tiles.sp.take(alive), tiles.cycles[alive], tuple(key[alive] for key in keys)


def _promising(fits: Mask, bounds: dict[int, Num]) -> list[int]:
    """The loop orders in which anything fits, that with the least bound first."""
    if not fits.any():
        return []
    return sorted(bounds, key=lambda which: bounds[which][fits].min())


def _beaten(bound: Num, best: LayerFound | None) -> bool:
    return best is not None and bool(bound > limit(best))
