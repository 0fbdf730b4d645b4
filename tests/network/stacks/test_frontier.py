"""Frontiers of stacks against plain enumeration of every cut, every set of kept weights and every tile."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import prod

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.reader import read_network
from formulation.hardware import BitWidths, Hardware
from formulation.network.graph import tensor_graph
from formulation.network.stacks.cost import Schedule, stack_cost
from formulation.network.stacks.energy import stack_work
from formulation.network.stacks.search.candidates import stacks
from formulation.network.stacks.search.frontier import stack_frontier
from formulation.network.stacks.space import StackSpace, stack_tables
from formulation.pricing.objective import ENERGY, Measure
from formulation.pricing.price import Price
from formulation.problem import Kind
from tests.network.stacks.strategies import networks
from tests.strategies import examples, hardware

MOST = 1500
MEASURES = (Measure.only(ENERGY), Measure(Price(Fraction(3, 7), Fraction(1), Fraction(1, 50))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stacks")


def tiles(layer):
    return [None, *product(range(1, layer.out_channels + 1), range(1, layer.in_channels + 1))]


def ways(stack):
    return prod(stack.maps[stack.root].extents) * prod(len(tiles(layer)) for layer in stack.layers)


def schedules(stack):
    extents = stack.maps[stack.root].extents
    cuts = product(*(range(1, n + 1) for n in extents))
    for pieces, held in product(cuts, product(*map(tiles, stack.layers))):
        yield Schedule(pieces, held)


def everything(stack, machine, stays):
    for schedule in schedules(stack):
        yield stack_cost(stack, machine, schedule, stays)


def best(pairs):
    front = []
    for pair in sorted(set(pairs)):
        if not front or pair[1] < front[-1][1]:
            front.append(pair)
    return front


def wanted(pairs, kind):
    """What must be found of the pairs of latency and traffic within a room."""
    if kind is Kind.TRAFFIC:
        return [min(pairs, key=lambda p: p[::-1])] if pairs else []
    if kind is Kind.LATENCY:
        return [min(pairs)] if pairs else []
    return best(pairs)


@examples(10)
@given(st.data(), hardware(set_up=True), st.sampled_from((Kind.TRAFFIC, Kind.LATENCY, Kind.BALANCED)))
def test_the_frontier_is_that_of_plain_enumeration(folder, data, machine, kind):
    network = data.draw(networks(folder, most=3, size=6))
    found = [stack for stack in stacks(tensor_graph(network), 3) if ways(stack) <= MOST]
    assume(found)
    stack = data.draw(st.sampled_from(found))
    stays = frozenset(t for t in stack.tensors if data.draw(st.integers(0, 3)) == 0)
    costs = list(everything(stack, machine, stays))
    needs = sorted(cost.room for cost in costs)
    rooms = sorted({data.draw(st.sampled_from(needs)) + data.draw(st.integers(-8, 8)) for _ in range(3)})[
        ::-1
    ]
    space = StackSpace(stack, machine, stack_tables(stack, machine), stays)
    points = stack_frontier(space, rooms, rooms[0], kind)
    for point in points:
        again = point.priced_again(machine)
        assert (again.need, again.latency, again.traffic) == (point.need, point.latency, point.traffic)
    for room in rooms:
        have = [(p.latency, p.traffic) for p in points if p.need <= room]
        every = [(c.latency_ticks, c.traffic_bits) for c in costs if c.room <= room]
        assert wanted(have, kind) == wanted(every, kind)


@pytest.mark.parametrize("bandwidth", ["2", "21.333333333333332", "25.12345678901234"])
def test_every_room_is_a_step_of_the_frontier(tmp_path, bandwidth):
    """Also where 64 bits hold the latencies of some cuts only."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "{name: net, input: [2, 6, 5], layers: [{name: a, op: conv, out_channels: 3, kernel: 3, padding: 1}, "
        "{name: b, op: conv, out_channels: 2, kernel: 2, stride: 2}]}"
    )
    (stack,) = (found for found in stacks(tensor_graph(read_network(path)), 2) if found.last > found.first)
    machine = Hardware(2, 2, 400, Fraction(bandwidth), bits=BitWidths(8, 8, 8, 16))
    space = StackSpace(stack, machine, stack_tables(stack, machine), frozenset())
    points = stack_frontier(space, None, machine.buffer_bits, Kind.BALANCED)
    costs = list(everything(stack, machine, frozenset()))
    for room in {cost.room for cost in costs if cost.room <= machine.buffer_bits}:
        have = best((p.latency, p.traffic) for p in points if p.need <= room)
        assert have == best((c.latency_ticks, c.traffic_bits) for c in costs if c.room <= room)
    assert len({p.need for p in points}) > 5


def order(measure, need, latency, traffic, energy):
    return measure.exact(Price(latency, traffic, energy)), latency, traffic


@examples(10)
@given(st.data(), hardware(set_up=True), st.sampled_from(MEASURES))
def test_the_least_energy_of_every_room_is_that_of_plain_enumeration(folder, data, machine, measure):
    network = data.draw(networks(folder, most=3, size=5))
    found = [stack for stack in stacks(tensor_graph(network), 3) if ways(stack) <= MOST // 3]
    assume(found)
    stack = data.draw(st.sampled_from(found))
    stays = frozenset(t for t in stack.tensors if data.draw(st.integers(0, 3)) == 0)
    costs = []
    for schedule in schedules(stack):
        cost = stack_cost(stack, machine, schedule, stays)
        done = stack_work(stack, machine, schedule, stays)
        energy = machine.quantum.of(*done, cost.traffic_bits, cost.latency_ticks)
        costs.append((cost.room, cost.latency_ticks, cost.traffic_bits, energy))
    needs = sorted(need for need, *_ in costs)
    rooms = sorted({data.draw(st.sampled_from(needs)) + data.draw(st.integers(-8, 8)) for _ in range(3)})[
        ::-1
    ]
    space = StackSpace(stack, machine, stack_tables(stack, machine), stays)
    points = stack_frontier(space, rooms, rooms[0], measure)
    for point in points:
        again = point.priced_again(machine)
        assert (again.need, again.latency, again.traffic, again.spent(machine.quantum)) == (
            point.need,
            *point.price,
        )
    for room in rooms:
        have = [order(measure, p.need, *p.price) for p in points if p.need <= room]
        every = [order(measure, *cost) for cost in costs if cost[0] <= room]
        assert min(have, default=None) == min(every, default=None)


def test_as_many_ways_as_64_bits_do_not_count(tmp_path):
    """Eight layers with hundreds of tiles each; every layer's steps are as good in the tile of one pass."""
    path, layer = tmp_path / "net.yaml", "{{name: l{}, op: conv, out_channels: 509, kernel: 1}}"
    layers = ", ".join(layer.format(i) for i in range(8))
    path.write_text(f"{{name: net, input: [509, 2], layers: [{layers}]}}")
    (stack,) = (
        found for found in stacks(tensor_graph(read_network(path)), 8) if found.last - found.first == 7
    )
    machine = Hardware(16, 16, 1 << 20)
    space = StackSpace(stack, machine, stack_tables(stack, machine), frozenset())
    (point,) = stack_frontier(space, [machine.buffer_bits], machine.buffer_bits, Measure.only(ENERGY))
    assert prod(len(held) for held in replace(space, rates=machine.quantum).weights) > 1 << 63
    again = point.priced_again(machine)
    assert (again.need, again.spent(machine.quantum)) == (point.need, point.price.spent)
    assert again.ports == least_ports(stack, machine)


def least_ports(stack, machine):
    """Bits at the array: in one step of two pixels, each layer's words go there once for each 16 outputs."""
    ifmap, weights, ofmap = 2 * 509 * -(-509 // 16), 509 * 509, 2 * 509
    return len(stack.layers) * machine.bits.ofmap * (ifmap + weights + ofmap)
