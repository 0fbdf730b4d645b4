"""The integer nonlinear programs of shared ifmap tiles as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from formulation.pricing.objective import Measure
from formulation.shared.problem import SharedProblem
from formulation.shared.space import SharedSpace
from formulation.shared.whole.nonlinear import build_shared_nonlinear, pattern_size
from formulation.words import deconvolution_words, setting_words
from solvers.backends.nonlinear import write_nonlinear

_LEGEND = """\
dimensions d: ci (input channels), batch, axis0, ... of the grid; groups g of loops: co (rounds), ci, sp
tile[d], trips[d], last[d]: size of a tile, number of tiles, size of the last one; several[g]: trips above one
items k: sub-kernels, alike ones as one where passes cost nothing; patterns p of rounds that are alike
times[p]: rounds of a pattern; filters[k_p]: of an item in it; rounded[k_p]: passes; passes[k]: in all rounds
fullest: weights per input channel, and outputs, of the largest round; clipped: tiles of smaller sub-kernels
an optimum's rounds: times[p] of them hold filters[k_p] of each item
words[a], longest[a]: input words of an axis' tiles together, and of the longest; moved[x]: to and from DRAM
cycles[g_kind]: a factor of the array's cycles; part[x]: of the buffer [bytes]
total: latency [cycles], traffic [bytes], energy [pJ]"""
_LARGEST = 10_000  # patterns times sub-kernels: ten thousands of variables, some minute to write
_SHOWN = 4  # rows and variables of a kind in the text of a nonlinear program


def dump_nonlinear_shared(
    problem: SharedProblem, steps: Iterable[tuple[Measure, int | None]], folder: Path, name: str
) -> list[Path]:
    """Write the programs of a shared problem; arguments and answer as of ``write_nonlinear``.

    In the place of one that is beyond any use stands a text that says so.
    """
    about, space, written = (*shared_words(problem), "", _LEGEND), SharedSpace(problem), list[Path]()
    for measure, cap in steps:
        counted = cap is not None or measure.weights.latency or measure.weights.spent
        patterns, items = pattern_size(space, bool(counted))
        if patterns * items > _LARGEST:
            folder.mkdir(parents=True, exist_ok=True)
            text = f"{name}: not written: {patterns:,} patterns of rounds with {items:,} sub-kernels each\n"
            written.append(folder / f"{name}.integer.{measure.name}.txt")
            written[-1].write_text(text, "utf-8")
            continue
        build = partial(build_shared_nonlinear, problem)
        written += write_nonlinear(build, about, [(measure, cap)], folder, name, shown=_SHOWN)
    return written


def shared_words(problem: SharedProblem) -> Iterator[str]:
    """A shared problem as a person reads it."""
    yield deconvolution_words(problem.deconv)
    yield from setting_words(problem.hardware, problem.partition, problem.objective)
    yield "its sub-kernels share each ifmap tile: all tiles, loop orders, and packings into rounds"
