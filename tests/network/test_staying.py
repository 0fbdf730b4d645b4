"""Trained weights that stay for good, and frontiers of some rooms, by themselves: sums, sets and rooms."""

from dataclasses import replace
from itertools import product
from math import ceil

import pyomo.core as pyo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnns.layer import Network
from formulation.hardware import BitWidths, Hardware
from formulation.network.frontiers.frontier import Point
from formulation.network.frontiers.growing import GrowingFrontier
from formulation.network.graph import tensor_graph
from formulation.network.weights import (
    TrainedWeights,
    _unit,
    bits_for_good,
    keep_for_good,
    trained_weights,
)
from tests.network.test_graph import conv, graph  # noqa: F401
from tests.strategies import examples

BUFFER = 1000


def told(sizes):
    """Weights of such sizes: the first of two layers, the others of one each."""
    places = [(0, 1), *((at,) for at in range(2, len(sizes) + 1))]
    return [TrainedWeights(f"w{at}", places[at], bits) for at, bits in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [(33,), (32, 32), (64,) * 9 + (65,), (96, 32, 5)])
def test_what_is_held_is_the_sum_of_what_is_kept(sizes):
    """Whatever is kept: one number of units fits it, and what is held of the buffer is the bits of all."""
    weights, m = told(sizes), pyo.ConcreteModel()
    m.runs = pyo.Var(range(len(sizes) + 1), range(2), domain=pyo.Binary)
    resident = {position: [m.runs[position, way] for way in range(2)] for position in range(len(sizes) + 1)}
    held, unit = keep_for_good(m, weights, resident, BUFFER), _unit(weights)
    even = [w for w in weights if w.bits % unit == 0]
    assert m.units.domain is pyo.NonNegativeIntegers
    assert m.units.ub * unit <= BUFFER < (m.units.ub + 1) * unit  # as many as there is room for
    for keep in list(product((0, 1), repeat=len(sizes)))[:64]:
        m.keep.set_values(dict(zip(m.keep, keep, strict=True)))
        kept = [w for w, k in zip(weights, keep, strict=True) if k]
        m.units.set_value(sum(w.bits for w in kept if w in even) // unit)
        assert pyo.value(m.kept.body) == m.kept.lower == m.kept.upper == 0
        assert BUFFER * pyo.value(held) == pytest.approx(sum(w.bits for w in kept))
    m.keep.set_values(dict.fromkeys(m.keep, 0))
    for position, way in m.runs:
        m.runs.set_values({at: int(at == (position, way)) for at in m.runs})
        broken = [row for row in m.for_good.values() if not pyo.value(row.expr)]
        assert len(broken) == 1
        (owner,) = (w for w in weights if position in w.positions)
        m.keep[owner.name].set_value(1)
        assert all(pyo.value(row.expr) for row in m.for_good.values())
        m.keep[owner.name].set_value(0)


@examples(100)
@given(st.lists(st.integers(1, 1 << 20).flatmap(lambda n: st.sampled_from((n, 64 * n))), min_size=1))
def test_the_unit_is_the_greatest_power_of_two_of_which_nine_tenths_are_multiples(sizes):
    units = [1 << n for n in range(40)]
    fits = [u for u in units if sum(size % u == 0 for size in sizes) >= ceil(9 * len(sizes) / 10)]
    assert _unit(told(sizes)) == max(fits)


def test_weights_are_held_once_by_whoever_shares_them(graph):  # noqa: F811
    """Two layers with the same weights, one without trained ones, one whose weights just fit or do not."""
    product = {"name": "m", "op": "matmul", "inputs": ["c", "c"], "transpose": True}
    made = graph([conv("a", 4), conv("b", 4), conv("c", 2, kernel=1, padding=0), product], input=[4, 9])
    machine = Hardware(buffer_bytes=4 * 4 * 3, bits=BitWidths.uniform(8), bank_bytes=16)
    each = {w.name: (w.positions, w.bits) for w in trained_weights(made, machine)}
    assert each == {"a": ((0,), 384), "b": ((1,), 384), "c": ((2,), 128)}  # 8 bytes are a bank of 16
    assert {w.name for w in trained_weights(made, replace(machine, buffer_bytes=47))} == {"c"}
    twins = tuple(replace(node, twin="a") if node.name == "b" else node for node in made.nodes.values())
    again = tensor_graph(Network("net", (("input", (4, 9)),), twins))
    weights = trained_weights(again, machine)
    assert [(w.name, w.positions, w.bits) for w in weights] == [("a", (0, 1), 384), ("c", (2,), 128)]
    sums = [
        bits_for_good(weights, positions) for positions in ((), (0,), (1, 0), (0, 1, 2), (2,), (2, 3), (3,))
    ]
    assert sums == [0, 384, 384, 512, 128, None, None]


@examples(60)
@given(
    st.lists(st.tuples(st.sets(st.integers(0, 20), min_size=1, max_size=3), st.booleans()), max_size=4),
    st.lists(st.tuples(st.integers(0, 22), st.integers(0, 1)), max_size=12),
)
def test_a_point_is_told_to_need_more_than_any_room_known_below_it(fronts, needs):
    growing, points = GrowingFrontier(), [Point(need, 7, 9, (), spent=spent) for need, spent in needs]
    assert growing.complete
    for number, (rooms, whole) in enumerate(fronts):
        part = points[number :: len(fronts)]
        growing.add(rooms, [*part, *part], whole, part)
    known = set().union(*(rooms for rooms, _ in fronts))
    told = {point: max((room + 1 for room in known if room < point.need), default=0) for point in points}
    assert [growing.knows(room) for room in range(22)] == [room in known for room in range(22)]
    assert growing.complete == all(whole for _, whole in fronts)
    given = [point for number in range(len(fronts)) for point in points[number :: len(fronts)]]
    assert growing.points == list(dict.fromkeys(given))
    assert growing.relaxed() == tuple(replace(point, need=told[point]) for point in growing.points)
    assert growing.beside == tuple(replace(point, need=told[point]) for point in given)
