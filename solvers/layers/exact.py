"""The optimum by mixed-integer linear programming, with the solver's dual bound.

Each quantity of the objective is minimised in turn, those before it capped at their optimum. Before each
solve an incumbent (local search) sieves the candidates without loss; ``solvers.layers.exact_stage`` solves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from formulation.mapping import Group, Mapping
from formulation.pricing.objective import Measure
from formulation.pricing.price import Price
from formulation.problem import Problem
from formulation.program.candidates import Candidates, Check, Sieve, candidates
from formulation.program.choices import VariantChoices, whole_choices
from formulation.space.space import Space
from formulation.space.streamed import StreamedSpace, streamed_spaces
from solvers.backends.deadline import GRACE, Deadline, TimeUp
from solvers.backends.milp import SolverDisagreement
from solvers.backends.registry import DEFAULT_MILP
from solvers.goals import Goal, LayerFound, Outcome, claimed, known, no_worse, sources, staged
from solvers.layers.exact_stage import Backend, ProgramStage
from solvers.layers.rounding import Rounder
from solvers.layers.search import Search
from solvers.result import BoundFrom, Result, SolutionStatus, Termination, at_least, free_bound

__all__ = ["Sieve", "SolverDisagreement", "solve"]

_MANY = 1000  # candidates; of more, only those that are better than the incumbent enter the program


def solve(
    problem: Problem,
    *,
    initial: Mapping | None = None,
    time_limit: float | Deadline | None = None,
    backend: str = DEFAULT_MILP,
    threads: int = 1,
    seed: int = 0,
    sieve: Sieve | str = Sieve.PRICES,
    dump_models: Path | str | None = None,
    name: str | None = None,
) -> Result:
    """The optimal mapping, proven by a solver of mixed-integer programs.

    Args:
        problem: what to solve.
        initial: a known mapping: an incumbent, and the solver's start. The result is never worse.
        time_limit: seconds, or a deadline, after which the incumbent is returned with its true gap.
        backend: the solver, one of ``solvers.backends.MILP``.
        threads: of the solver.
        seed: of the solver.
        sieve: what an incumbent takes from the program. By default whatever costs more than it does; with
            ``bounds`` the program holds everything that is not provably worse by its bound, and takes some
            two times as long; with ``none`` every undominated mapping, which takes some seven times as long.
        dump_models: folder for programs as ``.lp`` and ``.mps``; None for none. ``<name>.<quantity>`` is a
            step's whole program, every undominated mapping; ``<name>.<number>-<quantity>.sieved`` is what was
            solved, where a sieve has left less.
        name: of the problem in their names; the layer's if None.

    Returns:
        The optimum; ``INFEASIBLE`` if not even the smallest tile fits. ``extras["solves"]`` has the size of
        each program before and after presolve, its nodes and iterations, and whether the solver took the
        start.

    Raises:
        InputError: if there is no such solver, or it is not installed.
        SolverDisagreement: if mappings do not cost what the solver says.
    """
    started = monotonic()
    if not problem.fits_at_all:
        return Result(problem, "exact", Termination.INFEASIBLE, SolutionStatus.NONE)
    files = None if dump_models is None else (Path(dump_models), name or problem.layer.name)
    options = {"backend": backend, "threads": threads, "seed": seed}
    suffix = "" if Sieve(sieve) is Sieve.NONE else ".sieved"
    programs = Backend(Deadline.of(time_limit), options, files, suffix)
    ladder = _Ladder(problem, programs, Sieve(sieve))
    outcomes = staged(problem, ladder.minimise, known(problem, initial))
    ladder.dump_whole()
    found, proven = outcomes[-1].found, all(outcome.proven for outcome in outcomes)
    assert found is not None
    bound = claimed(problem, outcomes)
    return Result(
        problem,
        "exact",
        Termination.OPTIMAL if proven else Termination.TIME_LIMIT,
        SolutionStatus.OPTIMAL if proven else SolutionStatus.FEASIBLE,
        found.mapping,
        problem.evaluate(found.mapping),
        bound if proven else at_least(free_bound(problem), bound),
        monotonic() - started,
        programs.log.iterations,
        programs.log.nodes,
        extras={"solves": programs.log.solves},
        bound_from=sources(problem, outcomes),
    )


class _Ladder:
    """One problem on its way: measure after measure, each among the mappings that those before it leave."""

    def __init__(self, problem: Problem, backend: Backend, sieve: Sieve) -> None:
        self.problem, self.backend, self.sieve = problem, backend, sieve
        self.steps: list[tuple[Goal, Measure, LayerFound]] = []
        self.whole: list[VariantChoices] = []
        self.space = Space(problem)
        self.search = Search(self.space, backend.deadline)
        self.cuts = [(s, Search(s, backend.deadline)) for s in streamed_spaces(self.space)]
        self.rounder = Rounder(self.space, backend.deadline.later(GRACE))

    def _all(self, check: Check = bool) -> list[VariantChoices]:
        """What the variants of the whole map space choose from."""
        self.whole = self.whole or whole_choices(self.space, check)
        return self.whole

    def minimise(self, goal: Goal, mappings: Sequence[LayerFound], last: bool) -> Outcome[Mapping]:
        """The optimum of a goal; of a step that only caps the next, in its first measure."""
        measures = goal.measures if last else goal.measures[:1]
        best = self.rounder.incumbent(goal, mappings)
        self.steps.append((goal, measures[0], best))
        try:
            found = None if self.sieve is Sieve.NONE else self._candidates(goal, measures[0], best)
            whole = self._all(self.search.deadline.check) if found is None else ()
        except TimeUp:
            return Outcome(best, None, False)
        outcome = self._programs(self.space, goal, measures, found, best, whole)
        for space, search in self.cuts:
            if outcome.proven:
                outcome = self._cut(space, search, goal, measures, outcome)
        return outcome

    def _cut(
        self,
        space: StreamedSpace,
        search: Search,
        goal: Goal,
        measures: Sequence[Measure],
        known: Outcome[Mapping],
    ) -> Outcome[Mapping]:
        """The optimum if tiles may be cut in one way as well: programs of what may come before the known."""
        assert known.found is not None
        try:
            best = search.rough(goal, known.found)
            tiles, cycles = search.survivors(goal, best, alike=False)
            wanted = partial(goal.wanted, best=best)
            found = candidates(space, tiles, cycles, wanted, check=search.deadline.check)
        except TimeUp:
            return Outcome(known.found, None, False)
        outcome = replace(known, found=best)
        for part, some in _by_single(space, found):
            if outcome.proven and outcome.found is not None:
                more = self._programs(part, goal, measures, some, outcome.found)
                bounds = [bound for bound in (outcome.bound, more.bound) if bound is not None]
                origin = _weaker(outcome.bound_from, more.bound_from)
                outcome = replace(more, bound=min(bounds), bound_from=origin)
        return outcome

    def _programs(
        self,
        space: Space,
        goal: Goal,
        measures: Sequence[Measure],
        found: Candidates | None,
        best: LayerFound,
        whole: Sequence[VariantChoices] = (),
    ) -> Outcome[Mapping]:
        """The best of a known mapping and of candidates, measure after measure."""
        bound, origin = Fraction(0), BoundFrom.PROGRAM
        for i, measure in enumerate(measures):
            near = None if found is not None else partial(self._near, goal)
            stage = ProgramStage(space, goal, measures[: i + 1], found, best, whole, near)
            nothing_better = found is not None and not _below(measure, found.price, best).any()
            # Of whole tiles, the first program has the known mapping, if that is one of them.
            beside = i > 0 or space.cut is not None or best.mapping.inner is not None
            alike = i > 0 and found is not None and _all_alike(found.price)
            if self._is_free(stage) or (beside and nothing_better) or alike:
                best, low, done = stage.nearest(best), Fraction(measure.exact(best.price)), True
            else:
                best, low, done = self._few(stage).solve(self.backend)
            if i == 0:
                bound = low
                origin = self._origin(stage, nothing_better)
            if not done:
                return Outcome(best, bound, False, origin)
            try:
                found = self._near(goal, best) if found is None else found
            except TimeUp:
                return Outcome(best, bound, len(measures) == 1, origin)
            found = found.take(no_worse(measure, found.price, best))
        return Outcome(best, bound, True, origin)

    def _is_free(self, stage: ProgramStage) -> bool:
        """Whether compulsory traffic, or the roofline, proves the known mapping: no program is needed.

        Unless the sieve may not use prices: the programs then are to say it all.
        """
        measure, least = stage.measures[-1], self.problem.floor
        reached = measure.exact(stage.best.price) <= measure.exact(least)
        return self.sieve is Sieve.PRICES and bool(reached)

    def _origin(self, stage: ProgramStage, nothing_better: bool) -> BoundFrom:
        """What the bound rests on: the program only if it held something better than the known mapping."""
        if self._is_free(stage):
            return BoundFrom.FREE
        return BoundFrom.SIEVE if nothing_better and self.sieve is Sieve.PRICES else BoundFrom.PROGRAM

    def _candidates(self, goal: Goal, first: Measure, best: LayerFound) -> Candidates:
        """What the incumbent, and the cap, leave."""

        def wanted(price: Price) -> Any:
            return goal.within(price) & no_worse(first, price, best)

        tiles, cycles = self.search.survivors(goal, best)
        exactly = goal.within if self.sieve is Sieve.BOUNDS else wanted
        return candidates(self.space, tiles, cycles, wanted, exactly, self.search.deadline.check)

    def _near(self, goal: Goal, best: LayerFound) -> Candidates:
        """All that is within the cap and at least as good as a mapping in the goal's first measure."""
        return self._candidates(goal, goal.measures[0], best)

    def dump_whole(self) -> None:
        """Write each step's whole program, if that is wanted; a known mapping only sets its scale."""
        if self.backend.files is None:
            return
        from solvers.backends.nonlinear import dump_nonlinear

        for goal, measure, best in self.steps:
            stage = ProgramStage(self.space, goal, [measure], None, best, self._all())
            self.backend.dump(stage.program(), self.problem, measure.name)
        dump_nonlinear(self.problem, [(m, goal.cap) for goal, m, _ in self.steps], *self.backend.files)

    def _few(self, stage: ProgramStage) -> ProgramStage:
        """Of very many candidates those that are better than the incumbent, and one that is as good.

        Where very many are better, the best of them becomes the incumbent.
        """
        found, best, last = stage.found, stage.best, stage.measures[-1]
        if found is None or len(found) <= _MANY or self.sieve is not Sieve.PRICES:
            return stage
        better = _below(last, found.price, best)
        if better.sum() > _MANY:
            best = stage.nearest(best)
            better = _below(last, found.price, best)
        # One that is as good, in all loop orders: the program's table of them holds for the best of these.
        one = np.flatnonzero(~better & no_worse(last, found.price, best))[:1]
        alike = (found.co == found.co[one]) & (found.ci == found.ci[one]) & (found.row == found.row[one])
        few = found.take(better | (alike if len(one) else False))
        return ProgramStage(stage.space, stage.goal, stage.measures, few, best)


