"""The rows of a point, from a result as JSON has it: one of the point, and one of each layer's part.

The numbers of a row of a layer are for one occurrence. ``count`` times them, summed over the rows of a point,
are the point's; only layers in a stack have no latency of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

STATUSES = SOLVED, TIME_LIMIT, DOES_NOT_FIT, FAILED = "solved", "time limit", "does not fit", "failed"
"""How a point ended, from good to bad."""
_TENSORS = ("ifmap", "ofmap", "weights")
_WORDS = ("ifmap", "weights", "ofmap_write", "ofmap_read", "drain_read")
_TILE = ("out_channels", "in_channels", "batch", "spatial")
_NUMBERS = ("groups", "macs", "latency_cycles", "compute_cycles", "traffic_bytes", "energy_pj")
_BOUNDS = ("latency_cycles", "traffic_bytes")
_PROOF = ("bound_scope", "gap", "latency_gap", "termination", "solution_status", "bytes_needed", "error")
ANSWER = (
    *_NUMBERS,
    *(f"{tensor}_words" for tensor in _WORDS),
    *(f"tile_{name}" for name in _TILE),
    *("rounds", "stationary", "sliding_axis", "streamed"),
    *(f"{tensor}_buffer_bytes" for tensor in _TENSORS),
    *(f"{name}_bound" for name in _BOUNDS),
    *_PROOF,
)
"""Columns of a row that an answer fills; the others are the layer's."""
_TOTALS = (
    "macs",
    "latency_cycles",
    "traffic_bytes",
    "energy_pj",
    "energy_delay_js",
    "compulsory_bytes",
    "least_traffic_bytes",
    "roofline_cycles",
    "least_energy_pj",
)


def rows_of(
    network: str, complete: bool, layers: Iterable[Mapping[str, Any]], totals: Mapping[str, Any]
) -> dict[str, Any]:
    """The rows of a point: ``point``, and ``layers`` in order.

    Args:
        network: its name.
        complete: whether every layer has a mapping.
        layers: of the result, as JSON has them.
        totals: likewise.
    """
    return point_rows(network, complete, [row for layer in layers for row in _layer_rows(layer)], totals)


def point_rows(
    network: str, complete: bool, rows: list[dict[str, Any]], totals: Mapping[str, Any]
) -> dict[str, Any]:
    """The same, from the rows of the layers' parts."""
    status, reason = _ended(rows, totals.get("termination"))
    point = {
        "network_name": network,
        "status": status,
        "reason": reason,
        "complete": complete,
        "optimal": _optimal(rows, totals.get("solution_status")),
        **{name: totals.get(name) for name in _TOTALS},
        **_bounds(rows, totals.get("lower_bound")),
        "gap": totals["gap"] if "gap" in totals else _greatest(rows),
    }
    return {"point": point, "layers": rows}


def failed_rows(network: str, reason: str) -> dict[str, Any]:
    """The rows of a point without an answer."""
    point = {"network_name": network, "status": FAILED, "reason": reason, "complete": False, "optimal": False}
    return {"point": point, "layers": []}


