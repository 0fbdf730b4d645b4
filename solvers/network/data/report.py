"""A run's report as plain data, whole or in flat rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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
        "totals": totals_dict(_sums(report), report.hardware, report.seconds),
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


@dataclass(frozen=True, slots=True)
class RunSums:
    """What the layers that have a mapping take together, one by one, and bounds for any schedule of them.

    Attributes:
        macs: multiply-accumulates.
        latency: [cycles].
        traffic: [bytes].
        energy: [pJ].
        compulsory: traffic that must be [bytes].
        least_traffic: the sum of what each layer moves at least [bytes].
        roofline: least latency [cycles].
        least_energy: [pJ].
    """

    macs: int
    latency: Fraction
    traffic: Fraction
    energy: Fraction
    compulsory: Fraction
    least_traffic: Fraction
    roofline: Fraction
    least_energy: Fraction


def totals_dict(sums: RunSums, machine: Hardware, seconds: float) -> TotalsData:
    """Sums on a machine as JSON has them, with the wall time of the run."""
    return {
        "macs": sums.macs,
        "latency_cycles": number(sums.latency),
        "traffic_bytes": number(sums.traffic),
        "compulsory_bytes": number(sums.compulsory),
        "least_traffic_bytes": number(sums.least_traffic),
        "roofline_cycles": number(sums.roofline),
        "energy_pj": number(sums.energy),
        "least_energy_pj": number(sums.least_energy),
        "energy_delay_js": energy_delay_js(sums.energy, sums.latency, machine),
        "seconds": round(seconds, 6),
    }


def energy_delay_js(energy: Fraction, latency: Fraction, machine: Hardware) -> float:
    """Energy [pJ] times latency [cycles] at the machine's clock [J s]."""
    return float(energy * latency / Fraction(machine.frequency) / 10**21)


def _sums(report: RunTotals) -> RunSums:
    return RunSums(
        sum(layer.macs for layer in report.solved_layers),
        report.total("latency_cycles"),
        report.total("traffic_bytes"),
        report.total("energy_pj"),
        report.compulsory_bytes,
        report.least_traffic_bytes,
        report.roofline_cycles,
        report.least_energy_pj,
    )


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
