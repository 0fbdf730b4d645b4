"""Layers and their parts as plain data; what each field means stands in ``solvers.network.data.fields``."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from dnns.layer import Deconvolution, Node, Operator
from formulation.cost import Traffic
from formulation.deconv import Treatment, split
from formulation.hardware import Hardware
from formulation.pricing.objective import Objective
from formulation.pricing.price import written_bits
from solvers.network.data.geometry import geometry, placement
from solvers.network.data.mappings import mapping_dict, shared_mapping_dict
from solvers.result import (
    BoundFrom,
    BoundScope,
    LowerBound,
    Result,
    SolutionStatus,
    Termination,
    internal_error,
    number,
    relative_gap,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from formulation.deconv import SubConvolution
    from formulation.pricing.price import Cost
    from solvers.network.data.fields import (
        EnergyData,
        KernelData,
        LayerData,
        Number,
        OperatorData,
        PartData,
        ProofData,
        RelaxationData,
        SharedLayerData,
        SolvedData,
        Words,
    )
    from solvers.network.data.mapping_fields import MappingData
    from solvers.network.parts import LayerReport, PartReport
    from solvers.shared.deconvolution import DeconvolutionResult, KernelRow


def operator_dict(
    node: Node, operator: Operator, hardware: Hardware, treatment: Treatment | None
) -> OperatorData:
    """What a layer is; its MACs are those of ``operator``, by phases if that is a deconvolution."""
    return {
        "name": operator.name,
        "op": operator.op,
        "module": node.module or None,
        "reads": list(node.inputs),
        "bits": hardware.bits.to_dict(),
        "macs": operator.macs,
        "geometry": geometry(operator),
        "deconvolution": treatment.value if treatment else None,
    }


def layer_dict(layer: LayerReport) -> LayerData | SharedLayerData:
    """A layer as JSON has it; with shared ifmap tiles, mapping and proof are the layer's."""
    operator, treatment = layer.operator, layer.treatment
    solved: SolvedData = {
        **operator_dict(layer.node, operator, layer.hardware, treatment),
        "macs": layer.macs,
        "latency_cycles": number(layer.total("latency_cycles")),
        "traffic_bytes": number(layer.total("traffic_bytes")),
        "energy_pj": number(layer.total("energy_pj")),
        "compulsory_bytes": number(layer.compulsory_bytes),
        "least_communication_bytes": number(layer.least_communication_bytes),
    }
    subs = {sub.name: sub for sub in split(operator)} if isinstance(operator, Deconvolution) else {}
    if layer.shared is not None:
        assert isinstance(operator, Deconvolution)
        return _shared_layer(solved, operator, layer.shared, subs)
    data: LayerData = {**solved, "parts": [part_dict(part, operator, subs) for part in layer.parts]}
    if layer.error is not None:
        data["error"] = layer.error
    return data


def part_dict(part: PartReport, operator: Operator, subs: dict[str, SubConvolution]) -> PartData:
    """A piece of a layer as JSON has it.

    Args:
        part: the piece.
        operator: the layer.
        subs: its sub-convolutions by name, if it is a deconvolution.
    """
    data = _figures(part)
    if part.phases:
        assert isinstance(operator, Deconvolution)
        data["phases"] = list(part.phases)
        data["placement"] = [placement(operator, subs[phase]) for phase in part.phases]
    return _known_besides(data, part)


def _figures(part: PartReport) -> PartData:
    """Numbers and proof of a part, and its shape."""
    result = part.result
    return {
        "name": part.name,
        "groups": part.layer.groups if part.layer else 1,
        "count": part.count,
        "geometry": geometry(part.layer) if part.layer else None,
        "mapping": None if part.layer is None or result is None else _mapping(result),
        "latency_cycles": number(part.latency_cycles),
        "compute_cycles": part.compute_cycles,
        "traffic_bytes": number(part.traffic_bytes),
        "traffic": _traffic(part),
        "energy_pj": number(part.energy_pj),
        "energy": _energy(part),
        **(_written_only(part) if result is None else proof_dict(result)),
    }


def _mapping(result: Result) -> MappingData | None:
    if result.mapping is None or result.cost is None:
        return None
    parts = result.problem.partition or result.cost.footprint
    return mapping_dict(result.problem.layer, result.mapping, parts)


def _traffic(part: PartReport) -> Words | None:
    if part.result is None:
        return {"ifmap": 0, "weights": 0, "ofmap_write": part.ofmap_words, "ofmap_read": 0}
    return traffic_dict(part.result.cost.traffic) if part.result.cost else None


def _energy(part: PartReport) -> EnergyData | None:
    hardware, layer = part.hardware, part.layer
    if part.result is not None:
        cost = part.result.cost
        return None if layer is None or cost is None else energy_dict(hardware, layer.macs, cost)
    nothing, moved = Traffic(0, 0, 0, 0), Traffic(0, 0, part.ofmap_words, 0)
    bits = moved.by_tensor(hardware) | {"ofmap": written_bits(hardware, part.ofmap_words)}
    return energy_parts(hardware, 0, nothing, bits, part.latency_cycles or Fraction(0))


def energy_dict(hardware: Hardware, macs: int, cost: Cost) -> EnergyData:
    """Energy by what takes it."""
    return energy_parts(hardware, macs, cost.array, cost.moved_bits(hardware), cost.latency_cycles)


