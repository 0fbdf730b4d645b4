"""Charts of several answers: methods side by side, fronts, curves; and the table of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from solvers.views.page.charts import CHOSEN, Column, Spec, by_layer, chart, height, tip

Data = Mapping[str, Any]

TOTAL = "the network"
MOST_CHARACTERS = 3_000_000
"""Of a sweep's points in a page, which is to stay below five megabytes."""
_METHOD: Column = ("method", "method", "", "text")
_SERIES = [f"var(--series{n})" for n in range(1, 7)]


def comparison_data(comparison: Data) -> dict[str, Any]:
    """Totals and layers by method, as tables and charts.

    Args:
        comparison: as ``solvers.compare --json`` has one scenario.
    """
    rows = [{**row, "layer": row["part"] or row["layer"]} for row in comparison["rows"]]
    numbers: tuple[Column, ...] = (
        ("latency_cycles", "cycles", "", "whole"),
        ("traffic_bytes", "bytes", "", "whole"),
        ("ratio", "ratio to the best", "", "number"),
        ("lower_bound", "bound", "", "whole"),
        ("gap", "gap", "%", "percent2"),
        ("seconds", "time", "s", "number"),
        ("solution_status", "status", "", "text"),
    )
    methods, kind = comparison["methods"], comparison["objective"]["kind"]
    layer: Column = ("layer", "layer", "", "text")
    return {
        "title": f"{comparison['network']}: {', '.join(methods)}",
        "totals": [{**row, "layer": TOTAL} for row in comparison["totals"]],
        "total_columns": [list(column) for column in (_METHOD, *numbers)],
        "rows": rows,
        "columns": [list(column) for column in (layer, _METHOD, *numbers)],
        "charts": [
            _dots(
                "ratio", "Objective by method", f"{kind}, over the best that a method found.", rows, methods
            ),
            _dots("gap", "Gap by method", "From the answer to its proven bound.", rows, methods),
            _dots("seconds", "Time by method", "Of the search, on a logarithmic axis.", rows, methods),
        ],
    }


def _dots(field: str, title: str, text: str, rows: Sequence[Data], methods: Sequence[str]) -> Spec:
    """A mark for each layer and method."""
    positive = field == "seconds"
    kept = [
        {key: row[key] for key in ("layer", "method", field)}
        for row in rows
        if row[field] is not None and (row[field] > 0 or not positive)
    ]
    x: Spec = {"field": field, "type": "quantitative", "title": field, "scale": {"zero": False}}
    if field == "gap":
        x["axis"] = {"format": ".2~%"}
    if positive:
        x["scale"] = {"type": "log"}
    by = {"field": "method", "type": "nominal", "title": None, "legend": {"orient": "top"}}
    form = ".2%" if field == "gap" else ",.4~r"
    spec = {
        "height": height(kept),
        "params": [CHOSEN],
        "mark": {"type": "point", "size": 60, "strokeWidth": 2},
        "encoding": {
            "y": by_layer(),
            "x": x,
            "color": {**by, "scale": {"domain": list(methods), "range": _SERIES}},
            "shape": {**by, "scale": {"domain": list(methods)}},
            "tooltip": [tip("layer", "layer", ""), tip("method", "method", ""), tip(field, field, form)],
        },
    }
    last: Column = (field, field, "%" if field == "gap" else "", "percent2" if field == "gap" else "number")
    return chart(title, text, spec, kept, (("layer", "layer", "", "text"), _METHOD, last))


def _chooser(names: Sequence[str]) -> Spec:
    """The parameter that says of which layer a chart is, with a list to choose from."""
    return {
        "name": "shown",
        "value": names[0],
        "bind": {"input": "select", "options": list(names), "name": "of "},
    }


def _named(data: Data) -> list[tuple[str, Data]]:
    """The network's and each layer's, by name; a layer that is called like the network gets a star."""
    found = [(TOTAL, data["total"])] if data.get("total") else []
    names = {name for name, _ in found}
    return found + [
        (f"{e['name']} *" if e["name"] in names else e["name"], e) for e in data.get("layers", ())
    ]


_OF_SHOWN = {"filter": "datum.layer === shown"}


