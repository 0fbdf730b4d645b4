"""Results as plain data, as JSON has them; ``docs/results.md`` explains every field."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from dnns import __version__
from dnns.terminal.options import PROJECT
from formulation.mapping import Mapping, Partition
from formulation.objective import QUANTITIES, Objective
from solvers.backends import DEFAULT_MILP, DEFAULT_NLP, MILP, NLP
from solvers.network.subject import hardware_dict, subject_dict
from solvers.result import (
    BoundScope,
    LowerBound,
    Result,
    SolutionStatus,
    Termination,
    internal_error,
    number,
    partition_dict,
)

if TYPE_CHECKING:
    from dnns.layer import Operator
    from formulation.cost import Traffic
    from solvers.network.parts import LayerReport, PartReport, RunTotals
    from solvers.shared.deconvolution import DeconvolutionResult, KernelRow


def part_dict(part: PartReport) -> dict[str, Any]:
    """A part as JSON has it."""
    data: dict[str, Any] = {
        "name": part.name,
        "groups": part.layer.groups if part.layer else 1,
        "count": part.count,
    }
    if part.phases:
        data["phases"] = list(part.phases)
    data |= {
        "mapping": _mapping(part.result),
        "latency_cycles": number(part.latency_cycles),
        "compute_cycles": part.compute_cycles,
        "traffic_bytes": number(part.traffic_bytes),
        "traffic": _traffic(part),
    }
    return data | (_written_only(part) if part.result is None else proof_dict(part.result))


def _mapping(result: Result | None) -> dict[str, Any] | None:
    if result is None or result.mapping is None or result.cost is None:
        return None
    return mapping_dict(result.mapping, result.problem.partition or result.cost.footprint)


def mapping_dict(mapping: Mapping, parts: Partition) -> dict[str, Any]:
    """A mapping and the buffer's parts as JSON has them."""
    tile = mapping.tile
    return {
        "tile": {
            "out_channels": tile.out_channels,
            "in_channels": tile.in_channels,
            "batch": tile.batch,
            "spatial": list(tile.spatial),
        },
        "stationary": mapping.stationary.value,
        "sliding_axis": mapping.sliding_axis,
        "partition_bytes": partition_dict(parts),
    }


def _traffic(part: PartReport) -> dict[str, int] | None:
    if part.result is None:
        return {"ifmap": 0, "weights": 0, "ofmap_write": part.ofmap_words, "ofmap_read": 0}
    return traffic_dict(part.result.cost.traffic) if part.result.cost else None


def traffic_dict(words: Traffic) -> dict[str, int]:
    """Words per tensor as JSON has them."""
    return {name: getattr(words, name) for name in words.__slots__}


def _bounds(bound: LowerBound, objective: Objective) -> dict[str, Any]:
    """Bounds on every quantity, and on the objective if that is a weighted sum."""
    claims = dict.fromkeys([*(quantity.key for quantity in QUANTITIES), objective.claim])
    return {claim: number(bound.of(claim)) for claim in claims}


def proof_dict(result: Result) -> dict[str, Any]:
    """What is proven about a result, how it ended, and what its method knows besides."""
    data: dict[str, Any] = {
        "lower_bound": _bounds(result.lower_bound, result.problem.objective),
        "bound_scope": result.bound_scope.value,
        "gap": result.gap,
        "latency_gap": result.latency_gap,
        "termination": result.termination.value,
        "solution_status": result.solution_status.value,
        "seconds": round(result.seconds, 6),
    }
    extras = {name: value for name, value in result.extras.items() if name != "error"}
    if extras:
        data["extras"] = extras
    error = internal_error(result)
    if error is not None:
        data["error"] = error
    elif result.cost is None:
        data["bytes_needed"] = number(Fraction(result.problem.smallest_need().total, 8))
    return data


def _written_only(part: PartReport) -> dict[str, Any]:
    """Outputs that no tap reaches: nothing is chosen, so nothing is left to prove."""
    return {
        "lower_bound": {
            "latency_cycles": number(part.latency_cycles),
            "traffic_bytes": number(part.traffic_bytes),
        },
        "bound_scope": BoundScope.MAP_SPACE.value,
        "gap": 0.0,
        "latency_gap": 0.0,
        "termination": Termination.OPTIMAL.value,
        "solution_status": SolutionStatus.OPTIMAL.value,
        "seconds": 0.0,
    }


