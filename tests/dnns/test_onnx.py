# ruff: noqa: E501
"""ONNX: real files against published figures and a second counter, made models, and what is refused."""

from __future__ import annotations

import os
import sys
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.errors import InputError
from dnns.layer import Deconvolution, Layer
from dnns.reader import read_network

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.dnns.onnx_models import FLOAT, MS, UINT8, info, model, zeros  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"

# Real files. MACs and parameters: torchvision's metadata for ResNet-50, VGG-19, SqueezeNet 1.1 (349 M MACs) and
# DenseNet-121 (2.83 G MACs; here with separate scales beside its batch norms); Caffe's for AlexNet and GoogLeNet.
PUBLISHED = {
    "bvlc_alexnet": (None, 60_965_224),
    "densenet121": (2_834_161_664, 7_978_856 + 2 * 41_824),
    "inception_v1": (None, 6_998_552),
    "inception_v2": (None, None),
    "resnet50": (4_089_184_256, 25_557_032),
    "shufflenet": (None, None),
    "squeezenet": (349_151_936, 1_235_496),
    "vgg19": (19_632_062_464, 143_667_240),
    "zfnet512": (None, None),
}


def second_counter(path: Path) -> int:
    """MACs by whole-graph shape inference: outputs times the weights that each one sees."""
    proto = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    shapes = {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output)
    }
    total = 0
    for node in proto.graph.node:
        if node.op_type == "Conv":
            total += prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
        elif node.op_type == "Gemm":
            total += prod(shapes[node.output[0]]) * prod(shapes[node.input[1]]) // shapes[node.output[0]][1]
    return total


def test_the_list_of_real_files_is_complete():
    assert {path.stem.removeprefix("light_") for path in LIGHT.glob("*.onnx")} == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_real_files(name):
    path = LIGHT / f"light_{name}.onnx"
    network = read_network(path)
    macs, parameters = PUBLISHED[name]
    assert network.macs == second_counter(path)
    assert macs in (None, network.macs)
    assert parameters in (None, network.parameters)
    assert network.nodes[-1].shape in ((1000,), (1000, 1, 1))


def test_the_zoo_and_onnx_agree_on_resnet50():
    onnx_layers = read_network(LIGHT / "light_resnet50.onnx").layers
    zoo = read_network(Path(__file__).parents[2] / "dnns/networks/resnet50.yaml").layers
    shape = lambda x: (x.in_channels, x.out_channels, x.taps, x.pixels)  # noqa: E731
    # Caffe2's model has the stride of a stage's first block on its 1x1, torchvision's on its 3x3
    assert len(onnx_layers) == len(zoo)
    assert [shape(x) for x in onnx_layers[:10]] == [shape(x) for x in zoo[:10]]


windows = st.tuples(
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 3),
)


@given(st.lists(windows, min_size=1, max_size=3), st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]),
       st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))  # fmt: skip
