"""What is known of an ONNX tensor while a graph is walked, and the attributes of a node as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, TypeProto, numpy_helper

from dnns.layer import Operator

Shape = tuple[int, ...]

MAX_RANK = 64
"""Most dimensions of a tensor."""
MAX_FOLDED = 4096
"""Most elements of a constant whose values are followed."""


_BITS = {
    64: "DOUBLE INT64 UINT64 COMPLEX64",
    32: "FLOAT INT32 UINT32",
    16: "FLOAT16 BFLOAT16 INT16 UINT16",
    8: "INT8 UINT8 BOOL FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ FLOAT8E8M0",
    4: "INT4 UINT4 FLOAT4E2M1",
    2: "INT2 UINT2",
}
_BITS_OF = {
    TensorProto.DataType.Value(name): bits
    for bits, names in _BITS.items()
    for name in names.split()
    if name in TensorProto.DataType.keys()  # noqa: SIM118 (a protobuf enum is no mapping)
}
_INTEGERS = "INT2 UINT2 INT4 UINT4 INT8 UINT8 INT16 UINT16 INT32"
_INTEGER = {TensorProto.DataType.Value(n) for n in _INTEGERS.split() if n in TensorProto.DataType.keys()}  # noqa: SIM118


class Unsupported(ValueError):
    """Something that is not followed, as opposed to something that is wrong."""


class UnknownShape(Unsupported):
    """A shape that is needed and depends on data, or on what was left out."""


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
        stored: element type of its words where the graph only writes them out as ``elem`` (behind
            ``DequantizeLinear``), 0 where that is ``elem``.
        packed: bits of a word where several are packed into an element, 0 where they are not.
    """

    shape: Shape | None
    elem: int = TensorProto.FLOAT
    data: np.ndarray[Any, Any] | None = None
    weight: bool = False
    stored: int = 0
    packed: int = 0

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
            raise UnknownShape("the shape of its input depends on data")
        return self.shape

    @property
    def bits(self) -> int:
        """Bits of a word as it is stored; 32 for a type that is no number."""
        return self.packed or _BITS_OF.get(self.stored or self.elem, 32)

    @property
    def is_integer(self) -> bool:
        """Whether its words are integers of at most 32 bits."""
        return bool(self.packed) or (self.stored or self.elem) in _INTEGER

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


Made = tuple[Shape, Operator]
"""What a rule of an operator with MACs returns: its output's shape, and the layer."""


@dataclass(frozen=True)
class Operands:
    """The tensors that matter to a rule.

    Attributes:
        x: the activation, the first factor of a product.
        w: the weights, the second factor of a product.
        name: of the layer to make.
    """

    x: Value
    w: Value
    name: str


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


def operator_text(node: NodeProto) -> str:
    """The operator as messages name it, with its domain unless that is the standard one."""
    domain, name = operator_of(node)
    text = f"{domain}.{name}" if domain else name
    return text if text.isprintable() else ""


def attributes(node: NodeProto) -> Attributes:
    """The attributes of a node."""
    return Attributes({attribute.name: attribute for attribute in node.attribute})


def without_batch(shape: Shape) -> Shape:
    """A shape without its first dimension, the batch."""
    return shape[1:] if len(shape) > 1 else shape


def images(shape: Shape | None) -> int:
    """Extent of the dimension that ``without_batch`` leaves out; 0 where the shape depends on data."""
    if shape is None:
        return 0
    return shape[0] if len(shape) > 1 else 1
