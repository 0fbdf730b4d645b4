"""ONNX files without their weights: shapes are read, large payloads are stepped over.

A file is mapped into memory and its protobuf wire format walked; the payload of every large tensor (field
numbers of ``onnx.proto``) is left out of what is then parsed. So a model of gigabytes, or with its weights in
other files, costs no more than its graph.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
from onnx import inliner

from dnns.errors import InputError

MAX_GRAPH_BYTES = 256 << 20
MAX_NODES = 100_000
MAX_OPSET = 1_000
KEPT_BYTES = 64 << 10
"""Payloads up to this size are kept: shapes, axes and other small constants are among them."""

_MAX_DEPTH = 100
"""Most messages inside each other, as in protobuf itself."""

_Buffer = mmap.mmap | bytes
_TENSOR_PAYLOAD = frozenset({4, 5, 6, 7, 9, 10, 11})
_Schema = dict[int, "_Schema | None"]
_TENSOR: _Schema = {}
_SPARSE: _Schema = {1: _TENSOR, 2: _TENSOR}
_ATTRIBUTE: _Schema = {5: _TENSOR, 22: _SPARSE}
_NODE: _Schema = {5: _ATTRIBUTE}
_GRAPH: _Schema = {1: _NODE, 5: _TENSOR, 15: _SPARSE}
_ATTRIBUTE |= {6: _GRAPH, 11: _GRAPH}  # bodies of control flow
_MODEL: _Schema = {7: _GRAPH}


def load_model(path: str | Path) -> onnx.ModelProto:
    """The model of a file, large tensors without their values.

    Raises:
        InputError: if the file cannot be read or is not an ONNX model.
    """
    try:
        model = onnx.ModelProto.FromString(_slim(path))
        _check(path, model)
    except DecodeError:
        raise InputError(path, "", "is not an ONNX model: corrupt or truncated protobuf") from None
    if not all(isinstance(text, str) for text in _texts(model)):
        raise InputError(path, "", "is not an ONNX model: a name in it is not text")
    return _inlined(path, model)


def _slim(path: str | Path) -> bytes:
    try:
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            slim = b"".join(_message(content, 0, len(content), _MODEL))
    except (OSError, ValueError) as error:
        if isinstance(error, _WireError):
            raise InputError(path, "", f"is not an ONNX model: {error}") from None
        empty = isinstance(error, ValueError)
        reason = "is empty" if empty else f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise InputError(path, "", reason) from None
    if len(slim) > MAX_GRAPH_BYTES:
        raise InputError(
            path, "", f"its graph is larger than {MAX_GRAPH_BYTES} bytes, the most that is allowed"
        )
    return slim


class _WireError(ValueError):
    """The bytes are not protobuf's wire format."""


def _varint(content: _Buffer, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise _WireError("truncated or corrupt")


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _message(content: _Buffer, at: int, end: int, schema: _Schema, depth: int = 0) -> Iterator[bytes]:
    """The message between two positions again, without the payload of large tensors."""
    if depth > _MAX_DEPTH:
        raise _WireError(f"its bodies are nested deeper than {_MAX_DEPTH} levels")
    while at < end:
        start = at
        tag, at = _varint(content, at, end)
        kind, number = tag & 7, tag >> 3
        if kind == 2:
            size, at = _varint(content, at, end)
            stop = at + size
            if stop > end:
                raise _WireError("truncated")
            inner = schema.get(number)
            if inner is not None and size > KEPT_BYTES:
                body = b"".join(_message(content, at, stop, inner, depth + 1))
                yield _encoded(tag) + _encoded(len(body)) + body
            elif not (schema is _TENSOR and number in _TENSOR_PAYLOAD and size > KEPT_BYTES):
                yield content[start:stop]
            at = stop
        elif kind == 0:
            _, at = _varint(content, at, end)
            yield content[start:at]
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
            if at > end:
                raise _WireError("truncated")
            yield content[start:at]
        else:
            raise _WireError("truncated or corrupt")


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes, and those of the bodies inside them."""
    waiting = [nodes]
    while waiting:
        for node in waiting.pop():
            yield node
            for attribute in node.attribute:
                waiting += [graph.node for graph in (attribute.g, *attribute.graphs) if graph.node]


def _all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph, and the bodies inside it."""
    yield graph
    for node in _all_nodes(graph.node):
        for attribute in node.attribute:
            yield from (inner for inner in (attribute.g, *attribute.graphs) if inner.node or inner.output)


def _check(path: str | Path, model: onnx.ModelProto) -> None:
    if not model.HasField("graph") or not model.graph.node:
        raise InputError(path, "", "is not an ONNX model: it holds no graph with nodes")
    if not model.opset_import:
        raise InputError(path, "", "is not an ONNX model: it does not say which operator set it uses")
    for opset in model.opset_import:
        if not 1 <= opset.version <= MAX_OPSET:
            problem = f"operator set version is {opset.version}, allowed: 1 to {MAX_OPSET}"
            raise InputError(path, "", problem)
    nodes = sum(1 for _ in _all_nodes(model.graph.node))
    if nodes > MAX_NODES:
        raise InputError(path, "", f"has {nodes} nodes, at most {MAX_NODES} are allowed")


def _texts(model: onnx.ModelProto) -> Iterator[object]:
    """Every name that is read later. The protobuf package leaves one that is not text as bytes."""
    yield from (opset.domain for opset in model.opset_import)
    for graph in _all_graphs(model.graph):
        yield graph.name
        for info in (*graph.input, *graph.value_info, *graph.output):
            yield info.name
            yield from (dim.dim_param for dim in info.type.tensor_type.shape.dim)
        yield from (tensor.name for tensor in graph.initializer)
        yield from (sparse.values.name for sparse in graph.sparse_initializer)
    for function in model.functions:
        yield from (function.domain, function.name)
    for node in _all_nodes((*model.graph.node, *(n for function in model.functions for n in function.node))):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        yield from (text for entry in node.metadata_props for text in (entry.key, entry.value))


def _inlined(path: str | Path, model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with calls of its own functions written out."""
    if not model.functions:
        return model
    sizes = _function_sizes(path, model)
    total = sum(sizes.get((node.domain, node.op_type), 1) for node in _all_nodes(model.graph.node))
    if total > MAX_NODES:
        raise InputError(
            path, "", f"has {total} nodes with functions written out, at most {MAX_NODES} are allowed"
        )
    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # the C++ inliner raises RuntimeError and subclasses of its own
        raise InputError(path, "", f"its functions cannot be written out: {error}") from None


def _function_sizes(path: str | Path, model: onnx.ModelProto) -> dict[tuple[str, str], int]:
    """Nodes of each function, calls inside it written out."""
    bodies = {
        (f.domain, f.name): [(n.domain, n.op_type) for n in _all_nodes(f.node)] for f in model.functions
    }
    sizes: dict[tuple[str, str], int] = {}
    while len(sizes) < len(bodies):
        ready = [
            name
            for name, calls in bodies.items()
            if name not in sizes and all(call in sizes or call not in bodies for call in calls)
        ]
        if not ready:
            raise InputError(path, "", "its functions call themselves")
        for name in ready:
            sizes[name] = sum(sizes.get(call, 1) for call in bodies[name])
    return sizes
