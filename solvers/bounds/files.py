"""The relaxed models of a problem as files: ``.nl`` for solvers, with names beside it, and text to read.

Written when all is solved, since the cap on the latency is only known then. What a solver finds the least of
a file to be is what its text says. A class's proven bound may be higher, by presolve and branching, or
lower, where the best mapping known leaves nothing to prove.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import exp, inf, isfinite
from pathlib import Path

from formulation.pricing.price import Price
from formulation.relaxed.classes import Aim, Relaxation, Variant
from formulation.relaxed.loading import load
from formulation.relaxed.model import build_relaxed
from solvers.backends.posynomial import Form, Program
from solvers.bounds.bounded import Bounded, SolvedModel
from solvers.bounds.bounding import Bounder
from solvers.result import Termination

_LEGEND = """\
log_trips[d]: logarithm of the number of tiles along dimension d; a tile's extent is the dimension's over it
log_fetched[a], log_largest[a]: of the input intervals along axis a, their sum over all tiles and the longest
log_cycles[g]: of the array cycles' factor of a group of loops: co, ci, sp (the batch and all axes)
part[x]: of the buffer, for a tensor
"""
_SUBS = """\
log_trips[sub_d]: of the sub-tiles that tiles along dimension d are cut into, as if they were tiles
"""


def dump(bounder: Bounder, stages: Mapping[str, Bounded], folder: Path, name: str) -> list[Path]:
    """Write each class's model of each stage: ``<name>.<class>.<stage>.nl``, ``.row``, ``.col``, ``.txt``.

    Args:
        bounder: of the problem.
        stages: that were solved, by name.
        folder: made if missing.
        name: of the problem; characters that file names should not have are replaced.

    Returns:
        The text files.
    """
    import pyomo.environ  # noqa: F401  (registers the writer)

    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.+-]+", "_", name)
    written = []
    for stage_name, stage in stages.items():
        for variant in bounder.variants:
            model = build_relaxed(variant.structure)
            load(bounder.relaxation, model, variant, _constraints_of(stage.aim))
            base = folder / f"{stem}.{variant.name}.{stage_name}"
            model.write(f"{base}.nl", format="nl", io_options={"symbolic_solver_labels": True})
            found = bounder.solve(variant, bounder.aimed(variant, stage.aim), stage.aim)
            title = f"{name}, class {variant.name}, stage {stage_name}"
            about = "\n".join((title, *_about(bounder.relaxation, variant, stage, found)))
            text = Path(f"{base}.txt")
            text.write_text(f"{about}\n\n{render(Form(model).program())}{_solution(found)}", encoding="utf-8")
            written.append(text)
    return written


def _constraints_of(aim: Aim) -> Aim:
    """An aim without the caps that only say what is of interest."""
    return replace(aim, caps=Price(aim.caps.latency if aim.hard else inf, inf, inf))


def _about(
    relaxation: Relaxation, variant: Variant, stage: Bounded, found: SolvedModel | Termination | None
) -> Iterator[str]:
    """Lines that say what a model is of, and what came of it."""
    yield from relaxation.heading
    yield f"latency in rooflines: {relaxation.roofline_cycles:.12g} cycles"
    yield f"traffic in compulsory traffics: {relaxation.compulsory_bits / 8:.12g} bytes"
    yield f"parts in buffers: {relaxation.problem.hardware.buffer_bits / 8:.12g} bytes"
    yield _LEGEND if variant.structure.cut is None else _LEGEND + _SUBS
    if stage.aim.hard and variant.structure.timed:
        cycles = stage.aim.caps.latency * relaxation.roofline_cycles
        yield f"latency cap: {stage.aim.caps.latency:.9g} ({cycles:.12g} cycles)"
    if isinstance(found, SolvedModel):
        yield f"least: {found.program.cost @ found.x:.6g}"
    else:
        yield f"least: not found, {found}" if found else "least: none, nothing is within the cap"
    bounds = (b for v, b in stage.bounds.items() if v.name == variant.name)
    bound = min(bounds, default=inf)  # none where the time was up before
    if isfinite(bound):
        yield f"proven of the class by presolve and branching, up to the best mapping known: {bound:.9g}"


def _solution(found: SolvedModel | Termination | None) -> str:
    """Where the least is: each variable, and what it is the logarithm of."""
    if not isinstance(found, SolvedModel):
        return ""
    lines = ["", "solution"]
    for name, value in zip(found.program.names, found.x, strict=True):
        lines.append(f"    {name} = {value:.6g}" + (f" (exp: {exp(value):.6g})" if "log_" in name else ""))
    return "\n".join(lines) + "\n"


def render(program: Program) -> str:
    """A program as equations: one constraint per line, exponentials first, then variables, then numbers."""
    names = program.names
    lines = ["minimise", f"    {_sum(program.cost, names)}", "", "subject to"]
    for i, row in enumerate(program.rows):
        parts = [
            f"{'' if coef == 1 else f'{coef:.9g} * '}exp({_sum(power, names)})"
            for coef, power, owner in zip(program.coef, program.power, program.row, strict=True)
            if owner == i
        ]
        affine = _sum(program.linear[i], names)
        parts += [affine] if affine != "0" else []
        left = " + ".join(parts).replace("+ -", "- ")
        lines += [f"    {row}:", f"        {left} <= {0.0 - program.constant[i]:.9g}"]
    lines += ["", "bounds"]
    for name, low, high in zip(names, program.low, program.high, strict=True):
        lines.append(f"    {low:.9g} <= {name} <= {high:.9g}")
    return "\n".join(lines) + "\n"


def _sum(coefficients: object, names: tuple[str, ...]) -> str:
    """A linear expression, without the terms that are zero."""
    terms = []
    for value, name in zip(coefficients, names, strict=True):  # type: ignore[call-overload]
        if value:
            terms.append(name if value == 1 else f"-{name}" if value == -1 else f"{value:.9g} * {name}")
    return " + ".join(terms).replace("+ -", "- ") or "0"
