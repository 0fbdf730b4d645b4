"""One mixed-integer program: built, solved, its answer priced in integers.

The solver's tolerances and the rounding of coefficients hide nothing. The program is never above the exact
one and at most ``Milp.margin`` below it, so the solver's optimum proves that no candidate is better than its
answer by more than that; and the candidates that are as good as its answer are compared in integers. All is
checked: a mapping that does not cost what the solver says, or a candidate that its proof excludes, is an
error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from formulation.pricing.objective import Measure
from formulation.pricing.price import Price
from formulation.problem import Problem
from formulation.program.candidates import Candidates, Check
from formulation.program.choices import VariantChoices, sieved_choices
from formulation.program.model import Milp, build_milp
from formulation.program.scaling import SPAN, ProgramAim
from formulation.space.space import Space
from solvers.backends.deadline import Deadline, TimeUp
from solvers.backends.files import dump
from solvers.backends.linear import solve_milp
from solvers.backends.log import Log
from solvers.backends.milp import MilpAnswer, SolverDisagreement
from solvers.goals import Found, Goal, LayerFound, no_worse, ranked, safe
from solvers.result import Termination


@dataclass(frozen=True, slots=True)
class Backend:
    """How programs are solved.

    Attributes:
        deadline: when to stop.
        options: of ``solve_milp``: the solver, its threads and seed.
        files: folder and stem of the dumped programs; None for none.
        suffix: of the stages in the names of those that were solved.
        log: of the solves.
    """

    deadline: Deadline
    options: dict[str, Any]
    files: tuple[Path, str] | None
    suffix: str = ""
    log: Log = field(default_factory=Log)

    def solve(self, milp: Milp, stage: str, start: list[tuple[Any, int]], presolve: bool) -> MilpAnswer:
        """Solve a program."""
        started = monotonic()
        solved = solve_milp(
            milp.model, time_limit=self.deadline, start=start, presolve=presolve, **self.options
        )
        self.log.add(stage, solved, monotonic() - started)
        if solved.termination not in (Termination.OPTIMAL, Termination.TIME_LIMIT, Termination.INFEASIBLE):
            raise SolverDisagreement(
                f"{solved.solver} stopped with {solved.termination} on a program with a solution"
            )
        return solved

    def dump(self, milp: Milp, problem: Problem, stage: str) -> None:
        """Write a program to its files, if that is wanted."""
        if self.files is not None:
            folder, name = self.files
            dump(milp, problem, folder, f"{name}.{stage}")


@dataclass(frozen=True, slots=True)
class ProgramStage:
    """The last of some measures minimised, those before it held at a known mapping's.

    Attributes:
        space: the map space.
        goal: its cap holds.
        measures: to minimise, the most important first.
        found: candidates; None for a program over the whole map space.
        best: a known mapping.
        whole: what the variants of the whole map space choose from; used where no candidates are given.
        near: finds the candidates that are at least as good as a mapping; asked where none are given.
    """

    space: Space
    goal: Goal
    measures: Sequence[Measure]
    found: Candidates | None
    best: LayerFound
    whole: Sequence[VariantChoices] = ()
    near: Callable[[LayerFound], Candidates] | None = None

    def solve(self, backend: Backend) -> tuple[LayerFound, Fraction, bool]:
        """The best mapping, a bound on the last quantity, and whether the mapping is optimal.

        Without presolve: it saves no time here, and has lost optima (of one program in ten thousand in HiGHS
        1.15.1). What is found wrong all the same is solved once more with it.
        """
        try:
            try:
                return self._solve(backend, presolve=False)
            except SolverDisagreement:
                return self._solve(backend, presolve=True)
        except TimeUp:
            return self.best, min(self._least(), self._reached(self.best)), False

    def _solve(self, backend: Backend, presolve: bool) -> tuple[LayerFound, Fraction, bool]:
        stage = f"{len(backend.log.solves) + 1}-{self.measures[-1].name}"
        milp, best = self.program(backend.deadline.check), self.best
        backend.dump(milp, self.space.problem, f"{stage}{backend.suffix}")
        start = self._start(milp)
        while True:
            solved = backend.solve(milp, stage, start, presolve)
            answer = None if solved.objective is None else self._priced(milp)
            if answer is not None and not self._allowed(answer):
                milp.forbid(*self._place(answer.choice, milp))
                continue
            if answer is not None:
                self._check_answer(answer, milp, solved)
                best = min(best, answer, key=self._order)
            if solved.termination is Termination.TIME_LIMIT:
                return (
                    best,
                    min(self._bound(milp, solved), Fraction(self.measures[-1].exact(best.price))),
                    False,
                )
            settled = self._closed(best).nearest(best)
            self._check_proof(settled, milp, solved)
            return settled, self._reached(settled), True

    def program(self, check: Check = bool) -> Milp:
        """Its program."""
        chosen = self.whole if self.found is None else sieved_choices(self.space, self.found)
        aim = ProgramAim.of(self.measures, self.goal.cap, self.best.price)
        return build_milp(self.space, chosen, aim, check)

    def _closed(self, best: LayerFound) -> ProgramStage:
        """Itself with candidates: where it has none, those that are at least as good as a mapping."""
        if self.found is not None or self.near is None:
            return self
        return replace(self, found=self.near(best))

    def nearest(self, best: LayerFound) -> LayerFound:
        """The best, in integers, of the candidates that are as good as a mapping in the last measure."""
        if self.found is None:
            return best
        price = self.found.price
        near = np.flatnonzero(no_worse(self.measures[-1], price, best))
        prices = {price.one(int(i)) for i in near}
        allowed = [p for p in prices if self._within(p)]
        if not allowed:
            return best
        least = min(allowed, key=lambda p: (self._values(p), p))
        if self._values(least) >= self._values(best.price):
            return best
        same = [values[near] == value for values, value in zip(price, least, strict=True)]
        return self._found(self.found, int(near[np.argmax(np.logical_and.reduce(same))]))

    def _reached(self, found: LayerFound) -> Fraction:
        return Fraction(self.measures[-1].exact(found.price))

    def _values(self, price: Price) -> list[Fraction | int]:
        return [measure.exact(price) for measure in self.measures]

    def _order(self, found: LayerFound) -> Any:
        return self._values(found.price), found.choice

    def _within(self, price: Price) -> bool:
        """Whether a price keeps, exactly, to the cap and to the optimum of the measures before."""
        before = self.measures[:-1]
        return self.goal.allows(price) and all(m.exact(price) <= m.exact(self.best.price) for m in before)

    def _allowed(self, answer: LayerFound) -> bool:
        """Whether a mapping keeps to that, and fits the buffer."""
        problem = self.space.problem
        fits = problem.is_feasible(problem.evaluate(answer.mapping))
        return fits and self._within(answer.price)

    def _bound(self, milp: Milp, solved: MilpAnswer) -> Fraction:
        """Where the solver was stopped: its bound, or the least candidate's if that is greater."""
        least = self._least()
        if solved.bound is None:
            return least
        return max(least, Fraction(milp.objective.value(solved.bound - milp.margin)))

    def _least(self) -> Fraction:
        """The least of the last measure over the candidates within the cap; 0 where there are none."""
        if self.found is None:
            return Fraction(0)
        measure = self.measures[-1]
        values = measure.of(self.found.price)[self.goal.within(self.found.price)]
        known = self._reached(self.best)
        return min(known, Fraction(safe(values.min()))) if len(values) else known

    def _found(self, found: Candidates, at: int) -> LayerFound:
        """A candidate as a mapping."""
        row = int(found.row[at])
        rank, slide = int(found.tiles.rank[row]), int(found.tiles.slide[row])
        choice = int(found.which[at]), int(found.co[at]), int(found.ci[at]), rank
        mapping = self.space.mapping(self.space.orders[choice[0]], *choice[1:], slide)
        return ranked(self.goal, Found((), choice, mapping, found.price.one(at)))

    def _priced(self, milp: Milp) -> LayerFound:
        """The mapping of a solution, priced in integers."""
        stationary, co, ci, row = milp.choice()
        tiles = milp.variants[0].tiles
        rank, slide = int(tiles.rank[row]), int(tiles.slide[row])
        mapping = self.space.mapping(stationary, co, ci, rank, slide)
        which = next(which for which, order in self.space.orders.items() if order is stationary)
        choice, problem = (which, co, ci, rank), self.space.problem
        price = problem.price(problem.evaluate(mapping))
        return ranked(self.goal, Found((), choice, mapping, price))

    def _check_answer(self, answer: LayerFound, milp: Milp, solved: MilpAnswer) -> None:
        """The mapping costs what the solver says: no more ever, and no less once that is optimal."""
        assert solved.objective is not None
        key, objective = self.measures[-1], solved.objective
        scaled = milp.objective.scaled(float(key.exact(answer.price)))
        over = objective <= SPAN + milp.margin and scaled > objective + milp.margin
        under = solved.termination is Termination.OPTIMAL and scaled < objective - milp.margin
        if over or under:
            said = milp.objective.value(objective)
            raise SolverDisagreement(
                f"{solved.solver}'s {key.name} is {said}, that of {answer.mapping} {key.exact(answer.price)}"
            )

    def _check_proof(self, settled: LayerFound, milp: Milp, solved: MilpAnswer) -> None:
        """No candidate is better than the solver's optimum allows; where it has none, than what was known."""
        key, least = self.measures[-1], solved.objective
        if least is None:
            least = milp.objective.scaled(float(key.exact(self.best.price)))
        if milp.objective.scaled(float(key.exact(settled.price))) < least - milp.margin:
            said = f"{solved.solver}'s least {key.name} is {milp.objective.value(least)}"
            raise SolverDisagreement(f"{said}, but that of {settled.mapping} {key.exact(settled.price)}")

    def _place(self, choice: tuple[int, int, int, int], milp: Milp) -> tuple[Any, ...]:
        """A choice as the model knows it; empty if its tile is no candidate."""
        row = np.flatnonzero(milp.variants[0].tiles.rank == choice[3])
        if choice[0] not in self.space.orders or not len(row):
            return ()
        whole = bool(self.space.ci.trips[choice[2]] == 1)
        return self.space.orders[choice[0]], whole, choice[1], choice[2], int(row[0])

    def _start(self, milp: Milp) -> list[tuple[Any, int]]:
        """The known mapping as a start; empty if the program does not have it."""
        place = self._place(self.best.choice, milp)
        stationary = milp.cheapest(*place[1:]) if place else None
        return [] if stationary is None else milp.binaries(stationary, *place[1:])
