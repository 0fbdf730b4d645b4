"""A run's report, with the forms in which it is handed out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from solvers.network.data.handout import Handout
from solvers.network.data.report import report_dict, rows
from solvers.network.parts import RunTotals

if TYPE_CHECKING:
    from solvers.network.data.fields import LayersResult


class Report(Handout, RunTotals):
    """What a run found, layer by layer, with the forms in which it is handed out."""

    __slots__ = ()

    def to_dict(self) -> LayersResult:
        """The report as JSON has it."""
        return report_dict(self)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row per part, for tables; nested names joined with a dot."""
        return rows(self.to_dict()["layers"])
