"""What is explored of a network: its layers and their distinct problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dnns.errors import InputError
from dnns.layer import Deconvolution, Layer, Network
from formulation.deconv import Treatment
from formulation.problem import Kind, Objective, Problem
from solvers.network.attempt import Failure
from solvers.network.levels import check_layers_only
from solvers.network.plan import Planned, plan_of
from solvers.network.tasks import Notify, Task, run_tasks
from solvers.scenario import Scenario

if TYPE_CHECKING:
    from solvers.network.workers import Workers


def wanted_layers(scenario: Scenario, network: Network, layer: str | None) -> list[Planned]:
    """The layers, or the one of that name; deconvolutions split, or zero-inserted if the scenario says so.

    Raises:
        InputError: for a network as one problem, a given partition, bursts, or if there is no such layer.
    """
    check_layers_only(scenario, "curves and fronts are of layers")
    if scenario.is_static:
        problem = "got a given partition (static), allowed: a free one"
        raise InputError(scenario.source, "search_method", problem)
    if scenario.hardware.streaming:
        problem = "got true, curves and fronts are of whole tiles, allowed: false"
        raise InputError(scenario.source, "hardware.streaming", problem)
    if scenario.hardware.burst_bytes:
        problem = "got bursts, which no frontier counts, allowed: null"
        raise InputError(scenario.source, "hardware.burst_bytes", problem)
    naive = scenario.treatment is Treatment.NAIVE
    plan = plan_of(network, scenario.replace(deconvolution="naive" if naive else "split"))
    wanted = [planned for planned in plan if layer in (None, planned.operator.name)]
    if not wanted:
        names = ", ".join(planned.operator.name for planned in plan)
        raise InputError("--layer", "", f"got {layer}, allowed: {names}")
    return wanted


def splits(scenario: Scenario, plan: Sequence[Planned]) -> bool:
    """Whether deconvolutions are split though the scenario would let them share tiles."""
    could = scenario.treatment is Treatment.COMBINE
    return could and any(isinstance(planned.operator, Deconvolution) for planned in plan)


def part_problem(planned: Planned, layer: Layer, target: Kind = Kind.BALANCED) -> Problem:
    """The problem of a part of a layer, equal for all that are alike."""
    alike = replace(layer, name="", op="conv", count=1)
    return Problem(alike, planned.machine, objective=Objective(target))


def settled(tasks: Sequence[Task], workers: Workers | None, notify: Notify | None) -> list[Any]:
    """The outcomes of tasks; raises InputError in one line if one fails."""
    outcomes = run_tasks(tasks, workers=workers, notify=notify)
    for task, outcome in zip(tasks, outcomes, strict=True):
        if isinstance(outcome, Failure):
            raise InputError(task.name, "", f"internal error: {outcome.text}")
    return outcomes
