"""A network as layers in a row and the tensors between them: who makes what, who reads it, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dnns.errors import InputError
from dnns.layer import Network, Node, Operator
from formulation.network.operators import Role, role_of


@dataclass(frozen=True, slots=True)
class Source:
    """Words of a tensor that an operand names.

    Attributes:
        tensor: index of the tensor; None for constants, and for words that no node makes.
        words: how many of it, over the whole batch.
    """

    tensor: int | None
    words: int


Value = tuple[Source, ...]
"""What a node's name stands for: the words of one tensor, or, of a concatenation, of several in a row."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: a network input, a layer's ofmap, or the result of a drain node.

    Attributes:
        index: position in ``TensorGraph.tensors``.
        name: of the node that makes it, or of the network input.
        shape: channels first, without the batch.
        words: of all images and channels.
        producer: position of the layer that makes it, or drains it; None for what is there from the start:
            network inputs, and what drain nodes make of network inputs alone.
        drained: whether it is the result of a drain node.
        is_output: whether it leaves the network.
        readers: positions of the layers that read it (drains included), ascending. What a drain node
            consumes on its way out does not count.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    words: int
    producer: int | None
    drained: bool = False
    is_output: bool = False
    readers: tuple[int, ...] = ()

    @property
    def stored(self) -> bool:
        """Whether anything names it after it has been made."""
        return self.is_output or bool(self.readers)

    @property
    def may_stay(self) -> bool:
        """Whether it can be kept on the chip: it is stored, and a layer makes it."""
        return self.producer is not None and self.stored

    @property
    def last(self) -> int:
        """Position of the last layer that reads it, of its producer if none does."""
        return max((*self.readers, -1 if self.producer is None else self.producer))

    def alive(self, position: int) -> bool:
        """Whether it takes room, if it stays, while the layer at a position runs."""
        return self.producer is not None and self.producer <= position <= self.last


@dataclass(frozen=True, slots=True)
class LayerUse:
    """One run of a layer among the tensors.

    Attributes:
        position: in the network's order of layers.
        name: of its node; repeated runs are numbered ``name#2`` and so on.
        node: name of its node.
        layer: the operator, its ``count`` 1.
        ifmap: where the words of its ifmap come from.
        weights: where the words of its weights come from if they are features; empty for trained weights.
        ofmap: index of the tensor of its ofmap as it is, whether or not that is stored.
        emits: indices of the stored tensors that it makes: its ofmap, results of drain nodes.
        drains: names of the drain nodes that it computes on the way out, in order.
        drain_reads: what these read besides, one entry for each node and tensor.
        twin: name of an earlier node with the same trained weights, "" for none.
    """

    position: int
    name: str
    node: str
    layer: Operator
    ifmap: Value
    weights: Value
    ofmap: int
    emits: tuple[int, ...] = ()
    drains: tuple[str, ...] = ()
    drain_reads: Value = ()
    twin: str = ""


@dataclass(frozen=True)
class TensorGraph:
    """A network's layers and tensors.

    Attributes:
        name: of the network.
        layers: every run of a layer, in order.
        tensors: all of them, stored or not.
        values: what every name of a node or network input stands for.
        nodes: the network's nodes by name.
    """

    name: str
    layers: tuple[LayerUse, ...]
    tensors: tuple[Tensor, ...]
    values: dict[str, Value] = field(repr=False)
    nodes: dict[str, Node] = field(repr=False)

    @property
    def candidates(self) -> tuple[Tensor, ...]:
        """The tensors that may stay on the chip."""
        return tuple(tensor for tensor in self.tensors if tensor.may_stay)


def tensor_graph(network: Network) -> TensorGraph:
    """The layers and tensors of a network.

    Raises:
        InputError: for an operator without a rule, a node that reads one that does not stand before it, or
            a stored tensor whose shape depends on data.
    """
    return _GraphBuilder(network).build()


