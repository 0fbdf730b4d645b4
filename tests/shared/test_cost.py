"""Deconvolutions with shared ifmap tiles: plain enumeration of small ones, and what is special in them."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.layer import Deconvolution
from formulation.hardware import Halo
from formulation.mapping import Partition, Stationary
from formulation.objective import ENERGY
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
    return cost.latency_ticks, cost.traffic_bits, cost.energy if problem.needs(ENERGY) else 0


@st.composite
def small_problems(draw, set_up=True):
    axes = tuple(draw(strategies.transposed_axes(most=3)) for _ in range(draw(st.integers(1, 2))))
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
    machine = draw(strategies.hardware(set_up=set_up))
    machine = replace(machine, buffer_bytes=draw(st.integers(20, 400)), bank_bytes=None)
    if draw(st.booleans()):
        machine = replace(machine, bank_bytes=max(1, machine.buffer_bytes // 9))
    partition = None
    if draw(st.integers(0, 3)) == 0:
        ratio = [draw(st.integers(1, 5)) for _ in range(3)]
        partition = Partition.from_ratio(ratio, machine.buffer_bits, machine.bank_bits)
    return SharedProblem(deconv, machine, draw(strategies.objectives()), partition)


@examples(50)
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
