"""IPOPT through ``cyipopt``: the only module that imports it."""

from __future__ import annotations

from typing import Any

import cyipopt
import numpy as np

from solvers.backends.nlp import NlpAnswer, NlpBackend
from solvers.backends.posynomial import Floats, Ints, Program
from solvers.result import Termination

_STATUS = {
    0: Termination.OPTIMAL,  # solved
    1: Termination.OPTIMAL,  # solved to acceptable level
    2: Termination.INFEASIBLE,
    -1: Termination.ITERATION_LIMIT,
    -4: Termination.TIME_LIMIT,  # CPU time
    -5: Termination.TIME_LIMIT,  # wall time
}
"""IPOPT's return codes; all others are errors."""

_SETTINGS: dict[str, str | int | float] = {
    "linear_solver": "mumps",
    "print_level": 0,
    "sb": "yes",
    "tol": 1e-6,  # the bound is proven from the multipliers: more digits gain it one part in a million
    "mu_strategy": "monotone",
    "mu_init": 0.02,
    "bound_push": 0.1,
    "bound_frac": 0.1,
    "mu_linear_decrease_factor": 0.05,
    "barrier_tol_factor": 100.0,
    "min_refinement_steps": 0,
}


class _Callbacks:
    """Derivatives of a program, exact and sparse, in the form that cyipopt asks for.

    An exponential ``e = coef * exp(power . x)`` has gradient ``e * power`` and Hessian ``e * power power'``:
    all derivatives are fixed matrices times the vector of exponentials, which is evaluated once per point.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.iterations = 0
        n, m, power = len(program.cost), len(program.rows), program.power
        used = program.linear != 0
        np.logical_or.at(used, program.row, power != 0)
        self._jacobian_at = np.nonzero(used)
        rows, cols = self._jacobian_at
        self._jacobian = np.where(rows[:, None] == program.row[None, :], power[:, cols].T, 0.0)
        self._slope = program.linear[self._jacobian_at]
        touched = (power != 0).astype(np.int64)
        self._hessian_at = np.nonzero(np.tril(touched.T @ touched))
        low, high = self._hessian_at
        self._hessian = power[:, low].T * power[:, high].T
        self._x, self._e = np.full(n, np.nan), np.zeros(len(program.coef))
        self._m = m

    def _exponentials(self, x: Floats) -> Floats:
        if not np.array_equal(x, self._x):
            self._x, self._e = x.copy(), self.program.exponentials(x)
        return self._e

    def objective(self, x: Floats) -> float:
        return float(self.program.cost @ x)

    def gradient(self, x: Floats) -> Floats:
        del x
        return self.program.cost

    def constraints(self, x: Floats) -> Floats:
        sums = np.bincount(self.program.row, self._exponentials(x), self._m)
        return np.asarray(sums + self.program.linear @ x + self.program.constant)

    def jacobianstructure(self) -> tuple[Ints, ...]:
        return self._jacobian_at

    def jacobian(self, x: Floats) -> Floats:
        return np.asarray(self._jacobian @ self._exponentials(x) + self._slope)

    def hessianstructure(self) -> tuple[Ints, ...]:
        return self._hessian_at

    def hessian(self, x: Floats, multipliers: Floats, objective_factor: float) -> Floats:
        del objective_factor  # the objective is linear
        return np.asarray(self._hessian @ (multipliers[self.program.row] * self._exponentials(x)))

    def intermediate(self, mode: int, iteration: int, *_: Any) -> bool:
        del mode
        self.iterations = iteration
        return True


class Ipopt:
    """IPOPT, with exact first and second derivatives."""

    title = "IPOPT"

    def solve(
        self, program: Program, start: Floats, *, max_iterations: int = 300, time_limit: float | None = None
    ) -> NlpAnswer:
        """Minimise a program, as ``NlpBackend``."""
        callbacks = _Callbacks(program)
        n, m = len(program.cost), len(program.rows)
        nlp = cyipopt.Problem(
            n=n,
            m=m,
            problem_obj=callbacks,
            lb=program.low,
            ub=program.high,
            cl=np.full(m, -2e19),
            cu=np.zeros(m),
        )
        for name, setting in _SETTINGS.items():
            nlp.add_option(name, setting)
        nlp.add_option("max_iter", max_iterations)
        if time_limit is not None:
            nlp.add_option("max_wall_time", max(time_limit, 1e-3))
        x, info = nlp.solve(np.clip(start, program.low, program.high))
        termination = _STATUS.get(info["status"], Termination.ERROR)
        return NlpAnswer(termination, np.asarray(x), np.asarray(info["mult_g"]), callbacks.iterations)


BACKEND: NlpBackend = Ipopt()
