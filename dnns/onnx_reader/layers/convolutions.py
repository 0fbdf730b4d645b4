"""ONNX convolutions: from tensors and attributes to the output's shape and the layer."""

from __future__ import annotations

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Deconvolution, Layer
from dnns.onnx_reader.inference.values import Attributes, Made, Operands, Shape
from dnns.windows import bounded, check_phases, same_padding, transposed_axis, window_axis


def convolution(operands: Operands, attributes: Attributes) -> Made:
    """``Conv`` and its relatives; channels come last where their ``channels_last`` says so."""
    if attributes.integer("channels_last", 0):
        return _channels_last(operands, attributes, operands.w.known)
    return _convolved(operands, attributes, operands.x.known, operands.w.known)


def channels_last(operands: Operands, attributes: Attributes) -> Made:
    """``NhwcConv``: channels last, in the input and in the weights (out, kernel, in)."""
    out, *kernel, inner = operands.w.known if len(operands.w.known) > 1 else (0, 0)
    return _channels_last(operands, attributes, (out, inner, *kernel))


def fused_channels_last(operands: Operands, attributes: Attributes) -> Made:
    """``NhwcFusedConv``: channels last in the input, weights (out, in, kernel) as of ``Conv``."""
    return _channels_last(operands, attributes, operands.w.known)


def _channels_last(operands: Operands, attributes: Attributes, w: Shape) -> Made:
    x = operands.x.known
    if len(x) < 3:
        raise ValueError(f"its input {list(x)} has {len(x) - 2} spatial axes, allowed: 1 to 3")
    shape, layer = _convolved(operands, attributes, (x[0], x[-1], *x[1:-1]), w)
    return (shape[0], *shape[2:], shape[1]), layer


def _convolved(operands: Operands, attributes: Attributes, x: Shape, w: Shape) -> Made:
    groups, spatial = _check_convolution(x, w, attributes)
    if x[1] != w[1] * groups:
        raise ValueError(
            f"input has {x[1]} channels, weights {list(w)} of {groups} groups take {w[1] * groups}"
        )
    out_channels = _divided(w[0], groups)
    strides, dilations = (
        _per_axis(attributes, "strides", spatial),
        _per_axis(attributes, "dilations", spatial),
    )
    axes: list[Axis] = []
    for i in range(spatial):
        pads = _pads(attributes, i, spatial)
        if pads is None:
            pads = _ordered(same_padding(x[i + 2], w[i + 2], strides[i], dilations[i]), attributes)
        axes.append(window_axis(x[i + 2], w[i + 2], strides[i], dilations[i], pads))
    layer = Layer(operands.name, out_channels, w[1], tuple(axes), x[0], groups)
    return (x[0], w[0], *(axis.out for axis in axes)), layer


def transposed(operands: Operands, attributes: Attributes) -> Made:
    """``ConvTranspose``."""
    x, w = operands.x.known, operands.w.known
    groups, spatial = _check_convolution(x, w, attributes)
    if x[1] != w[0]:
        raise ValueError(f"input has {x[1]} channels, weights {list(w)} take {w[0]}")
    check_phases(_per_axis(attributes, "strides", spatial))
    axes = tuple(_transposed_axis(x[i + 2], w[i + 2], i, spatial, attributes) for i in range(spatial))
    layer = Deconvolution(operands.name, w[1], _divided(x[1], groups), axes, x[0], groups)
    return (x[0], w[1] * groups, *(axis.out for axis in axes)), layer


def _transposed_axis(size: int, kernel: int, i: int, spatial: int, attributes: Attributes) -> TransposedAxis:
    """One axis; padding follows from a wanted output, if one is given or ``auto_pad`` implies it."""
    stride = _per_axis(attributes, "strides", spatial)[i]
    dilation = _per_axis(attributes, "dilations", spatial)[i]
    extra = _per_axis(attributes, "output_padding", spatial, 0)[i]
    wanted = attributes.integers("output_shape")
    pads = _pads(attributes, i, spatial)
    if wanted:
        out = wanted[len(wanted) - spatial + i] if len(wanted) >= spatial else 0
        bounded("output_shape", out)
    elif pads is None:
        out = size * stride
    else:
        return transposed_axis(size, kernel, stride, dilation, pads, extra)
    total = (size - 1) * stride + dilation * (kernel - 1) + 1 + extra - out
    lower = attributes.text("auto_pad", "NOTSET") != "SAME_UPPER"
    pads = _halves(max(0, total), lower)
    return transposed_axis(size, kernel, stride, dilation, pads, extra + max(0, -total))


def _halves(total: int, larger_first: bool) -> tuple[int, int]:
    small = total // 2
    return (total - small, small) if larger_first else (small, total - small)


def _check_convolution(x: Shape, w: Shape, attributes: Attributes) -> tuple[int, int]:
    """Groups and number of spatial axes of a convolution whose operands fit each other."""
    spatial = len(x) - 2
    if not 1 <= spatial <= 3:
        raise ValueError(f"its input {list(x)} has {spatial} spatial axes, allowed: 1 to 3")
    if len(w) != len(x):
        raise ValueError(f"weights {list(w)} do not fit an input {list(x)}")
    if attributes.integers("kernel_shape", w[2:]) != w[2:]:
        raise ValueError(
            f"kernel_shape {list(attributes.integers('kernel_shape'))} is not that of weights {list(w)}"
        )
    return bounded("group", attributes.integer("group", 1)), spatial


def _per_axis(attributes: Attributes, name: str, spatial: int, default: int = 1) -> tuple[int, ...]:
    values = attributes.integers(name) or (default,) * spatial
    if len(values) != spatial:
        raise ValueError(f"{name} has {len(values)} entries, allowed: {spatial}")
    return values


def _pads(attributes: Attributes, axis: int, spatial: int) -> tuple[int, int] | None:
    """Explicit padding of an axis; None where ``auto_pad`` asks for "same"."""
    automatic = attributes.text("auto_pad", "NOTSET")
    if automatic == "VALID":
        return 0, 0
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        return None
    if automatic != "NOTSET":
        raise ValueError(f"auto_pad is {automatic[:40]!r}, allowed: NOTSET, SAME_UPPER, SAME_LOWER, VALID")
    pads = attributes.integers("pads") or (0,) * (2 * spatial)
    if len(pads) != 2 * spatial:
        raise ValueError(f"pads has {len(pads)} entries, allowed: {2 * spatial}")
    return pads[axis], pads[axis + spatial]


def _ordered(pads: tuple[int, int], attributes: Attributes) -> tuple[int, int]:
    lower = attributes.text("auto_pad", "NOTSET") == "SAME_LOWER"
    return (pads[1], pads[0]) if lower else pads


def _divided(channels: int, groups: int) -> int:
    if channels % groups:
        raise ValueError(f"{channels} channels cannot be divided into {groups} groups")
    return channels // groups
