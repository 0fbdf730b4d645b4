"""The optimum over every mapping with shared ifmap tiles, packings of filters into rounds included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from formulation.shared.problem import SharedMapping, SharedProblem
from formulation.shared.space import SharedSpace
from solvers.goals import Goal, Outcome, claimed, sources, staged
from solvers.result import SolutionStatus, Termination
from solvers.shared.candidates import SharedFound
from solvers.shared.result import SharedResult
from solvers.shared.search import SharedSearch


def solve(
    problem: SharedProblem, *, time_limit: float | None = None, method: str = "exhaustive"
) -> SharedResult:
    """The optimal mapping of a shared problem, within its partition if it has one.

    Args:
        problem: what to solve.
        time_limit: seconds, after which the incumbent is returned with the bound proven so far. Branch and
            bound of packings has a limit of its own, ``ITERATION_LIMIT``.
        method: the name under which the result is reported.

    Returns:
        The optimum; ``INFEASIBLE`` if not even the smallest tile fits. Without a mapping but ``OPTIMAL`` if
        none is within the rival's cap.
    """
    return run(problem, SharedSearch, time_limit, method)


def run(
    problem: SharedProblem,
    kind: Callable[[SharedSpace, float | None], SharedSearch],
    time_limit: float | None,
    method: str,
) -> SharedResult:
    """The answer of one kind of search to a shared problem; arguments as of ``solve``."""
    started = monotonic()
    if not problem.fits_at_all:
        return SharedResult(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    search = kind(SharedSpace(problem), None if time_limit is None else started + time_limit)
    outcomes, enough = _outcomes(problem, search)
    found, proven = outcomes[-1].found, outcomes[-1].proven and enough
    fastest = outcomes[-2].found if problem.objective.capped else None
    status = SolutionStatus.OPTIMAL if proven else SolutionStatus.FEASIBLE
    timed_out = search.deadline is not None and monotonic() > search.deadline
    late = Termination.TIME_LIMIT if timed_out else Termination.ITERATION_LIMIT
    return SharedResult(
        problem,
        method,
        Termination.OPTIMAL if proven else late,
        SolutionStatus.NONE if found is None else status,
        None if found is None else found.mapping,
        None if found is None else problem.evaluate(found.mapping),
        claimed(problem, outcomes),
        monotonic() - started,
        extras={"packings": search.packed, **search.extras()},
        bound_from=sources(problem, outcomes),
        least_latency=None if fastest is None else fastest.price.latency,
    )


def _outcomes(problem: SharedProblem, search: SharedSearch) -> tuple[list[Outcome[SharedMapping]], bool]:
    """The steps of the objective, and whether those before the last are known well enough.

    A latency that caps the next step may be known between bounds only, as some packing is not settled. That
    does no harm if the answer is the same whichever it is: the best within the upper cap is within the lower
    one. Otherwise all is settled.
    """
    outcomes: list[Outcome[SharedMapping]] = []
    enough = False
    for settle in (False, True):

        def minimise(
            goal: Goal, known: Sequence[SharedFound], last: bool, settle: bool = settle
        ) -> Outcome[SharedMapping]:
            return search.minimise(goal, known, settle=settle or last)

        search.packed = 0
        outcomes = staged(problem, minimise)
        enough = all(one.proven or _within(problem, one, outcomes[-1]) for one in outcomes[:-1])
        if enough:
            break
    return outcomes, enough


def _within(problem: SharedProblem, fastest: Outcome[SharedMapping], last: Outcome[SharedMapping]) -> bool:
    """Whether what was found is within the cap over the least latency that is possible."""
    if last.found is None:
        return True
    assert fastest.bound is not None
    return bool(last.found.price.latency <= problem.cap(int(fastest.bound)))
