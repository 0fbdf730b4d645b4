"""Answers of several methods to the same problems: each against the best known, and their totals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from formulation.pricing.objective import ENERGY, LATENCY, TRAFFIC, Objective
from formulation.problem import Problem
from solvers.cli.comparison_rows import MethodAnswer, answers, written_only
from solvers.network.report import Report
from solvers.result import BoundScope, number

if TYPE_CHECKING:
    from formulation.shared.problem import SharedProblem

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Row:
    """One method's answer to one problem, or its totals, with what only a comparison knows.

    Attributes:
        method: the solver.
        answer: what it found; the totals are an answer named ``total``, with a count of 1.
        ratio: objective over the best known of all methods.
        within_cap: balanced: whether the latency is within the tolerance of the least latency known; the
            best known is then only among such. Always true for other objectives.
    """

    method: str
    answer: MethodAnswer
    ratio: float | None
    within_cap: bool

    @property
    def gap(self) -> float | None:
        """``(objective - bound) / objective``."""
        return self._gap(self.answer.bound)

    @property
    def relaxation_gap(self) -> float | None:
        """The same of what the relaxation proves by itself."""
        return self._gap(self.answer.relaxed)

    def _gap(self, bound: Fraction | float | None) -> float | None:
        value = self.answer.objective
        return None if not value or bound is None else float((value - Fraction(bound)) / value)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        answer = self.answer
        return {
            "layer": answer.layer,
            "part": answer.part,
            "deconvolution": answer.deconvolution or None,
            "count": answer.count,
            "method": self.method,
            "objective": number(answer.objective),
            "ratio": self.ratio,
            "within_cap": self.within_cap,
            "latency_cycles": number(answer.latency),
            "traffic_bytes": number(answer.traffic),
            "lower_bound": number(answer.bound),
            "latency_bound": number(answer.least_latency),
            "bound_scope": answer.scope,
            "gap": self.gap,
            "relaxation_bound": number(answer.relaxed),
            "relaxation_gap": self.relaxation_gap,
            "seconds": round(answer.seconds, 6),
            "iterations": answer.iterations,
            "nodes": answer.nodes,
            "termination": answer.termination,
            "solution_status": answer.status,
            "models": list(answer.models),
        }


def ranked(reports: dict[str, Report]) -> Iterator[Row]:
    """The rows of reports by method: of each problem in the network's order, then the totals."""
    found = {method: list(answers(report)) for method, report in reports.items()}
    objective = next(iter(reports.values())).objective
    for alike in zip(*found.values(), strict=True):
        yield from rank(objective, list(found), alike)
    solved = [all(a.objective is not None for a in alike) for alike in zip(*found.values(), strict=True)]
    totals = [
        _total(report, [a for a, keep in zip(found[method], solved, strict=True) if keep])
        for method, report in reports.items()
    ]
    yield from rank(objective, list(found), totals)


def rank(objective: Objective, methods: Sequence[str], alike: Sequence[MethodAnswer]) -> Iterator[Row]:
    """Answers to the same problem, each against the best known."""
    cap = None
    latencies = [a.latency for a in alike if a.latency is not None]
    if objective.capped and latencies:
        least = min([*latencies, *(Fraction(low) for a in alike if (low := _attained(a)) is not None)])
        cap = objective.loosened(least)
    within = [cap is None or a.latency is None or a.latency <= cap for a in alike]
    values = [a.objective for a, ok in zip(alike, within, strict=True) if ok and a.objective is not None]
    for method, answer, ok in zip(methods, alike, within, strict=True):
        ratio = None
        if answer.objective is not None and values and min(values) > 0:
            ratio = float(answer.objective / min(values))
        yield Row(method, answer, ratio, ok)


def _attained(answer: MethodAnswer) -> Fraction | float | None:
    """The least latency that a method knows a mapping of: its bound, once it has proven everything."""
    return answer.least_latency if answer.status == "optimal" else None


def _total(report: Report, parts: Sequence[MethodAnswer]) -> MethodAnswer:
    """Sums with counts, over the parts that every method solved and what is only written."""
    aside = list(written_only(report))
    cycles = Fraction(sum(p.count * (p.latency_cycles or 0) for p in aside))
    moved = Fraction(sum(p.count * (p.traffic_bytes or 0) for p in aside))
    spent = Fraction(sum(p.count * (p.energy_pj or 0) for p in aside))
    own = {LATENCY.key: cycles, TRAFFIC.key: moved, ENERGY.key: spent}.get(
        report.objective.claim, Fraction(0)
    )
    statuses = {a.status for a in parts}
    return MethodAnswer(
        layer=TOTAL,
        part="",
        deconvolution="",
        count=1,
        latency=_sum(parts, "latency", cycles),
        traffic=_sum(parts, "traffic", moved),
        objective=_sum(parts, "objective", own),
        bound=_sum(parts, "bound", own),
        least_latency=_sum(parts, "least_latency", cycles),
        scope=next((a.scope for a in parts if a.scope == BoundScope.PARTITION), BoundScope.MAP_SPACE.value),
        termination=_common({a.termination for a in parts}, ("error", "time_limit", "iteration_limit")),
        status="optimal" if statuses == {"optimal"} else "feasible" if parts else "none",
        seconds=report.seconds,
        iterations=_count(report, "iterations"),
        nodes=_count(report, "nodes"),
        relaxed=_sum(parts, "relaxed", own) if parts else None,
    )


def _sum(parts: Sequence[MethodAnswer], quantity: str, aside: Fraction) -> Fraction | None:
    values = [(getattr(a, quantity), a.count) for a in parts]
    if any(value is None for value, _ in values):
        return None
    return sum((n * Fraction(value) for value, n in values), aside)


def _common(reasons: set[str], grave: Sequence[str]) -> str:
    """The gravest of the reasons for which solvers stopped."""
    return next((reason for reason in grave if reason in reasons), "optimal")


def _count(report: Report, quantity: str) -> int | None:
    """Sum over the distinct problems; each was solved once, however often it occurs."""
    distinct: dict[Problem | SharedProblem, int | None] = {}
    for layer in report.layers:
        for part in layer.parts:
            if part.result is not None:
                distinct[part.result.problem] = getattr(part.result, quantity)
        if layer.weighed is not None and layer.weighed.shared is not None:
            shared = layer.weighed.shared
            distinct[shared.problem] = getattr(shared, quantity)
    known = [value for value in distinct.values() if value is not None]
    return sum(known) if known else None
