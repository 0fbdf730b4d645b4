"""``combine``: a deconvolution run the better of two ways, with shared ifmap tiles or split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from time import monotonic
from typing import Any

from dnns.layer import Deconvolution
from formulation.deconv import Treatment, split, unique_layers
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.pricing.objective import Measure, Objective
from formulation.pricing.price import Price
from formulation.problem import Problem
from formulation.shared.problem import SharedProblem, SubKernels
from solvers.methods import solver
from solvers.result import Bound, LowerBound, Result, SolutionStatus, Termination
from solvers.shared.deconvolution_result import DeconvolutionResult, KernelRow, proven
from solvers.shared.methods import solve
from solvers.shared.result import SharedResult

__all__ = ["DeconvolutionResult", "KernelRow", "Parts", "combine", "solve_split"]

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
    zero_bits = kernels.zero_bits(hardware)
    zero_ticks = kernels.zero_ticks(hardware)
    rates = objective.rates(hardware)
    spent = None if rates is None else rates.of(0, 0, zero_bits, zero_ticks)
    aside = Price.of(zero_ticks, zero_bits, spent)
    apart = _split_total(parts, aside)
    started, shared = monotonic(), None
    if kernels.layers:
        rival = None if apart is None else _least_latency(parts)
        bare = replace(deconv, name="", count=1)
        problem = SharedProblem(bare, hardware, objective, partition, rival, aside.latency)
        shared = solve(problem, method=method, time_limit=time_limit, **options)
    together = None
    if shared is not None and shared.cost is not None:
        together = _sum([(shared.problem.price(shared.cost), 1), (aside, 1)])
    choice, total = _better(shared, together, apart)
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
        _bound(_measures(objective, shared), hardware, shared, parts, apart, aside),
        monotonic() - started,
        _relaxed(objective, hardware, shared, parts, apart, aside),
    )


def _relaxed(
    objective: Objective,
    hardware: Hardware,
    shared: SharedResult | None,
    parts: Parts,
    apart: Price | None,
    aside: Price,
) -> LowerBound | None:
    """What the relaxations prove of each quantity; None if the method has none."""
    none = all(result.relaxed is None for result, _ in parts)
    if none and (shared is None or shared.relaxed is None):
        return None
    measures = map(Measure.only, objective.quantities)
    return _bound(measures, hardware, shared, parts, apart, aside, alone=True)


def _split_total(parts: Parts, aside: Price) -> Price | None:
    """Sums over all sub-convolutions; None unless all have a mapping."""
    prices = [
        (result.problem.price(result.cost), count) for result, count in parts if result.cost is not None
    ]
    return _sum([*prices, (aside, 1)]) if len(prices) == len(parts) else None


def _sum(prices: Sequence[tuple[Price, int]]) -> Price:
    return Price(*(sum(n * price[i] for price, n in prices) for i in range(len(Price._fields))))


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
    shared: SharedResult | None, together: Price | None, apart: Price | None
) -> tuple[Treatment, Price | None]:
    """The choice and its total; split if both are equal."""
    if shared is None or together is None:
        return Treatment.SPLIT, apart
    if apart is None:
        return Treatment.COMBINE, together
    ways, problem = {Treatment.SPLIT: apart, Treatment.COMBINE: together}, shared.problem
    if shared.least_latency is not None:
        cap = problem.cap(shared.least_latency) + problem.aside
        ways = {way: total for way, total in ways.items() if total.latency <= cap} or ways
    return min(ways.items(), key=lambda way: problem.values(way[1]))


def _measures(objective: Objective, shared: SharedResult | None) -> Iterator[Measure]:
    """What is bounded: every quantity, and the weighted sum if that is the objective."""
    yield from map(Measure.only, objective.quantities)
    if objective.quantity is None and shared is not None:
        yield shared.problem.steps[-1].measures[0]


def _bound(
    measures: Iterable[Measure],
    hardware: Hardware,
    shared: SharedResult | None,
    parts: Parts,
    apart: Price | None,
    aside: Price,
    *,
    alone: bool = False,
) -> LowerBound:
    """The lesser of the two ways' bounds, or of those of their relaxations; none where one is not proven."""

    def proven_of(result: Result | SharedResult) -> LowerBound:
        return result.lower_bound if not alone else result.relaxed or LowerBound()

    settled = all(proven(result) for result, _ in parts)
    found: dict[str, Bound] = {}
    for measure in measures:
        more = measure.told(hardware, measure.exact(aside))
        ways, sharing = [], shared is not None and not _is_out(shared, measure)
        slow = shared is not None and sharing and _is_slow(shared, measure, parts, aside)
        if (apart is not None or not settled) and not slow:  # else there is no such way at all
            bounds = [(proven_of(result).of(measure.claim), count) for result, count in parts]
            ways.append(_split_bound(measure, bounds, apart if settled else None, more, hardware))
        if shared is not None and sharing:
            bound = proven_of(shared).of(measure.claim)
            ways.append(None if bound is None else Fraction(bound) + more)
        known = [bound for bound in ways if bound is not None]
        if known and len(known) == len(ways):
            found[measure.claim] = min(known)
    return LowerBound(found)


def _is_out(shared: SharedResult, measure: Measure) -> bool:
    """Whether no mapping with shared tiles counts: none fits, or none is within the cap."""
    capped = measure.claim == shared.problem.objective.claim and shared.mapping is None and proven(shared)
    return capped or shared.termination is Termination.INFEASIBLE


def _is_slow(shared: SharedResult, measure: Measure, parts: Parts, aside: Price) -> bool:
    """Whether no sub-convolutions one by one count: the least latency of them all is beyond the cap."""
    problem, known = shared.problem, shared.least_latency
    if not problem.objective.capped or measure.claim != problem.objective.claim or known is None:
        return False
    bounds = [(result.lower_bound.latency_cycles, count) for result, count in parts]
    least = sum(count * Fraction(bound) for bound, count in bounds if bound is not None)
    return bool(least * problem.hardware.tick.per_cycle + aside.latency > problem.cap(known) + problem.aside)


def _split_bound(
    measure: Measure,
    bounds: Sequence[tuple[Bound | None, int]],
    total: Price | None,
    more: Fraction,
    hardware: Hardware,
) -> Fraction | None:
    """The sum of the sub-convolutions' bounds; of a weighted sum, the proven total's."""
    if measure.quantity is None:
        return None if total is None else measure.told(hardware, measure.exact(total))
    known = [count * Fraction(bound) for bound, count in bounds if bound is not None]
    return sum(known, more) if len(known) == len(bounds) else None
