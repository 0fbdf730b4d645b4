"""The optimum over every mapping with shared ifmap tiles, packings of filters into rounds included."""

from __future__ import annotations

from fractions import Fraction
from time import monotonic
from typing import Any

import numpy as np

from formulation.problem import Kind
from formulation.shared import SharedProblem
from formulation.shared_space import SharedSpace
from formulation.space import Price
from solvers.result import LowerBound, SolutionStatus, Termination
from solvers.search import LATENCY_FIRST, Goal, traffic_first
from solvers.shared_result import SharedResult
from solvers.shared_search import Outcome, SharedSearch


def solve(
    problem: SharedProblem,
    *,
    time_limit: float | None = None,
    rival: Fraction | int | None = None,
    method: str = "exhaustive",
    **options: Any,
) -> SharedResult:
    """The optimal mapping of a shared problem, within its partition if it has one.

    Args:
        problem: what to solve.
        time_limit: seconds, after which the incumbent is returned with the bound proven so far.
        rival: balanced only: latency [ticks] of another way to run the deconvolution, so that the cap is
            ``(1 + tolerance)`` times the lesser of it and the least latency with shared tiles.
        method: the name under which the result is reported.
        options: of other methods, ignored.

    Returns:
        The optimum; ``INFEASIBLE`` if not even the smallest tile fits. Without a mapping but ``OPTIMAL`` if
        none is within the rival's cap.
    """
    del options
    started = monotonic()
    if not problem.fits_at_all:
        return SharedResult(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    search = SharedSearch(SharedSpace(problem), None if time_limit is None else started + time_limit)
    outcome, bound = _search(problem, search, rival)
    found = outcome.found
    status = SolutionStatus.OPTIMAL if outcome.proven else SolutionStatus.FEASIBLE
    return SharedResult(
        problem,
        method,
        Termination.OPTIMAL if outcome.proven else Termination.TIME_LIMIT,
        SolutionStatus.NONE if found is None else status,
        None if found is None else found.mapping,
        None if found is None else problem.evaluate(found.mapping),
        bound,
        monotonic() - started,
        extras={"packings": outcome.packed},
    )


def _search(
    problem: SharedProblem, search: SharedSearch, rival: Fraction | int | None
) -> tuple[Outcome, LowerBound]:
    tick = problem.hardware.tick
    match problem.objective.kind:
        case Kind.LATENCY:
            outcome = search.minimise(LATENCY_FIRST)
            return outcome, LowerBound(latency_cycles=tick.cycles(_whole(outcome)))
        case Kind.TRAFFIC:
            outcome = search.minimise(traffic_first())
            return outcome, LowerBound(traffic_bytes=Fraction(_whole(outcome), 8))
        case Kind.WEIGHTED:
            outcome = search.minimise(_weighted(problem))
            return outcome, LowerBound(score=outcome.bound)
    return _balanced(problem, search, rival)


def _balanced(
    problem: SharedProblem, search: SharedSearch, rival: Fraction | int | None
) -> tuple[Outcome, LowerBound]:
    """The least traffic within the cap over the least latency.

    The least latency may be known between bounds only, as some packing is not settled. That does no harm if
    the answer is the same whichever it is: the best within the upper cap is within the lower one.
    """
    tick, cap = problem.hardware.tick, problem.objective.cap
    for settle in (False, True):
        fastest = search.minimise(LATENCY_FIRST, settle=settle)
        assert fastest.found is not None
        ceiling = fastest.found.latency if rival is None else min(rival, fastest.found.latency)
        floor = _whole(fastest) if rival is None else min(rival, _whole(fastest))
        outcome = search.minimise(traffic_first(cap(ceiling)), fastest.found)
        same = outcome.found is None or outcome.found.latency <= cap(floor)
        if fastest.proven or same:
            break
    traffic = None if outcome.bound is None else Fraction(outcome.bound) / 8
    bound = LowerBound(tick.cycles(_whole(fastest)), traffic)
    proven = outcome.proven and (fastest.proven or same)
    return Outcome(outcome.found, outcome.bound, proven, outcome.packed), bound


def _weighted(problem: SharedProblem) -> Goal:
    per_tick, per_bit = (float(weight) for weight in problem.score_weights)

    def keys(price: Price) -> tuple[Any, ...]:
        score = price.latency.astype(np.float64) * per_tick + price.traffic.astype(np.float64) * per_bit
        return score, price.latency, price.traffic

    return Goal(keys, exact=problem.score)


def _whole(outcome: Outcome) -> int:
    assert outcome.bound is not None
    return int(outcome.bound)
