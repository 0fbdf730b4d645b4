"""Cost of fused stacks against a reference that runs them step by step."""

from fractions import Fraction

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from formulation.network.graph import tensor_graph
from formulation.network.stacks.cost import Schedule, stack_cost
from formulation.network.stacks.energy import stack_work
from formulation.network.stacks.search.candidates import stacks
from tests.network.stacks.strategies import networks
from tests.network.stacks.walker import Walk
from tests.strategies import examples, hardware


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stacks")


@examples(100)
@given(st.data(), hardware(set_up=True))
def test_a_stack_costs_what_running_it_counts(folder, data, machine):
    network = data.draw(networks(folder))
    graph = tensor_graph(network)
    found = list(stacks(graph, 4))
    assume(found)
    stack = data.draw(st.sampled_from(found))
    extents = stack.maps[stack.root].extents
    pieces = tuple(data.draw(st.integers(1, n)) for n in extents)
    tiles = tuple(
        data.draw(
            st.none() | st.tuples(st.integers(1, layer.out_channels), st.integers(1, layer.in_channels))
        )
        for layer in stack.layers
    )
    stays = frozenset(t for t in stack.tensors if data.draw(st.integers(0, 2)) == 0)
    event(f"{len(extents)} axes, {len(stack.layers)} layers, {sum(m.leaves for m in stack.maps)} leave")
    event(f"{sum(len(m.reads) > 1 for m in stack.maps)} joined, {sum(not m.reads for m in stack.maps)} read")
    cost = stack_cost(stack, machine, Schedule(pieces, tiles), stays)
    names = {graph.tensors[t].name for t in stays}
    walk = Walk(network, stack.first, stack.last, machine, pieces, tiles, names)
    assert cost.traffic_bits == walk.traffic
    assert cost.compute_cycles == walk.compute
    assert cost.room == walk.room
    assert Fraction(cost.latency_ticks, machine.tick.per_cycle) == walk.latency
    done = stack_work(stack, machine, Schedule(pieces, tiles), stays)
    energy = machine.quantum.of(*done, cost.traffic_bits, cost.latency_ticks)
    assert machine.quantum.told(energy) == walk.energy
