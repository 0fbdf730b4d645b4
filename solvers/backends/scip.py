"""SCIP: the only module that touches PySCIPOpt."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyscipopt import SCIP_PARAMSETTING, ExprCons, Model, quicksum

from solvers.backends.milp import (
    TOLERANCE,
    Capability,
    LinearProgram,
    MilpAnswer,
    MilpBackend,
    Settings,
    Start,
)
from solvers.result import Termination

_TERMINATION = {
    "optimal": Termination.OPTIMAL,
    "infeasible": Termination.INFEASIBLE,
    "timelimit": Termination.TIME_LIMIT,
    "nodelimit": Termination.ITERATION_LIMIT,
    "totalnodelimit": Termination.ITERATION_LIMIT,
    "sollimit": Termination.ITERATION_LIMIT,
}
"""SCIP's statuses; all others are errors, an interruption aside."""

_PARAMETERS: dict[str, Any] = {
    "limits/gap": 0.0,
    "limits/absgap": 0.0,
    "numerics/feastol": TOLERANCE,
    "numerics/dualfeastol": TOLERANCE,
}


class Scip:
    """SCIP, on one thread; what becomes of a start it does not say."""

    title = "SCIP"
    capabilities = frozenset({Capability.START, Capability.BOUND, Capability.NODES, Capability.ITERATIONS})

    def solve(self, program: LinearProgram, settings: Settings, start: Start) -> MilpAnswer:
        """Minimise a program, as ``MilpBackend``; raises KeyboardInterrupt if SCIP is interrupted."""
        model = _model(settings)
        variables = _translate(program, model)
        if start:
            known = model.createPartialSol()
            for column, value in start:
                model.setSolVal(known, variables[column], value)
            model.addSol(known)
        model.optimize()
        if model.getStatus() == "userinterrupt":
            raise KeyboardInterrupt
        return _read(model, program, variables)


BACKEND: MilpBackend = Scip()


def _model(settings: Settings) -> Any:
    model = Model("program")
    model.hideOutput()
    model.setParams({**_PARAMETERS, "randomization/randomseedshift": settings.seed})
    model.setParam("limits/absgap", settings.gap)
    if settings.time_limit is not None:
        model.setParam("limits/time", max(0.0, float(settings.time_limit)))
    if not settings.presolve:
        model.setPresolve(SCIP_PARAMSETTING.OFF)
    return model


def _translate(program: LinearProgram, model: Any) -> list[Any]:
    """Build the program in SCIP's terms; returns its variables by column."""
    columns = zip(program.names, program.cost, program.low, program.high, program.whole, strict=True)
    variables = [
        model.addVar(name, "I" if whole else "C", _finite(low), _finite(high), obj=float(cost))
        for name, cost, low, high, whole in columns
    ]
    model.addObjoffset(program.offset)
    for low, high, row in zip(program.row_low, program.row_high, program.rows, strict=True):
        expression = quicksum(a * variables[i] for i, a in row.items())
        model.addCons(ExprCons(expression, _finite(low), _finite(high)))
    return variables


def _finite(value: float) -> float | None:
    """A bound as PySCIPOpt has it: None for none."""
    return float(value) if np.isfinite(value) else None


def _read(model: Any, program: LinearProgram, variables: list[Any]) -> MilpAnswer:
    solved = model.getNSols() > 0
    best, bound = model.getBestSol() if solved else None, float(model.getDualbound())
    return MilpAnswer(
        solver=Scip.title,
        size=program.size,
        termination=_TERMINATION.get(model.getStatus(), Termination.ERROR),
        x=np.array([best[v] for v in variables]) if best is not None else None,
        objective=float(model.getObjVal()) if solved else None,
        bound=None if model.isInfinity(abs(bound)) else bound,
        nodes=int(model.getNTotalNodes()),
        iterations=int(model.getNLPIterations()),
    )
