"""Files of Timeloop 4 (timeloop-model with its Python front end): problem, architecture and mapping.

A loop over tiles stands at the DRAM, the loops inside a tile at the buffer. A smaller last tile is a
remainder, ``factor,remainder``: of n tiles of t elements and a last one of r, ``(n - 1) * t + r`` is the
extent, which Timeloop checks. Permutations are from the inside out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from formulation.hardware import Hardware
from solvers.schedules.exports.nest import KERNELS, TENSORS, ExportNest, LoopDimension
from solvers.schedules.exports.texts import INNER_STEPS, Inline, Tagged, yaml_text

VERSION = 0.4


def obstacle(nest: ExportNest) -> str | None:
    """Why Timeloop has no such mapping, None if it has."""
    if nest.cut:
        return f"{INNER_STEPS}: a memory of Timeloop's holds all tensors at one level"
    bits = nest.hardware.bits
    widths = {bits.ifmap, bits.weights, bits.ofmap}
    if nest.partial:
        widths.add(bits.partial_sums)
    if len(widths) > 1:
        return f"words of {', '.join(map(str, sorted(widths)))} bits: a memory of Timeloop's has one width"
    return nest.overflow


def files(nest: ExportNest) -> dict[str, str]:
    """The files' texts by name."""
    return {
        "problem.yaml": yaml_text({"problem": _problem(nest)}),
        "arch.yaml": yaml_text({"architecture": _architecture(nest.hardware)}),
        "mapping.yaml": yaml_text({"mapping": _mapping(nest)}),
    }


def _problem(nest: ExportNest) -> dict[str, Any]:
    axes = {d.name: d.axis for d in nest.dimensions if d.axis is not None and d.name in KERNELS}
    coefficients = {f"{name}stride": axis.stride for name, axis in axes.items()}
    coefficients |= {f"{name}dilation": axis.dilation for name, axis in axes.items()}
    shape = {
        "name": "convolution",
        "dimensions": Inline(d.name for d in nest.dimensions),
        "coefficients": [{"name": name, "default": 1} for name in coefficients],
        "data_spaces": [
            {"name": name, "projection": _projection(nest, tensor)}
            | ({"read_write": True} if tensor == "ofmap" else {})
            for tensor, name in TENSORS.items()
        ],
    }
    instance = {d.name: d.extent for d in nest.dimensions} | coefficients
    return {"version": VERSION, "shape": shape, "instance": instance}


def _projection(nest: ExportNest, tensor: str) -> list[Any]:
    """Coordinates as sums of products: an ifmap's is output * stride + tap * dilation."""
    of = nest.of_tensor(tensor)
    if tensor != "ifmap":
        return [Inline([[name]]) for name in of]
    taps = set(KERNELS.values())
    return [
        Inline([[name, f"{name}stride"], [KERNELS[name], f"{name}dilation"]] if name in KERNELS else [[name]])
        for name in of
        if name not in taps
    ]


def _architecture(hardware: Hardware) -> dict[str, Any]:
    width = hardware.bits.ifmap
    words = hardware.bytes_per_cycle * 8 / width
    seconds = float(1 / (hardware.frequency * 10**9))
    dram = {"width": width, "datawidth": width, "shared_bandwidth": float(words)}
    buffer = {"depth": hardware.buffer_bits // width, "width": width, "datawidth": width}
    buffer["multiple_buffering"] = hardware.copies
    nodes = [
        _node("!Container", "system", attributes={"technology": "45nm", "global_cycle_seconds": seconds}),
        _node("!Component", "DRAM", **{"class": "DRAM"}, attributes=dram),
        _node("!Component", "buffer", **{"class": "SRAM"}, attributes=buffer),
        _node("!Container", "array", spatial={"meshX": hardware.cols, "meshY": hardware.rows}),
        _node("!Component", "mac", **{"class": "intmac"}, attributes={"datawidth": width}),
    ]
    return {"version": VERSION, "nodes": nodes}


def _node(tag: str, name: str, **fields: Any) -> Tagged:
    return Tagged(tag, {"name": name, **fields})


def _mapping(nest: ExportNest) -> list[dict[str, Any]]:
    outside = [f"{d.name}={d.trips}" for d in nest.dimensions if d.name not in KERNELS.values()]
    outside += [f"{d.name}=1" for d in nest.taps]
    inside = [f"{d.name}={d.tile}" + ("" if d.even else f",{d.edge}") for d in nest.dimensions]
    return [
        _loops("DRAM", outside, (*nest.outer, *nest.taps)),
        _loops("buffer", inside, nest.inner),
    ]


def _loops(target: str, factors: list[str], order: Iterable[LoopDimension]) -> dict[str, Any]:
    names = [d.name for d in order]
    fields = {"factors": Inline(factors), "permutation": Inline(reversed(names))}
    return {"target": target, "type": "temporal", **fields}
