"""ONNX operators without MACs: which positions of an input their outputs need, which channels they pick."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from dnns.axes import Axis
from dnns.geometry import Windows, broadcast, pooled, same_positions, scaled, whole_positions
from dnns.onnx_reader.inference.fold import slice_bounds
from dnns.onnx_reader.inference.shapes import POINTWISE
from dnns.onnx_reader.inference.values import Attributes, Shape, Value, attributes, operator_of
from dnns.windows import same_padding

_POOLS = {"AveragePool", "LpPool", "MaxPool", "QLinearAveragePool"}
_GLOBAL = {"GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "QLinearGlobalAveragePool"}
_NEAREST_OR_LINEAR = {"nearest", "linear"}
_SCALES = {"half_pixel", "pytorch_half_pixel", "asymmetric"}


def needed(node: NodeProto, inputs: Sequence[Value | None], at: int, out: Shape | None) -> Windows | None:
    """The positions that a node needs of one input, axis by axis; None if one output may need everything.

    Args:
        node: an operator without MACs.
        inputs: all that it reads.
        at: which input.
        out: shape of its output.
    """
    value = inputs[at]
    if value is None or value.shape is None or out is None:
        return None
    (_, operator), attrs, shape = operator_of(node), attributes(node), value.shape
    if operator in POINTWISE:
        rank = len(out)
        return broadcast(((1,) * (rank - len(shape)) + shape)[2:], out[2:]) if len(shape) <= rank else None
    if len(shape) != len(out) or attrs.integer("channels_last", 0):
        return None
    if operator in _GLOBAL:
        return whole_positions(shape[2:], out[2:])
    if operator in _POOLS and at == 0:
        return _pool(attrs, shape, out)
    if operator in ("Concat", "QLinearConcat", "Split"):
        return same_positions(out[2:]) if shape[2:] == out[2:] else None
    if operator == "SpaceToDepth":
        size = attrs.integer("blocksize", 1)
        return tuple(Axis(n, size, size, in_size=m) for m, n in zip(shape[2:], out[2:], strict=True))
    if operator == "DepthToSpace" or (operator in ("Resize", "Upsample") and _simple(attrs)):
        return scaled(shape[2:], out[2:])
    if operator in ("Slice", "Pad"):
        return _moved(inputs, attrs, shape, out, operator)
    return None


def picked_channels(node: NodeProto, inputs: Sequence[Value | None], output: int) -> tuple[int, int] | None:
    """First and last (exclusive) of the channels that an output of a split or a slice names.

    None for every other operator, and if it is cut along another dimension as well.
    """
    value = inputs[0] if inputs else None
    if value is None or value.shape is None or len(value.shape) < 2:
        return None
    (_, operator), attrs, channels = operator_of(node), attributes(node), value.shape[1]
    if operator == "Slice":
        bounds = _bounds(inputs, attrs, len(value.shape))
        if bounds is None or set(bounds) != {1} or bounds[1][2] != 1:
            return None
        start, stop, _ = (slice(*bounds[1])).indices(channels)
        return start, stop
    axis = attrs.integer("axis", 0)
    if operator != "Split" or axis % len(value.shape) != 1:
        return None
    sizes = attrs.integers("split")
    if len(inputs) > 1:
        data = None if inputs[1] is None else inputs[1].data
        sizes = () if data is None else tuple(int(size) for size in data)
    if not sizes:
        each = -(-channels // len(node.output))
        sizes = (*[each] * (len(node.output) - 1), channels - each * (len(node.output) - 1))
    return sum(sizes[:output]), sum(sizes[: output + 1])


def _pool(attrs: Attributes, shape: Shape, out: Shape) -> Windows | None:
    axes, sizes = len(shape) - 2, shape[2:]
    kernel = attrs.integers("kernel_shape")
    strides, dilations = (attrs.integers(name) or (1,) * axes for name in ("strides", "dilations"))
    pads = attrs.integers("pads") or (0,) * (2 * axes)
    if {len(kernel), len(strides), len(dilations), len(pads) // 2} != {axes}:
        return None
    automatic, windows = attrs.text("auto_pad", "NOTSET"), []
    for i, size in enumerate(sizes):
        pad = pads[i], pads[i + axes]
        if automatic.startswith("SAME"):
            pad = same_padding(size, kernel[i], strides[i], dilations[i])
            pad = pad[::-1] if automatic == "SAME_LOWER" else pad
        windows.append(pooled(out[i + 2], kernel[i], strides[i], dilations[i], pad, size))
    return tuple(windows)


def _simple(attrs: Attributes) -> bool:
    """Whether a resize looks at neighbours alone, by a convention that ``ScaledAxis`` serves."""
    mode = attrs.text("mode", "nearest") in _NEAREST_OR_LINEAR
    return mode and attrs.text("coordinate_transformation_mode", "half_pixel") in _SCALES


def _moved(
    inputs: Sequence[Value | None], attrs: Attributes, shape: Shape, out: Shape, operator: str
) -> Windows | None:
    """Slices and padding: windows of one, shifted."""
    starts, steps = [0] * len(shape), [1] * len(shape)
    if operator == "Slice":
        bounds = _bounds(inputs, attrs, len(shape))
        if bounds is None:
            return None
        for axis, (start, stop, step) in bounds.items():
            starts[axis], _, steps[axis] = slice(start, stop, step).indices(shape[axis])
    else:
        given = inputs[1].data if len(inputs) > 1 and inputs[1] is not None else None
        pads = attrs.integers("pads") if given is None else tuple(int(p) for p in given.reshape(-1))
        if len(pads) != 2 * len(shape) or attrs.text("mode", "constant") != "constant" or len(inputs) > 3:
            return None
        starts = [-pad for pad in pads[: len(shape)]]
    if min(steps) < 1:
        return None
    return tuple(
        Axis(m, 1, step, 1, -start, start + (m - 1) * step + 1 - n, n)
        for n, m, start, step in list(zip(shape, out, starts, steps, strict=True))[2:]
    )


def _bounds(
    inputs: Sequence[Value | None], attrs: Attributes, rank: int
) -> dict[int, tuple[int, int, int]] | None:
    """Start, stop and step of each axis that a slice cuts; None if they depend on data."""
    settings = [None if value is None else value.data for value in inputs[1:]]
    if any(value is not None and data is None for value, data in zip(inputs[1:], settings, strict=True)):
        return None
    starts, stops, axes, steps = slice_bounds([None, *settings], attrs)
    return {
        axis % rank: (start, stop, step)
        for start, stop, axis, step in zip(starts, stops, axes, steps, strict=True)
    }
