"""The best mapping within a given partition of the buffer."""

from __future__ import annotations

from typing import Any

from formulation.problem import Problem
from solvers.layers import exhaustive
from solvers.result import Result


def solve(problem: Problem, **options: Any) -> Result:
    """The optimal mapping of a problem within its partition; options as of ``exhaustive.solve``.

    Raises:
        ValueError: if the problem leaves its partition free.
    """
    if problem.partition is None:
        raise ValueError("the method static needs a partition")
    return exhaustive.solve(problem, **options, method="static")
