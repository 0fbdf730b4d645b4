"""The solvers that programs are handed to: to add one, write its module and list it here.

A module has ``BACKEND``, which does what ``solvers.backends.milp.MilpBackend`` or
``solvers.backends.nlp.NlpBackend`` says. It is imported, with its packages, when it is first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dnns import PROJECT
from dnns.errors import InputError


@dataclass(frozen=True, slots=True)
class Home:
    """Where a backend is.

    Attributes:
        module: that has it.
        packages: of which one must be installed, as package indexes know them.
        extra: of this project, that installs one; "" if it is always installed.
    """

    module: str
    packages: tuple[str, ...]
    extra: str = ""


MILP = {
    "highs": Home("solvers.backends.highs", ("highspy",)),
    "scip": Home("solvers.backends.scip", ("pyscipopt",), "scip"),
}
"""Solvers of mixed-integer linear programs, the default first."""

NLP = {
    "ipopt": Home("solvers.backends.ipopt", ("cyipopt-wheels", "cyipopt")),
}
"""Solvers of convex programs, the default first."""

DEFAULT_MILP, DEFAULT_NLP = next(iter(MILP)), next(iter(NLP))


def load(homes: Mapping[str, Home], name: str) -> Any:
    """A module's ``BACKEND``.

    Args:
        homes: ``MILP`` or ``NLP``.
        name: of the backend.

    Raises:
        InputError: if there is none of that name, or if its package is missing.
    """
    if name not in homes:
        raise InputError("backend", "", f"got {name[:60]!r}, allowed: {', '.join(homes)}")
    home = homes[name]
    try:
        return import_module(home.module).BACKEND
    except ImportError as error:
        if (error.name or "").partition(".")[0] == home.module.partition(".")[0]:
            raise
        wanted = f"'{PROJECT}[{home.extra}]'" if home.extra else " or ".join(home.packages)
        raise InputError("backend", name, f"needs a package: pip install {wanted}") from error
