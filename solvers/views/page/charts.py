"""The charts of a result, as Vega-Lite specifications with their data; colours are the page's style's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from solvers.views.page.layers import array_size
from solvers.views.page.tiles import rooms

Data = Mapping[str, Any]
Spec = dict[str, Any]
Column = tuple[str, str, str, str]

TENSORS = ("ifmap", "ofmap", "weights", "stays")
_COLOURS = [f"var(--{name})" for name in TENSORS]
_STEP = 17
"""Pixels of a layer on the axis of layers."""
CHOSEN = {"name": "chosen", "value": ""}
"""The parameter that holds the name of the layer that is chosen."""


def chart(title: str, text: str, spec: Spec, values: Sequence[Data], columns: Sequence[Column]) -> Spec:
    """What the page needs of a chart: the specification, and the same numbers as a table.

    Args:
        title: stands above it.
        text: what is seen, in a sentence.
        spec: of Vega-Lite, without data.
        values: its rows.
        columns: of the table: key, heading, unit, how it is written.
    """
    base = {
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "description": f"{title}. {text}",
        "data": {"name": "values"},
    }
    return {
        "title": title,
        "text": text,
        "spec": base | spec,
        "values": list(values),
        "columns": [list(c) for c in columns],
    }


def tip(field: str, title: str, form: str = ",") -> Spec:
    """A line of what is shown when the pointer rests on a mark."""
    kind = {"type": "nominal"} if not form else {"type": "quantitative", "format": form}
    return {"field": field, "title": title, **kind}


def result_charts(result: Data) -> list[Spec]:
    """Roofline, cycles, traffic and the buffer's parts."""
    blocks = list(_blocks(result))
    if not blocks:
        return []
    return [_roofline(result, blocks), _cycles(blocks), _traffic(blocks), _parts(result)]


def _blocks(result: Data) -> Iterator[dict[str, Any]]:
    """What has a latency of its own: layers outside stacks, and stacks."""
    stacks = {stack["name"]: stack for stack in result.get("stacks", ())}
    seen = set()
    for layer in result["layers"]:
        stack = stacks.get(layer.get("stack") or "")
        if stack is None and layer["latency_cycles"]:
            yield _block(layer["name"], layer, [layer], _compute(layer))
        elif stack is not None and stack["name"] not in seen:
            seen.add(stack["name"])
            inside = [other for other in result["layers"] if other.get("stack") == stack["name"]]
            yield _block(stack["name"], stack, inside, stack["compute_cycles"])


def _block(name: str, whole: Data, layers: Sequence[Data], compute: float) -> dict[str, Any]:
    moved = {"ifmap": 0.0, "weights": 0.0}
    for layer in layers:
        for words, count in _words(layer):
            for tensor in moved:
                moved[tensor] += count * words[tensor] * layer["bits"][tensor] / 8
    total = whole["traffic_bytes"]
    macs = sum(layer["macs"] for layer in layers)
    return {
        "layer": name,
        "macs": macs,
        "cycles": whole["latency_cycles"],
        "compute": compute,
        "bytes": total,
        "compulsory": whole.get("compulsory_bytes"),
        **moved,
        "ofmap": total - sum(moved.values()),
        "rate": macs / whole["latency_cycles"],
        "intensity": macs / total if total else None,
    }


def _words(layer: Data) -> Iterator[tuple[Data, int]]:
    """Words moved by tensor in one run, and how many runs."""
    if "mapping" in layer:
        yield layer["traffic"], layer["count"]
        return
    for part in layer["parts"]:
        if part.get("traffic"):
            yield part["traffic"], part["count"]


def _compute(layer: Data) -> float:
    owners = [layer] if "mapping" in layer else layer["parts"]
    return float(sum(owner["count"] * (owner.get("compute_cycles") or 0) for owner in owners))


def _roofline(result: Data, blocks: Sequence[Data]) -> Spec:
    machine = result["hardware"]
    peak = prod(array_size(machine))
    speed = machine["memory_bandwidth"] / machine["frequency"]
    points = [block for block in blocks if block["intensity"] and block["macs"]]
    at = [point["intensity"] for point in points] or [peak / speed]
    ends = sorted({min(*at, peak / speed) / 2, peak / speed, max(*at, peak / speed) * 2})
    roof = [{"intensity": x, "rate": min(peak, x * speed)} for x in ends]
    x = {"field": "intensity", "type": "quantitative", "scale": {"type": "log"}}
    y = {"field": "rate", "type": "quantitative", "scale": {"type": "log"}, "title": "MACs per cycle"}
    tips = [
        tip("layer", "layer", ""),
        tip("intensity", "MACs per byte", ",.4~r"),
        tip("rate", "MACs per cycle", ",.4~r"),
    ]
    line = {
        "data": {"values": roof},
        "mark": {"type": "line", "color": "var(--bound)", "strokeWidth": 2, "aria": False},
    }
    mark = {"type": "point", "filled": True, "size": 80, "color": "var(--ifmap)", "opacity": 0.75}
    marks = {"mark": mark, "encoding": {"tooltip": tips, **chosen_stroke()}}
    spec = {
        "height": 320,
        "params": [CHOSEN],
        "encoding": {"x": {**x, "title": "MACs per byte of DRAM traffic"}, "y": y},
        "layer": [line, marks],
    }
    text = "Each layer below the roof: on its slope the DRAM is the limit, on its flat the array."
    return chart("Roofline", text, spec, points, (_LAYER, *_RATES))