def test_convolutions_have_the_shape_that_onnx_infers(tmp_path_factory, axes, auto_pad, groups, ci, co):
    sizes, kernel, strides, dilations, low, high = (list(column) for column in zip(*axes, strict=True))
    assume(auto_pad == "NOTSET" or set(dilations) == {1})
    attributes = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "group": groups}
    attributes |= {"auto_pad": auto_pad} if auto_pad != "NOTSET" else {"pads": low + high}
    padded = [n + (a + b if auto_pad == "NOTSET" else 0) for n, a, b in zip(sizes, low, high, strict=True)]
    if not auto_pad.startswith("SAME"):
        assume(all(d * (k - 1) + 1 <= n for d, k, n in zip(dilations, kernel, padded, strict=True)))
    proto = model(
        [("Conv", "x w", "y", attributes)],
        [("x", [2, ci * groups, *sizes])],
        [zeros("w", [co * groups, ci, *kernel])],
    )
    inferred = (
        onnx.shape_inference.infer_shapes(proto, strict_mode=True).graph.output[0].type.tensor_type.shape
    )
    path = tmp_path_factory.mktemp("conv") / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    (layer,) = read_network(path).layers
    assert [a.out for a in layer.axes] == [d.dim_value for d in inferred.dim[2:]]
    assert (layer.batch, layer.groups, layer.in_channels, layer.out_channels) == (2, groups, ci, co)
    if auto_pad == "NOTSET":
        assert [(a.pad_lo, a.pad_hi) for a in layer.axes] == list(zip(low, high, strict=True))
    if auto_pad.startswith("SAME"):
        larger_last = [a.pad_hi - a.pad_lo for a in layer.axes]
        assert set(larger_last) <= ({0, 1} if auto_pad == "SAME_UPPER" else {0, -1})


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        # in 5, kernel 3: out, pad_lo, pad_hi, output_padding
        ({}, (7, 0, 0, 0)),
        ({"strides": 2, "pads": (1, 1), "output_padding": 1}, (10, 1, 1, 1)),
        ({"strides": 2, "pads": (0, 2), "dilations": 2}, (11, 0, 2, 0)),
        ({"strides": 2, "auto_pad": "VALID"}, (11, 0, 0, 0)),
        ({"strides": 2, "auto_pad": "SAME_UPPER"}, (10, 0, 1, 0)),
        ({"strides": 2, "auto_pad": "SAME_LOWER"}, (10, 1, 0, 0)),
        (
            {"strides": 4, "auto_pad": "SAME_UPPER"},
            (20, 0, 0, 1),
        ),  # stride beyond the kernel: zeros at the end
        ({"strides": 2, "output_shape": 10}, (10, 1, 0, 0)),
        ({"strides": 2, "output_shape": 8, "auto_pad": "SAME_UPPER"}, (8, 1, 2, 0)),
    ],
)
def test_transposed_convolutions(read, axes, attributes, expected):
    full = {
        key: value if isinstance(value, str) else [v for v in value for _ in range(axes)] if isinstance(value, tuple) else [value] * axes
        for key, value in attributes.items()
    }  # fmt: skip
    nodes = [("ConvTranspose", "x w b", "y", {"group": 2, **full})]
    network = read(
        model(nodes, [("x", [3, 4, *[5] * axes])], [zeros("w", [4, 6, *[3] * axes]), zeros("b", [12])])
    )
    (layer,) = network.layers
    assert isinstance(layer, Deconvolution)
    assert [(a.out, a.pad_lo, a.pad_hi, a.output_padding) for a in layer.axes] == [expected] * axes
    assert (layer.batch, layer.groups, layer.in_channels, layer.out_channels) == (3, 2, 2, 6)
    assert network.nodes[-1].shape == (12, *[expected[0]] * axes)
    assert network.parameters == 4 * 6 * 3**axes + 12


@pytest.mark.parametrize(
    ("a", "b", "out", "layer"),
    [
        # rows, inner, columns, groups
        ((4, 5), (5, 6), (4, 6), (4, 5, 6, 1)),
        ((2, 3, 4, 5), (5, 6), (2, 3, 4, 6), (24, 5, 6, 1)),
        ((2, 3, 4, 5), (2, 3, 5, 6), (2, 3, 4, 6), (4, 5, 6, 6)),
        ((2, 3, 4, 5), (2, 1, 5, 6), (2, 3, 4, 6), (12, 5, 6, 2)),
        ((2, 1, 4, 5), (1, 3, 5, 6), (2, 3, 4, 6), (8, 5, 18, 1)),
        ((5,), (3, 5, 6), (3, 6), (1, 5, 18, 1)),
        ((4, 5), (5,), (4,), (4, 5, 1, 1)),
        ((5,), (5,), (), (1, 5, 1, 1)),
    ],
)
def test_products_of_two_activations(read, a, b, out, layer):
    network = read(model([("MatMul", "a b", "y", {})], [("a", a), ("b", b)]))
    (product,) = network.layers
    assert (product.pixels, product.in_channels, product.out_channels, product.groups) == layer
    assert (product.op, product.macs) == ("matmul", prod(out) * a[-1])
    assert network.nodes[0].shape == (out[1:] if len(out) > 1 else out)
    assert np.zeros(a).dot(np.zeros(b)).size >= 0  # the operands fit


