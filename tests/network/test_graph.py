"""Stored tensors of small networks, worked out by hand."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import yaml

from dnns.axes import Axis, TransposedAxis
from dnns.errors import InputError
from dnns.layer import Layer, Network, Node
from dnns.reader import read_network
from formulation.hardware import Hardware
from formulation.network.bounds import compulsory_bits, roofline_ticks
from formulation.network.graph import tensor_graph
from formulation.network.needs import Needed, _reached, readings
from solvers.network.levels import run_scenario
from solvers.scenario import Scenario


@pytest.fixture
def graph(tmp_path):
    def build(layers, **fields):
        path = tmp_path / "net.yaml"
        path.write_text(yaml.safe_dump({"name": "net", "input": [4, 8, 8], "layers": layers, **fields}))
        return tensor_graph(read_network(path))

    return build


def conv(name, channels, **fields):
    return {"name": name, "op": "conv", "out_channels": channels, "kernel": 3, "padding": 1, **fields}


def named(graph, sources):
    return [(s.tensor if s.tensor is None else graph.tensors[s.tensor].name, s.words) for s in sources]


def stored(graph):
    return {t.name: (t.producer, t.readers, t.is_output) for t in graph.tensors if t.stored}


def test_what_only_a_drain_node_consumes_is_never_stored(graph):
    made = graph(
        [
            conv("a", 8),
            {"name": "p", "op": "pool", "kernel": 2, "stride": 2},
            conv("b", 8),
            {"name": "s", "op": "add", "inputs": ["b", "p"]},
            conv("c", 2),
        ]
    )
    assert stored(made) == {
        "input": (None, (0,), False),
        "p": (0, (1,), False),
        "s": (1, (2,), False),
        "c": (2, (), True),
    }
    assert named(made, made.layers[1].drain_reads) == [("p", 8 * 16)]
    assert [use.drains for use in made.layers] == [("p",), ("s",), ()]


def test_a_tensor_and_what_is_drained_of_it_are_both_stored_where_both_are_read(graph):
    made = graph(
        [
            conv("a", 8),
            {"name": "p", "op": "pool", "kernel": 2, "stride": 2},
            conv("b", 8),
            conv("c", 8, inputs=["a"], stride=2),
            {"name": "s", "op": "concat", "inputs": ["c", "b"]},
            conv("d", 2),
        ]
    )
    assert [made.tensors[i].name for i in made.layers[0].emits] == ["a", "p"]
    assert named(made, made.layers[3].ifmap) == [("c", 8 * 16), ("b", 8 * 16)]
    assert stored(made)["b"] == (1, (3,), False)  # read by d, through the concatenation


def test_a_drain_of_network_inputs_is_a_network_input(graph):
    made = graph([{"name": "p", "op": "pool", "kernel": 2, "stride": 2}, conv("a", 8)])
    assert stored(made) == {"p": (None, (0,), False), "a": (0, (), True)}


def test_operands_of_a_product_may_both_be_features(graph):
    made = graph(
        [
            {"name": "q", "op": "fc", "out_channels": 6, "per_position": True, "inputs": ["input"]},
            {"name": "k", "op": "fc", "out_channels": 6, "per_position": True, "inputs": ["input"]},
            {"name": "s", "op": "matmul", "inputs": ["q", "k"], "groups": 2, "transpose": True},
            {"name": "square", "op": "matmul", "inputs": ["s", "s"], "groups": 2},
        ],
        input=[4, 5],
    )
    assert named(made, made.layers[2].ifmap) == [("q", 30)]
    assert named(made, made.layers[2].weights) == [("k", 30)]
    assert named(made, made.layers[3].ifmap) == named(made, made.layers[3].weights) == [("s", 50)]


def test_a_repeated_layer_is_so_many_layers_in_a_row(tmp_path):
    path = tmp_path / "net.txt"
    path.write_text("3, 10, 10\n2, 10, 4\n")
    made = tensor_graph(read_network(path))
    assert [use.name for use in made.layers] == ["layer1", "layer1#2", "layer1#3", "layer2", "layer2#2"]
    assert [named(made, use.ifmap) for use in made.layers] == [
        [("layer1.ifmap", 10)],
        [("layer1", 10)],
        [("layer1#2", 10)],
        [("layer1#3", 10)],
        [("layer1#3", 10)],
    ]


def test_an_operator_without_a_rule_is_named():
    node = Node("n", "Mystery", ("x",), (3, 4, 4))
    with pytest.raises(InputError, match=r"node n \(Mystery\).*no rule"):
        tensor_graph(Network("net", (("x", (3, 4, 4)),), (node,)))


def test_nodes_must_be_in_order():
    with pytest.raises(InputError, match="reads y, which does not stand before it"):
        tensor_graph(Network("net", (("x", (3,)),), (Node("n", "add", ("y",), (3,)),)))


def test_every_operator_that_the_readers_know_has_a_rule():
    pytest.importorskip("onnx")
    from typing import get_args

    from dnns.onnx_reader.inference import microsoft, shapes
    from dnns.onnx_reader.layers.families import FAMILIES
    from dnns.yaml_reader.schema import LayerSpec
    from formulation.network.operators import ONNX_ROLES, YAML_ROLES

    models = get_args(get_args(LayerSpec)[0])
    assert {get_args(model.model_fields["op"].annotation)[0] for model in models} == set(YAML_ROLES)
    theirs = {*microsoft._LIKE_FIRST, *microsoft._RULES}
    known = shapes._ELEMENTWISE | shapes._SHAPING | theirs | {name for _, name in FAMILIES}
    assert known == set(ONNX_ROLES)


def test_what_a_pool_leaves_out_is_not_compulsory(tmp_path):
    """Of five columns a pool of two reads four: nothing else is needed of the input, nor of that layer."""
    file = tmp_path / "odd.yaml"
    file.write_text(
        "name: odd\ninput: [1, 5, 4]\nlayers:\n"
        "  - {name: a, op: conv, out_channels: 1, kernel: 1}\n"
        "  - {name: p, op: pool, kernel: 2, stride: 2}\n"
        "  - {name: b, op: conv, out_channels: 1, kernel: 1}\n"
    )
    graph, machine = tensor_graph(read_network(file)), Hardware(buffer_bytes=4096)
    words = 4 * 4 + 2 * 2 + 2  # input, output, weights
    assert compulsory_bits(graph, machine) == 16 * words
    fast = Hardware(1, 1, bandwidth=Fraction(10**6))
    assert roofline_ticks(graph, fast) == 4 * fast.tick.per_cycle
    fused = {
        "network": str(file),
        "network_level": "fused",
        "objective": "traffic",
        "hardware": {"bufsize": 4096},
    }
    totals = run_scenario(Scenario.model_validate(fused)).to_dict()["totals"]
    assert totals["traffic_bytes"] == totals["compulsory_bytes"] == 2 * words


def test_what_outputs_of_a_deconvolution_need_is_what_some_tap_takes_to_them():
    sizes = product((3, 4), (1, 3), (1, 2, 3), (1, 2), (0, 1))
    for size, kernel, stride, dilation, pad in sizes:
        axis = TransposedAxis(size, kernel, stride, dilation, pad, pad)
        for wanted in (range(axis.out), *([output] for output in range(axis.out))):
            taps = product(range(size), range(kernel))
            needed = {at for at, tap in taps if at * stride - pad + dilation * tap in wanted}
            mask = np.isin(np.arange(axis.out), list(wanted))
            assert set(np.flatnonzero(_reached(axis, mask, taps=True)).tolist()) == needed


def test_what_outputs_of_a_convolution_need_is_what_some_tap_reads():
    for kernel, stride, dilation, pad in product((1, 2, 3), (1, 2, 3), (1, 2), (-1, 0, 2)):
        size = 9 + dilation * (kernel - 1) - 2 * pad
        axis = Axis(1 + 8 // stride, kernel, stride, dilation, pad, pad, size)
        for wanted in (range(axis.out), *([output] for output in range(axis.out))):
            read = {output * stride - pad + dilation * tap for output in wanted for tap in range(kernel)}
            mask = np.isin(np.arange(axis.out), list(wanted))
            found = np.flatnonzero(_reached(axis, mask, taps=True)).tolist()
            assert set(found) == {at for at in read if 0 <= at < size}


@pytest.mark.parametrize("least", [0, 1])
def test_of_two_readers_the_one_that_needs_more_counts(graph, least):
    """The one needs 598 of 600 columns, the other 599: so does what the first layer reads."""
    reading = [conv(f"r{i}", 1, inputs=["a"], kernel=[1, 598 + i], padding=0, stride=[1, 3]) for i in (0, 1)]
    first = conv("a", 1, kernel=1, padding=0)
    made = graph([first, reading[least], reading[1 - least]], input=[1, 1, 600])
    readings_of, needs = readings(made)
    (a,) = (tensor.index for tensor in made.tensors if tensor.name == "a")
    assert [needs[t].of(600) for t in (made.layers[0].ifmap[0].tensor, a)] == [599, 599]
    assert sorted(reading.needed.of(600) for reading in readings_of[a]) == [598, 599]


def test_what_lies_between_taps_is_not_needed_of_a_layer_but_of_a_pool(graph):
    """Three outputs, stride 3: taps two apart read 0, 2, 3, 5, 6, 8; a pool is given the whole span."""
    wide = {"kernel": [1, 2], "stride": [1, 3], "dilation": [1, 2], "padding": 0}
    for reader, words in ((conv("b", 1, **wide), 6), ({"name": "b", "op": "pool", **wide}, 9)):
        made = graph([conv("a", 1, kernel=1, padding=0), reader], input=[1, 1, 10])
        assert readings(made)[1][made.layers[0].ifmap[0].tensor].of(10) == words


def test_a_node_that_tells_no_windows_needs_everything():
    layer = Layer("a", 1, 1, (Axis(4, in_size=4),))
    nodes = Node("a", "conv", ("x",), (1, 4), layer), Node("s", "Softmax", ("a",), (1, 4))
    made = tensor_graph(Network("net", (("x", (1, 4)),), nodes))
    assert [needed.of(4) for needed in readings(made)[1].values()] == [4] * len(made.tensors)


def test_words_are_spread_evenly_over_positions():
    half, one = np.array([True, False]), np.array([True])
    assert [Needed(axes).of(10) for axes in ((), (one,), (half,), (half, one, half))] == [10, 10, 5, 2]
