"""The page of a run."""

from __future__ import annotations

from typing import IO

from solvers.network.report import Report
from solvers.network.resident.report import NetworkReport
from solvers.page.document import Page, write_page


def run_page(report: Report | NetworkReport, stream: IO[str]) -> None:
    """Write what a run found as HTML.

    Raises:
        InputError: if a package is missing.
    """
    network = report.graph if isinstance(report, Report) else report.source
    result = report.to_dict()
    title = result["network"]
    write_page(Page(title=title, results=[(title, result, network)]), stream)
