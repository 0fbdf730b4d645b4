"""Deconvolutions with shared ifmap tiles: plain enumeration of small ones, and what is special in them."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution
from formulation.hardware import Halo, Hardware
from formulation.mapping import Partition, Stationary
from formulation.pricing.objective import ENERGY, Objective
from formulation.problem import Kind
from formulation.shared.problem import SharedMapping, SharedProblem, SubKernels
from solvers.result import SolutionStatus, Termination
from solvers.shared.methods import solve
from tests import strategies
from tests.goals import score
from tests.strategies import examples


def packings(kernels, filters, count):
    """All matrices of filters, sub-kernels by rounds, no round empty; rounds in descending order."""

    def ways(total, parts):
        if parts == 1:
            yield (total,)
            return
        for first in range(total + 1):
            for rest in ways(total - first, parts - 1):
                yield (first, *rest)

    for rows in product(list(ways(filters, count)), repeat=kernels):
        columns = list(zip(*rows, strict=True))
        if all(any(c) for c in columns) and columns == sorted(columns, reverse=True):
            yield rows


def every_mapping(problem):
    """All feasible mappings with their costs."""
    kernels, deconv = problem.kernels, problem.deconv
    most = len(kernels.layers) * deconv.out_channels
    rounds = [x for n in range(1, most + 1) for x in packings(len(kernels.layers), deconv.out_channels, n)]
    grids = [-(-a.out // a.stride) for a in deconv.axes]
    sizes = product(*(range(1, n + 1) for n in (deconv.in_channels, deconv.batch, *grids)))
    slides = [None]
    if problem.hardware.halo is Halo.REUSE:
        slides += range(len(grids))
    for (ci, batch, *spatial), slide, stationary, x in product(sizes, slides, Stationary, rounds):
        mapping = SharedMapping(ci, batch, tuple(spatial), x, stationary, slide)
        cost = problem.evaluate(mapping)
        if problem.is_feasible(cost):
            yield mapping, cost


def optimum(problem):
    """The least price of all mappings in the objective's order."""
    prices = {price_of(problem, c) for _, c in every_mapping(problem)}
    if not prices:
        return None
    match problem.objective.kind:
        case Kind.LATENCY:
            return min(prices)
        case Kind.TRAFFIC:
            return min(prices, key=lambda p: (p[1], p[0]))
        case Kind.ENERGY:
            return min(prices, key=lambda p: (p[2], p[0], p[1]))
        case Kind.WEIGHTED:
            return min(prices, key=lambda p: (score(problem, *p), *p))
    cap = problem.objective.cap(min(prices)[0])
    return min((p for p in prices if p[0] <= cap), key=lambda p: (p[1], p[0]))


def price_of(problem, cost):
    """Latency [ticks], traffic [bits] and, if the objective asks for it, energy [quanta]."""
    energy = cost.spent(problem.hardware, problem.hardware.quantum) if problem.needs(ENERGY) else 0
    return cost.latency_ticks, cost.traffic_bits, energy


@st.composite
def small_problems(draw, set_up=True, holes=True, bursting=False):
    """Problems; without ``holes`` every output has a tap; ``bursting``: transfers take bursts."""
    axes = tuple(draw(strategies.transposed_axes(most=3)) for _ in range(draw(st.integers(1, 2))))
    if not holes:
        spans = ((a.kernel - 1) * a.dilation + 1 for a in axes)
        taps = zip(axes, spans, strict=True)
        axes = tuple(replace(a, kernel=max(span, a.stride), dilation=1) for a, span in taps)
    deconv = Deconvolution(
        "d",
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        axes,
        batch=draw(st.sampled_from((1, 1, 2))),
        groups=draw(st.sampled_from((1, 1, 2))),
    )
    kernels = SubKernels(deconv)
    assume(1 <= len(kernels.layers) <= 4 and deconv.out_channels * len(kernels.layers) <= 6)
    machine = draw(strategies.bursting() if bursting else strategies.hardware(set_up=set_up))
    machine = replace(machine, buffer_bytes=draw(st.integers(20, 400)), bank_bytes=None)
    if draw(st.booleans()):
        machine = replace(machine, bank_bytes=max(1, machine.buffer_bytes // 9))
    partition = None
    if draw(st.integers(0, 3)) == 0:
        ratio = [draw(st.integers(1, 5)) for _ in range(3)]
        partition = Partition.from_ratio(ratio, machine.buffer_bits, machine.bank_bits)
    return SharedProblem(deconv, machine, draw(strategies.objectives()), partition)


@examples(30)
@given(small_problems())
def test_the_search_finds_the_optimum_of_plain_enumeration(problem):
    expected, result = optimum(problem), solve(problem)
    if expected is None:
        assert result.termination is Termination.INFEASIBLE
        assert result.solution_status is SolutionStatus.NONE
        assert result.mapping is None
        return
    assert result.solution_status is SolutionStatus.OPTIMAL
    assert price_of(problem, result.cost) == expected
    assert result.cost == problem.evaluate(result.mapping)
    assert problem.is_feasible(result.cost)
    assert result.gap == pytest.approx(0, abs=1e-9)
    assert all(low <= value for low, value in zip(problem.floor, expected, strict=True))


@pytest.mark.parametrize("method", ["exhaustive", "constrained", "exact", "combined"])
@pytest.mark.parametrize("kind", Kind)
def test_outputs_that_no_tap_reaches_are_in_no_bound_at_a_time_limit(method, kind):
    holes = Deconvolution("holes", 4, 1, (TransposedAxis(16, 2, 3), TransposedAxis(20, 1, 3)))
    problem = SharedProblem(holes, Hardware(rows=7, cols=7), Objective(kind, energy_weight=Fraction(1, 3)))
    assert problem.floor.traffic < problem.least.traffic
    result = solve(problem, method=method, time_limit=1e-6)
    best = solve(problem)
    for step in problem.steps:
        low, found = result.lower_bound.of(step.measures[0].claim), problem.price(best.cost)
        assert low <= step.measures[0].told(problem.hardware, step.measures[0].exact(found))