class _GraphBuilder:
    """Walks the nodes in order; what is read, and what is stored for that, is entered at the end."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.tensors: list[Tensor] = []
        self.layers: list[LayerUse] = []
        self.values: dict[str, Value] = {}
        self.shapes: dict[str, tuple[int, ...]] = dict(network.inputs)
        self.readers: dict[int, set[int]] = {}
        for name, shape in network.inputs:
            words = network.batch
            for size in shape:
                words *= size
            self.values[name] = (self._made(name, shape, words, None),)

    def build(self) -> TensorGraph:
        for node in self.network.nodes:
            self._node(node)
        outputs = {s.tensor for name in self.network.outputs for s in self.values[name]}
        self.tensors = [
            replace(t, is_output=t.index in outputs, readers=tuple(sorted(self.readers.get(t.index, ()))))
            for t in self.tensors
        ]
        self._check_sizes()
        emitted: dict[int, list[int]] = {}
        for tensor in self.tensors:
            if tensor.stored and tensor.producer is not None:
                emitted.setdefault(tensor.producer, []).append(tensor.index)
        layers = tuple(replace(u, emits=tuple(emitted.get(u.position, ()))) for u in self.layers)
        nodes = {node.name: node for node in self.network.nodes}
        return TensorGraph(self.network.name, layers, tuple(self.tensors), self.values, nodes)

    def _node(self, node: Node) -> None:
        for name in node.inputs:
            if name not in self.values:
                problem = f"reads {name}, which does not stand before it"
                raise InputError(self.network.name, f"node {node.name}", problem)
        role = role_of(self.network.name, node, tuple(self.shapes[name] for name in node.inputs))
        self.shapes[node.name] = node.shape
        view = self._view(node) if role is Role.VIEW else None
        if role is Role.LAYER:
            self._layer(node)
        elif view is not None:
            self.values[node.name] = view
        else:
            self._drain(node)

    def _made(
        self, name: str, shape: tuple[int, ...], words: int, producer: int | None, drained: bool = False
    ) -> Source:
        tensor = Tensor(len(self.tensors), name, shape, words, producer, drained)
        self.tensors.append(tensor)
        return Source(tensor.index, words)

    def _read(self, sources: Iterable[Source], position: int) -> None:
        for source in sources:
            if source.tensor is not None:
                self.readers.setdefault(source.tensor, set()).add(position)

    def _view(self, node: Node) -> Value | None:
        """The words that a view names; None if they do not fall into whole channels, as after a reshape."""
        parts = [s for name in node.inputs for s in self.values[name]]
        total = sum(s.words for s in parts)
        if node.channels is not None:
            have = self.shapes[node.inputs[0]][0]
            parts = _cut(parts, *(total * end // have for end in node.channels))
        elif total < node.words:  # the rest of a concatenation is constant
            parts.append(Source(None, node.words - total))
        channel = max(1, node.words // max(1, node.shape[0] if node.shape else 1))
        whole = len(parts) == 1 or all(s.words % channel == 0 for s in parts)
        return tuple(parts) if whole else None

    def _layer(self, node: Node) -> None:
        """Every run of a layer; a repeated one reads the run before if that has made what it needs."""
        assert node.layer is not None
        layer = replace(node.layer, count=1)
        ifmap = self._operand(node.inputs[:1], layer.ifmap_words, node.name)
        weights = self.values[node.weights] if node.weights else ()
        others = [name for name in node.inputs[1:] if name != node.weights]
        for run in range(node.layer.count):
            position, name = len(self.layers), node.name if run == 0 else f"{node.name}#{run + 1}"
            if run and layer.ofmap_words == layer.ifmap_words:
                ifmap = self.values[node.name]
            ofmap = self._made(name, node.shape, layer.ofmap_words, position)
            reads = tuple(s for other in others for s in self._distinct([other]))
            self.layers.append(
                LayerUse(
                    position,
                    name,
                    node.name,
                    layer,
                    ifmap,
                    weights,
                    self.tensors[-1].index,
                    drain_reads=reads,
                    twin=node.twin,
                )
            )
            self._read((*ifmap, *weights, *reads), position)
            self.values[node.name] = (ofmap,)

    def _operand(self, names: tuple[str, ...], words: int, reader: str) -> Value:
        """Where an ifmap comes from; what no node makes at this size is an input of its own."""
        parts = tuple(s for name in names for s in self.values[name])
        if sum(s.words for s in parts) == words:
            return parts
        return (self._made(f"{reader}.ifmap", (), words, None),)

    def _distinct(self, names: Iterable[str]) -> list[Source]:
        """The tensors behind some names, each once, with the words that are named."""
        words: dict[int, int] = {}
        for name in names:
            for source in self.values[name]:
                if source.tensor is not None:
                    most = self.tensors[source.tensor].words
                    words[source.tensor] = min(most, words.get(source.tensor, 0) + source.words)
        return [Source(tensor, count) for tensor, count in words.items()]

    def _drain(self, node: Node) -> None:
        """A drain node: on the way out of the layer that makes the last of its operands."""
        operands = [
            (source, self.tensors[source.tensor])
            for source in self._distinct(dict.fromkeys(node.inputs))
            if source.tensor is not None
        ]
        made = [(t.producer, t.index) for _, t in operands if t.producer is not None]
        host, last = max(made, default=(None, None))
        if host is not None:
            others = tuple(source for source, tensor in operands if tensor.index != last)
            self._read(others, host)
            use = self.layers[host]
            self.layers[host] = replace(
                use, drains=(*use.drains, node.name), drain_reads=use.drain_reads + others
            )
        self.values[node.name] = (self._made(node.name, node.shape, node.words, host, drained=True),)

    def _check_sizes(self) -> None:
        for tensor in self.tensors:
            if tensor.stored and tensor.words < 1:
                problem = "the shape of its output depends on data, --network_level layers needs none"
                raise InputError(self.network.name, f"node {tensor.name}", problem)


def _cut(parts: list[Source], first: int, stop: int) -> list[Source]:
    """The words ``first .. stop-1`` of several sources in a row."""
    cut, at = [], 0
    for source in parts:
        low, high = max(first, at), min(stop, at + source.words)
        if high > low:
            cut.append(Source(source.tensor, high - low))
        at += source.words
    return cut
