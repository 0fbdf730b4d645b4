"""Bursts over shared ifmap tiles: against addresses, against plain enumeration, and by every method."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from formulation.mapping import Stationary
from formulation.shared.problem import SharedMapping
from solvers.result import SolutionStatus
from solvers.shared.methods import solve
from tests.shared.test_cost import optimum, packings, price_of, small_problems
from tests.shared.test_methods import check
from tests.strategies import examples
from tests.walkers.shared_bursts import SharedBurstMachine


@st.composite
def mapped(draw):
    """A problem and one of its mappings."""
    problem = draw(small_problems(bursting=True))
    deconv, kernels = problem.deconv, len(problem.kernels.layers)
    count = draw(st.integers(1, kernels * deconv.out_channels))
    rounds = draw(st.sampled_from(list(packings(kernels, deconv.out_channels, count))))
    spatial = tuple(draw(st.integers(1, -(-axis.out // axis.stride))) for axis in deconv.axes)
    channels, images = draw(st.integers(1, deconv.in_channels)), draw(st.integers(1, deconv.batch))
    return problem, SharedMapping(channels, images, spatial, rounds, draw(st.sampled_from(tuple(Stationary))))


@examples(80)
@given(mapped())
def test_bits_equal_the_runs_of_addresses(drawn):
    problem, mapping = drawn
    deconv = problem.deconv
    ifmap = np.zeros(
        (deconv.groups, deconv.batch, deconv.in_channels, *(a.in_size for a in deconv.axes)), int
    )
    taps = [a.kernel for a in deconv.axes]
    weights = np.zeros((deconv.groups, deconv.in_channels, deconv.out_channels, *taps), int)
    walk = SharedBurstMachine(deconv, problem.hardware, mapping, ifmap, weights)
    cost = problem.evaluate(mapping)
    assert cost.pins.by_tensor() == walk.bits
    assert cost.traffic_bits == sum(walk.bits.values())


@examples(12)
@given(small_problems(bursting=True))
def test_every_method_finds_the_optimum_of_plain_enumeration(problem):
    expected, best = optimum(problem), solve(problem)
    if expected is None:
        assert best.mapping is None
        return
    assert best.solution_status is SolutionStatus.OPTIMAL
    assert price_of(problem, best.cost) == expected
    for method in ("exact", "constrained", "combined"):
        result = solve(problem, method=method)
        check(problem, best, result)
        if method == "exact":
            assert result.solution_status is SolutionStatus.OPTIMAL
            assert price_of(problem, result.cost) == expected
