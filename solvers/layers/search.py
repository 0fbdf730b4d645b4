"""Best-first search of the whole map space: bounds first, then exact prices of what they leave.

Spatial tiles are the long list (hundreds of thousands in 2-D, millions in 3-D), so they are bounded in blocks
(``formulation.space.blocks``), then one by one, against the best mapping of a coarse grid. What survives is
taken in ascending order of its bound, extended by output channels, bounded again, extended by input
channels, and priced exactly. When the next bound is above the incumbent, the incumbent is optimal. Nothing
is left out but what is proven dominated, worse than the incumbent, or equal to it and after it in the order
that breaks ties.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from formulation.cost import Num
from formulation.extents import Ints
from formulation.mapping import Mapping
from formulation.price import Price
from formulation.space.blocks import CELLS, pairs
from formulation.space.space import Space
from formulation.space.tables import SpatialTable
from solvers.deadline import NEVER, Deadline, TimeUp
from solvers.goals import Goal, LayerFound, Outcome, better, limit, ranked, safe
from solvers.layers.interest import Interest

_Left = tuple[SpatialTable, Ints, Num]
"""Spatial tiles, their cycle factors, and bounds on the first quantity of their mappings."""

_FIRST = 16  # spatial tiles of the first chunk; the next are larger


@dataclass(frozen=True, slots=True, eq=False)
class _Priced:
    """Mappings of one loop order, with their prices."""

    which: int
    price: Price
    co: Ints
    ci: Ints
    sp: SpatialTable


class Search:
    """One space searched, possibly for several goals in turn.

    Args:
        space: the map space.
        deadline: when to stop.
    """

    def __init__(self, space: Space, deadline: Deadline = NEVER) -> None:
        self.space, self.deadline = space, deadline

    def minimise(self, goal: Goal, known: Sequence[LayerFound] = ()) -> Outcome[Mapping]:
        """The optimum of a goal over the whole space, or the best by the deadline.

        Args:
            goal: what to minimise.
            known: feasible mappings to start from, whatever goal they were found for.
        """
        within = [ranked(goal, k) for k in known if goal.allows(k.price)]
        best = min(within, key=lambda k: k.order, default=None)
        *rough, whole = self.space.stages()
        try:
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
        table, cycles, bound = left
        best, order = seed, np.lexsort((table.rank, bound))
        table, cycles, bound = table.take(order), cycles[order], bound[order]
        start, size = 0, _FIRST
        while start < len(bound) and not _beaten(bound[start], best):
            stop = min(len(bound), start + size)
            if best is not None:
                stop = start + int(np.count_nonzero(bound[start:stop] <= limit(best)))
            try:
                for found in self._extend(goal, table.take(np.arange(start, stop)), cycles[start:stop], best):
                    best = found
            except TimeUp:
                low = safe(bound[start])
                return Outcome(best, low if best is None else min(low, best.keys[0]), False)
            start, size = stop, min(4 * size, max(_FIRST, 8 * CELLS // len(self.space.co.tile)))
        return Outcome(best, best.keys[0] if best else None, True)

    def _left(self, slabs: Iterable[SpatialTable], interest: Interest) -> _Left:
        """Tiles that are of interest: by a cheap bound, then with exact cycles; with those and the bound."""
        none = self.space.no_tiles()
        left: list[_Left] = [(none, none.rank, interest.tiles(none, none.rank)[1])]
        for slab in slabs:
            tiles = slab.take(interest.blocks(slab))
            cycles = self.space.cycles(tiles)
            alive, bound = interest.tiles(tiles, cycles)
            left.append((tiles.take(alive), cycles[alive], bound[alive]))
        tables, factors, bounds = zip(*left, strict=True)
        return SpatialTable.join(tables), np.concatenate(factors), np.concatenate(bounds)

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
            part, co = sp.take(row), channels[at]
            fits, prices = space.bounds(part, cycles[row], co)
            for which, price in zip(space.orders, prices, strict=True):
                key, interest = goal.first(price), Interest(space, goal, best)
                at = np.flatnonzero(fits & interest.mappings(which, price, part, cycles[row], co))
                at = at[np.argsort(key[at], kind="stable")]
                for found in self._price(goal, which, sp, cycles, row[at], co[at], best):
                    best = found
                    yield best

    def _price(
        self,
        goal: Goal,
        which: int,
        sp: SpatialTable,
        cycles: Ints,
        row: Ints,
        co: Ints,
        best: LayerFound | None,
    ) -> Iterator[LayerFound | None]:
        """Price all input-channel tiles beside the given pairs of one class; yields the best so far."""
        space = self.space
        most = space.most_beside(co, sp.take(row))
        for pair, ci in pairs(len(row), len(space.ci.tile)):
            self.deadline.check()
            inside = space.ci.tile[ci] <= most[pair]
            ci, rows, cos = ci[inside], row[pair[inside]], co[pair[inside]]
            part = sp.take(rows)
            good = np.flatnonzero(space.feasible(space.tile(cos, ci, part)))
            ci, rows, cos, part = ci[good], rows[good], cos[good], part.take(good)
            price = space.price(space.orders[which], cos, ci, part, cycles[rows])
            best = self._better(goal, _Priced(which, price, cos, ci, part), best)
            yield best

    def _better(self, goal: Goal, priced: _Priced, best: LayerFound | None) -> LayerFound | None:
        """The best of these mappings and the incumbent."""
        co, ci, sp = priced.co, priced.ci, priced.sp
        i = goal.least(priced.price, (co, ci, sp.rank), best)
        if i is None:
            return best
        choice = priced.which, int(co[i]), int(ci[i]), int(sp.rank[i])
        return better(self.space, goal, choice, priced.price.one(i), int(sp.slide[i]), best)


def _beaten(bound: Num, best: LayerFound | None) -> bool:
    return best is not None and bool(bound > limit(best))
