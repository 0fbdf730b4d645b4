"""``If``, ``Loop`` and ``Scan``: bodies that are run once, or a number of times that the graph itself tells.

A body whose state keeps its shape is followed once, and its layers run as many times one after another. One
whose state grows is written out step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto

from dnns.errors import InputError
from dnns.onnx_reader.inference.values import (
    Attributes,
    Shape,
    Unsupported,
    Value,
    array_value,
    attributes,
    tensor_value,
)
from dnns.windows import bounded

CONTROL_FLOW = {("", "If"), ("", "Loop"), ("", "Scan")}
_SCAN_SINCE = 9


class BodyWalk(Protocol):
    """What bodies need of the walk over a graph (``dnns.onnx_reader.walk.Walk``)."""

    versions: dict[str, int]
    values: dict[str, Value]
    makers: dict[str, str]
    read: set[str]

    def step(self, index: int, proto: NodeProto) -> None:
        """Take one node into account."""

    def value(self, tensor: str) -> Value | None:
        """What is known of a tensor, None for an optional input that is left out."""

    def alias(self, known: str, name: str) -> None:
        """Let a tensor have another name as well."""

    def result(self, name: str, operator: str, inputs: Sequence[str], out: str, value: Value) -> None:
        """Enter a node without MACs that gathers what a body made."""

    def repeated(self, count: int) -> AbstractContextManager[None]:
        """What is followed inside runs so many times."""

    def saved(self) -> dict[str, Any]:
        """The state, to go back to."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to an earlier state."""

    def unique_prefix(self, wanted: str) -> str:
        """A name that no node has, for the tensors inside a body."""


def control(walk: BodyWalk, name: str, proto: NodeProto) -> None:
    """Follow a node with bodies; its outputs are then known to the walk.

    Raises:
        ValueError: if it is not valid; ``Unsupported`` if what it runs depends on data.
    """
    {"If": _branch, "Loop": _loop, "Scan": _scan}[proto.op_type](walk, name, proto)


def _graph(attrs: Attributes, name: str) -> GraphProto:
    if name not in attrs or attrs.protos[name].type != AttributeProto.GRAPH:
        raise ValueError(f"has no {name}")
    return attrs.protos[name].g


def _branch(walk: BodyWalk, name: str, proto: NodeProto) -> None:
    """``If``: the branch that its condition chooses."""
    condition = walk.value(proto.input[0]) if proto.input else None
    if condition is None or condition.data is None or condition.data.size != 1:
        raise Unsupported("its condition depends on data")
    chosen = "then_branch" if bool(condition.data.reshape(-1)[0]) else "else_branch"
    made = _run(walk, _graph(attributes(proto), chosen), f"{name}/{chosen}", [])
    if len(made) < len(proto.output):
        raise ValueError(f"{chosen} has {len(made)} outputs, it needs {len(proto.output)}")
    for out, inner in zip(proto.output, made, strict=False):
        walk.alias(inner, out)


def _loop(walk: BodyWalk, name: str, proto: NodeProto) -> None:
    """``Loop``: its body as often as its trip count says, which must be known."""
    body = _graph(attributes(proto), "body")
    trips = walk.value(proto.input[0]) if proto.input else None
    start = walk.value(proto.input[1]) if len(proto.input) > 1 else None
    if trips is None or trips.data is None or trips.data.size != 1:
        raise Unsupported("how often it runs depends on data")
    if start is not None and (start.data is None or start.data.size != 1):
        raise Unsupported("whether it runs depends on data")
    runs = start is None or bool(start.data.reshape(-1)[0])  # type: ignore[union-attr]
    count = max(0, int(trips.data.reshape(-1)[0])) if runs else 0
    state = list(proto.input[2:])
    if len(body.input) != 2 + len(state) or len(body.output) < 1 + len(state):
        raise ValueError(f"its body does not take and return the {len(state)} values that it carries")
    if count == 0:
        _no_trip(walk, proto, body, state)
        return
    saved = walk.saved()
    try:
        _once(walk, name, proto, body, state, count)
    except (ValueError, InputError):
        walk.restore(saved)
        _step_by_step(walk, name, proto, body, state, count)


def _no_trip(walk: BodyWalk, proto: NodeProto, body: GraphProto, state: Sequence[str]) -> None:
    for out, carried in zip(proto.output, state, strict=False):
        walk.alias(carried, out)
    for out in proto.output[len(state) :]:
        if out:
            walk.values[out] = Value((0,))


_TRUE = array_value(np.asarray(True), False)


def _once(
    walk: BodyWalk, name: str, proto: NodeProto, body: GraphProto, state: Sequence[str], count: int
) -> None:
    """The body followed once, for all its runs: what it carries must keep its shape."""
    bounded("its trip count", count)
    number = Value((), TensorProto.INT64)
    carried = [_without_data(walk.value(tensor)) for tensor in state]
    with walk.repeated(count):
        made = _run(walk, body, name, [(number, ""), (_TRUE, ""), *zip(carried, state, strict=True)])
    _check_going_on(walk.value(made[0]))
    for before, after in zip(carried, made[1:], strict=False):
        if before.shape != walk.value(after).shape:  # type: ignore[union-attr]
            raise Unsupported("what it carries changes its shape")
    for out, inner in zip(proto.output, made[1 : 1 + len(state)], strict=False):
        walk.result(f"{name}.out", "Loop", [inner], out, _without_data(walk.value(inner)))
    for out, inner in zip(proto.output[len(state) :], made[1 + len(state) :], strict=False):
        value = _without_data(walk.value(inner))
        shape = None if value.shape is None else (count, *value.shape)
        walk.result(f"{name}.out", "Loop", [inner], out, Value(shape, value.elem))


