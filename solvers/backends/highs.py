"""HiGHS: the only module that touches highspy."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import highspy
import numpy as np

from solvers.backends.milp import (
    TOLERANCE,
    Capability,
    LinearProgram,
    MilpAnswer,
    MilpBackend,
    Settings,
    Size,
    Start,
)
from solvers.result import Termination

_TERMINATION = {
    highspy.HighsModelStatus.kOptimal: Termination.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Termination.INFEASIBLE,
    highspy.HighsModelStatus.kModelEmpty: Termination.OPTIMAL,
    highspy.HighsModelStatus.kTimeLimit: Termination.TIME_LIMIT,
    highspy.HighsModelStatus.kIterationLimit: Termination.ITERATION_LIMIT,
    highspy.HighsModelStatus.kSolutionLimit: Termination.ITERATION_LIMIT,
    highspy.HighsModelStatus.kInterrupt: Termination.TIME_LIMIT,
}
"""HiGHS's statuses; all others are errors."""

_ACCEPTED = "MIP start solution is feasible"

_SMALL = 2000  # nonzeros up to which it is told what presolve makes of a program: of more it takes seconds


class Highs:
    """HiGHS, which completes a start by solving what it leaves open."""

    title = "HiGHS"
    capabilities = frozenset(Capability)

    def solve(self, program: LinearProgram, settings: Settings, start: Start) -> MilpAnswer:
        """Minimise a program, as ``MilpBackend``."""
        lp = _translated(program)
        with TemporaryDirectory() as folder:
            solver = _solver(settings)
            log = Path(folder) / "log"
            solver.passModel(lp)
            if start:
                solver.setOptionValue("log_file", str(log))
                solver.setOptionValue("output_flag", True)
                index = np.array([column for column, _ in start], dtype=np.int32)
                values = np.array([value for _, value in start], dtype=np.float64)
                solver.setSolution(len(index), index, values)
            solver.run()
            accepted = _ACCEPTED in log.read_text() if start else None
        presolved = _presolved(lp) if program.size.nonzeros <= _SMALL else None
        if not accepted and settings.presolve and presolved and presolved.cols == 0:
            accepted = None
        return _read(solver, program, presolved, accepted)


BACKEND: MilpBackend = Highs()


def _solver(settings: Settings) -> Any:
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {
        "output_flag": False,
        "log_to_console": False,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": settings.gap,
        "mip_feasibility_tolerance": TOLERANCE,
        "primal_feasibility_tolerance": TOLERANCE,
        "dual_feasibility_tolerance": TOLERANCE,
        "threads": settings.threads,
        "random_seed": settings.seed,
        "presolve": "choose" if settings.presolve else "off",
    }
    if settings.time_limit is not None:
        options["time_limit"] = max(0.0, float(settings.time_limit))
    for name, value in options.items():
        solver.setOptionValue(name, value)
    return solver


def _translated(program: LinearProgram) -> Any:
    """The program as HiGHS's data, row by row; its infinity is that of floating point."""
    lp, kinds = highspy.HighsLp(), highspy.HighsVarType
    lp.num_col_, lp.num_row_ = len(program.names), len(program.rows)
    lp.col_cost_, lp.offset_ = program.cost, program.offset
    lp.col_lower_, lp.col_upper_ = program.low, program.high
    lp.row_lower_, lp.row_upper_ = program.row_low, program.row_high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.cumsum([0, *map(len, program.rows)])
    lp.a_matrix_.index_ = np.array([i for row in program.rows for i in row], dtype=np.int32)
    lp.a_matrix_.value_ = np.array([a for row in program.rows for a in row.values()], dtype=np.float64)
    lp.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in program.whole]
    lp.col_names_ = list(program.names)
    return lp


def _read(solver: Any, program: LinearProgram, presolved: Size | None, accepted: bool | None) -> MilpAnswer:
    info = solver.getInfo()
    solved = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    objective = float(info.objective_function_value) if solved else None
    bound = float(info.mip_dual_bound) if program.whole.any() else objective
    return MilpAnswer(
        solver=Highs.title,
        size=program.size,
        termination=_TERMINATION.get(solver.getModelStatus(), Termination.ERROR),
        x=np.array(solver.getSolution().col_value) if solved else None,
        objective=objective,
        bound=bound if bound is not None and np.isfinite(bound) else None,
        nodes=max(0, int(info.mip_node_count)),
        iterations=max(0, int(info.simplex_iteration_count)),
        presolved=presolved,
        start_accepted=accepted,
    )


def _presolved(lp: Any) -> Size:
    solver = _solver(Settings())
    solver.passModel(lp)
    solver.presolve()
    small = solver.getPresolvedLp()
    return Size(small.num_row_, small.num_col_, len(small.a_matrix_.value_))
