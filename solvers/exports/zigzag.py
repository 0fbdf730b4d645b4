"""Files of ZigZag 3: workload, accelerator and mapping.

ZigZag itself divides the loops among the memories, each taking as many from the inside as it holds. A memory
for each tensor, as large as its tile, thus gives our mapping back. Loops are listed from the inside out, and
their factors multiply to the extents, so tiles must divide.
"""

from __future__ import annotations

from math import floor, gcd, prod
from typing import Any

from solvers.exports.nest import KERNELS, LoopDimension, Nest
from solvers.exports.texts import Inline, yaml_text
from solvers.exports.timeloop import inner_order

NAMES = {
    "G": "G",
    "N": "B",
    "M": "K",
    "C": "C",
    "Z": "OZ",
    "P": "OY",
    "Q": "OX",
    "T": "FZ",
    "R": "FY",
    "S": "FX",
}
"""ZigZag's names of the dimensions; on the third axis, of which its inputs have none, in their manner."""
OPERANDS = {"weights": "W", "ifmap": "I", "ofmap": "O"}
MEMORY_OPERANDS = {"weights": "I2", "ifmap": "I1", "ofmap": "O"}
LEVELS = {"weights": ("fh", "tl"), "ifmap": ("fh", "tl"), "ofmap": ("fh", "fl", "th", "tl")}
"""Ways of a port: from and to the level above (high) and below (low)."""
LARGEST = 10**15
"""Bits of the DRAM: more than any tensor takes."""


def obstacle(nest: Nest) -> str | None:
    """Why ZigZag has no such mapping, None if it has."""
    uneven = [d for d in nest.outer if not d.even]
    if uneven:
        d = uneven[0]
        return f"{_what(d)} {d.extent} in tiles of {d.tile}: ZigZag takes temporal tiles that divide"
    if nest.mapping.sliding_axis is not None:
        return "the window slides (halo: reuse): ZigZag fetches each tile whole"
    return None


def _what(d: LoopDimension) -> str:
    names = {"M": "output channels", "C": "input channels", "N": "a batch of"}
    return names.get(d.name, "outputs")


def files(nest: Nest) -> dict[str, str]:
    """The files' texts by name."""
    return {
        "workload.yaml": yaml_text([_workload(nest)]),
        "accelerator.yaml": yaml_text(_accelerator(nest)),
        "mapping.yaml": yaml_text([_mapping(nest)]),
    }


def _workload(nest: Nest) -> dict[str, Any]:
    bits = nest.hardware.bits
    axes = [d for d in nest.dimensions if d.name in KERNELS]
    relations = [
        f"{_input(d)}={d.axis.stride}*{_name(d.name)}+{d.axis.dilation}*{_name(KERNELS[d.name])}".lower()
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
        "loop_dims": Inline(_name(d.name) for d in nest.dimensions),
        "loop_sizes": Inline(d.extent for d in nest.dimensions),
        "operand_precision": {
            "W": bits.weights,
            "I": bits.ifmap,
            "O": bits.partial_sums,
            "O_final": bits.ofmap,
        },
        "operand_source": {"W": 0, "I": 0},
    }


def _name(name: str) -> str:
    return NAMES[name]


def _input(d: LoopDimension) -> str:
    return f"I{NAMES[d.name][1:]}"


def _indices(nest: Nest, tensor: str) -> list[str]:
    """Names of a tensor's coordinates: an ifmap has positions in place of outputs and taps."""
    names = nest.of_tensor(tensor)
    if tensor == "ifmap":
        taps = set(KERNELS.values())
        named = {d.name: _input(d) for d in nest.dimensions if d.name in KERNELS}
        return [named.get(name, NAMES[name]).lower() for name in names if name not in taps]
    return [NAMES[name].lower() for name in names]


def _accelerator(nest: Nest) -> dict[str, Any]:
    hardware = nest.hardware
    dram = floor(hardware.bytes_per_cycle * 8) or 1
    widths = {"weights": hardware.bits.weights, "ifmap": hardware.bits.ifmap}
    summed = nest.layer.in_channels * nest.layer.taps > 1
    widths["ofmap"] = hardware.bits.partial_sums if summed else hardware.bits.ofmap
    memories = {
        f"buffer_{tensor}": _memory(words * widths[tensor], widths[tensor], [tensor], 0)
        for tensor, words in _tile_words(nest).items()
    }
    memories["dram"] = _memory(LARGEST, dram, list(OPERANDS), float(hardware.energy.dram * dram))
    array = {"dimensions": Inline(("D1", "D2")), "sizes": Inline((hardware.cols, hardware.rows))}
    unit = {"unit_energy": float(hardware.energy.mac), "unit_area": 0.0}
    return {"name": "accelerator", "memories": memories, "operational_array": {**unit, **array}}


def _memory(size: int, width: int, tensors: list[str], cost: float) -> dict[str, Any]:
    """A memory of so many bits with one port, on which an access of the port's width takes a cost [pJ]."""
    ways = [f"{MEMORY_OPERANDS[tensor]}, {way}" for tensor in tensors for way in LEVELS[tensor]]
    port = {"name": "rw_port_1", "type": "read_write", "bandwidth_min": width, "bandwidth_max": width}
    return {
        "size": size,
        "r_cost": float(cost),
        "w_cost": float(cost),
        "area": 0.0,
        "latency": 1,
        "operands": Inline(MEMORY_OPERANDS[tensor] for tensor in tensors),
        "ports": [{**port, "allocation": ways}],
        "served_dimensions": Inline(("D1", "D2")),
    }


def _tile_words(nest: Nest) -> dict[str, int]:
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


def _mapping(nest: Nest) -> dict[str, Any]:
    inside = [(d.name, d.tile) for d in inner_order(nest)]
    outside = [(d.name, d.trips) for d in nest.outer]
    loops = [[NAMES[n], factor] for n, factor in reversed([*outside, *inside]) if factor > 1]
    return {
        "name": "default",
        "spatial_mapping": {"D1": Inline(["K, 1"]), "D2": Inline(["OX, 1"])},
        "memory_operand_links": {OPERANDS[tensor]: MEMORY_OPERANDS[tensor] for tensor in OPERANDS},
        "temporal_ordering": [Inline(loop) for loop in loops],
    }
