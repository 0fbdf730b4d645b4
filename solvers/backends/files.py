"""Mixed-integer programs as files (``.lp``, ``.mps``): names, and what their numbers stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from formulation.hardware import Hardware
from formulation.pricing.objective import Objective
from formulation.pricing.price import Price
from formulation.problem import Problem
from formulation.program.model import Milp
from formulation.program.scaling import Scale
from formulation.words import in_words

_LEGEND = (
    "variant(v): the loop order, by the tensor that stays; _whole: with all input channels in one tile",
    "out(v_t), inp(v_t), tile(v_...): tiles of output channels, input channels, batch and the axes",
    "pixels, words, work(v_t): with so many output channels, the tile's pixels, its ifmap words of one pass,",
    "its array cycles; window, beside(v_t): with so many input channels, words of the ifmap's tile, output",
    "channels beside them; each from its least (0) to its greatest (1) there, and 0 where t is not chosen",
    "part(v_x): of the buffer, for a tensor",
    "an optimum read back: the variant, out, inp and tile that are 1 are the mapping",
)
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
    import pyomo.environ  # noqa: F401  (registers the writers)

    folder.mkdir(parents=True, exist_ok=True)
    model.name, lines = name, tuple(heading)
    for ending, mark in _COMMENT.items():
        file = folder / f"{name}.{ending}"
        model.write(str(file), io_options={"symbolic_solver_labels": True})
        head = "".join(f"{mark}{line}\n" for line in lines)
        file.write_text(head + file.read_text(encoding="utf-8"), encoding="utf-8")


def _heading(milp: Milp, problem: Problem) -> Iterator[str]:
    yield from in_words(problem)
    yield from scale_lines(milp, problem.hardware, problem.objective)
    yield from _LEGEND


def scale_lines(milp: Milp, hardware: Hardware, objective: Objective) -> Iterator[str]:
    """What the variables of the quantities stand for."""
    for name, quantity in zip(Price._fields, objective.quantities, strict=True):
        if name in milp.axes:
            scale = _line(milp.axes[name], quantity.per_unit(hardware))
            yield f"{quantity.name} [{quantity.unit}] = {scale} * {name}"


def _line(scale: Scale, size: int) -> str:
    return f"{scale.floor / size:.12g} + {scale.unit / size:.12g}"
