"""What a run of a network as one problem found, as plain data; ``docs/results.md`` explains every field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import zip_longest
from typing import TYPE_CHECKING

from dnns.layer import Deconvolution, Node
from formulation.deconv import Treatment, split
from formulation.evaluation import Work
from formulation.network.frontiers.frontier import LayerWay, Point
from formulation.network.graph import LayerUse
from formulation.network.movement import Movement, kept_bits
from formulation.network.sharing import SharedWay
from solvers.network.data.geometry import geometry, placement
from solvers.network.data.layers import kernel_dict, operator_dict
from solvers.network.data.mappings import mapping_dict, shared_mapping_dict
from solvers.network.data.report import energy_delay_js
from solvers.network.data.subject import subject_dict
from solvers.network.resident.found import NetworkFound, Used, smallest_need
from solvers.network.resident.stack_data import stack_dict, stacked_parts
from solvers.result import number
from solvers.shared.deconvolution_result import kernel_rows

if TYPE_CHECKING:
    from solvers.network.data.fields import Words
    from solvers.network.data.network_fields import (
        NetworkResult,
        NetworkTotalsData,
        OperandsData,
        PieceData,
        PlacedLayerData,
    )


def network_dict(report: NetworkFound) -> NetworkResult:
    """A report as JSON has it; the totals cover the layers that fit."""
    scenario, machine = report.scenario, report.hardware
    level = scenario.network_level
    assert level != "layers"
    data: NetworkResult = {
        **subject_dict(scenario, report.source, scenario.backend, report.complete),
        "network_level": level,
        "backend": scenario.backend,
        "layers": list(_layers(report)),
        "stacks": [
            stack_dict(report, used.block.name, used.stacked)
            for used in report.used
            if used.stacked is not None
        ],
        "tensors": [
            {
                "name": tensor.name,
                "bytes": number(Fraction(kept_bits(machine, tensor), 8)),
                "from": report.graph.layers[tensor.producer or 0].name,
                "to": report.graph.layers[tensor.last].name,
                "written": tensor.is_output,
            }
            for tensor in report.staying
        ],
        "totals": _totals(report),
    }
    if level == "fused":
        data["longest_stack"] = scenario.longest_stack
    if scenario.weights_resident:
        data["weights"] = [
            {
                "layers": [report.graph.layers[position].name for position in weights.positions],
                "bytes": number(Fraction(weights.bits, 8)),
            }
            for weights in report.staying_weights
        ]
    return data


def _totals(report: NetworkFound) -> NetworkTotalsData:
    apart, single, tick = report.apart, report.single, report.hardware.tick
    fitting = (use for use in report.graph.layers if use.position not in report.unfit)
    latency_gap = None
    if report.latency_bound is not None:
        latency_gap = (
            float(1 - report.latency_bound / report.latency_cycles) if report.latency_cycles else 0.0
        )
    return {
        "macs": sum(use.layer.macs for use in fitting),
        "latency_cycles": number(report.latency_cycles),
        "traffic_bytes": number(report.traffic_bytes),
        "latency_cycles_layers": number(tick.cycles(apart.latency)) if apart else None,
        "traffic_bytes_layers": number(Fraction(apart.traffic, 8)) if apart else None,
        "latency_cycles_single": number(tick.cycles(single.latency)) if single else None,
        "traffic_bytes_single": number(Fraction(single.traffic, 8)) if single else None,
        "energy_pj": number(report.energy_pj()),
        "energy_pj_layers": number(report.energy_pj(apart)) if apart else None,
        "energy_pj_single": number(report.energy_pj(single)) if single else None,
        "least_energy_pj": number(report.least_energy_pj),
        "energy_delay_js": energy_delay_js(report.energy_pj(), report.latency_cycles, report.hardware),
        "compulsory_bytes": number(report.compulsory_bytes),
        "roofline_cycles": number(report.roofline_cycles),
        "lower_bound": {
            "latency_cycles": number(report.latency_bound),
            "traffic_bytes": number(report.traffic_bound),
            **({} if report.energy_bound is None else {"energy_pj": number(report.energy_bound)}),
        },
        "gap": report.gap,
        "latency_gap": latency_gap,
        "termination": report.choice.termination.value,
        "solution_status": report.status.value,
        "frontier_seconds": round(report.frontier_seconds, 6),
        "program_seconds": round(sum(stage.seconds for stage in report.choice.stages), 6),
        "seconds": round(report.seconds, 6),
    }


def _layers(report: NetworkFound) -> Iterator[PlacedLayerData]:
    graph, tick = report.graph, report.hardware.tick
    nodes = {node.name: node for node in report.source.nodes}
    for used in report.used:
        if used.stacked is not None:
            uses = (graph.layers[position] for position in used.block.positions)
            for use, part in zip(uses, stacked_parts(report, used.stacked), strict=True):
                yield {
                    **_operands(report, used, use, nodes[use.node]),
                    "parts": [part],
                    "latency_cycles": part["latency_cycles"],
                    "traffic_bytes": part["traffic_bytes"],
                    "energy_pj": None,
                }
            continue
        use = graph.layers[used.block.first]
        fits = use.position not in report.unfit
        data: PlacedLayerData = {
            **_operands(report, used, use, nodes[use.node]),
            "parts": [] if used.shared else list(_parts(report, use, used.point)),
            "latency_cycles": number(tick.cycles(used.point.latency)) if fits else None,
            "traffic_bytes": number(Fraction(used.point.traffic, 8)) if fits else None,
            "energy_pj": number(_energy(report, used.point)) if fits else None,
        }
        if used.shared is not None:
            _add_shared(data, report, used.shared)
        if not fits:
            data["bytes_needed"] = number(smallest_need(use.layer, report.hardware))
        yield data


def _add_shared(data: PlacedLayerData, report: NetworkFound, way: SharedWay) -> None:
    """The mapping of sub-convolutions that share ifmap tiles, the whole layer's, and rounds."""
    deconv, machine = way.deconv, report.hardware
    named, subs = replace(deconv, name=data["name"]), {sub.name: sub for sub in split(deconv)}
    rows = kernel_rows(deconv, way.mapping.rounds)
    work = way.work(machine)
    data["parts"] = [kernel_dict(named, row, subs[row.name]) for row in rows]
    data["groups"], data["count"] = deconv.groups, 1
    data["mapping"] = shared_mapping_dict(deconv, way.mapping, way.parts(machine))
    data["compute_cycles"], data["traffic"] = work.compute, _words(way.movement, work)


