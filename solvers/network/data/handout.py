"""The forms in which a report is handed out: JSON, CSV, a data frame, a table in a notebook."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from dnns.terminal.frames import data_frame
from solvers.network.data.notebook import html, summary

if TYPE_CHECKING:
    import pandas as pd

    from solvers.views.plots.report import ReportPlots


class Handout:
    """What can be said of a report that has plain data and rows."""

    __slots__ = ()

    def to_dict(self) -> Mapping[str, Any]:
        """The report as JSON has it."""
        raise NotImplementedError

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row per part, for tables; nested names joined with a dot."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return summary(type(self).__name__, self.to_dict())

    def _repr_html_(self) -> str:
        """Totals and layers as a table, for notebooks."""
        return html(repr(self), self.to_dict(), self.rows())

    @property
    def plot(self) -> ReportPlots:
        """Its pictures, for notebooks: ``report.plot.roofline()`` returns matplotlib's axes."""
        from solvers.views.plots.report import ReportPlots

        return ReportPlots(self.to_dict())

    def write_json(self, stream: IO[str]) -> None:
        """Write the report as JSON, floats in their shortest exact form."""
        json.dump(self.to_dict(), stream, indent=1, allow_nan=False)
        stream.write("\n")

    def write_csv(self, stream: IO[str]) -> None:
        """Write one line per part."""
        lines = list(self.rows())
        columns = list(dict.fromkeys(key for line in lines for key in line))
        writer = csv.DictWriter(stream, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(lines)

    def to_frame(self) -> pd.DataFrame:
        """One row per part as a pandas data frame; needs pandas."""
        return data_frame(self.rows())
