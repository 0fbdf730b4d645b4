"""Networks from ONNX files: the graph is walked once, every tensor's shape known before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from onnx import ModelProto

from dnns.layer import Network
from dnns.onnx_reader.file import load_model
from dnns.onnx_reader.inference.values import Shape, without_batch
from dnns.onnx_reader.inputs import declared_values, graph_inputs
from dnns.onnx_reader.walk import Start, Walk
from dnns.onnx_reader.widths import word_bits

_NAMELESS = {
    "main",
    "main_graph",
    "graph",
    "g",
    "model",
    "torch_jit",
    "torch-jit-export",
    "tf2onnx",
    "tfl2onnx",
}
"""Names that exporters give to every graph."""


def read_onnx_network(
    path: str | Path, input: Shape | None, dims: Mapping[str, int], skip_unsupported: bool = False
) -> Network:
    """Read a network from an ONNX file. Weights are not read and need not be there.

    Args:
        path: the file.
        input: shape without the batch, to use in place of the file's; an unknown batch is then 1. Where the
            network has several inputs, they must have one shape, and all of them take the new one.
        dims: values of symbolic dimensions; one without a name is called ``input_name.axis``.
        skip_unsupported: whether to leave out what is not supported, and what cannot be followed without it,
            instead of raising an error; ``Network.left_out`` lists it.

    Raises:
        InputError: naming the node and its operator; also for every operator that is not supported and may
            hold MACs, and for a body of which it is not known how often it runs.
    """
    model = load_model(path)
    graph = model.graph
    inputs, values = graph_inputs(path, graph, input, dims)
    versions = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    read = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    walk = Walk(Start(path, values, versions, declared_values(path, graph, dims), skip_unsupported), read)
    for index, node in enumerate(graph.node):
        walk.step(index, node)
    batch = next((shape[0] for _, shape in inputs if len(shape) > 1), 1)
    named = tuple((name, without_batch(shape)) for name, shape in inputs)
    widths = word_bits(walk.followed, walk.values, [o.name for o in graph.output])
    nodes = tuple(replace(node, bits=widths.get(node.name)) for node in walk.nodes)
    outputs = tuple(walk.makers[o.name] for o in graph.output if o.name in walk.makers)
    return Network(_name(path, model), named, nodes, batch, outputs, tuple(walk.left_out))


def _name(path: str | Path, model: ModelProto) -> str:
    name = model.graph.name if model.graph.name.isprintable() else ""
    return Path(path).stem if name.strip().lower() in ("", *_NAMELESS) else name[:200]
