"""Mixed-integer programs as files (``.lp``, ``.mps``): names, and what their numbers stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from formulation.objective import QUANTITIES
from formulation.problem import Problem
from formulation.program.model import Milp
from formulation.program.scaling import Scale

_LEGEND = (
    "variant(v): the loop order, by the tensor that stays; _whole: with all input channels in one tile",
    "out(v_t), inp(v_t), tile(v_...): tiles of output channels, input channels, batch and the axes",
    "ok, ik, oi: products of out and tile, inp and tile, out and inp; part(x): of the buffer, for a tensor",
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
    for quantity in QUANTITIES:
        if quantity.name in milp.axes:
            scale = _line(milp.axes[quantity.name], quantity.per_unit(problem.hardware))
            yield f"{quantity.name} [{quantity.unit}] = {scale} * {quantity.name}"
    yield from _LEGEND


def in_words(problem: Problem) -> Iterator[str]:
    """A problem as a person reads it."""
    layer, machine, width = problem.layer, problem.hardware, problem.hardware.bits
    by = "x".join
    axes = layer.axes
    yield (
        f"{layer.in_channels} -> {layer.out_channels} channels, kernel {by(str(a.kernel) for a in axes)}, "
        f"{by(str(a.in_size) for a in axes)} -> {by(str(a.out) for a in axes)}, "
        f"stride {by(str(a.stride) for a in axes)}, dilation {by(str(a.dilation) for a in axes)}, "
        f"padding {by(f'{a.pad_lo}+{a.pad_hi}' for a in axes)}, batch {layer.batch}, "
        f"groups {layer.groups}"
    )
    buffered = "double" if machine.double_buffered else "single"
    banks = f" in banks of {machine.bank_bytes:,}" if machine.bank_bytes else ""
    yield (
        f"{machine.rows} x {machine.cols} array ({machine.dataflow}-stationary, fill {machine.fill}), "
        f"{machine.buffer_bytes:,} bytes of buffer{banks}, {buffered}-buffered, halo {machine.halo}"
    )
    yield (
        f"{float(machine.bandwidth):g} GB/s, {float(machine.frequency):g} GHz; bits of a word: ifmap "
        f"{width.ifmap}, weights {width.weights}, ofmap {width.ofmap}, partial sums {width.partial_sums}"
    )
    if problem.partition is not None:
        parts = " / ".join(f"{bits / 8:,g}" for bits in problem.partition.parts)
        yield f"parts of the buffer for ifmap / ofmap / weights: {parts} bytes"
    yield f"objective: {problem.objective.title}"


def _line(scale: Scale, size: int) -> str:
    return f"{scale.floor / size:.12g} + {scale.unit / size:.12g}"
