"""Arithmetic on small ONNX constants: what exporters compute shapes, axes and sizes with."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from dnns.onnx_reader.inference.values import (
    MAX_FOLDED,
    Attributes,
    Value,
    array_value,
    attributes,
    operator_of,
    tensor_value,
)

Array = np.ndarray[Any, Any]
Fold = Callable[[list[Array | None], Attributes], Array]


def constant(node: NodeProto, inputs: list[Value | None]) -> Value | None:
    """What ``Constant``, ``Shape`` and ``Size`` make, None for any other operator or an unknown shape.

    Raises:
        ValueError: if the node is not valid.
    """
    operator = operator_of(node)
    if operator == ("", "Constant"):
        return _attribute_value(node)
    if operator not in (("", "Shape"), ("", "Size")):
        return None
    value = inputs[0] if len(inputs) == 1 else None
    if value is None:
        raise ValueError(f"needs 1 input, it has {len(inputs)}")
    if value.shape is None:
        return None
    if node.op_type == "Size":
        return array_value(np.asarray(min(prod(value.shape), 2**62), dtype=np.int64), False)
    attrs, shape = attributes(node), np.asarray(value.shape, dtype=np.int64)
    return array_value(shape[attrs.integer("start", 0) : attrs.integer("end", len(shape))], False)


def _attribute_value(node: NodeProto) -> Value:
    for attribute in node.attribute:
        if attribute.name == "value":
            return tensor_value(attribute.t)
        if attribute.name == "sparse_value":
            sparse = attribute.sparse_tensor
            return Value(tuple(sparse.dims), sparse.values.data_type, None, weight=True)
        if attribute.name in ("value_string", "value_strings"):
            shape = () if attribute.name == "value_string" else (len(attribute.strings),)
            return Value(shape, TensorProto.STRING, None, weight=True)
        if attribute.name == "value_int":
            return array_value(np.asarray(attribute.i, dtype=np.int64), True)
        if attribute.name == "value_float":
            return array_value(np.asarray(attribute.f, dtype=np.float32), True)
        if attribute.name == "value_ints":
            return array_value(np.asarray(attribute.ints, dtype=np.int64), True)
        if attribute.name == "value_floats":
            return array_value(np.asarray(attribute.floats, dtype=np.float32), True)
    raise ValueError("has no value")


def fold(operator: str, inputs: list[Array | None], attributes: Attributes) -> Array | None:
    """The result of an operator on constants, None where it is not followed.

    Args:
        operator: name in the standard domain.
        inputs: its constants; None for an optional input that is left out.
        attributes: its attributes.
    """
    rule = _RULES.get(operator)
    if rule is None:
        return None
    try:
        with np.errstate(all="ignore"):
            result = rule(inputs, attributes)
    except (ValueError, IndexError, TypeError, ArithmeticError, KeyError, AttributeError):
        return None  # not valid: the shape rule of the operator says what is wrong
    return result if result.size <= MAX_FOLDED and result.dtype.kind in "bif" else None


def _small(shape: Any) -> tuple[int, ...]:
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=1) < 0 or prod(sizes) > MAX_FOLDED:
        raise ValueError("too large to follow")
    return sizes


def _axes(inputs: list[Array | None], attributes: Attributes) -> tuple[int, ...] | None:
    if len(inputs) > 1 and inputs[1] is not None:
        return tuple(int(axis) for axis in inputs[1].flatten())
    return attributes.integers("axes") or None


def _cast(inputs: list[Array | None], attributes: Attributes) -> Array:
    kind = helper.tensor_dtype_to_np_dtype(attributes.integer("to", TensorProto.FLOAT))
    return _first(inputs).astype(kind)


def _first(inputs: list[Array | None]) -> Array:
    if not inputs or inputs[0] is None:
        raise ValueError("its input is missing")
    return inputs[0]


def _slice(inputs: list[Array | None], attributes: Attributes) -> Array:
    data = _first(inputs)
    starts, ends, axes, steps = slice_bounds(inputs, attributes)
    index = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, None if step < 0 and end < -data.shape[axis] else end, step)
    return np.asarray(data[tuple(index)])


def slice_bounds(inputs: list[Array | None], attributes: Attributes) -> list[tuple[int, ...]]:
    """Starts, ends, axes and steps, which were attributes in old operator sets."""
    if len(inputs) == 1:
        bounds = [attributes.integers(name) for name in ("starts", "ends", "axes")]
    else:
        bounds = [() if part is None else tuple(int(i) for i in part) for part in inputs[1:5]]
    bounds += [()] * (4 - len(bounds))
    bounds[2] = bounds[2] or tuple(range(len(bounds[0])))
    bounds[3] = bounds[3] or (1,) * len(bounds[0])
    return bounds


def _reshape(inputs: list[Array | None], attributes: Attributes) -> Array:
    data, shape = _first(inputs), inputs[1]
    if shape is None:
        raise ValueError("its shape is missing")
    keep = not attributes.integer("allowzero", 0)
    return data.reshape([data.shape[i] if n == 0 and keep else int(n) for i, n in enumerate(shape)])


def _unsqueeze(inputs: list[Array | None], attributes: Attributes) -> Array:
    axes = _axes(inputs, attributes) or ()
    return np.expand_dims(_first(inputs), tuple(axes))


def _divide(a: Array, b: Array) -> Array:
    """Integers truncate toward zero."""
    if a.dtype.kind != "i":
        return np.asarray(a / b)
    if not np.all(b):
        raise ValueError("division by zero")
    quotient = np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b)
    return np.asarray(quotient, dtype=a.dtype)


def _range(inputs: list[Array | None], attributes: Attributes) -> Array:
    start, limit, delta = (part.item() for part in inputs if part is not None)
    _small([max(0, int(-(-(limit - start) // delta)))])
    return np.arange(start, limit, delta, dtype=_first(inputs).dtype)


def _constant_of_shape(inputs: list[Array | None], attributes: Attributes) -> Array:
    shape = _small(_first(inputs))
    if "value" not in attributes:
        return np.zeros(shape, dtype=np.float32)
    return np.broadcast_to(numpy_helper.to_array(attributes.protos["value"].t).reshape(()), shape)


def _expand(inputs: list[Array | None], attributes: Attributes) -> Array:
    data, shape = _first(inputs), inputs[1]
    wanted = np.broadcast_shapes(data.shape, _small([] if shape is None else shape))
    return np.broadcast_to(data, _small(wanted))


def _reduce(function: Callable[..., Any]) -> Fold:
    def run(inputs: list[Array | None], attributes: Attributes) -> Array:
        keep = bool(attributes.integer("keepdims", 1))
        return np.asarray(function(_first(inputs), axis=_axes(inputs, attributes), keepdims=keep))

    return run


def _pointwise(function: Callable[..., Any]) -> Fold:
    def run(inputs: list[Array | None], attributes: Attributes) -> Array:
        parts = [part for part in inputs if part is not None]
        _small(np.broadcast_shapes(*(part.shape for part in parts)))
        return np.asarray(function(*parts))

    return run


def _many(function: Callable[[Array, Array], Any]) -> Fold:
    def run(inputs: list[Array | None], attributes: Attributes) -> Array:
        result = _first(inputs)
        for part in inputs[1:]:
            result = function(result, part) if part is not None else result
        return np.asarray(result)

    return run


def _gather(inputs: list[Array | None], attributes: Attributes) -> Array:
    data, indices = _first(inputs), inputs[1]
    if indices is None or data.size * indices.size > MAX_FOLDED * 64:
        raise ValueError("too large to follow")
    return np.take(data, indices, axis=attributes.integer("axis", 0))


def _concat(inputs: list[Array | None], attributes: Attributes) -> Array:
    return np.concatenate([part for part in inputs if part is not None], axis=attributes.integer("axis", 0))


def _transpose(inputs: list[Array | None], attributes: Attributes) -> Array:
    return np.transpose(_first(inputs), attributes.integers("perm") or None)


def _squeeze(inputs: list[Array | None], attributes: Attributes) -> Array:
    return np.squeeze(_first(inputs), axis=_axes(inputs, attributes))


def _same(inputs: list[Array | None], attributes: Attributes) -> Array:
    return _first(inputs)


def _modulo(inputs: list[Array | None], attributes: Attributes) -> Array:
    return _pointwise(np.fmod if attributes.integer("fmod", 0) else np.mod)(inputs, attributes)


_POINTWISE: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sign": np.sign,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.round,
    "Sqrt": np.sqrt,
    "Pow": np.power,
    "Equal": np.equal,
    "Less": np.less,
    "Greater": np.greater,
    "LessOrEqual": np.less_equal,
    "GreaterOrEqual": np.greater_equal,
    "Not": np.logical_not,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Where": np.where,
}
_RULES: dict[str, Fold] = {
    "Identity": _same,
    "Cast": _cast,
    "Slice": _slice,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Gather": _gather,
    "Concat": _concat,
    "Transpose": _transpose,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Mod": _modulo,
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "Max": _many(np.maximum),
    "Min": _many(np.minimum),
    **{name: _pointwise(function) for name, function in _POINTWISE.items()},
}
