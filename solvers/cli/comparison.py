"""Several methods on the same problems in the same run, side by side; ``docs/compare.md`` explains it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dnns.terminal.frames import data_frame
from formulation.pricing.objective import ENERGY, LATENCY, TRAFFIC, Objective
from formulation.problem import Problem
from solvers.cli.comparison_rows import MethodAnswer, answers, written_only
from solvers.methods import METHODS
from solvers.network.data.report import flat
from solvers.network.levels import check_layers_only
from solvers.network.report import Report
from solvers.network.schedule import run_scenario
from solvers.network.tasks import Notify
from solvers.result import BoundScope, number
from solvers.scenario import Scenario, read_scenario

if TYPE_CHECKING:
    import pandas as pd

    from formulation.shared.problem import SharedProblem
    from solvers.network.workers import Workers
    from solvers.views.plots.report import ComparisonPlots

Watch = Callable[[str], Notify | None]
"""From the name of a method to what is told about its progress."""

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


@dataclass(frozen=True, slots=True)
class Comparison:
    """One scenario solved by several methods.

    Attributes:
        scenario: what was solved.
        reports: of each method, by name.
        rows: of each problem in the network's order, one after another for each method; then the totals.
    """

    scenario: Scenario
    reports: dict[str, Report]
    rows: tuple[Row, ...]

    @property
    def network(self) -> str:
        """Its name."""
        return self.first.network

    @property
    def first(self) -> Report:
        """The report of the first method."""
        return next(iter(self.reports.values()))

    @property
    def objective(self) -> Objective:
        """What was minimised."""
        return self.first.objective

    def to_rows(self) -> list[dict[str, Any]]:
        """One flat row of plain values per problem and method, totals last.

        Of the mixed-integer programs of a row the largest is shown, under ``model.``.
        """
        return [self._flat(row) for row in self.rows]

    def _flat(self, row: Row) -> dict[str, Any]:
        data = {"scenario": self.scenario.source, "network": self.network, **row.to_dict()}
        models = data.pop("models")
        largest = max(models, key=lambda model: model["size"]["nonzeros"], default=None)
        if largest is not None:
            sizes = {name: largest[name] for name in ("size", "presolved") if largest.get(name)}
            data |= dict(flat({"model": sizes}))
        return data

    def to_frame(self) -> pd.DataFrame:
        """``to_rows`` as a pandas data frame; needs pandas."""
        return data_frame(self.to_rows())

    @property
    def plot(self) -> ComparisonPlots:
        """Its pictures, for notebooks: ``comparison.plot.methods()`` returns matplotlib's axes."""
        from solvers.views.plots.report import ComparisonPlots

        return ComparisonPlots(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "scenario": self.scenario.source,
            "network": self.network,
            "objective": self.scenario.objective.model_dump(),
            "hardware": self.scenario.hardware.model_dump(mode="json"),
            "methods": list(self.reports),
            "rows": [row.to_dict() for row in self.rows if row.answer.layer != TOTAL],
            "totals": [row.to_dict() for row in self.rows if row.answer.layer == TOTAL],
        }


def compare(
    scenario: Scenario | str | Path,
    methods: Sequence[str] = METHODS,
    *,
    jobs: int = 1,
    watch: Watch | None = None,
    workers: Workers | None = None,
) -> Comparison:
    """Solve a scenario's network by several methods.

    ``static`` takes the scenario's ``buffer_partition``; the others leave the partition to each layer,
    unless the scenario says ``static: true``.

    Args:
        scenario: what to run, or its file; its own method does not matter.
        methods: names of methods.
        jobs: processes to use.
        watch: gives a progress callback for each method.
        workers: processes that have been started already, in place of ``jobs``.

    Raises:
        InputError: if something cannot be read, a method is not available, or the network is one problem.
    """
    if not isinstance(scenario, Scenario):
        scenario = read_scenario(scenario)
    check_layers_only(scenario, "methods are compared for layers")
    network = scenario.read_network()
    reports = {}
    for method in dict.fromkeys(name.lower() for name in methods):
        changed = scenario.model_copy(update={"search_method": method, **_of_others(scenario, method)})
        notify = watch(method) if watch else None
        reports[method] = run_scenario(changed, network=network, jobs=jobs, notify=notify, workers=workers)
    return Comparison(scenario, reports, tuple(_rows(reports)))


def _of_others(scenario: Scenario, method: str) -> dict[str, Any]:
    """What a scenario says of other methods than this one, as if it did not."""
    mine = {"exact_after": "combined", "sieve": "exact", "presolve": "constrained"}
    fields = Scenario.model_fields
    others = {name: fields[name].default for name, owner in mine.items() if owner != method}
    return {"dump_models": None, **others}


def _rows(reports: dict[str, Report]) -> Iterator[Row]:
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


def write_json(comparisons: Sequence[Comparison], stream: IO[str]) -> None:
    """Write comparisons as a JSON list."""
    json.dump([c.to_dict() for c in comparisons], stream, indent=1, allow_nan=False)
    stream.write("\n")


def write_csv(comparisons: Sequence[Comparison], stream: IO[str]) -> None:
    """Write one line per problem and method."""
    rows = [row for comparison in comparisons for row in comparison.to_rows()]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(stream, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
