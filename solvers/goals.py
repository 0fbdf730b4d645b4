"""What a search minimises, what it finds, and the steps of an objective in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from operator import and_, or_
from typing import Any, Generic, TypeVar

import numpy as np

from formulation.cost import Num
from formulation.extents import Ints
from formulation.mapping import Mapping
from formulation.pricing.objective import Measure
from formulation.pricing.price import Cost, Price
from formulation.problem import Posed
from formulation.space.space import ELSEWHERE, Space
from solvers.result import BoundFrom, LowerBound, free_bound

ROUNDING = 1e-12  # relative error that a floating-point score may carry

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Goal:
    """A lexicographic order of prices, and a cap.

    Attributes:
        measures: to minimise, the most important first.
        cap: mappings of higher latency are not wanted [ticks]; None for no cap.
    """

    measures: tuple[Measure, ...]
    cap: int | None = None

    @property
    def rounded(self) -> bool:
        """Whether the first of the keys is a floating-point score; ``values`` settle what it leaves open."""
        return self.measures[0].quantity is None

    def first(self, price: Price) -> Num:
        """The first measure of many prices, perhaps rounded."""
        return self.measures[0].of(price)

    def keys(self, price: Price) -> tuple[Num, ...]:
        """The measures of many prices, the first perhaps rounded."""
        return tuple(measure.of(price) for measure in self.measures)

    def values(self, price: Price) -> tuple[Fraction | int, ...]:
        """The measures of one price, exactly."""
        return tuple(measure.exact(price) for measure in self.measures)

    def within(self, price: Price) -> Num:
        """Where prices, or bounds on them, are within the cap."""
        return np.ones(price.latency.shape, dtype=bool) if self.cap is None else price.latency <= self.cap

    def allows(self, price: Price) -> bool:
        """Whether one price is within the cap."""
        return self.cap is None or bool(price.latency <= self.cap)

    def wanted(self, price: Price, best: Found[Any] | None) -> Num:
        """Where prices, or bounds on them, are within the cap and may be as good as the best so far.

        They are not if the first measure is worse; nor if no quantity is better and one of them is worse,
        for all goals want less of each.
        """
        good = self.promising(price, best)
        if best is None:
            return good
        pairs = list(zip(price, best.price, strict=True))
        worse = reduce(or_, (values > known for values, known in pairs))
        return good & ~(worse & reduce(and_, (values >= known for values, known in pairs)))

    def promising(self, price: Price, best: Found[Any] | None) -> Num:
        """Where they are within the cap and the first measure is no worse than the best so far."""
        good = self.within(price)
        return good if best is None else good & (self.first(price) <= limit(best))

    def least(
        self, price: Price, ties: Iterable[Ints], best: Found[Any] | None = None, fits: Num = True
    ) -> int | None:
        """The position of the best price; None if none is within the cap and as good as the best so far.

        Args:
            price: of many mappings.
            ties: what breaks ties beyond the measures, the most important first.
            best: so far.
            fits: where they are looked at.
        """
        keys, at = self.keys(price), np.flatnonzero(self.within(price) & fits)
        if best is not None:
            at = at[keys[0][at] <= limit(best)]
        if not len(at):
            return None
        if self.rounded:  # what is close to the least is compared exactly
            at = at[keys[0][at] <= keys[0][at].min() * (1 + ROUNDING)]
            close = {price.one(i) for i in at}
            least = min(close, key=self.values)
            keys = ()
            for values, value in zip(price, least, strict=True):
                at = at[values[at] == value]
        for key in (*keys, *ties):
            at = at[key[at] == key[at].min()]
        return int(at[0])


@dataclass(frozen=True, slots=True)
class Found(Generic[M]):
    """The best mapping so far.

    Attributes:
        keys: its measures in the goal's order, exactly.
        choice: class and positions of what was chosen: what breaks ties.
        mapping: the mapping.
        price: its price.
    """

    keys: tuple[Fraction | int, ...]
    choice: tuple[int, int, int, int]
    mapping: M
    price: Price

    @property
    def order(self) -> tuple[Fraction | int, ...]:
        """What it is compared by, ties included."""
        return (*self.keys, *self.choice)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[M]):
    """The end of a search.

    Attributes:
        found: the best mapping, None if none fits (the cap).
        bound: of the goal's first measure, proven for every mapping; None if none fits.
        proven: whether ``found`` is optimal.
        bound_from: what the bound rests on.
    """

    found: Found[M] | None
    bound: Fraction | int | None
    proven: bool
    bound_from: BoundFrom = BoundFrom.ENUMERATION


def known(problem: Posed[M], initial: M | None) -> list[Found[M]]:
    """A mapping from elsewhere, if it is given and fits; of equals, one that a search finds comes first."""
    if initial is None:
        return []
    cost: Cost = problem.evaluate(initial)
    found = Found((), (ELSEWHERE, 0, 0, 0), initial, problem.price(cost))
    return [found] if problem.is_feasible(cost) else []


def ranked(goal: Goal, found: Found[M]) -> Found[M]:
    """A known mapping with the keys of a goal."""
    return replace(found, keys=goal.values(found.price))


def better(
    space: Space,
    goal: Goal,
    choice: tuple[int, int, int, int],
    price: Price,
    slide: int,
    best: Found[Mapping] | None,
) -> Found[Mapping]:
    """The mapping of a choice, or the best so far if that comes first."""
    keys = goal.values(price)
    if best is not None and best.order <= (*keys, *choice):
        return best
    return Found(keys, choice, space.mapping(space.orders[choice[0]], *choice[1:], slide), price)


def limit(best: Found[Any]) -> int | float:
    """What a first key must not exceed to be of interest beside an incumbent."""
    return ceiling(best.keys[0])


def ceiling(value: Fraction | int) -> int | float:
    """What a key, which may be rounded, must not exceed to be no worse than a value."""
    return value if isinstance(value, int) else float(value) * (1 + ROUNDING)


def no_worse(measure: Measure, price: Price, best: Found[Any]) -> Num:
    """Where a measure is not above that of a mapping; to rounding where it is no integer."""
    return measure.of(price) <= ceiling(measure.exact(best.price))


def safe(bound: Num) -> Fraction | int:
    """A bound that may be rounded, made exact and safe."""
    return Fraction(float(bound) * (1 - ROUNDING)) if isinstance(bound, float) else int(bound)


LayerFound = Found[Mapping]
"""The best mapping of a layer so far."""

Minimise = Callable[[Goal, Sequence[Found[M]], bool], Outcome[M]]
"""From a goal, known mappings and whether this is the objective's last step, to its optimum."""


