"""Best-first search of the whole map space: bounds first, then exact prices of what they leave.

Spatial tiles are the long list (hundreds of thousands in 2-D, millions in 3-D), so they are bounded in blocks
(``formulation.space.blocks``), then one by one, against the best mapping of a coarse grid. What survives is
taken in ascending order of its bound, extended by output channels, bounded again, extended by input
channels, and priced exactly. When the next bound is above the incumbent, the incumbent is optimal. Nothing
is left out but what is proven dominated, worse than the incumbent, or equal to it and after it in the order
that breaks ties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial, reduce
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from formulation.cost import Num
from formulation.extents import Ints
from formulation.space.blocks import sift
from formulation.space.space import CLASSES, Price, Space
from formulation.space.tables import SpatialTable
from solvers.goals import ROUNDING, Found, Goal, limit, ranked

_Left = tuple[SpatialTable, Ints, Num]
"""Spatial tiles, their cycle factors, and bounds on the first quantity of their mappings."""

_Seen = tuple[NDArray[np.bool_], Num]
"""Which of some tiles, or blocks, are of interest, and bounds on the first quantity of their mappings."""

_Look = Callable[[SpatialTable, Ints], _Seen]
"""What is seen of tiles with cycle factors, or of blocks with the least of their tiles."""

_CELLS = 1 << 18  # mappings priced at once
_FIRST = 16  # spatial tiles of the first chunk; the next are larger


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a search.

    Attributes:
        found: the best mapping, None if none fits (the cap).
        bound: of the goal's first quantity, proven for every mapping; None if none fits.
        proven: whether ``found`` is optimal.
    """

    found: Found | None
    bound: Fraction | int | None
    proven: bool


