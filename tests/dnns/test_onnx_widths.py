# ruff: noqa: E501
"""Widths of words: what a quantised graph says of each layer's tensors."""

import numpy as np
import pytest

from tests.dnns.onnx_models import FLOAT, MS, UINT8, info, model, zeros

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

IMAGE = ("x", (1, 4, 9, 9))
S, Z, ZI = zeros("s", ()), zeros("z", (), np.uint8), zeros("zi", (), np.int8)
W8, W32 = zeros("w", (4, 4, 3, 3), np.int8), zeros("wf", (4, 4, 3, 3))


def widths(network):
    return {node.name: tuple(node.bits) for node in network.nodes if node.bits}


def qdq(source, made, point="z"):
    """Quantised and written out again."""
    return [("QuantizeLinear", f"{source} s {point}", f"{made}_q", {}),
            ("DequantizeLinear", f"{made}_q s {point}", made, {})]  # fmt: skip


WEIGHTS = ("DequantizeLinear", "w s zi", "v", {})


def test_a_network_of_floats_carries_no_widths(read):
    for weights in ([W32], [zeros("wf", (4, 4, 3, 3), np.float16)]):
        entry = ("x", (1, 4, 9, 9), FLOAT if weights[0].data_type == FLOAT else TensorProto.FLOAT16)
        network = read(model([("Conv", "x wf", "y", {})], [entry], weights))
        assert not network.carries_bits
        assert widths(network) == {}


def test_integers_behind_quantisation_are_what_a_layer_reads_and_stores(read):
    nodes = [*qdq("x", "a"), WEIGHTS, ("Conv", "a v", "c", {}), ("Relu", "c", "r", {}), *qdq("r", "y")]
    assert widths(read(model(nodes, [IMAGE], [S, Z, ZI, W8]))) == {"n3": (8, 8, 8, 32)}


def test_a_result_that_is_not_quantised_is_stored_as_it_is(read):
    nodes = [*qdq("x", "a"), WEIGHTS, ("Conv", "a v", "y", {})]
    assert widths(read(model(nodes, [IMAGE], [S, Z, ZI, W8]))) == {"n3": (8, 8, 32, 32)}


def test_the_widest_reader_of_a_result_counts(read):
    nodes = [*qdq("x", "a"), WEIGHTS, ("Conv", "a v", "c", {}), *qdq("c", "d"), ("Conv", "d v", "e", {}),
             ("Sigmoid", "c", "g", {}), ("Add", "e g", "f", {}), *qdq("f", "y")]  # fmt: skip
    # the first result is also read by the sigmoid, as floats, for an addition that waits for the second layer
    found = widths(read(model(nodes, [IMAGE], [S, Z, ZI, zeros("w", (4, 4, 1, 1), np.int8)])))
    assert found == {"n3": (8, 8, 32, 32), "n6": (8, 8, 8, 32)}


def test_layers_left_in_floats_keep_their_floats(read):
    nodes = [("Conv", "x wf", "a", {}), *qdq("a", "b"), WEIGHTS, ("Conv", "b v", "c", {}), *qdq("c", "d"),
             ("Conv", "d wf", "y", {})]  # fmt: skip
    assert widths(read(model(nodes, [IMAGE], [S, Z, ZI, W8, W32]))) == {
        "n0": (32, 32, 8, 32), "n4": (8, 8, 8, 32), "n7": (8, 32, 32, 32),
    }  # fmt: skip


def test_operators_of_integers(read):
    nodes = [("QLinearConv", "q s z w s zi s z", "c", {}), ("QLinearConv", "c s z w s zi s z", "y", {})]
    found = widths(read(model(nodes, [("q", (1, 4, 9, 9), UINT8)], [S, Z, ZI, W8])))
    assert found == {"n0": (8, 8, 8, 32), "n1": (8, 8, 8, 32)}


def test_sixteen_bit_activations(read):
    wide = zeros("zw", (), np.uint16)
    nodes = [*qdq("x", "a", "zw"), WEIGHTS, ("Conv", "a v", "c", {}), *qdq("c", "y", "zw")]
    found = widths(read(model(nodes, [IMAGE], [S, wide, ZI, W8], opset=21)))
    assert found == {"n3": (16, 8, 16, 32)}


M8 = zeros("m", (6, 6), np.int8)
ROWS = ("x", (5, 6))


def test_dynamic_quantisation_waits_for_the_whole_tensor(read):
    nodes = []
    for i, (source, made) in enumerate((("x", "y1"), ("y1", "y"))):
        nodes += [("DynamicQuantizeLinear", source, f"q{i} t{i} u{i}", {}),
                  ("MatMulInteger", f"q{i} m u{i} zi", f"i{i}", {}), ("Cast", f"i{i}", f"f{i}", {"to": FLOAT}),
                  ("Mul", f"f{i} t{i}", made, {})]  # fmt: skip
    assert widths(read(model(nodes, [ROWS], [ZI, M8]))) == {"n1": (8, 8, 32, 32), "n5": (8, 8, 32, 32)}