def staged(problem: Posed[M], minimise: Minimise[M], first: Sequence[Found[M]] = ()) -> list[Outcome[M]]:
    """The outcome of each step of the objective, capped as it says.

    Args:
        problem: what to solve; feasible.
        minimise: one step. What it finds is known to the steps after it, whose cap is over its latency.
        first: known mappings.
    """
    outcomes: list[Outcome[M]] = []
    steps, cap, mappings = problem.steps, None, list(first)
    for step in steps:
        outcome = minimise(Goal(step.measures, cap if step.capped else None), mappings, step is steps[-1])
        outcomes.append(outcome)
        if outcome.found is not None:
            cap = problem.cap(outcome.found.price.latency)
            mappings.append(outcome.found)
    return outcomes


def claimed(problem: Posed[M], outcomes: Sequence[Outcome[M]]) -> LowerBound:
    """The bounds that the steps of the objective have proven."""
    bounds = {}
    for step, outcome in zip(problem.steps, outcomes, strict=True):
        measure = step.measures[0]
        if outcome.bound is not None:
            bounds[measure.claim] = measure.told(problem.hardware, outcome.bound)
    return LowerBound(bounds)


def sources(problem: Posed[M], outcomes: Sequence[Outcome[M]]) -> dict[str, BoundFrom]:
    """What the bound of each step rests on; what a search that was stopped has not proven, is free."""
    found = {}
    for step, outcome in zip(problem.steps, outcomes, strict=True):
        measure, beaten = step.measures[0], outcome.bound is None
        if outcome.bound is not None and not outcome.proven:
            least = free_bound(problem).of(measure.claim)
            beaten = least is not None and least > measure.told(problem.hardware, outcome.bound)
        found[measure.name] = BoundFrom.FREE if beaten else outcome.bound_from
    return found
