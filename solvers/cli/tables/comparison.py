"""A comparison as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dnns.terminal.tables import Title, fitted, put
from formulation.pricing.objective import ENERGY, LATENCY, TRAFFIC
from solvers.cli.comparison import Comparison
from solvers.cli.ranking import TOTAL, Row
from solvers.cli.tables.columns import Unit, buffer_unit
from solvers.result import BoundScope

_LATENCY, _TRAFFIC = 2, 3
#: Columns in the order in which a narrow console does without them: bound, iterations, nodes, the gap of the
#: relaxation; then that of latency and traffic which is not the objective, time, gap, ratio and status.
_RELAXED = 7
_DISPENSABLE = (5, 9, 10, _RELAXED)
_THEN = (8, 6, 4, 11)

#: How it ended, where the mapping is not proven optimal.
_ENDS = {
    "optimal": "feasible",
    "time_limit": "time limit",
    "iteration_limit": "iteration limit",
    "infeasible": "does not fit",
    "error": "error",
}


def print_comparison(comparison: Comparison, console: Console, *, verbose: bool = False) -> None:
    """Print the methods side by side, per layer and in total; with ``verbose`` the programs' sizes."""
    tables = [_methods(comparison, console)]
    if verbose and any(row.answer.models for row in comparison.rows):
        tables.append(_models(comparison, console))
    console.print(_heading(comparison), highlight=False)
    for table in tables:
        put(console, table)
    for note in _notes(comparison):
        console.print(note, highlight=False)


def _heading(comparison: Comparison) -> Text:
    line = Text.assemble((comparison.network, "bold"), f": {comparison.objective.title}")
    static = comparison.reports.get("static")
    if static is not None and static.partition is not None:
        unit = buffer_unit(static.hardware)
        line.append(f"\nstatic partition I O W {' / '.join(map(unit, static.partition.parts))} {unit.name}")
    return line


def _methods(comparison: Comparison, console: Console) -> Table:
    cycles, traffic = _units(comparison)
    weighted = comparison.objective.quantity is None
    spent = Unit("uJ", 10**6)
    units = {LATENCY: cycles, TRAFFIC: traffic, ENERGY: spent}
    unit = units[comparison.objective.quantity or TRAFFIC]
    titles: tuple[Title, ...] = (
        ("\nlayer", "left"),
        ("\nmethod", "left"),
        (f"latency\n{cycles.name}", "right"),
        (f"traffic\n{traffic.name}", "right"),
        ("ratio\nto best", "right"),
        ("bound\nscore" if weighted else f"bound\n{unit.name}", "right"),
        ("gap\n%", "right"),
        ("relaxed\ngap %", "right"),
        ("time\ns", "right"),
        ("\niterations", "right"),
        ("\nnodes", "right"),
        ("\nstatus", "left"),
    )

    def cells(row: Row, before: Row | None) -> tuple[str, ...]:
        answer = row.answer
        bound = None if answer.bound is None else Fraction(answer.bound)
        return (
            "" if before is not None and _same(before, row) else _name(row),
            row.method,
            cycles(answer.latency),
            traffic(answer.traffic),
            _ratio(row),
            _decimal(bound, 4) if weighted else unit(bound),
            _decimal(None if row.gap is None else 100 * row.gap, 2),
            _decimal(None if row.relaxation_gap is None else 100 * row.relaxation_gap, 2),
            _decimal(answer.seconds, 2),
            _count(answer.iterations),
            _count(answer.nodes),
            _status(row),
        )

    rows = comparison.rows
    table = [cells(row, before) for before, row in zip((None, *rows), rows, strict=False)]
    ends = [place for place, (one, two) in enumerate(pairwise(rows)) if not _same(one, two)]
    other = _TRAFFIC if comparison.objective.quantity is LATENCY else _LATENCY
    shown = [
        i for i in range(len(titles)) if i != _RELAXED or any(r.relaxation_gap is not None for r in rows)
    ]
    less = [shown.index(i) for i in (*_DISPENSABLE, other, *_THEN) if i in shown]
    table = [tuple(line[i] for i in shown) for line in table]
    return fitted([titles[i] for i in shown], table, less, console, sections=ends)


def _units(comparison: Comparison) -> tuple[Unit, Unit]:
    """Units in which the largest number of any layer has at most some seven digits."""
    layers = [row.answer for row in comparison.rows if row.answer.layer != TOTAL]
    cycles = max((a.latency or 0 for a in layers), default=0)
    traffic = max((a.traffic or 0 for a in layers), default=0)
    return (
        Unit("kcycles", 1000) if cycles >= 10**7 else Unit("cycles", 1),
        Unit("kB", 1000) if traffic >= 10**7 else Unit("B", 1),
    )


def _same(one: Row, two: Row) -> bool:
    """Whether two rows are of the same layer or part."""
    return (one.answer.layer, one.answer.part) == (two.answer.layer, two.answer.part)


def _name(row: Row) -> str:
    times = f" x{row.answer.count}" if row.answer.count > 1 else ""
    return f"{row.answer.name}{times}"


def _ratio(row: Row) -> str:
    return "-" if row.ratio is None else f"{row.ratio:.4f}" + ("" if row.within_cap else "!")


def _decimal(value: Fraction | float | None, digits: int) -> str:
    return "-" if value is None else f"{float(value):,.{digits}f}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _status(row: Row) -> str:
    """What is proven, or else why the method stopped; what is optimal for a partition only is marked."""
    text = "optimal" if row.answer.status == "optimal" else _ENDS[row.answer.termination]
    if row.answer.scope == BoundScope.PARTITION:
        text += "*"
    return f"{text} shared" if row.answer.deconvolution == "combine" else text


def _notes(comparison: Comparison) -> Iterator[Text]:
    """What the marks in the table mean, where there are any."""
    rows = comparison.rows
    if any(row.answer.scope == BoundScope.PARTITION for row in rows):
        yield Text("* for its partition; bound and gap too are those of the mappings within it")
    if not all(row.within_cap for row in rows):
        yield Text("! above the latency cap: not comparable in traffic with those within it")
    if any(row.answer.deconvolution == "combine" for row in rows):
        yield Text("shared: deconvolution with shared ifmap tiles")
    if any(row.answer.objective is None for row in rows if row.answer.layer != TOTAL):
        yield Text("totals cover what every method has solved")


def _models(comparison: Comparison, console: Console) -> Table:
    titles: tuple[Title, ...] = (
        ("\npart", "left"),
        ("\nmethod", "left"),
        ("\nprogram", "left"),
        ("\nrows", "right"),
        ("\ncolumns", "right"),
        ("\nnonzeros", "right"),
        ("presolved\nrows", "right"),
        ("\ncolumns", "right"),
        ("\nnonzeros", "right"),
        ("\nnodes", "right"),
        ("\niterations", "right"),
    )
    rows = [
        (model["part"], row.method, model["stage"], *_sizes(model))
        for row in comparison.rows
        for model in row.answer.models
    ]
    return fitted(titles, rows, (10, 9, 1, 3, 6), console)


def _sizes(model: dict[str, Any]) -> list[str]:
    sizes = [(model.get(when) or {}).get(what) for when in ("size", "presolved") for what in _SIZES]
    return [_count(n) for n in (*sizes, model.get("nodes"), model.get("iterations"))]


_SIZES = ("rows", "cols", "nonzeros")
