"""How the relaxation solves a problem, layer or shared tiles: the steps of the objective, one after another.

Per step: a mapping by a search over integers, which bounds what is still of interest; the relaxed models,
whose least bound holds for every mapping; from each model's point again a search over integers; branching
while the gap is wide. What differs between the kinds of problems, the search over integers and what is
listed and priced, are the methods that ``RelaxedRun`` leaves open.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, inf, isfinite
from typing import Generic, TypeVar

from formulation.pricing.objective import LATENCY, TRAFFIC, Measure, Quantity
from formulation.pricing.price import Price
from formulation.problem import Posed
from formulation.relaxed.classes import Aim, Variant
from solvers.backends.deadline import TimeUp
from solvers.bounds.bounded import Bounded
from solvers.bounds.bounding import SAFETY, Bounder
from solvers.bounds.branching import Lists, refine
from solvers.goals import Found, Goal
from solvers.result import Bound, BoundFrom, LowerBound, Termination, free_bound

WIDE = 0.04
"""Gap that is worth more work than usual."""
_AGAIN = 2  # how often a capped step is repeated where it lowered its own cap and left a wide gap
_WORSE = 2.0  # how much worse than the incumbent a relaxed point may be; leaves the solver room

M = TypeVar("M")


class RelaxedRun(ABC, Generic[M]):
    """One problem on its way.

    Args:
        problem: what to solve; some mapping fits.
        bounder: of its relaxation.
        branches: most models to solve beyond one per class.
        known: feasible mappings.

    Attributes:
        best: the best mapping of the present step; None if none is known within its cap.
        known: mappings to begin a step with.
        stages: what each step came to, by the name of its measure.
        bound_from: what the bound of each step rests on, likewise.
        goals: what each step minimised, and under which cap, likewise.
        relaxed: what the models of each step prove by themselves, likewise, in the measure's own unit.
        grain: per quantity, what it is a multiple of.
    """

    def __init__(self, problem: Posed[M], bounder: Bounder, branches: int, known: list[Found[M]]) -> None:
        self.problem, self.bounder, self.branches, self.known = problem, bounder, branches, known
        self.best: Found[M] | None = None
        self.stages: dict[str, Bounded] = {}
        self.bound_from: dict[str, BoundFrom] = {}
        self.relaxed: dict[str, Fraction | int] = {}
        self.goals: dict[str, Goal] = {}
        machine = problem.hardware
        self.grain = Price(1, machine.burst_bits if machine.burst_bytes else machine.bits.grain, 1)
        self.least: Price = bounder.relaxation.least
        self._latencies: Mapping[Variant, float] = {}

    @abstractmethod
    def start(self, goal: Goal) -> Found[M] | None:
        """A mapping to begin with, no worse than any that is known; None if none is within the cap."""

    @abstractmethod
    def lists(self, aim: Aim) -> tuple[Lists, Collection[Variant]]:
        """What is left of the classes, and those of which nothing is."""

    def closed(self, stage: Bounded, lists: Lists) -> Collection[Variant]:
        """Classes without a bound of which nothing is left, that are not listed yet."""
        return ()

    @abstractmethod
    def round(self, goal: Goal, stage: Bounded) -> None:
        """Improve the best mapping from relaxed points."""

    @abstractmethod
    def finish(self, goal: Goal, stage: Bounded, lists: Lists) -> Bounded:
        """The same after branching; returns the stage with what that proves."""

    @abstractmethod
    def target(self, measure: Measure) -> float:
        """The gap at which branching stops."""

    def solve(self) -> LowerBound:
        """Take all steps; leaves the best mapping in ``best``, and returns what is proven.

        What a step does not come to prove is what is free: compulsory traffic, and the roofline.
        """
        bounds: dict[str, Bound] = {}
        fastest: Found[M] | None = None
        for step in self.problem.steps:
            measure, again = step.measures[0], _AGAIN
            while True:
                cap = None if fastest is None or not step.capped else self.problem.cap(fastest.price.latency)
                goal = Goal(step.measures, cap)
                self.best = self.start(goal)
                stage = self._stage(goal)
                bound = self._bound(measure, stage)
                if bound is not None:
                    bounds[measure.claim] = measure.told(self.problem.hardware, bound)
                    self.bound_from[measure.name] = self._rests_on(measure, stage, bound)
                before, fastest = fastest, self._faster(goal, fastest) if step.capped else self.best
                if self.best is not None:
                    self.known.append(self.best)
                lowered = step.capped and fastest is not before
                if not again or not lowered or not self._is_wide(measure, bound):
                    break
                again -= 1
        for step in self.problem.steps:
            self.bound_from.setdefault(step.measures[0].name, BoundFrom.FREE)
        return LowerBound({**free_bound(self.problem).proven, **bounds})

    def _is_wide(self, measure: Measure, bound: Fraction | int | None) -> bool:
        """Whether a gap is left that is worth another look."""
        if self.best is None or bound is None:
            return False
        return bool(bound < (1 - WIDE) * measure.exact(self.best.price))

    def _faster(self, goal: Goal, fastest: Found[M] | None) -> Found[M] | None:
        """The fastest mapping known. One that was found on the way lowers the cap, and may change the best.

        The bound is under the cap before, which is at least the true one: it holds for all mappings within.
        """
        assert fastest is not None
        quicker = min([*self.known, *([self.best] if self.best else [])], key=lambda k: k.price)
        if quicker.price.latency >= fastest.price.latency:
            return fastest
        self.known.append(quicker)
        self.best = self.start(replace(goal, cap=self.problem.cap(quicker.price.latency)))
        return quicker

    def _stage(self, goal: Goal) -> Bounded:
        """Bound the first measure of a goal, round the points that this leaves, and branch."""
        measure = goal.measures[0]
        self.goals[measure.name] = goal
        aim = self.aim(goal)
        stage = Bounded(aim, sum(aim.weights), None, {}, (), 0, Termination.TIME_LIMIT)
        try:
            lists, closed = self.lists(aim)
            stage = self.bounder.minimise(aim, self.value(aim), self._latencies, closed)
            self._keep_relaxed(measure, stage)
            stage = stage.close([*closed, *self.closed(stage, lists)], self.value(aim))
            if measure.quantity is LATENCY:
                self._latencies = stage.bounds
            self.round(goal, stage)
            stage = refine(self.bounder, stage, lists, self.value(aim), self.branches, self.target(measure))
            stage = self.finish(goal, stage, lists)
        except TimeUp:
            stage = replace(stage, termination=Termination.TIME_LIMIT)
        self.stages[measure.name] = stage
        return stage

    def _keep_relaxed(self, measure: Measure, stage: Bounded) -> None:
        """Remember what the models alone prove."""
        self.relaxed.pop(measure.name, None)
        bound = self._proven(measure, stage)
        if bound is not None:
            self.relaxed[measure.name] = bound

    def value(self, aim: Aim) -> float:
        """The aim's objective of the best mapping, infinite if there is none."""
        return inf if self.best is None else self._scaled(self.best.price, aim.weights)

    def _scaled(self, price: Price, weights: Price) -> float:
        """A weighted sum in the models' units."""
        total = 0.0
        every = self.problem.objective.quantities
        for quantity, value, least, weight in zip(every, price, self.least, weights, strict=True):
            if weight:
                each = quantity.per_unit(self.problem.hardware)
                total += float(weight * (value / each / float(least / each)))
        return total

    def aim(self, goal: Goal) -> Aim:
        """The first measure of a goal as the models have it, with caps that keep their variables finite."""
        measure, every = goal.measures[0], self.problem.objective.quantities
        weights = measure.weights
        if measure.quantity is None:
            weights = Price(*(float(w * low) for w, low in zip(weights, self.least, strict=True)))
        value = None if self.best is None else _WORSE * self._scaled(self.best.price, weights)
        caps = dict.fromkeys(every, 1.0)  # latency is not modelled where it has neither weight nor cap
        for quantity, weight in zip(every, weights, strict=True):
            if weight and value is not None:
                caps[quantity] = value / weight
        if goal.cap is not None:
            caps[LATENCY] = goal.cap / float(self.least.latency) * (1 + SAFETY)
        if weights.spent:
            rest = self._within(caps[every[-1]])
            caps |= {q: cap for q, cap in rest.items() if not weights[every.index(q)]}
        elif not weights.traffic or value is None:
            caps[TRAFFIC] = self._most_traffic(caps[LATENCY])
        hard = goal.cap is not None or measure.quantity is TRAFFIC
        return Aim(Price(*map(float, weights)), Price(*(caps[q] for q in every)), hard)

    def _within(self, cap: float) -> dict[Quantity, float]:
        """Latency and traffic that no sum within a cap leaves room for more of, in the models' units."""
        each, budget = self.problem.rates, cap * (1 + SAFETY) * float(self.least.spent)
        assert each is not None
        found = {TRAFFIC: budget / float(each.moved * self.least.traffic)} if each.moved else {}
        return found | ({LATENCY: budget / float(each.tick * self.least.latency)} if each.tick else {})

    def _most_traffic(self, latency_cap: float) -> float:
        """Traffic that can be moved within a latency, in the models' units."""
        tick = self.problem.hardware.tick
        cycles = self.least.traffic * tick.per_bit / tick.per_cycle
        roofline = float(self.least.latency / tick.per_cycle)
        return latency_cap * roofline / float(cycles) * (1 + SAFETY)

    def _bound(self, measure: Measure, stage: Bounded) -> Fraction | int | None:
        """What a stage proves of every mapping, in the measure's own unit; None if nothing."""
        return self._proven(measure, stage)

    def _proven(self, measure: Measure, stage: Bounded) -> Fraction | int | None:
        reached = None if self.best is None else measure.exact(self.best.price)
        if stage.settled and reached is not None:
            return reached
        if stage.bound is None or not isfinite(stage.bound):
            return None
        least = Fraction(measure.exact(self.least))
        bound = Fraction(stage.bound) * (1 - Fraction(SAFETY))
        if measure.quantity is None:
            bound = max(bound, least)
        else:
            grain = self.grain[measure.weights.index(1)]
            bound = Fraction(grain * ceil(max(bound * least, least) / grain))
        return bound if reached is None else min(bound, reached)

    def _rests_on(self, measure: Measure, stage: Bounded, bound: Fraction | int) -> BoundFrom:
        """Every class is bounded; if one that is not priced was by a solved model, all rests on that.

        So it does where the models alone, before any help, prove as much.
        """
        if bound <= measure.exact(self.least):
            return BoundFrom.FREE
        modelled = any(p.variant not in stage.priced for p in stage.points)
        alone = bound == self.relaxed.get(measure.name)
        return BoundFrom.IPOPT if modelled or alone else BoundFrom.PRESOLVE

    @property
    def relaxed_bound(self) -> LowerBound:
        """What the models alone prove."""
        measures = [step.measures[0] for step in self.problem.steps]
        known = [(m, self.relaxed[m.name]) for m in measures if m.name in self.relaxed]
        return LowerBound({m.claim: m.told(self.problem.hardware, bound) for m, bound in known})

    @property
    def iterations(self) -> int:
        """Of IPOPT, in all."""
        return sum(stage.iterations for stage in self.stages.values())

    @property
    def termination(self) -> Termination:
        """OPTIMAL if every model of every stage is resolved."""
        states = [s.termination for s in self.stages.values() if s.termination is not Termination.OPTIMAL]
        return states[0] if states else Termination.OPTIMAL


def is_proven(problem: Posed[M], price: Price, bound: LowerBound) -> bool:
    """Whether the bound equals what the mapping reaches, within a cap that is certain if there is one."""
    if bound.of(problem.objective.claim) != problem.objective_value(price):
        return False
    if not problem.objective.capped:
        return True
    if bound.latency_cycles is None:
        return False
    least = floor(Fraction(bound.latency_cycles) * problem.hardware.tick.per_cycle)
    return bool(price.latency <= problem.cap(least))
