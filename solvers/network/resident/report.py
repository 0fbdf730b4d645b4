"""What a run of a network as one problem found, and the same as plain data."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any

from dnns.layer import Deconvolution, Network, Operator
from formulation.deconv import split
from formulation.hardware import Hardware
from formulation.network.blocks import Block
from formulation.network.bounds import compulsory_bits, roofline_ticks
from formulation.network.frontier import LayerWay, Point
from formulation.network.graph import LayerUse, Tensor, TensorGraph
from formulation.network.movement import kept_bits
from formulation.problem import Kind, Objective, Problem
from solvers.network.plain_data import flat, mapping_dict, versions
from solvers.network.resident.choose import LATENCY, TRAFFIC, Choice
from solvers.network.subject import hardware_dict, subject_dict
from solvers.result import SolutionStatus, Termination, number
from solvers.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Used:
    """One block of the choice.

    Attributes:
        block: the block.
        point: how it is run.
    """

    block: Block
    point: Point


@dataclass(frozen=True)
class NetworkReport:
    """What a run found.

    Attributes:
        network: its name.
        scenario: what was run.
        hardware: the machine.
        objective: what was minimised.
        source: the network itself.
        graph: layers and tensors.
        blocks: that could be chosen; those of layers that do not fit cost nothing.
        choice: what was chosen.
        apart: the same if nothing stays; None if some layer does not fit then.
        unfit: positions of the layers that do not fit, or have an error.
        errors: of the program, by the layer's position.
        frontier_seconds: wall time until all frontiers were made.
        seconds: wall time of the whole run.
    """

    network: str
    scenario: Scenario
    hardware: Hardware
    objective: Objective
    source: Network
    graph: TensorGraph
    blocks: tuple[Block, ...]
    choice: Choice
    apart: Choice | None
    unfit: frozenset[int]
    errors: dict[int, str]
    frontier_seconds: float
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every layer has a mapping."""
        return not self.unfit

    @property
    def used(self) -> Iterator[Used]:
        """The blocks of the choice, in order."""
        for (b, _, _), point in zip(self.choice.chosen.runs, self.choice.points, strict=True):
            yield Used(self.blocks[b], point)

    @property
    def staying(self) -> list[Tensor]:
        """The tensors that stay, in order."""
        return [tensor for tensor in self.graph.tensors if tensor.index in self.choice.chosen.stays]

    def held_bits(self, position: int) -> int:
        """Bits of the tensors that stay while a layer runs."""
        return sum(kept_bits(self.hardware, t) for t in self.staying if t.alive(position))

    @property
    def traffic_bytes(self) -> Fraction:
        """Total."""
        return Fraction(self.choice.traffic, 8)

    @property
    def latency_cycles(self) -> Fraction:
        """Total."""
        return self.hardware.tick.cycles(self.choice.latency)

    @property
    def compulsory_bytes(self) -> Fraction:
        """Bytes that any schedule of the network moves."""
        return Fraction(compulsory_bits(self.graph, self.hardware), 8)

    @property
    def roofline_cycles(self) -> Fraction:
        """Cycles below which no schedule of the network can be."""
        return Fraction(roofline_ticks(self.graph, self.hardware)) / self.hardware.tick.per_cycle

    @property
    def traffic_bound(self) -> Fraction | None:
        """Proven for every choice [bytes]; for balanced for those within the latency cap."""
        bound = None if self.objective.kind is Kind.LATENCY else self.choice.bound(TRAFFIC)
        return None if bound is None else Fraction(bound, 8)

    @property
    def latency_bound(self) -> Fraction | None:
        """Proven for every choice [cycles]."""
        known = self.objective.kind in (Kind.LATENCY, Kind.BALANCED)
        bound = self.choice.bound(LATENCY) if known else None
        return None if bound is None else self.hardware.tick.cycles(bound)

    @property
    def gap(self) -> float:
        """``(value - bound) / value`` of the objective's own quantity."""
        at = 1 if self.objective.kind is Kind.BALANCED else 0
        stage = self.choice.stages[at]
        return float(Fraction(stage.total - stage.bound, stage.total)) if stage.total else 0.0

    @property
    def status(self) -> SolutionStatus:
        """What kind of point is held."""
        proven = self.gap == 0 and self.choice.termination is Termination.OPTIMAL
        return SolutionStatus.OPTIMAL if proven else SolutionStatus.FEASIBLE

    def error_lines(self) -> Iterator[str]:
        """One line for each layer that the program failed on."""
        for position, text in self.errors.items():
            yield f"{self.graph.layers[position].name}: internal error: {text}"

    def unfit_lines(self) -> Iterator[str]:
        """One line for each layer that does not fit."""
        room = f"{self.hardware.buffer_bits / 8:,.0f} bytes"
        for position in sorted(self.unfit - self.errors.keys()):
            use = self.graph.layers[position]
            need = f"{float(smallest_need(use.layer, self.hardware)):,.0f} bytes"
            yield f"{use.name}: does not fit: its smallest tile needs {need}, there are {room}"

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return network_dict(self)

    def write_json(self, stream: IO[str]) -> None:
        """Write the report as JSON, floats in their shortest exact form."""
        json.dump(self.to_dict(), stream, indent=1, allow_nan=False)
        stream.write("\n")

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row per part, for tables; nested names joined with a dot."""
        for layer in self.to_dict()["layers"]:
            names = ("op", "deconvolution", "stack", "on_chip", "stays", "held_bytes")
            for part in layer["parts"] or [{}]:
                row = {"layer": layer["name"], **{name: layer[name] for name in names}, **part}
                yield dict(flat(row))

    def write_csv(self, stream: IO[str]) -> None:
        """Write one line per part."""
        rows = list(self.rows())
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(stream, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)

    def to_frame(self) -> pd.DataFrame:
        """One row per part as a pandas data frame; needs pandas."""
        import pandas as pd

        return pd.DataFrame(list(self.rows()))


def smallest_need(layer: Operator, hardware: Hardware) -> Fraction:
    """Bytes that the smallest tile of a layer takes, of a deconvolution that of its largest part."""
    layers = [sub.layer for sub in split(layer)] if isinstance(layer, Deconvolution) else [layer]
    needs = [Problem(part, hardware).smallest_need().total for part in layers if part is not None]
    return Fraction(max(needs, default=0), 8)


def network_dict(report: NetworkReport) -> dict[str, Any]:
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
        "layers": list(_layers(report)),
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


def _totals(report: NetworkReport) -> dict[str, Any]:
    apart, tick = report.apart, report.hardware.tick
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


def _layers(report: NetworkReport) -> Iterator[dict[str, Any]]:
    graph, stays, tick = report.graph, report.choice.chosen.stays, report.hardware.tick
    for used in report.used:
        use = graph.layers[used.block.first]
        fits = use.position not in report.unfit
        data: dict[str, Any] = {
            "name": use.name,
            "op": use.layer.op,
            "macs": use.layer.macs,
            "deconvolution": report.scenario.deconvolution if isinstance(use.layer, Deconvolution) else None,
            "stack": None,
            "on_chip": [graph.tensors[t].name for t in _read(use) if t in stays],
            "stays": [graph.tensors[t].name for t in use.emits if t in stays],
            "held_bytes": number(Fraction(report.held_bits(use.position), 8)),
            "parts": list(_parts(report, use, used.point)),
            "latency_cycles": number(tick.cycles(used.point.latency)) if fits else None,
            "traffic_bytes": number(Fraction(used.point.traffic, 8)) if fits else None,
        }
        if not fits:
            data["bytes_needed"] = number(smallest_need(use.layer, report.hardware))
        yield data


def _read(use: LayerUse) -> list[int]:
    """The tensors that a layer and its drain nodes read, each once."""
    sources = (*use.ifmap, *use.weights, *use.drain_reads)
    return list(dict.fromkeys(s.tensor for s in sources if s.tensor is not None))


def _parts(report: NetworkReport, use: LayerUse, point: Point) -> Iterator[dict[str, Any]]:
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