def _step_by_step(
    walk: BodyWalk, name: str, proto: NodeProto, body: GraphProto, state: Sequence[str], count: int
) -> None:
    """The body followed once for each of its runs."""
    gathered: list[list[str]] = [[] for _ in range(len(body.output) - 1 - len(state))]
    for step in range(count):
        number = array_value(np.asarray(step, dtype=np.int64), False)
        carried = [(walk.value(tensor) or Value(None), tensor) for tensor in state]
        made = _run(walk, body, f"{name}.{step + 1}", [(number, ""), (_TRUE, ""), *carried])
        _check_going_on(walk.value(made[0]))
        state = made[1 : 1 + len(state)]
        for pieces, piece in zip(gathered, made[1 + len(state) :], strict=True):
            pieces.append(piece)
    for out, inner in zip(proto.output, state, strict=False):
        walk.alias(inner, out)
    for out, pieces in zip(proto.output[len(state) :], gathered, strict=False):
        value = walk.value(pieces[0]) or Value(None)
        shape = None if value.shape is None else (count, *value.shape)
        walk.result(f"{name}.out", "Loop", pieces, out, Value(shape, value.elem))


def _check_going_on(condition: Value | None) -> None:
    if condition is None or condition.data is None or not condition.data.all():
        raise Unsupported("whether it runs on depends on data")


def _scan(walk: BodyWalk, name: str, proto: NodeProto) -> None:
    """``Scan``: its body once for each piece of what it scans."""
    attrs = attributes(proto)
    if walk.versions.get("", 1) < _SCAN_SINCE:
        raise Unsupported(f"is followed from operator set {_SCAN_SINCE} on")
    body, scanned = _graph(attrs, "body"), attrs.integer("num_scan_inputs", 0)
    held = len(proto.input) - scanned
    if not (0 < scanned <= len(proto.input) and len(body.input) == len(proto.input)):
        raise ValueError("its body does not take what it scans and carries")
    axes = attrs.integers("scan_input_axes") or (0,) * scanned
    entries, lengths = [], set()
    for position, tensor in enumerate(proto.input):
        value = _without_data(walk.value(tensor))
        if position >= held:
            shape, axis = value.known, axes[position - held] if len(axes) == scanned else 0
            if not -len(shape) <= axis < len(shape):
                raise ValueError(f"scan axis {axis} is none of {list(shape)}")
            lengths.add(shape[axis])
            value = Value(_without_axis(shape, axis % len(shape)), value.elem)
        entries.append((value, tensor))
    if len(lengths) != 1:
        raise ValueError(f"what it scans has several lengths: {sorted(lengths)}")
    count = bounded("its trip count", lengths.pop())
    with walk.repeated(count):
        made = _run(walk, body, name, entries)
    out_axes = attrs.integers("scan_output_axes") or (0,) * (len(made) - held)
    for position, (out, inner) in enumerate(zip(proto.output, made, strict=False)):
        value = _without_data(walk.value(inner))
        if position < held:
            if value.shape != entries[position][0].shape:
                raise ValueError("what it carries changes its shape")
        elif value.shape is not None and len(out_axes) == len(made) - held:
            at = out_axes[position - held] % (len(value.shape) + 1)
            value = Value((*value.shape[:at], count, *value.shape[at:]), value.elem)
        walk.result(f"{name}.out", "Scan", [inner], out, value)


def _without_axis(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


def _without_data(value: Value | None) -> Value:
    return Value(None) if value is None else Value(value.shape, value.elem, stored=value.stored)


def _run(walk: BodyWalk, body: GraphProto, prefix: str, entries: Sequence[tuple[Value, str]]) -> list[str]:
    """Follow a body once.

    Args:
        walk: knows the tensors outside, which the body may read.
        body: the graph.
        prefix: of the names of the tensors inside.
        entries: for each of its inputs what is known of it, and the tensor outside that it is, "" for none.

    Returns:
        The names of its outputs, as the walk knows them.
    """
    prefix = walk.unique_prefix(prefix)
    inside = {
        *(info.name for info in body.input),
        *(tensor.name for tensor in body.initializer),
        *(out for node in body.node for out in node.output),
    } - {""}
    names = {name: f"{prefix}/{name}" for name in inside}
    for tensor in body.initializer:
        walk.values[names[tensor.name]] = tensor_value(tensor)
    for info, (value, outside) in zip(body.input, entries, strict=False):
        walk.values[names[info.name]] = value
        if outside in walk.makers:
            walk.makers[names[info.name]] = walk.makers[outside]
    nodes = [_renamed(node, names) for node in body.node]
    results = [names.get(info.name, info.name) for info in body.output]
    walk.read.update(results)
    walk.read.update(name for node in nodes for name in node.input)
    for index, node in enumerate(nodes):
        walk.step(index, node)
    for result in results:
        walk.value(result)
    return results


def _renamed(node: NodeProto, names: dict[str, str]) -> NodeProto:
    """A node, bodies inside it included, with the names of tensors replaced."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [names.get(name, name) for name in node.input]
    copy.output[:] = [names.get(name, name) for name in node.output]
    for attribute in copy.attribute:
        if attribute.type == AttributeProto.GRAPH:
            _rename_inside(attribute.g, names)
    return copy


def _rename_inside(graph: GraphProto, names: dict[str, str]) -> None:
    """What a body reads from outside under its new names, in place."""
    own = {*(i.name for i in graph.input), *(t.name for t in graph.initializer)}
    own |= {out for node in graph.node for out in node.output}
    outer = {name: new for name, new in names.items() if name not in own}
    for node in graph.node:
        node.input[:] = [outer.get(name, name) for name in node.input]
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                _rename_inside(attribute.g, outer)
    for info in graph.output:
        info.name = outer.get(info.name, info.name)
