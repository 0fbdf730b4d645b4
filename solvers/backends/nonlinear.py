"""The integer nonlinear programs of a layer as files: ``.nl`` for any MINLP solver, and text to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from textwrap import wrap
from typing import Any

from formulation.mapping import Stationary
from formulation.pricing.objective import Measure
from formulation.problem import Problem
from formulation.program.nonlinear.model import build_nonlinear
from formulation.words import in_words

_LEGEND = """\
dimensions d: co, ci (output, input channels), batch, axis0, ...; groups g of loops: co, ci, sp (batch, axes)
tile[d], trips[d], last[d]: size of a tile, number of tiles, size of the last one; several[g]: trips above one
words[a], longest[a]: input words of an axis' tiles together, and of the longest; moved[x]: to and from DRAM
rounded[g]: rows or columns of the array taken, one after another; cycles[g]: a factor of the array's cycles
part[x]: of the buffer [bytes]; total: latency [cycles], traffic [bytes], energy [pJ]"""
_WIDTH = 150  # of rows in a text that shows some only
_ROWS = {
    "covers": "n tiles cover an extent, n - 1 do not: n t >= E >= (n - 1) t + 1",
    "last_is": "what the tiles before leave to the last one",
    "within_low": "tables: of the straight runs one is chosen, and holds the tile",
    "words_is": "input words of the intervals, halo included",
    "longest_is": "the longest interval",
    "several_low": "more than one trip, or one",
    "fits": "what each tensor needs is within its part [bits]; the parts share the buffer [bytes]",
    "either_one": "one of two groups has more than one trip",
    "moved_is": "words times passes",
    "moves": "words times widths [bits]",
    "rounded_low": "quotients that are rounded up: a <= size q <= a + size - 1",
    "cycles_is": "array cycles by group of loops, over all tiles",
    "computes": "the array, and the first tiles in and the last one out; the transfer",
    "in_turn": "the array, then the transfer",
    "spends": "multiply-accumulates, words at the array and at the DRAM, time",
    "packed": "the filters of a sub-kernel are in rounds: of each pattern, as often as it runs",
    "round_weights": "the fullest round: weights per input channel, and outputs; fuller patterns first",
    "passes_is": "passes at the array of a sub-kernel, of each pattern as often as it runs",
    "clipped_is": "a tile clipped to the outputs of the smaller sub-kernels",
    "one_slides": "tiles slide along one axis, and fetch there only what the one before has not",
}


Build = Callable[[Stationary, Measure, int | None], Any]
"""From a loop order, what is minimised and the greatest latency [ticks] to a model."""


def dump_nonlinear(
    problem: Problem, steps: Iterable[tuple[Measure, int | None]], folder: Path, name: str
) -> list[Path]:
    """Write a layer's programs, as ``write_nonlinear``."""
    about = (*in_words(problem), "", _LEGEND)
    return write_nonlinear(partial(build_nonlinear, problem), about, steps, folder, name)


def write_nonlinear(
    build: Build,
    about: Iterable[str],
    steps: Iterable[tuple[Measure, int | None]],
    folder: Path,
    name: str,
    shown: int | None = None,
) -> list[Path]:
    """Write each loop order's program of each step: ``<name>.integer.<order>.<step>.nl`` and ``.txt``.

    Args:
        build: makes the models.
        about: the problem in words, and the legend.
        steps: what is minimised, and the greatest latency [ticks] or None, in turn.
        folder: made if missing.
        name: of the problem; characters that file names should not have are replaced.
        shown: of rows of a kind, and of variables, in the text at most; None for all.

    Returns:
        The text files.
    """
    import pyomo.environ  # noqa: F401  (registers the writer)

    folder.mkdir(parents=True, exist_ok=True)
    stem, written, words = re.sub(r"[^\w.+-]+", "_", name), [], tuple(about)
    for measure, cap in steps:
        for stationary in Stationary:
            model = build(stationary, measure, cap)
            base = folder / f"{stem}.integer.{stationary.value}.{measure.name}"
            model.write(f"{base}.nl", format="nl", io_options={"symbolic_solver_labels": True})
            text = Path(f"{base}.txt")
            lines = [f"{name}: least {measure.name} of all mappings in which the {_stays(stationary)}"]
            lines += [*words, *_tables(model), *_rendered(model, shown), *_read_back(stationary)]
            text.write_text("\n".join(lines) + "\n", "utf-8")
            written.append(text)
    return written


def _stays(stationary: Stationary) -> str:
    """The tensor that stays, and the loops, outermost first."""
    names = {"weight": "weights stay", "input": "ifmap stays", "output": "ofmap stays"}
    loops = ", ".join(group.value for group in stationary.loops)
    return f"{names[stationary.value]} (loops, outermost first: {loops})"


def _tables(model: Any) -> Iterator[str]:
    """Which words are no closed formula."""
    for name, count in model.tables.items():
        yield f"{name}: borders clip the intervals: a table by tile size, {count} straight runs"


def _rendered(model: Any, shown: int | None) -> Iterator[str]:
    """The objective, the rows by kind, and the ranges of the variables."""
    from pyomo.core.base import Constraint, Objective

    (objective,) = model.component_data_objects(Objective)
    yield from ("", "minimise", f"    {objective.expr}", "", "subject to")
    for rows in model.component_objects(Constraint):
        if rows.local_name in _ROWS:
            yield f"  {_ROWS[rows.local_name]}"
        for row in islice(rows.values(), shown):
            line = f"    {row.name}: {row.expr}".replace("  <=  ", " <= ").replace("  ==  ", " = ")
            yield line if shown is None or len(line) <= _WIDTH else f"{line[:_WIDTH]} ..."
        if shown is not None and len(rows) > shown:
            yield f"    ... and {len(rows) - shown} more of these"
    yield ""
    yield from _ranges(model, shown)


def _ranges(model: Any, shown: int | None) -> Iterator[str]:
    """The ranges of all variables, several a line; of many of a kind the first ones."""
    from pyomo.core.base import Var

    found: dict[str, list[str]] = {"whole": [], "zero or one": [], "continuous": []}
    for variable in chain.from_iterable(islice(v.values(), shown) for v in model.component_objects(Var)):
        most = "" if variable.ub is None else f" <= {variable.ub:.12g}"
        kind = "zero or one" if variable.is_binary() else "whole" if variable.is_integer() else "continuous"
        found[kind].append(
            variable.name if variable.is_binary() else f"{variable.lb:.12g} <= {variable.name}{most}"
        )
    for kind, texts in found.items():
        lines = wrap("; ".join(text.replace(" ", "\0") for text in texts), 106)
        yield from (kind, *(f"    {line}".replace("\0", " ") for line in lines))
    for variables in model.component_objects(Var):
        if shown is not None and len(variables) > shown:
            yield f"and {len(variables) - shown} more of {variables.local_name}, of the same kind and range"


def _read_back(stationary: Stationary) -> Iterator[str]:
    yield from ("", "an optimum read back")
    yield f"    the mapping is the loop order {stationary.value} with the sizes tile[d], 1 if there is none;"
    yield "    the least of all three loop orders is the layer's"