def _layer_rows(layer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each part; one for all sub-kernels that share tiles."""
    if "mapping" in layer:  # shared ifmap tiles: what is found is the layer's
        count = layer["count"]
        totals = ("macs", "latency_cycles", "traffic_bytes", "energy_pj")
        once = {name: _once(layer[name], count) for name in totals}
        yield _row(layer, {**layer, **once})
        return
    error = layer.get("error")
    for part in layer["parts"]:
        geometry = part.get("geometry")
        more = {"macs": None if geometry is None else _macs(part)}
        yield _row(layer, {**part, **more} | ({"error": error} if error else {}))
    if not layer["parts"]:
        yield _row(layer, {"name": layer["name"], "count": 1, "bytes_needed": layer.get("bytes_needed")})


def _once(total: float | None, count: int) -> float | None:
    return None if total is None else total // count if total % count == 0 else total / count


def _macs(part: Mapping[str, Any]) -> int:
    """MACs of one occurrence with all its groups."""
    geometry = part["geometry"]
    macs: int = part["groups"] * geometry["out_channels"] * geometry["in_channels"] * geometry["batch"]
    for axis in geometry["axes"]:
        macs *= axis["ofmap"] * axis["kernel"]
    return macs


def _row(layer: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    mapping = part.get("mapping") or {}
    tile, parts = mapping.get("tile") or {}, mapping.get("partition_bytes") or {}
    bounds, words = part.get("lower_bound") or {}, part.get("traffic") or {}
    return {
        "layer": layer["name"],
        "op": layer["op"],
        "part": part["name"],
        "deconvolution": layer["deconvolution"],
        "stack": layer.get("stack"),
        "count": part.get("count"),
        **{name: part.get(name) for name in _NUMBERS},
        **{f"{tensor}_words": words.get(tensor) for tensor in _WORDS},
        **{f"tile_{name}": tile.get(name) for name in _TILE},
        "rounds": mapping.get("rounds"),
        "stationary": mapping.get("stationary"),
        "sliding_axis": mapping.get("sliding_axis"),
        "streamed": streamed(mapping),
        **{f"{tensor}_buffer_bytes": parts.get(tensor) for tensor in _TENSORS},
        **{f"{name}_bound": bounds.get(name) for name in _BOUNDS},
        **{name: part.get(name) for name in _PROOF},
    }


def streamed(mapping: Mapping[str, Any]) -> str | None:
    """The tensor of which a sub-tile is held, and the sub-tile in the dimensions that are cut."""
    if "streamed" not in mapping:
        return None
    whole, sub = mapping["tile"], mapping["streamed"]["sub_tile"]
    cut = [f"{name} {size}" for name, size in sub.items() if size != whole[name]]
    return f"{mapping['streamed']['tensor']} by {', '.join(cut)}"


def _ended(layers: list[dict[str, Any]], termination: str | None) -> tuple[str, str | None]:
    """How a point ended, and by which layers; None if well."""
    told: dict[str, list[str]] = {status: [] for status in STATUSES}
    for row in layers:
        if row["error"] is not None:
            told[FAILED].append(f"{row['part']}: {row['error']}")
        elif row["bytes_needed"] is not None:
            fits = row["termination"] == TIME_LIMIT.replace(" ", "_")
            status = TIME_LIMIT if fits else DOES_NOT_FIT
            need = "" if fits else f" needs {row['bytes_needed']:,.0f} bytes"
            told[status].append(f"{row['part']}{need}")
        elif row["termination"] == "time_limit":
            told[TIME_LIMIT].append(row["part"])
    worst = max((status for status in STATUSES if told[status]), key=STATUSES.index, default=SOLVED)
    if worst == SOLVED and termination == "time_limit":
        return TIME_LIMIT, "the network's program"
    return worst, "; ".join(told[worst]) or None


def _optimal(layers: list[dict[str, Any]], status: str | None) -> bool:
    if status is not None:
        return status == "optimal"
    return all(row["solution_status"] == "optimal" for row in layers)


def _bounds(layers: list[dict[str, Any]], whole: Mapping[str, Any] | None) -> dict[str, Any]:
    """Bounds on the totals: proven as such, or the sums of the layers' where each has one."""
    found: dict[str, Any] = {}
    for name in _BOUNDS:
        bounds = [row[f"{name}_bound"] for row in layers]
        if whole is not None:
            found[f"{name}_bound"] = whole[name]
        else:
            known = all(bound is not None for bound in bounds)
            counts = (row["count"] for row in layers)
            terms = (count * bound for count, bound in zip(counts, bounds, strict=True) if known)
            found[f"{name}_bound"] = sum(terms) if known else None
    return found


def _greatest(layers: list[dict[str, Any]]) -> float | None:
    gaps = [row["gap"] for row in layers]
    return None if not gaps or None in gaps else max(gaps)
