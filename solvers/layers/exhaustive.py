"""The optimum over every integer tile size and loop order, by exact search with lossless bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from formulation.mapping import Group, Mapping
from formulation.problem import Problem
from formulation.space.space import Space
from formulation.space.streamed import streamed_spaces
from solvers.backends.deadline import GRACE, Deadline
from solvers.goals import Goal, LayerFound, Outcome, claimed, known, sources, staged
from solvers.layers.rounding import Rounder
from solvers.layers.search import Search
from solvers.result import Result, SolutionStatus, Termination, at_least, free_bound


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
    cuts = sorted(streamed_spaces(space), key=lambda each: each.cut is Group.SP)  # those of most pairs last
    searches = [Search(each, deadline) for each in cuts]
    search = Search(space, deadline)

    def minimise(goal: Goal, mappings: Sequence[LayerFound], last: bool) -> Outcome[Mapping]:
        """The exact search; if its time is up, a local search goes on from the best that is known."""
        outcome = _streamed(goal, searches, search.minimise(goal, mappings))
        if outcome.proven:
            return outcome
        local = Rounder(space, deadline.later(GRACE))
        begun = [found for found in (outcome.found, local.smallest(goal)) if found is not None]
        if not begun:
            return outcome
        return replace(outcome, found=local.improve(goal, min(begun, key=lambda found: found.order)))

    outcomes = staged(problem, minimise, known(problem, initial))
    found, proven = outcomes[-1].found, all(outcome.proven for outcome in outcomes)
    bound = claimed(problem, outcomes)
    if found is None:
        raise AssertionError("a feasible problem has a mapping within its own cap")
    return Result(
        problem,
        method,
        Termination.OPTIMAL if proven else Termination.TIME_LIMIT,
        SolutionStatus.OPTIMAL if proven else SolutionStatus.FEASIBLE,
        found.mapping,
        problem.evaluate(found.mapping),
        bound if proven else at_least(free_bound(problem), bound),
        monotonic() - started,
        bound_from=sources(problem, outcomes),
    )


def _streamed(goal: Goal, searches: Sequence[Search], outcome: Outcome[Mapping]) -> Outcome[Mapping]:
    """What is found if tiles may be cut as well: better than all that are not, or the same."""
    for search in searches:
        found = [] if outcome.found is None else [outcome.found]
        more = search.minimise(goal, found)
        bounds = [b for b in (outcome.bound, more.bound) if b is not None]
        bound = min(bounds) if len(bounds) == 2 else None
        outcome = Outcome(more.found or outcome.found, bound, outcome.proven and more.proven)
    return outcome
