"""``combine``: a deconvolution run the better of two ways, with shared ifmap tiles or split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from time import monotonic
from typing import Any

from dnns.layer import Deconvolution
from formulation.deconv import Treatment, split, unique_layers
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.problem import Kind, Objective, Problem
from formulation.shared.problem import SharedProblem, SubKernels
from solvers.methods import solver
from solvers.result import LowerBound, Result, SolutionStatus, Termination
from solvers.shared.deconvolution_result import DeconvolutionResult, KernelRow, Total, proven
from solvers.shared.methods import solve
from solvers.shared.result import SharedResult

__all__ = ["DeconvolutionResult", "KernelRow", "Parts", "Total", "combine", "solve_split"]

Parts = Sequence[tuple[Result, int]]
"""Results of the distinct sub-convolutions, each with how many of them there are."""


def solve_split(
    deconv: Deconvolution,
    hardware: Hardware,
    objective: Objective,
    partition: Partition | None = None,
    *,
    method: str = "exhaustive",
    **options: Any,
) -> tuple[tuple[Result, int], ...]:
    """Each distinct sub-convolution optimised on its own, with how many of them there are.

    ``name``, of files, is that of the deconvolution; the sub-convolution's is added to it.
    """
    solve_part, name = solver(method), options.pop("name", None)
    results = []
    for y, same in unique_layers(split(deconv)):
        problem = Problem(replace(y, name="", count=1), hardware, objective, partition)
        named = {} if name is None else {"name": f"{name}-{same[0].name}"}
        results.append((solve_part(problem, **options, **named), len(same)))
    return tuple(results)


def combine(
    deconv: Deconvolution,
    hardware: Hardware,
    objective: Objective,
    partition: Partition | None = None,
    *,
    method: str = "exhaustive",
    split_results: Parts | None = None,
    time_limit: float | None = None,
    **options: Any,
) -> DeconvolutionResult:
    """The better of shared ifmap tiles and of ``split`` under the objective.

    Sub-kernels without taps cost the same in both: the transfer of their zeros. Balanced: L* is the lesser
    of the least latency with shared tiles and of the sum of the sub-convolutions' least latencies, and
    both ways must be within ``(1 + tolerance) * L*``. ``split`` is what it is by itself, every
    sub-convolution within the cap of its own; its sum may exceed the cap, and then it is out.

    Args:
        deconv: the deconvolution; one run of it.
        hardware: the machine.
        objective: what is minimised.
        partition: the buffer's parts if they are given.
        method: of the shared problem, and of the split ones if they are to be solved.
        split_results: the sub-convolutions' results with how many each stands for; solved here if None.
        time_limit: seconds for each problem.
        options: of the method.
    """
    if split_results is None:
        split_results = solve_split(
            deconv, hardware, objective, partition, method=method, time_limit=time_limit, **options
        )
    parts, kernels = tuple(split_results), SubKernels(deconv)
    zero_bits = kernels.zero_words * hardware.bits.ofmap
    aside = Total(zero_bits * hardware.tick.per_bit, zero_bits)
    apart = _split_total(parts, aside)
    started, shared = monotonic(), None
    if kernels.layers:
        problem = SharedProblem(replace(deconv, name="", count=1), hardware, objective, partition)
        rival = None if apart is None else _least_latency(parts)
        shared = solve(
            problem, method=method, time_limit=time_limit, rival=rival, aside=aside.latency, **options
        )
    together = None
    if shared is not None and shared.cost is not None:
        cost = shared.cost
        together = Total(cost.latency_ticks + aside.latency, cost.traffic_bits + aside.traffic)
    choice, total = _better(objective, shared, parts, together, apart, aside)
    return DeconvolutionResult(
        deconv,
        hardware,
        objective,
        partition,
        method.lower(),
        choice,
        shared,
        parts,
        total,
        apart,
        together,
        _bound(hardware, objective, shared, parts, apart, aside),
        monotonic() - started,
    )


def _split_total(parts: Parts, aside: Total) -> Total | None:
    """Sums over all sub-convolutions; None unless all have a mapping."""
    latency, bits = aside.latency, aside.traffic
    for result, count in parts:
        if result.cost is None:
            return None
        latency += count * result.cost.latency_ticks
        bits += count * result.cost.traffic_bits
    return Total(latency, bits)


def _least_latency(parts: Parts) -> int:
    """The sum of the least latencies that the sub-convolutions are known to have [ticks]."""
    total = 0
    for result, count in parts:
        assert result.cost is not None
        least, bound = result.cost.latency_ticks, result.lower_bound.latency_cycles
        if result.solution_status is SolutionStatus.OPTIMAL and bound is not None:
            least = min(least, ceil(Fraction(bound) * result.problem.hardware.tick.per_cycle))
        total += count * least
    return total


def _better(
    objective: Objective,
    shared: SharedResult | None,
    parts: Parts,
    together: Total | None,
    apart: Total | None,
    aside: Total,
) -> tuple[Treatment, Total | None]:
    """The choice and its total; split if both are equal."""
    if shared is None or together is None:
        return Treatment.SPLIT, apart
    if apart is None:
        return Treatment.COMBINE, together
    ways = {Treatment.SPLIT: apart, Treatment.COMBINE: together}
    if objective.kind is Kind.BALANCED:
        least = shared.extras["least_latency_ticks"]
        assert isinstance(least, int)
        cap = objective.cap(min(least, _least_latency(parts)) + aside.latency)
        ways = {way: total for way, total in ways.items() if total.latency <= cap} or ways

    def keys(total: Total) -> tuple[Fraction | int, ...]:
        if objective.kind is Kind.LATENCY:
            return total.latency, total.traffic
        if objective.kind is Kind.WEIGHTED:
            return shared.problem.score(total.latency, total.traffic), total.latency, total.traffic
        return total.traffic, total.latency

    return min(ways.items(), key=lambda way: keys(way[1]))


def _bound(
    hardware: Hardware,
    objective: Objective,
    shared: SharedResult | None,
    parts: Parts,
    apart: Total | None,
    aside: Total,
) -> LowerBound:
    """The lesser of the two ways' bounds; None where one is not proven."""
    latencies = [
        _sum([(r.lower_bound.latency_cycles, n) for r, n in parts], hardware.tick.cycles(aside.latency))
    ]
    traffics = [_sum([(r.lower_bound.traffic_bytes, n) for r, n in parts], Fraction(aside.traffic, 8))]
    scores: list[Fraction | float | None] = [None]
    if apart is None and all(proven(r) for r, _ in parts):  # no way at all
        latencies, traffics, scores = [], [], []
    if shared is not None and shared.termination is not Termination.INFEASIBLE:
        proof = shared.lower_bound
        latencies.append(_sum([(proof.latency_cycles, 1)], hardware.tick.cycles(aside.latency)))
        if not (shared.mapping is None and proven(shared)):
            traffics.append(_sum([(proof.traffic_bytes, 1)], Fraction(aside.traffic, 8)))
        if objective.kind is Kind.WEIGHTED:
            score = shared.problem.score
            if apart is not None and all(proven(r) for r, _ in parts):
                scores = [score(apart.latency, apart.traffic)]
            scores.append(_sum([(proof.score, 1)], score(aside.latency, aside.traffic)))
    return LowerBound(_least(latencies), _least(traffics), _least(scores))


def _sum(bounds: Sequence[tuple[Fraction | float | None, int]], more: Fraction) -> Fraction | None:
    total = more
    for bound, count in bounds:
        if bound is None:
            return None
        total += count * Fraction(bound)
    return total


def _least(bounds: Sequence[Fraction | float | None]) -> Fraction | float | None:
    known = [b for b in bounds if b is not None]
    return min(known) if known and len(known) == len(bounds) else None
