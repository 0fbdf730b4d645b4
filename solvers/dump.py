"""The relaxed models of a problem as files: ``.nl`` for solvers, with names beside it, and text to read."""

from __future__ import annotations

import re
from pathlib import Path

from formulation.problem import Kind
from formulation.relaxed import build_relaxed
from formulation.relaxed_data import Aim, Relaxation
from solvers.posynomial import Form, Program

_AIMS = {
    Kind.LATENCY: (1.0, 0.0),
    Kind.TRAFFIC: (0.0, 1.0),
    Kind.BALANCED: (0.0, 1.0),
}


def dump(relaxation: Relaxation, folder: Path, name: str) -> list[Path]:
    """Write each relaxed model of a problem: ``<name>.<class>.nl``, ``.row``, ``.col`` and ``.txt``.

    The objective is the problem's; for balanced it is the traffic, and the cap on the latency, which only a
    known mapping gives, is left open.

    Args:
        relaxation: of the problem.
        folder: made if missing.
        name: of the problem; characters that file names should not have are replaced.

    Returns:
        The text files.
    """
    import pyomo.environ  # noqa: F401  (registers the writer)

    folder.mkdir(parents=True, exist_ok=True)
    goal = relaxation.problem.objective
    weighted = float(goal.latency_weight), float(goal.traffic_weight)
    latency, traffic = _AIMS.get(goal.kind, weighted)
    stem = re.sub(r"[^\w.+-]+", "_", name)
    written = []
    for variant in relaxation.variants(goal.kind is not Kind.TRAFFIC):
        model = build_relaxed(variant.structure)
        relaxation.load(model, variant, Aim(latency, traffic, 1e9, 1e9))
        base = folder / f"{stem}.{variant.name}"
        model.write(f"{base}.nl", format="nl", io_options={"symbolic_solver_labels": True})
        text = Path(f"{base}.txt")
        about = "\n".join((f"{name}, class {variant.name}", *relaxation.heading))
        text.write_text(f"{about}\n\n{render(Form(model).program())}", encoding="utf-8")
        written.append(text)
    return written


def render(program: Program) -> str:
    """A program as equations: one constraint per line, exponentials first, then variables, then numbers."""
    names = program.names
    lines = ["minimise", f"    {_sum(program.cost, names)}", "", "subject to"]
    for i, row in enumerate(program.rows):
        parts = [
            f"{coef:.9g} * exp({_sum(power, names)})"
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
