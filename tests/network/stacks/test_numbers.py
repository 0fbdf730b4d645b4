"""Real integers through a fused stack: bit for bit what the layers make one after another."""

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from formulation.network.graph import tensor_graph
from formulation.network.stacks.search.candidates import stacks
from tests.network.stacks.numbers import Run, layer_by_layer, positions, weights_of
from tests.network.stacks.strategies import networks
from tests.strategies import examples, hardware


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("numbers")


def whole(network):
    """Whether every name stands for itself: no map is an operand twice, and no concatenation is added."""
    views = {node.name for node in network.nodes if node.op == "concat"}
    for node in network.nodes:
        flat = [name for name in node.inputs if name in views]
        if len(set(node.inputs)) < len(node.inputs) or (node.layer is None and flat):
            return False
    return True


@examples(30)
@given(st.data(), hardware())
def test_a_stack_makes_what_its_layers_make(folder, data, machine):
    network = data.draw(networks(folder, most=3, size=8))
    assume(whole(network))
    found = [stack for stack in stacks(tensor_graph(network), 3) if stack.last > stack.first]
    assume(found)
    stack = data.draw(st.sampled_from(found))
    numbers = np.random.default_rng(data.draw(st.integers(0, 99)))
    draw = lambda shape: numbers.integers(-9, 10, shape)  # noqa: E731
    weights = weights_of(network, draw)
    values = layer_by_layer(network, {name: draw(shape) for name, shape in network.inputs}, weights)
    pieces = tuple(data.draw(st.integers(1, n)) for n in stack.maps[stack.root].extents)
    tiles = (None,) * len(stack.layers)
    run = Run(network, stack.first, stack.last, machine, pieces, tiles, values=values, weights=weights)
    left = {name for name, _ in run.written}
    event(f"{len(stack.layers)} layers, {len(pieces)} axes, {len(left)} maps leave")
    assert run.root in left or not run.stack.leaves(run.root, run.last)
    for (name, at), words in run.written.items():
        assert (words == values[name][(..., *at)]).all()
    for name in left:
        assert sum(1 for other, _ in run.written if other == name) == positions(network, name)