def _by_single(space: StreamedSpace, found: Candidates) -> Iterator[tuple[StreamedSpace, Candidates]]:
    """The candidates by which of co and sp have one tile; at least one part, if it is empty."""
    of_co, of_sp = space.co.trips[found.co] == 1, found.tiles.trips[found.row] == 1
    for co, sp in product((False, True), repeat=2):
        some = found.take((of_co == co) & (of_sp == sp))
        if len(some) or not (len(found) or co or sp):
            single = frozenset(group for group, one in ((Group.CO, co), (Group.SP, sp)) if one)
            yield space.known_single(single), some


def _weaker(one: BoundFrom, other: BoundFrom) -> BoundFrom:
    """What a bound rests on if it rests on both: a program if one of them is one."""
    order = [BoundFrom.FREE, BoundFrom.SIEVE, BoundFrom.PROGRAM]
    return max(one, other, key=order.index)


def _all_alike(price: Price) -> bool:
    """Whether there is at most one price."""
    return all(len(key) == 0 or bool((key == key[0]).all()) for key in price)


def _below(measure: Measure, price: Price, best: LayerFound) -> Any:
    """Where a measure is below that of a mapping."""
    value = measure.exact(best.price)
    return measure.of(price) < (value if isinstance(value, int) else float(value))
