"""One entry to a scenario at any network level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dnns.layer import Network
from solvers.network import schedule
from solvers.network.report import Report
from solvers.network.tasks import Notify
from solvers.scenario import Scenario, read_scenario

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
    if scenario.network_level == "layers":
        return schedule.run_scenario(scenario, network=network, jobs=jobs, notify=notify, workers=workers)
    from solvers.network.resident.run import run_network

    return run_network(scenario, network=network, jobs=jobs, notify=notify, workers=workers)
