"""The optimum over every integer tile size and loop order, by exact search with lossless bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from time import monotonic

from formulation.mapping import Mapping
from formulation.problem import Kind, Problem
from formulation.space.space import Space
from solvers.deadline import GRACE, Deadline
from solvers.goals import LATENCY_FIRST, Found, Goal, given, traffic_first, weighted
from solvers.layers.rounding import Rounder
from solvers.layers.search import Outcome, Search
from solvers.result import LowerBound, Result, SolutionStatus, Termination, at_least, free_bound


def solve(
    problem: Problem,
    *,
    initial: Mapping | None = None,
    time_limit: float | Deadline | None = None,
    method: str = "exhaustive",
) -> Result:
    """The optimal mapping of a problem, within its partition if it has one.

    Args:
        problem: what to solve.
        initial: a known mapping; if it is feasible, the result is never worse.
        time_limit: seconds, or a deadline, after which the best mapping so far is returned with what is
            proven of it.
        method: the name under which the result is reported.

    Returns:
        The optimum; ``INFEASIBLE`` if not even the smallest tile fits.
    """
    started = monotonic()
    if not problem.fits_at_all:
        return Result(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    deadline, space = Deadline.of(time_limit), Space(problem)
    run = _Run(Search(space, deadline), Rounder(space, deadline.later(GRACE)), _known(problem, initial))
    outcome, bound = _GOALS[problem.objective.kind](run)
    if outcome.found is None:
        raise AssertionError("a feasible problem has a mapping within its own cap")
    return Result(
        problem,
        method,
        Termination.OPTIMAL if outcome.proven else Termination.TIME_LIMIT,
        SolutionStatus.OPTIMAL if outcome.proven else SolutionStatus.FEASIBLE,
        outcome.found.mapping,
        problem.evaluate(outcome.found.mapping),
        bound if outcome.proven else at_least(free_bound(problem.layer, problem), bound),
        monotonic() - started,
    )


def _known(problem: Problem, initial: Mapping | None) -> list[Found]:
    if initial is None:
        return []
    cost = problem.evaluate(initial)
    return [given(initial, cost)] if problem.is_feasible(cost) else []


@dataclass(frozen=True, slots=True)
class _Run:
    """One problem on its way: a local search comes first, the exact search goes on from what it finds.

    Attributes:
        search: of the whole map space.
        local: the local search.
        known: feasible mappings known from elsewhere.
    """

    search: Search
    local: Rounder
    known: Sequence[Found]

    @property
    def problem(self) -> Problem:
        """The problem."""
        return self.search.space.problem

    def minimise(self, goal: Goal, known: Sequence[Found] = ()) -> Outcome:
        """The optimum of a goal, or by the deadline the best found."""
        known = [*self.known, *known]
        return self.search.minimise(goal, [*known, self.local.incumbent(goal, known)])


def _latency(run: _Run) -> tuple[Outcome, LowerBound]:
    outcome = run.minimise(LATENCY_FIRST)
    return outcome, LowerBound(latency_cycles=_cycles(run.problem, outcome))


def _traffic(run: _Run) -> tuple[Outcome, LowerBound]:
    outcome = run.minimise(traffic_first())
    return outcome, LowerBound(traffic_bytes=_bytes(outcome))


def _balanced(run: _Run) -> tuple[Outcome, LowerBound]:
    """The least latency, then the least traffic within the tolerance of it."""
    fastest = run.minimise(LATENCY_FIRST)
    if fastest.found is None:
        raise AssertionError("a feasible problem has a fastest mapping")
    cap = run.problem.objective.cap(fastest.found.latency)
    outcome = run.minimise(traffic_first(cap), [fastest.found])
    bound = LowerBound(_cycles(run.problem, fastest), _bytes(outcome))
    return Outcome(outcome.found, outcome.bound, outcome.proven and fastest.proven), bound


def _weighted(run: _Run) -> tuple[Outcome, LowerBound]:
    outcome = run.minimise(weighted(run.problem))
    return outcome, LowerBound(score=outcome.bound)


_GOALS: dict[Kind, Callable[[_Run], tuple[Outcome, LowerBound]]] = {
    Kind.LATENCY: _latency,
    Kind.TRAFFIC: _traffic,
    Kind.BALANCED: _balanced,
    Kind.WEIGHTED: _weighted,
}


def _cycles(problem: Problem, outcome: Outcome) -> Fraction | None:
    return None if outcome.bound is None else problem.hardware.tick.cycles(int(outcome.bound))


def _bytes(outcome: Outcome) -> Fraction | None:
    return None if outcome.bound is None else Fraction(outcome.bound) / 8
