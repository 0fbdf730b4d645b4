"""Arithmetic of sliding windows, shared by all readers: extents, padding, and the bounds on sizes.

All functions raise ``ValueError`` with a sentence that a reader completes with file and place.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from dnns.axes import Axis, TransposedAxis

MAX_SIZE = 2**31 - 1
"""Largest extent of a dimension, and largest padding, in elements."""
MAX_WINDOW = 65_536
"""Largest kernel, stride and dilation, in elements."""
MAX_PHASES = 4_096
"""Most sub-convolutions of a deconvolution: the product of its strides."""
MAX_NODES = 20_000
"""Most operators of a network."""


def bounded(name: str, value: int, low: int = 1, high: int = MAX_SIZE) -> int:
    """The value, if it lies within ``low .. high``."""
    if not low <= value <= high:
        allowed = f"at least {low}" if value < low else f"at most {high}"
        raise ValueError(f"{name} is {value}, allowed: {allowed}")
    return value


def _check_window(kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> None:
    bounded("kernel", kernel, high=MAX_WINDOW)
    bounded("stride", stride, high=MAX_WINDOW)
    bounded("dilation", dilation, high=MAX_WINDOW)
    for pad in pads:
        bounded("padding", pad, low=-MAX_SIZE)


def window_axis(
    in_size: int, kernel: int, stride: int = 1, dilation: int = 1, pads: tuple[int, int] = (0, 0)
) -> Axis:
    """The axis of a convolution with as many outputs as its padded input has room for."""
    out = window_extent(in_size, kernel, stride, dilation, pads)
    return Axis(out, kernel, stride, dilation, *pads, in_size)


def window_extent(
    in_size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int], ceil_mode: bool = False
) -> int:
    """Outputs of a convolution or pool along one axis.

    With ``ceil_mode`` a last window may hang over the end, if it starts inside the input or the low padding.
    """
    _check_window(kernel, stride, dilation, pads)
    padded, effective = in_size + sum(pads), dilation * (kernel - 1) + 1
    if effective > padded:
        raise ValueError(f"a window of {effective} does not fit the padded input of {padded}")
    out = (padded - effective) // stride + 1
    if ceil_mode and (padded - effective) % stride and out * stride < in_size + pads[0]:
        out += 1
    return out


def same_padding(in_size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding for ``ceil(in/stride)`` outputs; an odd element goes to the end."""
    _check_window(kernel, stride, dilation, (0, 0))
    span = (-(-in_size // stride) - 1) * stride + dilation * (kernel - 1) + 1
    total = max(0, span - in_size)
    return total // 2, total - total // 2


def transposed_axis(
    in_size: int,
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    pads: tuple[int, int] = (0, 0),
    output_padding: int = 0,
) -> TransposedAxis:
    """The axis of a deconvolution, bounded."""
    _check_window(kernel, stride, dilation, pads)
    bounded("output_padding", output_padding, low=0)
    axis = TransposedAxis(in_size, kernel, stride, dilation, *pads, output_padding)
    bounded("the output", axis.out)
    return axis


def check_phases(strides: Iterable[int]) -> None:
    """Bound the number of sub-convolutions of a deconvolution."""
    phases = prod(strides)
    if phases > MAX_PHASES:
        raise ValueError(f"strides make {phases} sub-convolutions, at most {MAX_PHASES} are allowed")
