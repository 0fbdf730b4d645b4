"""One entry to every method for deconvolutions with shared ifmap tiles."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from dnns.errors import InputError
from formulation.shared.problem import SharedProblem
from solvers.shared.result import SharedResult

_MODULES = {
    "constrained": "solvers.shared.constrained",
    "combined": "solvers.shared.combined",
    "static": "solvers.shared.exhaustive",
    "exhaustive": "solvers.shared.exhaustive",
    "exact": "solvers.shared.exact",
}


def solve(
    problem: SharedProblem, *, method: str = "exhaustive", time_limit: float | None = None, **options: Any
) -> SharedResult:
    """Solve one shared problem.

    Args:
        problem: the deconvolution, the machine, the objective and, if given, the partition.
        method: ``static``, ``constrained``, ``exhaustive``, ``exact`` or ``combined``, in any case.
        time_limit: seconds.
        options: of the method.

    Returns:
        The best mapping found, with what is proven about it.

    Raises:
        InputError: if there is no such method, or a package that it needs is not installed.
        ValueError: if the method is static and the problem leaves its partition free.
    """
    name = method.lower()
    if name == "static" and problem.partition is None:
        raise ValueError("the method static needs a partition")
    return solver(name)(problem, time_limit=time_limit, method=name, **options)


def solver(method: str) -> Callable[..., SharedResult]:
    """The function of a method; raises InputError if there is none or its package is missing."""
    name = method.lower()
    if name not in _MODULES:
        raise InputError("method", "", f"got {method!r}, allowed: {', '.join(_MODULES)}")
    try:
        function: Callable[..., SharedResult] = import_module(_MODULES[name]).solve
    except ModuleNotFoundError as error:
        raise InputError("method", name, f"needs the package {error.name}, install it first") from None
    return function
