"""One entry to a scenario at any network level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dnns.errors import InputError
from dnns.layer import Network
from solvers.network import schedule
from solvers.network.report import Report
from solvers.network.tasks import Notify
from solvers.scenario import Scenario, read_scenario
from solvers.scenario.model import DEFAULT_LONGEST_STACK

if TYPE_CHECKING:
    from solvers.network.resident.report import NetworkReport
    from solvers.network.workers import Workers


def run_scenario(
    scenario: Scenario | str | Path,
    *,
    network: Network | None = None,
    jobs: int = 1,
    notify: Notify | None = None,
    workers: Workers | None = None,
) -> Report | NetworkReport:
    """Schedule a scenario's network, layer by layer or as one problem; arguments and errors as of either."""
    if not isinstance(scenario, Scenario):
        scenario = read_scenario(scenario)
    check_network_level(scenario)
    if scenario.network_level == "layers":
        return schedule.run_scenario(scenario, network=network, jobs=jobs, notify=notify, workers=workers)
    from solvers.network.resident.run import run_network

    return run_network(scenario, network=network, jobs=jobs, notify=notify, workers=workers)


def check_layers_only(scenario: Scenario, what: str) -> None:
    """Raise InputError for a network as one problem where layers are looked at one by one.

    Args:
        scenario: what was asked for.
        what: what looks at layers only, in a few words.
    """
    level = scenario.network_level
    if level != "layers":
        problem = f"got {level}, {what} one by one, allowed: layers"
        raise InputError(scenario.source, "network_level", problem)
    check_network_level(scenario)


def check_network_level(scenario: Scenario) -> None:
    """Raise InputError for fields that have no meaning at the scenario's level, or are not allowed there."""
    level = scenario.network_level
    if level != "fused" and scenario.longest_stack != DEFAULT_LONGEST_STACK:
        got = f"got {scenario.longest_stack} with network_level {level}, which has no stacks"
        raise InputError(scenario.source, "longest_stack", f"{got}, allowed with: fused")
    if level == "layers" and scenario.weights_resident:
        problem = "got true with network_level layers, where nothing stays, allowed with: resident, fused"
        raise InputError(scenario.source, "weights_resident", problem)
    if level == "layers":
        return
    if scenario.hardware.burst_bytes:
        problem = f"got {level} on a machine with burst_bytes, which counts for layers one by one only"
        raise InputError(scenario.source, "network_level", f"{problem}, allowed: layers")
    if scenario.is_static:
        problem = f"got {level} with a given partition (static), allowed: a free one, or layers"
        raise InputError(scenario.source, "network_level", problem)
    if scenario.search_method not in ("exhaustive", "exact"):
        problem = f"got {level} with {scenario.search_method}, allowed with: exhaustive, exact"
        raise InputError(scenario.source, "network_level", problem)
