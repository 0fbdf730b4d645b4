"""A schedule as a DMA program: JSON, one object a line, every transfer and every computation in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from solvers.result import number
from solvers.schedules.execution.buffer import NestBuffer
from solvers.schedules.execution.events import DmaTransfer, Event, TileCompute, ZeroOutputs
from solvers.schedules.execution.nest import Interval, LoopNest, NestCut, outputs_named
from solvers.schedules.execution.plan import NetworkPlan, ScheduledLayer, ScheduledRun
from solvers.schedules.execution.steps import NestRun

FORMAT = "dnn-dataflow-dma 1"


def heading(plan: NetworkPlan) -> str:
    """The first line: which program this is, of which network, for which machine."""
    return _line(
        {"program": FORMAT, "network": plan.network, "machine": plan.machine.model_dump(mode="json")}
    )


def layer_lines(layer: ScheduledLayer) -> Iterator[str]:
    """A line for each layer, each run, each transfer and each computation."""
    yield _line(_layer(layer))
    for run in layer.runs:
        for zeros in run.zeros:
            yield _line(_zeros(zeros, run))
        for nest in run.nests:
            yield _line(_run(nest, run))
            for event in NestRun(nest).events():
                yield _line(_event(nest, event))


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"))


def _layer(layer: ScheduledLayer) -> dict[str, Any]:
    data: dict[str, Any] = {
        "layer": layer.name,
        "op": layer.op,
        "deconvolution": layer.treatment,
        "groups": layer.groups,
        "geometry": layer.shape,
        "bits": layer.bits,
        "tensors": {
            tensor.name: {"dims": tensor.dims, "shape": tensor.shape, "strides": tensor.strides}
            for tensor in layer.tensors
        },
    }
    told = {"not_shown": layer.unshown, "note": layer.note}
    return data | {name: text for name, text in told.items() if text}


def _zeros(zeros: ZeroOutputs, run: ScheduledRun) -> dict[str, Any]:
    return {
        "zeros": zeros.name,
        "repeats": run.repeats,
        "tensor": "ofmap",
        "direction": "out",
        "offset": zeros.offset,
        "shape": zeros.shape,
        "strides": zeros.strides,
    }


def _run(nest: LoopNest, run: ScheduledRun) -> dict[str, Any]:
    """A nest: its loops, kernels and parts of the buffer."""
    buffer, rounds = NestBuffer(nest), any(loop.name == "rounds" for loop in nest.loops)
    kernels = []
    for kernel in nest.kernels:
        axes = [asdict(axis) for axis in kernel.axes]
        data = {"name": kernel.name, "axes": axes}
        kernels.append(data | ({"rounds": kernel.filters} if rounds else {}))
    return {
        "run": nest.name,
        "repeats": run.repeats,
        "loops": [
            {"loop": loop.name, "trips": loop.trips, "extent": loop.extent, "tile": loop.size}
            for loop in nest.loops
        ],
        "slides": nest.slides,
        "kernels": kernels,
        "buffer": {
            part.name: {
                "address_bytes": number(Fraction(part.address, 8)),
                "bytes": number(Fraction(part.bits, 8)),
                "word_bits": part.width,
                "copies": part.copies,
                "copy_words": part.words,
            }
            for part in run.parts
        },
        "ring": {"axis": nest.slice_axis, "slices": buffer.ring, "slice_words": buffer.slice_words},
        "traffic": run.traffic,
    } | ({} if nest.cut is None else {"inner": _inner(nest, nest.cut)})


def _inner(nest: LoopNest, cut: NestCut) -> dict[str, Any]:
    """What is streamed, and the sizes of sub-tiles by the loops that they cut."""
    names = {outputs_named(loop.name): loop.name for loop in nest.loops}
    return {"tensor": cut.tensor, "sub_tile": {names[name]: size for name, size in cut.sizes.items()}}


def _event(nest: LoopNest, event: Event) -> dict[str, Any]:
    return _transfer(nest, event) if isinstance(event, DmaTransfer) else _compute(nest, event)


def _transfer(nest: LoopNest, move: DmaTransfer) -> dict[str, Any]:
    dims = next(tensor.dims for tensor in nest.tensors if tensor.name == move.tensor)
    data: dict[str, Any] = {
        "transfer": move.number,
        "after": move.after,
        "tensor": move.tensor,
        "direction": "in" if move.into_buffer else "out",
    }
    if move.tensor == "ofmap":
        data["partial_sums"] = move.partial
    if len(nest.kernels) > 1 and move.tensor != "ifmap":
        data["kernel"] = move.kernel
    return data | {
        "group": move.group,
        "tile": dict(zip(dims, move.tile, strict=True)),
        "offset": move.offset,
        "shape": move.shape,
        "strides": move.strides,
        "word": move.word,
        "word_strides": move.word_strides,
    }


def _compute(nest: LoopNest, job: TileCompute) -> dict[str, Any]:
    axes = nest.tensors[2].dims[2:]
    tile: dict[str, Interval] = {
        "batch": job.images,
        "out_channels": job.filters,
        "in_channels": job.channels,
        **dict(zip(axes, job.outputs, strict=True)),
    }
    return {
        "compute": job.number,
        "after": job.after,
        "kernel": job.kernel,
        "group": job.group,
        "tile": tile,
        "accumulate": job.accumulate,
        "windows": dict(zip(axes, job.windows, strict=True)),
        "first_slice": job.first_slice,
        "ifmap_strides": job.ifmap_strides,
        "weights_word": job.weights_word,
        "ofmap_word": job.ofmap_word,
    } | ({} if job.inside is None else {"inside": asdict(job.inside)})
