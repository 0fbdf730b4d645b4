"""Continuous relaxation, IPOPT, rounding for shared ifmap tiles: a feasible mapping and a proven bound.

As ``solvers.layers.constrained``, over the models of ``formulation.shared.relaxed``. A relaxed point is
rounded to the spatial tiles around it; beside each, the input-channel tile, the rounds and their packing are
chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil, inf
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.problem import Kind
from formulation.relaxed.classes import Aim, Variant
from formulation.shared.presolve import SharedPresolve
from formulation.shared.problem import SharedMapping, SharedProblem
from formulation.shared.relaxed import SharedRelaxation
from formulation.shared.space import SharedSpace
from formulation.space.tables import SpatialTable
from solvers.bounds.bounding import SAFETY, Bounder, Stage
from solvers.bounds.branching import refine
from solvers.bounds.files import dump
from solvers.goals import LATENCY_FIRST, Goal, traffic_first, weighted
from solvers.result import LowerBound, SolutionStatus, Termination
from solvers.shared.candidates import Found
from solvers.shared.result import SharedResult
from solvers.shared.search import SharedSearch

_WORSE = 2.0  # how much worse than the incumbent a relaxed point may be; leaves the solver room
_TARGET = 0.01  # gap at which branching stops
_FAST = 0.001  # the same for the least latency, from which the balanced objective's cap is taken
_NEAR = 4  # tiles of one dimension that a relaxed one is rounded to, at most


def solve(
    problem: SharedProblem,
    *,
    initial: SharedMapping | None = None,
    time_limit: float | None = None,
    rival: int | None = None,
    aside: int = 0,
    max_iterations: int = 300,
    branches: int = 30,
    dump_models: Path | str | None = None,
    name: str | None = None,
    method: str = "constrained",
    **options: Any,
) -> SharedResult:
    """A good mapping with a proven lower bound.

    Args:
        problem: what to solve.
        initial: a known mapping; if it is feasible, the result is never worse.
        time_limit: wall time [s]; a model that is not solved by then leaves no bound.
        rival: as of ``shared_exhaustive.solve``.
        aside: as of ``shared_exhaustive.solve``.
        max_iterations: of IPOPT per model.
        branches: most models to solve beyond one per class, to narrow a gap of more than 1 %.
        dump_models: folder for the models' files, ``<name>.shared.<class>...``; None for none.
        name: of the problem in their names; the deconvolution's if None.
        method: the name under which the result is reported.
        options: of other methods, ignored.
    """
    del options
    started = monotonic()
    if not problem.fits_at_all:
        return SharedResult(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    deadline = None if time_limit is None else started + time_limit
    run = _Run(problem, deadline, max_iterations, branches)
    if initial is not None:
        run.know(initial)
    found, bound = _OBJECTIVES[problem.objective.kind](run, rival, aside)
    if dump_models is not None:
        dump(run.bounder, run.stages, Path(dump_models), f"{name or problem.deconv.name}.shared")
    cost = None if found is None else problem.evaluate(found.mapping)
    return SharedResult(
        problem,
        method,
        run.termination,
        SolutionStatus.NONE if found is None else SolutionStatus.FEASIBLE,
        None if found is None else found.mapping,
        cost,
        bound,
        monotonic() - started,
        sum(stage.iterations for stage in run.stages.values()),
        extras=run.extras,
    )


class _Run:
    """One problem on its way: known mappings, stages done."""

    def __init__(
        self, problem: SharedProblem, deadline: float | None, max_iterations: int, branches: int
    ) -> None:
        self.problem, self.space = problem, SharedSpace(problem)
        self.search = SharedSearch(self.space, deadline)
        goal = problem.objective
        timed = goal.kind is not Kind.TRAFFIC and (goal.kind is not Kind.WEIGHTED or goal.latency_weight > 0)
        self.relaxation = SharedRelaxation(self.space)
        self.bounder = Bounder(self.relaxation, timed, deadline, max_iterations)
        self.branches = branches
        self.known: list[Found] = []
        self.stages: dict[str, Stage] = {}
        self.extras: dict[str, object] = {}
        self.latencies: Mapping[Variant, float] = {}

    def know(self, mapping: SharedMapping) -> None:
        """Take a mapping into account if it is feasible; it comes last among equals."""
        cost = self.problem.evaluate(mapping)
        if self.problem.is_feasible(cost):
            last = (3, mapping.round_count, mapping.in_channels, 0)
            self.known.append(Found((), last, mapping, cost.latency_ticks, cost.traffic_bits))

    def look(self, goal: Goal, tiles: SpatialTable) -> Found | None:
        """The best mapping known for a goal, after looking at some tiles; it is remembered."""
        found = self.search.look(goal, tiles, self.known)
        if found is not None:
            self.known.append(found)
        return found

    def corners(self) -> SpatialTable:
        """Each dimension whole, in two, in four, and in single elements."""
        shape = self.space.grid.shape
        return self.space.grid.table([np.unique([0, (n - 1) // 4, (n - 1) // 2, n - 1]) for n in shape])

    def near(self, trips: Mapping[str, float]) -> SpatialTable:
        """The tiles around a relaxed point."""
        dims = ("batch", *(f"axis{i}" for i in range(len(self.space.grid.shape) - 1)))
        picks = [_around(n, trips[d]) for n, d in zip(self.space.grid.shape, dims, strict=True)]
        return self.space.grid.table(picks)

    def stage(self, name: str, goal: Goal, aim: Aim, measure: Callable[[Found], float]) -> Stage:
        """Bound one objective, round the points that this leaves, and branch while the gap is wide."""

        def value(best: Found | None) -> float:
            return inf if best is None else measure(best)

        incumbent = value(self.look(goal, self.corners()))
        stage = self.bounder.minimise(aim, incumbent, self.latencies)
        if name == "latency":
            self.latencies = stage.bounds
        self._round(goal, stage)
        presolve = SharedPresolve(self.relaxation, aim)
        target = _FAST if name == "latency" else _TARGET
        stage = refine(self.bounder, stage, presolve, value(self.best(goal)), self.branches, target)
        self._round(goal, stage)
        for variant, bound in stage.bounds.items():
            if bound < value(self.best(goal)) * (1 - SAFETY) and presolve.is_short(variant):
                self.look(goal, presolve.tiles(variant))
        if stage.bound is not None:
            stage = replace(stage, bound=min(value(self.best(goal)), *stage.bounds.values()))
        self.stages[name] = stage
        return stage

    def _round(self, goal: Goal, stage: Stage) -> None:
        """Look at the tiles around the relaxed points."""
        for point in stage.points:
            self.look(goal, self.near(point.trips))

    @property
    def termination(self) -> Termination:
        """OPTIMAL if every model of every stage is resolved."""
        states = [s.termination for s in self.stages.values() if s.termination is not Termination.OPTIMAL]
        return states[0] if states else Termination.OPTIMAL

    def best(self, goal: Goal) -> Found | None:
        """The best mapping known."""
        return self.look(goal, self.corners().take(np.array([], dtype=np.int64)))

    def rooflines(self, found: Found) -> float:
        """Latency in the models' unit."""
        return float(found.latency / self.relaxation.roofline_ticks)

    def compulsories(self, found: Found) -> float:
        """Traffic in the models' unit."""
        return found.traffic / self.relaxation.compulsory_bits

    def most_traffic(self, latency_cap: float) -> float:
        """Traffic that can be moved within a latency, in the models' units."""
        transfer = self.relaxation.compulsory_bits * self.space.hardware.tick.per_bit
        return float(latency_cap * self.relaxation.roofline_ticks / transfer) * (1 + SAFETY)


