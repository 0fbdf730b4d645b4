"""The pages of a run and of what is explored."""

from __future__ import annotations

from typing import IO, Any

from solvers.network.report import Report
from solvers.network.resident.report import NetworkReport
from solvers.scenario import Scenario
from solvers.views.page.document import Page, write_page


def run_page(report: Report | NetworkReport, stream: IO[str]) -> None:
    """Write what a run found as HTML.

    Raises:
        InputError: if a package is missing.
    """
    network = report.graph if isinstance(report, Report) else report.source
    result = report.to_dict()
    title = result["network"]
    write_page(Page(title=title, results=[(title, result, network)]), stream)


def exploration_page(title: str, scenario: Scenario, command: str, stream: IO[str], **shown: Any) -> None:
    """Write what was explored as HTML.

    Args:
        title: of the page.
        scenario: that it was made from.
        command: that makes it again from ``scenario.yaml``.
        stream: to write to.
        shown: ``curve``, ``pareto`` or ``sweep`` of ``Page``.

    Raises:
        InputError: if a package is missing.
    """
    scenarios = {"scenario.yaml": scenario.to_dict()}
    write_page(Page(title=title, scenarios=scenarios, command=command, **shown), stream)
