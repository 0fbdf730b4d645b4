"""Problems and mappings as plain data that stands alone, for certificates: exact."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dnns.layer import Deconvolution, Operator
from formulation.mapping import Mapping, Partition
from formulation.problem import Posed
from formulation.shared.problem import SharedMapping

PLAIN = ("rows", "cols", "buffer_bytes", "bank_bytes", "double_buffered", "transfer_setup")
WORDS = ("dataflow", "halo", "fill", "bandwidth", "frequency")
_ENERGY = ("mac", "sram", "dram", "static")


def posed(problem: Posed[Any]) -> dict[str, Any]:
    """Layer, machine, partition, objective; fractions as p/q."""
    machine, energy = problem.hardware, problem.hardware.energy
    return {
        "layer": _layer(problem.operator),
        "machine": {
            **{name: getattr(machine, name) for name in PLAIN},
            **{name: str(getattr(machine, name)) for name in WORDS},
            "bits": machine.bits.to_dict(),
            "energy": {name: str(getattr(energy, name)) for name in _ENERGY},
        },
        "partition": _bits(problem.partition),
        "objective": _objective(problem),
    }


def _layer(layer: Operator) -> dict[str, Any]:
    op, names = "conv", ["out", "kernel", "stride", "dilation", "pad_lo"]
    if isinstance(layer, Deconvolution):
        op, names = "deconv", [*names[1:], "pad_hi", "output_padding"]
    axes = [{"in": a.in_size, **{name: getattr(a, name) for name in names}} for a in layer.axes]
    sizes = {name: getattr(layer, name) for name in ("out_channels", "in_channels", "batch", "groups")}
    return {"op": op, **sizes, "axes": axes}


def _objective(problem: Posed[Any]) -> dict[str, Any]:
    """Its kind, the tolerance of a cap on the latency, the weights of a cycle, a byte and a picojoule."""
    objective, hardware = problem.objective, problem.hardware
    units = (1 if objective.quantity else quantity.per_unit(hardware) for quantity in objective.quantities)
    pairs = zip(("cycle", "byte", "pj"), problem.steps[-1].measures[0].weights, units, strict=True)
    weights = {name: str(Fraction(weight) * unit) for name, weight, unit in pairs}
    tolerance = {"tolerance": str(objective.tolerance)} if objective.capped else {}
    return {"kind": objective.kind.value, **tolerance, "weights": weights}


def _bits(parts: Partition | None) -> dict[str, int] | None:
    return None if parts is None else {name: getattr(parts, name) for name in parts.__slots__}


def chosen(mapping: Mapping | SharedMapping) -> dict[str, Any]:
    """What a mapping chooses: tile sizes in the order of the dimensions, loops, axis or 0, rounds."""
    found: dict[str, Any] = {"stationary": mapping.stationary.value, "slide": 0}
    if mapping.sliding_axis is not None:
        found["slide"] = 1 + mapping.sliding_axis
    if isinstance(mapping, SharedMapping):
        rounds = [list(row) for row in mapping.rounds]
        return {"tile": [mapping.in_channels, mapping.batch, *mapping.spatial], "rounds": rounds, **found}
    tile = mapping.tile
    return {"tile": [tile.out_channels, tile.in_channels, tile.batch, *tile.spatial], **found}
