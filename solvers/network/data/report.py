"""A run's report as plain data, whole or in flat rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from solvers.backends.registry import DEFAULT_MILP
from solvers.network.data.layers import layer_dict
from solvers.network.data.subject import subject_dict
from solvers.result import number, partition_dict

if TYPE_CHECKING:
    from formulation.hardware import Hardware
    from solvers.network.data.fields import LayersResult, OfferData, SlackData, TotalsData
    from solvers.network.parts import RunTotals
    from solvers.network.slack import Offer, Slack


def report_dict(report: RunTotals) -> LayersResult:
    """A report as JSON has it; the totals cover the layers that fit."""
    backend = report.scenario.backend if report.scenario.solves_programs else DEFAULT_MILP
    data: LayersResult = {
        **subject_dict(report.scenario, report.graph, backend, report.complete),
        "layers": [layer_dict(layer) for layer in report.layers],
        "totals": totals_dict(report),
    }
    if backend != DEFAULT_MILP:
        data["backend"] = backend
    if (values := report.sensitivity()) is not None:
        data["totals"]["sensitivity"] = values
    if report.slack is not None:
        data["totals"]["slack"] = _slack(report.slack, report.hardware)
    if report.partition is not None:
        data["partition_bytes"] = partition_dict(report.partition)
    return data


def totals_dict(report: RunTotals) -> TotalsData:
    """The sums over the layers that fit, and bounds on them."""
    return {
        "macs": sum(layer.macs for layer in report.solved_layers),
        "latency_cycles": number(report.total("latency_cycles")),
        "traffic_bytes": number(report.total("traffic_bytes")),
        "compulsory_bytes": number(report.compulsory_bytes),
        "least_traffic_bytes": number(report.least_traffic_bytes),
        "roofline_cycles": number(report.roofline_cycles),
        "energy_pj": number(report.total("energy_pj")),
        "least_energy_pj": number(report.least_energy_pj),
        "energy_delay_js": float(report.energy_delay * Fraction(1, 10**21)),
        "seconds": round(report.seconds, 6),
    }


def _slack(slack: Slack, machine: Hardware) -> SlackData:
    return {
        "least_latency_cycles": number(machine.tick.cycles(slack.least)),
        "taken": _offer(slack.taken, machine),
        "more": [_offer(offer, machine) for offer in slack.more],
        "outside": list(slack.outside),
        "seconds": round(slack.seconds, 6),
    }


def _offer(offer: Offer, machine: Hardware) -> OfferData:
    return {
        "tolerance": float(offer.tolerance),
        "latency_cap_cycles": number(machine.tick.cycles(offer.cap)),
        "latency_cycles": number(machine.tick.cycles(offer.latency)),
        "traffic_bytes": number(Fraction(offer.traffic, 8)),
        "lower_bound": number(Fraction(offer.bound, 8)),
        "gap": float(1 - Fraction(offer.bound, offer.traffic)),
        "termination": offer.termination.value,
    }


#: Columns of a row that are the whole layer's.
_OF_LAYER = ("op", "deconvolution", "compulsory_bytes", "least_communication_bytes")
#: What stands on a layer instead of its parts if tiles are shared.
_SHARED = ("mapping", "latency_cycles", "compute_cycles", "traffic_bytes", "energy_pj", "energy", "gap")


def rows(layers: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One flat row per part, nested names joined with dots."""
    for layer in layers:
        above = {name: layer[name] for name in _OF_LAYER}
        if "mapping" in layer:
            above |= {name: layer[name] for name in _SHARED}
        for part in layer["parts"]:
            yield {"layer": layer["name"], **dict(flat(above | part))}


def flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested names joined with dots: a column for each dimension, and for each field of each axis.

    Other lists of numbers are one word with ``x`` between, of names with blanks; lists of lists are left out.
    """
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}.")
        elif key in ("spatial", "axes"):
            yield from flat({str(i): item for i, item in enumerate(value)}, f"{name}.")
        elif not isinstance(value, list):
            yield name, value
        elif not any(isinstance(item, dict | list) for item in value):
            yield name, (" " if any(isinstance(item, str) for item in value) else "x").join(map(str, value))
