"""Which positions of what it reads an operator without MACs needs, one spatial axis at a time.

``Axis`` says it for whatever slides a window, and for crops (negative padding) and padding; an operator
that works position by position has windows of one. Everything has ``out``, ``in_size`` and ``interval``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dnns.axes import Axis


@dataclass(frozen=True, slots=True)
class WholeAxis:
    """An axis of which every output needs every input: pooling over all positions, softmax along it."""

    out: int
    in_size: int

    def interval(self, first: int, stop: int) -> tuple[int, int]:
        """All inputs."""
        return 0, self.in_size


@dataclass(frozen=True, slots=True)
class ScaledAxis:
    """An axis that is resized: output ``y`` lies at ``y*in/out``, or ``(y + 1/2)*in/out - 1/2`` by centres.

    The interval serves interpolation between neighbours and the nearest one, by either convention.
    """

    out: int
    in_size: int

    def interval(self, first: int, stop: int) -> tuple[int, int]:
        """Inputs ``[lo, hi)`` beside the points of outputs ``first .. stop-1``, clipped."""
        low, _ = sorted(self._points(first))
        _, high = sorted(self._points(stop - 1))
        return max(0, low), min(self.in_size, high + 2)

    def _points(self, output: int) -> tuple[int, int]:
        by_corner = output * self.in_size // self.out
        by_centre = ((2 * output + 1) * self.in_size - self.out) // (2 * self.out)
        return by_corner, by_centre


Window = Axis | WholeAxis | ScaledAxis
"""One spatial axis of an operator without MACs."""

Windows = tuple[Window, ...]
"""All spatial axes, outermost first."""


def same_positions(sizes: Sequence[int]) -> Windows:
    """Of an operator that works position by position."""
    return tuple(Axis(size, in_size=size) for size in sizes)


def broadcast(sizes: Sequence[int], out: Sequence[int]) -> Windows | None:
    """Of an operator that works position by position on an input that may be repeated along some axes.

    None where the axes of input and output do not correspond.
    """
    if len(sizes) != len(out) or any(n not in (1, m) for n, m in zip(sizes, out, strict=True)):
        return None
    return tuple(WholeAxis(m, 1) if n < m else Axis(m, in_size=m) for n, m in zip(sizes, out, strict=True))


def whole_positions(sizes: Sequence[int], out: Sequence[int]) -> Windows:
    """Of an operator that needs all positions for each output."""
    return tuple(WholeAxis(m, n) for n, m in zip(sizes, out, strict=True))


def cropped(sizes: Sequence[int], out: Sequence[int]) -> Windows:
    """Of a crop to the middle; where an odd number is cut, one more at the end."""
    pads = [(n - m) // 2 for n, m in zip(sizes, out, strict=True)]
    return tuple(
        Axis(m, pad_lo=-pad, pad_hi=pad + m - n, in_size=n)
        for n, m, pad in zip(sizes, out, pads, strict=True)
    )


def scaled(sizes: Sequence[int], out: Sequence[int]) -> Windows:
    """Of a change of scale."""
    return tuple(ScaledAxis(m, n) for n, m in zip(sizes, out, strict=True))


def pooled(out: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int], in_size: int) -> Axis:
    """One axis of a pool, whose last window may hang over the end."""
    span = (out - 1) * stride + dilation * (kernel - 1) + 1
    return Axis(out, kernel, stride, dilation, pads[0], max(pads[1], span - in_size - pads[0]), in_size)
