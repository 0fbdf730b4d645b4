"""Which runs of layers of a network can be fused.

A run can if each layer but the last is consumed by the next, through views and drain nodes, if all have
trained weights and as many spatial axes, and if every operator on the way says which positions it needs.
It cannot go through what moves words between channels and positions (flatten, reshape) or makes another
number of axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod

from dnns.geometry import WholeAxis
from formulation.network.graph import LayerUse, Source, TensorGraph, Value
from formulation.network.stacks.stack import Map, MapKind, Read, Stack
from formulation.network.stacks.windows import Reach


class _Unfit(Exception):
    """The run cannot be fused."""


def stacks(graph: TensorGraph, longest: int) -> Iterator[Stack]:
    """Every run of one to ``longest`` layers that can be fused, by last layer, short ones first."""
    for last in range(len(graph.layers)):
        for first in range(last, max(-1, last - longest), -1):
            if first < last and not _feeds(graph, first):
                break
            stack = stack_of(graph, first, last)
            if stack is not None:
                yield stack


def stack_of(graph: TensorGraph, first: int, last: int) -> Stack | None:
    """The stack of layers ``first .. last``, None if they cannot be fused."""
    try:
        return _StackBuilder(graph, first, last).build()
    except _Unfit:
        return None


def _feeds(graph: TensorGraph, position: int) -> bool:
    """Whether the layer after a position reads what the layer there makes."""
    read = (s.tensor for s in graph.layers[position + 1].ifmap if s.tensor is not None)
    return any(graph.tensors[tensor].producer == position for tensor in read)


@dataclass
class _Draft:
    """A map whose reads are still tensors; windows None where the positions do not correspond."""

    made: Map
    reads: list[tuple[int, tuple[Reach, ...] | None, bool]] = field(default_factory=list)


class _StackBuilder:
    """Collects the maps of a run of layers: first those it makes, then what they read from outside."""

    def __init__(self, graph: TensorGraph, first: int, last: int) -> None:
        self.graph, self.first, self.last = graph, first, last
        self.uses = graph.layers[first : last + 1]
        self.batch = self.uses[0].layer.batch
        self.axes = len(self.uses[0].layer.axes)
        self.inside: dict[int, _Draft] = {}  # by tensor
        self.sources: dict[int, Map] = {}
        self.operands: list[Map] = []

    def build(self) -> Stack:
        for number, use in enumerate(self.uses):
            self._check(use)
            if number and not _feeds(self.graph, use.position - 1):
                raise _Unfit
            self._layer(number, use)
            for name in use.drains:
                self._drain(number, name)
        maps = [*self.sources.values(), *self.operands]
        place = {tensor: i for i, tensor in enumerate(self.sources)}
        offset = len(self.sources)
        for tensor, draft in self.inside.items():
            place[tensor] = len(maps)
            reads = tuple(
                Read(offset - 1 - at if at < 0 else place[at], windows or (), held)
                for at, windows, held in draft.reads
            )
            maps.append(replace(draft.made, reads=reads))
        stack = Stack(self.first, tuple(use.layer for use in self.uses), tuple(maps), self.batch)
        return replace(stack, maps=_settled(stack))

    def _check(self, use: LayerUse) -> None:
        node = self.graph.nodes[use.node]
        others = [name for name in node.inputs[1:] if name != node.weights]
        if use.weights or others or use.layer.batch != self.batch or len(use.layer.axes) != self.axes:
            raise _Unfit

    def _map(self, kind: MapKind, number: int, tensor: int, channels: int, extents: tuple[int, ...]) -> Map:
        t = self.graph.tensors[tensor]
        leaves = t.is_output or any(reader > self.last for reader in t.readers)
        return Map(t.name, kind, channels, extents, (), number, tensor, leaves, t.is_output)

    def _layer(self, number: int, use: LayerUse) -> None:
        layer = use.layer
        extents = tuple(axis.out for axis in layer.axes)
        made = self._map(MapKind.OFMAP, number, use.ofmap, layer.groups * layer.out_channels, extents)
        sizes = tuple(axis.in_size for axis in layer.axes)
        draft = _Draft(made)
        for source in _joined(use.ifmap):
            assert source.tensor is not None
            if source.tensor in self.inside:
                self._same(self.inside[source.tensor].made, sizes)
            else:
                self._source(source, sizes)
            draft.reads.append((source.tensor, layer.axes, True))
        self.inside[use.ofmap] = draft

    def _source(self, source: Source, sizes: tuple[int, ...]) -> None:
        assert source.tensor is not None
        made = self._outside(MapKind.SOURCE, source, sizes)
        if self.sources.setdefault(source.tensor, made) != made:
            raise _Unfit  # two layers read different channels of it

    def _outside(self, kind: MapKind, source: Source, sizes: tuple[int, ...]) -> Map:
        positions = self.batch * prod(sizes)
        assert source.tensor is not None
        tensor = self.graph.tensors[source.tensor]
        words = min(source.words, tensor.words)  # what is named twice is read once
        if words % positions:
            raise _Unfit
        return Map(tensor.name, kind, words // positions, sizes, tensor=tensor.index)

    def _same(self, made: Map, sizes: tuple[int, ...]) -> None:
        if made.extents != sizes:
            raise _Unfit

    def _drain(self, number: int, name: str) -> None:
        node, values = self.graph.nodes[name], self.graph.values
        tensor = values[name][0].tensor
        assert tensor is not None
        named = {s.tensor: s for given in node.inputs for s in values[given] if s.tensor is not None}
        drained = max(t for t in named if t is not None)
        ours = node.shape[1:] if len(node.shape) == self.axes + 1 else (1,) * self.axes
        words = self.graph.tensors[tensor].words
        positions = self.batch * prod(ours)
        if words % positions:
            raise _Unfit
        draft = _Draft(self._map(MapKind.DRAINED, number, tensor, words // positions, ours))
        windows = node.windows or (None,) * len(node.inputs)
        for given, reach in zip(node.inputs, windows, strict=True):
            for source in _joined(values[given]):
                assert source.tensor is not None
                self._operand(draft, source, reach, source.tensor != drained)
        self.inside[tensor] = draft

    def _operand(self, draft: _Draft, source: Source, reach: tuple[Reach, ...] | None, held: bool) -> None:
        assert source.tensor is not None
        fit = reach is not None and tuple(w.out for w in reach) == draft.made.extents
        windows = reach if fit else None
        sizes = tuple(w.in_size for w in windows) if windows is not None else ()
        known = self.inside.get(source.tensor)
        if known is not None:
            windows = windows if sizes == known.made.extents else None
            read = (source.tensor, windows, held)
            if read not in draft.reads:
                draft.reads.append(read)
        elif windows is None:
            raise _Unfit
        else:
            self.operands.append(self._outside(MapKind.OPERAND, source, sizes))
            draft.reads.append((-len(self.operands), windows, True))


def _joined(value: Value) -> list[Source]:
    """The tensors that an operand names, each once with all its words."""
    words: dict[int, int] = {}
    for source in value:
        if source.tensor is not None:
            words[source.tensor] = words.get(source.tensor, 0) + source.words
    return [Source(tensor, count) for tensor, count in words.items()]


def _settled(stack: Stack) -> tuple[Map, ...]:
    """The maps, with windows for what only leaves the stack and says none: it needs everything.

    Raises:
        _Unfit: if such a map stands on the way to the last ofmap or reads anything else, or if what only
            leaves is read from the buffer.
    """
    ahead = stack.ahead
    settled = []
    for index, made in enumerate(stack.maps):
        unknown = any(not read.windows for read in made.reads)
        if unknown and (index in ahead or len(made.reads) > 1):
            raise _Unfit
        if any(read.held and stack.maps[read.map].reads and read.map not in ahead for read in made.reads):
            raise _Unfit
        if unknown:
            read = made.reads[0]
            whole = zip(made.extents, stack.maps[read.map].extents, strict=True)
            made = replace(made, reads=(replace(read, windows=tuple(WholeAxis(m, n) for m, n in whole)),))
        settled.append(made)
    return tuple(settled)
