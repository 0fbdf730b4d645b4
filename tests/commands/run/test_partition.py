"""The best single partition: each layer's optimum inside, enumeration, HiGHS, and plain brute force."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.extents import full_axis_table
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.problem import Kind, Objective, Problem
from formulation.program.partition import build_partition_milp
from formulation.space.frontier import Units
from formulation.space.tables import SpatialGrid
from formulation.space.undominated import undominated, undominated_tiles
from solvers.layers import exhaustive
from solvers.network.partition import best_place, partition_table
from solvers.network.partition_program import best_place_milp
from solvers.network.workers import Workers
from tests import strategies
from tests.goals import best_partition
from tests.strategies import examples


@st.composite
def networks(draw, most=4):
    """Layers with counts on one machine with one objective; few units, so that brute force is quick."""
    machine = draw(strategies.hardware(set_up=True))
    banks = draw(st.integers(2, 7))
    machine = replace(machine, bank_bytes=max(1, machine.buffer_bytes // banks))
    objective = draw(strategies.objectives())
    layers = draw(st.lists(strategies.layers(most=5, channels=5, most_axes=2), min_size=1, max_size=most))
    return [(Problem(layer, machine, objective), draw(st.integers(1, 3))) for layer in layers]


@examples(15)
@given(networks())
def test_each_layer_takes_the_optimum_of_the_exhaustive_search(network):
    table = partition_table(network)
    for place, entries in enumerate(table.entries):
        for (problem, _), entry in zip(network, entries, strict=True):
            result = exhaustive.solve(replace(problem, partition=table.partition(place)))
            if result.cost is None:
                assert entry is None
            else:
                assert entry.price == problem.price(result.cost)


def plain_best(network):
    """The best partition by the definition, with the exhaustive search for every layer in every one."""
    machine, objective = network[0][0].hardware, network[0][0].objective
    units = Units.of(machine)
    totals = []
    for shares in units.shares():
        part = units.partition(shares)
        results = [(exhaustive.solve(replace(p, partition=part)), n) for p, n in network]
        fit = [(r, n) for r, n in results if r.cost is not None]
        least = [
            exhaustive.solve(replace(r.problem, objective=Objective(Kind.LATENCY))).cost.latency_ticks * n
            for r, n in fit
        ]
        totals.append(
            (
                sum(n for r, n in results if r.cost is None),
                sum(least),
                sum(n * r.cost.latency_ticks for r, n in fit),
                sum(n * r.cost.traffic_bits for r, n in fit),
                sum(n * r.problem.price(r.cost).spent for r, n in fit),
                part,
            )
        )
    unfit = min(total[0] for total in totals)
    totals = [total for total in totals if total[0] == unfit]
    cap = objective.cap(min(total[1] for total in totals))
    score = score_of(network, objective)
    ranks = {
        Kind.LATENCY: lambda t: (t[2], t[3]),
        Kind.TRAFFIC: lambda t: (t[3], t[2]),
        Kind.BALANCED: lambda t: (t[2] > cap, t[3], t[2]),
        Kind.ENERGY: lambda t: (t[4], t[2], t[3]),
        Kind.WEIGHTED: lambda t: (score(*t[2:5]), t[2], t[3]),
    }
    return min(totals, key=ranks[objective.kind])[5]


def score_of(network, objective):
    machine = network[0][0].hardware
    goal = Objective(Kind.WEIGHTED, Fraction(0), Fraction(1), Fraction(1), Fraction(1))
    least = [0, 0, 0]
    for problem, count in network:
        each = Problem(problem.layer, machine, goal).steps[0].measures[0].weights
        least = [total + count / weight for total, weight in zip(least, each, strict=True)]
    weights = objective.latency_weight, objective.traffic_weight, objective.energy_weight
    return lambda *totals: sum(w * t / low for w, t, low in zip(weights, totals, least, strict=True))


@examples(8)
@given(networks(most=3))
def test_the_choice_is_that_of_the_definition(network):
    assert best_partition(network) == plain_best(network)


@examples(60)
@given(networks())
def test_highs_chooses_the_same(network):
    table = partition_table(network)
    assert best_place_milp(table) == best_place(table)


def test_nearly_equal_totals_are_told_apart():
    huge = 10**15
    model = build_partition_milp([huge + 1, huge, 3 * huge], [[0, 1, -huge]])
    assert len(model.within) == 1
    from solvers.backends.linear import solve_milp

    solve_milp(model)
    assert [round(model.use[p].value) for p in model.PARTITIONS] == [1, 0, 0]


CONVOLUTIONS = [
    (Layer("a", 96, 24, (Axis(40, 3, 1, 1, 1, 1, 40), Axis(30, 3, 1, 1, 1, 1, 30))), 2),
    (Layer("b", 24, 96, (Axis(20, 3, 2, 1, 1, 1, 40), Axis(15, 3, 2, 1, 1, 1, 30))), 1),
    (Layer("c", 500, 300, (Axis(7, in_size=7),)), 3),
]


@pytest.mark.parametrize("kind", Kind)
def test_is_no_worse_than_any_partition_and_reached_by_static(kind):
    machine = Hardware(buffer_bytes=48 * 1024)
    network = [(Problem(layer, machine, Objective(kind)), n) for layer, n in CONVOLUTIONS]
    table = partition_table(network)
    assert len(table.shares) == 253
    place = best_place(table)
    assert place == best_place_milp(table)
    total = table.rows()[place]
    found = [(exhaustive.solve(replace(p, partition=table.partition(place))).cost, n) for p, n in network]
    assert total.price.latency == sum(n * cost.latency_ticks for cost, n in found)
    assert total.price.traffic == sum(n * cost.traffic_bits for cost, n in found)
    if kind is Kind.TRAFFIC:
        assert total.price.traffic == min(row.price.traffic for row in table.rows())


def test_units_are_those_of_a_ratio():
    for machine in (
        Hardware(),
        Hardware(buffer_bytes=1001),
        Hardware(bank_bytes=2**16),
        Hardware(bank_bytes=4096),
    ):
        units = Units.of(machine)
        for shares in list(units.shares())[:: max(1, units.count)]:
            part = units.partition(shares)
            assert part.total <= machine.buffer_bits
            if units.count == 24:
                assert part == Partition.from_ratio(shares, machine.buffer_bits, machine.bank_bits)


def test_a_layer_that_fits_nowhere_leaves_the_choice_to_the_others():
    machine = Hardware(buffer_bytes=2000)
    wide = Layer("wide", 4, 1, (Axis(1, 40, 1, 1, 0, 0, 40), Axis(1, 40, 1, 1, 0, 0, 40)))
    small = Layer("small", 8, 8, (Axis(9, 3, 1, 1, 1, 1, 9),))
    both = [(Problem(layer, machine), 1) for layer in (wide, small)]
    assert best_partition(both) == best_partition(both[1:])
    assert partition_table(both).rows()[0].unfit >= 1


def test_processes_do_not_change_the_table():
    network = [(Problem(layer, Hardware(buffer_bytes=48 * 1024)), n) for layer, n in CONVOLUTIONS]
    with Workers(2) as workers:
        assert partition_table(network, workers=workers) == partition_table(network)
    with pytest.raises(ValueError, match="one machine"):
        partition_table([])


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=40))
def test_the_front_is_what_nothing_dominates(points):
    kept = undominated(np.array(points).T)
    front = {points[i] for i in kept}
    assert len(front) == len(kept)
    beaten = lambda p: any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)  # noqa: E731
    assert front == {p for p in points if not beaten(p)}


def test_tiles_of_a_grid_are_thinned_out():
    layer = CONVOLUTIONS[0][0]
    tiles, cycles = undominated_tiles(SpatialGrid(layer, Hardware()))
    assert len(tiles) == len(cycles) < len(full_axis_table(layer.axes[0]).tile) * 30 // 4
