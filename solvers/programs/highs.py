"""HiGHS for Pyomo's mixed-integer linear models: the only module that touches highspy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import highspy
import numpy as np
import pyomo.environ as pyo
from pyomo.repn.standard_repn import generate_standard_repn

from solvers.result import Termination

#: Integrality and feasibility tolerance on the models' scaled axes.
TOLERANCE = 1e-9

_TERMINATION = {
    highspy.HighsModelStatus.kOptimal: Termination.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Termination.INFEASIBLE,
    highspy.HighsModelStatus.kModelEmpty: Termination.OPTIMAL,
    highspy.HighsModelStatus.kTimeLimit: Termination.TIME_LIMIT,
    highspy.HighsModelStatus.kIterationLimit: Termination.ITERATION_LIMIT,
    highspy.HighsModelStatus.kSolutionLimit: Termination.ITERATION_LIMIT,
    highspy.HighsModelStatus.kInterrupt: Termination.TIME_LIMIT,
}
_ACCEPTED = "MIP start solution is feasible"


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a model: rows, columns, non-zeros."""

    rows: int
    cols: int
    nonzeros: int


@dataclass(frozen=True, slots=True)
class Solved:
    """The end of a solve; variables of the model hold the solution if there is one.

    Attributes:
        termination: why HiGHS stopped; ERROR for any status that is not expected.
        objective: of the solution, None if there is none.
        bound: HiGHS's dual bound, None if there is none.
        nodes: of the branch-and-bound tree.
        iterations: of the simplex method.
        size: of the model.
        presolved: what presolve makes of it, used or not.
        start_accepted: whether HiGHS completed the given start and took it into its search; None if none was
            given, or if presolve left nothing to search.
    """

    termination: Termination
    objective: float | None
    bound: float | None
    nodes: int
    iterations: int
    size: Size
    presolved: Size
    start_accepted: bool | None


def solve_milp(
    model: Any,
    *,
    time_limit: float | None = None,
    start: Sequence[tuple[Any, float]] = (),
    threads: int = 1,
    seed: int = 0,
    presolve: bool = True,
) -> Solved:
    """Minimise a linear model to a zero gap.

    Args:
        model: a Pyomo model with one linear objective to be minimised.
        time_limit: seconds.
        start: variables and values of some variables of a known solution; HiGHS completes them.
        threads: of HiGHS.
        seed: of HiGHS.
        presolve: whether HiGHS may reduce the model first.
    """
    variables = list(model.component_data_objects(pyo.Var, descend_into=True))
    column = {id(v): i for i, v in enumerate(variables)}
    lp = _translate(model, variables, column)
    with TemporaryDirectory() as folder:
        solver = _solver(time_limit, threads, seed, presolve)
        log = Path(folder) / "log"
        solver.passModel(lp)
        if start:
            solver.setOptionValue("log_file", str(log))
            solver.setOptionValue("output_flag", True)
            index = np.array([column[id(v)] for v, _ in start], dtype=np.int32)
            solver.setSolution(len(index), index, np.array([value for _, value in start], dtype=np.float64))
        solver.run()
        accepted = _ACCEPTED in log.read_text() if start else None
    return _read(solver, lp, variables, accepted, presolve)


def _solver(time_limit: float | None, threads: int, seed: int, presolve: bool = True) -> Any:
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {
        "output_flag": False,
        "log_to_console": False,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": 0.0,
        "mip_feasibility_tolerance": TOLERANCE,
        "primal_feasibility_tolerance": TOLERANCE,
        "dual_feasibility_tolerance": TOLERANCE,
        "threads": threads,
        "random_seed": seed,
        "presolve": "choose" if presolve else "off",
    }
    if time_limit is not None:
        options["time_limit"] = max(0.0, float(time_limit))
    for name, value in options.items():
        solver.setOptionValue(name, value)
    return solver


