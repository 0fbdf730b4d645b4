"""One mixed-integer program: built, solved, its answer priced in integers.

The solver's tolerances and the rounding of coefficients hide nothing. The program is never above the exact
one and at most ``Milp.margin`` below it, so the solver's optimum proves that no candidate is better than its
answer by more than that; and the candidates that are as good as its answer are compared in integers. All is
checked: a mapping that does not cost what the solver says, or a candidate that its proof excludes, is an
error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from formulation.problem import Problem
from formulation.program.candidates import Candidates
from formulation.program.model import Milp, build_milp
from formulation.program.scaling import SPAN, ProgramAim, ScoreCap
from formulation.space.space import CLASSES, Price, Space
from solvers.deadline import Deadline, TimeUp
from solvers.goals import Found, Goal, given, ranked
from solvers.programs.backend import MilpAnswer
from solvers.programs.files import dump
from solvers.programs.linear import solve_milp
from solvers.result import Termination

_ROUNDING = 1e-12  # relative error that a floating-point score may carry


class SolverDisagreement(RuntimeError):
    """What a solver says is not what the mappings cost."""


@dataclass(frozen=True, slots=True)
class Key:
    """One quantity of an objective: ``latency * ticks + traffic * bits``.

    Attributes:
        name: of the quantity.
        latency: weight of a tick.
        traffic: weight of a bit.
    """

    name: str
    latency: Fraction
    traffic: Fraction

    def value(self, found: Found) -> Fraction:
        """The quantity, exactly."""
        return self.exact(found.latency, found.traffic)

    def exact(self, latency: int, traffic: int) -> Fraction:
        """The quantity of a latency [ticks] and a traffic [bits]."""
        return self.latency * latency + self.traffic * traffic

    def of(self, price: Price) -> Any:
        """The quantity of many prices, in floating point."""
        latency, traffic = price.latency.astype(float), price.traffic.astype(float)
        return float(self.latency) * latency + float(self.traffic) * traffic

    def no_worse(self, price: Price, best: Found) -> Any:
        """Where the quantity is not above a mapping's; to rounding where it is no integer."""
        if self == LATENCY:
            return price.latency <= best.latency
        if self == TRAFFIC:
            return price.traffic <= best.traffic
        return self.of(price) <= float(self.value(best)) * (1 + _ROUNDING)


LATENCY = Key("latency", Fraction(1), Fraction(0))
TRAFFIC = Key("traffic", Fraction(0), Fraction(1))


@dataclass(slots=True)
class Log:
    """What was asked of the solver, for ``Result.extras``."""

    solves: list[dict[str, Any]] = field(default_factory=list)
    nodes: int = 0
    iterations: int = 0

    def add(self, stage: str, solved: MilpAnswer) -> None:
        """One more solve."""
        self.nodes += solved.nodes
        self.iterations += solved.iterations
        self.solves.append(
            {
                "stage": stage,
                "size": asdict(solved.size),
                "presolved": None if solved.presolved is None else asdict(solved.presolved),
                "nodes": solved.nodes,
                "iterations": solved.iterations,
                "start_accepted": solved.start_accepted,
                "objective": solved.objective,
            }
        )


