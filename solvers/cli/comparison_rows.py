"""What a report says of each thing that was optimised, in one shape for all kinds of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from formulation.pricing.objective import Objective
from solvers.network.parts import LayerReport, PartReport
from solvers.network.report import Report
from solvers.result import BoundScope, LowerBound, Result, SolutionStatus, Termination
from solvers.shared.result import SharedResult

if TYPE_CHECKING:
    from solvers.shared.deconvolution import DeconvolutionResult


@dataclass(frozen=True, slots=True)
class MethodAnswer:
    """One layer, or one part of a split one, as one method has it; numbers are of one occurrence.

    Attributes:
        layer: its name in the network.
        part: the sub-convolution's name, empty for a whole layer.
        deconvolution: how a deconvolution is run; empty for a convolution.
        count: how many occurrences run.
        latency: in cycles; None if no mapping was found.
        traffic: in bytes.
        objective: the objective's own quantity: cycles, bytes (also for balanced) or the score.
        bound: proven lower bound on it.
        least_latency: the bound on latency.
        scope: where the bounds hold, ``map_space`` or ``partition``.
        termination: why the method stopped.
        status: what kind of mapping it is.
        seconds: wall time.
        iterations: of the solver, None if it counts none.
        nodes: of its search trees.
        relaxed: what the convex relaxation proves of the objective by itself, None if the method has none.
        models: mixed-integer programs with their sizes, as the exact method records them, and whose they are.
    """

    layer: str
    part: str
    deconvolution: str
    count: int
    latency: Fraction | None
    traffic: Fraction | None
    objective: Fraction | None
    bound: Fraction | float | None
    least_latency: Fraction | float | None
    scope: str
    termination: str
    status: str
    seconds: float
    iterations: int | None = None
    nodes: int | None = None
    relaxed: Fraction | float | None = None
    models: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Of the part, or of the layer if it is whole."""
        return self.part or self.layer


def answers(report: Report) -> Iterator[MethodAnswer]:
    """One per layer, or per sub-convolution of a split layer; what is only written is left out."""
    for layer in report.layers:
        if layer.weighed is not None:
            yield _weighed(layer, layer.weighed, report.objective)
            continue
        if layer.error is not None:
            yield _failed(layer, report)
            continue
        for part in layer.parts:
            if part.result is not None:
                yield _part(layer, part, part.result)


def written_only(report: Report) -> Iterator[PartReport]:
    """Parts that no method decides about."""
    for layer in report.layers:
        if layer.weighed is None and layer.error is None:
            yield from (part for part in layer.parts if part.result is None)


def _part(layer: LayerReport, part: PartReport, result: Result) -> MethodAnswer:
    return MethodAnswer(
        layer.operator.name,
        part.name if part.phases else "",
        layer.treatment.value if layer.treatment else "",
        part.count,
        part.latency_cycles,
        part.traffic_bytes,
        result.objective_value,
        result.lower_bound.of(result.problem.objective.claim),
        result.lower_bound.latency_cycles,
        result.bound_scope.value,
        result.termination.value,
        result.solution_status.value,
        result.seconds,
        result.iterations,
        result.nodes,
        _alone(result.relaxed, result.problem.objective),
        tuple(_models(result, part.name)),
    )


def _weighed(layer: LayerReport, best: DeconvolutionResult, objective: Objective) -> MethodAnswer:
    solved: list[Result | SharedResult] = [result for result, _ in best.parts]
    names = [part.name for part in layer.parts if part.result is not None]
    if best.shared is not None:
        solved.append(best.shared)
        names.append(f"{layer.operator.name} shared")
    return MethodAnswer(
        layer.operator.name,
        "",
        best.choice.value,
        layer.operator.count,
        best.latency_cycles,
        best.traffic_bytes,
        best.objective_value,
        best.lower_bound.of(objective.claim),
        best.lower_bound.latency_cycles,
        best.bound_scope.value,
        best.termination.value,
        best.solution_status.value,
        sum(result.seconds for result in solved),
        _sum([result.iterations for result in solved]),
        _sum([result.nodes for result in solved]),
        _alone(best.relaxed, objective),
        tuple(model for result, name in zip(solved, names, strict=True) for model in _models(result, name)),
    )


def _failed(layer: LayerReport, report: Report) -> MethodAnswer:
    """A combined deconvolution that the program failed on."""
    scope = BoundScope.MAP_SPACE if report.partition is None else BoundScope.PARTITION
    ends = (scope.value, Termination.ERROR.value, SolutionStatus.NONE.value)
    way = layer.treatment.value if layer.treatment else ""
    return MethodAnswer(
        layer.operator.name, "", way, layer.operator.count, None, None, None, None, None, *ends, 0.0
    )


def _alone(relaxed: LowerBound | None, objective: Objective) -> Fraction | float | None:
    return None if relaxed is None else relaxed.of(objective.claim)


def _models(result: Result | SharedResult, name: str) -> list[dict[str, Any]]:
    solves = result.extras.get("solves")
    if not isinstance(solves, list):
        return []
    return [{"part": name, **solve} for solve in solves if "size" in solve]


def _sum(numbers: list[int | None]) -> int | None:
    known = [n for n in numbers if n is not None]
    return sum(known) if known else None
