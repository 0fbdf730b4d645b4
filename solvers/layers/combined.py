"""From the best static mapping on: an initial point and an incumbent for what proves more.

The best mappings within a few partitions of the buffer (the given one, the middle, and the corner of each
tensor) are found by the exhaustive search, the best of them is refined and bounded by the relaxation, and on
request the mixed-integer program starts from what that leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

from formulation.mapping import Mapping, Partition
from formulation.problem import Problem
from solvers.backends.deadline import Deadline
from solvers.backends.registry import DEFAULT_MILP
from solvers.layers import constrained, static
from solvers.result import Result, SolutionStatus, Termination, at_least, number, partition_dict

_MIDDLE = (1, 1, 1)
_CORNERS = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_STATIC_SHARE = 0.5  # of the time limit, for all static starts together


def solve(
    problem: Problem,
    *,
    initial: Mapping | None = None,
    time_limit: float | None = None,
    start: Partition | None = None,
    exact_after: bool = False,
    compare_start: bool = False,
    backend: str = DEFAULT_MILP,
    dump_models: Path | str | None = None,
    name: str | None = None,
) -> Result:
    """A mapping that is never worse than the best one within several partitions, with a proven bound.

    Args:
        problem: what to solve; if its partition is given, that is the only start.
        initial: a known mapping; if it is feasible, the result is never worse.
        time_limit: seconds for everything, half of it at most for the starts.
        start: a partition to start from, beside the middle and the corners.
        exact_after: whether to go on to the mixed-integer program, with the mapping as its start.
        compare_start: with ``exact_after``, whether to solve the program without the start as well, to
            record what the start is worth; takes that much longer.
        backend: with ``exact_after``, the program's solver, one of ``solvers.backends.MILP``.
        dump_models: folder for the models' files; None for none.
        name: of the problem in their names; the layer's if None.

    Returns:
        The best mapping; ``INFEASIBLE`` if not even the smallest tile fits. ``extras`` has those of the
        method constrained, ``starts`` with each partition and its optimum, ``start`` with the position of
        the best of them, and after the exact method ``solves`` and ``exact``: whether the solver took the
        start in each program, iterations, nodes and seconds, with ``compare_start`` also without the start.
    """
    started = monotonic()
    if not problem.fits_at_all:
        return Result(problem, "combined", Termination.INFEASIBLE, SolutionStatus.NONE)
    deadline = None if time_limit is None else started + time_limit
    starts = _static_starts(problem, start, initial, time_limit)
    models: dict[str, Any] = {"dump_models": dump_models, "name": name}
    mapping = _best(problem, starts, initial)
    result = constrained.solve(
        problem, initial=mapping, time_limit=_left(deadline), method="combined", **models
    )
    result = _within_cap(result, starts, mapping)
    if problem.partition is not None:
        result = _tightened(result, starts.results[0])
    result = replace(result, extras={**result.extras, **starts.extras(mapping)})
    if exact_after:
        result = _exactly(result, deadline, compare_start, backend, models)
    return replace(result, seconds=monotonic() - started)


@dataclass(frozen=True, slots=True)
class _Starts:
    """The optimum of each starting partition."""

    results: tuple[Result, ...]

    @property
    def least_latency(self) -> int:
        """The least latency that a mapping in one of them is known to have [ticks]."""
        least = []
        for result in self.results:
            assert result.cost is not None
            known, bound = result.cost.latency_ticks, result.lower_bound.latency_cycles
            if result.solution_status is SolutionStatus.OPTIMAL and bound is not None:
                known = min(known, int(Fraction(bound) * result.problem.hardware.tick.per_cycle))
            least.append(known)
        return min(least)

    def extras(self, best: Mapping) -> dict[str, object]:
        """What they are and what they cost, as plain values."""
        rows = []
        for result in self.results:
            assert result.cost is not None
            assert result.problem.partition is not None
            rows.append(
                {
                    "partition_bytes": partition_dict(result.problem.partition),
                    "latency_cycles": number(result.cost.latency_cycles),
                    "traffic_bytes": number(result.cost.traffic_bytes),
                }
            )
        mappings = [result.mapping for result in self.results]
        return {"starts": rows, "start": mappings.index(best) if best in mappings else None}


def starting_partitions(problem: Problem, start: Partition | None) -> tuple[Partition, ...]:
    """Distinct partitions to start from, all of them holding at least the smallest tile.

    The problem's own if it is given. Else ``start``, the middle (a third for each tensor), and for each
    tensor the corner where the other two have what the smallest tile needs. One that is too small for that is
    replaced by the smallest tile's need and the same shares of what that leaves.
    """
    if problem.partition is not None:
        return (problem.partition,)
    machine, need = problem.hardware, problem.smallest_need()
    ratios = [*([start.parts] if start else []), _MIDDLE, *_CORNERS]
    found = []
    for ratio in ratios:
        whole = Partition.from_ratio(ratio, machine.buffer_bits, machine.bank_bits)
        if not replace(problem, partition=whole).fits_at_all:
            rest = Partition.from_ratio(ratio, machine.buffer_bits - need.total, machine.bank_bits)
            pairs = zip(need.parts, rest.parts, strict=True)
            whole = Partition(*(least + more for least, more in pairs))
        found.append(whole)
    return tuple(dict.fromkeys(found))


def _static_starts(
    problem: Problem, start: Partition | None, initial: Mapping | None, time_limit: float | None
) -> _Starts:
    """The optimum of each partition, each search beginning with what the ones before it found.

    Once the starts' share of the time is over, those that are left are left out.
    """
    parts, share = starting_partitions(problem, start), Deadline.of(time_limit).after(_STATIC_SHARE)
    limit = None if time_limit is None else _STATIC_SHARE * time_limit / len(parts)
    results: list[Result] = []
    for part in parts:
        if results and share.passed:
            break
        inside = replace(problem, partition=part)
        known = list(_feasible(inside, [initial, *(r.mapping for r in results)]))
        best = min(known, key=lambda m: _keys(inside, m), default=None)
        results.append(static.solve(inside, initial=best, time_limit=limit))
    return _Starts(tuple(results))


def _feasible(problem: Problem, mappings: list[Mapping | None]) -> Iterator[Mapping]:
    return (m for m in mappings if m is not None and problem.is_feasible(problem.evaluate(m)))


def _keys(problem: Problem, mapping: Mapping, cap: int | None = None) -> tuple[Fraction | int | bool, ...]:
    """What mappings are compared by; those within the cap come first."""
    price = problem.price(problem.evaluate(mapping))
    return cap is not None and price.latency > cap, *problem.values(price)


def _best(problem: Problem, starts: _Starts, initial: Mapping | None) -> Mapping:
    """The best of the static optima and the known mapping."""
    mappings = list(_feasible(problem, [*(result.mapping for result in starts.results), initial]))
    cap = None
    if problem.objective.capped:
        latencies = [problem.evaluate(m).latency_ticks for m in mappings]
        cap = problem.cap(min(starts.least_latency, *latencies))
    return min(mappings, key=lambda m: _keys(problem, m, cap))


def _within_cap(result: Result, starts: _Starts, mapping: Mapping) -> Result:
    """The result, or its start if a faster static mapping than it knew of puts it above the latency cap.

    Its bounds stay: they hold for all mappings up to a higher cap.
    """
    problem = result.problem
    if not problem.objective.capped or result.cost is None:
        return result
    if result.cost.latency_ticks <= problem.cap(starts.least_latency):
        return result
    return replace(
        result,
        solution_status=SolutionStatus.FEASIBLE,
        mapping=mapping,
        cost=problem.evaluate(mapping),
    )


def _tightened(result: Result, proof: Result) -> Result:
    """The result with the greater of two proven bounds, optimal if the other proof says so of its cost."""
    known, better = result.lower_bound, proof.lower_bound.proven
    names = {m.claim: m.name for step in result.problem.steps for m in step.measures[:1]}
    greater = {names[c] for c, low in better.items() if c in names and low > known.proven.get(c, -1)}
    origins = {name: origin for name, origin in proof.bound_from.items() if name in greater}
    result = replace(
        result,
        lower_bound=at_least(known, proof.lower_bound),
        bound_from={**result.bound_from, **origins},
    )
    if proof.solution_status is SolutionStatus.OPTIMAL and result.objective_value == proof.objective_value:
        return replace(result, termination=Termination.OPTIMAL, solution_status=SolutionStatus.OPTIMAL)
    return result


def _exactly(
    result: Result, deadline: float | None, compare: bool, backend: str, models: dict[str, Any]
) -> Result:
    """Go on to the mixed-integer program from the result's mapping."""
    from solvers.layers import exact

    after = exact.solve(
        result.problem, initial=result.mapping, time_limit=_left(deadline), backend=backend, **models
    )
    record = _record(after)
    if compare:
        record["without_start"] = _record(
            exact.solve(result.problem, time_limit=_left(deadline), backend=backend)
        )
    iterations = (result.iterations or 0) + (after.iterations or 0)
    final = replace(after, method="combined", iterations=iterations, relaxed=result.relaxed)
    if after.solution_status is not SolutionStatus.OPTIMAL:
        final = _tightened(final, result)
    return replace(final, extras={**result.extras, **after.extras, "exact": record})


def _record(result: Result) -> dict[str, Any]:
    """What a solve of the program took, as plain values."""
    solves = result.extras.get("solves")
    return {
        "start_accepted": {s["stage"]: s["start_accepted"] for s in solves}
        if isinstance(solves, list)
        else {},
        "iterations": result.iterations,
        "nodes": result.nodes,
        "seconds": round(result.seconds, 6),
    }


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - monotonic())