def test_products_with_weights_on_either_side(read):
    (right,) = read(model([("MatMul", "a w", "y", {})], [("a", (7, 4, 5))], [zeros("w", (5, 6))])).layers
    assert (right.op, right.pixels, right.in_channels, right.out_channels) == ("fc", 28, 5, 6)
    (left,) = read(model([("MatMul", "w a", "y", {})], [("a", (7, 5, 4))], [zeros("w", (6, 5))])).layers
    assert (left.op, left.pixels, left.in_channels, left.out_channels) == ("fc", 28, 5, 6)
    (experts,) = read(model([("MatMul", "a w", "y", {})], [("a", (7, 4, 5))], [zeros("w", (7, 5, 6))])).layers
    assert (experts.groups, experts.pixels, experts.weight_words) == (7, 4, 210)


@pytest.mark.parametrize(("trans_a", "trans_b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm(read, trans_a, trans_b):
    a, b = (5, 4) if trans_a else (4, 5), (6, 5) if trans_b else (5, 6)
    nodes = [("Gemm", "a b c", "y", {"transA": trans_a, "transB": trans_b})]
    network = read(model(nodes, [("a", a)], [zeros("b", b), zeros("c", (6,))]))
    (layer,) = network.layers
    assert (layer.op, layer.pixels, layer.in_channels, layer.out_channels) == ("fc", 4, 5, 6)
    assert network.parameters == 36


Q = [zeros("s", ()), zeros("z", (), np.uint8), zeros("w", (8, 4, 3, 3), np.uint8), zeros("b", (8,), np.int32)]
M = [zeros("s", ()), zeros("z", (), np.uint8), zeros("w", (5, 6), np.uint8)]
F = [zeros("wf", (8, 4, 3, 3)), zeros("bf", (8,)), zeros("zf", (1, 8, 7, 7)), zeros("mf", (6, 5))]
IMAGE, ROWS = ("x", (1, 4, 9, 9), UINT8), ("x", (2, 4, 5), UINT8)
FORMS = {
    "QLinearConv": ([("QLinearConv", "x s z w s z s z b", "y", {})], IMAGE, Q, (8, 7, 7), 296),
    "ms QLinearConv": ([("QLinearConv", "x s z w s z s z b", "y", {}, MS)], IMAGE, Q, (8, 7, 7), 296),
    "ConvInteger": ([("ConvInteger", "x w z z", "y", {})], IMAGE, Q, (8, 7, 7), 288),
    "QLinearMatMul": ([("QLinearMatMul", "x s z w s z s z", "y", {})], ROWS, M, (4, 6), 30),
    "MatMulInteger": ([("MatMulInteger", "x w z z", "y", {})], ROWS, M, (4, 6), 30),
    "MatMulIntegerToFloat": ([("MatMulIntegerToFloat", "x w s s z z", "y", {}, MS)], ROWS, M, (4, 6), 30),
    "DynamicQuantizeMatMul": ([("DynamicQuantizeMatMul", "x w s z", "y", {}, MS)], ("x", (2, 4, 5)), M, (4, 6), 30),
    "QGemm": ([("QGemm", "x s z w s z b s z", "y", {}, MS)], ("x", (4, 5), UINT8), [*M, zeros("b", (6,), np.int32)], (6,), 36),
    "FusedConv": ([("FusedConv", "x wf bf zf", "y", {"activation": "Relu"}, MS)], ("x", (1, 4, 9, 9)), F, (8, 7, 7), 296),
    "FusedMatMul": ([("FusedMatMul", "x mf", "y", {"transB": 1}, MS)], ("x", (2, 4, 5)), F, (4, 6), 30),
    "MatMulNBits": ([("MatMulNBits", "x w4 s", "y", {"K": 32, "N": 6, "bits": 4, "block_size": 16}, MS)], ("x", (2, 4, 32)),
                    [zeros("w4", (6, 2, 8), np.uint8), zeros("s", (12,))], (4, 6), 192),
    "QDQ": ([("QuantizeLinear", "x s z", "q", {}), ("DequantizeLinear", "q s z", "d", {}),
             ("DequantizeLinear", "w s z", "v", {}), ("DequantizeLinear", "b s", "c", {}), ("Conv", "d v c", "y", {})],
            ("x", (1, 4, 9, 9)), Q, (8, 7, 7), 296),
    "dynamic": ([("DynamicQuantizeLinear", "x", "q t u", {}), ("MatMulInteger", "q w u z", "i", {}), ("Cast", "i", "y", {"to": 1})],
                ("x", (2, 4, 5)), M, (4, 6), 30),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_quantised_and_fused_forms(read, form):
    nodes, entry, weights, out, parameters = FORMS[form]
    network = read(model(nodes, [entry], weights))
    (layer,) = network.layers
    assert network.nodes[-1].shape == out
    assert network.parameters == parameters
    inner = 36 if len(out) == 3 else entry[1][-1]
    batch = 2 if len(entry[1]) == 3 else 1 if len(out) == 3 else 4
    assert layer.macs == batch * prod(out) * inner


def test_microsofts_quantised_operators_without_macs(read):
    nodes = [
        ("QLinearConv", "x s z w s z s z b", "c", {}, ""),
        ("QLinearAdd", "c s z c s z s z", "a", {}, MS),
        ("QLinearConcat", "s z a s z c s z", "k", {"axis": 1}, MS),
        ("QLinearAveragePool", "k s z s z", "p", {"kernel_shape": [2, 2], "strides": [2, 2]}, MS),
        ("QLinearGlobalAveragePool", "p s z s z", "y", {}, MS),
    ]
    shapes = {n.op: n.shape for n in read(model(nodes, [IMAGE], Q)).nodes}
    assert shapes == {
        "QLinearConv": (8, 7, 7), "QLinearAdd": (8, 7, 7), "QLinearConcat": (16, 7, 7),
        "QLinearAveragePool": (16, 3, 3), "QLinearGlobalAveragePool": (16, 1, 1),
    }  # fmt: skip


def test_shapes_that_the_graph_computes_are_followed(read):
    nodes = [
        ("Shape", "x", "s", {}),
        ("Gather", "s i", "n", {"axis": 0}),
        ("Mul", "n two", "m", {}),
        ("Unsqueeze", "m zero", "u", {}),
        ("Concat", "minus u", "t", {"axis": 0}),
        ("Reshape", "x t", "r", {}),
        ("MatMul", "r w", "y", {}),
    ]
    constants = [("i", 2), ("two", 2), ("zero", [0]), ("minus", [-1])]
    weights = [numpy_helper.from_array(np.array(value, dtype=np.int64), name) for name, value in constants]
    network = read(model(nodes, [("x", ("batch", 4, 5))], [*weights, zeros("w", (10, 3))]), dims={"batch": 3})
    (layer,) = network.layers
    assert (layer.pixels, layer.in_channels, layer.out_channels) == (6, 10, 3)
    assert [node.op for node in network.nodes] == ["Reshape", "MatMul"]  # arithmetic on shapes is folded


CONV = [("Conv", "x w", "y", {})]


def test_symbolic_dimensions(read):
    proto = model(CONV, [("x", ("batch", 4, "h", None))], [zeros("w", (8, 4, 3, 3))])
    told = r"batch \(axis 0 of x\); h \(axis 2 of x\); x.3 \(axis 3 of x\); give "
    with pytest.raises(InputError, match=told + r"--dim batch=1 --dim h=SIZE --dim x\.3=SIZE$"):
        read(proto)
    with pytest.raises(InputError, match=r"not known: x\.3 \(axis 3 of x\); give --dim x\.3=SIZE$"):
        read(proto, dims={"batch": 1, "h": 8})
    with pytest.raises(InputError, match="dim bach: unknown dimension 'bach', did you mean batch"):
        read(proto, dims={"bach": 1})
    with pytest.raises(InputError, match="dim h: it is 0, allowed: at least 1"):
        read(proto, dims={"batch": 1, "h": 0, "x.3": 1})
    network = read(proto, dims={"batch": 2, "h": 8, "x.3": 9})
    assert (network.batch, network.inputs, network.nodes[0].shape) == (2, (("x", (4, 8, 9)),), (8, 6, 7))
    assert read(proto, input=(4, 5, 6)).nodes[0].shape == (8, 3, 4)  # the batch is then 1
    with pytest.raises(InputError, match=r"input: got 2 sizes \[4, 5\], allowed: 3, without the batch"):
        read(proto, input=(4, 5))
    with pytest.raises(InputError, match="a size is 0"):
        read(proto, input=(4, 0, 5))


def test_weights_need_not_be_there(read):
    inputs, weights = [("x", (1, 4, 9, 9))], [info("w", (8, 4, 3, 3)), info("b", (8,))]
    node = [("Conv", "x w b", "y", {})]
    declared = read(model(node, inputs, values=weights))
    listed = read(model(node, [*inputs, *weights]))
    for network in (declared, listed):
        assert network.inputs == (("x", (4, 9, 9)),)
        assert (network.macs, network.parameters) == (8 * 49 * 36, 296)
    with pytest.raises(
        InputError, match=r"node n0 \(Conv\): reads tensor 'w', which no node before it makes"
    ):
        read(model(node, inputs))


def test_external_data_is_not_read(read):
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[8, 4, 3, 3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="nowhere.bin")
    assert read(model(CONV, [("x", (1, 4, 9, 9))], [tensor])).macs == 8 * 49 * 36


def varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def test_a_file_of_many_gigabytes_loads_without_its_weights(tmp_path):
    """Weights of 6 GB inside the file, beyond what protobuf can parse; the file is sparse."""
    size = 6 << 30
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[size // 4 // 36, 4, 3, 3]).SerializeToString()
    graph = model(CONV, [("x", (1, 4, 9, 9))]).graph.SerializeToString()
    weights = tensor + b"\x4a" + varint(size)  # raw_data, whose bytes follow
    head = b"\x2a" + varint(len(weights) + size) + weights
    rest = model(CONV, [])
    rest.ClearField("graph")
    path = tmp_path / "big.onnx"
    with open(path, "wb") as stream:
        stream.write(
            rest.SerializeToString() + b"\x3a" + varint(len(graph) + len(head) + size) + graph + head
        )
        stream.truncate(stream.tell() + size)
    assert os.stat(path).st_size > size
    assert read_network(path).layers[0].out_channels == size // 4 // 36


def test_large_weights_in_the_file_are_stepped_over(read):
    weights = [zeros("w", (256, 4, 32, 32))]
    network = read(model(CONV, [("x", (1, 4, 40, 40))], weights))
    assert (network.macs, network.parameters) == (256 * 81 * 4096, 2**20)


def test_functions_of_the_model_are_written_out(read):
    body = [helper.make_node("Conv", ["a", "w"], ["c"]), helper.make_node("Relu", ["c"], ["b"])]
    function = helper.make_function("f", "Block", ["a", "w"], ["b"], body, [helper.make_opsetid("", 17)])
    nodes = [("Block", "x w", "t", {}, "f"), ("Block", "t v", "y", {}, "f")]
    weights = [zeros("w", (8, 4, 3, 3)), zeros("v", (2, 8, 3, 3))]
    network = read(model(nodes, [("x", (1, 4, 9, 9))], weights, functions=[function]))
    assert [(n.op, n.shape) for n in network.nodes] == [
        ("Conv", (8, 7, 7)), ("Relu", (8, 7, 7)), ("Conv", (2, 5, 5)), ("Relu", (2, 5, 5))
    ]  # fmt: skip


def chain(name, inner, times):
    body = [helper.make_node(inner, [f"t{i}"], [f"t{i + 1}"], domain="f") for i in range(times)]
    return helper.make_function("f", name, ["t0"], [f"t{times}"], body, [helper.make_opsetid("f", 1)])


def test_functions_that_explode_or_call_themselves(read):
    bomb = [chain(f"f{i}", f"f{i - 1}", 10) for i in range(1, 30)]
    with pytest.raises(InputError, match="nodes with functions written out, at most 100000"):
        read(model([("f29", "x", "y", {}, "f")], [("x", (1, 4))], functions=bomb))
    with pytest.raises(InputError, match="its functions call themselves"):
        read(
            model(
                [("a", "x", "y", {}, "f")],
                [("x", (1, 4))],
                functions=[chain("a", "b", 1), chain("b", "a", 1)],
            )
        )


X = [("x", (1, 4, 9, 9))]
W = [zeros("w", (8, 4, 3, 3))]
BRANCH = helper.make_graph([helper.make_node("Relu", ["x"], ["r"])], "b", [], [info("r", (1, 4, 9, 9))])
REFUSED = {
    "If": ([("If", "c", "y", {"then_branch": BRANCH, "else_branch": BRANCH})], [*X, ("c", (), TensorProto.BOOL)], [], "n0 (If): its condition depends on data"),
    "LSTM": ([("LSTM", "x w r", "y", {"hidden_size": 3})], [("x", (5, 1, 4)), ("w", (1, 12, 4)), ("r", (1, 12, 4))], [], "n0 (LSTM): X, W and R do not fit 1 direction(s) of 3"),
    "Einsum": ([("Einsum", "x x", "y", {"equation": "aacd,abcd->a"})], X, [], "n0 (Einsum): equation term 'aacd' takes a diagonal"),
    "DeformConv": ([("DeformConv", "x w o", "y", {})], [*X, ("o", (1, 18, 7, 7))], W, "n0 (DeformConv): the operator is not"),
    "Attention": ([("Attention", "x w b", "y", {"num_heads": 3}, MS)], [("x", (1, 4, 8)), ("w", (8, 24)), ("b", (24,))], [], "n0 (com.microsoft.Attention): width of 8 cannot be divided into 3 heads"),
    "custom": ([("Foo", "x", "y", {}, "my.domain")], X, [], "n0 (my.domain.Foo): the operator is not supported"),
    "unknown": ([("Foo", "x", "y", {})], X, [], "n0 (Foo): the operator is not supported"),
    "too new": ([("Gelu", "x", "y", {})], X, [], "n0 (Gelu): operator set 17 does not have the operator"),
    "channels": (CONV, [("x", (1, 5, 9, 9))], W, "n0 (Conv): input has 5 channels, weights [8, 4, 3, 3] of 1 groups take 4"),
    "groups": ([("Conv", "x w", "y", {"group": 0})], X, W, "n0 (Conv): group is 0"),
    "4-D": (CONV, [("x", (1, 4, 9, 9, 9, 9))], [zeros("w", (8, 4, 3, 3, 3, 3))], "has 4 spatial axes, allowed: 1 to 3"),
    "rank": (CONV, X, [zeros("w", (8, 4, 3))], "weights [8, 4, 3] do not fit an input [1, 4, 9, 9]"),
    "kernel": (CONV, [("x", (1, 4, 2, 9))], W, "a window of 3 does not fit the padded input of 2"),
    "kernel_shape": ([("Conv", "x w", "y", {"kernel_shape": [2, 2]})], X, W, "kernel_shape [2, 2] is not that of weights"),
    "stride": ([("Conv", "x w", "y", {"strides": [0, 1]})], X, W, "stride is 0, allowed: at least 1"),
    "strides": ([("Conv", "x w", "y", {"strides": [1]})], X, W, "strides has 1 entries, allowed: 2"),
    "pads": ([("Conv", "x w", "y", {"pads": [1, 1]})], X, W, "pads has 2 entries, allowed: 4"),
    "auto_pad": ([("Conv", "x w", "y", {"auto_pad": "MAYBE"})], X, W, "auto_pad is 'MAYBE', allowed: NOTSET"),
    "attribute": ([("Conv", "x w", "y", {"group": 1.5})], X, W, "attribute group has the wrong type"),
    "inputs": ([("Conv", "x", "y", {})], X, W, "n0 (Conv): needs inputs 0 and 1, it has 1"),
    "dangling": ([("Relu", "z", "y", {})], X, [], "n0 (Relu): reads tensor 'z', which no node before it makes"),
    "cycle": ([("Add", "x b", "a", {}), ("Relu", "a", "b", {})], X, [], "n0 (Add): reads tensor 'b'"),
    "twice": ([("Relu", "x", "y", {}), ("Relu", "x", "y", {})], X, [], "n1 (Relu): tensor 'y' is made twice"),
    "product": ([("MatMul", "x w", "y", {})], [("x", (4, 5))], [zeros("w", (6, 7))], "n0 (MatMul): inner sizes of [4, 5] and [6, 7] differ"),
    "lead": ([("MatMul", "x w", "y", {})], [("x", (2, 4, 5)), ("w", (3, 5, 4))], [], "leading dimensions"),
    "gemm": ([("Gemm", "x w", "y", {})], [("x", (2, 4, 5))], [zeros("w", (5, 7))], "must have 2 dimensions"),
    "add": ([("Add", "x w", "y", {})], X, W, "n0 (Add): does not fit its inputs"),
    "reshape": ([("Reshape", "x s", "y", {})], X, [numpy_helper.from_array(np.array([7, 7]), "s")], "n0 (Reshape): cannot reshape [1, 4, 9, 9] to [7, 7]"),
    "data": ([("NonZero", "x", "n", {}), ("Cast", "n", "c", {"to": 1}), ("MatMul", "c w", "y", {})], X, [zeros("w", (5, 7))], "n2 (MatMul): the shape of its input depends on data"),
    "phases": ([("ConvTranspose", "x w", "y", {"strides": [65, 65]})], X, [zeros("w", (4, 1, 3, 3))], "strides make 4225 sub-convolutions"),
    "zero": (CONV, [("x", (1, 4, 0, 9))], W, "not known: x.2 (axis 2 of x); give --dim x.2=SIZE"),
    "sequence": ([("Relu", "x", "y", {})], [helper.make_tensor_sequence_value_info("x", FLOAT, None)], [], "input 'x': is not a tensor"),
    "transposed": ([("ConvTranspose", "x w", "y", {})], X, [zeros("w", (3, 1, 3, 3))], "input has 4 channels, weights [3, 1, 3, 3] take 3"),
    "batched": ([("FusedMatMul", "x x", "y", {"transBatchA": 1}, MS)], [("x", (2, 4, 4))], [], "leading dimensions of [4, 2, 4] and [2, 4, 4]"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_named(read, case):
    nodes, inputs, weights, message = REFUSED[case]
    with pytest.raises(InputError) as caught:
        read(model(nodes, inputs, weights))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_data_dependent_shapes_are_no_error_where_no_layer_needs_them(read):
    nodes = [*CONV, ("NonZero", "y", "n", {}), ("Transpose", "n", "t", {})]
    network = read(model(nodes, X, W, outputs=["t"]))
    assert [(node.op, node.shape) for node in network.nodes] == [
        ("Conv", (8, 7, 7)),
        ("NonZero", ()),
        ("Transpose", ()),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello world", "is not an ONNX model"),
        (b"\x00" * 100, "is not an ONNX model"),
        (model(CONV, X, W).SerializeToString()[:-20], "is not an ONNX model"),
        (model([], X, W).SerializeToString(), "holds no graph with nodes"),
        (model(CONV, X, W, opset=2**40).SerializeToString(), "operator set version is 1099511627776, allowed: 1 to 1000"),
        (model(CONV, X, W).SerializeToString().replace(b"n0", b"\xff\xfe"), "a name in it is not text"),
    ],
)  # fmt: skip
def test_files_that_are_no_model(read, content, message):
    with pytest.raises(InputError) as caught:
        read(content)
    assert message in str(caught.value)


def test_without_onnx_installed_the_error_says_what_to_install(read, monkeypatch):
    for name in [
        name for name in sys.modules if name.split(".")[0] == "onnx" or name.startswith("dnns.onnx_")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError) as caught:
        read(b"x")
    assert str(caught.value).endswith(
        "reading ONNX needs the package onnx: pip install 'dnn-dataflow-optimizer[onnx]'"
    )


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
def test_operator_sets(read, opset):
    nodes = [*CONV, ("BatchNormalization", "y s s s s", "n", {}), ("Relu", "n", "r", {}),
             ("MaxPool", "r", "p", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
             ("Flatten", "p", "f", {}), ("Softmax", "f", "o", {})]  # fmt: skip
    network = read(model(nodes, X, [*W, zeros("s", (8,))], outputs=["o"], opset=opset))
    assert [n.shape for n in network.nodes] == [(8, 7, 7)] * 3 + [(8, 4, 4), (128,), (128,)]
    assert network.parameters == 288 + 8  # one tensor serves as scale, shift and statistics here


def test_exported_from_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.grouped = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
            self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1)
            self.norm = nn.BatchNorm2d(6)
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.head = nn.Linear(6, 10)

        def forward(self, x):
            y = torch.relu(self.conv(x))
            y = self.norm(self.up(self.grouped(y) + y)).flatten(2).transpose(1, 2)
            y, _ = self.attention(y, y, y)
            return self.head(y.mean(1))

    net, path = Net().eval(), tmp_path / "torch.onnx"
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.zeros(2, 3, 16, 20),)
        names = {"dynamic_axes": {"x": {0: "batch"}}, "input_names": ["x"]}
        torch.onnx.export(
            net, example, str(path), dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, **names
        )
    network = read_network(path, dims={"batch": 2})
    up = next(layer for layer in network.layers if isinstance(layer, Deconvolution))
    assert [(a.out, a.output_padding, a.pad_lo) for a in up.axes] == [(16, 1, 1), (20, 1, 1)]
    assert network.nodes[-1].shape == (10,)
    assert network.parameters == sum(p.numel() for p in net.parameters())
    length, products = 16 * 20, [layer for layer in network.layers if layer.op == "matmul"]
    assert [layer.macs for layer in products] == [4 * length * length * 3] * 2
    convs = [layer.macs for layer in network.layers if isinstance(layer, Layer) and layer.op == "conv"]
    assert convs == [2 * 8 * 80 * 27, 2 * 8 * 80 * 18]


def test_nodes_of_one_name_are_told_apart_and_thousands_of_them_take_no_time(read):
    same = [
        helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"], name="n#2" if i == 1 else "n") for i in range(5000)
    ]
    graph = helper.make_graph(same, "g", [info("t0", (1, 4))], [helper.make_empty_tensor_value_info("t1")])
    names = [node.name for node in read(helper.make_model(graph)).nodes]
    assert len(set(names)) == 5000
    assert names[:4] == ["n", "n#2", "n#3", "n#4"]


def test_tensors_of_absurd_rank_are_refused(read):
    with pytest.raises(InputError, match="input 'x': has 100 dimensions, allowed: at most 64"):
        read(model([("Relu", "x", "y", {})], [("x", [1] * 100)]))
    weights = [zeros("w", (4,)), TensorProto(name="v", data_type=FLOAT, dims=[1] * 100)]
    with pytest.raises(InputError, match="a tensor has 100 dimensions"):
        read(model([("Relu", "x", "y", {})], [("x", (4,))], weights))


def test_positions_channels_and_outputs_for_the_network_as_a_whole(read):
    nodes = [
        ("Conv", "x w", "c", {"pads": [1, 1, 1, 1]}),
        ("Split", "c", "s t", {"axis": 1}),
        ("MaxPool", "t", "p", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ("Slice", "s start stop axes", "y", {}),
        ("Conv", "t v", "d", {}),
        ("Conv", "s v", "e", {}),
    ]
    weights = [
        zeros("w", (6, 4, 3, 3)),
        zeros("v", (8, 3, 1, 1)),
        numpy_helper.from_array(np.array([1, 2]), "start"),
        numpy_helper.from_array(np.array([2**62, 7]), "stop"),
        numpy_helper.from_array(np.array([1, 3]), "axes"),
    ]
    network = read(model(nodes, [("x", (2, 4, 9, 9))], weights, outputs=("y", "p")))
    by_name = {node.name: node for node in network.nodes}
    assert [by_name[n].channels for n in ("n1", "n1:1", "n3")] == [(0, 3), (3, 6), None]
    pool, cut = by_name["n2"].windows[0], by_name["n3"].windows[0]
    assert [axis.interval(4, 5) for axis in pool] == [(7, 9), (7, 9)]
    assert [axis.interval(0, 2) for axis in cut] == [(0, 2), (2, 4)]
    assert by_name["n2"].inputs == by_name["n4"].inputs == ("n1:1",)
    assert by_name["n5"].twin == "n4"
    assert {"n2", "n3"} <= set(network.outputs)
    assert by_name["n0"].words == 2 * 6 * 81
