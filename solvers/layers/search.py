"""Best-first search of the whole map space: bounds first, then exact prices of what they leave.

Spatial tiles are the long list (hundreds of thousands in 2-D, millions in 3-D), so they are bounded in blocks
(``formulation.space.blocks``), then one by one, against the best mapping of a coarse grid. What survives is
taken in ascending order of its bound, extended by output channels, bounded again, extended by input
channels, and priced exactly. When the next bound is above the incumbent, the incumbent is optimal. Nothing
is left out but what is proven dominated, worse than the incumbent, or equal to it and after it in the order
that breaks ties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from formulation.cost import Num
from formulation.extents import Ints
from formulation.space.blocks import CELLS, pairs, sift
from formulation.space.space import CLASSES, Price, Space
from formulation.space.tables import SpatialTable
from solvers.deadline import NEVER, Deadline, TimeUp
from solvers.goals import ROUNDING, Found, Goal, limit, ranked
from solvers.layers.interest import Interest

_Left = tuple[SpatialTable, Ints, Num]
"""Spatial tiles, their cycle factors, and bounds on the first quantity of their mappings."""

_FIRST = 16  # spatial tiles of the first chunk; the next are larger


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a search.

    Attributes:
        found: the best mapping, None if none fits (the cap).
        bound: of the goal's first quantity, proven for every mapping; None if none fits, or by the deadline.
        proven: whether ``found`` is optimal.
    """

    found: Found | None
    bound: Fraction | int | None
    proven: bool


