"""Answers as JSON, and back: what they choose and what is proven; costs follow, and are counted again.

``decoded`` makes the same objects that the methods return, which check themselves when they are made: an
answer that was altered is none.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from formulation.deconv import Treatment
from formulation.mapping import Mapping, Stationary, Tile
from formulation.pricing.price import Price
from formulation.problem import Problem
from solvers.network.attempt import Failure
from solvers.network.work import failed
from solvers.result import (
    Answer,
    Bound,
    BoundFrom,
    LowerBound,
    Result,
    SolutionStatus,
    Termination,
    internal_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from solvers.network.questions import Question, Reply, Weighing
    from solvers.network.work import Method
    from solvers.shared.deconvolution import DeconvolutionResult
    from solvers.shared.result import SharedResult

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def encoded(reply: Reply | dict[str, Any]) -> str:
    """A reply as JSON; plain data as it is."""
    if isinstance(reply, Failure):
        data: dict[str, Any] = {"failed": reply.text}
    elif isinstance(reply, dict):
        data = reply
    elif isinstance(reply, Result):
        error = internal_error(reply)
        data = _answer(reply, _mapping(reply.mapping)) if error is None else {"failed": error}
    else:
        data = _weighed(reply)
    return _encode(data)


def decoded(text: str, method: Method, question: Question, parts: Sequence[Result] = ()) -> Reply:
    """The reply that a text is of.

    Args:
        text: as ``encoded`` gave it.
        method: that was asked.
        question: that was asked.
        parts: the replies to the questions that it needs.
    """
    data = json.loads(text)
    if "failed" in data:
        lost = Failure(data["failed"])
        return failed(method, question, lost.text) if isinstance(question, Problem) else lost
    if isinstance(question, Problem):
        mapping = None if data["mapping"] is None else _mapping_of(data["mapping"])
        cost = None if mapping is None else question.evaluate(mapping)
        return Result(question, method.name, mapping=mapping, cost=cost, **_proof_of(data))
    return _weighed_of(data, method, question, parts)


def _answer(answer: Answer[Any, Any], mapping: Any) -> dict[str, Any]:
    return {
        "termination": answer.termination.value,
        "status": answer.solution_status.value,
        "mapping": mapping,
        "bounds": _bounds(answer.lower_bound),
        "bound_from": {step: origin.value for step, origin in answer.bound_from.items()},
        "relaxed": None if answer.relaxed is None else _bounds(answer.relaxed),
    }


def _proof_of(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "termination": Termination(data["termination"]),
        "solution_status": SolutionStatus(data["status"]),
        "lower_bound": _bounds_of(data["bounds"]),
        "bound_from": {step: BoundFrom(origin) for step, origin in data["bound_from"].items()},
        "relaxed": None if data["relaxed"] is None else _bounds_of(data["relaxed"]),
    }


def _bounds(bound: LowerBound) -> dict[str, str | float]:
    """Bounds; a rational one as text, so that it stays exact."""
    return {name: value if isinstance(value, float) else str(value) for name, value in bound.proven.items()}


def _bounds_of(data: dict[str, str | float]) -> LowerBound:
    exact: dict[str, Bound] = {
        name: Fraction(value) if isinstance(value, str) else value for name, value in data.items()
    }
    return LowerBound(exact)


def _mapping(mapping: Mapping | None) -> list[Any] | None:
    if mapping is None:
        return None
    tile = mapping.tile
    sizes = [tile.out_channels, tile.in_channels, tile.batch, list(tile.spatial)]
    inner = mapping.inner
    cut = [[inner.out_channels, inner.in_channels, inner.batch, list(inner.spatial)]] if inner else []
    return [*sizes, mapping.stationary.value, mapping.sliding_axis, *cut]


def _mapping_of(data: list[Any]) -> Mapping:
    co, ci, batch, spatial, stationary, sliding, *cut = data
    inner = [Tile(out, reduced, images, tuple(sizes)) for out, reduced, images, sizes in cut]
    return Mapping(Tile(co, ci, batch, tuple(spatial)), Stationary(stationary), sliding, *inner)


def _weighed(best: DeconvolutionResult) -> dict[str, Any]:
    return {
        "choice": best.choice.value,
        "shared": None if best.shared is None else _shared(best.shared),
        "total": best.total,
        "split_total": best.split_total,
        "shared_total": best.shared_total,
        "bounds": _bounds(best.lower_bound),
        "relaxed": None if best.relaxed is None else _bounds(best.relaxed),
    }


def _shared(answer: SharedResult) -> dict[str, Any]:
    mapping, problem = answer.mapping, answer.problem
    sizes = None
    if mapping is not None:
        sizes = [
            mapping.in_channels,
            mapping.batch,
            mapping.spatial,
            mapping.rounds,
            mapping.stationary.value,
            mapping.sliding_axis,
        ]
    more = {"rival": problem.rival, "aside": problem.aside, "least_latency": answer.least_latency}
    return {**_answer(answer, sizes), **more}


def _weighed_of(
    data: dict[str, Any], method: Method, question: Weighing, parts: Sequence[Result]
) -> DeconvolutionResult:
    from solvers.shared.deconvolution_result import DeconvolutionResult

    counts = (count for _, count in question.parts)
    total, apart, shared = (
        None if data[name] is None else Price(*data[name])
        for name in ("total", "split_total", "shared_total")
    )
    return DeconvolutionResult(
        question.deconv,
        question.hardware,
        question.objective,
        question.partition,
        method.name,
        Treatment(data["choice"]),
        None if data["shared"] is None else _shared_of(data["shared"], method, question),
        tuple(zip(parts, counts, strict=True)),
        lower_bound=_bounds_of(data["bounds"]),
        relaxed=None if data["relaxed"] is None else _bounds_of(data["relaxed"]),
        seconds=0.0,
        total=total,
        split_total=apart,
        shared_total=shared,
    )


def _shared_of(data: dict[str, Any], method: Method, question: Weighing) -> SharedResult:
    from formulation.shared.problem import SharedMapping, SharedProblem
    from solvers.shared.result import SharedResult

    machine, objective, partition = question.hardware, question.objective, question.partition
    problem = SharedProblem(question.deconv, machine, objective, partition, data["rival"], data["aside"])
    mapping, cost = None, None
    if data["mapping"] is not None:
        ci, batch, spatial, rounds, stationary, sliding = data["mapping"]
        rows = tuple(map(tuple, rounds))
        mapping = SharedMapping(ci, batch, tuple(spatial), rows, Stationary(stationary), sliding)
        cost = problem.evaluate(mapping)
    least = data["least_latency"]
    return SharedResult(
        problem, method.name, mapping=mapping, cost=cost, least_latency=least, **_proof_of(data)
    )
