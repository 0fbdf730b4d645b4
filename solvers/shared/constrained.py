"""Continuous relaxation, IPOPT, rounding for shared ifmap tiles: a feasible mapping and a proven bound.

As ``solvers.layers.constrained``, over the models of ``formulation.shared.relaxed``. A relaxed point is
rounded to the spatial tiles around it; beside each, the input-channel tile, the rounds and their packing are
chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from time import monotonic

import numpy as np

from formulation.extents import Ints
from formulation.pricing.objective import LATENCY, Measure
from formulation.relaxed.classes import Aim
from formulation.shared.presolve import SharedPresolve
from formulation.shared.problem import SharedMapping, SharedProblem
from formulation.shared.relaxed import SharedRelaxation
from formulation.shared.space import SharedSpace
from formulation.space.tables import SpatialTable
from solvers.bounds.bounded import Bounded
from solvers.bounds.bounding import SAFETY, Bounder
from solvers.bounds.branching import Lists, Presolving, Unlisted
from solvers.bounds.driver import RelaxedRun, is_proven
from solvers.bounds.files import dump
from solvers.goals import Goal, known
from solvers.result import BoundFrom, SolutionStatus, Termination
from solvers.shared.candidates import SharedFound
from solvers.shared.result import SharedResult
from solvers.shared.search import SharedSearch

_TARGET = 0.01  # gap at which branching stops
_FAST = 0.001  # the same for the least latency, from which the balanced objective's cap is taken
_NEAR = 4  # tiles of one dimension that a relaxed one is rounded to, at most


def solve(
    problem: SharedProblem,
    *,
    initial: SharedMapping | None = None,
    time_limit: float | None = None,
    max_iterations: int = 300,
    branches: int = 30,
    presolve: Presolving | str = Presolving.FULL,
    dump_models: Path | str | None = None,
    name: str | None = None,
    method: str = "constrained",
) -> SharedResult:
    """A good mapping with a proven lower bound.

    Args:
        problem: what to solve.
        initial: a known mapping; if it is feasible, the result is never worse.
        time_limit: wall time [s]; a model that is not solved by then leaves the bound that is free.
        max_iterations: of IPOPT per model.
        branches: most models to solve beyond one per class, to narrow a gap of more than 1 %.
        presolve: what helps the models: with ``none`` they and their branches prove alone what is proven.
        dump_models: folder for the models' files, ``<name>.shared.<class>...``; None for none.
        name: of the problem in their names; the deconvolution's if None.
        method: the name under which the result is reported.
    """
    started = monotonic()
    if not problem.fits_at_all:
        return SharedResult(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    deadline = None if time_limit is None else started + time_limit
    relaxation = SharedRelaxation(SharedSpace(problem))
    bounder = Bounder(relaxation, problem.needs(LATENCY), deadline, max_iterations)
    run = _SharedRun(problem, relaxation, bounder, branches, initial, Presolving(presolve))
    bound, found = run.solve(), run.best
    if dump_models is not None:
        from solvers.shared.nonlinear import dump_nonlinear_shared

        files = Path(dump_models), f"{name or problem.deconv.name}.shared"
        dump(bounder, run.stages, *files)
        steps = [(goal.measures[0], goal.cap) for goal in run.goals.values()]
        dump_nonlinear_shared(problem, steps, *files)
    ended = run.termination is Termination.OPTIMAL
    proven = ended and found is not None and is_proven(problem, found.price, bound)
    held = SolutionStatus.OPTIMAL if proven else SolutionStatus.FEASIBLE
    return SharedResult(
        problem,
        method,
        run.termination,
        SolutionStatus.NONE if found is None else held,
        None if found is None else found.mapping,
        None if found is None else problem.evaluate(found.mapping),
        bound,
        monotonic() - started,
        run.iterations,
        bound_from=run.bound_from,
        relaxed=run.relaxed_bound,
        least_latency=run.least_latency if problem.objective.capped else None,
    )


class _SharedRun(RelaxedRun[SharedMapping]):
    """Shared tiles on their way: tiles looked at with all that may stand beside them."""

    def __init__(
        self,
        problem: SharedProblem,
        relaxation: SharedRelaxation,
        bounder: Bounder,
        branches: int,
        initial: SharedMapping | None,
        presolving: Presolving,
    ) -> None:
        super().__init__(problem, bounder, branches, known(problem, initial))
        self.relaxation, self.space, self.presolving = relaxation, relaxation.space, presolving
        self.search = SharedSearch(self.space, bounder.deadline)
        self._seen: dict[Measure, Fraction | int] = {}
        self._rounded = set[tuple[tuple[int, ...], ...]]()  # tiles around points, of the goal at hand

    def _look(self, goal: Goal, tiles: SpatialTable) -> SharedFound | None:
        """The best mapping known for a goal, after looking at some tiles; it is remembered."""
        found = self.search.look(goal, tiles, self.known)
        if found is not None:
            self.known.append(found)
        return found

    def start(self, goal: Goal) -> SharedFound | None:
        """The best known mapping, each dimension whole, in two, in four, and in single elements included."""
        self._rounded.clear()
        shape = self.space.grid.shape
        picks = [np.unique([0, (n - 1) // 4, (n - 1) // 2, n - 1]) for n in shape]
        return self._look(goal, self.space.grid.table(picks))

    def _near(self, trips: Mapping[str, float]) -> list[Ints]:
        """The tiles around a relaxed point, by dimension."""
        dims = ("batch", *(f"axis{i}" for i in range(len(self.space.grid.shape) - 1)))
        return [_around(n, trips[d]) for n, d in zip(self.space.grid.shape, dims, strict=True)]

    def lists(self, aim: Aim) -> tuple[Lists, tuple[()]]:
        """Classes are gone through when they are short."""
        if self.presolving is Presolving.NONE:
            return Unlisted(aim), ()
        return SharedPresolve(self.relaxation, aim), ()

    def round(self, goal: Goal, stage: Bounded) -> None:
        """Look at the tiles around the relaxed points, but for those that were looked at."""
        for point in stage.points:
            picks = self._near(point.trips)
            key = tuple(tuple(sizes.tolist()) for sizes in picks)
            if key not in self._rounded:
                self._rounded.add(key)
                self.best = self._look(goal, self.space.grid.table(picks))

    def finish(self, goal: Goal, stage: Bounded, lists: Lists) -> Bounded:
        """Look around the points, and at all tiles of the short classes that may hold something better."""
        self.round(goal, stage)
        for variant, bound in stage.bounds.items():
            if not isinstance(lists, SharedPresolve):
                break
            if bound < self.value(stage.aim) * (1 - SAFETY) and lists.is_short(variant):
                self.best = self._look(goal, lists.tiles(variant))
        if stage.bound is None:
            return stage
        return replace(stage, bound=min(self.value(stage.aim), *stage.bounds.values()))

    def _stage(self, goal: Goal) -> Bounded:
        """The relaxation's bound; where that leaves a wide gap, one over all tiles."""
        stage, measure = super()._stage(goal), goal.measures[0]
        helped = self.presolving is not Presolving.NONE
        if not helped or not self._is_wide(measure, self._bound(measure, stage)):
            return stage
        outcome = self.search.minimise(goal, self.known, settle=False)
        if outcome.found is not None:
            self.best = outcome.found
        if outcome.bound is not None:
            self._seen[measure] = outcome.bound
        return stage

    def _bound(self, measure: Measure, stage: Bounded) -> Fraction | int | None:
        bounds = [b for b in (super()._bound(measure, stage), self._seen.get(measure)) if b is not None]
        return max(bounds, default=None)

    def _rests_on(self, measure: Measure, stage: Bounded, bound: Fraction | int) -> BoundFrom:
        seen = self._seen.get(measure)
        return BoundFrom.ENUMERATION if seen == bound else super()._rests_on(measure, stage, bound)

    def target(self, measure: Measure) -> float:
        """Less for the latency that a cap is taken from."""
        return _FAST if measure.quantity is LATENCY else _TARGET

    @property
    def least_latency(self) -> int:
        """The least latency of all mappings known [ticks]."""
        return int(min(found.price.latency for found in self.known))


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
