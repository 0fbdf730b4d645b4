"""The best mapping within one of several static partitions, then improved and bounded by the relaxation."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import Any

from formulation.mapping import Partition
from formulation.problem import Kind
from formulation.shared.problem import SharedProblem
from solvers.backends import DEFAULT_MILP
from solvers.result import SolutionStatus
from solvers.shared import constrained as shared_constrained
from solvers.shared import exact as shared_exact
from solvers.shared import exhaustive as shared_exhaustive
from solvers.shared.result import SharedResult

_RATIOS = ((3, 3, 4), (1, 1, 1), (4, 1, 1), (1, 4, 1), (1, 1, 4))


def solve(
    problem: SharedProblem,
    *,
    start: Partition | None = None,
    time_limit: float | None = None,
    rival: int | None = None,
    aside: int = 0,
    exact_after: bool = False,
    backend: str = DEFAULT_MILP,
    method: str = "combined",
    **options: Any,
) -> SharedResult:
    """A mapping no worse than the best static one of a few partitions, with a proven lower bound.

    Args:
        problem: what to solve; a partition that it gives is the only one.
        start: a partition to try before the built-in ones.
        time_limit: seconds.
        rival: as of ``shared_exhaustive.solve``.
        aside: as of ``shared_exhaustive.solve``.
        exact_after: whether to go on to the exact method; its answer is taken if it is proven.
        backend: with ``exact_after``, the programs' solver, one of ``solvers.backends.MILP``.
        method: the name under which the result is reported.
        options: of ``shared_constrained.solve``, and of ``shared_exact.solve`` after it.
    """
    started = monotonic()
    hardware = problem.hardware
    partitions = [Partition.from_ratio(r, hardware.buffer_bits, hardware.bank_bits) for r in _RATIOS]
    if start is not None:
        partitions.insert(0, start)
    if problem.partition is not None:
        partitions = [problem.partition]
    results = []
    for partition in dict.fromkeys(partitions):
        left = None if time_limit is None else max(0.0, time_limit / 2 - (monotonic() - started))
        within = replace(problem, partition=partition)
        results.append(shared_exhaustive.solve(within, time_limit=left, rival=rival, aside=aside))
    given = _best(problem, results)
    left = None if time_limit is None else max(0.0, time_limit - (monotonic() - started))
    options.pop("initial", None)
    result = shared_constrained.solve(
        problem,
        initial=None if given is None else given.mapping,
        time_limit=left,
        rival=rival,
        aside=aside,
        method=method,
        **options,
    )
    if exact_after:
        left = None if time_limit is None else max(0.0, time_limit - (monotonic() - started))
        exact = shared_exact.solve(
            problem,
            time_limit=left,
            rival=rival,
            aside=aside,
            backend=backend,
            method=method,
            **options,
        )
        result = exact if exact.solution_status is SolutionStatus.OPTIMAL else result
    static = {} if given is None or given.problem.partition is None else _static(given)
    return replace(result, seconds=monotonic() - started, extras={**result.extras, **static})


def _best(problem: SharedProblem, results: list[SharedResult]) -> SharedResult | None:
    """The best static answer: by the objective, balanced by traffic within the cap of the fastest."""
    found = [r for r in results if r.cost is not None]
    if not found:
        return None

    def keys(r: SharedResult) -> tuple[Any, ...]:
        assert r.cost is not None
        latency, bits = r.cost.latency_ticks, r.cost.traffic_bits
        match problem.objective.kind:
            case Kind.LATENCY:
                return latency, bits
            case Kind.WEIGHTED:
                return problem.score(latency, bits), latency, bits
            case Kind.TRAFFIC:
                return bits, latency
        return latency > cap, bits, latency

    cap = problem.objective.cap(min(r.cost.latency_ticks for r in found if r.cost is not None))
    return min(found, key=keys)


def _static(given: SharedResult) -> dict[str, object]:
    assert given.cost is not None
    assert given.problem.partition is not None
    return {
        "static_partition_bytes": [part // 8 for part in given.problem.partition.parts],
        "static_latency_ticks": given.cost.latency_ticks,
        "static_traffic_bits": given.cost.traffic_bits,
    }