def _translate(model: Any, variables: list[Any], column: dict[int, int]) -> Any:
    """The model as HiGHS's column-wise data, row by row."""
    lp = highspy.HighsLp()
    cost, offset = _objective(model, column)
    rows = list(_rows(model, column))
    lp.num_col_, lp.num_row_ = len(variables), len(rows)
    lp.col_cost_, lp.offset_ = cost, offset
    bounds = [_bounds(v) for v in variables]
    lp.col_lower_ = np.array([low for low, _ in bounds])
    lp.col_upper_ = np.array([high for _, high in bounds])
    lp.row_lower_ = np.array([low for low, _, _ in rows])
    lp.row_upper_ = np.array([high for _, high, _ in rows])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.cumsum([0, *(len(terms) for _, _, terms in rows)])
    lp.a_matrix_.index_ = np.array([i for _, _, terms in rows for i in terms], dtype=np.int32)
    lp.a_matrix_.value_ = np.array([a for _, _, terms in rows for a in terms.values()], dtype=np.float64)
    kinds = highspy.HighsVarType
    lp.integrality_ = [kinds.kContinuous if v.is_continuous() else kinds.kInteger for v in variables]
    lp.col_names_ = [v.name for v in variables]
    return lp


def _bounds(variable: Any) -> tuple[float, float]:
    if variable.fixed:
        return variable.value, variable.value
    low, high = variable.bounds
    return -highspy.kHighsInf if low is None else low, highspy.kHighsInf if high is None else high


def _linear(expression: Any, column: dict[int, int]) -> tuple[dict[int, float], float]:
    repn = generate_standard_repn(expression, compute_values=True)
    if not repn.is_linear():
        raise ValueError(f"not linear: {expression}")
    terms: dict[int, float] = {}
    for coefficient, variable in zip(repn.linear_coefs, repn.linear_vars, strict=True):
        at = column[id(variable)]
        terms[at] = terms.get(at, 0.0) + coefficient
    return terms, float(repn.constant)


def _objective(model: Any, column: dict[int, int]) -> tuple[Any, float]:
    (objective,) = model.component_data_objects(pyo.Objective, active=True)
    terms, constant = _linear(objective.expr, column)
    cost = np.zeros(len(column))
    for at, coefficient in terms.items():
        cost[at] = coefficient
    return cost, constant


def _rows(model: Any, column: dict[int, int]) -> Iterable[tuple[float, float, dict[int, float]]]:
    for constraint in model.component_data_objects(pyo.Constraint, active=True):
        terms, constant = _linear(constraint.body, column)
        low, high = pyo.value(constraint.lower), pyo.value(constraint.upper)
        yield (
            -highspy.kHighsInf if low is None else low - constant,
            highspy.kHighsInf if high is None else high - constant,
            terms,
        )


def _read(solver: Any, lp: Any, variables: list[Any], accepted: bool | None, presolve: bool) -> Solved:
    info, status = solver.getInfo(), solver.getModelStatus()
    solved = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if solved:
        for variable, value in zip(variables, solver.getSolution().col_value, strict=True):
            variable.set_value(value, skip_validation=True)
    discrete = any(not v.is_continuous() for v in variables)
    objective = float(info.objective_function_value) if solved else None
    bound = float(info.mip_dual_bound) if discrete else objective
    presolved = _presolved(lp)
    if not accepted and presolve and presolved.cols == 0:
        accepted = None
    return Solved(
        termination=_TERMINATION.get(status, Termination.ERROR),
        objective=objective,
        bound=bound if bound is not None and np.isfinite(bound) else None,
        nodes=max(0, int(info.mip_node_count)),
        iterations=max(0, int(info.simplex_iteration_count)),
        size=_size(lp),
        presolved=presolved,
        start_accepted=accepted,
    )


def _size(lp: Any) -> Size:
    return Size(lp.num_row_, lp.num_col_, len(lp.a_matrix_.value_))


def _presolved(lp: Any) -> Size:
    solver = _solver(None, 1, 0)
    solver.passModel(lp)
    solver.presolve()
    return _size(solver.getPresolvedLp())
