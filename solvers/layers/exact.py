"""The optimum by mixed-integer linear programming, with the solver's dual bound.

Each quantity of the objective is minimised in turn, those before it capped at their optimum. Before each
solve an incumbent (local search) sieves the candidates without loss; ``solvers.layers.exact_stage`` solves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from formulation.mapping import Mapping
from formulation.problem import Kind, Problem
from formulation.program.candidates import Candidates, Sieve, candidates
from formulation.space.space import Price, Space
from formulation.space.tables import SpatialTable
from solvers.backends import DEFAULT_MILP
from solvers.deadline import GRACE, Deadline, TimeUp
from solvers.goals import LATENCY_FIRST, Found, Goal, given, traffic_first, weighted
from solvers.layers.exact_stage import LATENCY, TRAFFIC, Backend, Key, SolverDisagreement, Stage
from solvers.layers.rounding import Rounder
from solvers.layers.search import Search
from solvers.result import LowerBound, Result, SolutionStatus, Termination, at_least, free_bound

__all__ = ["Sieve", "SolverDisagreement", "solve"]

_MANY = 1000  # candidates; of more, only those that are better than the incumbent enter the program


@dataclass(frozen=True, slots=True)
class _Ended:
    """The end of the solves for a goal.

    Attributes:
        best: the best mapping.
        bound: on the goal's first key; None if time was up before there was one.
        proven: whether the mapping is optimal.
    """

    best: Found
    bound: Fraction | None
    proven: bool


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
            five times as long; with ``none`` every undominated mapping, which only small layers allow.
        dump_models: folder for the programs as ``.lp`` and ``.mps``; None for none.
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
    programs = Backend(Deadline.of(time_limit), {"backend": backend, "threads": threads, "seed": seed}, files)
    ended, bound = _Run(problem, programs, Sieve(sieve)).solve(initial)
    return Result(
        problem,
        "exact",
        Termination.OPTIMAL if ended.proven else Termination.TIME_LIMIT,
        SolutionStatus.OPTIMAL if ended.proven else SolutionStatus.FEASIBLE,
        ended.best.mapping,
        problem.evaluate(ended.best.mapping),
        bound if ended.proven else at_least(free_bound(problem.layer, problem), bound),
        monotonic() - started,
        programs.log.iterations,
        programs.log.nodes,
        extras={"solves": programs.log.solves},
    )


class _Run:
    """One problem on its way."""

    def __init__(self, problem: Problem, backend: Backend, sieve: Sieve) -> None:
        self.problem, self.backend, self.sieve = problem, backend, sieve
        self.space = Space(problem)
        self.search = Search(self.space, backend.deadline)
        self.rounder = Rounder(self.space, backend.deadline.later(GRACE))

    def solve(self, initial: Mapping | None) -> tuple[_Ended, LowerBound]:
        """The solves that the objective asks for."""
        known = []
        if initial is not None:
            cost = self.problem.evaluate(initial)
            known = [given(initial, cost)] if self.problem.is_feasible(cost) else []
        tick = self.problem.hardware.tick
        match self.problem.objective.kind:
            case Kind.LATENCY:
                ended = self.minimise(LATENCY_FIRST, (LATENCY, TRAFFIC), known)
                return ended, LowerBound(latency_cycles=_over(ended.bound, tick.per_cycle))
            case Kind.TRAFFIC:
                ended = self.minimise(traffic_first(), (TRAFFIC, LATENCY), known)
                return ended, LowerBound(traffic_bytes=_over(ended.bound, 8))
            case Kind.WEIGHTED:
                keys = Key("score", *self.problem.score_weights), LATENCY, TRAFFIC
                ended = self.minimise(weighted(self.problem), keys, known)
                return ended, LowerBound(score=ended.bound)
        fastest = self.minimise(LATENCY_FIRST, (LATENCY,), known)
        cap = self.problem.objective.cap(fastest.best.latency)
        ended = self.minimise(traffic_first(cap), (TRAFFIC, LATENCY), [*known, fastest.best])
        bound = LowerBound(_over(fastest.bound, tick.per_cycle), _over(ended.bound, 8))
        return _Ended(ended.best, ended.bound, ended.proven and fastest.proven), bound

    def minimise(self, goal: Goal, keys: Sequence[Key], known: Sequence[Found]) -> _Ended:
        """One quantity after the other, each among the mappings that are optimal in those before."""
        best = self.rounder.incumbent(goal, known)
        try:
            found = self._candidates(goal, keys[0], best)
        except TimeUp:
            return _Ended(best, None, False)
        bound, proven = keys[0].value(best), True
        for i, key in enumerate(keys):
            if i and _all_alike(found.price):
                for j in range(i, len(keys)):  # one price is left; the incumbent may be none of its mappings
                    best = Stage(self.space, goal, keys[: j + 1], found, best).nearest(best)
                break
            stage = self._few(Stage(self.space, goal, keys[: i + 1], found, best))
            best, low, done = stage.solve(self.backend)
            bound, proven = (low, done) if i == 0 else (bound, proven and done)
            if not done:
                break
            found = found.take(key.no_worse(found.price, best))
        return _Ended(best, bound, proven)

    def _candidates(self, goal: Goal, key: Key, best: Found) -> Candidates:
        """What the incumbent, and the cap, leave."""

        def capped(price: Price) -> Any:
            return np.full(price.latency.shape, True) if goal.cap is None else price.latency <= goal.cap

        def wanted(price: Price) -> Any:
            return capped(price) & key.no_worse(price, best)

        if self.sieve is Sieve.NONE:
            tiles = SpatialTable.join(list(self.space.grid.slabs()))
            cycles = self.space.grid.cycles(tiles)
            return candidates(self.space, tiles, cycles, capped, check=self.search.deadline.check)
        tiles, cycles = self.search.survivors(goal, best)
        exactly = wanted if self.sieve is Sieve.PRICES else capped
        return candidates(self.space, tiles, cycles, wanted, exactly, self.search.deadline.check)

    def _few(self, stage: Stage) -> Stage:
        """Of very many candidates those that are better than the incumbent, and one that is as good.

        Where very many are better, the best of them becomes the incumbent.
        """
        found, best, key = stage.found, stage.best, stage.keys[-1]
        if len(found) <= _MANY or self.sieve is not Sieve.PRICES:
            return stage
        better = key.of(found.price) < float(key.value(best))
        if better.sum() > _MANY:
            best = stage.nearest(best)
            better = key.of(found.price) < float(key.value(best))
        # One that is as good, in all loop orders: the program's table of them holds for the best of these.
        one = np.flatnonzero(~better & key.no_worse(found.price, best))[:1]
        alike = (found.co == found.co[one]) & (found.ci == found.ci[one]) & (found.row == found.row[one])
        few = found.take(better | (alike if len(one) else False))
        return Stage(stage.space, stage.goal, stage.keys, few, best)


def _all_alike(price: Price) -> bool:
    """Whether there is at most one price."""
    return all(len(key) == 0 or bool((key == key[0]).all()) for key in (price.latency, price.traffic))


def _over(bound: Fraction | None, unit: int) -> Fraction | None:
    """A bound in a greater unit."""
    return None if bound is None else floor(bound) / Fraction(unit)
