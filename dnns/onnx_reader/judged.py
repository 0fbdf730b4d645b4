"""What is said of one ONNX node: its layer, how its words are stored, which of its inputs are parameters."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from onnx import NodeProto, TensorProto

from dnns.layer import Operator
from dnns.onnx_reader.inference.values import Operands, Unsupported, Value, attributes, operator_of
from dnns.onnx_reader.layers.families import FAMILIES, Family
from dnns.onnx_reader.layers.products import einsum_multiplies, fixed
from dnns.windows import bounded

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_SETTINGS = {"Clip", "DequantizeLinear", "Dropout", "Pad", "QuantizeLinear", "Resize", "Upsample"}
"""Operators whose constant inputs are settings, not parameters."""


def scheduled(
    name: str, proto: NodeProto, inputs: list[Value | None], family: Family
) -> tuple[list[Value], Operator | None]:
    """The outputs and the layer of an operator with MACs; raises ValueError if it is not valid."""
    x, w = (inputs[i] if i < len(inputs) else None for i in (family.x, family.w))
    if x is None or w is None:
        raise ValueError(f"needs inputs {family.x} and {family.w}, it has {len(inputs)}")
    shape, layer = family.rule(Operands(x, w, name), attributes(proto))
    for size in shape:
        bounded("a size of its output", size)
    point = inputs[family.zero_point] if 0 <= family.zero_point < len(inputs) else None
    first = Value(shape, point.elem if point else family.elem or x.elem)
    return [first, *(Value(None) for _ in proto.output[1:])], layer


def is_elementwise(proto: NodeProto, inputs: list[Value | None]) -> bool:
    """Whether an operator that may hold MACs holds none here."""
    if operator_of(proto) != ("", "Einsum"):
        return False
    if len(inputs) == 1:
        return True
    x, w = (*inputs, None)[:2]
    if x is None or w is None or len(inputs) > 2:
        raise Unsupported(f"has {len(inputs)} operands, allowed: 1 or 2")
    return not einsum_multiplies(attributes(proto), Operands(x, w, proto.name))


_KEEPS_WIDTH = set(
    """
    Cast Concat DepthToSpace Dropout Expand Flatten Gather GatherElements GatherND Identity MaxPool Pad
    Reshape Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze
    """.split()  # noqa: SIM905
)
"""Operators that only move words: what was quantised before them is so behind them."""


def stored_as(proto: NodeProto, inputs: list[Value | None]) -> tuple[int, int]:
    """How the words of its outputs are stored, as ``Value.stored`` and ``Value.packed`` tell it."""
    first = inputs[0] if inputs else None
    if first is None:
        return 0, 0
    if proto.op_type == "DequantizeLinear":
        return first.stored or first.elem, first.packed
    if proto.op_type not in _KEEPS_WIDTH or first.elem not in _FLOATS:
        return 0, 0
    known = [value for value in inputs if value is not None] if proto.op_type == "Concat" else [first]
    widest = max(known, key=lambda value: value.bits)
    return widest.stored, widest.packed


def trained(operator: str, position: int, value: Value) -> bool:
    """Whether a constant input of an operator without MACs is a parameter, as far as one can tell."""
    if operator in _SETTINGS or (operator == "BatchNormalization" and position > 2):
        return False
    return value.elem in _FLOATS and prod(value.shape or ()) > 1


def counted_words(
    proto: NodeProto, layer: Operator | None, values: Mapping[str, Value], counted: set[str]
) -> int:
    """Elements of the weights that a node joins with an activation, each tensor counted once.

    Args:
        proto: the node.
        layer: what is scheduled of it, if anything is.
        values: the tensors that are known.
        counted: weights that were counted before; those of this node are added.
    """
    family, total = FAMILIES.get(operator_of(proto)), 0
    for position, tensor in enumerate(proto.input):
        value = values.get(tensor)
        if value is None or not value.weight or value.shape is None or tensor in counted:
            continue
        if family is not None and layer is not None and position == family.w:
            words = layer.weight_words
        elif family is not None and layer is not None:
            further = family.rule is fixed and position > family.bias
            words = prod(value.shape) if position in (family.x, family.bias) or further else 0
        else:
            words = prod(value.shape) if trained(proto.op_type, position, value) else 0
        if words:
            counted.add(tensor)
        total += words
    return total
