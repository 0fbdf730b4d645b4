"""How a report shows itself as the value of an expression: in a line, and as a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
_TOTALS = (
    ("latency [cycles], roofline", "latency_cycles", "roofline_cycles"),
    ("traffic [bytes], compulsory", "traffic_bytes", "compulsory_bytes"),
    ("traffic [bytes], any schedule of its layers", "traffic_bytes", "least_traffic_bytes"),
    ("energy [pJ], least", "energy_pj", "least_energy_pj"),
)


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


def html(title: str, report: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """Totals beside what no schedule can beat, and a table of layers, whose names stay text.

    Args:
        title: stands above it.
        report: as JSON has it.
        rows: flat rows as in the CSV.
    """
    heads = (*_COLUMNS.values(), "tile")
    layers = _table(heads, ((*_cells(row), _tile(row)) for row in rows))
    totals = _table(("total", "", "bound", "ratio"), _totals(report["totals"]))
    return f"<p>{escape(title)}</p>{totals}{layers}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of texts, numbers to the right as notebooks have it."""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _totals(totals: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Each total with its bound, and how many times that it is."""
    yield "MACs", _shown(totals["macs"]), "", ""
    for name, value, least in _TOTALS:
        if value in totals and least in totals:
            bound = totals[least]
            ratio = f"{totals[value] / bound:.3f}" if bound else ""
            yield name, _shown(totals[value]), _shown(bound), ratio
    yield "solved in [s]", f"{totals['seconds']:.2f}", "", ""


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
