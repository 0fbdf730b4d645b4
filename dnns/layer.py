"""What is to be run: layers, as one canonical convolution or deconvolution, and networks of them.

Every operator with MACs is one of two frozen dataclasses. ``Layer`` is a convolution of one to three
spatial axes; 1-D to 3-D convolution, depthwise convolution, fully connected layers and matrix products
are all instances of it. ``Deconvolution`` is the transposed convolution, kept whole here: how it is
scheduled (zero-inserted, split, combined) is a choice that ``formulation`` makes.

Sizes are elements, counts are exact integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod


def _require(ok: bool, problem: str) -> None:
    if not ok:
        raise ValueError(problem)


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis of a convolution.

    Attributes:
        out: output extent.
        kernel: taps.
        stride: input elements between neighbouring outputs.
        dilation: input elements between neighbouring taps.
        pad_lo: padding before the first input element; negative crops.
        pad_hi: padding after the last input element; negative crops.
        in_size: input extent.

    Raises:
        ValueError: if a size is below one, or ``out`` needs more input than padding supplies.
    """

    out: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    pad_lo: int = 0
    pad_hi: int = 0
    in_size: int = 1

    def __post_init__(self) -> None:
        for name in ("out", "kernel", "stride", "dilation", "in_size"):
            _require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}, must be at least 1")
        span = (self.out - 1) * self.stride + self.effective_kernel
        have = self.in_size + self.pad_lo + self.pad_hi
        _require(span <= have, f"{self.out} outputs need {span} inputs, padded input has {have}")

    @property
    def effective_kernel(self) -> int:
        """Input elements that one output spans: ``dilation * (kernel - 1) + 1``."""
        return self.dilation * (self.kernel - 1) + 1

    def interval(self, first: int, stop: int) -> tuple[int, int]:
        """Input elements ``[lo, hi)`` that outputs ``first .. stop-1`` need; padding is never stored.

        ``lo = max(0, first*stride - pad_lo)``, ``hi = min(in, (stop-1)*stride - pad_lo + Ke)``; an
        interval that lies wholly in the padding is returned empty, as ``(lo, lo)``.
        """
        lo = max(0, first * self.stride - self.pad_lo)
        hi = min(self.in_size, (stop - 1) * self.stride - self.pad_lo + self.effective_kernel)
        return lo, max(lo, hi)

    @property
    def touched(self) -> int:
        """Distinct in-range input positions that some tap of some output reads."""
        total = 0
        reached: dict[int, int] = {}  # per residue mod stride, in units of the stride
        for tap in range(self.kernel):
            first, residue = divmod(tap * self.dilation - self.pad_lo, self.stride)
            stop = min(first + self.out, -(-(self.in_size - residue) // self.stride))
            first = max(0, first, reached.get(residue, 0))
            total += max(0, stop - first)
            reached[residue] = max(stop, reached.get(residue, 0))
        return total


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
    def ofmap_words(self) -> int:
        """Ofmap of all groups."""
        return self.groups * self.out_channels * self.pixels


@dataclass(frozen=True, slots=True)
class Phase:
    """The outputs ``y = residue (mod stride)`` of one axis of a transposed convolution.

    They see exactly the kernel's taps ``first_tap, first_tap + tap_step, ...`` (``taps`` of them), and
    as output ``m`` (``y = residue + stride*m``) with tap number ``i`` read input ``m + offset - i*reach``.

    Attributes:
        residue: ``y mod stride``.
        out: outputs of this phase.
        taps: taps that reach it; 0 if none does, and then the other fields below are 0 or 1.
        first_tap: the least such tap.
        tap_step: ``stride / gcd(dilation, stride)``.
        offset: input index that tap ``first_tap`` reads for output ``m = 0``; may be out of range.
        reach: ``dilation / gcd(dilation, stride)``, the dilation of the sub-kernel.
    """

    residue: int
    out: int
    taps: int
    first_tap: int
    tap_step: int
    offset: int
    reach: int


@dataclass(frozen=True, slots=True)
class TransposedAxis:
    """One spatial axis of a deconvolution; ``out`` follows from the rest.

    Attributes:
        in_size: input extent.
        kernel: taps.
        stride: output elements between the images of neighbouring inputs.
        dilation: output elements between neighbouring taps.
        pad_lo: outputs cut at the beginning; negative pads with zeros.
        pad_hi: outputs cut at the end.
        output_padding: outputs added at the end.

    Raises:
        ValueError: if a size is below one, or no output is left.
    """

    in_size: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    pad_lo: int = 0
    pad_hi: int = 0
    output_padding: int = 0

    def __post_init__(self) -> None:
        for name in ("in_size", "kernel", "stride", "dilation"):
            _require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}, must be at least 1")
        _require(self.output_padding >= 0, f"output_padding is {self.output_padding}, must be at least 0")
        _require(self.out >= 1, f"no output is left: {self.out} elements")

    @property
    def out(self) -> int:
        """``(in-1)*stride - pad_lo - pad_hi + dilation*(kernel-1) + output_padding + 1``."""
        span = (self.in_size - 1) * self.stride + self.dilation * (self.kernel - 1) + 1
        return span - self.pad_lo - self.pad_hi + self.output_padding

    @property
    def touched(self) -> int:
        """Distinct inputs that reach some output through some tap."""
        total = reached = 0
        for tap in reversed(range(self.kernel)):  # the higher the tap, the lower the first input it serves
            shift = self.pad_lo - self.dilation * tap
            first = max(reached, -(-shift // self.stride))
            reached = max(reached, min(self.in_size, (self.out - 1 + shift) // self.stride + 1))
            total += max(0, reached - first)
        return total

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The output's residues mod stride that hold an output, in order.

        Output ``y`` receives input ``x`` through tap ``t`` iff ``y = x*stride + dilation*t - pad_lo``;
        so residue ``r`` uses the taps with ``(r + pad_lo - dilation*t) mod stride = 0``.
        """
        return tuple(self._phase(r) for r in range(min(self.stride, self.out)))

    def _phase(self, residue: int) -> Phase:
        out = -(-(self.out - residue) // self.stride)
        common = gcd(self.dilation, self.stride)
        step, reach = self.stride // common, self.dilation // common
        shift = residue + self.pad_lo
        # dilation * tap = shift (mod stride): solvable iff their common divisor divides shift
        first = shift // common * pow(reach, -1, step) % step
        if shift % common or first >= self.kernel:
            return Phase(residue, out, 0, 0, 1, 0, 1)
        taps = -(-(self.kernel - first) // step)
        return Phase(residue, out, taps, first, step, (shift - self.dilation * first) // self.stride, reach)


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
        _require(getattr(layer, name) >= 1, f"{name} is {getattr(layer, name)}, must be at least 1")
    _require(1 <= len(layer.axes) <= 3, f"{len(layer.axes)} spatial axes, must be 1 to 3")


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
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    layer: Operator | None = None
    parameters: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """A graph of operators in an order in which they can run.

    Attributes:
        name: of the network.
        inputs: name and shape (channels first, without the batch) of every network input.
        nodes: every operator, each after those it reads.
        batch: images.
    """

    name: str
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    nodes: tuple[Node, ...]
    batch: int = 1

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
