"""Latencies wider than 64 bits against Python's integers, and the proof that nothing else is."""

import operator
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.evaluation import evaluate
from formulation.hardware import BitWidths, Hardware, Tick
from formulation.pricing.wide_ticks import WideTicks
from formulation.problem import Problem
from formulation.shared.counts import shared_counts
from formulation.space.counts import SAFE, TooLargeError, layer_counts
from formulation.space.space import Space
from solvers.shared.methods import solve as solve_shared
from tests import strategies
from tests.shared.test_cost import small_problems
from tests.strategies import examples

TICKS = (Tick(1, 1), Tick(3, 5), Tick(5333333333333333, 31250000000000), Tick(10**40 + 1, 7), Tick(7, 10**40))
ORDERS = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


@st.composite
def latencies(draw, tick):
    """Pairs of cycles and bits; many of them as long as another one, or one tick longer."""
    cycles, bits = draw(st.integers(0, 2**61)), draw(st.integers(0, 2**61))
    pairs = [(cycles, bits)]
    for _ in range(draw(st.integers(0, 7))):
        c, b = draw(st.sampled_from(pairs))
        steps = draw(st.integers(-3, 3))
        c, b = c + steps * tick.per_bit + draw(st.integers(-1, 1)), b - steps * tick.per_cycle
        pairs.append((c, b) if min(c, b) >= 0 and max(c, b) < SAFE else (cycles // 2, bits // 2))
    order = draw(st.permutations(pairs))
    wide = WideTicks([c for c, _ in order], [b for _, b in order], tick)
    return wide, [c * tick.per_cycle + b * tick.per_bit for c, b in order]


@examples(300)
@given(st.data(), st.sampled_from(TICKS))
def test_orders_are_those_of_the_integers(data, tick):
    wide, exact = data.draw(latencies(tick))
    limit = data.draw(st.sampled_from(exact)) + data.draw(st.integers(-1, 1))
    assert wide.min() == min(exact)
    assert [wide[i] for i in range(len(wide))] == exact
    for order in ORDERS:
        assert order(wide, limit).tolist() == [order(e, limit) for e in exact]
        assert order(limit, wide).tolist() == [order(limit, e) for e in exact]
        assert order(wide[1:], wide[:-1]).tolist() == list(map(order, exact[1:], exact[:-1]))
    ranks = wide.ranks().tolist()
    assert [a < b for a in ranks for b in ranks] == [a < b for a in exact for b in exact]
    ties = np.arange(len(exact))[::-1]
    expected = sorted(range(len(exact)), key=lambda i: (exact[i], ties[i]))
    assert np.lexsort((ties, wide)).tolist() == expected
    assert np.argsort(wide, kind="stable").tolist() == sorted(range(len(exact)), key=lambda i: exact[i])


@examples(100)
@given(st.data(), st.sampled_from(TICKS))
def test_choices_are_those_of_the_integers(data, tick):
    wide, exact = data.draw(latencies(tick))
    back = wide[::-1]
    assert np.minimum(wide, back).astype(object).tolist() == list(map(min, exact, exact[::-1]))
    assert np.maximum(wide, back).astype(object).tolist() == list(map(max, exact, exact[::-1]))
    assert np.concatenate([wide, back]).astype(object).tolist() == exact + exact[::-1]
    first = np.arange(len(exact)) == 0
    assert np.where(first, wide, back).astype(object).tolist() == [exact[0], *exact[::-1][1:]]
    assert wide.after(np.array(3)).astype(object).tolist() == [e + 3 * tick.per_bit for e in exact]
    np.testing.assert_allclose(wide.astype(float), [float(e) for e in exact], rtol=1e-14)


def test_what_would_lose_exactness_is_refused():
    wide = WideTicks([1, 2], [3, 4], TICKS[2])
    for lossy in (
        lambda: wide + 1,
        lambda: 2 * wide,
        lambda: np.asarray(wide),
        lambda: np.sum(wide),
        lambda: np.minimum.reduce([wide, wide]),
        lambda: wide.astype(np.int64),
        lambda: np.minimum(wide, 3),
    ):
        with pytest.raises(TypeError):
            lossy()


def test_the_rates_of_extreme_machines_are_compared_exactly():
    slow = Tick(1, 10**320)  # floating point does not hold the rate's inverse
    wide = WideTicks([0, 10**18], [1, 0], Tick(10**320, 1))
    assert (wide <= 10**320).tolist() == [True, False]
    with pytest.raises(OverflowError):
        WideTicks([0], [1], slow).estimate()


@examples(200)
@given(st.data())
def test_no_mapping_exceeds_the_counts(data):
    layer = data.draw(strategies.layers())
    machine = data.draw(st.one_of(strategies.hardware(set_up=True), strategies.bursting()))
    cost = evaluate(layer, machine, data.draw(strategies.mappings(layer, machine)))
    most = layer_counts(layer, machine)
    assert cost.latency_ticks <= machine.tick.of(most.cycles, most.bits + most.held)
    assert cost.compute_cycles <= most.cycles
    assert cost.traffic_bits <= most.bits
    assert cost.footprint.total <= most.held


@examples(100)
@given(strategies.problems(set_up=True, most=4, channels=4))
def test_ticks_are_wide_only_where_they_may_not_fit(problem):
    space, most = Space(problem), layer_counts(problem.layer, problem.hardware)
    ticks = problem.hardware.tick.of(most.cycles, most.bits + most.held)
    assert space.wide == (ticks >= SAFE)


@pytest.mark.parametrize(
    ("size", "what"),
    [(600_000, "1.73e+19 bits of traffic, must be below 4.61e+18"), (1 << 24, "1.68e+07 elements of a dim")],
)
def test_a_layer_that_cannot_be_counted_is_refused_in_one_line(size, what):
    huge = Layer("huge", size, size, (Axis(size, in_size=size),), op="matmul")
    with pytest.raises(TooLargeError, match=re.escape(f"huge is too large: {what}")):
        Space(Problem(huge, Hardware(bits=BitWidths(8, 8, 8, 32))))


@examples(40)
@given(small_problems())
def test_no_shared_mapping_exceeds_the_counts(problem):
    result, most = solve_shared(problem), shared_counts(problem)
    if result.cost is not None:
        assert result.cost.compute_cycles <= most.cycles
        assert result.cost.traffic_bits <= most.bits
        assert result.cost.footprint.total <= most.held