_LAYER: Column = ("layer", "layer", "", "text")
_RATES: tuple[Column, ...] = (
    ("intensity", "MACs per byte", "", "number"),
    ("rate", "MACs per cycle", "", "number"),
)


def chosen_stroke() -> Spec:
    """A dark edge around the mark of the layer that is chosen."""
    return {
        "stroke": {"condition": {"test": "datum.layer === chosen", "value": "var(--ink)"}, "value": None},
        "strokeWidth": {"value": 2},
    }


def height(rows: Sequence[Data]) -> int:
    """Pixels that a chart with a line for each layer takes."""
    return _STEP * max(1, len({row["layer"] for row in rows}))


def by_layer() -> Spec:
    """The axis of layers, in the network's order."""
    return {
        "field": "layer",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelLimit": 130},
    }


def _cycles(blocks: Sequence[Data]) -> Spec:
    tips = [tip("layer", "layer", ""), tip("cycles", "cycles"), tip("compute", "array busy, cycles")]
    bar = {"mark": {"type": "bar", "color": "var(--ifmap)"}, "encoding": {"tooltip": tips, **chosen_stroke()}}
    tick = {
        "mark": {"type": "tick", "color": "var(--bound)", "thickness": 3},
        "encoding": {"x": {"field": "compute", "type": "quantitative"}, "tooltip": tips},
    }
    spec = {
        "height": height(blocks),
        "params": [CHOSEN],
        "encoding": {
            "y": by_layer(),
            "x": {"field": "cycles", "type": "quantitative", "title": "cycles", "axis": {"format": "~s"}},
        },
        "layer": [bar, tick],
    }
    columns = (_LAYER, ("cycles", "cycles", "", "whole"), ("compute", "array busy", "cycles", "whole"))
    text = (
        "Bars: latency. Ticks: the cycles in which the array works; what is beyond them waits for the DRAM."
    )
    return chart("Cycles by layer", text, spec, blocks, columns)


def stacked(names: Sequence[str], title: str, tips: Sequence[Spec]) -> Spec:
    """Bars by layer, stacked of tensors: fields ``tensor``, ``bytes``, ``at``."""
    return {
        "mark": "bar",
        "encoding": {
            "x": {
                "field": "bytes",
                "type": "quantitative",
                "title": title,
                "axis": {"format": "~s"},
                "stack": "zero",
            },
            "color": {
                "field": "tensor",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(names), "range": _COLOURS[: len(names)]},
                "legend": {"orient": "top"},
            },
            "order": {"field": "at"},
            "tooltip": list(tips),
        },
    }


def _long(rows: Sequence[Data], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"layer": row["layer"], "tensor": name, "at": at, "bytes": row.get(name) or 0}
        for row in rows
        for at, name in enumerate(names)
    ]


def _bars(rows: Sequence[Data], names: Sequence[str], title: str) -> Spec:
    tips = [tip("layer", "layer", ""), tip("tensor", "tensor", ""), tip("bytes", "bytes")]
    return {
        "height": height(rows),
        "params": [CHOSEN],
        "encoding": {"y": by_layer()},
        "layer": [stacked(names, title, tips)],
    }


def _traffic(blocks: Sequence[Data]) -> Spec:
    names = TENSORS[:3]
    spec = _bars(blocks, names, "bytes")
    least = [b for b in blocks if b["compulsory"] is not None]
    if least:
        tips = [tip("layer", "layer", ""), tip("compulsory", "compulsory bytes")]
        spec["layer"].append(
            {
                "data": {"values": [{"layer": b["layer"], "compulsory": b["compulsory"]} for b in least]},
                "mark": {"type": "tick", "color": "var(--bound)", "thickness": 3},
                "encoding": {"x": {"field": "compulsory", "type": "quantitative"}, "tooltip": tips},
            }
        )
    text = "By tensor." + (" Ticks: what no schedule of the layer can do without." if least else "")
    return chart("Traffic by layer", text, spec, _long(blocks, names), _BYTES)


_BYTES: tuple[Column, ...] = (_LAYER, ("tensor", "tensor", "", "text"), ("bytes", "bytes", "", "whole"))


def _parts(result: Data) -> Spec:
    machine, size = result["hardware"], result["hardware"]["bufsize"]
    stacks = {stack["name"]: stack for stack in result.get("stacks", ())}
    rows = []
    for layer in result["layers"]:
        stack = stacks.get(layer.get("stack") or "")
        owners = [layer] if "mapping" in layer else layer["parts"]
        held = [rooms(layer, o, machine, stack) for o in owners if stack or o.get("mapping")]
        if held:
            fullest = max(held, key=lambda found: sum(r["bytes"] for r in found if r["kind"] != "free"))
            row: dict[str, Any] = {"layer": layer["name"]}
            for room in fullest:
                row[room["kind"]] = row.get(room["kind"], 0) + room["bytes"]
            rows.append(row)
    names = TENSORS if any(row.get("stays") for row in rows) else TENSORS[:3]
    spec = _bars(rows, names, "bytes")
    rule = {"type": "rule", "color": "var(--bound)", "strokeWidth": 2}
    encoding = {"x": {"datum": size, "type": "quantitative"}, "y": None}
    spec["layer"].append({"data": {"values": [{}]}, "mark": rule, "encoding": encoding})
    text = "What a layer takes of the buffer; of several parts the fullest. The line: the buffer's size."
    return chart("Parts of the buffer", text, spec, _long(rows, names), _BYTES)
