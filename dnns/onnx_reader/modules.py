"""Names of modules that exporters write beside a node, such as PyTorch's ``layer1.0.conv1``."""

from __future__ import annotations

import ast

from onnx import NodeProto

_SCOPES = "pkg.torch.onnx.name_scopes"
_LONGEST = 400


def module_of(node: NodeProto) -> str:
    """Path of the module that a node belongs to, "" if the file does not say.

    PyTorch writes a list of scopes, each with the whole path so far, the last being the node itself.
    """
    for entry in getattr(node, "metadata_props", ()):
        if entry.key == _SCOPES and len(entry.value) < 100 * _LONGEST:
            try:
                scopes = ast.literal_eval(entry.value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                return ""
            if isinstance(scopes, list) and len(scopes) > 1 and isinstance(scopes[-2], str):
                name = scopes[-2]
                return name if name.isprintable() and len(name) <= _LONGEST else ""
    return ""


def with_module(node: NodeProto, module: str) -> NodeProto:
    """A node that belongs to a module."""
    if module:
        node.metadata_props.add(key=_SCOPES, value=repr([module, ""]))
    return node
