"""ONNX files without their weights: shapes are read, large payloads are stepped over.

A file is mapped into memory and its protobuf wire format walked; the payload of every large tensor is left
out of what is then parsed. So a model of gigabytes, or with its weights in other files, costs no more than
its graph.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
from onnx import inliner

from dnns.errors import InputError
from dnns.onnx_reader.wire import WireError, slim

MAX_NODES = 100_000
MAX_OPSET = 1_000


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
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        number = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise InputError(path, "", f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return _mapped(path, number)
    finally:
        os.close(number)


def _mapped(path: str | Path, number: int) -> bytes:
    kind = os.fstat(number)
    if not stat.S_ISREG(kind.st_mode):
        what = "a folder" if stat.S_ISDIR(kind.st_mode) else "a pipe or device"
        raise InputError(path, "", f"cannot be read: it is {what}, an ordinary file is needed")
    if not kind.st_size:
        raise InputError(path, "", "is empty")
    with mmap.mmap(number, 0, access=mmap.ACCESS_READ) as content:
        try:
            return slim(content, onnx.ModelProto.DESCRIPTOR)
        except WireError as error:
            raise InputError(path, "", f"is not an ONNX model: {error}") from None


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
