"""Pyomo's linear models as arrays, handed to a solver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

import numpy as np
import pyomo.core as pyo
from pyomo.repn.standard_repn import generate_standard_repn

from dnns.errors import InputError
from solvers.backends.deadline import NEVER, Deadline
from solvers.backends.milp import Capability, LinearProgram, MilpAnswer, Settings, milp_backend
from solvers.backends.registry import DEFAULT_MILP


def solve_milp(
    model: Any,
    *,
    backend: str = DEFAULT_MILP,
    time_limit: float | Deadline | None = None,
    start: Sequence[tuple[Any, float]] = (),
    threads: int = 1,
    seed: int = 0,
    presolve: bool = True,
    gap: float = 0.0,
) -> MilpAnswer:
    """Minimise a linear model to a zero gap, unless told otherwise.

    Args:
        model: a Pyomo model with one linear objective to be minimised.
        backend: one of ``solvers.backends.MILP``.
        time_limit: seconds, or a deadline.
        start: variables and values of some variables of a known solution, which the solver completes; of no
            use to one that is not capable of it.
        threads: of the solver.
        seed: of the solver.
        presolve: whether the solver may reduce the model first.
        gap: absolute, at which it may stop: less than any two solutions differ by.

    Returns:
        The solver's answer; the model's variables hold the solution, if there is one.

    Raises:
        InputError: if there is no such backend, its package is missing, or it runs on one thread only.
        TimeUp: if the deadline passes before the solver begins.
        ValueError: if the model is not linear.
    """
    deadline = Deadline.of(time_limit)
    solver = milp_backend(backend)
    if threads > 1 and Capability.THREADS not in solver.capabilities:
        raise InputError("threads", "", f"got {threads}, but {solver.title} runs on one")
    program, variables = translate(model, deadline)
    column = {id(v): i for i, v in enumerate(variables)}
    begin = [(column[id(v)], float(value)) for v, value in start]
    answer = solver.solve(
        program,
        Settings(deadline.left, threads, seed, presolve, gap),
        begin if Capability.START in solver.capabilities else [],
    )
    if answer.x is not None:
        for variable, value in zip(variables, answer.x.tolist(), strict=True):
            variable.set_value(value, skip_validation=True)
    return answer


def translate(model: Any, deadline: Deadline = NEVER) -> tuple[LinearProgram, list[Any]]:
    """A linear model as arrays, and the variables that are its columns."""
    variables = list(model.component_data_objects(pyo.Var, descend_into=True))
    column = {id(v): i for i, v in enumerate(variables)}
    (objective,) = model.component_data_objects(pyo.Objective, active=True)
    terms, offset = _linear(objective.expr, column)
    cost = np.zeros(len(variables))
    cost[list(terms)] = list(terms.values())
    bounds = np.array([_bounds(v) for v in variables], dtype=np.float64).reshape(-1, 2)
    rows = list(_rows(model, column, deadline))
    return (
        LinearProgram(
            names=tuple(v.name for v in variables),
            cost=cost,
            offset=offset,
            low=bounds[:, 0],
            high=bounds[:, 1],
            whole=np.array([not v.is_continuous() for v in variables], dtype=np.bool_),
            row_low=np.array([low for low, _, _ in rows], dtype=np.float64),
            row_high=np.array([high for _, high, _ in rows], dtype=np.float64),
            rows=tuple(terms for _, _, terms in rows),
        ),
        variables,
    )


def _bounds(variable: Any) -> tuple[float, float]:
    if variable.fixed:
        return variable.value, variable.value
    low, high = variable.bounds
    return -inf if low is None else low, inf if high is None else high


def _linear(expression: Any, column: dict[int, int]) -> tuple[dict[int, float], float]:
    repn = generate_standard_repn(expression, compute_values=True)
    if not repn.is_linear():
        raise ValueError(f"not linear: {expression}")
    terms: dict[int, float] = {}
    for coefficient, variable in zip(repn.linear_coefs, repn.linear_vars, strict=True):
        at = column[id(variable)]
        terms[at] = terms.get(at, 0.0) + coefficient
    return terms, float(repn.constant)


def _rows(
    model: Any, column: dict[int, int], deadline: Deadline
) -> Iterator[tuple[float, float, dict[int, float]]]:
    for constraint in model.component_data_objects(pyo.Constraint, active=True):
        deadline.check()
        terms, constant = _linear(constraint.body, column)
        low, high = pyo.value(constraint.lower), pyo.value(constraint.upper)
        yield -inf if low is None else low - constant, inf if high is None else high - constant, terms
