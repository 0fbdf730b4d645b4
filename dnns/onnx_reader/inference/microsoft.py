"""Operators of onnxruntime without MACs, and what shape rules share."""

from __future__ import annotations

from onnx import NodeProto, TensorProto

from dnns.onnx_reader.inference.values import Attributes, Shape, Unsupported, Value, attributes
from dnns.windows import bounded, same_padding, window_extent

NOT_SUPPORTED = "the operator is not supported, it may hold MACs"

_LIKE_FIRST = set(
    """
    BiasAdd BiasDropout BiasGelu BiasSoftmax FastGelu Gelu GemmaRotaryEmbedding GroupNorm QLinearLeakyRelu
    QLinearSigmoid QLinearSoftmax QuickGelu RotaryEmbedding SimplifiedLayerNormalization SkipGroupNorm
    SkipLayerNormalization SkipSimplifiedLayerNormalization
    """.split()  # noqa: SIM905
)
_ONE_STEP = {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization"}
_POOLS = {"QLinearAveragePool", "NhwcMaxPool"}


def microsoft(node: NodeProto, inputs: list[Value | None]) -> list[Value]:
    """The outputs of an operator of onnxruntime without MACs, in order.

    Raises:
        ValueError: if it is not valid for its inputs; ``Unsupported`` if it is not known to hold no MACs.
    """
    rest = [Value(None) for _ in node.output[1:]]
    if node.op_type in _LIKE_FIRST:
        first = given(inputs, 0)
        sums = [Value(first.shape, first.elem)] if node.op_type in _ONE_STEP else []
        return [Value(first.shape, first.elem), *rest[:2], *sums, *rest[3:]][: len(node.output)]
    rule = _RULES.get(node.op_type)
    if rule is None:
        raise Unsupported(NOT_SUPPORTED)
    return [rule(node, inputs), *rest]


def _elementwise(node: NodeProto, inputs: list[Value | None]) -> Value:
    first = given(inputs, 0)
    return Value(broadcast_shape([first.known, given(inputs, 3).known]), first.elem)


def _joined(node: NodeProto, inputs: list[Value | None]) -> Value:
    return _concatenated([given(inputs, i) for i in range(2, len(inputs), 3)], attributes(node))


def _pooled(node: NodeProto, inputs: list[Value | None]) -> Value:
    first, attrs = given(inputs, 0), attributes(node)
    shape, last = first.known, node.op_type == "NhwcMaxPool" or bool(attrs.integer("channels_last", 0))
    shape = (shape[0], shape[-1], *shape[1:-1]) if last else shape
    if node.op_type == "QLinearGlobalAveragePool":
        shape = (*shape[:2], *(1 for _ in shape[2:]))
    else:
        shape = pooled_shape(shape, attrs)
    return Value((shape[0], *shape[2:], shape[1]) if last else shape, first.elem)


def _quantised(node: NodeProto, inputs: list[Value | None]) -> Value:
    point = inputs[2] if len(inputs) > 2 else None
    return Value(given(inputs, 0).shape, TensorProto.UINT8 if point is None else point.elem)


def _dequantised(node: NodeProto, inputs: list[Value | None]) -> Value:
    return Value(given(inputs, 0).shape, given(inputs, 1).elem)


def _gated(node: NodeProto, inputs: list[Value | None]) -> Value:
    first = given(inputs, 0)
    return Value((*first.known[:-1], first.known[-1] // 2), first.elem)


def _embedded(node: NodeProto, inputs: list[Value | None]) -> Value:
    words, table = given(inputs, 0), given(inputs, 2)
    return Value((*words.known, table.known[-1]), table.elem)


_RULES = {
    "QLinearAdd": _elementwise,
    "QLinearMul": _elementwise,
    "QLinearConcat": _joined,
    "QLinearAveragePool": _pooled,
    "QLinearGlobalAveragePool": _pooled,
    "NhwcMaxPool": _pooled,
    "QuantizeLinear": _quantised,
    "DequantizeLinear": _dequantised,
    "BiasSplitGelu": _gated,
    "EmbedLayerNormalization": _embedded,
}


def broadcast_shape(shapes: list[Shape]) -> Shape:
    """The shape that several have together, by numpy's rules."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = tuple(max(sizes) if 0 not in sizes else 0 for sizes in zip(*padded, strict=True))
    if any(size not in (1, whole) for shape in padded for size, whole in zip(shape, result, strict=True)):
        raise ValueError(f"shapes {', '.join(str(list(shape)) for shape in shapes)} cannot be broadcast")
    return result


def given(inputs: list[Value | None], position: int) -> Value:
    """An input that must be there."""
    value = inputs[position] if position < len(inputs) else None
    if value is None:
        raise ValueError(f"input {position} is missing")
    return value


def _concatenated(parts: list[Value], attrs: Attributes) -> Value:
    if not parts:
        raise ValueError("has no inputs")
    shape = list(parts[0].known)
    axis = attrs.integer("axis", 1)
    axis += len(shape) if axis < 0 else 0
    bounded("axis", axis, 0, len(shape) - 1)
    for part in parts:
        if part.known[:axis] + part.known[axis + 1 :] != (*shape[:axis], *shape[axis + 1 :]):
            raise ValueError("shapes of its inputs do not fit")
    shape[axis] = sum(part.known[axis] for part in parts)
    return Value(tuple(shape), parts[0].elem)


def pooled_shape(shape: Shape, attrs: Attributes) -> Shape:
    """The output of a pool, channels before positions."""
    sizes, kernel = shape[2:], attrs.integers("kernel_shape")
    ones, automatic = (1,) * len(sizes), attrs.text("auto_pad", "NOTSET")
    strides, dilations = attrs.integers("strides") or ones, attrs.integers("dilations") or ones
    pads = attrs.integers("pads") or (0,) * (2 * len(sizes))
    if {len(kernel), len(strides), len(dilations), len(pads) // 2} != {len(sizes)}:
        raise ValueError("its attributes do not fit the axes of its input")
    ceil_mode = bool(attrs.integer("ceil_mode", 0))
    out: list[int] = []
    for i, size in enumerate(sizes):
        pad = (pads[i], pads[i + len(sizes)])
        if automatic.startswith("SAME"):
            pad = same_padding(size, kernel[i], strides[i], dilations[i])
        out.append(window_extent(size, kernel[i], strides[i], dilations[i], pad, ceil_mode))
    return (*shape[:2], *out)