def _around(extent: int, trips: float) -> Ints:
    """Positions (tile - 1) of the tiles next to a relaxed one, and of the least of as many trips."""
    tile = extent / trips
    sizes = {
        int(tile),
        ceil(tile),
        ceil(extent / max(1, int(trips))),
        ceil(extent / min(extent, ceil(trips))),
    }
    return np.array(sorted({min(max(size, 1), extent) - 1 for size in sizes})[:_NEAR])


def _latency(run: _Run, rival: int | None, aside: int) -> tuple[Found | None, LowerBound]:
    return _fastest(run)


def _fastest(run: _Run) -> tuple[Found | None, LowerBound]:
    """The fastest mapping found, and a bound on the least latency."""
    start = run.look(LATENCY_FIRST, run.corners())
    if start is None:
        raise AssertionError("a feasible problem has a mapping of single elements")
    cap = _WORSE * run.rooflines(start)
    stage = run.stage("latency", LATENCY_FIRST, Aim(1.0, 0.0, cap, run.most_traffic(cap)), run.rooflines)
    found = run.best(LATENCY_FIRST)
    if stage.bound is None or found is None:
        return found, LowerBound()
    roofline = run.relaxation.roofline_ticks
    ticks = max(ceil(roofline), ceil(Fraction(stage.bound) * (1 - Fraction(SAFETY)) * roofline))
    return found, LowerBound(run.space.hardware.tick.cycles(min(ticks, found.latency)))


