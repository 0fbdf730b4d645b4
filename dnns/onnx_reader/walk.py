"""The walk along an ONNX graph: one node after another, every tensor's shape known before it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnx import NodeProto, helper

from dnns.errors import InputError
from dnns.layer import LeftOut, Node, Operator
from dnns.onnx_reader.file import MAX_NODES
from dnns.onnx_reader.inference.bodies import CONTROL_FLOW, control
from dnns.onnx_reader.inference.fold import constant, fold
from dnns.onnx_reader.inference.geometry import needed, picked_channels
from dnns.onnx_reader.inference.shapes import shaped
from dnns.onnx_reader.inference.values import (
    UnknownShape,
    Unsupported,
    Value,
    array_value,
    attributes,
    images,
    operator_of,
    operator_text,
    without_batch,
)
from dnns.onnx_reader.judged import counted_words, is_elementwise, scheduled, stored_as
from dnns.onnx_reader.larger.table import written_out
from dnns.onnx_reader.layers.families import FAMILIES
from dnns.onnx_reader.modules import module_of, with_module
from dnns.onnx_reader.widths import Followed
from dnns.windows import bounded


@dataclass(frozen=True)
class Start:
    """What is known before the first node.

    Attributes:
        path: the file, for errors.
        values: inputs and weights.
        versions: operator set version of each domain.
        declared: tensors whose shape the file declares.
        skip_unsupported: whether to go on without what is not supported.
    """

    path: str | Path
    values: Mapping[str, Value]
    versions: dict[str, int]
    declared: Mapping[str, Value]
    skip_unsupported: bool = False


class Walk:
    """The state of the walk.

    Args:
        start: what is known before the first node.
        read: tensors that some node reads, or that the graph returns.

    Attributes:
        values: every tensor that is known.
        makers: the node that makes each tensor that derives from an input.
        nodes: of the network, so far.
        followed: every node that derives from an input, as the graph has it.
        left_out: what was not followed, where that is wanted.
    """

    def __init__(self, start: Start, read: set[str]) -> None:
        self.start, self.read = start, read
        self.path, self.versions = start.path, start.versions
        self.values = dict(start.values)
        self.nodes: list[Node] = []
        self.followed: list[Followed] = []
        self.left_out: list[LeftOut] = []
        self.copies: dict[str, int] = {}
        self.makers: dict[str, str] = {n: n for n, value in self.values.items() if not value.weight}
        self.counted: set[str] = set()
        self.users: dict[str, str] = {}
        self.times = self.steps = 0

    def step(self, index: int, proto: NodeProto) -> None:
        """Take one node into account."""
        self.steps += 1
        name = self._name(index, proto)
        try:
            if self.steps > MAX_NODES:
                raise ValueError(f"more than {MAX_NODES} nodes, bodies and larger operators written out")
            self._follow(name, proto)
        except Unsupported as error:
            if not self.start.skip_unsupported:
                raise self._failed(name, proto, error, "; --skip-unsupported leaves it out") from None
            lost = isinstance(error, UnknownShape) and self.left_out
            without = "the shape of its input is not known without what was left out before"
            self._leave_out(name, proto, without if lost else str(error))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise self._failed(name, proto, error) from None

    def _failed(self, name: str, proto: NodeProto, error: ValueError, hint: str = "") -> InputError:
        known = ", module ".join(filter(None, (operator_text(proto), module_of(proto))))
        return InputError(self.path, f"node {name}" + (f" ({known})" if known else ""), f"{error}{hint}")

    def _follow(self, name: str, proto: NodeProto) -> None:
        for tensor in proto.output:
            if tensor in self.values and tensor:
                raise ValueError(f"tensor {tensor[:100]!r} is made twice")
        if operator_of(proto) in CONTROL_FLOW:
            control(self, name, proto)
            return
        inputs = [self.value(tensor) for tensor in proto.input]
        smaller = written_out(name, proto, inputs, self.versions)
        if smaller is not None:
            self.read.update(tensor for node in smaller for tensor in node.input)
            module = module_of(proto)
            for index, node in enumerate(smaller):
                self.step(index, with_module(node, module))
            return
        outputs, layer = self._outputs(name, proto, inputs)
        self.values.update(zip((o for o in proto.output), outputs, strict=False))
        self.values.pop("", None)
        if layer is not None or not all(value.weight or value.data is not None for value in outputs):
            self.followed.append(Followed(proto, name if layer else ""))
            self._add(name, proto, outputs, layer)

    def _leave_out(self, name: str, proto: NodeProto, reason: str) -> None:
        """Go on without a node: its outputs have the shapes that the file declares, if it does."""
        self.left_out.append(LeftOut(name, operator_text(proto), reason, module_of(proto)))
        outputs = [self.start.declared.get(tensor, Value(None)) for tensor in proto.output]
        for tensor, value in zip(proto.output, outputs, strict=True):
            if tensor and tensor not in self.values:
                self.result(name, proto.op_type, proto.input, tensor, value)

    def value(self, tensor: str) -> Value | None:
        """What is known of a tensor, None for an optional input that is left out.

        Raises:
            ValueError: if no node made it yet.
        """
        if not tensor:
            return None
        if tensor not in self.values:
            raise ValueError(f"reads tensor {tensor[:100]!r}, which no node before it makes")
        return self.values[tensor]

    def alias(self, known: str, name: str) -> None:
        """Let a tensor have another name as well."""
        if not name:
            return
        self.values[name] = self.value(known) or Value(None)
        if known in self.makers:
            self.makers[name] = self.makers[known]
            self.followed.append(Followed(helper.make_node("Identity", [known], [name]), ""))

    def result(self, name: str, operator: str, inputs: Sequence[str], out: str, value: Value) -> None:
        """Enter a node without MACs that gathers what a body made, or that was left out."""
        if not out:
            return
        own = self._unique(name)
        made = tuple(dict.fromkeys(self.makers[tensor] for tensor in inputs if tensor in self.makers))
        shape = without_batch(value.shape or ())
        self.nodes.append(
            Node(own, operator, made, shape, batch=images(value.shape), windows=(None,) * len(made))
        )
        self.values[out], self.makers[out] = value, own
        self.followed.append(Followed(helper.make_node(operator, list(inputs), [out]), ""))

    @contextmanager
    def repeated(self, count: int) -> Iterator[None]:
        """What is followed inside runs so many times."""
        before = self.times
        self.times = (before or 1) * count
        try:
            yield
        finally:
            self.times = before

    def saved(self) -> dict[str, Any]:
        """The state, to go back to."""
        return {name: copy(value) for name, value in vars(self).items() if name not in ("start", "path")}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to an earlier state; the nodes followed since then still count as work done."""
        steps = self.steps
        vars(self).update(state)
        self.steps = steps

    def unique_prefix(self, wanted: str) -> str:
        """A name that no node has, for the tensors inside a body."""
        return self._unique(wanted)

    def _add(self, name: str, proto: NodeProto, outputs: list[Value], layer: Operator | None) -> None:
        """Enter a node, and one more for each further output that something reads."""
        parameters = counted_words(proto, layer, self.values, self.counted)
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
                    without_batch(made.shape or ()),
                    parameters=0 if number else parameters,
                    batch=images(made.shape),
                    windows=windows,
                    channels=picked,
                    module=module_of(proto),
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
            without_batch(made.known),
            layer,
            parameters,
            images(made.shape),
            weights=self.makers[w] if len(operands) > 1 else "",
            twin=twin,
            module=module_of(proto),
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

    def _outputs(
        self, name: str, proto: NodeProto, inputs: list[Value | None]
    ) -> tuple[list[Value], Operator | None]:
        family = FAMILIES.get(operator_of(proto))
        if family is None or is_elementwise(proto, inputs):
            return self._shaped(proto, inputs), None
        outputs, layer = scheduled(name, proto, inputs, family)
        if self.times and layer is not None:
            layer = replace(layer, count=bounded("the number of its runs", layer.count * self.times))
        return outputs, layer

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
        stored = stored_as(proto, inputs)
        return [Value(v.shape, v.elem, None, weight, *stored) for v in values]
