"""The layers that are compared, and how the other tools are told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dnns.axes import Axis
from dnns.layer import Layer


def conv(name: str, co: int, ci: int, size: tuple[int, int], kernel: int, stride: int = 1) -> Layer:
    """A convolution of ``size`` inputs, padded so that it yields ``size / stride`` outputs."""
    pad = kernel // 2
    return Layer(name, co, ci, tuple(Axis(n // stride, kernel, stride, 1, pad, pad, n) for n in size))


def bare(name: str, co: int, ci: int, outs: tuple[int, int], kernel: int, stride: int = 1) -> Layer:
    """A convolution without padding that yields ``outs`` outputs and uses all of its input."""
    axes = (Axis(n, kernel, stride, in_size=(n - 1) * stride + kernel) for n in outs)
    return Layer(name, co, ci, tuple(axes))


def product(name: str, rows: int, inner: int, cols: int) -> Layer:
    """A matrix product of rows x inner by inner x cols."""
    return Layer(name, cols, inner, (Axis(rows, in_size=rows),), op="fc" if rows == 1 else "matmul")


LAYERS = (
    conv("FlowNetC 7x7/2, 6 to 64 at 576x960", 64, 6, (576, 960), 7, 2),
    conv("FlowNetC 5x5/2, 64 to 128 at 288x480", 128, 64, (288, 480), 5, 2),
    conv("FlowNetC 3x3, 256 to 256 at 72x120", 256, 256, (72, 120), 3),
    conv("FlowNetC 3x3, 512 to 512 at 36x60", 512, 512, (36, 60), 3),
    conv("ResNet 1x1, 64 to 256 at 56x56", 256, 64, (56, 56), 1),
    conv("ResNet 3x3, 512 to 512 at 7x7", 512, 512, (7, 7), 3),
    product("fully connected 2048 to 1000", 1, 2048, 1000),
    product("GEMM 512x768x3072", 512, 768, 3072),
)
"""What the mappers are given."""

SMALL = (
    bare("3x3, 8 to 24 at 14x14", 24, 8, (14, 14), 3),
    bare("5x5/2, 3 to 20 at 9x9", 20, 3, (9, 9), 5, 2),
    bare("7x7/2, 6 to 64 at 16x16", 64, 6, (16, 16), 7, 2),
    bare("11x11/4, 3 to 16 at 7x7", 16, 3, (7, 7), 11, 4),
    bare("3x3, 64 to 64 at 7x7", 64, 64, (7, 7), 3),
    bare("1x1, 64 to 256 at 14x14", 256, 64, (14, 14), 1),
    bare("3x3, 5 to 7 at 5x11", 7, 5, (5, 11), 3),
    product("fully connected 256 to 100", 1, 256, 100),
    product("GEMM 48x64x96", 48, 64, 96),
)
"""What is simulated: each fits one tile of a buffer of 1.5 MiB."""


def padded(layer: Layer) -> Layer:
    """The same with its padding stored as part of the ifmap, and no input that no output needs."""
    stored = (
        Axis(a.out, a.kernel, a.stride, a.dilation, 0, 0, (a.out - 1) * a.stride + a.effective_kernel)
        for a in layer.axes
    )
    return replace(layer, axes=tuple(stored))


def plain(layer: Layer) -> dict[str, Any]:
    """A layer without padding as plain data, with two axes."""
    one = Axis(1)
    height, width = layer.axes if len(layer.axes) == 2 else (layer.axes[0], one)
    return {
        "name": layer.name,
        "out_channels": layer.out_channels,
        "in_channels": layer.in_channels,
        "out": [height.out, width.out],
        "kernel": [height.kernel, width.kernel],
        "stride": [height.stride, width.stride],
        "in": [height.in_size, width.in_size],
    }
