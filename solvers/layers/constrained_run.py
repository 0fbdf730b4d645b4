"""Stages of the constrained method: an incumbent, models bounded and branched on, points rounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Mapping as Fields
from math import isfinite

from formulation.mapping import Mapping
from formulation.problem import Kind, Problem
from formulation.relaxed.classes import Aim, Relaxation, Variant
from formulation.relaxed.presolve import NOTHING, Presolve
from formulation.space.space import Space
from solvers.bounds.bounding import SAFETY, Bounder, Stage
from solvers.bounds.branching import refine
from solvers.bounds.sensitivity import sensitivity
from solvers.goals import Found, Goal, given, ranked
from solvers.layers.rounding import Rounder
from solvers.result import Termination

_SLACK = 1e-3  # relative; a bound that is this close to the least is not worth another solve
_TARGET = 0.01  # gap at which branching stops
_THOROUGH = 6  # points that a local search starts from where the gap stays wide


class Run:
    """One problem on its way: incumbents, stages done, why IPOPT stopped."""

    def __init__(
        self,
        problem: Problem,
        initial: Mapping | None,
        deadline: float | None,
        max_iterations: int,
        branches: int,
    ) -> None:
        self.problem = problem
        self.rounder = Rounder(Space(problem))
        goal = problem.objective
        timed = goal.kind is not Kind.TRAFFIC and (goal.kind is not Kind.WEIGHTED or goal.latency_weight > 0)
        self.bounder = Bounder(Relaxation(problem), timed, deadline, max_iterations)
        self.given = self._given(initial)
        self.branches = branches
        self.stages: dict[str, Stage] = {}
        self.proven: set[str] = set()  # stages whose best mapping is their optimum
        self.latencies: Fields[Variant, float] = {}
        self.best: Found

    def _given(self, initial: Mapping | None) -> list[Found]:
        if initial is None:
            return []
        cost = self.problem.evaluate(initial)
        return [given(initial, cost)] if self.problem.is_feasible(cost) else []

    def start(self, goal: Goal, known: Iterable[Found] = ()) -> Found:
        """An incumbent by local search from the best of the smallest tiles and the known mappings."""
        within = [k for k in (*self.given, *known) if goal.cap is None or k.latency <= goal.cap]
        seeds = [ranked(goal, k) for k in within]
        smallest = self.rounder.smallest(goal)
        if smallest is not None:
            seeds.append(smallest)
        return self.rounder.improve(goal, _least(seeds))

    def stage(self, name: str, goal: Goal, aim: Aim, measure: Callable[[Found], float]) -> Stage:
        """Bound one objective, round the points that this leaves, and branch while the gap is wide.

        Args:
            name: of the stage.
            goal: the order of mappings.
            aim: the objective and its caps.
            measure: the objective of a mapping, in the models' units.
        """
        self.bounder.start = self._trips()
        presolve = Presolve(self.rounder.space, aim)
        closed = presolve.start(self.bounder.variants, measure(self.best))
        stage = self.bounder.minimise(aim, measure(self.best), self.latencies, _SLACK, closed)
        if name == "latency":
            self.latencies = stage.bounds
        self._round(goal, stage, measure(self.best), 1)
        stage = refine(self.bounder, stage, presolve, measure(self.best), self.branches, _TARGET)
        self._choose(goal, stage, presolve)
        self._round(goal, stage, measure(self.best) * (1 - _TARGET), _THOROUGH)
        self.stages[name] = stage
        least = measure(self.best) * (1 + SAFETY)
        if stage.bound is not None and all(v in stage.priced or b >= least for v, b in stage.bounds.items()):
            self.proven.add(name)
        return stage

    def _choose(self, goal: Goal, stage: Stage, presolve: Presolve) -> None:
        """The best mapping of the classes that are priced, compared exactly."""
        for variant in filter(stage.priced.__contains__, stage.bounds):
            rest = presolve.lists.get(variant, NOTHING)
            found = self.rounder.listed(goal, rest.co, rest.ci, rest.sp, rest.cycles, self.best)
            self.best = found or self.best

    def _round(self, goal: Goal, stage: Stage, wanted: float, most: int) -> None:
        """Improve the best mapping from up to ``most`` relaxed points, unless the bound is as wanted."""
        if stage.bound is not None and wanted <= stage.bound * (1 + SAFETY):
            return
        rounded = [self.rounder.round(goal, point.trips) for point in stage.points]
        places = {f.mapping: f for f in rounded if f is not None and f.mapping != self.best.mapping}
        for found in sorted(places.values(), key=lambda f: f.keys)[:most]:
            self.best = _least([self.best, self.rounder.improve(goal, found)])

    def _trips(self) -> dict[str, float]:
        """Trip counts of the mapping given at first, or of the best one, by dimension."""
        tile = (self.given[0] if self.given else self.best).mapping.tile
        sizes = (tile.out_channels, tile.in_channels, tile.batch, *tile.spatial)
        extents = self.bounder.relaxation.extents
        return {d: float(-(-extents[d] // t)) for d, t in zip(extents, sizes, strict=True)}

    def rooflines(self, found: Found) -> float:
        """Latency in the models' unit."""
        cycles = found.latency / self.problem.hardware.tick.per_cycle
        return float(cycles) / self.bounder.relaxation.roofline_cycles

    def compulsories(self, found: Found) -> float:
        """Traffic in the models' unit."""
        return found.traffic / self.bounder.relaxation.compulsory_bits

    def most_traffic(self, latency_cap: float) -> float:
        """Traffic that can be moved within a latency, in the models' units."""
        relaxation, tick = self.bounder.relaxation, self.problem.hardware.tick
        cycles = relaxation.compulsory_bits * tick.per_bit / tick.per_cycle
        return latency_cap * relaxation.roofline_cycles / cycles * (1 + SAFETY)

    @property
    def iterations(self) -> int:
        """Of IPOPT, in all."""
        return sum(stage.iterations for stage in self.stages.values())

    @property
    def termination(self) -> Termination:
        """OPTIMAL if every model of every stage is resolved."""
        states = [s.termination for s in self.stages.values() if s.termination is not Termination.OPTIMAL]
        return states[0] if states else Termination.OPTIMAL

    def extras(self) -> dict[str, object]:
        """Sensitivities, and each model's bound per stage in the models' units, None if it is infinite."""
        return {
            "sensitivity": sensitivity(self.bounder, self.stages),
            "models": {name: _bounds(stage) for name, stage in self.stages.items()},
        }


def _bounds(stage: Stage) -> dict[str, float | None]:
    """The bound of each model, greatest first; None where it is infinite: no mapping there, or no bound."""
    ordered = sorted(stage.bounds.items(), key=lambda item: -item[1])
    return {variant.name: bound if isfinite(bound) else None for variant, bound in ordered}


def _least(found: list[Found]) -> Found:
    return min(found, key=lambda f: (f.keys, f.choice))
