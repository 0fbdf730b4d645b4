"""What the programs of a network found, and what they prove."""

from __future__ import annotations

from dataclasses import dataclass

from formulation.hardware import Hardware
from formulation.network.frontiers.frontier import Point
from formulation.network.program.blocks import TotalMeasure
from formulation.network.program.choice import Chosen
from formulation.pricing import objective
from formulation.pricing.objective import Measure
from solvers.result import Termination

LATENCY, TRAFFIC, ENERGY = (
    TotalMeasure.whole(Measure.only(quantity))
    for quantity in (objective.LATENCY, objective.TRAFFIC, objective.ENERGY)
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One program of the hierarchy, solved.

    Attributes:
        measure: what was minimised.
        total: of the solution.
        bound: proven; equal to ``total`` if that is optimal.
        termination: why it ended.
        seconds: it took, building included.
        nodes: of the branch-and-bound tree.
        size: rows and columns of the program.
    """

    measure: TotalMeasure
    total: int
    bound: int
    termination: Termination
    seconds: float
    nodes: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was found.

    Attributes:
        chosen: tensors that stay, and how each block is run.
        points: of the blocks that are used, in order.
        stages: of the hierarchy, in order; the last is what ``chosen`` solves.
    """

    chosen: Chosen
    points: tuple[Point, ...]
    stages: tuple[Stage, ...]

    @property
    def latency(self) -> int:
        """Total [ticks]."""
        return sum(point.latency for point in self.points)

    @property
    def traffic(self) -> int:
        """Total [bits]."""
        return sum(point.traffic for point in self.points)

    def energy(self, hardware: Hardware) -> int:
        """Total [quanta], whether or not it was asked for."""
        return sum(way.cost(hardware).spent(hardware.quantum) for point in self.points for way in point.ways)

    def bound(self, measure: TotalMeasure) -> int | None:
        """What is proven of a measure, by the first program that minimises it; None if none does."""
        return next((stage.bound for stage in self.stages if stage.measure == measure), None)

    @property
    def termination(self) -> Termination:
        """``OPTIMAL`` if all programs were solved."""
        ends = [stage.termination for stage in self.stages]
        return next((end for end in ends if end is not Termination.OPTIMAL), Termination.OPTIMAL)
