"""What a solver returns for a deconvolution with shared ifmap tiles."""

from __future__ import annotations

from collections.abc import Mapping as Fields
from dataclasses import dataclass, field
from fractions import Fraction

from formulation.cost import Cost
from formulation.problem import Kind
from formulation.shared import SharedMapping, SharedProblem
from solvers.result import BoundScope, LowerBound, SolutionStatus, Termination


@dataclass(frozen=True, slots=True)
class SharedResult:
    """The answer to a shared problem; attributes and properties as of ``solvers.result.Result``."""

    problem: SharedProblem
    method: str
    termination: Termination
    solution_status: SolutionStatus
    mapping: SharedMapping | None = None
    cost: Cost | None = None
    lower_bound: LowerBound = field(default_factory=LowerBound)
    seconds: float = 0.0
    iterations: int | None = None
    nodes: int | None = None
    extras: Fields[str, object] = field(default_factory=dict)

    @property
    def bound_scope(self) -> BoundScope:
        """Where the bound holds."""
        return BoundScope.MAP_SPACE if self.problem.partition is None else BoundScope.PARTITION

    @property
    def objective_value(self) -> Fraction | None:
        """The objective's own quantity: cycles, bytes (also for balanced) or the weighted score."""
        if self.cost is None:
            return None
        match self.problem.objective.kind:
            case Kind.LATENCY:
                return self.cost.latency_cycles
            case Kind.WEIGHTED:
                return self.problem.score(self.cost.latency_ticks, self.cost.traffic_bits)
            case _:
                return self.cost.traffic_bytes

    @property
    def gap(self) -> float | None:
        """``(objective - bound) / objective`` of the objective's own quantity."""
        bounds = {Kind.LATENCY: self.lower_bound.latency_cycles, Kind.WEIGHTED: self.lower_bound.score}
        return relative_gap(
            self.objective_value, bounds.get(self.problem.objective.kind, self.lower_bound.traffic_bytes)
        )

    @property
    def latency_gap(self) -> float | None:
        """The same for latency, against the bound on the least latency of all."""
        return relative_gap(self.cost.latency_cycles if self.cost else None, self.lower_bound.latency_cycles)


def relative_gap(value: Fraction | None, bound: Fraction | float | None) -> float | None:
    """``(value - bound) / value``, None where one is not known."""
    if value is None or bound is None:
        return None
    return float((value - Fraction(bound)) / value)
