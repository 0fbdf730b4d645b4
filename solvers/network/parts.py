"""What a run found: of each part of a layer, of each layer, and in total."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from dnns.layer import Layer, Network, Node, Operator
from formulation.bounds import (
    compulsory_bits,
    least_communication_bits,
    least_energy_pj,
    least_traffic_bits,
    roofline_ticks,
)
from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.pricing.price import written_bits, written_ticks
from formulation.problem import Objective
from solvers.network.data.subject import carries_bits
from solvers.result import Result, internal_error

if TYPE_CHECKING:
    from solvers.network.slack import Slack
    from solvers.scenario import Scenario
    from solvers.shared.deconvolution import DeconvolutionResult


@dataclass(frozen=True, slots=True, repr=False)
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

    def __repr__(self) -> str:
        return f"<PartReport {self.name}, {self.count} times: {self.result!r}>"

    @property
    def solved(self) -> bool:
        """Whether there are numbers: a mapping was found, or none is needed."""
        return self.result is None or self.result.cost is not None

    @property
    def error(self) -> str | None:
        """The internal error in place of an answer."""
        return internal_error(self.result) if self.result is not None else None

    @property
    def latency_cycles(self) -> Fraction | None:
        """Latency of one occurrence."""
        if self.result is None:
            bits = written_bits(self.hardware, self.ofmap_words)
            return self.hardware.tick.cycles(written_ticks(self.hardware, bits))
        return self.result.cost.latency_cycles if self.result.cost else None

    @property
    def traffic_bytes(self) -> Fraction | None:
        """Traffic of one occurrence."""
        if self.result is None:
            return Fraction(written_bits(self.hardware, self.ofmap_words), 8)
        return self.result.cost.traffic_bytes if self.result.cost else None

    @property
    def energy_pj(self) -> Fraction | None:
        """Energy of one occurrence."""
        if self.result is None:
            bits = written_bits(self.hardware, self.ofmap_words)
            energy = self.hardware.quantum
            return energy.told(energy.of(0, 0, bits, written_ticks(self.hardware, bits)))
        return self.result.cost.energy_pj(self.hardware) if self.result.cost else None

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

    @property
    def sensitivity(self) -> dict[str, float]:
        """Marginal values of buffer and bandwidth for one occurrence, where the method has them."""
        values = self.result.extras.get("sensitivity") if self.result else None
        known = values.items() if isinstance(values, dict) else ()
        return {name: value for name, value in known if value is not None}


@dataclass(frozen=True, slots=True, repr=False)
class LayerReport:
    """One layer of the network: its parts, and their sums.

    Attributes:
        node: the operator of the network that it is.
        hardware: the machine, with the layer's own word widths where the network carries them.
        treatment: how a deconvolution is run: of ``combine``, the better way.
        parts: its pieces.
        shared: the answer with shared ifmap tiles, if that is how it is run; ``parts`` then are what
            ``split`` would be.
        weighed: the answer of ``combine``, whichever way it chose; None if it was not asked for.
        error: the internal error in place of that answer; ``parts`` then are what ``split`` would be.
    """

    node: Node
    hardware: Hardware
    treatment: Treatment | None
    parts: tuple[PartReport, ...]
    shared: DeconvolutionResult | None = None
    weighed: DeconvolutionResult | None = None
    error: str | None = None

    def __repr__(self) -> str:
        way = f"{self.treatment}, " if self.treatment else ""
        numbers = ", ".join(
            f"{told} {'-' if value is None else format(float(value), ',.6g')}"
            for told in ("latency_cycles", "traffic_bytes")
            for value in (self.total(told),)
        )
        return f"<LayerReport {self.operator.name}: {way}{len(self.parts)} parts, {numbers}>"

    @property
    def operator(self) -> Operator:
        """The layer."""
        assert self.node.layer is not None
        return self.node.layer

    @property
    def solved(self) -> bool:
        """Whether every part has numbers."""
        if self.error is not None:
            return False
        return self.shared is not None or all(part.solved for part in self.parts)

    @property
    def macs(self) -> int:
        """MACs as scheduled, all runs: zeros count where they are multiplied."""
        return sum(p.count * p.layer.macs for p in self.parts if p.layer)

    def total(self, quantity: str) -> Fraction | None:
        """Sum of a quantity over the parts with their counts; None unless all parts have it."""
        return summed(self.terms(quantity)) if self.solved else None

    def terms(self, quantity: str) -> Iterator[tuple[int, Fraction]]:
        """A quantity of each part with its count, of a layer that is solved."""
        if self.shared is not None:
            yield self.operator.count, Fraction(getattr(self.shared, quantity))
        else:
            for part in self.parts:
                yield part.count, getattr(part, quantity)

    @property
    def compulsory_bytes(self) -> Fraction:
        """Bytes that must move, whatever the schedule, all runs."""
        return Fraction(self.bits(compulsory_bits), 8)

    @property
    def least_communication_bytes(self) -> Fraction:
        """Bytes that any schedule moves with so small a buffer, all runs; may be below the compulsory."""
        return Fraction(self.bits(least_communication_bits), 8)

    @property
    def least_traffic_bytes(self) -> Fraction:
        """The greater of the two."""
        return Fraction(self.bits(least_traffic_bits), 8)

    def bits(self, least: Callable[[Operator, Hardware], int]) -> int:
        """What one run moves at least, of all runs."""
        return self.operator.count * least(self.operator, self.hardware)

    @property
    def roofline_cycles(self) -> Fraction:
        """Cycles below which no mapping can be, all runs."""
        ticks = roofline_ticks(self.operator, self.hardware)
        return self.operator.count * ticks / self.hardware.tick.per_cycle

    @property
    def least_energy_pj(self) -> Fraction:
        """Energy below which no mapping can be, all runs [pJ]."""
        return self.operator.count * least_energy_pj(self.operator, self.hardware)


@dataclass(frozen=True, slots=True)
class RunTotals:
    """What a run found, layer by layer, and its sums.

    Attributes:
        network: its name.
        graph: the network itself.
        scenario: what was run.
        hardware: the machine.
        objective: what was minimised.
        layers: in the network's order.
        seconds: wall time of the whole run.
        partition: the single partition, if one was fixed for all layers.
        slack: how the tolerance was shared out, if it is over the network.
    """

    network: str
    graph: Network
    scenario: Scenario
    hardware: Hardware
    objective: Objective
    layers: tuple[LayerReport, ...]
    seconds: float
    partition: Partition | None = None
    slack: Slack | None = None

    @property
    def carries_bits(self) -> bool:
        """Whether the widths of words are the network's own."""
        return carries_bits(self.scenario, self.graph)

    @property
    def complete(self) -> bool:
        """Whether every layer has a mapping."""
        return all(layer.solved for layer in self.layers)

    @property
    def compulsory_bytes(self) -> Fraction:
        """Bytes that must move, over the layers that fit."""
        return Fraction(sum(layer.bits(compulsory_bits) for layer in self.solved_layers), 8)

    @property
    def least_traffic_bytes(self) -> Fraction:
        """Bytes that any schedule of each layer by itself moves, of the solved layers."""
        return Fraction(sum(layer.bits(least_traffic_bits) for layer in self.solved_layers), 8)

    @property
    def roofline_cycles(self) -> Fraction:
        """Cycles below which no mappings can be, over the layers that fit."""
        return summed((1, layer.roofline_cycles) for layer in self.solved_layers)

    def total(self, quantity: str) -> Fraction:
        """Sum of ``latency_cycles``, ``traffic_bytes`` or ``energy_pj`` over the layers that have it."""
        return summed(term for layer in self.solved_layers for term in layer.terms(quantity))

    @property
    def solved_layers(self) -> Iterable[LayerReport]:
        """The layers that the totals cover."""
        return (layer for layer in self.layers if layer.solved)

    @property
    def least_energy_pj(self) -> Fraction:
        """Energy below which no mappings can be, over the layers that fit."""
        return summed((1, layer.least_energy_pj) for layer in self.solved_layers)

    def sensitivity(self) -> dict[str, float] | None:
        """Marginal values of buffer and bandwidth, summed over the parts that have them; None if none has."""
        total: dict[str, float] = {}
        for layer in self.layers:
            for part in layer.parts if layer.shared is None else ():
                for name, value in part.sensitivity.items():
                    total[name] = total.get(name, 0.0) + part.count * value
        return total or None


def summed(terms: Iterable[tuple[int, Fraction]]) -> Fraction:
    """The sum of counts times numbers; these share a few denominators, so most of it is one of integers."""
    over: dict[int, int] = {}
    for count, value in terms:
        numerator, denominator = value.as_integer_ratio()
        over[denominator] = over.get(denominator, 0) + count * numerator
    sums = [Fraction(total, denominator) for denominator, total in over.items()]
    return sum(sums[1:], sums[0]) if sums else Fraction(0)