@dataclass(frozen=True, slots=True)
class Backend:
    """How programs are solved.

    Attributes:
        deadline: when to stop.
        options: of ``solve_milp``: the solver, its threads and seed.
        files: folder and stem of the dumped programs; None for none.
        log: of the solves.
    """

    deadline: Deadline
    options: dict[str, Any]
    files: tuple[Path, str] | None
    log: Log = field(default_factory=Log)

    def solve(self, milp: Milp, stage: str, start: list[tuple[Any, int]], presolve: bool) -> MilpAnswer:
        """Solve a program."""
        solved = solve_milp(
            milp.model, time_limit=self.deadline, start=start, presolve=presolve, **self.options
        )
        self.log.add(stage, solved)
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
class Stage:
    """The last of some quantities minimised, those before it held at a known mapping's.

    Attributes:
        space: the map space.
        goal: its cap holds.
        keys: the quantities.
        found: candidates.
        best: a known mapping.
    """

    space: Space
    goal: Goal
    keys: Sequence[Key]
    found: Candidates
    best: Found

    def solve(self, backend: Backend) -> tuple[Found, Fraction, bool]:
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
            return self.best, min(self._least(), self.keys[-1].value(self.best)), False

    def _solve(self, backend: Backend, presolve: bool) -> tuple[Found, Fraction, bool]:
        stage = f"{len(backend.log.solves) + 1}-{self.keys[-1].name}"
        milp, best = build_milp(self.space, self.found, self._aim(), backend.deadline.check), self.best
        backend.dump(milp, self.space.problem, stage)
        start = self._start(milp)
        while True:
            solved = backend.solve(milp, stage, start, presolve)
            answer = None if solved.objective is None else self._priced(milp)
            if answer is not None and not self._allowed(answer):
                milp.forbid(*self._place(answer.choice))
                continue
            if answer is not None:
                self._check_answer(answer, milp, solved)
                best = min(best, answer, key=self._order)
            if solved.termination is Termination.TIME_LIMIT:
                return best, min(self._bound(milp, solved), self.keys[-1].value(best)), False
            settled = self.nearest(best)
            self._check_proof(settled, milp, solved)
            return settled, self.keys[-1].value(settled), True

    def nearest(self, best: Found) -> Found:
        """The best, in integers, of the candidates that are as good as a mapping in the last quantity."""
        price = self.found.price
        near = np.flatnonzero(self.keys[-1].no_worse(price, best))
        prices = {(int(price.latency[i]), int(price.traffic[i])) for i in near}
        allowed = [p for p in prices if self._within(*p)]
        if not allowed:
            return best
        latency, bits = min(allowed, key=lambda p: ([k.exact(*p) for k in self.keys], p))
        if [k.exact(latency, bits) for k in self.keys] >= [k.value(best) for k in self.keys]:
            return best
        return self._found(
            int(near[np.argmax((price.latency[near] == latency) & (price.traffic[near] == bits))])
        )

    def _aim(self) -> ProgramAim:
        key, before = self.keys[-1], {k.name for k in self.keys[:-1]}
        return ProgramAim(
            latency=float(key.latency),
            traffic=float(key.traffic),
            incumbent=(self.best.latency, self.best.traffic),
            latency_cap=self.best.latency if "latency" in before else self.goal.cap,
            traffic_cap=self.best.traffic if "traffic" in before else None,
            score_cap=self._score_cap(),
        )

    def _score_cap(self) -> ScoreCap | None:
        """The cap that a weighted sum before the last quantity stands for."""
        for key in self.keys[:-1]:
            if key not in (LATENCY, TRAFFIC):
                return ScoreCap(float(key.latency), float(key.traffic), float(key.value(self.best)))
        return None

    def _order(self, found: Found) -> Any:
        return [k.value(found) for k in self.keys], found.choice

    def _within(self, latency: int, traffic: int) -> bool:
        """Whether a price keeps, exactly, to the cap and to the optimum of the quantities before."""
        below = self.goal.cap is None or latency <= self.goal.cap
        return below and all(k.exact(latency, traffic) <= k.value(self.best) for k in self.keys[:-1])

    def _allowed(self, answer: Found) -> bool:
        """Whether a mapping keeps to that, and fits the buffer."""
        problem = self.space.problem
        fits = problem.is_feasible(problem.evaluate(answer.mapping))
        return fits and self._within(answer.latency, answer.traffic)

    def _bound(self, milp: Milp, solved: MilpAnswer) -> Fraction:
        """Where the solver was stopped: its bound, or the least candidate's if that is greater."""
        least = self._least()
        if solved.bound is None:
            return least
        return max(least, Fraction(milp.objective.value(solved.bound - milp.margin)))

    def _least(self) -> Fraction:
        """The least of the last quantity over the candidates within the cap."""
        key, price = self.keys[-1], self.found.price
        allowed = price.latency >= 0 if self.goal.cap is None else price.latency <= self.goal.cap
        least = float(key.of(price)[allowed].min(initial=float(key.value(self.best))))
        return Fraction(least) * (1 - Fraction(_ROUNDING))

    def _found(self, at: int) -> Found:
        """A candidate as a mapping."""
        found, row = self.found, int(self.found.row[at])
        rank, slide = int(found.tiles.rank[row]), int(found.tiles.slide[row])
        choice = int(found.which[at]), int(found.co[at]), int(found.ci[at]), rank
        mapping = self.space.mapping(CLASSES[choice[0]], *choice[1:], slide)
        price = found.price
        return ranked(self.goal, Found((), choice, mapping, int(price.latency[at]), int(price.traffic[at])))

    def _priced(self, milp: Milp) -> Found:
        """The mapping of a solution, priced in integers."""
        stationary, co, ci, row = milp.choice()
        rank, slide = int(self.found.tiles.rank[row]), int(self.found.tiles.slide[row])
        mapping = self.space.mapping(stationary, co, ci, rank, slide)
        bare = given(mapping, self.space.problem.evaluate(mapping))
        choice = CLASSES.index(stationary), co, ci, rank
        return ranked(self.goal, Found((), choice, mapping, bare.latency, bare.traffic))

    def _check_answer(self, answer: Found, milp: Milp, solved: MilpAnswer) -> None:
        """The mapping costs what the solver says: no more ever, and no less once that is optimal."""
        assert solved.objective is not None
        key, objective = self.keys[-1], solved.objective
        scaled = milp.objective.scaled(float(key.value(answer)))
        over = objective <= SPAN + milp.margin and scaled > objective + milp.margin
        under = solved.termination is Termination.OPTIMAL and scaled < objective - milp.margin
        if over or under:
            said = milp.objective.value(objective)
            raise SolverDisagreement(
                f"{solved.solver}'s {key.name} is {said}, that of {answer.mapping} {key.value(answer)}"
            )

    def _check_proof(self, settled: Found, milp: Milp, solved: MilpAnswer) -> None:
        """No candidate is better than the solver's optimum allows; where it has none, than what was known."""
        key, least = self.keys[-1], solved.objective
        if least is None:
            least = milp.objective.scaled(float(key.value(self.best)))
        if milp.objective.scaled(float(key.value(settled))) < least - milp.margin:
            said = f"{solved.solver}'s least {key.name} is {milp.objective.value(least)}"
            raise SolverDisagreement(f"{said}, but that of {settled.mapping} {key.value(settled)}")

    def _place(self, choice: tuple[int, int, int, int]) -> tuple[Any, ...]:
        """A choice as the model knows it; empty if its tile is no candidate."""
        row = np.flatnonzero(self.found.tiles.rank == choice[3])
        if choice[0] >= len(CLASSES) or not len(row):
            return ()
        whole = bool(self.space.ci.trips[choice[2]] == 1)
        return CLASSES[choice[0]], whole, choice[1], choice[2], int(row[0])

    def _start(self, milp: Milp) -> list[tuple[Any, int]]:
        """The known mapping as a start; empty if the program does not have it."""
        place = self._place(self.best.choice)
        stationary = milp.cheapest(*place[1:]) if place else None
        return [] if stationary is None else milp.binaries(stationary, *place[1:])
