"""Certificates: what a run claims of each distinct sub-problem, with a proof for ``solvers.check``.

The proof is a tree of boxes of tile sizes, found by cutting every box that the checker's own bounds do not
yet exclude at the geometric mean of its longest dimension. It has this form whatever method found the bound.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TextIO

from dnns.errors import InputError
from formulation.mapping import Mapping
from formulation.pricing.objective import LATENCY
from formulation.pricing.price import Price
from formulation.problem import Kind, Objective
from formulation.shared.problem import SharedProblem
from solvers.certificates.trees import Multipliers, NoProof, proof
from solvers.check import FORMAT, Model
from solvers.methods import solve
from solvers.network.data.posed import PLAIN, WORDS, chosen, posed
from solvers.result import SolutionStatus
from solvers.shared.deconvolution_result import DeconvolutionResult
from solvers.shared.methods import solve as solve_shared

if TYPE_CHECKING:
    from solvers.network.report import Report
    from solvers.result import Result
    from solvers.scenario import Scenario


def check_provable(scenario: Scenario) -> None:
    """Raise InputError for what certificates do not know: the network as one problem, other machines."""
    if scenario.network_level != "layers":
        level = f"network_level is {scenario.network_level}, allowed: layers"
        raise InputError("--certificate", "", level)
    hardware = scenario.hardware.build()
    for f in fields(hardware):
        default = f.default if f.default_factory is MISSING else f.default_factory()
        if f.name not in (*PLAIN, *WORDS, "bits", "energy") and getattr(hardware, f.name) != default:
            raise InputError(
                "--certificate", "", f"a machine with {f.name} has no certificates, leave it out"
            )


def write_certificate(report: Report, stream: TextIO) -> None:
    """The certificate of a run as JSON."""
    layers, left_out = [], []
    for names, answer, why in _sub_problems(report):
        try:
            layers.append(
                {"name": ", ".join(names), **(_refuse(why) if answer is None else certified(answer))}
            )
        except NoProof as error:
            left_out.append({"name": ", ".join(names), "reason": str(error)})
    data = {"format": FORMAT, "network": report.network, "layers": layers, "left_out": left_out}
    json.dump(data, stream, indent=1)
    stream.write("\n")


def _refuse(why: str) -> Any:
    raise NoProof(why)


def _sub_problems(report: Report) -> Iterator[tuple[list[str], Result | DeconvolutionResult | None, str]]:
    """Names and answer of each distinct sub-problem; None, and why, for what has no certificate."""
    found: dict[str, tuple[list[str], Result | DeconvolutionResult]] = {}
    rest: list[tuple[list[str], None, str]] = []
    for layer in report.layers:
        if layer.weighed is not None and layer.weighed.shared is not None:
            key = json.dumps(posed(layer.weighed.shared.problem), sort_keys=True)
            found.setdefault(key, ([], layer.weighed))[0].append(layer.operator.name)
            continue
        if layer.error is not None:
            rest.append(([layer.operator.name], None, "an internal error in place of its answer"))
            continue
        for part in layer.parts:
            if part.result is None:
                rest.append(([part.name], None, "outputs that no tap reaches are only written"))
            elif part.result.mapping is None:
                rest.append(([part.name], None, "it has no mapping"))
            else:
                key = json.dumps(posed(part.result.problem), sort_keys=True)
                found.setdefault(key, ([], part.result))[0].append(part.name)
    yield from ((names, result, "") for names, result in found.values())
    yield from rest


def certified(answer: Result | DeconvolutionResult) -> dict[str, Any]:
    """An answer's problem, mapping, value and claims with their trees.

    Raises:
        NoProof: if there is none of a size to be handed out.
    """
    if isinstance(answer, DeconvolutionResult):
        return _deconvolution(answer)
    entry = posed(answer.problem)
    model = Model(entry)
    shown, _ = _shown(model, answer)
    return {**entry, "value": str(answer.objective_value), **shown}


def _shown(model: Model, result: Result) -> tuple[dict[str, Any], int]:
    """Mappings and claims of a layer, or of a kernel of a deconvolution; the latency of the fastest."""
    problem = result.problem
    assert result.mapping is not None
    told = result.lower_bound.of(problem.objective.claim)
    if told is None:
        raise NoProof("it has no bound")
    entry: dict[str, Any] = {"mapping": chosen(result.mapping)}
    asked = _multipliers(result)
    if not problem.objective.capped:
        return {**entry, "claims": [proof(model, told, asked[0])]}, 0
    fastest = _fastest(result)
    least = problem.evaluate(fastest).latency_ticks
    claims = [proof(model, result.lower_bound.of(LATENCY.key), asked[0], latency=True)]
    claims.append(proof(model, told, asked[1], cap=problem.cap(least)))
    return {**entry, "fastest": chosen(fastest), "claims": claims}, least


def _multipliers(result: Result) -> list[Multipliers | None]:
    """Where multipliers come from, for each step of the objective: the relaxation, if it is the method."""
    steps = result.problem.steps
    if result.method not in ("constrained", "combined") or result.mapping is None:
        return [None] * len(steps)
    from solvers.certificates.multipliers import Pricer  # loads a solver

    return [Pricer(result.problem, result.mapping, step) for step in steps]


def _deconvolution(answer: DeconvolutionResult) -> dict[str, Any]:
    """Sharing, and each kernel by itself: claims of both, in one objective's unit."""
    shared = answer.shared
    assert shared is not None
    if answer.total is None or answer.split_total is None:
        raise NoProof("the sub-convolutions of a deconvolution do not all fit")
    problem = shared.problem
    entry = posed(problem)
    model = Model(entry)
    parts, rival = [], 0
    for (result, count), kernel in zip(answer.parts, dict.fromkeys(model.kernels), strict=True):
        shown, least = _shown(Model(entry, kernel), _reweighed(problem, result))
        parts.append(shown)
        rival += count * least
    value = Fraction(problem.objective_value(answer.total))
    way: dict[str, Any] = {"mapping": None if shared.mapping is None else chosen(shared.mapping)}
    cap, claims = None, []
    if problem.objective.capped:
        quickest = solve_shared(replace(problem, objective=Objective(Kind.LATENCY), rival=None))
        way["fastest"] = None
        if quickest.mapping is not None:
            way["fastest"] = chosen(quickest.mapping)
            rival = min(rival, problem.evaluate(quickest.mapping).latency_ticks)
        cap = problem.objective.cap(rival + problem.aside) - problem.aside
        if answer.total.latency > cap + problem.aside:
            raise NoProof("its mapping is slower than the tolerance over the fastest there is")
        claims.append(proof(model, shared.lower_bound.of(LATENCY.key), latency=True))
    told = shared.lower_bound.of(problem.objective.claim)
    claims.append(proof(model, value if told is None else told, cap=cap))
    return {
        **entry,
        "choice": answer.choice.value,
        "value": str(value),
        "shared": {**way, "claims": claims},
        "parts": parts,
    }


def _reweighed(problem: SharedProblem, result: Result) -> Result:
    """A kernel's mapping with what is proven of it under the whole deconvolution's weights."""
    if problem.objective.kind is not Kind.WEIGHTED:
        return result
    weights = problem.steps[-1].measures[0].weights
    least = result.problem.least
    own = Price(*(w * low for w, low in zip(weights, least, strict=True)))
    objective = Objective(Kind.WEIGHTED, Fraction(0), own.latency, own.traffic, own.spent)
    best = solve(replace(result.problem, objective=objective), "exhaustive")
    assert best.cost is not None
    assert result.cost is not None
    equal = best.problem.values(best.problem.price(best.cost)) == best.problem.values(
        best.problem.price(result.cost)
    )
    status = SolutionStatus.OPTIMAL if equal else SolutionStatus.FEASIBLE
    return replace(best, mapping=result.mapping, cost=result.cost, solution_status=status)


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
