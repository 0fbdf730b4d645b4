# ruff: noqa: E501
"""ONNX operators that are written out: attention, recurrent layers, Einsum, bodies, onnxruntime's fused ones."""

import numpy as np
import pytest

from dnns.errors import InputError
from dnns.reader import read_network
from tests.dnns.onnx_models import FLOAT, MS, UINT8, info, model, zeros

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from dnns.onnx_reader import walk  # noqa: E402

B, S, L, D, H, KV = 2, 6, 10, 24, 4, 2


def products(network):
    """Of each layer: rows, inner size, columns, groups, count."""
    return {y.name: (y.pixels, y.in_channels, y.out_channels, y.groups, y.count) for y in network.layers}


def shapes(network):
    return {node.name: node.shape for node in network.nodes}


def inferred(proto, count):
    made = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True).graph.output[:count]
    return [tuple(d.dim_value for d in out.type.tensor_type.shape.dim) for out in made]


def followed(read, proto):
    """The network, whose outputs have the shapes that ONNX infers."""
    network = read(proto)
    by_name = shapes(network)
    for out, shape in zip(network.outputs, inferred(proto, len(network.outputs)), strict=True):
        assert by_name[out] == (shape[1:] if len(shape) > 1 else shape)
    return network


def test_attention_of_the_standard_domain(read):
    nodes = [("Attention", "q k v", "y", {"q_num_heads": H, "kv_num_heads": H})]
    proto = model(nodes, [("q", (B, S, D)), ("k", (B, L, D)), ("v", (B, L, 2 * D))], opset=23)
    network = followed(read, proto)
    assert products(network) == {
        "n0.scores": (S, D // H, L, B * H, 1),
        "n0.context": (S, L, 2 * D // H, B * H, 1),
    }


def test_heads_of_four_dimensions_share_keys(read):
    nodes = [("Attention", "q k v", "y", {"is_causal": 1})]
    proto = model(nodes, [("q", (B, H, S, 8)), ("k", (B, KV, L, 8)), ("v", (B, KV, L, 8))], opset=23)
    network = read(proto)  # ONNX infers no shape here: heads of 4 dimensions
    assert shapes(network)[network.outputs[0]] == (H, S, 8)
    assert products(network) == {
        "n0.scores": (S * H // KV, 8, L, B * KV, 1),
        "n0.context": (S * H // KV, L, 8, B * KV, 1),
    }
    assert network.macs == 2 * B * H * S * L * 8


def test_attention_over_a_past(read):
    nodes = [("Attention", "q q q m pk pv", "y k v s", {"q_num_heads": H, "kv_num_heads": H})]
    past = (B, H, 5, D // H)
    proto = model(
        nodes, [("q", (B, S, D)), ("m", (S, S + 5)), ("pk", past), ("pv", past)], outputs="ykvs", opset=24
    )
    network = read(proto)
    assert network.macs == 2 * B * S * (S + 5) * D
    assert shapes(network)[network.outputs[-1]] == (H, S, S + 5)
    with pytest.raises(InputError, match=r"n0 \(Attention\): operator set 22 does not have the operator"):
        read(model(nodes, [("q", (B, S, D)), ("m", (S, S + 5)), ("pk", past), ("pv", past)], opset=22))


def projected(op, weights):
    nodes = [(op, "x w b" + (" s s n i z" if op == "QAttention" else ""), "y", {"num_heads": H}, MS)]
    scalars = [zeros("s", (1,)), zeros("i", (), np.uint8), zeros("z", (), np.uint8)]
    entries = [("x", (B, S, 16), FLOAT if op == "Attention" else UINT8), ("n", (B,), TensorProto.INT32)]
    return model(nodes, entries, [zeros("w", (16, 3 * D), weights), zeros("b", (3 * D,)), *scalars])


@pytest.mark.parametrize(("op", "weights"), [("Attention", np.float32), ("QAttention", np.uint8)])
def test_attention_that_projects_by_itself(read, op, weights):
    network = read(projected(op, weights))
    assert products(network) == {
        "n0.projection": (B * S, 16, 3 * D, 1, 1),
        "n0.scores": (S, D // H, S, B * H, 1),
        "n0.context": (S, S, D // H, B * H, 1),
    }
    assert network.parameters == 16 * 3 * D + 3 * D
    assert shapes(network)[network.outputs[0]] == (S, D)
    if op == "QAttention":
        bits = {n.name: tuple(n.bits) for n in network.nodes if n.bits}
        assert bits["n0.projection"] == (8, 8, 32, 32)
        assert bits["n0.scores"] == (32, 32, 32, 32)


def test_attention_with_separate_or_packed_inputs(read):
    expected = {"n0.scores": (S, D // H, L, B * H, 1), "n0.context": (S, L, D // H, B * H, 1)}
    attrs = {"num_heads": H}
    query, keys = ("q", (B, S, D)), (B, L, D)
    apart = [("MultiHeadAttention", "q k v b", "y", attrs, MS)]
    network = read(model(apart, [query, ("k", keys), ("v", keys)], [zeros("b", (3 * D,))]))
    assert products(network) == expected
    assert network.parameters == 3 * D
    packed = [("MultiHeadAttention", "q k", "y", attrs, MS)]
    assert products(read(model(packed, [query, ("k", (B, L, H, 2, D // H))]))) == expected
    together = [("MultiHeadAttention", "q", "y", attrs, MS)]
    network = read(model(together, [("q", (B, S, H, 3, D // H))]))
    assert network.macs == 2 * B * S * S * D
    assert shapes(network)[network.outputs[0]] == (S, D)


def test_grouped_queries(read):
    attrs, size = {"num_heads": H, "kv_num_heads": KV}, 6
    lengths = [("n", (B,), TensorProto.INT32)]
    total = [numpy_helper.from_array(np.array(9, dtype=np.int32), "t")]
    expected = {"n0.scores": (2 * S, size, 9, B * KV, 1), "n0.context": (2 * S, 9, size, B * KV, 1)}
    past = [("pk", (B, KV, 7, size)), ("pv", (B, KV, 7, size))]
    entries = [("q", (B, S, H * size)), ("k", (B, S, KV * size)), ("v", (B, S, KV * size)), *past, *lengths]
    nodes = [("GroupQueryAttention", "q k v pk pv n t", "y a b", attrs, MS)]
    assert products(read(model(nodes, entries, total, outputs="yab"))) == expected
    packed = [("q", (B, S, (H + 2 * KV) * size)), *past, *lengths]
    node = helper.make_node(
        "GroupQueryAttention",
        ["q", "", "", "pk", "pv", "n", "t"],
        ["y", "a", "b"],
        domain=MS,
        name="n0",
        **attrs,
    )
    proto = model(nodes, packed, total, outputs="yab")
    del proto.graph.node[:]
    proto.graph.node.append(node)
    assert products(read(proto)) == expected


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layout", [0, 1])
def test_recurrent_layers(read, op, both, layout):
    gates, directions = {"RNN": 1, "GRU": 3, "LSTM": 4}[op], 1 + both
    attrs = {"hidden_size": 7, "direction": "bidirectional" if both else "forward", "layout": layout}
    x = (B, S, 5) if layout else (S, B, 5)
    weights = [
        zeros("w", (directions, gates * 7, 5)),
        zeros("r", (directions, gates * 7, 7)),
        zeros("b", (directions, 2 * gates * 7)),
    ]
    outs = "y h c" if op == "LSTM" else "y h"
    proto = model([(op, "x w r b", outs, attrs)], [("x", x)], weights, outputs=outs.split())
    network = followed(read, proto)
    found = products(network)
    per_direction = S * B * gates * 7 * (5 + 7)
    assert network.macs == directions * per_direction
    assert network.parameters == directions * gates * 7 * (5 + 7 + 2)
    label = "forward." if both else ""
    assert found[f"n0.{label}input"] == (S * B, 5, gates * 7, 1, 1)
    columns = 14 if op == "GRU" else gates * 7  # the candidate waits for the reset gate
    assert found[f"n0.{label}recurrent"] == (B, 7, columns, 1, S)
    assert (f"n0.{label}recurrent.candidate" in found) == (op == "GRU")


def test_a_gru_that_resets_behind_the_product_needs_one(read):
    weights = [zeros("w", (1, 21, 5)), zeros("r", (1, 21, 7))]
    nodes = [("GRU", "x w r", "y", {"hidden_size": 7, "linear_before_reset": 1})]
    assert products(read(model(nodes, [("x", (S, B, 5))], weights)))["n0.recurrent"] == (B, 7, 21, 1, S)


def test_a_quantised_recurrent_layer(read):
    weights = [
        zeros("w", (1, 5, 28), np.int8),
        zeros("r", (1, 7, 28), np.int8),
        *(zeros(n, (1,)) for n in "st"),
        *(zeros(n, (1,), np.int8) for n in "uv"),
    ]
    proto = model(
        [("DynamicQuantizeLSTM", "x w r", "y", {"hidden_size": 7}, MS)], [("x", (S, B, 5))], weights
    )
    proto.graph.node[0].input.extend([""] * 5 + ["s", "u", "t", "v"])
    network = read(proto)
    assert network.macs == S * B * 28 * (5 + 7)
    assert {tuple(n.bits)[:2] for n in network.nodes if n.bits} == {(8, 8)}


EINSUMS = {
    # rows, inner, columns, groups
    "bij,bjk->bik": (((2, 3, 4), (2, 4, 5)), (3, 4, 5, 2)),
    "bhqd,bkhd->bhqk": (((2, 3, 4, 5), (2, 6, 3, 5)), (4, 5, 6, 6)),
    "...ij,...jk->...ik": (((2, 3, 4, 5), (2, 3, 5, 6)), (4, 5, 6, 6)),
    "ij,jk": (((3, 4), (4, 5)), (3, 4, 5, 1)),
    "abcd,abcd->a": (((2, 3, 4, 5), (2, 3, 4, 5)), (1, 60, 1, 2)),
    "i,j->ij": (((3,), (4,)), (3, 1, 4, 1)),
    "bij,jk->kbi": (((2, 3, 4), (4, 5)), (6, 4, 5, 1)),
}


@pytest.mark.parametrize("equation", EINSUMS)
def test_einsum_that_multiplies_matrices(read, equation):
    (a, b), expected = EINSUMS[equation]
    proto = model([("Einsum", "a b", "y", {"equation": equation})], [("a", a), ("b", b)])
    network = read(proto)
    (layer,) = network.layers
    assert (layer.pixels, layer.in_channels, layer.out_channels, layer.groups) == expected
    made = np.einsum(equation, np.zeros(a), np.zeros(b)).shape
    assert network.nodes[-1].shape == (made[1:] if len(made) > 1 else made)


@pytest.mark.parametrize(
    ("equation", "operands"),
    [
        ("bij,bij->bij", [(2, 3, 4), (2, 3, 4)]),
        ("bij,bj->bij", [(2, 3, 4), (2, 4)]),
        ("bij->bji", [(2, 3, 4)]),
        ("bij->b", [(2, 3, 4)]),
    ],
)
def test_einsum_without_products(read, equation, operands):
    entries = list(zip("ab", operands, strict=False))
    nodes = [("Einsum", " ".join(name for name, _ in entries), "y", {"equation": equation})]
    network = read(model(nodes, entries))
    assert network.layers == ()
    made = np.einsum(equation, *map(np.zeros, operands)).shape
    assert network.nodes[-1].shape == (made[1:] if len(made) > 1 else made)


def test_einsum_of_three_is_named(read):
    nodes = [("Einsum", "a a a", "y", {"equation": "ij,jk,kl->il"})]
    with pytest.raises(InputError, match=r"n0 \(Einsum\): has 3 operands, allowed: 1 or 2"):
        read(model(nodes, [("a", (3, 3))]))


W = zeros("w", (8, 4, 3, 3))


@pytest.mark.parametrize(
    ("nodes", "weights"),
    [
        ([("NhwcConv", "x w", "y", {"pads": [1, 1, 1, 1]}, MS)], [zeros("w", (8, 3, 3, 4))]),
        ([("NhwcFusedConv", "x w", "y", {"pads": [1, 1, 1, 1]}, MS)], [W]),
        ([("QLinearConv", "x s z w s z s z", "y", {"pads": [1, 1, 1, 1], "channels_last": 1}, MS)], [zeros("w", (8, 4, 3, 3), np.uint8), zeros("s", ()), zeros("z", (), np.uint8)]),
    ],
)  # fmt: skip
def test_channels_last(read, nodes, weights):
    quantised = nodes[0][0] == "QLinearConv"
    network = read(model(nodes, [("x", (1, 9, 7, 4), UINT8 if quantised else FLOAT)], weights))
    (layer,) = network.layers
    assert (layer.in_channels, layer.out_channels, [a.in_size for a in layer.axes]) == (4, 8, [9, 7])
    assert network.nodes[-1].shape == (9, 7, 8)
    assert network.parameters == 288


def test_channels_last_between_layers(read):
    nodes = [
        ("QLinearConv", "x s z w s z s z", "c", {"channels_last": 1}, MS),
        (
            "QLinearAveragePool",
            "c s z s z",
            "p",
            {"kernel_shape": [2, 2], "strides": [2, 2], "channels_last": 1},
            MS,
        ),
        ("NhwcMaxPool", "p", "m", {"kernel_shape": [2, 1], "strides": [2, 1]}, MS),
        ("QLinearGlobalAveragePool", "m s z s z", "y", {"channels_last": 1}, MS),
    ]
    weights = [zeros("w", (8, 4, 3, 3), np.uint8), zeros("s", ()), zeros("z", (), np.uint8)]
    assert [n.shape for n in read(model(nodes, [("x", (1, 10, 8, 4), UINT8)], weights)).nodes] == [
        (8, 6, 8), (4, 3, 8), (2, 3, 8), (1, 1, 8),
    ]  # fmt: skip


def test_products_whose_batch_is_transposed(read):
    nodes = [("FusedMatMul", "a b", "y", {"transBatchA": 1, "transB": 1}, MS)]
    (layer,) = read(model(nodes, [("a", (5, 2, 3, 4)), ("b", (2, 3, 6, 4))])).layers
    assert (layer.pixels, layer.in_channels, layer.out_channels, layer.groups) == (5, 4, 6, 6)


def body(nodes, inputs, outputs, initializers=()):
    return helper.make_graph([helper.make_node(*n[:3], name=n[0], **(n[3] if len(n) > 3 else {})) for n in nodes], "body",
                             [info(*i) for i in inputs], [helper.make_empty_tensor_value_info(o) for o in outputs], list(initializers))  # fmt: skip


def number(value, name, kind=np.int64):
    return numpy_helper.from_array(np.array(value, dtype=kind), name)


STEP = [("i", (), TensorProto.INT64), ("going", (), TensorProto.BOOL)]


def test_the_branch_that_a_constant_chooses(read):
    deep = body([("MatMul", ["x", "w"], ["t"]), ("MatMul", ["t", "w"], ["r"])], [], ["r"])
    flat = body([("Relu", ["x"], ["r"])], [], ["r"])
    nodes = [
        ("Size", "x", "n", {}),
        ("Less", "n hundred", "c", {}),
        ("If", "c", "y", {"then_branch": deep, "else_branch": flat}),
    ]
    weights = [zeros("w", (6, 6)), number(100, "hundred")]
    assert len(read(model(nodes, [("x", (5, 6))], weights)).layers) == 2
    assert read(model(nodes, [("x", (50, 6))], weights)).layers == ()


def test_a_loop_runs_its_layers_as_often_as_it_says(read):
    inner = body([("MatMul", ["s", "w"], ["t"]), ("Relu", ["t"], ["o"]), ("Identity", ["going"], ["go"]), ("Identity", ["o"], ["each"])],
                 [*STEP, ("s", None)], ["go", "o", "each"])  # fmt: skip
    nodes, weights = (
        [("Loop", "trips go0 x", "y all", {"body": inner})],
        [number(7, "trips"), zeros("w", (6, 6)), number(True, "go0", bool)],
    )
    network = read(model(nodes, [("x", (5, 6))], weights, outputs=["y", "all"]))
    ((name, product),) = products(network).items()
    assert (name, product) == ("MatMul", (5, 6, 6, 1, 7))
    assert network.macs == 7 * 5 * 36
    assert network.parameters == 36
    assert [shapes(network)[out] for out in network.outputs] == [(6,), (5, 6)]


def test_loops_inside_loops_multiply(read):
    inner = body([("MatMul", ["s2", "w"], ["o2"]), ("Identity", ["going2"], ["go2"])],
                 [("i2", (), TensorProto.INT64), ("going2", (), TensorProto.BOOL), ("s2", None)], ["go2", "o2"])  # fmt: skip
    outer = body(
        [("Loop", ["trips", "", "s"], ["o"], {"body": inner}), ("Identity", ["going"], ["go"])],
        [*STEP, ("s", None)],
        ["go", "o"],
    )
    proto = model(
        [("Loop", "trips go0 x", "y", {"body": outer})],
        [("x", (5, 6))],
        [number(3, "trips"), zeros("w", (6, 6)), number(True, "go0", bool)],
    )
    assert [y.count for y in read(proto).layers] == [9]


def test_a_state_that_grows_is_followed_step_by_step(read):
    inner = body([("Concat", ["s", "x"], ["o"], {"axis": 0}), ("MatMul", ["o", "w"], ["m"]), ("Identity", ["going"], ["go"])],
                 [*STEP, ("s", None)], ["go", "m"])  # fmt: skip
    proto = model(
        [("Loop", "trips go0 x", "y", {"body": inner})],
        [("x", (5, 6))],
        [number(3, "trips"), zeros("w", (6, 6)), number(True, "go0", bool)],
    )
    network = read(proto)
    assert [(y.pixels, y.count) for y in network.layers] == [(10, 1), (15, 1), (20, 1)]
    assert network.parameters == 36


def test_a_loop_that_never_runs(read):
    inner = body(
        [("MatMul", ["s", "w"], ["o"]), ("Identity", ["going"], ["go"])], [*STEP, ("s", None)], ["go", "o"]
    )
    proto = model(
        [("Loop", "trips go0 x", "y", {"body": inner}), ("Relu", "y", "z", {})],
        [("x", (5, 6))],
        [number(0, "trips"), zeros("w", (6, 6)), number(True, "go0", bool)],
        outputs=["z"],
    )
    network = read(proto)
    assert (network.layers, network.nodes[-1].shape) == ((), (6,))


def test_a_scan_runs_once_for_each_piece(read):
    inner = body(
        [("Add", ["s", "p"], ["t"]), ("MatMul", ["t", "w"], ["o"]), ("Identity", ["o"], ["q"])],
        [("s", None), ("p", None)],
        ["o", "q"],
    )
    proto = model(
        [("Scan", "s0 x", "last all", {"body": inner, "num_scan_inputs": 1})],
        [("s0", (5, 6)), ("x", (9, 5, 6))],
        [zeros("w", (6, 6))],
        outputs=["last", "all"],
    )
    network = read(proto)
    assert products(network) == {"MatMul": (5, 6, 6, 1, 9)}
    assert [shapes(network)[out] for out in network.outputs] == [(6,), (5, 6)]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("If", "c", "y", {"then_branch": body([("Relu", ["x"], ["r"])], [], ["r"]), "else_branch": body([("Relu", ["x"], ["r"])], [], ["r"])})], "its condition depends on data"),
        ([("Loop", "n go0 x", "y", {"body": body([("Identity", ["going"], ["go"]), ("Relu", ["s"], ["o"])], [*STEP, ("s", None)], ["go", "o"])})], "how often it runs depends on data"),
        ([("Loop", "trips c x", "y", {"body": body([("Identity", ["going"], ["go"]), ("Relu", ["s"], ["o"])], [*STEP, ("s", None)], ["go", "o"])})], "whether it runs depends on data"),
        ([("Loop", "trips go0 x", "y", {"body": body([("Identity", ["c"], ["go"]), ("Relu", ["s"], ["o"])], [*STEP, ("s", None)], ["go", "o"])})], "whether it runs on depends on data"),
    ],
)  # fmt: skip
def test_bodies_that_depend_on_data_are_named(read, nodes, message):
    entries = [("x", (5, 6)), ("c", (), TensorProto.BOOL), ("n", (), TensorProto.INT64)]
    with pytest.raises(InputError, match=rf"node n0 \({nodes[0][0]}\): {message}"):
        read(model(nodes, entries, [number(3, "trips"), number(True, "go0", bool)]))


def test_endless_bodies_are_refused(read, monkeypatch):
    monkeypatch.setattr(walk, "MAX_NODES", 1000)
    inner = body(
        [("Concat", ["s", "x"], ["o"], {"axis": 0}), ("Identity", ["going"], ["go"])],
        [*STEP, ("s", None)],
        ["go", "o"],
    )
    proto = model(
        [("Loop", "trips go0 x", "y", {"body": inner})],
        [("x", (5, 6))],
        [number(10**9, "trips"), number(True, "go0", bool)],
    )
    with pytest.raises(InputError, match="more than 1000 nodes"):
        read(proto)


def test_what_is_left_out_is_listed(read):
    nodes = [
        ("Conv", "x w", "c", {}),
        ("Foo", "c", "f", {}, "my.domain"),
        ("Conv", "f v", "y", {}),
        ("Bar", "y", "b", {}),
        ("MatMul", "b m", "o", {}),
    ]
    weights = [W, zeros("v", (2, 8, 1, 1)), zeros("m", (5, 5))]
    declared = [info("f", (1, 8, 7, 7))]
    proto = model(nodes, [("x", (1, 4, 9, 9))], weights, outputs=["o"], values=declared)
    with pytest.raises(
        InputError,
        match=r"n1 \(my\.domain\.Foo\): the operator is not supported, .*--skip-unsupported leaves it out",
    ):
        read(proto)
    network = read(proto, skip_unsupported=True)
    assert [y.name for y in network.layers] == ["n0", "n2"]  # the shape behind Foo is declared
    assert [(gone.name, gone.op) for gone in network.left_out] == [
        ("n1", "my.domain.Foo"),
        ("n3", "Bar"),
        ("n4", "MatMul"),
    ]
    assert "not supported" in network.left_out[1].reason
    assert "depends on data" not in network.left_out[1].reason
    assert "not known" in network.left_out[2].reason
    with pytest.raises(InputError, match="input has 4 channels"):  # what is wrong is never left out
        read(
            model([("Conv", "x w", "y", {})], [("x", (1, 4, 9, 9))], [zeros("w", (8, 5, 3, 3))]),
            skip_unsupported=True,
        )


def test_names_of_modules(read):
    proto = model([("Conv", "x w", "c", {}), ("Relu", "c", "y", {})], [("x", (1, 4, 9, 9))], [W])
    proto.ir_version = 10
    for node, scopes in zip(
        proto.graph.node, (["", "layer1", "layer1.0.conv1", "conv2d"], ["", "relu"]), strict=True
    ):
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr(scopes))
    assert [node.module for node in read(proto).nodes] == ["layer1.0.conv1", ""]
    proto.graph.node[0].attribute.append(helper.make_attribute("group", 0))
    with pytest.raises(InputError, match=r"node n0 \(Conv, module layer1\.0\.conv1\): group is 0"):
        read(proto)
    proto.graph.node[0].metadata_props[0].value = "["  # not a list
    with pytest.raises(InputError, match=r"node n0 \(Conv\): group is 0"):
        read(proto)


@pytest.mark.parametrize(
    ("given", "shown"), [("main_graph", "net"), ("", "net"), ("torch_jit", "net"), ("mine", "mine")]
)
def test_a_graph_that_exporters_name_has_the_name_of_its_file(read, given, shown):
    proto = model([("Conv", "x w", "y", {})], [("x", (1, 4, 9, 9))], [W])
    proto.graph.name = given
    assert read(proto).name == shown


def test_weights_inside_bodies_are_stepped_over(tmp_path):
    inner = body(
        [("MatMul", ["s", "v"], ["o"]), ("Identity", ["going"], ["go"])],
        [*STEP, ("s", None)],
        ["go", "o"],
        [zeros("v", (200, 200))],
    )
    proto = model(
        [("Loop", "trips go0 x", "y", {"body": inner})],
        [("x", (5, 200))],
        [number(3, "trips"), number(True, "go0", bool)],
    )
    from dnns.onnx_reader.file import load_model

    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    assert load_model(path).ByteSize() < 2000 < path.stat().st_size
    assert read_network(path).macs == 3 * 5 * 200 * 200


def test_onnxruntime_runs_what_is_written_out_to_the_same_shapes(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    f = np.float32
    cases = [
        (projected("Attention", f), {"x": np.zeros((B, S, 16), f), "n": np.full((B,), S, np.int32)}),
        (model([("MultiHeadAttention", "q k v", "y", {"num_heads": H}, MS)], [("q", (B, S, D)), ("k", (B, L, D)), ("v", (B, L, D))], outputs=()), {n: np.zeros(s, f) for n, s in (("q", (B, S, D)), ("k", (B, L, D)), ("v", (B, L, D)))}),
        (model([("LSTM", "x w r", "y", {"hidden_size": 7})], [("x", (S, B, 5))], [zeros("w", (1, 28, 5)), zeros("r", (1, 28, 7))], outputs=()), {"x": np.zeros((S, B, 5), f)}),
        (model([("FusedMatMul", "a b", "y", {"transBatchA": 1, "transB": 1}, MS)], [("a", (5, 2, 3, 4)), ("b", (2, 3, 6, 4))], outputs=()), {"a": np.zeros((5, 2, 3, 4), f), "b": np.zeros((2, 3, 6, 4), f)}),
    ]  # fmt: skip
    for proto, feed in cases:
        del proto.graph.output[:]
        proto.graph.output.append(helper.make_tensor_value_info("y", FLOAT, None))
        del proto.opset_import[2:]
        proto.ir_version = 8
        path = tmp_path / "net.onnx"
        path.write_bytes(proto.SerializeToString())
        network = read_network(path)
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        made = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(["y"], feed)[0]
        assert network.nodes[-1].shape == made.shape[1:]


def test_onnxruntimes_own_fusions_are_read(tmp_path):
    """A transformer's attention as exported, and as onnxruntime's optimiser writes it: the same MACs."""
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(2)
    nodes, weights = (
        [],
        [
            number([B, S, H, D // H], "split"),
            number([B, S, D], "join"),
            numpy_helper.from_array(np.array(0.5, np.float32), "scale"),
        ],
    )
    for name in "qkv":
        weights.append(numpy_helper.from_array(rng.normal(size=(D, D)).astype(np.float32), f"w{name}"))
        nodes += [("MatMul", f"x w{name}", f"{name}1", {}), ("Reshape", f"{name}1 split", f"{name}2", {}),
                  ("Transpose", f"{name}2", name, {"perm": [0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]})]  # fmt: skip
    nodes += [("MatMul", "q k", "s", {}), ("Mul", "s scale", "t", {}), ("Softmax", "t", "p", {"axis": 3}), ("MatMul", "p v", "o", {}),
              ("Transpose", "o", "o1", {"perm": [0, 2, 1, 3]}), ("Reshape", "o1 join", "y", {})]  # fmt: skip
    proto = model(nodes, [("x", (B, S, D))], weights, outputs=())
    proto.graph.output.append(info("y", (B, S, D)))
    del proto.opset_import[2:]
    proto.ir_version = 8
    path, made = tmp_path / "float.onnx", tmp_path / "fused.onnx"
    path.write_bytes(proto.SerializeToString())
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(made)
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    fused = read_network(made)
    assert "FusedMatMul" in {node.op for node in fused.nodes}
    assert fused.macs == read_network(path).macs == 3 * B * S * D * D + 2 * B * S * S * D
