"""The network as a graph in the order in which it runs: a line for each operator, arcs that skip others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dnns.layer import Network, Node

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PictureNode:
    """An operator of the picture.

    Attributes:
        name: of the operator.
        op: what it does.
        inputs: names of the operators, or network inputs, whose results it reads.
        layers: positions of the layers of the result that it stands for, none if it has no MACs.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    layers: tuple[int, ...]


def picture_nodes(network: Network, layers: Sequence[Data]) -> list[PictureNode]:
    """The operators of a network, without those that have one input and no MACs: their readers read it.

    Args:
        network: what was run.
        layers: of its result; a layer that runs several times may have a line for each.
    """
    remaining = deque(enumerate(layers))
    stands_for: dict[str, str] = {}
    found = []
    for node in network.nodes:
        inputs = tuple(dict.fromkeys(stands_for.get(name, name) for name in node.inputs))
        if node.layer is None and len(inputs) == 1:
            stands_for[node.name] = inputs[0]
            continue
        runs = tuple(_runs(node, remaining))
        found.append(PictureNode(node.name, node.op, inputs, runs))
    return found


def _runs(node: Node, remaining: deque[tuple[int, Data]]) -> Iterator[int]:
    """Positions of the layers that a node is; taken from those that remain, in the network's order."""
    while node.layer is not None and remaining:
        position, layer = remaining[0]
        if layer["name"] != node.name and not layer["name"].startswith(f"{node.name}#"):
            return
        remaining.popleft()
        yield position


def picture(
    nodes: Sequence[PictureNode],
    inputs: Iterable[str],
    layers: Sequence[Data] = (),
    staying: Sequence[Data] = (),
) -> dict[str, Any]:
    """Rows in order, edges, and what stays: ``from`` and ``to`` row, and ``lane``, 1, 2, ... outwards.

    An edge of neighbours has lane 0.

    Args:
        nodes: of the network.
        inputs: names of its inputs.
        layers: of the result.
        staying: the tensors that stay, from a layer to a layer.
    """
    names = [*inputs, *(node.name for node in nodes)]
    row = {name: i for i, name in enumerate(names)}
    spans = sorted(
        {(row[source], row[node.name]) for node in nodes for source in node.inputs if source in row},
        key=lambda edge: (edge[1] - edge[0], edge),
    )
    lanes = lane_of([edge for edge in spans if edge[1] - edge[0] > 1])
    blank = [{"name": name, "op": "input", "layers": []} for name in names[: len(names) - len(nodes)]]
    return {
        "rows": blank + [{"name": n.name, "op": n.op, "layers": list(n.layers)} for n in nodes],
        "edges": [{"from": a, "to": b, "lane": lanes.get((a, b), 0)} for a, b in sorted(spans)],
        "held": list(_held(nodes, len(blank), layers, staying)),
    }


def _held(
    nodes: Sequence[PictureNode], first: int, layers: Sequence[Data], staying: Sequence[Data]
) -> Iterator[dict[str, Any]]:
    """The lives of the tensors that stay; two that are there at once lie apart."""
    row = {layers[at]["name"]: first + i for i, node in enumerate(nodes) for at in node.layers}
    lives = [(row[tensor["from"]], row[tensor["to"]] + 1) for tensor in staying]
    lanes = lane_of(sorted(lives, key=lambda life: (life[1] - life[0], life)))
    for tensor, life in zip(staying, lives, strict=True):
        yield {**tensor, "from": life[0], "to": life[1] - 1, "lane": lanes[life]}


def lane_of(arcs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A lane for each arc, from 1, so that arcs that overlap lie apart; short ones first, so inside."""
    taken: list[list[tuple[int, int]]] = []
    found = {}
    for first, last in arcs:
        for lane in range(len(taken) + 1):
            if lane == len(taken):
                taken.append([])
            if all(last <= a or b <= first for a, b in taken[lane]):
                taken[lane].append((first, last))
                found[first, last] = lane + 1
                break
    return found
