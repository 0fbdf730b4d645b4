"""Files of AccelForge: architecture, workload and mapping.

A tensor's tile is stored below the innermost loop that moves it. Where a kernel or a stride acts, AccelForge
takes a loop's trips as extent / tile, so tiles must divide; elsewhere it rounds up, as we do.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from formulation.hardware import Hardware
from solvers.schedules.exports.nest import KERNELS, TENSORS, ExportNest, LoopDimension
from solvers.schedules.exports.texts import INNER_STEPS, Inline, Tagged, yaml_text

EINSUM = "convolution"


def obstacle(nest: ExportNest) -> str | None:
    """Why AccelForge has no such mapping, None if it has."""
    uneven = [d for d in nest.outer if d.windowed and not d.even]
    if uneven:
        return f"{uneven[0].told}: where a kernel or a stride acts, AccelForge takes tiles that divide"
    if any(not d.even for d in nest.cut):
        return f"{INNER_STEPS} that do not divide them: AccelForge takes those that divide"
    if nest.slides:
        return "the window slides (halo: reuse): AccelForge fetches each tile whole"
    return nest.overflow


def files(nest: ExportNest) -> dict[str, str]:
    """The files' texts by name."""
    return {
        "workload.yaml": yaml_text({"workload": _workload(nest)}),
        "arch.yaml": yaml_text({"arch": {"nodes": _architecture(nest.hardware)}}),
        "mapping.yaml": yaml_text({"mapping": {"nodes": _mapping(nest)}}),
    }


def _workload(nest: ExportNest) -> dict[str, Any]:
    bits = nest.hardware.bits
    width = {
        "weights": bits.weights,
        "ifmap": bits.ifmap,
        "ofmap": bits.partial_sums if nest.partial else bits.ofmap,
    }
    accesses = []
    for tensor, name in TENSORS.items():
        access: dict[str, Any] = {"name": name, "projection": _projection(nest, tensor)}
        accesses.append(access | {"bits_per_value": width[tensor]} | _output(tensor))
    einsum = {
        "name": EINSUM,
        "tensor_accesses": accesses,
        "renames": {"input": "Inputs", "weight": "Weights", "output": "Outputs"},
    }
    shape = {_rank(d): f"0 <= {_rank(d)} < {d.extent}" for d in _dimensions(nest)}
    return {"iteration_space_shape": shape, "einsums": [einsum]}


def _dimensions(nest: ExportNest) -> list[LoopDimension]:
    """Those that the files have: not the one tap of an axis where an ifmap position is an output position."""
    return [d for d in nest.dimensions if d.name not in KERNELS.values() or d.windowed]


def _rank(d: LoopDimension) -> str:
    return d.name.lower()


def _output(tensor: str) -> dict[str, bool]:
    return {"output": True} if tensor == "ofmap" else {}


def _projection(nest: ExportNest, tensor: str) -> dict[str, str]:
    """Coordinates by name: an ifmap's is output * stride + tap * dilation."""
    of = [d for d in _dimensions(nest) if d.name in nest.of_tensor(tensor)]
    if tensor != "ifmap":
        return {d.name: _rank(d) for d in of}
    return {d.name: _position(d) for d in of if d.name not in KERNELS.values()}


def _position(d: LoopDimension) -> str:
    if d.axis is None or not d.windowed:
        return _rank(d)
    tap = KERNELS[d.name].lower()
    return f"{d.axis.stride} * {_rank(d)} + {d.axis.dilation} * {tap}"


def _architecture(hardware: Hardware) -> list[Tagged]:
    energy, per_second = hardware.energy, float(hardware.bandwidth * 8 * 10**9)
    dram, sram = (
        [_action(way, pj, rate) for way in ("read", "write")]
        for pj, rate in ((energy.dram, per_second), (energy.sram, "inf"))
    )
    mac = [_action("compute", energy.mac, float(hardware.frequency * 10**9))]
    sides = [{"name": "columns", "fanout": hardware.cols}, {"name": "rows", "fanout": hardware.rows}]
    size = hardware.buffer_bits // hardware.copies
    return [
        _memory("DRAM", "inf", dram),
        _memory("Buffer", size, sram),
        Tagged("!Container", {"name": "Array", "spatial": sides}),
        Tagged("!Compute", {"name": "MAC", **_UNKNOWN, "actions": mac}),
    ]


_UNKNOWN = {"leak_power": 0, "area": 0}


def _memory(name: str, size: int | str, actions: list[dict[str, Any]]) -> Tagged:
    fields = {"name": name, "size": size, **_UNKNOWN, "tensors": {"keep": "All"}, "actions": actions}
    return Tagged("!Memory", fields)


def _action(name: str, pj: Fraction, throughput: float | str) -> dict[str, Any]:
    return {"name": name, "energy": float(pj / 10**12), "throughput": throughput}


def _mapping(nest: ExportNest) -> list[Tagged]:
    nodes, streamed = [_stored(list(TENSORS), "DRAM")], nest.mapping.streamed
    for i, d in enumerate((None, *nest.outer)):
        if d is not None and d.trips > 1:
            nodes.append(_loop(d, d.tile))
        here = [tensor for tensor in TENSORS if nest.kept_at(tensor) == i and tensor != streamed]
        if here:
            nodes.append(_stored(here, "Buffer"))
    nodes += [_loop(d, d.tile) for d in nest.cut]
    if streamed is not None:
        nodes.append(_stored([streamed], "Buffer"))
    nodes += [_loop(d, 1) for d in nest.inner if d in _dimensions(nest)]
    return [*nodes, Tagged("!Compute", {"einsum": EINSUM, "component": "MAC"}, inline=True)]


def _loop(d: LoopDimension, tile: int) -> Tagged:
    return Tagged("!Temporal", {"rank_variable": _rank(d), "tile_shape": tile}, inline=True)


def _stored(which: list[str], where: str) -> Tagged:
    fields = {"tensors": Inline(TENSORS[tensor] for tensor in which), "component": where}
    return Tagged("!Storage", fields, inline=True)