def _words(movement: Movement, work: Work) -> Words:
    words = movement.words(work.traffic)
    return {
        "ifmap": words.ifmap,
        "weights": words.weights,
        "ofmap_write": words.partial_sums + words.written,
        "ofmap_read": words.partial_sums,
        "drain_read": words.read,
    }


def _energy(report: NetworkFound, point: Point) -> Fraction:
    return point.priced_again(report.hardware).energy_pj(report.hardware)


def _operands(report: NetworkFound, used: Used, use: LayerUse, node: Node) -> OperandsData:
    """What a layer is, the stack that it is in, and where its operands are."""
    graph, stays, treatment = report.graph, report.choice.chosen.stays, None
    if isinstance(use.layer, Deconvolution):
        apart = Treatment.NAIVE if report.naive else Treatment.SPLIT
        treatment = Treatment.COMBINE if used.shared else apart
    return {
        **operator_dict(node, use.layer, report.hardware, treatment),
        "name": use.name,
        "stack": used.block.name if used.stacked else None,
        "on_chip": [graph.tensors[t].name for t in _read(use) if t in stays],
        "stays": [graph.tensors[t].name for t in use.emits if t in stays],
        "held_bytes": number(Fraction(report.held_bits(use.position), 8)),
    }


def _read(use: LayerUse) -> list[int]:
    """The tensors that a layer and its drain nodes read, each once."""
    sources = (*use.ifmap, *use.weights, *use.drain_reads)
    return list(dict.fromkeys(s.tensor for s in sources if s.tensor is not None))


def _parts(report: NetworkFound, use: LayerUse, point: Point) -> Iterator[PieceData]:
    """The pieces of a layer, each as it is run."""
    layer, machine = use.layer, report.hardware
    subs = split(layer) if len(point.ways) > 1 and isinstance(layer, Deconvolution) else ()
    for way, sub in zip_longest(point.ways, subs):
        cost = way.cost(machine)
        data: PieceData = {
            "name": f"{use.name}/{sub.name}" if sub else use.name,
            "groups": layer.groups,
            "count": 1,
            "geometry": None,
            "mapping": None,
            "latency_cycles": number(machine.tick.cycles(cost.latency)),
            "traffic_bytes": number(Fraction(cost.traffic, 8)),
            "energy_pj": number(cost.energy_pj(machine)),
        }
        if sub:
            assert isinstance(layer, Deconvolution)
            data["placement"] = [placement(layer, sub)]
        if isinstance(way, LayerWay):
            work, parts = way.work(machine), way.parts(machine)
            data["geometry"] = geometry(way.layer)
            data["mapping"] = mapping_dict(way.layer, way.mapping, parts)
            data["compute_cycles"] = work.compute
            data["traffic"] = _words(way.movement, work)
        yield data