class Search:
    """One space searched, possibly for several goals in turn.

    Args:
        space: the map space.
        deadline: when to stop, by ``time.monotonic``; None for never.
    """

    def __init__(self, space: Space, deadline: float | None = None) -> None:
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
        seed = self._best_first(goal, self._left([self.coarse], partial(self._open, goal, best)), best).found
        look = partial(self._open, goal, seed)
        return self._best_first(goal, self._left(self._sifted(look), look), seed)

    def survivors(self, goal: Goal, best: Found) -> tuple[SpatialTable, Ints]:
        """All spatial tiles whose bound is within the cap and no worse than a known mapping, with cycles.

        No worse in the goal's first quantity: what is as good is kept. At least the known mapping's is.
        """
        look = partial(self._promising, goal, best)
        tiles, cycles, _ = self._left(self._sifted(look), look)
        order = np.argsort(tiles.rank)
        return tiles.take(order), cycles[order]

    def _best_first(self, goal: Goal, left: _Left, seed: Found | None) -> Outcome:
        """The best mapping of some tiles, which are taken in ascending order of their bounds."""
        table, cycles, bound = left
        best, order = seed, np.lexsort((table.rank, bound))
        table, cycles, bound = table.take(order), cycles[order], bound[order]
        start, size = 0, _FIRST
        while start < len(bound) and not _beaten(bound[start], best):
            if self.deadline is not None and best is not None and monotonic() > self.deadline:
                return Outcome(best, min(_safe(bound[start]), best.keys[0]), False)
            stop = min(len(bound), start + size)
            if best is not None:
                stop = start + int(np.count_nonzero(bound[start:stop] <= limit(best)))
            best = self._extend(goal, table.take(np.arange(start, stop)), cycles[start:stop], best)
            start, size = stop, min(4 * size, max(_FIRST, 8 * _CELLS // len(self.space.co.tile)))
        return Outcome(best, best.keys[0] if best else None, True)

    def _sifted(self, look: _Look) -> Iterable[SpatialTable]:
        """The tiles of all blocks that a look leaves."""
        return sift(self.space.grid, lambda blocks: look(blocks, self.space.grid.least_cycles(blocks))[0])

    def _left(self, slabs: Iterable[SpatialTable], look: _Look) -> _Left:
        """Tiles that a look leaves: by a cheap bound, then with exact cycles; with those and the bound."""
        grid = self.space.grid
        none = self.coarse.take(np.arange(0))
        left: list[_Left] = [(none, none.rank, look(none, none.rank)[1])]
        for slab in slabs:
            tiles = slab.take(look(slab, grid.least_cycles(slab))[0])
            cycles = grid.cycles(tiles)
            alive, bound = look(tiles, cycles)
            left.append((tiles.take(alive), cycles[alive], bound[alive]))
        tables, factors, bounds = zip(*left, strict=True)
        return SpatialTable.join(tables), np.concatenate(factors), np.concatenate(bounds)

    def _promising(self, goal: Goal, best: Found | None, sp: SpatialTable, cycles: Ints) -> _Seen:
        """Where tiles may be as good as the incumbent in the first quantity, and their bounds on it."""
        fits, prices = self.space.bounds(sp, cycles)
        alive = [goal.promising(price, best) for price in prices]
        return fits & np.logical_or.reduce(alive), reduce(np.minimum, (goal.keys(p)[0] for p in prices))

    def _open(self, goal: Goal, best: Found | None, sp: SpatialTable, cycles: Ints) -> _Seen:
        """Where tiles may come before the incumbent, and their bounds on the first quantity."""
        fits, prices = self.space.bounds(sp, cycles)
        alive = [self._first(goal, best, which, price, sp, cycles) for which, price in enumerate(prices)]
        return fits & np.logical_or.reduce(alive), reduce(np.minimum, (goal.keys(p)[0] for p in prices))

    def _first(
        self,
        goal: Goal,
        best: Found | None,
        which: int,
        bound: Price,
        sp: SpatialTable,
        cycles: Ints,
        co: Ints | None = None,
    ) -> NDArray[np.bool_]:
        """Where mappings of one loop order may come before the incumbent, which ties included.

        Where a bound is just the incumbent's price, only its equals can come before it, if they do by what
        breaks ties: in the same loop order by a smaller channel tile, whose bound may be worse, or by
        the same channel tiles beside an earlier spatial tile.
        """
        may: NDArray[np.bool_] = goal.wanted(bound, best)
        if best is None or which < best.choice[0]:
            return may
        tied = np.flatnonzero(may & (bound.latency == best.latency) & (bound.traffic == best.traffic))
        if which > best.choice[0]:
            may[tied] = False
        elif len(tied):
            given_co = None if co is None else co[tied]
            may[tied] = self._sooner(goal, best, sp.take(tied), cycles[tied], given_co)
        return may

    def _sooner(
        self, goal: Goal, best: Found, sp: SpatialTable, cycles: Ints, co: Ints | None
    ) -> NDArray[np.bool_]:
        """Where mappings in the incumbent's loop order may be as good and have smaller tiles."""
        space = self.space
        which, best_co, best_ci, rank = best.choice

        def as_good(most_co: int, most_ci: int) -> Num:
            fits, prices = space.bounds(sp, cycles, co, (most_co, most_ci))
            return fits & goal.wanted(prices[which], best)

        same = space.feasible(space.tile(best_co, best_ci, sp)) & (sp.rank < rank)
        same &= goal.wanted(space.price(CLASSES[which], best_co, best_ci, sp, cycles), best)
        co_tile, ci_tile = (np.r_[0, table.tile] for table in (space.co, space.ci))
        sooner = same | as_good(co_tile[-1], ci_tile[best_ci])
        if co is None:
            return np.asarray(sooner | as_good(co_tile[best_co], ci_tile[-1]))
        return np.asarray((co < best_co) | ((co == best_co) & sooner))

    def _extend(self, goal: Goal, sp: SpatialTable, cycles: Ints, best: Found | None) -> Found | None:
        """Extend spatial tiles by all output-channel tiles, and what the bounds leave by all others."""
        space, width = self.space, len(self.space.co.tile)
        step = max(1, _CELLS // width)
        for start in range(0, len(sp), step):
            rows = np.arange(start, min(len(sp), start + step))
            row, co = np.repeat(rows, width), np.tile(np.arange(width), len(rows))
            part = sp.take(row)
            fits, prices = space.bounds(part, cycles[row], co)
            for which, price in enumerate(prices):
                key = goal.keys(price)[0]
                at = np.flatnonzero(fits & self._first(goal, best, which, price, part, cycles[row], co))
                at = at[np.argsort(key[at], kind="stable")]
                best = self._price(goal, which, sp, cycles, row[at], co[at], best)
        return best

    def _price(
        self, goal: Goal, which: int, sp: SpatialTable, cycles: Ints, row: Ints, co: Ints, best: Found | None
    ) -> Found | None:
        """Price all input-channel tiles beside the given pairs of one class, and keep the best."""
        space, width = self.space, len(self.space.ci.tile)
        step = max(1, _CELLS // width)
        for start in range(0, len(row), step):
            pairs = slice(start, start + step)
            ci = np.tile(np.arange(width), len(row[pairs]))
            rows, cos = np.repeat(row[pairs], width), np.repeat(co[pairs], width)
            inside = space.ci.tile[ci] <= np.repeat(
                space.most_in_channels(space.co.tile[co[pairs]], sp.take(row[pairs])), width
            )
            ci, rows, cos = ci[inside], rows[inside], cos[inside]
            part = sp.take(rows)
            good = np.flatnonzero(space.feasible(space.tile(cos, ci, part)))
            ci, rows, cos, part = ci[good], rows[good], cos[good], part.take(good)
            price = space.price(CLASSES[which], cos, ci, part, cycles[rows])
            best = self._better(goal, which, price, cos, ci, part, best)
        return best

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