class Search:
    """One space searched, possibly for several goals in turn.

    Args:
        space: the map space.
        deadline: when to stop.
    """

    def __init__(self, space: Space, deadline: Deadline = NEVER) -> None:
        self.space, self.deadline = space, deadline
        self.coarse = space.grid.coarse()

    def minimise(self, goal: Goal, known: Sequence[Found] = ()) -> Outcome:
        """The optimum of a goal over the whole space, or the best by the deadline.

        Args:
            goal: what to minimise.
            known: feasible mappings to start from, whatever goal they were found for.
        """
        within = [k for k in known if goal.cap is None or k.latency <= goal.cap]
        best = min((ranked(goal, k) for k in within), key=lambda k: (k.keys, k.choice), default=None)
        try:
            best = self._best_first(goal, self._left([self.coarse], self._interest(goal, best)), best).found
            interest = self._interest(goal, best)
            left = self._left(self._sifted(interest), interest)
        except TimeUp:
            return Outcome(best, None, False)
        return self._best_first(goal, left, best)

    def survivors(self, goal: Goal, best: Found) -> tuple[SpatialTable, Ints]:
        """All spatial tiles whose bound is within the cap and no worse than a known mapping, with cycles.

        No worse in the goal's first quantity: what is as good is kept. At least the known mapping's is.

        Raises:
            TimeUp: at the deadline.
        """
        interest = Interest(self.space, goal, best, True, self.deadline)
        tiles, cycles, _ = self._left(self._sifted(interest), interest)
        order = np.argsort(tiles.rank)
        return tiles.take(order), cycles[order]

    def _interest(self, goal: Goal, best: Found | None) -> Interest:
        return Interest(self.space, goal, best, deadline=self.deadline)

    def _best_first(self, goal: Goal, left: _Left, seed: Found | None) -> Outcome:
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
                for better in self._extend(
                    goal, table.take(np.arange(start, stop)), cycles[start:stop], best
                ):
                    best = better
            except TimeUp:
                low = _safe(bound[start])
                return Outcome(best, low if best is None else min(low, best.keys[0]), False)
            start, size = stop, min(4 * size, max(_FIRST, 8 * CELLS // len(self.space.co.tile)))
        return Outcome(best, best.keys[0] if best else None, True)

    def _left(self, slabs: Iterable[SpatialTable], interest: Interest) -> _Left:
        """Tiles that are of interest: by a cheap bound, then with exact cycles; with those and the bound."""
        grid = self.space.grid
        none = self.coarse.take(np.arange(0))
        left: list[_Left] = [(none, none.rank, interest.tiles(none, none.rank)[1])]
        for slab in slabs:
            tiles = slab.take(interest.blocks(slab))
            cycles = grid.cycles(tiles)
            alive, bound = interest.tiles(tiles, cycles)
            left.append((tiles.take(alive), cycles[alive], bound[alive]))
        tables, factors, bounds = zip(*left, strict=True)
        return SpatialTable.join(tables), np.concatenate(factors), np.concatenate(bounds)

    def _sifted(self, interest: Interest) -> Iterable[SpatialTable]:
        """The tiles of all blocks that are of interest."""
        return sift(self.space.grid, interest.blocks, closer=interest.closely)

    def _extend(
        self, goal: Goal, sp: SpatialTable, cycles: Ints, best: Found | None
    ) -> Iterator[Found | None]:
        """Extend spatial tiles by all output-channel tiles, and what the bounds leave by all others.

        Yields:
            The best mapping so far, after each piece of work.

        Raises:
            TimeUp: at the deadline.
        """
        space = self.space
        for row, co in pairs(len(sp), len(space.co.tile)):
            self.deadline.check()
            part = sp.take(row)
            fits, prices = space.bounds(part, cycles[row], co)
            for which, price in enumerate(prices):
                key, interest = goal.keys(price)[0], Interest(space, goal, best)
                at = np.flatnonzero(fits & interest.mappings(which, price, part, cycles[row], co))
                at = at[np.argsort(key[at], kind="stable")]
                for better in self._price(goal, which, sp, cycles, row[at], co[at], best):
                    best = better
                    yield best

    def _price(
        self, goal: Goal, which: int, sp: SpatialTable, cycles: Ints, row: Ints, co: Ints, best: Found | None
    ) -> Iterator[Found | None]:
        """Price all input-channel tiles beside the given pairs of one class; yields the best so far."""
        space = self.space
        most = space.most_in_channels(space.co.tile[co], sp.take(row))
        for pair, ci in pairs(len(row), len(space.ci.tile)):
            self.deadline.check()
            inside = space.ci.tile[ci] <= most[pair]
            ci, rows, cos = ci[inside], row[pair[inside]], co[pair[inside]]
            part = sp.take(rows)
            good = np.flatnonzero(space.feasible(space.tile(cos, ci, part)))
            ci, rows, cos, part = ci[good], rows[good], cos[good], part.take(good)
            price = space.price(CLASSES[which], cos, ci, part, cycles[rows])
            best = self._better(goal, which, price, cos, ci, part, best)
            yield best

    def _better(
        self, goal: Goal, which: int, price: Price, co: Ints, ci: Ints, sp: SpatialTable, best: Found | None
    ) -> Found | None:
        """The best of these mappings and the incumbent."""
        at = np.arange(len(co)) if goal.cap is None else np.flatnonzero(price.latency <= goal.cap)
        keys = goal.keys(price)
        if best is not None:
            at = at[keys[0][at] <= limit(best)]
        if not len(at):
            return best
        if goal.exact is not None:
            return self._better_exact(goal, goal.exact, which, price, co, ci, sp, best, at)
        for key in (*keys, co, ci, sp.rank):
            at = at[key[at] == key[at].min()]
        return self._found(tuple(int(k[at[0]]) for k in keys), which, price, co, ci, sp, int(at[0]), best)

    def _better_exact(
        self,
        goal: Goal,
        exact: Callable[[int, int], Fraction],
        which: int,
        price: Price,
        co: Ints,
        ci: Ints,
        sp: SpatialTable,
        best: Found | None,
        at: Ints,
    ) -> Found | None:
        """As ``_better`` where the first key is rounded: what is close to the least is compared exactly."""
        score = goal.keys(price)[0]
        at = at[score[at] <= score[at].min() * (1 + ROUNDING)]
        pairs = {(int(price.latency[i]), int(price.traffic[i])) for i in at}
        latency, bits = min(pairs, key=lambda p: (exact(*p), *p))
        at = at[(price.latency[at] == latency) & (price.traffic[at] == bits)]
        for key in (co, ci, sp.rank):
            at = at[key[at] == key[at].min()]
        key0 = (exact(latency, bits), latency, bits)
        return self._found(key0, which, price, co, ci, sp, int(at[0]), best)

    def _found(
        self,
        keys: tuple[Fraction | int, ...],
        which: int,
        price: Price,
        co: Ints,
        ci: Ints,
        sp: SpatialTable,
        i: int,
        best: Found | None,
    ) -> Found:
        choice = which, int(co[i]), int(ci[i]), int(sp.rank[i])
        if best is not None and (*best.keys, *best.choice) <= (*keys, *choice):
            return best
        mapping = self.space.mapping(CLASSES[which], *choice[1:], int(sp.slide[i]))
        return Found(keys, choice, mapping, int(price.latency[i]), int(price.traffic[i]))


def _beaten(bound: Num, best: Found | None) -> bool:
    return best is not None and bool(bound > limit(best))


def _safe(bound: Num) -> Fraction | int:
    """A bound that may be rounded, made exact and safe."""
    return Fraction(float(bound) * (1 - ROUNDING)) if isinstance(bound, float) else int(bound)
