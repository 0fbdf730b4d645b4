"""The optimum over every mapping with shared ifmap tiles, packings of filters into rounds included."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from time import monotonic
from typing import Any

from formulation.problem import Kind
from formulation.shared.problem import SharedProblem
from formulation.shared.space import SharedSpace
from solvers.goals import LATENCY_FIRST, traffic_first, weighted
from solvers.result import LowerBound, SolutionStatus, Termination
from solvers.shared.candidates import Outcome
from solvers.shared.result import SharedResult
from solvers.shared.search import SharedSearch


def solve(
    problem: SharedProblem,
    *,
    time_limit: float | None = None,
    rival: int | None = None,
    aside: int = 0,
    method: str = "exhaustive",
    **options: Any,
) -> SharedResult:
    """The optimal mapping of a shared problem, within its partition if it has one.

    Args:
        problem: what to solve.
        time_limit: seconds, after which the incumbent is returned with the bound proven so far. Branch and
            bound of packings has a limit of its own, ``ITERATION_LIMIT``.
        rival: balanced only: latency [ticks] of another way to run the deconvolution, so that the cap is
            ``(1 + tolerance)`` times the lesser of it and the least latency with shared tiles.
        aside: balanced only: latency [ticks] that comes on top of both, and counts in the cap.
        method: the name under which the result is reported.
        options: of other methods, ignored.

    Returns:
        The optimum; ``INFEASIBLE`` if not even the smallest tile fits. Without a mapping but ``OPTIMAL`` if
        none is within the rival's cap.
    """
    del options
    return run(problem, SharedSearch, time_limit, rival, aside, method)


def run(
    problem: SharedProblem,
    kind: Callable[[SharedSpace, float | None], SharedSearch],
    time_limit: float | None,
    rival: int | None,
    aside: int,
    method: str,
) -> SharedResult:
    """The answer of one kind of search to a shared problem; arguments as of ``solve``."""
    started = monotonic()
    if not problem.fits_at_all:
        return SharedResult(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    search = kind(SharedSpace(problem), None if time_limit is None else started + time_limit)
    least = None
    if problem.objective.kind is Kind.BALANCED:
        outcome, bound, least = _balanced(problem, search, rival, aside)
    else:
        outcome, bound = _search(problem, search)
    found = outcome.found
    extras: dict[str, object] = {"packings": outcome.packed, **search.extras()}
    if least is not None:
        extras["least_latency_ticks"] = least
    status = SolutionStatus.OPTIMAL if outcome.proven else SolutionStatus.FEASIBLE
    timed_out = search.deadline is not None and monotonic() > search.deadline
    late = Termination.TIME_LIMIT if timed_out else Termination.ITERATION_LIMIT
    return SharedResult(
        problem,
        method,
        Termination.OPTIMAL if outcome.proven else late,
        SolutionStatus.NONE if found is None else status,
        None if found is None else found.mapping,
        None if found is None else problem.evaluate(found.mapping),
        bound,
        monotonic() - started,
        extras=extras,
    )


def _search(problem: SharedProblem, search: SharedSearch) -> tuple[Outcome, LowerBound]:
    tick = problem.hardware.tick
    match problem.objective.kind:
        case Kind.LATENCY:
            outcome = search.minimise(LATENCY_FIRST)
            return outcome, LowerBound(latency_cycles=tick.cycles(_whole(outcome)))
        case Kind.TRAFFIC:
            outcome = search.minimise(traffic_first())
            return outcome, LowerBound(traffic_bytes=Fraction(_whole(outcome), 8))
        case _:
            outcome = search.minimise(weighted(problem))
            return outcome, LowerBound(score=outcome.bound)


def _balanced(
    problem: SharedProblem, search: SharedSearch, rival: int | None, aside: int
) -> tuple[Outcome, LowerBound, int]:
    """The least traffic within the cap over the least latency; and the least latency known.

    The least latency may be known between bounds only, as some packing is not settled. That does no harm if
    the answer is the same whichever it is: the best within the upper cap is within the lower one.
    """

    def cap(latency: int) -> int:
        least = latency if rival is None else min(rival, latency)
        return problem.objective.cap(least + aside) - aside

    for settle in (False, True):
        fastest = search.minimise(LATENCY_FIRST, settle=settle)
        assert fastest.found is not None
        least = fastest.found.latency
        outcome = search.minimise(traffic_first(cap(least)), fastest.found)
        same = outcome.found is None or outcome.found.latency <= cap(_whole(fastest))
        if fastest.proven or same:
            break
    traffic = None if outcome.bound is None else Fraction(outcome.bound) / 8
    bound = LowerBound(problem.hardware.tick.cycles(_whole(fastest)), traffic)
    proven = outcome.proven and (fastest.proven or same)
    found = Outcome(outcome.found, outcome.bound, proven, outcome.packed + fastest.packed)
    return found, bound, least


def _whole(outcome: Outcome) -> int:
    assert outcome.bound is not None
    return int(outcome.bound)