def layer_dict(layer: LayerReport) -> dict[str, Any]:
    """A layer as JSON has it; with shared ifmap tiles, mapping and proof are the layer's."""
    data = {
        "name": layer.operator.name,
        "op": layer.operator.op,
        "module": layer.node.module or None,
        "reads": list(layer.node.inputs),
        "bits": layer.hardware.bits.to_dict(),
        "macs": layer.macs,
        "deconvolution": layer.treatment.value if layer.treatment else None,
        "parts": [part_dict(part) for part in layer.parts],
        "latency_cycles": number(layer.total("latency_cycles")),
        "traffic_bytes": number(layer.total("traffic_bytes")),
        "compulsory_bytes": number(layer.compulsory_bytes),
        "least_communication_bytes": number(layer.least_communication_bytes),
    }
    if layer.error is not None:
        data["error"] = layer.error
    if layer.shared is not None:
        data["parts"] = [kernel_dict(layer.operator, row) for row in layer.shared.kernels]
        data |= _shared_dict(layer.shared) | {"groups": layer.operator.groups, "count": layer.operator.count}
    return data


def kernel_dict(deconv: Operator, kernel: KernelRow) -> dict[str, Any]:
    """A sub-kernel of a combined deconvolution as JSON has it."""
    return {
        "name": f"{deconv.name}/{kernel.name}",
        "groups": deconv.groups,
        "count": deconv.count,
        "kernel": list(kernel.kernel),
        "out": list(kernel.out),
        "rounds": list(kernel.filters),
    }


def _shared_dict(best: DeconvolutionResult) -> dict[str, Any]:
    """Mapping, numbers and proof of shared ifmap tiles."""
    shared = best.shared
    assert shared is not None
    assert shared.mapping is not None
    assert shared.cost is not None
    mapping, cost = shared.mapping, shared.cost
    return {
        "mapping": {
            "tile": {
                "in_channels": mapping.in_channels,
                "batch": mapping.batch,
                "spatial": list(mapping.spatial),
            },
            "rounds": mapping.round_count,
            "stationary": mapping.stationary.value,
            "sliding_axis": mapping.sliding_axis,
            "partition_bytes": partition_dict(best.partition or cost.footprint),
        },
        "compute_cycles": cost.compute_cycles,
        "traffic": traffic_dict(cost.traffic),
        "lower_bound": _bounds(best.lower_bound, best.objective),
        "bound_scope": best.bound_scope.value,
        "gap": best.gap,
        "latency_gap": best.latency_gap,
        "termination": best.termination.value,
        "solution_status": best.solution_status.value,
        "seconds": round(best.seconds, 6),
    }


def shared_columns(layer: dict[str, Any]) -> dict[str, Any]:
    """What stands on a layer instead of its parts, as flat columns."""
    names = ("mapping", "latency_cycles", "compute_cycles", "traffic_bytes", "gap")
    return dict(flat({n: layer[n] for n in names})) if "mapping" in layer else {}


def report_dict(report: RunTotals) -> dict[str, Any]:
    """A report as JSON has it; the totals cover the layers that fit."""
    backend = report.scenario.backend if report.scenario.solves_programs else DEFAULT_MILP
    data: dict[str, Any] = {
        "network": report.network,
        **subject_dict(report.scenario, report.graph),
        "method": report.scenario.search_method,
        "objective": report.scenario.objective.model_dump(),
        "hardware": hardware_dict(report.scenario, report.graph),
        **({"backend": backend} if backend != DEFAULT_MILP else {}),
        "versions": versions(backend),
        "complete": report.complete,
        "layers": [layer_dict(layer) for layer in report.layers],
        "totals": {
            "macs": sum(layer.macs for layer in report.solved_layers),
            "latency_cycles": number(report.total("latency_cycles")),
            "traffic_bytes": number(report.total("traffic_bytes")),
            "compulsory_bytes": number(report.compulsory_bytes),
            "least_traffic_bytes": number(report.least_traffic_bytes),
            "roofline_cycles": number(report.roofline_cycles),
            "seconds": round(report.seconds, 6),
        },
    }
    if (values := report.sensitivity()) is not None:
        data["totals"]["sensitivity"] = values
    if report.partition is not None:
        data["partition_bytes"] = partition_dict(report.partition)
    return data


def flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested dictionaries as dotted names; lists as words with ``x`` between."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", "x".join(map(str, value))
        else:
            yield f"{prefix}{key}", value


def versions(backend: str = DEFAULT_MILP) -> dict[str, str]:
    """Versions of this tool and of what its numbers depend on.

    Args:
        backend: solver of the mixed-integer programs.
    """
    found = {PROJECT: __version__}
    solvers = (MILP[DEFAULT_MILP], NLP[DEFAULT_NLP], MILP[backend])
    for package in dict.fromkeys(("numpy", "pyomo", *(p for home in solvers for p in home.packages))):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