def energy_parts(
    hardware: Hardware, macs: int, array: Traffic, dram: Mapping[str, int], cycles: Fraction
) -> EnergyData:
    """Energy by what takes it: of words at the array, of bits at the DRAM by tensor, and of time."""
    each, sram = hardware.energy, array.by_tensor(hardware)
    return {
        "mac": number(each.mac * macs),
        "static": number(each.static * cycles / Fraction(hardware.frequency)),
        "sram": {name: number(each.sram * (bits + dram[name])) for name, bits in sram.items()},
        "dram": {name: number(each.dram * bits) for name, bits in dram.items()},
    }


def traffic_dict(words: Traffic) -> Words:
    """Words per tensor as JSON has them."""
    return {name: getattr(words, name) for name in words.__slots__}


def _bounds(bound: LowerBound, objective: Objective) -> dict[str, Number | None]:
    """Bounds on every quantity, and on the objective if that is a weighted sum."""
    claims = dict.fromkeys([*(quantity.key for quantity in objective.quantities), objective.claim])
    return {claim: number(bound.of(claim)) for claim in claims}


def proof_dict(result: Result) -> ProofData:
    """What is proven about a result, and how it ended."""
    data: ProofData = {
        "lower_bound": _bounds(result.lower_bound, result.problem.objective),
        "bound_scope": result.bound_scope.value,
        "gap": result.gap,
        "latency_gap": result.latency_gap,
        "bound_from": {name: origin.value for name, origin in result.bound_from.items()},
        "termination": result.termination.value,
        "solution_status": result.solution_status.value,
        "seconds": round(result.seconds, 6),
    }
    if result.relaxed is not None:
        data["relaxation"] = _relaxation(result.relaxed, result, result.problem.objective)
    return data


def _relaxation(relaxed: LowerBound, answer: Result | DeconvolutionResult, to: Objective) -> RelaxationData:
    """What the relaxation proves by itself of what an answer reaches."""
    latency = answer.cost.latency_cycles if isinstance(answer, Result) and answer.cost else None
    if not isinstance(answer, Result):
        latency = answer.latency_cycles
    return {
        "lower_bound": _bounds(relaxed, to),
        "gap": relative_gap(answer.objective_value, relaxed.of(to.claim)),
        "latency_gap": relative_gap(latency, relaxed.latency_cycles),
    }


def _known_besides(data: PartData, part: PartReport) -> PartData:
    """With what its method knows besides, and why there is no mapping if there is none."""
    result = part.result
    if result is None:
        return data
    extras = {name: value for name, value in result.extras.items() if name != "error"}
    if extras:
        data["extras"] = extras
    error = internal_error(result)
    if error is not None:
        data["error"] = error
    elif result.cost is None:
        data["bytes_needed"] = number(Fraction(result.problem.smallest_need().total, 8))
    return data


def _written_only(part: PartReport) -> ProofData:
    """Outputs that no tap reaches: nothing is chosen, so nothing is left to prove."""
    return {
        "lower_bound": {
            "latency_cycles": number(part.latency_cycles),
            "traffic_bytes": number(part.traffic_bytes),
        },
        "bound_scope": BoundScope.MAP_SPACE.value,
        "gap": 0.0,
        "latency_gap": 0.0,
        "bound_from": {"latency": BoundFrom.FREE.value, "traffic": BoundFrom.FREE.value},
        "termination": Termination.OPTIMAL.value,
        "solution_status": SolutionStatus.OPTIMAL.value,
        "seconds": 0.0,
    }


def _shared_layer(
    solved: SolvedData, deconv: Deconvolution, best: DeconvolutionResult, subs: dict[str, SubConvolution]
) -> SharedLayerData:
    """A deconvolution whose sub-convolutions share ifmap tiles."""
    shared = best.shared
    assert shared is not None
    assert shared.mapping is not None
    assert shared.cost is not None
    parts = best.partition or shared.cost.footprint
    data: SharedLayerData = {
        **solved,
        "parts": [kernel_dict(deconv, kernel, subs[kernel.name]) for kernel in best.kernels],
        "mapping": shared_mapping_dict(deconv, shared.mapping, parts),
        "compute_cycles": shared.cost.compute_cycles,
        "traffic": traffic_dict(shared.cost.traffic),
        "energy": energy_dict(best.hardware, deconv.macs, shared.cost),
        "lower_bound": _bounds(best.lower_bound, best.objective),
        "bound_scope": best.bound_scope.value,
        "gap": best.gap,
        "latency_gap": best.latency_gap,
        "bound_from": best.bound_from,
        "termination": best.termination.value,
        "solution_status": best.solution_status.value,
        "seconds": round(best.seconds, 6),
        "groups": deconv.groups,
        "count": deconv.count,
    }
    if best.relaxed is not None:
        data["relaxation"] = _relaxation(best.relaxed, best, best.objective)
    return data


def kernel_dict(deconv: Deconvolution, kernel: KernelRow, sub: SubConvolution) -> KernelData:
    """A sub-kernel of a combined deconvolution as JSON has it."""
    return {
        "name": f"{deconv.name}/{kernel.name}",
        "groups": deconv.groups,
        "count": deconv.count,
        "geometry": geometry(sub.layer) if sub.layer else None,
        "placement": [placement(deconv, sub)],
        "kernel": list(kernel.kernel),
        "out": list(kernel.out),
        "rounds": list(kernel.filters),
    }
