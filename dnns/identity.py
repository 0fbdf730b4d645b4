"""What a network is, in a few characters: two files that describe the same network have the same hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from dnns.layer import Network, Node


def network_hash(network: Network) -> str:
    """SHA-256 of what a network computes and of the names in it, as ``sha256:...``.

    Its inputs, batch and operators count, with their shapes, layers and word widths; comments and the form of
    the file do not, nor does the network's own name.
    """
    content = {
        "inputs": [[name, list(shape)] for name, shape in network.inputs],
        "batch": network.batch,
        "nodes": [_node(node) for node in network.nodes],
        "left_out": [[gone.name, gone.op] for gone in network.left_out],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _node(node: Node) -> list[object]:
    layer = None if node.layer is None else [type(node.layer).__name__, asdict(node.layer)]
    return [node.name, node.op, node.inputs, node.shape, node.batch, layer, node.bits]
