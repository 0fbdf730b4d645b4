"""Shapes of layers, and where a sub-convolution lies in its deconvolution, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dnns.axes import Axis, Phase, TransposedAxis

if TYPE_CHECKING:
    from dnns.layer import Deconvolution, Operator
    from formulation.deconv import SubConvolution
    from solvers.network.data.mapping_fields import AxisData, GeometryData, PlacedAxisData, PlacementData


def geometry(operator: Operator) -> GeometryData:
    """Shape of a convolution or deconvolution, of one group."""
    return {
        "out_channels": operator.out_channels,
        "in_channels": operator.in_channels,
        "batch": operator.batch,
        "axes": [_axis(axis) for axis in operator.axes],
    }


def _axis(axis: Axis | TransposedAxis) -> AxisData:
    data: AxisData = {
        "ifmap": axis.in_size,
        "ofmap": axis.out,
        "kernel": axis.kernel,
        "stride": axis.stride,
        "dilation": axis.dilation,
        "pad_before": axis.pad_lo,
        "pad_after": axis.pad_hi,
    }
    if isinstance(axis, TransposedAxis):
        data["output_padding"] = axis.output_padding
    return data


def axis_of(data: AxisData) -> Axis:
    """An axis of a convolution, from its plain data."""
    return Axis(
        out=data["ofmap"],
        kernel=data["kernel"],
        stride=data["stride"],
        dilation=data["dilation"],
        pad_lo=data["pad_before"],
        pad_hi=data["pad_after"],
        in_size=data["ifmap"],
    )


def placement(deconv: Deconvolution, sub: SubConvolution) -> PlacementData:
    """Which of the deconvolution's outputs a sub-convolution makes, by which of its kernel's taps."""
    axes = zip(sub.phases, deconv.axes, strict=True)
    return {"phase": sub.name, "axes": [_placed(phase, axis.stride) for phase, axis in axes]}


def _placed(phase: Phase, stride: int) -> PlacedAxisData:
    """A sub-kernel has its taps in the order of the ifmap: the reverse of the deconvolution's."""
    taps = range(phase.first_tap, phase.first_tap + phase.taps * phase.tap_step, phase.tap_step)
    return {"first_output": phase.residue, "output_step": stride, "taps": list(reversed(taps))}
