"""What a run found, layer by layer and in total, as data: dictionary, JSON, CSV, data frame."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import IO, TYPE_CHECKING, Any

from dnns.layer import Layer, Operator
from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.mapping import Mapping, Partition
from formulation.problem import Kind, Objective
from solvers.result import BoundScope, Result, SolutionStatus, Termination

if TYPE_CHECKING:
    import pandas as pd

    from solvers.scenario import Scenario


def number(value: Fraction | float | None) -> int | float | None:
    """A quantity as JSON has it: whole numbers as integers."""
    if value is None or isinstance(value, int):
        return value
    return int(value) if value == int(value) else float(value)


@dataclass(frozen=True, slots=True)
class PartReport:
    """One piece of a layer with its answer.

    Attributes:
        name: of the piece.
        layer: what was solved, None for outputs that no tap reaches: they are only written.
        count: how many identical ones run, repeated layers included.
        ofmap_words: outputs of one of them.
        result: the answer, None where ``layer`` is.
        phases: residues of the sub-convolutions that it stands for; empty if the layer is whole.
        hardware: the machine.
    """

    name: str
    layer: Layer | None
    count: int
    ofmap_words: int
    result: Result | None
    phases: tuple[str, ...]
    hardware: Hardware

    @property
    def solved(self) -> bool:
        """Whether there are numbers: a mapping was found, or none is needed."""
        return self.result is None or self.result.cost is not None

    @property
    def latency_cycles(self) -> Fraction | None:
        """Latency of one occurrence."""
        if self.result is None:
            bits = self.ofmap_words * self.hardware.bits.ofmap
            return self.hardware.tick.cycles(bits * self.hardware.tick.per_bit)
        return self.result.cost.latency_cycles if self.result.cost else None

    @property
    def traffic_bytes(self) -> Fraction | None:
        """Traffic of one occurrence."""
        if self.result is None:
            return Fraction(self.ofmap_words * self.hardware.bits.ofmap, 8)
        return self.result.cost.traffic_bytes if self.result.cost else None

    @property
    def compute_cycles(self) -> int | None:
        """Cycles of one occurrence in which the array works."""
        if self.result is None:
            return 0
        return self.result.cost.compute_cycles if self.result.cost else None

    @property
    def footprint(self) -> Partition | None:
        """Buffer taken per tensor [bits]."""
        return self.result.cost.footprint if self.result and self.result.cost else None

    def to_dict(self) -> dict[str, Any]:
        """The part as JSON has it."""
        data: dict[str, Any] = {
            "name": self.name,
            "groups": self.layer.groups if self.layer else 1,
            "count": self.count,
        }
        if self.phases:
            data["phases"] = list(self.phases)
        data |= {
            "mapping": self._mapping(),
            "latency_cycles": number(self.latency_cycles),
            "compute_cycles": self.compute_cycles,
            "traffic_bytes": number(self.traffic_bytes),
            "traffic": self._traffic(),
        }
        return data | (self._proof() if self.result else self._written_only())

    def _mapping(self) -> dict[str, Any] | None:
        if self.result is None or self.result.mapping is None or self.result.cost is None:
            return None
        return mapping_dict(self.result.mapping, self.result.problem.partition or self.result.cost.footprint)

    def _traffic(self) -> dict[str, int] | None:
        if self.result is None:
            return {"ifmap": 0, "weights": 0, "ofmap_write": self.ofmap_words, "ofmap_read": 0}
        if self.result.cost is None:
            return None
        words = self.result.cost.traffic
        return {name: getattr(words, name) for name in words.__slots__}

    def _proof(self) -> dict[str, Any]:
        result = self.result
        assert result is not None
        data = proof_dict(result)
        if result.extras:
            data["extras"] = dict(result.extras)
        if result.cost is None:
            data["bytes_needed"] = number(Fraction(result.problem.smallest_need().total, 8))
        return data

    def _written_only(self) -> dict[str, Any]:
        return {
            "lower_bound": {
                "latency_cycles": number(self.latency_cycles),
                "traffic_bytes": number(self.traffic_bytes),
            },
            "bound_scope": BoundScope.MAP_SPACE.value,
            "gap": 0.0,
            "latency_gap": 0.0,
            "termination": Termination.OPTIMAL.value,
            "solution_status": SolutionStatus.OPTIMAL.value,
            "seconds": 0.0,
        }


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
        "partition_bytes": {
            "ifmap": number(Fraction(parts.ifmap, 8)),
            "ofmap": number(Fraction(parts.ofmap, 8)),
            "weights": number(Fraction(parts.weights, 8)),
        },
    }


def proof_dict(result: Result) -> dict[str, Any]:
    """What is proven about a result, and how it ended."""
    bound = result.lower_bound
    bounds = {"latency_cycles": number(bound.latency_cycles), "traffic_bytes": number(bound.traffic_bytes)}
    if result.problem.objective.kind is Kind.WEIGHTED:
        bounds["score"] = number(bound.score)
    return {
        "lower_bound": bounds,
        "bound_scope": result.bound_scope.value,
        "gap": result.gap,
        "latency_gap": result.latency_gap,
        "termination": result.termination.value,
        "solution_status": result.solution_status.value,
        "seconds": round(result.seconds, 6),
    }


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer of the network: its parts, and their sums."""

    operator: Operator
    hardware: Hardware
    treatment: Treatment | None
    parts: tuple[PartReport, ...]

    @property
    def solved(self) -> bool:
        """Whether every part has numbers."""
        return all(part.solved for part in self.parts)

    @property
    def macs(self) -> int:
        """MACs as scheduled, all runs: zeros count where they are multiplied."""
        return sum(p.count * p.layer.macs for p in self.parts if p.layer)

    def total(self, quantity: str) -> Fraction | None:
        """Sum of a quantity over the parts with their counts; None unless all parts have it."""
        if not self.solved:
            return None
        return sum((p.count * Fraction(getattr(p, quantity)) for p in self.parts), Fraction(0))

    @property
    def compulsory_bytes(self) -> Fraction:
        """Bytes that must move, whatever the mapping, all runs."""
        return Fraction(self.operator.count * compulsory_bits(self.operator, self.hardware), 8)

    @property
    def roofline_cycles(self) -> Fraction:
        """Cycles below which no mapping can be, all runs."""
        ticks = roofline_ticks(self.operator, self.hardware)
        return self.operator.count * ticks / self.hardware.tick.per_cycle

    def to_dict(self) -> dict[str, Any]:
        """The layer as JSON has it."""
        return {
            "name": self.operator.name,
            "op": self.operator.op,
            "macs": self.macs,
            "deconvolution": self.treatment.value if self.treatment else None,
            "parts": [part.to_dict() for part in self.parts],
            "latency_cycles": number(self.total("latency_cycles")),
            "traffic_bytes": number(self.total("traffic_bytes")),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found.

    Attributes:
        network: its name.
        scenario: what was run.
        hardware: the machine.
        objective: what was minimised.
        layers: in the network's order.
        seconds: wall time of the whole run.
        partition: the single partition, if one was fixed for all layers.
    """

    network: str
    scenario: Scenario
    hardware: Hardware
    objective: Objective
    layers: tuple[LayerReport, ...]
    seconds: float
    partition: Partition | None = None

    @property
    def complete(self) -> bool:
        """Whether every layer has a mapping."""
        return all(layer.solved for layer in self.layers)

    def total(self, quantity: str) -> Fraction:
        """Sum of ``latency_cycles`` or ``traffic_bytes`` over the layers that have it."""
        return sum((layer.total(quantity) or Fraction(0) for layer in self.layers), Fraction(0))

    @property
    def solved_layers(self) -> Iterable[LayerReport]:
        """The layers that the totals cover."""
        return (layer for layer in self.layers if layer.solved)

    def totals(self) -> dict[str, Any]:
        """The totals as JSON has them; they cover the layers that fit."""
        solved = list(self.solved_layers)
        return {
            "macs": sum(layer.macs for layer in solved),
            "latency_cycles": number(self.total("latency_cycles")),
            "traffic_bytes": number(self.total("traffic_bytes")),
            "compulsory_bytes": number(sum((y.compulsory_bytes for y in solved), Fraction(0))),
            "roofline_cycles": number(sum((y.roofline_cycles for y in solved), Fraction(0))),
            "seconds": round(self.seconds, 6),
        }

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        data: dict[str, Any] = {
            "network": self.network,
            "method": self.scenario.search_method,
            "objective": self.scenario.objective.model_dump(),
            "hardware": self.scenario.hardware.model_dump(mode="json"),
            "versions": versions(),
            "complete": self.complete,
            "layers": [layer.to_dict() for layer in self.layers],
            "totals": self.totals(),
        }
        if self.partition is not None:
            names = ("ifmap", "ofmap", "weights")
            shares = (number(Fraction(part, 8)) for part in self.partition.parts)
            data["partition_bytes"] = dict(zip(names, shares, strict=True))
        return data

    def write_json(self, stream: IO[str]) -> None:
        """Write the report as JSON, floats in their shortest exact form."""
        json.dump(self.to_dict(), stream, indent=1, allow_nan=False)
        stream.write("\n")

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row per part, for tables; nested names joined with a dot."""
        for layer in self.to_dict()["layers"]:
            for part in layer["parts"]:
                row = {"layer": layer["name"], "op": layer["op"], "deconvolution": layer["deconvolution"]}
                yield row | dict(_flat(part))

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


def _flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested dictionaries as dotted names; lists as words with ``x`` between."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", "x".join(map(str, value))
        else:
            yield f"{prefix}{key}", value


def versions() -> dict[str, str]:
    """Versions of this tool and of what its numbers depend on."""
    found = {}
    for package in ("dnn-dataflow-optimizer", "numpy", "pyomo", "highspy", "cyipopt-wheels", "cyipopt"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
