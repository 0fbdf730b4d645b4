"""Problems, layers and machines in words and units, as files of models begin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dnns.layer import Deconvolution, Layer
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.pricing.objective import Objective
from formulation.problem import Problem


def in_words(problem: Problem) -> Iterator[str]:
    """A problem as a person reads it."""
    yield layer_words(problem.layer)
    yield from setting_words(problem.hardware, problem.partition, problem.objective)


def setting_words(machine: Hardware, partition: Partition | None, objective: Objective) -> Iterator[str]:
    """The machine, the buffer's parts if they are given, and the objective."""
    yield from machine_words(machine)
    if partition is not None:
        parts = " / ".join(f"{bits / 8:,g}" for bits in partition.parts)
        yield f"parts of the buffer for ifmap / ofmap / weights: {parts} bytes"
    yield f"objective: {objective.title}"


def layer_words(layer: Layer) -> str:
    """Channels, kernel, extents and what else shapes a layer; of one group."""
    return f"{_channels(layer)}, padding {_paddings(layer.axes)}, batch {layer.batch}, groups {layer.groups}"


def deconvolution_words(deconv: Deconvolution) -> str:
    """The same of a deconvolution."""
    more = _by(axis.output_padding for axis in deconv.axes)
    return (
        f"deconvolution {_channels(deconv)}, padding {_paddings(deconv.axes)}, output padding {more}, "
        f"batch {deconv.batch}, groups {deconv.groups}"
    )


def machine_words(machine: Hardware) -> Iterator[str]:
    """Array, buffer, bandwidth and widths."""
    width = machine.bits
    buffered = "double" if machine.double_buffered else "single"
    banks = f" in banks of {machine.bank_bytes:,}" if machine.bank_bytes else ""
    yield (
        f"{machine.rows} x {machine.cols} array ({machine.dataflow}-stationary, fill {machine.fill}), "
        f"{machine.buffer_bytes:,} bytes of buffer{banks}, {buffered}-buffered, halo {machine.halo}"
    )
    burst = (
        f", runs in bursts of {machine.burst_bytes} bytes ({machine.layout})" if machine.burst_bytes else ""
    )
    setup = f", {machine.transfer_setup:,} cycles to set a transfer up" if machine.transfer_setup else ""
    yield (
        f"{float(machine.bandwidth):g} GB/s, {float(machine.frequency):g} GHz{setup}{burst}; "
        f"bits of a word: ifmap {width.ifmap}, weights {width.weights}, ofmap {width.ofmap}, "
        f"partial sums {width.partial_sums}"
    )


def _channels(layer: Layer | Deconvolution) -> str:
    """Channels, kernel, extents, stride and dilation."""
    axes = layer.axes
    return (
        f"{layer.in_channels} -> {layer.out_channels} channels, kernel {_by(a.kernel for a in axes)}, "
        f"{_by(a.in_size for a in axes)} -> {_by(a.out for a in axes)}, "
        f"stride {_by(a.stride for a in axes)}, dilation {_by(a.dilation for a in axes)}"
    )


def _by(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))


def _paddings(axes: Iterable[Any]) -> str:
    """Before and after, of each axis."""
    return "x".join(f"{axis.pad_lo}+{axis.pad_hi}" for axis in axes)
