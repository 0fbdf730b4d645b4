"""What the proofs of a run rest on, part by part, and how large the models were: ``--verbose``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from dnns.terminal.tables import Title, fitted, put
from solvers.network.report import Report
from solvers.result import Answer

_TITLES: tuple[Title, ...] = (
    ("layer", "left"),
    ("bound on", "left"),
    ("rests on", "left"),
    ("relaxed bound", "right"),
    ("its gap %", "right"),
    ("program", "right"),
    ("presolved", "right"),
    ("nodes", "right"),
    ("in solver s", "right"),
    ("models", "right"),
    ("iterations", "right"),
    ("seconds", "right"),
)
#: Columns in the order in which a narrow console does without them.
_DISPENSABLE = (11, 6, 10, 9, 8, 5, 7, 3, 4)


def print_proofs(report: Report, console: Console) -> None:
    """Print a row for each step of each part, and how often a bound rests on what."""
    named = list(_answers(report))
    rows = [row for name, answer in named for row in _rows(name, answer)]
    table = fitted(_TITLES, rows, _DISPENSABLE, console)
    table.title, table.title_justify = "what the bounds rest on", "left"
    put(console, table)
    times = Counter(origin.value for _, answer in named for origin in answer.bound_from.values())
    console.print("bounds: " + ", ".join(f"{count} {name}" for name, count in times.most_common()))


def _answers(report: Report) -> Iterator[tuple[str, Answer[Any, Any]]]:
    for layer in report.layers:
        for part in layer.parts:
            if part.result is not None:
                yield part.name, part.result
        if layer.weighed is not None and layer.weighed.shared is not None:
            yield f"{layer.operator.name}, shared tiles", layer.weighed.shared


def _rows(name: str, answer: Answer[Any, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each step: its programs, and the models of its relaxation."""
    solves, models = answer.extras.get("solves"), answer.extras.get("models")
    told, relaxed = name, dict(_relaxed(answer))
    for step, origin in answer.bound_from.items():
        mine = [s for s in solves if s["stage"].endswith(f"-{step}")] if isinstance(solves, list) else []
        classes = models.get(step) if isinstance(models, dict) else None
        first = told == name
        yield (
            told,
            step,
            origin.value,
            *relaxed.get(step, ("", "")),
            *(_program(mine) if mine else ("", "", "", "")),
            "" if classes is None else str(len(classes)),
            "" if answer.iterations is None or not first else f"{answer.iterations:,}",
            f"{answer.seconds:.2f}" if first else "",
        )
        told = ""


def _relaxed(answer: Answer[Any, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """By step: what the relaxation proves by itself, in the unit of results, and the gap that this leaves."""
    if answer.relaxed is None:
        return
    for measure in (step.measures[0] for step in answer.problem.steps):
        bound, gap = answer.relaxed.of(measure.claim), answer.relaxed_gap(measure)
        if bound is not None and gap is not None:
            digits = 4 if measure.quantity is None else 0
            yield measure.name, (f"{float(bound):,.{digits}f}", f"{100 * gap:.2f}")


def _program(solves: list[dict[str, Any]]) -> tuple[str, ...]:
    """Rows x columns of the largest program before and after presolve; nodes and seconds of all."""
    largest = max(solves, key=lambda solve: int(solve["size"]["cols"]))
    less = largest["presolved"]
    nodes, seconds = (sum(solve[what] for solve in solves) for what in ("nodes", "seconds"))
    return _size(largest["size"]), "" if less is None else _size(less), f"{nodes:,}", f"{seconds:.2f}"


def _size(size: dict[str, int]) -> str:
    return f"{size['rows']} x {size['cols']}"
