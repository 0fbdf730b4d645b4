"""The report of a network as one problem: what was found, and the forms in which it is handed out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from dnns.terminal.frames import data_frame
from solvers.network.notebook import html, summary
from solvers.network.plain_data import flat
from solvers.network.resident.found import NetworkFound
from solvers.network.resident.plain_data import network_dict

if TYPE_CHECKING:
    import pandas as pd


class NetworkReport(NetworkFound):
    """What a run found, and its forms."""

    def __repr__(self) -> str:
        return summary("NetworkReport", self.to_dict())

    def _repr_html_(self) -> str:
        """Totals and layers as a table, for notebooks."""
        return html(repr(self), self.rows())

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return network_dict(self)

    def write_json(self, stream: IO[str]) -> None:
        """Write the report as JSON, floats in their shortest exact form."""
        json.dump(self.to_dict(), stream, indent=1, allow_nan=False)
        stream.write("\n")

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row per part, for tables; nested names joined with a dot."""
        for layer in self.to_dict()["layers"]:
            names = ("op", "deconvolution", "stack", "on_chip", "stays", "held_bytes")
            for part in layer["parts"] or [{}]:
                row = {"layer": layer["name"], **{name: layer[name] for name in names}, **part}
                yield dict(flat(row))

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
