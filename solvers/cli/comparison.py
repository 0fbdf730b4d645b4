"""Several methods on the same problems in the same run, side by side; ``docs/compare.md`` explains it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dnns.terminal.frames import data_frame
from formulation.pricing.objective import Objective
from solvers.cli.ranking import TOTAL, Row, ranked
from solvers.methods import METHODS
from solvers.network.data.report import flat
from solvers.network.levels import check_layers_only
from solvers.network.report import Report
from solvers.network.schedule import run_scenario
from solvers.network.tasks import Notify
from solvers.scenario import Scenario, read_scenario

if TYPE_CHECKING:
    import pandas as pd

    from solvers.network.workers import Workers
    from solvers.views.plots.report import ComparisonPlots

Watch = Callable[[str], Notify | None]
"""From the name of a method to what is told about its progress."""


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
    return Comparison(scenario, reports, tuple(ranked(reports)))


def _of_others(scenario: Scenario, method: str) -> dict[str, Any]:
    """What a scenario says of other methods than this one, as if it did not."""
    mine = {"exact_after": "combined", "sieve": "exact", "presolve": "constrained"}
    fields = Scenario.model_fields
    others = {name: fields[name].default for name, owner in mine.items() if owner != method}
    return {"dump_models": None, **others}


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
