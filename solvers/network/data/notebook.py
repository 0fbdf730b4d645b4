"""How a report shows itself as the value of an expression: in a line, and as a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_TILE = {"out_channels": "co", "in_channels": "ci", "batch": "n"}
_COLUMNS = {
    "layer": "layer",
    "name": "part",
    "mapping.stationary": "stays",
    "latency_cycles": "latency [cycles]",
    "traffic_bytes": "traffic [bytes]",
    "gap": "gap",
}


def summary(kind: str, report: Mapping[str, Any]) -> str:
    """One line: of what, how, how many layers, totals.

    Args:
        kind: name of the class.
        report: as JSON has it.
    """
    totals, incomplete = report["totals"], "" if report["complete"] else ", incomplete"
    return (
        f"<{kind} {report['network']}: {report['method']}, {report['objective']['kind']}, "
        f"{len(report['layers'])} layers, {_shown(totals['latency_cycles'])} cycles, "
        f"{_shown(totals['traffic_bytes'])} bytes{incomplete}>"
    )


def html(title: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """A table of layers, whose names stay text whatever is in them.

    Args:
        title: stands above it.
        rows: flat rows as in the CSV.
    """
    heads = "".join(f"<th>{escape(name)}</th>" for name in (*_COLUMNS.values(), "tile"))
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in (*_cells(row), _tile(row))) + "</tr>"
        for row in rows
    )
    return f"<p>{escape(title)}</p><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [_shown(row.get(key)) for key in _COLUMNS]


def _tile(row: Mapping[str, Any]) -> str:
    keys = {f"mapping.tile.{name}": short for name, short in _TILE.items()}
    channels = [f"{short}{row[key]}" for key, short in keys.items() if key in row]
    spatial = [str(size) for key, size in row.items() if key.startswith("mapping.tile.spatial.")]
    return " ".join([*channels, "x".join(spatial)])


def _shown(value: Any) -> str:
    """Whole numbers with separators, others to six digits, nothing for what there is not."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.6g}"
    return f"{int(value):,}" if isinstance(value, int | float) else "" if value is None else str(value)
