"""What is known of an ONNX tensor while a graph is walked, and the attributes of a node as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, TypeProto, numpy_helper

Shape = tuple[int, ...]

MAX_RANK = 64
"""Most dimensions of a tensor."""
MAX_FOLDED = 4096
"""Most elements of a constant whose values are followed."""


@dataclass(frozen=True)
class Value:
    """A tensor.

    Raises:
        ValueError: if it has more than ``MAX_RANK`` dimensions.

    Attributes:
        shape: None where it depends on data.
        elem: element type, as ``onnx.TensorProto.DataType`` numbers it.
        data: values of a small constant, None if unknown.
        weight: derived from initializers and constants alone.
    """

    shape: Shape | None
    elem: int = TensorProto.FLOAT
    data: np.ndarray[Any, Any] | None = None
    weight: bool = False

    def __post_init__(self) -> None:
        if self.shape is not None and len(self.shape) > MAX_RANK:
            raise ValueError(f"a tensor has {len(self.shape)} dimensions, allowed: at most {MAX_RANK}")

    @property
    def known(self) -> Shape:
        """The shape.

        Raises:
            ValueError: if it depends on data.
        """
        if self.shape is None:
            raise ValueError("the shape of its input depends on data")
        return self.shape

    def proto(self) -> TypeProto:
        """As ONNX's own shape inference takes it."""
        proto = TypeProto()
        proto.tensor_type.elem_type = self.elem
        if self.shape is not None:
            proto.tensor_type.shape.SetInParent()
            for size in self.shape:
                proto.tensor_type.shape.dim.add().dim_value = size
        return proto


def tensor_value(tensor: TensorProto) -> Value:
    """An initializer or constant; its values if they are small and there.

    Raises:
        ValueError: if a size is negative.
    """
    shape = tuple(tensor.dims)
    if any(size < 0 for size in shape):
        raise ValueError(f"tensor {tensor.name} has a negative size, {list(shape)}")
    data = None
    if prod(shape) <= MAX_FOLDED and tensor.data_location != TensorProto.EXTERNAL:
        try:
            array = numpy_helper.to_array(tensor)
        except Exception:  # values left out or of an exotic type: the shape is enough
            array = None
        if array is not None and array.dtype.kind in "bif" and array.shape == shape:
            data = array
    return Value(shape, tensor.data_type, data, weight=True)


def array_value(array: np.ndarray[Any, Any], weight: bool) -> Value:
    """A constant that was computed."""
    elem = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return Value(array.shape, elem, array, weight)


@dataclass(frozen=True)
class Attributes:
    """Typed access to a node's attributes; a wrong type raises ``ValueError``."""

    protos: dict[str, AttributeProto]

    def __contains__(self, name: str) -> bool:
        return name in self.protos

    def integer(self, name: str, default: int) -> int:
        """An integer."""
        return self.protos[name].i if self._is(name, AttributeProto.INT) else default

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A list of integers."""
        return tuple(self.protos[name].ints) if self._is(name, AttributeProto.INTS) else default

    def text(self, name: str, default: str) -> str:
        """A string."""
        if not self._is(name, AttributeProto.STRING):
            return default
        return self.protos[name].s.decode("utf-8", "replace")

    def _is(self, name: str, kind: int) -> bool:
        if name not in self.protos:
            return False
        if self.protos[name].type not in (kind, AttributeProto.UNDEFINED):
            raise ValueError(f"attribute {name} has the wrong type")
        return True


def operator_of(node: NodeProto) -> tuple[str, str]:
    """Domain and name of a node's operator; the standard domain is ""."""
    return "" if node.domain == "ai.onnx" else node.domain, node.op_type


def attributes(node: NodeProto) -> Attributes:
    """The attributes of a node."""
    return Attributes({attribute.name: attribute for attribute in node.attribute})
