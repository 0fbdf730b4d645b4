"""A network as rows: what is scheduled, what only shapes it, and the figures of each layer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

from dnns.layer import Deconvolution, Network, Node, Operator

Shape = tuple[int, ...]


@dataclass(frozen=True)
class OperatorRow:
    """One operator of a network. MACs and words are of one run, all groups; a deconvolution's MACs by phases.

    Attributes:
        name: of the node.
        op: operator, as the network file names it.
        scheduled: whether it has MACs; the figures below are zero if not.
        ifmap_shape: channels of all groups, then positions.
        ofmap_shape: likewise.
        window: kernel, stride, padding and so on, as text.
        groups: independent operators in it.
        count: runs.
        macs: multiply-accumulates.
        ifmap: words.
        weights: words.
        ofmap: words.
        parameters: trained parameters, those that the layers do not use themselves included.
    """

    name: str
    op: str
    scheduled: bool
    ifmap_shape: Shape
    ofmap_shape: Shape
    window: str = ""
    groups: int = 1
    count: int = 1
    macs: int = 0
    ifmap: int = 0
    weights: int = 0
    ofmap: int = 0
    parameters: int = 0

    @property
    def words(self) -> int:
        """Words of all three tensors."""
        return self.ifmap + self.weights + self.ofmap

    def operational_intensity(self, bits: int) -> float:
        """MACs per byte, if each word of the three tensors moves once.

        Args:
            bits: width of a word.
        """
        return self.macs * 8 / (self.words * bits) if self.words else 0.0


def scheduled(network: Network) -> tuple[Node, ...]:
    """The operators with MACs."""
    return tuple(node for node in network.nodes if node.layer is not None)


def only_shaped(network: Network) -> tuple[Node, ...]:
    """The operators without MACs: they shape the network and are not scheduled."""
    return tuple(node for node in network.nodes if node.layer is None)


def shaping_summary(network: Network) -> str:
    """How many operators of which kind only shape the network: ``pool x4, concat x4``."""
    counts = Counter(node.op for node in only_shaped(network))
    return ", ".join(f"{op} x{count}" for op, count in counts.most_common())


def left_out_lines(network: Network, most: int = 20) -> list[str]:
    """What was left out of a network and of its totals, a line each; empty if it is whole."""
    gone = network.left_out
    if not gone:
        return []
    many = "s" if len(gone) > 1 else ""
    lines = [f"left out, as not supported; no total counts it: {len(gone)} operator{many}"]
    for item in gone[:most]:
        inside = f" in {item.module}" if item.module else ""
        lines.append(f"  {item.name} ({item.op}){inside}: {item.reason}")
    return lines + [f"  and {len(gone) - most} more"] * (len(gone) > most)


def rows(network: Network) -> tuple[OperatorRow, ...]:
    """A row for every operator, in the network's order."""
    shapes = dict(network.inputs) | {node.name: node.shape for node in network.nodes}
    return tuple(_row(node, shapes) for node in network.nodes)


def _row(node: Node, shapes: dict[str, Shape]) -> OperatorRow:
    layer = node.layer
    if layer is None:
        read = shapes.get(node.inputs[0], ()) if node.inputs else ()
        return OperatorRow(node.name, node.op, False, read, node.shape, parameters=node.parameters)
    return OperatorRow(
        node.name,
        node.op,
        True,
        (layer.in_channels * layer.groups, *(axis.in_size for axis in layer.axes)),
        (layer.out_channels * layer.groups, *(axis.out for axis in layer.axes)),
        _window(layer),
        layer.groups,
        layer.count,
        layer.macs,
        layer.ifmap_words,
        layer.weight_words,
        layer.ofmap_words,
        node.parameters,
    )


def _window(layer: Operator) -> str:
    """Kernel, and what is not the default of the rest: ``3x3 s2 p1 d2``."""
    axes = layer.axes
    if (
        prod(a.kernel for a in axes) == 1
        and all(a.stride == 1 for a in axes)
        and not layer.op.endswith("conv")
    ):
        return ""
    text = "x".join(str(axis.kernel) for axis in axes)
    text += _unless(" s", [str(axis.stride) for axis in axes], "1")
    text += _unless(" p", [_pad(axis.pad_lo, axis.pad_hi) for axis in axes], "0")
    text += _unless(" d", [str(axis.dilation) for axis in axes], "1")
    if isinstance(layer, Deconvolution):
        text += _unless(" op", [str(axis.output_padding) for axis in layer.axes], "0")
    return text


def _pad(low: int, high: int) -> str:
    return str(low) if low == high else f"({low},{high})"


def _unless(label: str, values: list[str], default: str) -> str:
    if set(values) == {default}:
        return ""
    return label + (values[0] if len(set(values)) == 1 else "x".join(values))
