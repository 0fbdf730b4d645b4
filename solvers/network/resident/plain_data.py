"""What a run of a network as one problem found, as plain data; ``docs/results.md`` explains every field."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from dnns.layer import Deconvolution
from formulation.deconv import split
from formulation.network.frontier import LayerWay, Point
from formulation.network.graph import LayerUse
from formulation.network.movement import kept_bits
from solvers.network.plain_data import mapping_dict, versions
from solvers.network.resident.found import NetworkFound, smallest_need
from solvers.network.resident.stack_data import stack_dict, stacked_parts
from solvers.network.subject import hardware_dict, subject_dict
from solvers.result import number


def network_dict(report: NetworkFound) -> dict[str, Any]:
    """A report as JSON has it; the totals cover the layers that fit."""
    scenario, machine = report.scenario, report.hardware
    return {
        "network": report.network,
        **subject_dict(scenario, report.source),
        "method": scenario.search_method,
        "network_level": scenario.network_level,
        "objective": scenario.objective.model_dump(),
        "hardware": hardware_dict(scenario, report.source),
        "backend": scenario.backend,
        "versions": versions(scenario.backend),
        "complete": report.complete,
        **({"longest_stack": scenario.longest_stack} if scenario.network_level == "fused" else {}),
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


def _totals(report: NetworkFound) -> dict[str, Any]:
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
        "compulsory_bytes": number(report.compulsory_bytes),
        "roofline_cycles": number(report.roofline_cycles),
        "lower_bound": {
            "latency_cycles": number(report.latency_bound),
            "traffic_bytes": number(report.traffic_bound),
        },
        "gap": report.gap,
        "latency_gap": latency_gap,
        "termination": report.choice.termination.value,
        "solution_status": report.status.value,
        "frontier_seconds": round(report.frontier_seconds, 6),
        "program_seconds": round(sum(stage.seconds for stage in report.choice.stages), 6),
        "seconds": round(report.seconds, 6),
    }


def _layers(report: NetworkFound) -> Iterator[dict[str, Any]]:
    graph, tick = report.graph, report.hardware.tick
    for used in report.used:
        if used.stacked is not None:
            uses = (graph.layers[position] for position in used.block.positions)
            for use, part in zip(uses, stacked_parts(report, used.stacked), strict=True):
                numbers = {name: part[name] for name in ("latency_cycles", "traffic_bytes")}
                yield _operands(report, use, used.block.name) | {"parts": [part]} | numbers
            continue
        use = graph.layers[used.block.first]
        fits = use.position not in report.unfit
        data = _operands(report, use, None) | {
            "parts": list(_parts(report, use, used.point)),
            "latency_cycles": number(tick.cycles(used.point.latency)) if fits else None,
            "traffic_bytes": number(Fraction(used.point.traffic, 8)) if fits else None,
        }
        if not fits:
            data["bytes_needed"] = number(smallest_need(use.layer, report.hardware))
        yield data


def _operands(report: NetworkFound, use: LayerUse, stack: str | None) -> dict[str, Any]:
    """What a layer is, the stack that it is in, and where its operands are."""
    graph, stays = report.graph, report.choice.chosen.stays
    return {
        "name": use.name,
        "op": use.layer.op,
        "macs": use.layer.macs,
        "deconvolution": report.treatment.value if isinstance(use.layer, Deconvolution) else None,
        "stack": stack,
        "on_chip": [graph.tensors[t].name for t in _read(use) if t in stays],
        "stays": [graph.tensors[t].name for t in use.emits if t in stays],
        "held_bytes": number(Fraction(report.held_bits(use.position), 8)),
    }


def _read(use: LayerUse) -> list[int]:
    """The tensors that a layer and its drain nodes read, each once."""
    sources = (*use.ifmap, *use.weights, *use.drain_reads)
    return list(dict.fromkeys(s.tensor for s in sources if s.tensor is not None))


def _parts(report: NetworkFound, use: LayerUse, point: Point) -> Iterator[dict[str, Any]]:
    """The pieces of a layer, each as it is run."""
    layer, machine = use.layer, report.hardware
    names = [use.name]
    if len(point.ways) > 1 and isinstance(layer, Deconvolution):
        names = [f"{use.name}/{sub.name}" for sub in split(layer)]
    for name, way in zip(names, point.ways, strict=False):
        cost = way.cost(machine)
        data: dict[str, Any] = {"name": name, "groups": layer.groups, "count": 1, "mapping": None}
        if isinstance(way, LayerWay):
            work, parts = way.work(machine), way.parts(machine)
            words = way.movement.words(work.traffic)
            data["mapping"] = mapping_dict(way.mapping, parts)
            data["compute_cycles"] = work.compute
            data["traffic"] = {
                "ifmap": words.ifmap,
                "weights": words.weights,
                "ofmap_write": words.partial_sums + words.written,
                "ofmap_read": words.partial_sums,
                "drain_read": words.read,
            }
        data["latency_cycles"] = number(machine.tick.cycles(cost.latency))
        data["traffic_bytes"] = number(Fraction(cost.traffic, 8))
        yield data
