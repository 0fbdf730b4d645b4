"""Exhaustive search: the published cases, plain enumeration, ties, time limits, infeasible layers."""

import json
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import BitWidths, Fill, Halo, Hardware
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.problem import Kind, Objective, Problem
from solvers.layers import exhaustive, static
from solvers.result import BoundScope, SolutionStatus, Termination
from tests import strategies
from tests.goals import score
from tests.strategies import examples

CASES = json.loads((Path(__file__).parents[1] / "data" / "cases.json").read_text())["cases"]
KINDS = {"traffic": Kind.TRAFFIC, "latency": Kind.LATENCY, "lex": Kind.BALANCED}


def case_problem(case, kind):
    layer, machine = case["layer"], case["hardware"]
    axes = []
    for a in layer["axes"]:
        span = (a["out"] - 1) * a["s"] + a["d"] * (a["k"] - 1) + 1
        high = span - a["pad"] - a["inp"]
        axes.append(Axis(a["out"], a["k"], a["s"], a["d"], a["pad"], max(0, high), a["inp"]))
    hardware = Hardware(
        rows=machine["rows"],
        cols=machine["cols"],
        buffer_bytes=machine["buf"],
        bandwidth=Fraction(machine["bpc"]),
        bits=BitWidths.uniform(machine["bits"]),
        double_buffered=machine["double"],
        halo=Halo(machine["halo"]),
        fill=Fill.EXPOSED if machine["fill"] else Fill.OVERLAPPED,
    )
    return Problem(
        Layer(case["name"], layer["co"], layer["ci"], tuple(axes), layer["batch"], layer["groups"]),
        hardware,
        Objective(kind),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_known_optimum_is_reached_exactly(case, kind):
    problem, optimum = case_problem(case, KINDS[kind]), case["optimum"][kind]
    result = exhaustive.solve(problem)
    assert float(result.cost.latency_cycles) == optimum["latency_cycles"]
    assert float(result.cost.traffic_bytes) == optimum["traffic_bytes"]
    assert result.gap == 0
    assert problem.is_feasible(result.cost)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_witness_costs_what_it_is_said_to(case, kind):
    problem, witness = case_problem(case, KINDS[kind]), case["optimum"][kind]["witness"]
    m = witness["mapping"]
    tile = Tile(m["co"], m["ci"], m["batch"], tuple(m["sp"]))
    cost = problem.evaluate(Mapping(tile, Stationary(m["stationary"]), m["slide"]))
    moved, words = cost.traffic, witness["words"]
    assert (moved.weights, moved.ifmap) == (words["W"], words["I"])
    assert (moved.ofmap_write, moved.ofmap_read) == (words["Owr"], words["Ord"])
    assert cost.compute_cycles == witness["compute_cycles"]


def every_mapping(problem):
    """All feasible mappings with their costs, in the order that breaks ties."""
    layer = problem.layer
    sizes = [range(1, n + 1) for n in (layer.out_channels, layer.in_channels, layer.batch)]
    sizes += [range(1, axis.out + 1) for axis in layer.axes]
    slides = [None]
    if problem.hardware.halo is Halo.REUSE:
        slides += range(len(layer.axes))
    for stationary, (co, ci, batch, *spatial), slide in product(Stationary, product(*sizes), slides):
        mapping = Mapping(Tile(co, ci, batch, tuple(spatial)), stationary, slide)
        cost = problem.evaluate(mapping)
        if problem.is_feasible(cost):
            yield mapping, cost


def plain_optimum(problem):
    """The first of the best by plain enumeration, and the least latency."""
    found = list(every_mapping(problem))
    fastest = min(cost.latency_ticks for _, cost in found)
    cap = problem.objective.cap(fastest)
    ranks = {
        Kind.LATENCY: lambda c: (c.latency_ticks, c.traffic_bits),
        Kind.TRAFFIC: lambda c: (c.traffic_bits, c.latency_ticks),
        Kind.BALANCED: lambda c: (c.latency_ticks > cap, c.traffic_bits, c.latency_ticks),
        Kind.ENERGY: lambda c: (problem.price(c).spent, c.latency_ticks, c.traffic_bits),
        Kind.WEIGHTED: lambda c: (score(problem, *problem.price(c)), c.latency_ticks, c.traffic_bits),
    }
    rank = ranks[problem.objective.kind]
    return min(found, key=lambda pair: rank(pair[1])), fastest


@examples(60)
@given(strategies.problems(set_up=True, most=5, channels=5))
def test_equals_plain_enumeration_ties_included(problem):
    result = exhaustive.solve(problem)
    if result.mapping is None:
        assert result.termination is Termination.INFEASIBLE
        assert not any(True for _ in every_mapping(problem))
        return
    (mapping, cost), fastest = plain_optimum(problem)
    assert result.mapping == mapping
    assert result.cost == cost
    assert result.gap == 0
    assert result.termination is Termination.OPTIMAL
    if problem.objective.kind is Kind.BALANCED:
        assert result.lower_bound.latency_cycles == problem.hardware.tick.cycles(fastest)


BIG = Problem(Layer("big", 96, 80, (Axis(90, 3, 1, 1, 1, 1, 90), Axis(70, 3, 1, 1, 1, 1, 70))))


def test_a_time_limit_returns_the_incumbent_with_a_true_bound():
    best = exhaustive.solve(BIG)
    hurried = exhaustive.solve(BIG, time_limit=0.0)
    assert hurried.termination is Termination.TIME_LIMIT
    assert hurried.solution_status is SolutionStatus.FEASIBLE
    assert BIG.is_feasible(hurried.cost)
    assert hurried.lower_bound.latency_cycles <= best.lower_bound.latency_cycles
    assert hurried.gap >= 0


@pytest.mark.parametrize("kind", Kind)
def test_a_known_mapping_is_never_made_worse(kind):
    problem = Problem(BIG.layer, BIG.hardware, Objective(kind))
    best = exhaustive.solve(problem)
    again = exhaustive.solve(problem, initial=best.mapping, time_limit=0.0)
    assert again.cost == best.cost
    useless = Mapping(Tile(96, 80, 1, (90, 70)), Stationary.WEIGHT)
    assert exhaustive.solve(problem, initial=useless).mapping == best.mapping


def test_ticks_that_exceed_64_bits_are_exact():
    slow = Hardware(
        bandwidth=Fraction(25_600_000_000_001, 10**12), frequency=Fraction(999_999_999_989, 10**12)
    )
    layer = Layer("l", 24, 12, (Axis(20, 3, 1, 1, 1, 1, 20), Axis(9, 3, 1, 1, 1, 1, 9)))
    nearly = Hardware()
    exact = exhaustive.solve(Problem(layer, slow, Objective(Kind.TRAFFIC)))
    assert (
        exact.cost.traffic_bytes
        == exhaustive.solve(Problem(layer, nearly, Objective(Kind.TRAFFIC))).cost.traffic_bytes
    )
    assert exact.cost.latency_cycles.denominator > 10**6


def test_static_keeps_to_its_partition_and_says_so():
    part = Partition.from_ratio([3, 3, 4], BIG.hardware.buffer_bits, 1)
    problem = Problem(BIG.layer, BIG.hardware, BIG.objective, part)
    result = static.solve(problem)
    assert result.method == "static"
    assert result.bound_scope is BoundScope.PARTITION
    assert all(need <= have for need, have in zip(result.cost.footprint.parts, part.parts, strict=True))
    assert result.cost.latency_cycles >= exhaustive.solve(BIG).lower_bound.latency_cycles
    with pytest.raises(ValueError, match="partition"):
        static.solve(BIG)


def test_what_does_not_fit_is_said_with_its_need():
    problem = Problem(BIG.layer, Hardware(buffer_bytes=75))
    result = exhaustive.solve(problem)
    assert result.termination is Termination.INFEASIBLE
    assert result.gap is None
    assert problem.smallest_need().total == 8 * 76  # 9 + 9 + 1 words of 2 bytes, twice
    assert exhaustive.solve(Problem(BIG.layer, Hardware(buffer_bytes=76))).cost is not None


def test_equal_trip_counts_are_not_interchangeable():
    """48 channels on 16 columns in two trips: 4 column passes with a tile of 24, 3 with one of 32."""
    from formulation.mapping import Group
    from formulation.space.tables import channel_table

    layer = Layer("x", 48, 1, (Axis(1),))
    table = channel_table(layer, Hardware(), Group.CO)
    cycles = dict(zip(table.tile.tolist(), table.cycles.tolist(), strict=True))
    assert cycles[24] == 4
    assert cycles[32] == 3
