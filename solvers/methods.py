"""One entry to every method; a method's packages are imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from dnns.errors import InputError
from formulation.problem import Problem
from solvers.backends.registry import DEFAULT_NLP, NLP, load
from solvers.result import Result

METHODS = ("static", "constrained", "exhaustive", "exact", "combined")
_RELAXED = ("constrained", "combined")


def solve(problem: Problem, method: str = "exact", **options: Any) -> Result:
    """Solve one problem.

    Args:
        problem: the layer, the machine, the objective and, if given, the partition.
        method: one of ``METHODS``, in any case.
        options: of the method; all take ``initial`` (a known mapping) and ``time_limit`` [s].

    Returns:
        The best mapping found, with what is proven about it.

    Raises:
        InputError: if there is no such method, or a package that it needs is not installed.
    """
    return solver(method)(problem, **options)


def solver(method: str) -> Callable[..., Result]:
    """The function of a method; raises InputError if there is none or its package is missing."""
    name = method.lower()
    if name not in METHODS:
        raise InputError("method", "", f"got {method!r}, allowed: {', '.join(METHODS)}")
    try:
        function: Callable[..., Result] = import_module(f"solvers.layers.{name}").solve
    except ModuleNotFoundError as error:
        raise InputError("method", name, f"needs the package {error.name}, install it first") from None
    if name in _RELAXED:
        load(NLP, DEFAULT_NLP)
    return function
