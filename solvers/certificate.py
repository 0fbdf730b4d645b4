"""Certificates: what a run claims of each distinct sub-problem, with a proof for ``solvers.check``.

The proof is a tree of boxes of tile sizes, found by cutting every box that the checker's own bounds do not
yet exclude at the geometric mean of its longest dimension. It has this form whatever method found the bound.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any, TextIO

from dnns.errors import InputError
from formulation.mapping import Mapping, Partition
from formulation.objective import LATENCY, TRAFFIC
from formulation.problem import Kind, Objective, Problem
from solvers.check import CLASSES, FORMAT, Claim, Model
from solvers.methods import solve
from solvers.network.data.mappings import mapping_choices

if TYPE_CHECKING:
    from solvers.network.data.mapping_fields import ChoicesData
    from solvers.network.report import Report
    from solvers.result import Result
    from solvers.scenario import Scenario

MOST_LEAVES = 300_000
"""Of one tree; a bound that needs more is left out."""

_PLAIN = ("rows", "cols", "buffer_bytes", "bank_bytes", "double_buffered")
_WORDS = ("dataflow", "halo", "fill", "bandwidth", "frequency")


class NoProof(Exception):
    """A bound cannot be proven here, and why."""


class _Below(Exception):
    """A mapping is not excluded, with its value in ticks or bits."""


def check_provable(scenario: Scenario) -> None:
    """Raise InputError for what certificates do not know: the network as one problem, other machines."""
    if scenario.network_level != "layers":
        level = f"network_level is {scenario.network_level}, allowed: layers"
        raise InputError("--certificate", "", level)
    hardware = scenario.hardware.build()
    for f in fields(hardware):
        default = f.default if f.default_factory is MISSING else f.default_factory()
        if f.name not in (*_PLAIN, *_WORDS, "bits") and getattr(hardware, f.name) != default:
            raise InputError(
                "--certificate", "", f"a machine with {f.name} has no certificates, leave it out"
            )


def write_certificate(report: Report, stream: TextIO) -> None:
    """The certificate of a run as JSON."""
    layers, left_out = [], []
    for names, result, why in _sub_problems(report):
        try:
            layers.append({"name": ", ".join(names), **certified(result)} if result else _refuse(why))
        except NoProof as error:
            left_out.append({"name": ", ".join(names), "reason": str(error)})
    data = {"format": FORMAT, "network": report.network, "layers": layers, "left_out": left_out}
    json.dump(data, stream, indent=1)
    stream.write("\n")


def _refuse(why: str) -> Any:
    raise NoProof(why)


def _sub_problems(report: Report) -> Iterator[tuple[list[str], Result | None, str]]:
    """Names and result of each distinct sub-problem; None, and why, for what has no certificate."""
    found: dict[str, tuple[list[str], Result]] = {}
    rest: list[tuple[list[str], None, str]] = []
    for layer in report.layers:
        if layer.shared is not None or layer.weighed is not None or layer.error is not None:
            rest.append(([layer.operator.name], None, "a deconvolution that may share its ifmap tiles"))
            continue
        for part in layer.parts:
            if part.result is None:
                rest.append(([part.name], None, "outputs that no tap reaches are only written"))
            elif part.result.mapping is None:
                rest.append(([part.name], None, "it has no mapping"))
            else:
                key = json.dumps(_problem(part.result.problem), sort_keys=True)
                found.setdefault(key, ([], part.result))[0].append(part.name)
    yield from ((names, result, "") for names, result in found.values())
    yield from rest


def certified(result: Result) -> dict[str, Any]:
    """A result's problem, mapping, value and claims with their trees.

    Raises:
        NoProof: if there is none of a size to be handed out, or the objective is energy or a weighted sum.
    """
    problem = result.problem
    assert result.mapping is not None
    if problem.objective.quantity not in (LATENCY, TRAFFIC):
        raise NoProof("a weighted sum" if problem.objective.kind is Kind.WEIGHTED else "energy")
    entry = _problem(problem)
    model, cap, claims = Model(entry), None, []
    entry |= {"mapping": _mapping(problem, result.mapping), "value": str(result.objective_value)}
    if problem.objective.capped:
        fastest = _fastest(result)
        entry["fastest"] = _mapping(problem, fastest)
        cap = problem.cap(problem.evaluate(fastest).latency_ticks)
        claims.append(_proven(model, result, True, None))
    claims.append(_proven(model, result, problem.objective.quantity is LATENCY, cap))
    return {**entry, "claims": claims}


def _fastest(result: Result) -> Mapping:
    """A mapping of the least latency; the result's own if that is too slow for a cap over it."""
    problem = replace(result.problem, objective=Objective(Kind.LATENCY))
    best = solve(problem, "exhaustive")
    assert best.mapping is not None
    assert best.cost is not None
    assert result.mapping is not None
    assert result.cost is not None
    slow = result.cost.latency_ticks > result.problem.cap(best.cost.latency_ticks)
    return result.mapping if slow else best.mapping