def test_operators_that_quantise_by_themselves_count_as_if_they_had_not(read):
    nodes = [("DynamicQuantizeMatMul", "x m s", "a", {}, MS), ("MatMulIntegerToFloat", "q m s s", "b", {}, MS),
             ("Add", "a b", "y", {})]  # fmt: skip
    found = widths(read(model(nodes, [ROWS, ("q", (5, 6), UINT8)], [S, M8])))
    assert found == {"n0": (8, 8, 32, 32), "n1": (8, 8, 32, 32)}


@pytest.mark.parametrize(
    ("bits", "elem", "wide"), [(4, FLOAT, 32), (4, TensorProto.FLOAT16, 16), (2, FLOAT, 32)]
)
def test_packed_weights(read, bits, elem, wide):
    nodes = [("MatMulNBits", "x p s", "y", {"K": 32, "N": 6, "bits": bits, "block_size": 16}, MS)]
    weights = [zeros("p", (6, 2, 2 * bits), np.uint8), S]
    assert widths(read(model(nodes, [("x", (5, 32), elem)], weights))) == {"n0": (wide, bits, wide, wide)}


@pytest.mark.parametrize("transposed", [False, True])
def test_four_bit_weights_behind_dequantisation(read, transposed):
    weights = helper.make_tensor("w", TensorProto.INT4, (6, 6), bytes(18), raw=True)
    nodes = [("DequantizeLinear", "w s", "v", {}), ("Transpose", "v", "t", {}),
             ("MatMul", "x t" if transposed else "x v", "y", {})]  # fmt: skip
    assert widths(read(model(nodes, [ROWS], [S, weights], opset=21))) == {"n2": (32, 4, 32, 32)}


def test_what_only_moves_words_keeps_them_quantised(read):
    shape = numpy_helper.from_array(np.array([5, 4, 9, 9]), "shape")
    nodes = [*qdq("x", "a"), ("Expand", "a shape", "e", {}), ("Concat", "e e", "k", {"axis": 0}), WEIGHTS,
             ("Conv", "k v", "c", {}), ("MaxPool", "c", "p", {"kernel_shape": [2, 2]}), *qdq("p", "d"),
             ("Softmax", "d", "f", {}), ("Conv", "f v", "y", {})]  # fmt: skip
    found = widths(read(model(nodes, [IMAGE], [S, Z, ZI, W8, shape])))
    # the softmax is done while the first result is stored, as floats
    assert found == {"n5": (8, 8, 32, 32), "n10": (32, 8, 32, 32)}


def test_weights_quantised_in_the_graph(read):
    nodes = [*qdq("wf", "v", "zi"), *qdq("x", "a"), ("Conv", "a v", "y", {})]
    assert widths(read(model(nodes, [IMAGE], [S, Z, ZI, W32]))) == {"n4": (8, 8, 32, 32)}


def test_products_of_two_quantised_features(read):
    nodes = [*qdq("x", "a"), ("MatMul", "a a", "c", {}), *qdq("c", "y")]
    assert widths(read(model(nodes, [("x", (6, 6))], [S, Z]))) == {"n2": (8, 8, 8, 32)}


def test_eight_bit_floats(read):
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT8E4M3FN, dims=[6, 6], raw_data=bytes(36))
    nodes = [("DequantizeLinear", "w s", "v", {}), ("MatMul", "x v", "y", {})]
    assert widths(read(model(nodes, [ROWS], [S, weights], opset=21))) == {"n1": (32, 8, 32, 32)}


def test_onnxruntime_quantises_and_the_widths_are_seen(tmp_path):
    pytest.importorskip("onnxruntime")
    quantization = pytest.importorskip("onnxruntime.quantization")
    from dnns.reader import read_network

    nodes = [("Conv", "x w1", "a", {"pads": [1, 1, 1, 1]}), ("Relu", "a", "b", {}), ("Conv", "b w2", "c", {}),
             ("GlobalAveragePool", "c", "p", {}), ("Flatten", "p", "f", {}), ("MatMul", "f m", "y", {})]  # fmt: skip
    rng = np.random.default_rng(1)
    weights = [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
               for name, shape in (("w1", (8, 4, 3, 3)), ("w2", (8, 8, 3, 3)), ("m", (8, 10)))]  # fmt: skip
    proto = model(nodes, [IMAGE], weights, outputs=())
    proto.graph.output.append(info("y", (1, 10)))
    proto.ir_version = 8
    source = tmp_path / "float.onnx"
    onnx.save(proto, source)
    plain = read_network(source)

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = [{"x": rng.normal(size=IMAGE[1]).astype(np.float32)} for _ in range(2)]

        def get_next(self):
            return self.left.pop() if self.left else None

    for form in (quantization.QuantFormat.QDQ, quantization.QuantFormat.QOperator):
        made = tmp_path / f"{form.name}.onnx"
        quantization.quantize_static(str(source), str(made), Reader(), quant_format=form)
        network = read_network(made)
        assert network.macs == plain.macs
        assert [tuple(n.bits)[:2] for n in network.nodes if n.layer] == [(8, 8)] * 3
        assert [n.bits.ofmap for n in network.nodes if n.layer][:2] == [8, 8]
    made = tmp_path / "dynamic.onnx"
    quantization.quantize_dynamic(str(source), str(made), weight_type=quantization.QuantType.QInt8)
    dynamic = read_network(made)
    assert dynamic.macs == plain.macs
    assert {tuple(n.bits) for n in dynamic.nodes if n.layer} == {(8, 8, 32, 32)}