def _traffic(run: _Run, rival: int | None, aside: int) -> tuple[Found | None, LowerBound]:
    found, bound = _least_traffic(run, traffic_first(), 1.0)
    return found, LowerBound(traffic_bytes=bound)


def _least_traffic(run: _Run, goal: Goal, latency_cap: float) -> tuple[Found | None, Fraction | None]:
    """The mapping of least traffic found within a cap, and a bound on it."""
    start = run.look(goal, run.corners())
    most = run.most_traffic(latency_cap) if start is None else _WORSE * run.compulsories(start)
    stage = run.stage("traffic", goal, Aim(0.0, 1.0, latency_cap, most, hard=True), run.compulsories)
    found = run.best(goal)
    if stage.bound is None or stage.bound == inf:
        return found, None
    least = run.relaxation.compulsory_bits
    bits = max(Fraction(least), Fraction(stage.bound) * (1 - Fraction(SAFETY)) * least)
    return found, (bits if found is None else min(bits, Fraction(found.traffic))) / 8


def _balanced(run: _Run, rival: int | None, aside: int) -> tuple[Found | None, LowerBound]:
    """The latency bound; then the traffic bound within the cap of the least latency known.

    That cap is at least the true one, so the bound holds for all mappings within the true cap.
    """
    fastest, bound = _fastest(run)
    assert fastest is not None
    least = fastest.latency if rival is None else min(rival, fastest.latency)
    run.extras["least_latency_ticks"] = fastest.latency
    cap = run.problem.objective.cap(least + aside) - aside
    roofline = run.relaxation.roofline_ticks
    found, traffic = _least_traffic(run, traffic_first(cap), float(cap / roofline) * (1 + SAFETY))
    quicker = run.best(LATENCY_FIRST)
    if quicker is not None and quicker.latency < fastest.latency:  # found on the way: the cap is lower now
        run.extras["least_latency_ticks"] = quicker.latency
        least = quicker.latency if rival is None else min(rival, quicker.latency)
        found = run.best(traffic_first(run.problem.objective.cap(least + aside) - aside))
    return found, LowerBound(bound.latency_cycles, traffic)


def _weighted(run: _Run, rival: int | None, aside: int) -> tuple[Found | None, LowerBound]:
    goal, problem = weighted(run.problem), run.problem
    start = run.look(goal, run.corners())
    assert start is not None
    per_tick, per_bit = problem.score_weights
    units = per_tick * run.relaxation.roofline_ticks, per_bit * run.relaxation.compulsory_bits
    per_latency, per_traffic = float(units[0]), float(units[1])

    def score(found: Found) -> float:
        return float(problem.score(found.latency, found.traffic))

    cap = _WORSE * score(start) / per_latency if per_latency else 1.0  # latency is not modelled then
    most = _WORSE * score(start) / per_traffic if per_traffic else run.most_traffic(cap)
    stage = run.stage("score", goal, Aim(per_latency, per_traffic, cap, most), score)
    found = run.best(goal)
    if stage.bound is None or found is None:
        return found, LowerBound()
    bound = max(Fraction(stage.bound) * (1 - Fraction(SAFETY)), sum(units))
    return found, LowerBound(score=min(bound, problem.score(found.latency, found.traffic)))


_Answer = tuple[Found | None, LowerBound]
_OBJECTIVES: dict[Kind, Callable[[_Run, int | None, int], _Answer]] = {
    Kind.LATENCY: _latency,
    Kind.TRAFFIC: _traffic,
    Kind.BALANCED: _balanced,
    Kind.WEIGHTED: _weighted,
}
