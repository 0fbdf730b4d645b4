"""Files of ZigZag 3: workload, accelerator and mapping.

ZigZag itself divides the loops among the memories, each taking as many from the inside as it holds. A memory
for each tensor, as large as its tile, thus gives our mapping back. Loops are listed from the inside out, and
their factors multiply to the extents, so tiles must divide.
"""

from __future__ import annotations

from math import floor, gcd, prod
from typing import Any

from solvers.schedules.exports.nest import KERNELS, ExportNest, LoopDimension
from solvers.schedules.exports.texts import INNER_STEPS, Inline, yaml_text

NAMES = dict(zip("GNMCZPQTRS", ("G", "B", "K", "C", "OZ", "OY", "OX", "FZ", "FY", "FX"), strict=True))
"""ZigZag's names of the dimensions; its examples have no third axis, which is named in their manner."""
OPERANDS = {"weights": "W", "ifmap": "I", "ofmap": "O"}
MEMORY_OPERANDS = {"weights": "I2", "ifmap": "I1", "ofmap": "O"}
WAYS = {"weights": ("fh", "tl"), "ifmap": ("fh", "tl"), "ofmap": ("fh", "fl", "th", "tl")}
"""Ways of a port: from and to the level above (high) and below (low)."""
LARGEST = 10**15
"""Bits of the DRAM: more than any tensor takes."""


def obstacle(nest: ExportNest) -> str | None:
    """Why ZigZag has no such mapping, None if it has."""
    if nest.cut:
        return f"{INNER_STEPS}: not written for ZigZag"
    uneven = [d for d in nest.outer if not d.even]
    if uneven:
        return f"{uneven[0].told}: ZigZag takes temporal tiles that divide"
    if nest.slides:
        return "the window slides (halo: reuse): ZigZag fetches each tile whole"
    return None


def files(nest: ExportNest) -> dict[str, str]:
    """The files' texts by name."""
    return {
        "workload.yaml": yaml_text([_workload(nest)]),
        "accelerator.yaml": yaml_text(_accelerator(nest)),
        "mapping.yaml": yaml_text([_mapping(nest)]),
    }


def _workload(nest: ExportNest) -> dict[str, Any]:
    bits = nest.hardware.bits
    axes = [d for d in nest.dimensions if d.name in KERNELS]
    relations = [
        f"{_input(d)}={d.axis.stride}*{NAMES[d.name]}+{d.axis.dilation}*{NAMES[KERNELS[d.name]]}".lower()
        for d in axes
        if d.axis is not None
    ]
    indices = {tensor: "".join(f"[{i}]" for i in _indices(nest, tensor)) for tensor in OPERANDS}
    return {
        "id": 0,
        "name": "layer",
        "operator_type": "Conv",
        "equation": f"O{indices['ofmap']}+=W{indices['weights']}*I{indices['ifmap']}",
        "dimension_relations": relations,
        "loop_dims": Inline(NAMES[d.name] for d in nest.dimensions),
        "loop_sizes": Inline(d.extent for d in nest.dimensions),
        "operand_precision": {
            "W": bits.weights,
            "I": bits.ifmap,
            "O": bits.partial_sums,
            "O_final": bits.ofmap,
        },
        "operand_source": {"W": 0, "I": 0},
    }


def _input(d: LoopDimension) -> str:
    return f"I{NAMES[d.name][1:]}"


def _indices(nest: ExportNest, tensor: str) -> list[str]:
    """Names of a tensor's coordinates: an ifmap has positions in place of outputs and taps."""
    names = nest.of_tensor(tensor)
    if tensor == "ifmap":
        taps = set(KERNELS.values())
        named = {d.name: _input(d) for d in nest.dimensions if d.name in KERNELS}
        return [named.get(name, NAMES[name]).lower() for name in names if name not in taps]
    return [NAMES[name].lower() for name in names]


def _accelerator(nest: ExportNest) -> dict[str, Any]:
    hardware = nest.hardware
    bits, dram = hardware.bits, floor(hardware.bytes_per_cycle * 8) or 1
    summed = nest.layer.in_channels * nest.layer.taps > 1
    width = {"weights": bits.weights, "ifmap": bits.ifmap}
    width["ofmap"] = bits.partial_sums if summed else bits.ofmap
    memories = {
        f"buffer_{tensor}": _memory(words * width[tensor], (bits.grain, width[tensor]), [tensor], 0.0)
        for tensor, words in _tile_words(nest).items()
    }
    cost = float(hardware.energy.dram * dram)
    memories["dram"] = _memory(LARGEST, (min(bits.grain, dram), dram), list(OPERANDS), cost)
    array = {"dimensions": Inline(("D1", "D2")), "sizes": Inline((hardware.cols, hardware.rows))}
    unit = {"unit_energy": float(hardware.energy.mac), "unit_area": 0.0}
    return {"name": "accelerator", "memories": memories, "operational_array": {**unit, **array}}


def _memory(size: int, bandwidth: tuple[int, int], tensors: list[str], cost: float) -> dict[str, Any]:
    """A memory with one port.

    Args:
        size: of the memory [bits].
        bandwidth: least and most that an access moves [bits].
        tensors: that it holds.
        cost: of an access that moves the most [pJ].
    """
    ways = [f"{MEMORY_OPERANDS[tensor]}, {way}" for tensor in tensors for way in WAYS[tensor]]
    least, most = bandwidth
    port = {"name": "rw_port_1", "type": "read_write", "bandwidth_min": least, "bandwidth_max": most}
    return {
        "size": size,
        "r_cost": cost,
        "w_cost": cost,
        "area": 0.0,
        "latency": 1,
        "operands": Inline(MEMORY_OPERANDS[tensor] for tensor in tensors),
        "ports": [{**port, "allocation": ways}],
        "served_dimensions": Inline(("D1", "D2")),
    }


def _tile_words(nest: ExportNest) -> dict[str, int]:
    """Words of a tile of each tensor, as ZigZag counts them: padding included."""
    of, taps = {d.name: d for d in nest.dimensions}, set(KERNELS.values())
    channels = {tensor: [of[name] for name in nest.of_tensor(tensor)] for tensor in OPERANDS}
    words = {tensor: prod(d.tile for d in channels[tensor]) for tensor in ("weights", "ofmap")}
    return words | {"ifmap": prod(_positions(d) for d in channels["ifmap"] if d.name not in taps)}


def _positions(d: LoopDimension) -> int:
    """Ifmap positions that a tile touches by ZigZag's formula, or a tile's channels or images."""
    if d.axis is None:
        return d.tile
    common = gcd(d.axis.stride, d.axis.dilation)
    stride, dilation = d.axis.stride // common, d.axis.dilation // common
    return d.tile * d.axis.kernel - max(0, d.axis.kernel - stride) * (d.tile - dilation)


def _mapping(nest: ExportNest) -> dict[str, Any]:
    inside = [(d.name, d.tile) for d in nest.inner]
    outside = [(d.name, d.trips) for d in nest.outer]
    loops = [[NAMES[n], factor] for n, factor in reversed([*outside, *inside]) if factor > 1]
    return {
        "name": "default",
        "spatial_mapping": {"D1": Inline(["K, 1"]), "D2": Inline(["OX, 1"])},
        "memory_operand_links": {OPERANDS[tensor]: MEMORY_OPERANDS[tensor] for tensor in OPERANDS},
        "temporal_ordering": [Inline(loop) for loop in loops],
    }
