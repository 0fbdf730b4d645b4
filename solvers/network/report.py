"""A run's report in the forms in which it is handed out: plain data, JSON, CSV, a data frame."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from dnns.terminal.frames import data_frame
from solvers.network.notebook import html, summary
from solvers.network.parts import RunTotals
from solvers.network.plain_data import flat, report_dict, shared_columns

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a row that are the whole layer's.
_OF_LAYER = ("op", "deconvolution", "compulsory_bytes", "least_communication_bytes")


class Report(RunTotals):
    """What a run found, with the forms in which it is handed out."""

    __slots__ = ()

    def __repr__(self) -> str:
        return summary("Report", self.to_dict())

    def _repr_html_(self) -> str:
        """Totals and layers as a table, for notebooks."""
        return html(repr(self), self.rows())

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return report_dict(self)

    def write_json(self, stream: IO[str]) -> None:
        """Write the report as JSON, floats in their shortest exact form."""
        json.dump(self.to_dict(), stream, indent=1, allow_nan=False)
        stream.write("\n")

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row per part, for tables; nested names joined with a dot."""
        for layer in self.to_dict()["layers"]:
            for part in layer["parts"]:
                row = {name: layer[name] for name in _OF_LAYER}
                row = {"layer": layer["name"], **row, **shared_columns(layer)}
                yield row | dict(flat(part))

    def write_csv(self, stream: IO[str]) -> None:
        """Write one line per part."""
        rows = list(self.rows())
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(stream, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)

    def to_frame(self) -> pd.DataFrame:
        """One row per part as a pandas data frame; needs pandas."""
        return data_frame(self.rows())
