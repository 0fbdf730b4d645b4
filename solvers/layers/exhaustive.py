"""The optimum over every integer tile size and loop order, by exact search with lossless bounds."""

from __future__ import annotations

from fractions import Fraction
from time import monotonic

from formulation.mapping import Mapping
from formulation.problem import Kind, Problem
from formulation.space.space import Space
from solvers.goals import LATENCY_FIRST, Found, given, traffic_first, weighted
from solvers.layers.search import Outcome, Search
from solvers.result import LowerBound, Result, SolutionStatus, Termination


def solve(
    problem: Problem,
    *,
    initial: Mapping | None = None,
    time_limit: float | None = None,
    method: str = "exhaustive",
) -> Result:
    """The optimal mapping of a problem, within its partition if it has one.

    Args:
        problem: what to solve.
        initial: a known mapping; if it is feasible, the result is never worse.
        time_limit: seconds, after which the incumbent is returned with the bound proven so far.
        method: the name under which the result is reported.

    Returns:
        The optimum; ``INFEASIBLE`` if not even the smallest tile fits.
    """
    started = monotonic()
    if not problem.fits_at_all:
        return Result(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    search = Search(Space(problem), None if time_limit is None else started + time_limit)
    outcome, bound = _GOALS[problem.objective.kind](problem, search, _known(problem, initial))
    if outcome.found is None:
        raise AssertionError("a feasible problem has a mapping within its own cap")
    return Result(
        problem,
        method,
        Termination.OPTIMAL if outcome.proven else Termination.TIME_LIMIT,
        SolutionStatus.OPTIMAL if outcome.proven else SolutionStatus.FEASIBLE,
        outcome.found.mapping,
        problem.evaluate(outcome.found.mapping),
        bound,
        monotonic() - started,
    )


def _known(problem: Problem, initial: Mapping | None) -> list[Found]:
    if initial is None:
        return []
    cost = problem.evaluate(initial)
    return [given(initial, cost)] if problem.is_feasible(cost) else []


def _latency(problem: Problem, search: Search, known: list[Found]) -> tuple[Outcome, LowerBound]:
    outcome = search.minimise(LATENCY_FIRST, known)
    return outcome, LowerBound(latency_cycles=_cycles(problem, outcome))


def _traffic(problem: Problem, search: Search, known: list[Found]) -> tuple[Outcome, LowerBound]:
    outcome = search.minimise(traffic_first(), known)
    return outcome, LowerBound(traffic_bytes=_bytes(outcome))


def _balanced(problem: Problem, search: Search, known: list[Found]) -> tuple[Outcome, LowerBound]:
    """The least latency, then the least traffic within the tolerance of it."""
    fastest = search.minimise(LATENCY_FIRST, known)
    if fastest.found is None:
        raise AssertionError("a feasible problem has a fastest mapping")
    cap = problem.objective.cap(fastest.found.latency)
    outcome = search.minimise(traffic_first(cap), [*known, fastest.found])
    bound = LowerBound(_cycles(problem, fastest), _bytes(outcome))
    return Outcome(outcome.found, outcome.bound, outcome.proven and fastest.proven), bound


def _weighted(problem: Problem, search: Search, known: list[Found]) -> tuple[Outcome, LowerBound]:
    outcome = search.minimise(weighted(problem), known)
    return outcome, LowerBound(score=outcome.bound)


_GOALS = {
    Kind.LATENCY: _latency,
    Kind.TRAFFIC: _traffic,
    Kind.BALANCED: _balanced,
    Kind.WEIGHTED: _weighted,
}


def _cycles(problem: Problem, outcome: Outcome) -> Fraction | None:
    return None if outcome.bound is None else problem.hardware.tick.cycles(int(outcome.bound))


def _bytes(outcome: Outcome) -> Fraction | None:
    return None if outcome.bound is None else Fraction(outcome.bound) / 8
