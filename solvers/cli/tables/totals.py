"""The totals of a run against their bounds, and the line on a tolerance over the network."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from dnns.terminal.tables import Title, fitted
from formulation.hardware import Hardware
from solvers.cli.tables.columns import percent
from solvers.network.report import Report

if TYPE_CHECKING:
    from solvers.network.slack import Offer, Slack


def totals(report: Report, console: Console) -> Table:
    """Sums over the layers that fit, each beside what no schedule, or no mapping, can beat."""
    cycles, traffic = report.total("latency_cycles"), report.total("traffic_bytes")
    rows = [("MACs", f"{sum(layer.macs for layer in report.solved_layers):,}", "", "")]
    for name, value, bound in (
        ("cycles (bound: roofline)", cycles, report.roofline_cycles),
        ("traffic bytes (bound: compulsory)", traffic, report.compulsory_bytes),
        ("traffic bytes (bound: any schedule)", traffic, report.least_traffic_bytes),
    ):
        ratio = f"{float(value / bound):.3f}" if bound else "-"
        rows.append((name, f"{float(value):,.0f}", f"{float(bound):,.0f}", ratio))
    milliseconds = float(cycles / report.hardware.frequency) / 1e6
    energy, least = report.total("energy_pj"), report.least_energy_pj
    ratio = f"{float(energy / least):.3f}" if least else "-"
    rows.append(("energy uJ (bound: least)", _micro(energy), _micro(least), ratio))
    rows.append(("time at the clock", f"{milliseconds:,.2f} ms", "", ""))
    rows.append(("solved in", f"{report.seconds:.2f} s", "", ""))
    title = "total" if report.complete else "total of the layers that fit"
    titles: tuple[Title, ...] = ((title, "left"), ("", "right"), ("bound", "right"), ("ratio", "right"))
    return fitted(titles, rows, (3, 2), console)


def _micro(picojoules: Fraction) -> str:
    return f"{float(picojoules) / 1e6:,.1f}"


def slack_line(slack: Slack, machine: Hardware) -> str:
    """What a tolerance over the network bought, and what more of it would buy."""
    taken = slack.taken
    text = f"within {_slackpercent(taken)} of the network's least latency, least traffic "
    text += (
        "proven"
        if taken.bound == taken.traffic
        else f"to {percent(1 - Fraction(taken.bound, taken.traffic), 2)} %"
    )
    for offer in slack.more:
        change = percent(Fraction(offer.traffic, taken.traffic) - 1, 2)
        cycles = percent(Fraction(offer.latency, taken.latency) - 1, 2)
        text += f"; within {_slackpercent(offer)}: {change} % traffic for {cycles} % more cycles"
    some = len(slack.outside)
    return text + (f"; not in this, each by itself: deconvolutions that may share tiles, {some}" * bool(some))


def _slackpercent(offer: Offer) -> str:
    return f"{100 * float(offer.tolerance):.3g} %"
