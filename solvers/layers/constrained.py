"""Continuous relaxation, IPOPT, rounding: a feasible mapping, and a proven bound on all of them.

``solvers.bounds.driver`` says how; here is what it does with the mappings of a layer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
from time import monotonic

from formulation.mapping import Mapping
from formulation.pricing.objective import LATENCY, Measure
from formulation.problem import Problem
from formulation.relaxed.classes import Aim, Variant
from formulation.relaxed.layers import LayerRelaxation
from formulation.relaxed.lists import NOTHING
from formulation.relaxed.presolve import Presolve
from formulation.relaxed.streamed import StreamedRelaxation
from formulation.relaxed.streamed_presolve import StreamedPresolve
from formulation.relaxed.structure import SUB
from formulation.space.space import Space
from formulation.space.streamed import streamed_spaces
from solvers.backends.deadline import GRACE, Deadline
from solvers.bounds.bounded import Bounded
from solvers.bounds.bounding import SAFETY, Bounder
from solvers.bounds.branching import Lists, Presolving, Unlisted
from solvers.bounds.driver import RelaxedRun, is_proven
from solvers.bounds.files import dump
from solvers.bounds.sensitivity import sensitivity
from solvers.goals import Goal, LayerFound, known
from solvers.layers.rounding import Rounder
from solvers.layers.streamed_rounding import CutRounder
from solvers.result import Result, SolutionStatus, Termination

_TARGET = 0.01  # gap at which branching stops
_THOROUGH = 6  # points that a local search starts from where the gap stays wide


def solve(
    problem: Problem,
    *,
    initial: Mapping | None = None,
    time_limit: float | None = None,
    max_iterations: int = 300,
    branches: int = 30,
    presolve: Presolving | str = Presolving.FULL,
    dump_models: Path | str | None = None,
    name: str | None = None,
    method: str = "constrained",
) -> Result:
    """A good mapping with a proven lower bound.

    Args:
        problem: what to solve.
        initial: a known mapping: IPOPT's starting point; if it is feasible, the result is never worse.
        time_limit: wall time [s]; a model that is not solved by then leaves the bound that is free.
        max_iterations: of IPOPT per model.
        branches: most models to solve beyond one per class, to narrow a gap of more than 1 %.
        presolve: what helps the models: with ``none`` they and their branches prove alone what is proven.
        dump_models: folder for the models' files; None for none.
        name: of the problem in their names; the layer's if None.
        method: the name under which the result is reported.

    Returns:
        A feasible mapping; its status is OPTIMAL only where the bound proves it. ``INFEASIBLE`` if not even
        the smallest tile fits. ``extras`` holds ``sensitivity`` and ``models``, the bound of each class.
    """
    started = monotonic()
    if not problem.fits_at_all:
        return Result(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    deadline = None if time_limit is None else started + time_limit
    relaxation = StreamedRelaxation(problem) if problem.hardware.streaming else LayerRelaxation(problem)
    bounder = Bounder(relaxation, problem.needs(LATENCY), deadline, max_iterations)
    run = LayerRun(problem, bounder, branches, initial, Presolving(presolve))
    bound = run.solve()
    if dump_models is not None:
        files = Path(dump_models), name or problem.layer.name
        dump(bounder, run.stages, *files)
        if not problem.hardware.streaming:  # they are of whole tiles
            from solvers.backends.nonlinear import dump_nonlinear

            dump_nonlinear(problem, [(goal.measures[0], goal.cap) for goal in run.goals.values()], *files)
    found = run.best
    assert found is not None
    proven = run.termination is Termination.OPTIMAL and is_proven(problem, found.price, bound)
    return Result(
        problem,
        method,
        run.termination,
        SolutionStatus.OPTIMAL if proven else SolutionStatus.FEASIBLE,
        found.mapping,
        problem.evaluate(found.mapping),
        bound,
        monotonic() - started,
        run.iterations,
        extras={
            "sensitivity": sensitivity(bounder, run.stages),
            "models": {name: _bounds(stage) for name, stage in run.stages.items()},
        },
        bound_from=run.bound_from,
        relaxed=run.relaxed_bound,
    )


class LayerRun(RelaxedRun[Mapping]):
    """A layer on its way: local search, classes listed and priced where they are short."""

    def __init__(
        self,
        problem: Problem,
        bounder: Bounder,
        branches: int,
        initial: Mapping | None,
        presolving: Presolving,
    ) -> None:
        super().__init__(problem, bounder, branches, known(problem, initial))
        self.presolving = presolving
        self.deadline = Deadline(bounder.deadline)
        later = self.deadline.later(GRACE)
        self.rounder = Rounder(Space(problem), later)
        cuts = streamed_spaces(self.rounder.space)
        self.cuts = {(each.stationary, each.cut): CutRounder(each, later) for each in cuts}
        self._given = self.known[0].mapping if self.known else None

    def start(self, goal: Goal) -> LayerFound:
        """An incumbent by local search from the best of the smallest tiles and the known mappings."""
        best = self.rounder.incumbent(goal, self.known)
        for rounder in self.cuts.values():
            best = rounder.improve(goal, best)
        return best

    def _rounder(self, variant: Variant) -> Rounder:
        """The local search among the mappings of a class."""
        structure = variant.structure
        if structure.cut is None:
            return self.rounder
        return self.cuts[structure.stationary, structure.cut]

    def lists(self, aim: Aim) -> tuple[Lists, Collection[Variant]]:
        """All classes gone through; IPOPT starts at the mapping given at first, or at the best one."""
        mapping = self._given or self._incumbent.mapping
        extents = self.bounder.relaxation.extents
        self.bounder.start = {}
        for before, tile in (("", mapping.tile), (SUB, mapping.inner)):
            if tile is not None:
                sizes = (tile.out_channels, tile.in_channels, tile.batch, *tile.spatial)
                trips = {before + d: -(-extents[d] // t) for d, t in zip(extents, sizes, strict=True)}
                self.bounder.start |= {d: float(n) for d, n in trips.items()}
        if self.presolving is Presolving.NONE:
            return Unlisted(aim), ()
        presolve = self._presolve(aim)
        return presolve, presolve.start(self.bounder.variants, self.value(aim))

    def _presolve(self, aim: Aim) -> Presolve:
        """The classes of an objective, yet to be listed."""
        space, check = self.rounder.space, self.deadline.check
        if not self.cuts:
            return Presolve(space, aim, check)
        return StreamedPresolve(space, [each.streamed for each in self.cuts.values()], aim, check)

    def closed(self, stage: Bounded, lists: Lists) -> Collection[Variant]:
        """Classes of a cut whose models have failed, and of which nothing is left."""
        failed = [v for v, bound in stage.bounds.items() if v.structure.cut is not None and bound == -inf]
        incumbent = self.value(stage.aim)
        return [v for v in failed if (least := lists.reduce(v, incumbent)[0]) is not None and least == inf]

    @property
    def _incumbent(self) -> LayerFound:
        assert self.best is not None
        return self.best

    def round(self, goal: Goal, stage: Bounded) -> None:
        """Improve the best mapping from the best relaxed point."""
        self._round(goal, stage, self.value(stage.aim), 1)

    def finish(self, goal: Goal, stage: Bounded, lists: Lists) -> Bounded:
        """Choose from the classes that are priced, and improve from more points."""
        if isinstance(lists, Presolve):
            self._choose(goal, stage, lists)
        self._round(goal, stage, self.value(stage.aim) * (1 - _TARGET), _THOROUGH)
        least = self.value(stage.aim) * (1 + SAFETY)
        settled = all(v in stage.priced or b >= least for v, b in stage.bounds.items())
        return replace(stage, settled=stage.bound is not None and settled)

    def target(self, measure: Measure) -> float:
        """One percent."""
        return _TARGET

    def _choose(self, goal: Goal, stage: Bounded, presolve: Presolve) -> None:
        """The best mapping of the classes that are priced, compared exactly."""
        for variant in filter(stage.priced.__contains__, stage.bounds):
            rest = presolve.lists.get(variant, NOTHING)
            rounder = self._rounder(variant)
            found = rounder.listed(goal, rest.co, rest.ci, rest.sp, rest.cycles, self.best)
            if found is not None and found is not self.best:
                # Sub-tiles that do not matter to the first measure are not all listed.
                self.best = found if variant.structure.cut is None else rounder.improve(goal, found)

    def _round(self, goal: Goal, stage: Bounded, wanted: float, most: int) -> None:
        """Improve the best mapping from up to ``most`` relaxed points, unless the bound is as wanted."""
        if stage.bound is not None and wanted <= stage.bound * (1 + SAFETY):
            return
        rounded = [(self._rounder(p.variant), p.trips) for p in stage.points]
        places = {}
        for rounder, trips in rounded:
            found = rounder.round(goal, trips)
            if found is not None and found.mapping != self._incumbent.mapping:
                places[found.mapping] = found, rounder
        for found, rounder in sorted(places.values(), key=lambda place: place[0].keys)[:most]:
            self.best = _least([self._incumbent, rounder.improve(goal, found)])


def _least(found: Iterable[LayerFound]) -> LayerFound:
    return min(found, key=lambda f: f.order)


def _bounds(stage: Bounded) -> dict[str, float | None]:
    """The bound of each model, greatest first; None where it is infinite: no mapping there, or no bound."""
    ordered = sorted(stage.bounds.items(), key=lambda item: -item[1])
    return {variant.name: bound if isfinite(bound) else None for variant, bound in ordered}
