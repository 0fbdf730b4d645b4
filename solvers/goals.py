"""What a search minimises, and where prices, or bounds on them, are of interest beside the best so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from formulation.cost import Cost, Num
from formulation.mapping import Mapping
from formulation.problem import Problem
from formulation.shared.problem import SharedProblem
from formulation.space.space import CLASSES, Price

ROUNDING = 1e-12  # relative error that a floating-point score may carry


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

    def wanted(self, price: Price, best: Found | None) -> Num:
        """Where prices, or bounds on them, are within the cap and may be as good as the best so far.

        They are not if the first quantity is worse; nor if neither latency nor traffic is better and one
        of them is worse, for all goals want less of both.
        """
        good = self.promising(price, best)
        if best is None:
            return good
        slower, more = price.latency > best.latency, price.traffic > best.traffic
        return good & ~(slower & (price.traffic >= best.traffic) | more & (price.latency >= best.latency))

    def promising(self, price: Price, best: Found | None) -> Num:
        """Where they are within the cap and the first quantity is no worse than the best so far."""
        good = np.ones(price.latency.shape, dtype=bool) if self.cap is None else price.latency <= self.cap
        return good if best is None else good & (self.keys(price)[0] <= limit(best))


LATENCY_FIRST = Goal(lambda price: (price.latency, price.traffic))


def traffic_first(cap: int | None = None) -> Goal:
    """Least traffic, then least latency, up to a latency cap [ticks]."""
    return Goal(lambda price: (price.traffic, price.latency), cap)


def weighted(problem: Problem | SharedProblem) -> Goal:
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


def limit(best: Found) -> int | float:
    """What a first key must not exceed to be of interest beside an incumbent."""
    first = best.keys[0]
    return first if isinstance(first, int) else float(first) * (1 + ROUNDING)