def _proven(model: Model, result: Result, latency: bool, cap: int | None) -> dict[str, Any]:
    """A claim with its trees; its bound is the result's, or what can be proven here where that is less."""
    told = result.lower_bound.of((LATENCY if latency else TRAFFIC).key)
    if told is None:
        raise NoProof("it has no bound")
    bound, per_unit = Fraction(told), model.per_cycle if latency else 8
    while True:
        claim = Claim(model, latency, bound, cap)
        try:
            return {"bound": str(bound), "trees": {order: _tree(claim, order) for order in CLASSES}}
        except _Below as better:
            bound = Fraction(better.args[0], per_unit)


def _tree(claim: Claim, order: str) -> str:
    """The tree of a claim, as the checker reads it."""
    tokens, boxes, leaves = [], [[(1, d.extent) for d in claim.model.dims]], 0
    while boxes:
        box = boxes.pop()
        reasons = claim.excludes(order, box)
        if reasons:
            tokens.append(reasons[0])
            leaves += 1
            if leaves > MOST_LEAVES:
                raise NoProof(f"a proof would take more than {MOST_LEAVES:,} leaves")
            continue
        d = max(range(len(box)), key=lambda i: (box[i][1] / box[i][0], i))
        lo, hi = box[d]
        if lo == hi:
            _, latency, traffic = claim.model.least(order, box)
            raise _Below(latency if claim.latency else traffic)
        at = isqrt(lo * hi)  # below hi
        tokens.append(f"{d}:{at}")
        right = list(box)
        box[d], right[d] = (lo, at), (at + 1, hi)
        boxes += [right, box]
    return " ".join(tokens)


def _problem(problem: Problem) -> dict[str, Any]:
    layer, machine, objective = problem.layer, problem.hardware, problem.objective
    names = ("out", "kernel", "stride", "dilation", "pad_lo", "pad_hi")
    axes = [{**{name: getattr(a, name) for name in names}, "in": a.in_size} for a in layer.axes]
    sizes = ("out_channels", "in_channels", "batch", "groups")
    return {
        "layer": {**{name: getattr(layer, name) for name in sizes}, "axes": axes},
        "machine": {
            **{name: getattr(machine, name) for name in _PLAIN},
            **{name: str(getattr(machine, name)) for name in _WORDS},
            "bits": machine.bits.to_dict(),
        },
        "partition": _bits(problem.partition),
        "objective": {"kind": objective.kind.value, "tolerance": str(objective.tolerance)},
    }


def _bits(parts: Partition | None) -> dict[str, int] | None:
    return None if parts is None else {name: getattr(parts, name) for name in parts.__slots__}


def _mapping(problem: Problem, mapping: Mapping) -> ChoicesData:
    parts = problem.partition or problem.evaluate(mapping).footprint
    return mapping_choices(mapping, parts)
