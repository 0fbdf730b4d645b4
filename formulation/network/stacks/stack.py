"""A fused stack: its layers, the maps between them, and what each map is made from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dnns.layer import Operator
from formulation.network.stacks.windows import Reach


class MapKind(StrEnum):
    """What a map of a stack is."""

    SOURCE = "source"
    """A tensor from outside that a layer of the stack has as its ifmap, or as some channels of it."""
    OPERAND = "operand"
    """A tensor from outside that a drain node reads besides what it drains."""
    OFMAP = "ofmap"
    """What a layer makes, as it is."""
    DRAINED = "drained"
    """What a drain node makes."""


@dataclass(frozen=True, slots=True)
class Read:
    """One map that another is made from.

    Attributes:
        map: its index.
        windows: which of its positions are needed, one spatial axis each.
        held: whether it is read from the buffer. A drain node's last-produced operand is not: it is drained.
    """

    map: int
    windows: tuple[Reach, ...]
    held: bool


@dataclass(frozen=True, slots=True)
class Map:
    """A map of a stack.

    Attributes:
        name: of the node that makes it, or of the tensor.
        kind: what it is.
        channels: all of them; of a source or operand, those that are read.
        extents: spatial, outermost first.
        reads: what it is made from, all with lower indices; none for what comes from outside.
        layer: position in ``Stack.layers`` of the layer that makes it, or drains it.
        tensor: index of the tensor of the network that it is.
        leaves: whether something outside the stack reads it afterwards, or it leaves the network.
        is_output: whether it leaves the network.
    """

    name: str
    kind: MapKind
    channels: int
    extents: tuple[int, ...]
    reads: tuple[Read, ...] = ()
    layer: int | None = None
    tensor: int | None = None
    leaves: bool = False
    is_output: bool = False


@dataclass(frozen=True)
class Stack:
    """A run of layers that are fused.

    Attributes:
        first: position of the first layer in the network.
        layers: the operators, in order.
        maps: those from outside first, then in the order in which they are made.
        batch: images, run one after another.
        resident: whether the weights of all its layers stay for good: none is moved, none takes a part.
    """

    first: int
    layers: tuple[Operator, ...]
    maps: tuple[Map, ...]
    batch: int
    resident: bool = False

    @property
    def last(self) -> int:
        """Position of the last layer in the network."""
        return self.first + len(self.layers) - 1

    @property
    def ofmaps(self) -> tuple[int, ...]:
        """Index of the ofmap of each layer."""
        made = {m.layer: i for i, m in enumerate(self.maps) if m.kind is MapKind.OFMAP}
        return tuple(made[layer] for layer in range(len(self.layers)))

    @property
    def root(self) -> int:
        """Index of the last layer's ofmap, which is cut into bands and strips."""
        return self.ofmaps[-1]

    @property
    def ahead(self) -> frozenset[int]:
        """Indices of the maps that the last ofmap is made from, by whatever way, and of itself."""
        found = {self.root}
        for index in reversed(range(self.root + 1)):
            if index in found:
                found.update(read.map for read in self.maps[index].reads)
        return frozenset(found)

    @property
    def tensors(self) -> tuple[int, ...]:
        """The tensors whose staying matters: what comes from outside, and what leaves."""
        outside = (m.tensor for m in self.maps if not m.reads or m.leaves)
        return tuple(sorted({tensor for tensor in outside if tensor is not None}))
