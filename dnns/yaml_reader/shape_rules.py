"""What each operator of a YAML network makes of its inputs: a shape, a layer to schedule, parameters.

Shapes are channels first, without the batch. Rules raise ``ValueError``; the reader adds file and place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from dnns.axes import Axis
from dnns.geometry import Windows, cropped, pooled, same_positions, scaled, whole_positions
from dnns.layer import Deconvolution, Layer, Operator
from dnns.windows import check_phases, transposed_axis, window_axis, window_extent
from dnns.yaml_reader import schema

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Made:
    """What a rule returns.

    Attributes:
        shape: of the output.
        layer: the operator with MACs, if there is one.
        parameters: trained parameters.
        windows: without MACs, the positions that are needed of every input; None for all of them.
    """

    shape: Shape
    layer: Operator | None = None
    parameters: int = 0
    windows: Windows | None = None


@dataclass(frozen=True)
class Context:
    """What a rule may need besides the layer's fields.

    Attributes:
        name: full name of the layer.
        shapes: of its inputs.
        like: shape of the layer named by ``like``, if any.
        batch: images.
        defaults: the network's defaults.
    """

    name: str
    shapes: tuple[Shape, ...]
    like: Shape | None
    batch: int
    defaults: schema.Defaults

    @property
    def shape(self) -> Shape:
        """Shape of the only input."""
        return self.shapes[0]


def apply_rule(spec: schema.LayerModel, context: Context) -> Made:
    """Apply the rule of a layer's operator.

    Raises:
        ValueError: if its inputs do not suit it.
    """
    rule, low, high = _RULES[type(spec)]
    if not low <= len(context.shapes) <= high:
        raise ValueError(
            f"got {len(context.shapes)} inputs, allowed: {low if low == high else f'{low} or more'}"
        )
    return rule(spec, context)


def _per_axis(name: str, value: int | Sequence[Any], count: int) -> tuple[Any, ...]:
    if isinstance(value, int):
        return (value,) * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} entries, allowed: 1 or {count}, one per axis")
    return tuple(value)


def _pads(value: Any, count: int) -> tuple[tuple[int, int], ...]:
    entries = _per_axis("padding", value, count)
    return tuple((pad, pad) if isinstance(pad, int) else (pad[0], pad[1]) for pad in entries)


def _spatial(shape: Shape) -> Shape:
    if not 2 <= len(shape) <= 4:
        raise ValueError(f"its input {list(shape)} has {len(shape) - 1} spatial axes, allowed: 1 to 3")
    return shape[1:]


def _divided(name: str, channels: int, groups: int) -> int:
    if channels % groups:
        raise ValueError(f"{name} {channels} cannot be divided into {groups} groups")
    return channels // groups


def _extras(spec: schema.WeightedModel, context: Context) -> int:
    """Biases and normalisation parameters of a layer with weights."""
    bias = context.defaults.bias if spec.bias is None else spec.bias
    norm = context.defaults.norm if spec.norm is None else spec.norm
    return spec.out_channels * (int(bias) + 2 * int(norm))


_Window = tuple[int, int, int, int, tuple[int, int]]


def _windows(spec: schema.WindowedModel | schema.Pool, shape: Shape) -> tuple[_Window, ...]:
    """Per axis: input extent, kernel, stride, dilation, padding."""
    sizes = _spatial(shape)
    fields = (_per_axis(f, getattr(spec, f), len(sizes)) for f in ("kernel", "stride", "dilation"))
    return tuple(zip(sizes, *fields, _pads(spec.padding, len(sizes)), strict=True))


def _finish(spec: schema.WindowedModel, context: Context, kind: type[Any], axes: tuple[Any, ...]) -> Made:
    layer = kind(
        context.name,
        _divided("out_channels", spec.out_channels, spec.groups),
        _divided("input channels", context.shape[0], spec.groups),
        axes,
        context.batch,
        spec.groups,
    )
    shape = (spec.out_channels, *(axis.out for axis in axes))
    return Made(shape, layer, layer.weight_words + _extras(spec, context))


def _conv(spec: schema.Conv, context: Context) -> Made:
    return _finish(spec, context, Layer, tuple(window_axis(*axis) for axis in _windows(spec, context.shape)))


def _deconv(spec: schema.Deconv, context: Context) -> Made:
    windows = _windows(spec, context.shape)
    extra = _per_axis("output_padding", spec.output_padding, len(windows))
    check_phases(stride for _, _, stride, *_ in windows)
    axes = tuple(transposed_axis(*window, pad) for window, pad in zip(windows, extra, strict=True))
    return _finish(spec, context, Deconvolution, axes)


def _fc(spec: schema.FullyConnected, context: Context) -> Made:
    positions = context.shape[1:] if spec.per_position else ()
    channels = context.shape[0] if spec.per_position else prod(context.shape)
    rows = prod(positions)
    layer = Layer(
        context.name, spec.out_channels, channels, (Axis(rows, in_size=rows),), context.batch, op="fc"
    )
    return Made((spec.out_channels, *positions), layer, layer.weight_words + _extras(spec, context))


def _matmul(spec: schema.MatMul, context: Context) -> Made:
    for shape in context.shapes:
        if len(shape) != 2:
            raise ValueError(
                f"its input {list(shape)} has {len(shape)} dimensions, allowed: 2 (channels, positions)"
            )
    (first, rows), (second, positions) = context.shapes
    reduced = _divided("channels of the first input", first, spec.groups)
    channels = _divided("channels of the second input", second, spec.groups)
    if spec.transpose:
        channels, positions = positions, channels
    if positions != reduced:
        raise ValueError(f"inner sizes differ, {reduced} and {positions}")
    groups = spec.groups * context.batch
    layer = Layer(context.name, channels, reduced, (Axis(rows, in_size=rows),), 1, groups, "matmul")
    return Made((channels * spec.groups, rows), layer)


def _pool(spec: schema.Pool, context: Context) -> Made:
    windows = _windows(spec, context.shape)
    axes = tuple(pooled(window_extent(*w, spec.ceil_mode), *w[1:], w[0]) for w in windows)
    return Made((context.shape[0], *(axis.out for axis in axes)), windows=axes)


def _global_pool(spec: schema.GlobalPool, context: Context) -> Made:
    ones = tuple(1 for _ in context.shape[1:])
    return Made((context.shape[0], *ones), windows=whole_positions(context.shape[1:], ones))


def _concat(spec: schema.Concat, context: Context) -> Made:
    if len({shape[1:] for shape in context.shapes}) > 1:
        raise ValueError(f"positions of its inputs differ: {_listed(context.shapes)}")
    return _by_position((sum(shape[0] for shape in context.shapes), *context.shape[1:]))


def _by_position(shape: Shape, parameters: int = 0) -> Made:
    """Of an operator that works position by position."""
    return Made(shape, None, parameters, same_positions(shape[1:]))


def _add(spec: schema.Add, context: Context) -> Made:
    return _by_position(_same(context))


def _same(context: Context) -> Shape:
    if len(set(context.shapes)) > 1:
        raise ValueError(f"shapes of its inputs differ: {_listed(context.shapes)}")
    return context.shape


def _listed(shapes: tuple[Shape, ...]) -> str:
    return ", ".join(str(list(shape)) for shape in dict.fromkeys(shapes))


def _norm(spec: schema.Norm, context: Context) -> Made:
    return _by_position(context.shape, 2 * context.shape[0])


def _target(spec: schema.SizedModel, context: Context) -> Shape:
    sizes = tuple(spec.size or (context.like or ())[1:])
    if len(sizes) != len(context.shape) - 1:
        raise ValueError(
            f"got {len(sizes)} sizes, its input {list(context.shape)} has {len(context.shape) - 1} axes"
        )
    return sizes


def _crop(spec: schema.Crop, context: Context) -> Made:
    sizes = _target(spec, context)
    if any(size > have for size, have in zip(sizes, context.shape[1:], strict=True)):
        raise ValueError(f"cannot crop {list(context.shape[1:])} to {list(sizes)}")
    return Made((context.shape[0], *sizes), windows=cropped(context.shape[1:], sizes))


def _upsample(spec: schema.Upsample, context: Context) -> Made:
    if spec.scale is None:
        sizes = _target(spec, context)
    else:
        scales = _per_axis("scale", spec.scale, len(context.shape) - 1)
        sizes = tuple(s * n for s, n in zip(scales, context.shape[1:], strict=True))
    return Made((context.shape[0], *sizes), windows=scaled(context.shape[1:], sizes))


def _flatten(spec: schema.Flatten, context: Context) -> Made:
    return Made((prod(context.shape),))


def _reshape(spec: schema.Reshape, context: Context) -> Made:
    if prod(spec.size) != prod(context.shape):
        raise ValueError(
            f"cannot reshape {list(context.shape)} to {spec.size}: the number of elements differs"
        )
    return Made(tuple(spec.size))


def _widen(spec: schema.Widen, context: Context) -> Made:
    if spec.out_channels < context.shape[0]:
        raise ValueError(
            f"out_channels is {spec.out_channels}, allowed: at least the input's {context.shape[0]}"
        )
    return _by_position((spec.out_channels, *context.shape[1:]))


def _correlation(spec: schema.Correlation, context: Context) -> Made:
    return Made((spec.displacements, *_same(context)[1:]))


def _cost_volume(spec: schema.CostVolume, context: Context) -> Made:
    channels, *sizes = _same(context)
    return Made((2 * channels, spec.disparities, *sizes))


_ANY = 200
_RULES: dict[type[schema.LayerModel], tuple[Callable[[Any, Context], Made], int, int]] = {
    schema.Conv: (_conv, 1, 1),
    schema.Deconv: (_deconv, 1, 1),
    schema.FullyConnected: (_fc, 1, 1),
    schema.MatMul: (_matmul, 2, 2),
    schema.Pool: (_pool, 1, 1),
    schema.GlobalPool: (_global_pool, 1, 1),
    schema.Concat: (_concat, 1, _ANY),
    schema.Add: (_add, 2, _ANY),
    schema.Norm: (_norm, 1, 1),
    schema.Crop: (_crop, 1, 1),
    schema.Upsample: (_upsample, 1, 1),
    schema.Flatten: (_flatten, 1, 1),
    schema.Reshape: (_reshape, 1, 1),
    schema.Widen: (_widen, 1, 1),
    schema.Correlation: (_correlation, 2, 2),
    schema.CostVolume: (_cost_volume, 2, 2),
}
