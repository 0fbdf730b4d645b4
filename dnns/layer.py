"""What is to be run: layers, as one canonical convolution or deconvolution, and networks of them.

Every operator with MACs is one of two frozen dataclasses. ``Layer`` is a convolution of one to three
spatial axes; 1-D to 3-D convolution, depthwise convolution, fully connected layers and matrix products
are all instances of it. ``Deconvolution`` is the transposed convolution, kept whole here: how it is
scheduled (zero-inserted, split, combined) is a choice that ``formulation`` makes.

Sizes are elements, counts are exact integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from dnns.axes import Axis, TransposedAxis, require
from dnns.geometry import Windows


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution: ``groups`` independent ones of ``in_channels`` to ``out_channels`` each.

    Attributes:
        name: unique in its network.
        out_channels: output channels per group.
        in_channels: input channels per group.
        axes: one to three spatial axes, outermost (depth, then height) first.
        batch: images.
        groups: groups, run back to back with the same mapping.
        op: what it was in the network: ``conv``, ``fc`` or ``matmul``.
        count: how many times the layer runs, one run after another.
    """

    name: str
    out_channels: int
    in_channels: int
    axes: tuple[Axis, ...]
    batch: int = 1
    groups: int = 1
    op: str = "conv"
    count: int = 1

    def __post_init__(self) -> None:
        _check_channels(self)

    def __hash__(self) -> int:
        """Of what most layers differ in; the whole takes long to hash."""
        last = self.axes[-1]
        return hash((self.out_channels, self.in_channels, self.batch, last.out, last.kernel, last.stride))

    @property
    def taps(self) -> int:
        """Kernel positions: the product over the axes."""
        return prod(axis.kernel for axis in self.axes)

    @property
    def pixels(self) -> int:
        """Output positions of one channel, over the whole batch."""
        return self.batch * prod(axis.out for axis in self.axes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run, all groups; taps on padding are counted."""
        return self.groups * self.out_channels * self.in_channels * self.taps * self.pixels

    @property
    def weight_words(self) -> int:
        """Weights of all groups."""
        return self.groups * self.out_channels * self.in_channels * self.taps

    @property
    def ifmap_words(self) -> int:
        """Ifmap as stored, all groups, whether or not a tap touches a word."""
        return self.groups * self.batch * self.in_channels * prod(a.in_size for a in self.axes)

    @property
    def ifmap_reads(self) -> int:
        """Input channels times pairs of an output position and a tap that reads no padding, all groups."""
        return self.groups * self.batch * self.in_channels * prod(axis.pairs for axis in self.axes)

    @property
    def ofmap_words(self) -> int:
        """Ofmap of all groups."""
        return self.groups * self.out_channels * self.pixels


@dataclass(frozen=True, slots=True)
class Deconvolution:
    """A transposed convolution; attributes as of ``Layer``, over transposed axes."""

    name: str
    out_channels: int
    in_channels: int
    axes: tuple[TransposedAxis, ...]
    batch: int = 1
    groups: int = 1
    op: str = "deconv"
    count: int = 1

    def __post_init__(self) -> None:
        _check_channels(self)

    @property
    def taps(self) -> int:
        """Kernel positions: the product over the axes."""
        return prod(axis.kernel for axis in self.axes)

    @property
    def pixels(self) -> int:
        """Output positions of one channel, over the whole batch."""
        return self.batch * prod(axis.out for axis in self.axes)

    @property
    def macs(self) -> int:
        """MACs of one run by phases: each output times the taps of its phase, channels and groups.

        The taps of an output factor over the axes, so their sum does: ``prod_axis sum_phase out*taps``.
        """
        per_axis = (sum(p.out * p.taps for p in axis.phases) for axis in self.axes)
        return self.groups * self.batch * self.out_channels * self.in_channels * prod(per_axis)

    @property
    def macs_zero_inserted(self) -> int:
        """MACs of one run as a dense stride-1 convolution over the up-sampled ifmap."""
        return self.groups * self.out_channels * self.in_channels * self.taps * self.pixels

    @property
    def weight_words(self) -> int:
        """Weights of all groups."""
        return self.groups * self.out_channels * self.in_channels * self.taps

    @property
    def ifmap_words(self) -> int:
        """Ifmap as stored, all groups."""
        return self.groups * self.batch * self.in_channels * prod(a.in_size for a in self.axes)

    @property
    def ofmap_words(self) -> int:
        """Ofmap of all groups."""
        return self.groups * self.out_channels * self.pixels


Operator = Layer | Deconvolution


def _check_channels(layer: Operator) -> None:
    for name in ("out_channels", "in_channels", "batch", "groups", "count"):
        require(getattr(layer, name) >= 1, f"{name} is {getattr(layer, name)}, must be at least 1")
    require(1 <= len(layer.axes) <= 3, f"{len(layer.axes)} spatial axes, must be 1 to 3")


class WordBits(NamedTuple):
    """Bits of a word of each tensor of one layer, as a quantised network's own graph has them.

    Attributes:
        ifmap: what the layer reads.
        weights: its weights, or its second operand.
        ofmap: what is stored of its output.
        partial_sums: its accumulators.
    """

    ifmap: int
    weights: int
    ofmap: int
    partial_sums: int


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of a network's graph, with the tensor it produces.

    Attributes:
        name: unique in the network.
        op: operator as the network file names it (``conv``, ``pool``, ``concat``, ...).
        inputs: names of the nodes whose tensors it reads; the network's own input is ``input``.
        shape: of its output, channels first, without the batch.
        layer: the operator to schedule, None where the node only shapes the network.
        parameters: trained parameters (weights, biases, normalisation) it holds.
        batch: how many such outputs it makes: extent of the dimension that ``shape`` leaves out.
        weights: of a node with a layer, the node whose tensor is the weight operand; "" for trained weights.
            The ifmap is the first input.
        twin: of a node with a layer, an earlier node that runs with the same trained weights; "" for none.
        windows: of a node without a layer, for each input the positions it needs, axis by axis; None for an
            input of which one output may need everything.
        channels: first and last (exclusive) of its input's channels, if it only picks these.
        bits: of a node with a layer, widths of its words, if the network carries any.
        module: path of the module that the exporter says it belongs to, "" if it does not.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    layer: Operator | None = None
    parameters: int = 0
    batch: int = 1
    weights: str = ""
    twin: str = ""
    windows: tuple[Windows | None, ...] = ()
    channels: tuple[int, int] | None = None
    bits: WordBits | None = None
    module: str = ""

    @property
    def words(self) -> int:
        """Elements of its output, over the whole batch."""
        return self.batch * prod(self.shape)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An operator that was left out because it is not supported.

    Attributes:
        name: of the node.
        op: its operator, with the domain unless that is the standard one.
        reason: why.
        module: as of ``Node``.
    """

    name: str
    op: str
    reason: str
    module: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Network:
    """A graph of operators in an order in which they can run.

    Attributes:
        name: of the network.
        inputs: name and shape (channels first, without the batch) of every network input.
        nodes: every operator, each after those it reads.
        batch: images.
        declared_outputs: names of the nodes whose tensors the file calls outputs, if it does.
        left_out: operators that are not in it, as they are not supported.
        notes: what its reader noticed and a user may not have meant, a sentence each.
    """

    name: str
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    nodes: tuple[Node, ...]
    batch: int = 1
    declared_outputs: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in self.inputs)
        told = f"{len(self.layers)} layers of {len(self.nodes)} operators, batch {self.batch}"
        return f"<Network {self.name}: {shapes}; {told}, {self.macs:,} MACs>"

    @property
    def carries_bits(self) -> bool:
        """Whether the network says how wide its words are."""
        return any(node.bits is not None for node in self.nodes)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The nodes whose tensors leave the network: those that it declares, and those that no node reads."""
        read = {name for node in self.nodes for name in node.inputs}
        declared = set(self.declared_outputs)
        return tuple(n.name for n in self.nodes if n.name not in read or n.name in declared)

    @property
    def layers(self) -> tuple[Operator, ...]:
        """What is scheduled: the operators with MACs, in order."""
        return tuple(node.layer for node in self.nodes if node.layer is not None)

    @property
    def macs(self) -> int:
        """MACs of all layers, with their counts; deconvolutions by phases."""
        return sum(layer.count * layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trained parameters of all nodes."""
        return sum(node.parameters for node in self.nodes)
