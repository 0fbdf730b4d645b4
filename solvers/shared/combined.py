"""The best mapping within one of several static partitions, then improved and bounded by the relaxation."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

from formulation.mapping import Partition
from formulation.pricing.price import Cost
from formulation.shared.problem import SharedMapping, SharedProblem
from solvers.backends.registry import DEFAULT_MILP
from solvers.result import SolutionStatus
from solvers.shared import constrained, exhaustive
from solvers.shared.result import SharedResult

_RATIOS = ((3, 3, 4), (1, 1, 1), (4, 1, 1), (1, 4, 1), (1, 1, 4))


def solve(
    problem: SharedProblem,
    *,
    initial: SharedMapping | None = None,
    time_limit: float | None = None,
    start: Partition | None = None,
    exact_after: bool = False,
    backend: str = DEFAULT_MILP,
    dump_models: Path | str | None = None,
    name: str | None = None,
    method: str = "combined",
) -> SharedResult:
    """A mapping no worse than the best static one of a few partitions, with a proven lower bound.

    Args:
        problem: what to solve; a partition that it gives is the only one.
        initial: a known mapping; if it is feasible, the result is never worse.
        time_limit: seconds.
        start: a partition to try before the built-in ones.
        exact_after: whether to go on to the exact method; its answer is taken if it is proven.
        backend: with ``exact_after``, the programs' solver, one of ``solvers.backends.MILP``.
        dump_models: folder for the models' files; None for none.
        name: of the problem in their names; the deconvolution's if None.
        method: the name under which the result is reported.
    """
    started = monotonic()

    def left(share: float = 1.0) -> float | None:
        return None if time_limit is None else max(0.0, share * time_limit - (monotonic() - started))

    hardware = problem.hardware
    partitions = [Partition.from_ratio(r, hardware.buffer_bits, hardware.bank_bits) for r in _RATIOS]
    if start is not None:
        partitions.insert(0, start)
    if problem.partition is not None:
        partitions = [problem.partition]
    results = []
    for partition in dict.fromkeys(partitions):
        results.append(exhaustive.solve(replace(problem, partition=partition), time_limit=left(0.5)))
    given = _best(problem, results)
    known = [m for m in (None if given is None else given.mapping, initial) if m is not None]
    models: dict[str, Any] = {"dump_models": dump_models, "name": name}
    result = constrained.solve(
        problem, initial=_first(problem, known), time_limit=left(), method=method, **models
    )
    if exact_after:
        from solvers.shared import exact

        proof = exact.solve(problem, time_limit=left(), backend=backend, method=method, **models)
        if proof.solution_status is SolutionStatus.OPTIMAL:
            result = replace(proof, relaxed=result.relaxed)
    static = {} if given is None or given.problem.partition is None else _static(given)
    return replace(result, seconds=monotonic() - started, extras={**result.extras, **static})


def _first(problem: SharedProblem, mappings: list[SharedMapping]) -> SharedMapping | None:
    """The best of the mappings that fit, by the objective; of equals the first."""
    priced = [(m, problem.evaluate(m)) for m in mappings]
    fit = [(m, cost) for m, cost in priced if problem.is_feasible(cost)]
    return min(fit, key=lambda pair: _keys(problem, pair[1], [c for _, c in fit]))[0] if fit else None


def _best(problem: SharedProblem, results: list[SharedResult]) -> SharedResult | None:
    """The best static answer: by the objective, balanced by traffic within the cap of the fastest."""
    found = {r.problem.partition: (r, r.cost) for r in results if r.cost is not None}
    costs = [cost for _, cost in found.values()]
    return min(found.values(), key=lambda pair: _keys(problem, pair[1], costs))[0] if found else None


def _keys(problem: SharedProblem, cost: Cost, among: list[Cost]) -> tuple[Fraction | int | bool, ...]:
    """What a mapping is compared by; if latency is capped, those within the cap over the fastest first."""
    late = False
    if problem.objective.capped:
        late = cost.latency_ticks > problem.objective.cap(min(other.latency_ticks for other in among))
    return late, *problem.values(problem.price(cost))


def _static(given: SharedResult) -> dict[str, object]:
    assert given.cost is not None
    assert given.problem.partition is not None
    return {
        "static_partition_bytes": [part // 8 for part in given.problem.partition.parts],
        "static_latency_ticks": given.cost.latency_ticks,
        "static_traffic_bits": given.cost.traffic_bits,
    }