def pareto_chart(pareto: Data) -> Spec:
    """The front of latency and traffic, or energy, of the network or of a layer.

    Args:
        pareto: ``network``, ``layers`` (``name``, ``points`` of ``latency_cycles`` and ``traffic_bytes``),
            ``total`` (``points``); ``quantities`` says if it is ``energy_pj``.
    """
    named, summed = _named(pareto), "quantities" in pareto
    field, unit, what = ("energy_pj", "pJ", "energy") if summed else ("traffic_bytes", "bytes", "traffic")
    title = f"energy in {unit}" if summed else f"DRAM traffic in {unit}"
    values = [
        {"layer": name, "cycles": point["latency_cycles"], unit: point[field]}
        for name, entry in named
        for point in sorted(entry["points"], key=lambda p: (p["latency_cycles"], p[field]))
    ]
    spec = {
        "height": 340,
        "params": [_chooser([name for name, _ in named])],
        "transform": [_OF_SHOWN],
        "mark": {"type": "line", "interpolate": "step-after", "point": {"filled": True, "size": 50}},
        "encoding": {
            "x": {**_quantity("cycles", "latency in cycles"), "scale": {"zero": False, "nice": True}},
            "y": {
                **_quantity(unit, title),
                "scale": {"zero": False, "nice": True},
            },
            "color": {"value": "var(--ifmap)"},
            "tooltip": [tip("layer", "of", ""), tip("cycles", "cycles"), tip(unit, unit)],
        },
    }
    columns = (
        ("layer", "of", "", "text"),
        ("cycles", "cycles", "", "whole"),
        (unit, unit, "", "whole"),
    )
    text = f"{pareto['network']}: each point is a schedule; none has less of both."
    return chart(f"Latency against {what}", text, spec, values, columns)


def _quantity(field: str, title: str) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "axis": {"format": "~s"}}


def curve_chart(curve: Data) -> Spec:
    """Traffic or latency against the buffer's size, as stairs, with what bounds it.

    Args:
        curve: ``network``, ``target``, ``unit``, ``layers`` (``name``, ``points`` and ``bound`` of
            ``buffer_bytes`` and ``value``, ``compulsory``), ``total`` (the same without name).
    """
    target, unit, named = curve["target"], curve["unit"], _named(curve)
    lines = {"proven optimum": "points", "bound for any schedule": "bound"}
    values = [
        {"layer": name, "line": line, "buffer": point["buffer_bytes"], "value": point["value"]}
        for name, entry in named
        for line, key in lines.items()
        for point in entry.get(key) or ()
        if point["value"] is not None
    ]
    values += [
        {"layer": name, "line": "compulsory", "buffer": end, "value": entry["compulsory"]}
        for name, entry in named
        if entry.get("compulsory") is not None
        for end in _ends(entry)
    ]
    names = [name for name in (*lines, "compulsory") if any(row["line"] == name for row in values)]
    colours = {
        "proven optimum": "var(--ifmap)",
        "bound for any schedule": "var(--weights)",
        "compulsory": "var(--bound)",
    }
    legend = {"orient": "top", "symbolType": "stroke"}
    by = {"field": "line", "type": "nominal", "title": None, "legend": legend}
    x = {
        "field": "buffer",
        "type": "quantitative",
        "title": "buffer in KiB",
        "scale": {"type": "log", "base": 2, "nice": False},
        "axis": {"labelExpr": "format(datum.value / 1024, ',')"},
    }
    spec = {
        "height": 340,
        "params": [_chooser([name for name, _ in named])],
        "transform": [_OF_SHOWN],
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "point": {"size": 25}},
        "encoding": {
            "x": x,
            "y": {**_quantity("value", f"{target} in {unit}"), "scale": {"zero": True}},
            "color": {**by, "scale": {"domain": names, "range": [colours[name] for name in names]}},
            "strokeDash": {**by, "scale": {"domain": names, "range": [[1, 0], [6, 3], [2, 3]][: len(names)]}},
            "tooltip": [tip("line", "line", ""), tip("buffer", "buffer, bytes"), tip("value", unit)],
        },
    }
    columns = (
        ("layer", "of", "", "text"), ("line", "line", "", "text"),
        ("buffer", "buffer", "bytes", "whole"), ("value", target, unit, "whole"),
    )  # fmt: skip
    text = f"{curve['network']}: what a larger buffer saves."
    return chart(f"{target.capitalize()} against the size of the buffer", text, spec, values, columns)


def _ends(entry: Data) -> list[float]:
    sizes = [point["buffer_bytes"] for point in entry["points"]]
    return [min(sizes), max(sizes)] if sizes else []


def sweep_data(sweep: Data) -> dict[str, Any]:
    """A sweep's points in columns, its axes first; values that are no numbers or words become words.

    Points beyond what a page holds are left out; ``of`` says how many there are.

    Args:
        sweep: ``axes`` (names), ``rows`` (a plain dictionary each).
    """
    rows = _that_fit(sweep["rows"])
    keys = list(dict.fromkeys([*sweep["axes"], *(key for row in rows for key in row)]))
    table = {key: [_plain(row.get(key)) for row in rows] for key in keys}
    columns = [_column(key, table[key]) for key in keys]
    return {"axes": list(sweep["axes"]), "columns": columns, "values": table, "of": len(sweep["rows"])}


def _that_fit(rows: Sequence[Data]) -> Sequence[Data]:
    """The first rows, as many as have so many characters."""
    room = MOST_CHARACTERS
    for at, row in enumerate(rows):
        room -= sum(len(str(value)) + 3 for value in row.values())
        if room < 0:
            return rows[:at]
    return rows


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | str) else str(value)


def _column(key: str, values: Sequence[Any]) -> list[str]:
    given = [value for value in values if value is not None]
    numbers = given and all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    return [key, key, "", "number" if numbers else "text"]
