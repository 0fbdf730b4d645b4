"""Networks from ONNX files: the graph is walked once, every tensor's shape known before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

from onnx import NodeProto, TensorProto

from dnns.errors import InputError
from dnns.layer import Network, Node, Operator
from dnns.onnx_reader.file import load_model
from dnns.onnx_reader.fold import constant, fold
from dnns.onnx_reader.geometry import needed, picked_channels
from dnns.onnx_reader.inputs import graph_inputs
from dnns.onnx_reader.layers import FAMILIES, Family, Operands
from dnns.onnx_reader.shapes import shaped
from dnns.onnx_reader.values import Shape, Value, array_value, attributes, operator_of
from dnns.windows import bounded

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_SETTINGS = {"Clip", "DequantizeLinear", "Dropout", "Pad", "QuantizeLinear", "Resize", "Upsample"}
"""Operators whose constant inputs are settings, not parameters."""


def read_onnx_network(path: str | Path, input: Shape | None, dims: Mapping[str, int]) -> Network:
    """Read a network from an ONNX file. Weights are not read and need not be there.

    Args:
        path: the file.
        input: shape without the batch, to use in place of the file's; an unknown batch is then 1. Where the
            network has several inputs, they must have one shape, and all of them take the new one.
        dims: values of symbolic dimensions; one without a name is called ``input_name.axis``.

    Raises:
        InputError: naming the node and its operator; also for control flow, and for every operator that is
            not supported and may hold MACs.
    """
    model = load_model(path)
    inputs, values = graph_inputs(path, model.graph, input, dims)
    versions = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    read = {name for node in model.graph.node for name in node.input} | {o.name for o in model.graph.output}
    walk = _Walk(path, values, versions, read)
    for index, node in enumerate(model.graph.node):
        walk.step(index, node)
    batch = next((shape[0] for _, shape in inputs if len(shape) > 1), 1)
    named = tuple((name, _without_batch(shape)) for name, shape in inputs)
    name = model.graph.name if model.graph.name.isprintable() else ""
    declared = tuple(walk.makers[o.name] for o in model.graph.output if o.name in walk.makers)
    return Network(name[:200] or Path(path).stem, named, tuple(walk.nodes), batch, declared)


def _without_batch(shape: Shape) -> Shape:
    return shape[1:] if len(shape) > 1 else shape


def _images(shape: Shape | None) -> int:
    """Extent of the dimension that ``_without_batch`` leaves out; 0 where the shape depends on data."""
    if shape is None:
        return 0
    return shape[0] if len(shape) > 1 else 1


class _Walk:
    """The state of the walk.

    Args:
        path: the file, for errors.
        values: tensors known at the start: inputs and weights.
        versions: operator set version of each domain.
        read: tensors that some node reads, or that the graph returns.
    """

    def __init__(
        self, path: str | Path, values: dict[str, Value], versions: dict[str, int], read: set[str]
    ) -> None:
        self.path, self.values, self.versions, self.read = path, values, versions, read
        self.nodes: list[Node] = []
        self.copies: dict[str, int] = {}
        self.makers: dict[str, str] = {name: name for name, value in values.items() if not value.weight}
        self.counted: set[str] = set()
        self.users: dict[str, str] = {}

    def step(self, index: int, proto: NodeProto) -> None:
        """Take one node into account."""
        name = self._name(index, proto)
        try:
            outputs, layer = self._outputs(name, proto)
        except ValueError as error:
            where = f"node {name}" + (f" ({proto.op_type})" if proto.op_type.isprintable() else "")
            raise InputError(self.path, where, str(error)) from None
        for output, value in zip(proto.output, outputs, strict=False):
            if output:
                self.values[output] = value
        if layer is None and (
            not outputs or all(value.weight or value.data is not None for value in outputs)
        ):
            return
        self._add(name, proto, outputs, layer)

    def _add(self, name: str, proto: NodeProto, outputs: list[Value], layer: Operator | None) -> None:
        """Enter a node, and one more for each further output that something reads."""
        parameters = self._parameters(proto, layer)
        if layer is not None:
            self.nodes.append(self._scheduled_node(name, proto, outputs[0], layer, parameters))
            self.makers.update((output, name) for output in proto.output if output)
            return
        values = [self.values.get(tensor) for tensor in proto.input]
        read: dict[str, int] = {}
        for at, tensor in enumerate(proto.input):
            if tensor in self.makers:
                read.setdefault(self.makers[tensor], at)
        for number, output in enumerate(proto.output or [""]):
            if number and output not in self.read:
                continue
            made = outputs[number] if number < len(outputs) else Value(None)
            own = self._unique(f"{name}:{number}") if number else name
            windows = tuple(needed(proto, values, at, made.shape) for at in read.values())
            picked = picked_channels(proto, values, number)
            self.nodes.append(
                Node(
                    own,
                    proto.op_type,
                    tuple(read),
                    _without_batch(made.shape or ()),
                    parameters=0 if number else parameters,
                    batch=_images(made.shape),
                    windows=windows,
                    channels=picked,
                )
            )
            self.makers[output] = own

    def _scheduled_node(
        self, name: str, proto: NodeProto, made: Value, layer: Operator, parameters: int
    ) -> Node:
        family = FAMILIES[operator_of(proto)]
        x, w = proto.input[family.x], proto.input[family.w]
        operands = [tensor for tensor in (x, w) if tensor in self.makers]
        others = [tensor for tensor in proto.input if tensor in self.makers]
        trained = w if x in self.makers else x
        twin = "" if len(operands) > 1 else self.users.get(trained, "")
        if len(operands) == 1:
            self.users.setdefault(trained, name)
        return Node(
            name,
            proto.op_type,
            tuple(dict.fromkeys(self.makers[tensor] for tensor in (*operands, *others))),
            _without_batch(made.known),
            layer,
            parameters,
            _images(made.shape),
            weights=self.makers[w] if len(operands) > 1 else "",
            twin=twin,
        )

    def _name(self, index: int, proto: NodeProto) -> str:
        wanted = proto.name if proto.name.isprintable() and len(proto.name) <= 400 else ""
        return self._unique(wanted or f"{proto.op_type if proto.op_type.isidentifier() else 'node'}_{index}")

    def _unique(self, wanted: str) -> str:
        name = wanted
        while name in self.copies or name in self.makers:
            self.copies[wanted] = self.copies.get(wanted, 1) + 1
            name = f"{wanted}#{self.copies[wanted]}"
        self.copies[name] = 1
        return name

    def _outputs(self, name: str, proto: NodeProto) -> tuple[list[Value], Operator | None]:
        for tensor in proto.output:
            if tensor in self.values and tensor:
                raise ValueError(f"tensor {tensor[:100]!r} is made twice")
        inputs = [self._value(tensor) for tensor in proto.input]
        family = FAMILIES.get(operator_of(proto))
        if family is None:
            return self._shaped(proto, inputs), None
        return _scheduled(name, proto, inputs, family)

    def _value(self, tensor: str) -> Value | None:
        if not tensor:
            return None
        if tensor not in self.values:
            raise ValueError(f"reads tensor {tensor[:100]!r}, which no node before it makes")
        return self.values[tensor]

    def _shaped(self, proto: NodeProto, inputs: list[Value | None]) -> list[Value]:
        made = constant(proto, inputs)
        if made is not None:
            return [made]
        values = shaped(proto, inputs, self.versions)
        weight = bool(inputs) and all(value is None or value.weight for value in inputs)
        if inputs and all(value is None or value.data is not None for value in inputs):
            data = fold(proto.op_type, [None if v is None else v.data for v in inputs], attributes(proto))
            if data is not None:
                return [array_value(data, weight)]
        return [Value(v.shape, v.elem, None, weight) for v in values]

    def _parameters(self, proto: NodeProto, layer: Operator | None) -> int:
        """Elements of the weights that the node joins with an activation, each tensor counted once."""
        family, total = FAMILIES.get(operator_of(proto)), 0
        for position, tensor in enumerate(proto.input):
            value = self.values.get(tensor)
            if value is None or not value.weight or value.shape is None or tensor in self.counted:
                continue
            if family is not None and layer is not None and position == family.w:
                words = layer.weight_words
            elif family is not None:
                words = prod(value.shape) if position in (family.x, family.bias) else 0
            else:
                words = prod(value.shape) if _trained(proto.op_type, position, value) else 0
            if words:
                self.counted.add(tensor)
            total += words
        return total


def _scheduled(
    name: str, proto: NodeProto, inputs: list[Value | None], family: Family
) -> tuple[list[Value], Operator | None]:
    x, w = (inputs[i] if i < len(inputs) else None for i in (family.x, family.w))
    if x is None or w is None:
        raise ValueError(f"needs inputs {family.x} and {family.w}, it has {len(inputs)}")
    shape, layer = family.rule(Operands(x, w, name), attributes(proto))
    for size in shape:
        bounded("a size of its output", size)
    first = Value(shape, family.elem or x.elem)
    return [first, *(Value(None) for _ in proto.output[1:])], layer


def _trained(operator: str, position: int, value: Value) -> bool:
    """Whether a constant input of an operator without MACs is a parameter, as far as one can tell."""
    if operator in _SETTINGS or (operator == "BatchNormalization" and position > 2):
        return False
    return value.elem in _FLOATS and prod(value.shape or ()) > 1
