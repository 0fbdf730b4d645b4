"""ONNX models for tests, from a few words."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

MS = "com.microsoft"
FLOAT, INT8, UINT8, INT64 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT64


def info(name, shape, elem=FLOAT):
    return helper.make_tensor_value_info(name, elem, shape)


def zeros(name, shape, dtype=np.float32):
    return numpy_helper.from_array(np.zeros(shape, dtype=dtype), name)


def model(nodes, inputs, weights=(), outputs=("y",), opset=17, values=(), functions=()):
    """A model from nodes ``(op, inputs, outputs, attributes[, domain])`` and inputs ``{name: shape}``."""
    protos = [
        helper.make_node(op, ins.split(), outs.split(), name=f"n{i}", domain=(*domain, "")[0], **attrs)
        for i, (op, ins, outs, attrs, *domain) in enumerate(nodes)
    ]
    made = [x if not isinstance(x, tuple) else info(*x) for x in inputs]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(protos, "g", made, results, list(weights), value_info=list(values))
    sets = [
        helper.make_opsetid("", opset),
        helper.make_opsetid("com.microsoft", 1),
        helper.make_opsetid("f", 1),
    ]
    return helper.make_model(graph, opset_imports=sets, functions=list(functions))
