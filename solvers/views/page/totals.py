"""The head of a result: its machine and method in a line each, totals against bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solvers.views.page.layers import array_size

Data = Mapping[str, Any]

#: Quantity, heading, unit, its bounds for any schedule, and what it would be otherwise.
_QUANTITIES = (
    ("latency_cycles", "Latency", "cycles", (("roofline_cycles", "roofline"),)),
    (
        "traffic_bytes",
        "DRAM traffic",
        "bytes",
        (("compulsory_bytes", "compulsory"), ("least_traffic_bytes", "any schedule, layer by layer")),
    ),
    ("energy_pj", "Energy", "pJ", (("least_energy_pj", "least of any mapping"),)),
)
_OTHERWISE = (("layers", "if nothing stays"), ("single", "if nothing is fused"))


def machine_line(result: Data) -> str:
    """The machine in a line."""
    machine = result["hardware"]
    rows, columns = array_size(machine)
    widths = machine["bit_width"]
    bits = f"{widths} bit" if isinstance(widths, int) else ""
    if isinstance(widths, dict):
        bits = "bits " + ", ".join(f"{name} {width}" for name, width in widths.items() if width)
    told = [
        f"{rows} x {columns} array",
        f"{machine['bufsize'] / 1024:,.4g} KiB",
        f"{machine['memory_bandwidth']:g} GB/s",
        f"{machine['frequency']:g} GHz",
        bits,
    ]
    if machine.get("preset"):
        told.insert(0, machine["preset"])
    return ", ".join(text for text in told if text)


def method_line(result: Data) -> str:
    """What was minimised, and how."""
    objective = result["objective"]
    kind = objective["kind"]
    if kind == "balanced":
        over = "of the network" if objective.get("tolerance_over") == "network" else "of each layer"
        kind = f"least traffic within {100 * objective['tolerance']:g} % of the least latency {over}"
    else:
        kind = f"least {kind}" if kind != "weighted" else "least weighted sum"
    level = result.get("network_level")
    how = f"the network as one problem ({level})" if level else result["method"]
    return f"{how}: {kind}"


def total_rows(result: Data) -> list[dict[str, Any]]:
    """For each quantity its total, and what stands beside it: ``name``, ``value``, ``kind``.

    ``kind`` is ``bound`` for what no schedule is below, ``proven`` for the bound of this map space,
    ``otherwise`` for what it would be with less freedom.
    """
    totals = result["totals"]
    found = []
    for key, name, unit, bounds in _QUANTITIES:
        if key not in totals:
            continue
        beside = [
            {"name": title, "value": totals[bound], "kind": "bound"}
            for bound, title in bounds
            if totals.get(bound) is not None
        ]
        proven = (totals.get("lower_bound") or {}).get(key)
        if proven is not None:
            beside.append({"name": "proven for this map space", "value": proven, "kind": "proven"})
        beside += [
            {"name": title, "value": totals[f"{key}_{way}"], "kind": "otherwise"}
            for way, title in _OTHERWISE
            if totals.get(f"{key}_{way}") is not None
        ]
        found.append({"name": name, "unit": unit, "value": totals[key], "beside": beside})
    return found
