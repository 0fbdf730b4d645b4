"""ONNX operators without MACs: the shapes they make.

Only operators that are known to hold no MACs are let through; a new one is an error until it is listed here.
The shapes of standard operators come from ONNX's own inference, one node at a time with all sizes known.
"""

from __future__ import annotations

from math import prod

from onnx import NodeProto, TensorProto, TypeProto, defs, numpy_helper, shape_inference

from dnns.onnx_reader.inference.microsoft import (
    NOT_SUPPORTED,
    broadcast_shape,
    given,
    microsoft,
    pooled_shape,
)
from dnns.onnx_reader.inference.values import Shape, Unsupported, Value, attributes, operator_of
from dnns.onnx_reader.layers.families import MICROSOFT
from dnns.onnx_reader.layers.products import einsum_shape
from dnns.windows import MAX_SIZE, bounded


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


POINTWISE = _names(
    """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization Bernoulli BitCast BitShift
    BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear
    Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf
    IsNaN LRN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow
    QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub
    Sum Swish Tan Tanh ThresholdedRelu Where Xor
    """
)
"""Standard operators that work position by position, on inputs of one shape or broadcast to it."""

_ELEMENTWISE = POINTWISE | _names(
    """
    CumProd CumSum GroupNormalization Hardmax InstanceNormalization LayerNormalization LogSoftmax
    LpNormalization MeanVarianceNormalization RMSNormalization RandomNormalLike RandomUniformLike
    ReverseSequence RotaryEmbedding Softmax Trilu
    """
)
"""Standard operators whose output has the shape of their broadcast inputs, or of the first."""

_SHAPING = _names(
    """
    ArgMax ArgMin AveragePool CenterCropPad Col2Im Compress Concat Constant ConstantOfShape DepthToSpace
    DynamicQuantizeLinear Expand EyeLike Flatten Gather GatherElements GatherND GlobalAveragePool
    GlobalLpPool GlobalMaxPool GridSample LpPool MaxPool MaxRoiPool MaxUnpool Multinomial
    NonMaxSuppression NonZero OneHot Pad RandomNormal RandomUniform Range ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Reshape Resize
    RoiAlign Scatter ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze TensorScatter
    Tile TopK Transpose Unique Unsqueeze Upsample
    """
)
"""Other standard operators without MACs."""


def shaped(node: NodeProto, inputs: list[Value | None], versions: dict[str, int]) -> list[Value]:
    """The outputs of an operator without MACs, in order.

    Args:
        node: the operator.
        inputs: what it reads; None for an optional input that is left out.
        versions: operator set version of each domain.

    Raises:
        ValueError: if it is not valid for its inputs; ``Unsupported`` if it is not known to hold no MACs.
    """
    domain, operator = operator_of(node)
    if domain == MICROSOFT:
        return microsoft(node, inputs)
    if domain == "" and operator == "Einsum":
        operands = [given(inputs, position) for position in range(len(inputs))]
        return [Value(einsum_shape(operands, attributes(node)), given(inputs, 0).elem)]
    if domain != "" or operator not in _ELEMENTWISE | _SHAPING:
        raise Unsupported(NOT_SUPPORTED)
    return _standard(node, inputs, versions.get("", 1))


def _standard(node: NodeProto, inputs: list[Value | None], version: int) -> list[Value]:
    try:
        schema = defs.get_schema(node.op_type, version, "")
    except defs.SchemaError:
        raise ValueError(f"operator set {version} does not have the operator") from None
    if not schema.has_type_and_shape_inference_function:
        if node.op_type not in _ELEMENTWISE:
            raise ValueError(f"its form in operator set {version} has no shape rule")
        return _like_inputs(node, inputs)
    known = {name: value for name, value in zip(node.input, inputs, strict=True) if value is not None}
    types = {name: value.proto() for name, value in known.items()}
    data = {name: numpy_helper.from_array(v.data, name) for name, v in known.items() if v.data is not None}
    try:
        inferred = shape_inference.infer_node_outputs(schema, node, types, data)
    except Exception as error:  # C++ exceptions of several kinds, all of them about this node
        raise ValueError(_last_line(error)) from None
    values = [_from_type(inferred.get(name)) if name else Value(None) for name in node.output]
    if values and values[0].shape is None and _pool(node, inputs):
        return [Value(_pool(node, inputs), values[0].elem)]
    if node.op_type == "Reshape" and inputs and inputs[0] is not None and values:
        _same_elements(inputs[0].shape, values[0].shape)
    return values


def _same_elements(before: Shape | None, after: Shape | None) -> None:
    if before is not None and after is not None and prod(before) != prod(after):
        raise ValueError(f"cannot reshape {list(before)} to {list(after)}: the number of elements differs")


def _last_line(error: Exception) -> str:
    text = str(error).strip().splitlines() or ["ONNX cannot infer its shape"]
    return f"does not fit its inputs: {text[-1][-200:]}"


def _from_type(proto: TypeProto | None) -> Value:
    if proto is None or not proto.HasField("tensor_type"):
        return Value(None)
    tensor = proto.tensor_type
    elem = tensor.elem_type or TensorProto.FLOAT
    if not tensor.HasField("shape") or any(not d.HasField("dim_value") for d in tensor.shape.dim):
        return Value(None, elem)
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    for size in shape:
        bounded("a size of its output", size, 0, MAX_SIZE)
    return Value(shape, elem)


def _like_inputs(node: NodeProto, inputs: list[Value | None]) -> list[Value]:
    """Forms that ONNX has no inference for: the broadcast shape, or the first input's in old forms."""
    values = [value for value in inputs if value is not None]
    if not values:
        raise ValueError("has no inputs")
    first = values[0]
    broadcast = node.op_type in ("GreaterOrEqual", "LessOrEqual")
    shape = broadcast_shape([value.known for value in values]) if broadcast else first.shape
    elem = TensorProto.BOOL if broadcast else first.elem
    return [Value(shape, elem)] + [Value(None, first.elem) for _ in node.output[1:]]


def _pool(node: NodeProto, inputs: list[Value | None]) -> Shape | None:
    """Pools with ``auto_pad``, where ONNX leaves the shape open."""
    if node.op_type not in ("AveragePool", "LpPool", "MaxPool") or "kernel_shape" not in attributes(node):
        return None
    return pooled_shape(given(inputs, 0).known, attributes(node))
