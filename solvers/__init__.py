"""How it is solved: ``solve`` for one problem, ``run_scenario`` for a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from solvers.methods import solve
    from solvers.network.levels import run_scenario
    from solvers.network.report import Report
    from solvers.result import Result

__all__ = ["Report", "Result", "run_scenario", "solve"]

_HOMES = {
    "Report": "solvers.network.report",
    "Result": "solvers.result",
    "run_scenario": "solvers.network.levels",
    "solve": "solvers.methods",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that a solver's packages load only for it."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
