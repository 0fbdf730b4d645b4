"""What a run of a network as one problem found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from dnns.layer import Deconvolution, Network, Operator
from formulation.deconv import Treatment, split
from formulation.hardware import Hardware
from formulation.network.bounds import compulsory_bits, least_spent, roofline_ticks
from formulation.network.frontiers.frontier import Point
from formulation.network.graph import Tensor, TensorGraph
from formulation.network.movement import kept_bits
from formulation.network.program.blocks import Block
from formulation.network.sharing import SharedWay
from formulation.network.stacks.search.frontier import StackWay
from formulation.network.weights import TrainedWeights
from formulation.pricing import objective as quantities
from formulation.pricing.objective import Quantity
from formulation.problem import Objective, Problem
from solvers.network.resident.outcome import ENERGY, LATENCY, TRAFFIC, Choice
from solvers.result import SolutionStatus, Termination
from solvers.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Used:
    """One block of the choice.

    Attributes:
        block: the block.
        point: how it is run.
    """

    block: Block
    point: Point

    @property
    def stacked(self) -> StackWay | None:
        """How it is run if it is a stack."""
        way = self.point.ways[0] if self.point.ways else None
        return way if isinstance(way, StackWay) else None

    @property
    def shared(self) -> SharedWay | None:
        """How its sub-convolutions are run if they share ifmap tiles."""
        way = self.point.ways[0] if self.point.ways else None
        return way if isinstance(way, SharedWay) else None


@dataclass(frozen=True)
class NetworkFound:
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
        single: the same if no stack has more than one layer, for what fusion gains; None without stacks.
        unfit: positions of the layers that do not fit, or have an error.
        errors: of the program, by the layer's position.
        frontier_seconds: wall time until all frontiers were made.
        seconds: wall time of the whole run.
        weights: trained ones that could stay for good.
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
    single: Choice | None
    unfit: frozenset[int]
    errors: dict[int, str]
    frontier_seconds: float
    seconds: float
    weights: tuple[TrainedWeights, ...] = ()

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
    def naive(self) -> bool:
        """Whether deconvolutions are zero-inserted."""
        return self.scenario.treatment is Treatment.NAIVE

    @property
    def staying(self) -> list[Tensor]:
        """The tensors that stay, in order."""
        return [tensor for tensor in self.graph.tensors if tensor.index in self.choice.chosen.stays]

    @property
    def staying_weights(self) -> list[TrainedWeights]:
        """Those that stay for good, in order."""
        return [self.weights[w] for w in sorted(self.choice.chosen.weights)]

    def resident(self, position: int) -> bool:
        """Whether a layer's trained weights stay for good."""
        return any(position in w.positions for w in self.staying_weights)

    def held_bits(self, position: int) -> int:
        """Bits of what stays while a layer runs: tensors, and weights that do so for good."""
        tensors = sum(kept_bits(self.hardware, t) for t in self.staying if t.alive(position))
        return tensors + sum(w.bits for w in self.staying_weights)

    @property
    def traffic_bytes(self) -> Fraction:
        """Total."""
        return Fraction(self.choice.traffic, 8)

    @property
    def latency_cycles(self) -> Fraction:
        """Total."""
        return self.hardware.tick.cycles(self.choice.latency)

    def energy_pj(self, choice: Choice | None = None) -> Fraction:
        """Total of a choice, of the one that was made if none is given; whether or not it was asked for."""
        return self.hardware.quantum.told((choice or self.choice).energy(self.hardware))

    @property
    def least_energy_pj(self) -> Fraction:
        """Energy that any schedule of the network takes."""
        for_good, energy = self.scenario.weights_resident, self.hardware.quantum
        return energy.told(least_spent(self.graph, self.hardware, energy, for_good))

    @property
    def compulsory_bytes(self) -> Fraction:
        """Bytes that any schedule of the network moves."""
        for_good = self.scenario.weights_resident
        return Fraction(compulsory_bits(self.graph, self.hardware, for_good), 8)

    @property
    def roofline_cycles(self) -> Fraction:
        """Cycles below which no schedule of the network can be."""
        ticks = roofline_ticks(self.graph, self.hardware, self.scenario.weights_resident)
        return ticks / self.hardware.tick.per_cycle

    @property
    def traffic_bound(self) -> Fraction | None:
        """Proven for every choice [bytes]; for balanced for those within the latency cap."""
        bound = self.choice.bound(TRAFFIC) if self._minimises(quantities.TRAFFIC) else None
        return None if bound is None else Fraction(bound, 8)

    @property
    def latency_bound(self) -> Fraction | None:
        """Proven for every choice [cycles]."""
        bound = self.choice.bound(LATENCY) if self._minimises(quantities.LATENCY) else None
        return None if bound is None else self.hardware.tick.cycles(bound)

    def _minimises(self, quantity: Quantity) -> bool:
        """Whether a step of the objective minimises a quantity by itself, ties aside."""
        return self.objective.quantity is not None and self.objective.needs(quantity)

    @property
    def energy_bound(self) -> Fraction | None:
        """Proven for every choice [pJ]; None unless energy is the objective."""
        bound = self.choice.bound(ENERGY)
        return None if bound is None else self.hardware.quantum.told(bound)

    @property
    def gap(self) -> float:
        """``(value - bound) / value`` of the objective's own quantity."""
        at = 1 if self.objective.capped else 0
        stage = self.choice.stages[at]
        return float(Fraction(stage.total - stage.bound, stage.total)) if stage.total else 0.0

    @property
    def status(self) -> SolutionStatus:
        """What kind of point is held."""
        proven = self.gap == 0 and not self.errors and self.choice.termination is Termination.OPTIMAL
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


def smallest_need(layer: Operator, hardware: Hardware) -> Fraction:
    """Bytes that the smallest tile of a layer takes, of a deconvolution that of its largest part."""
    layers = [sub.layer for sub in split(layer)] if isinstance(layer, Deconvolution) else [layer]
    needs = [Problem(part, hardware).smallest_need().total for part in layers if part is not None]
    return Fraction(max(needs, default=0), 8)
