"""One spatial axis of a convolution or of a transposed one: extents, and which inputs an output needs.

Sizes are elements, counts are exact integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd


def require(ok: bool, problem: str) -> None:
    """Raise a ``ValueError`` that tells a problem unless all is well."""
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
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}, must be at least 1")
        span = (self.out - 1) * self.stride + self.effective_kernel
        have = self.in_size + self.pad_lo + self.pad_hi
        require(span <= have, f"{self.out} outputs need {span} inputs, padded input has {have}")

    @property
    def effective_kernel(self) -> int:
        """Input elements that one output spans: ``dilation * (kernel - 1) + 1``."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def stored(self) -> Axis:
        """The same axis with its padding as data: zeros that are stored and fetched like other elements."""
        return replace(
            self,
            in_size=self.in_size + max(0, self.pad_lo) + max(0, self.pad_hi),
            pad_lo=min(0, self.pad_lo),
            pad_hi=min(0, self.pad_hi),
        )

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

    @property
    def pairs(self) -> int:
        """Pairs of an output and a tap that reads no padding: the MACs of a convolution along this axis."""
        return sum(self._outputs(tap * self.dilation - self.pad_lo) for tap in range(self.kernel))

    def _outputs(self, shift: int) -> int:
        """Outputs ``y`` with ``0 <= y*stride + shift < in``."""
        first = max(0, -(shift // self.stride))
        return max(0, min(self.out, -(-(self.in_size - shift) // self.stride)) - first)

    @property
    def reuse(self) -> int:
        """Most pairs of an output and a tap that read one input element.

        Taps ``t`` that read element ``p`` satisfy ``dilation * t = p + pad_lo (mod stride)``: every
        ``stride / gcd(dilation, stride)``-th tap at most.
        """
        return -(-self.kernel // (self.stride // gcd(self.dilation, self.stride)))


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
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}, must be at least 1")
        require(self.output_padding >= 0, f"output_padding is {self.output_padding}, must be at least 0")
        require(self.out >= 1, f"no output is left: {self.out} elements")

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
    def pairs(self) -> int:
        """Pairs of an input and a tap whose output is not cut off: the MACs along this axis."""
        shifts = (tap * self.dilation - self.pad_lo for tap in range(self.kernel))
        return sum(
            max(0, min(self.in_size, -(-(self.out - s) // self.stride)) - max(0, -(s // self.stride)))
            for s in shifts
        )

    @property
    def reuse(self) -> int:
        """Most pairs of an output and a tap that read one input element: each tap makes one output of it."""
        return self.kernel

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
