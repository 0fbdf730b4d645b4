"""Mixed-integer programs as files (``.lp``, ``.mps``): names, and what their numbers stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from formulation.problem import Problem
from formulation.program.model import Milp
from formulation.program.scaling import Scale

_COMMENT = {"lp": "\\ ", "mps": "* "}


def dump(milp: Milp, problem: Problem, folder: Path, name: str) -> None:
    """Write a program, headed by the problem and the scales; arguments as of ``write``."""
    write(milp.model, _heading(milp, problem), folder, name)


def write(model: Any, heading: Iterable[str], folder: Path, name: str) -> None:
    """Write a program as ``<name>.lp`` and ``<name>.mps``; both begin with the heading.

    Args:
        model: the program.
        heading: lines that say what it is of and how its numbers are read.
        folder: made if missing.
        name: of the program, without ending.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.name, lines = name, tuple(heading)
    for ending, mark in _COMMENT.items():
        file = folder / f"{name}.{ending}"
        model.write(str(file), io_options={"symbolic_solver_labels": True})
        head = "".join(f"{mark}{line}\n" for line in lines)
        file.write_text(head + file.read_text(encoding="utf-8"), encoding="utf-8")


def _heading(milp: Milp, problem: Problem) -> Iterator[str]:
    yield f"{problem.layer}"
    yield f"{problem.hardware}"
    yield f"{problem.objective}"
    if milp.latency is not None:
        yield f"latency [cycles] = {_line(milp.latency, problem.hardware.tick.per_cycle)} * latency"
    if milp.traffic is not None:
        yield f"traffic [bytes] = {_line(milp.traffic, 8)} * traffic"


def _line(scale: Scale, size: int) -> str:
    return f"{scale.floor / size:.12g} + {scale.unit / size:.12g}"
