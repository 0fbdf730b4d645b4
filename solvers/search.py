"""Best-first search of the whole map space: bounds first, then exact prices of what they leave.

Spatial tiles are the long list (hundreds of thousands in 2-D, millions in 3-D), so they are bounded as
a whole, in slabs, against the best mapping of a coarse grid. What survives is taken in ascending order of
its bound, extended by output channels, bounded again, extended by input channels, and priced exactly.
When the next bound is above the incumbent, the incumbent is optimal. Nothing else is pruned but what
``formulation.tables`` proves dominated, so ties are broken as documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from formulation.blocks import sift
from formulation.cost import Cost, Num
from formulation.extents import Ints
from formulation.mapping import Mapping
from formulation.problem import Problem
from formulation.space import CLASSES, Price, Space
from formulation.tables import SpatialTable

_CELLS = 1 << 18  # mappings priced at once
_FIRST = 16  # spatial tiles of the first chunk; the next are larger
_ROUNDING = 1e-12  # relative error that a floating-point score may carry


@dataclass(frozen=True, slots=True)
class Goal:
    """A lexicographic order of prices, and a cap.

    Attributes:
        keys: from a price to the quantities to minimise, the most important first. The first may be a
            floating-point score; ``exact`` then settles what it leaves undecided.
        cap: mappings of higher latency are not wanted [ticks]; None for no cap.
        exact: the first quantity exactly, from latency and traffic; None if it is an integer already.
    """

    keys: Callable[[Price], tuple[Num, ...]]
    cap: int | None = None
    exact: Callable[[int, int], Fraction] | None = None


LATENCY_FIRST = Goal(lambda price: (price.latency, price.traffic))


def traffic_first(cap: int | None = None) -> Goal:
    """Least traffic, then least latency, up to a latency cap [ticks]."""
    return Goal(lambda price: (price.traffic, price.latency), cap)


def weighted(problem: Problem) -> Goal:
    """The weighted objective, then latency, then traffic."""
    per_tick, per_bit = (float(weight) for weight in problem.score_weights)

    def keys(price: Price) -> tuple[Num, ...]:
        score = price.latency.astype(np.float64) * per_tick + price.traffic.astype(np.float64) * per_bit
        return score, price.latency, price.traffic

    return Goal(keys, exact=problem.score)


@dataclass(frozen=True, slots=True)
class Found:
    """The best mapping so far.

    Attributes:
        keys: its quantities in the goal's order.
        choice: class, positions of the channel tiles, rank of the spatial tile: what breaks ties.
        mapping: the mapping.
        latency: its latency [ticks].
        traffic: its traffic [bits].
    """

    keys: tuple[Fraction | int, ...]
    choice: tuple[int, int, int, int]
    mapping: Mapping
    latency: int
    traffic: int


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
        seed = self._best_first(goal, [self.coarse], best).found
        return self._best_first(goal, self._sifted(goal, seed), seed)

    def _sifted(self, goal: Goal, best: Found | None) -> Iterable[SpatialTable]:
        """The tiles of all blocks that are not beaten by the incumbent."""

        def wanted(blocks: SpatialTable) -> NDArray[np.bool_]:
            cycles = self.space.grid.least_cycles(blocks)
            return self._least(goal, *self.space.bounds(blocks, cycles), best)[1]

        return sift(self.space.grid, wanted)

    def _best_first(self, goal: Goal, slabs: Iterable[SpatialTable], seed: Found | None) -> Outcome:
        best = seed
        kept = [piece for slab in slabs for piece in self._survivors(goal, slab, best)]
        if not kept:
            return Outcome(best, best.keys[0] if best else None, True)
        table = SpatialTable.join([t for t, _, _ in kept])
        cycles = np.concatenate([c for _, c, _ in kept])
        bound = np.concatenate([b for _, _, b in kept])
        order = np.argsort(bound, kind="stable")
        table, cycles, bound = table.take(order), cycles[order], bound[order]
        start, size = 0, _FIRST
        while start < len(bound) and not _beaten(bound[start], best):
            if self.deadline is not None and best is not None and monotonic() > self.deadline:
                return Outcome(best, min(_safe(bound[start]), best.keys[0]), False)
            stop = min(len(bound), start + size)
            if best is not None:
                stop = start + int(np.searchsorted(bound[start:stop], _limit(best), side="right"))
            best = self._extend(goal, table.take(np.arange(start, stop)), cycles[start:stop], best)
            start, size = stop, min(4 * size, max(_FIRST, 8 * _CELLS // len(self.space.co.tile)))
        return Outcome(best, best.keys[0] if best else None, True)

    def survivors(self, goal: Goal, best: Found) -> tuple[SpatialTable, Ints]:
        """All spatial tiles whose bound is within the cap and no worse than a known mapping, with cycles."""
        kept = [piece for slab in self._sifted(goal, best) for piece in self._survivors(goal, slab, best)]
        tiles, cycles = SpatialTable.join([t for t, _, _ in kept]), np.concatenate([c for _, c, _ in kept])
        order = np.argsort(tiles.rank)
        return tiles.take(order), cycles[order]

    def _survivors(
        self, goal: Goal, slab: SpatialTable, best: Found | None
    ) -> Iterable[tuple[SpatialTable, Ints, NDArray[np.generic]]]:
        """Tiles of a slab that are not beaten by the incumbent: by a cheap bound, then with exact cycles."""
        for cycles_of in (self.space.grid.least_cycles, self.space.grid.cycles):
            if not len(slab):
                return
            cycles = cycles_of(slab)
            fits, prices = self.space.bounds(slab, cycles)
            bound, alive = self._least(goal, fits, prices, best)
            slab, cycles, bound = slab.take(alive), cycles[alive], bound[alive]
        if len(slab):
            yield slab, cycles, bound

    @staticmethod
    def _least(
        goal: Goal, fits: Num, prices: list[Price], best: Found | None
    ) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Least first quantity over the classes, and where it is not beaten."""
        alive = np.zeros(fits.shape, dtype=bool)
        bound = None
        for price in prices:
            key = goal.keys(price)[0]
            good = fits if goal.cap is None else fits & (price.latency <= goal.cap)
            bound = key if bound is None else np.minimum(bound, key)
            alive |= good if best is None else good & (key <= _limit(best))
        return np.asarray(bound), alive

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
                good = fits if goal.cap is None else fits & (price.latency <= goal.cap)
                if best is not None:
                    good = good & (key <= _limit(best))
                at = np.flatnonzero(good)
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
            at = at[keys[0][at] <= _limit(best)]
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
        at = at[score[at] <= score[at].min() * (1 + _ROUNDING)]
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


def given(mapping: Mapping, cost: Cost) -> Found:
    """A mapping from elsewhere; of equals, one that the search finds comes first."""
    return Found((), (len(CLASSES), 0, 0, 0), mapping, cost.latency_ticks, cost.traffic_bits)


def ranked(goal: Goal, known: Found) -> Found:
    """A known mapping with the keys of a goal."""
    price = Price(np.array(known.latency), np.array(known.traffic))
    keys: list[Fraction | int] = [int(key) for key in goal.keys(price)]
    if goal.exact is not None:
        keys[0] = goal.exact(known.latency, known.traffic)
    return replace(known, keys=tuple(keys))


def _limit(best: Found) -> int | float:
    """What a first key must not exceed to be of interest beside an incumbent."""
    first = best.keys[0]
    return first if isinstance(first, int) else float(first) * (1 + _ROUNDING)


def _beaten(bound: Num, best: Found | None) -> bool:
    return best is not None and bool(bound > _limit(best))


def _safe(bound: Num) -> Fraction | int:
    """A bound that may be rounded, made exact and safe."""
    return Fraction(float(bound) * (1 - _ROUNDING)) if isinstance(bound, float) else int(bound)
