"""What a solver of mixed-integer linear programs is given, what it answers, and what it may claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from solvers.backends.registry import DEFAULT_MILP, MILP, load
from solvers.result import Termination

Floats = NDArray[np.float64]
Start = Sequence[tuple[int, float]]
"""Columns and values of some variables of a known solution."""

TOLERANCE = 1e-9
"""Integrality and feasibility tolerance on the programs' scaled axes."""


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a program: rows, columns, non-zeros."""

    rows: int
    cols: int
    nonzeros: int


@dataclass(frozen=True, slots=True, eq=False)
class LinearProgram:
    """``min cost . x + offset``, ``row_low <= A x <= row_high``, ``low <= x <= high``, some x whole.

    Attributes:
        names: of the columns.
        cost: of each column.
        offset: constant of the objective.
        low: least value of each column, ``-inf`` for none.
        high: greatest value of each column, ``inf`` for none.
        whole: which columns take whole values only.
        row_low: least value of each row, ``-inf`` for none.
        row_high: greatest value of each row, ``inf`` for none.
        rows: of A, as columns with their coefficients.
    """

    names: tuple[str, ...]
    cost: Floats
    offset: float
    low: Floats
    high: Floats
    whole: NDArray[np.bool_]
    row_low: Floats
    row_high: Floats
    rows: tuple[dict[int, float], ...]

    @property
    def size(self) -> Size:
        """Rows, columns, non-zeros."""
        return Size(len(self.rows), len(self.names), sum(map(len, self.rows)))


@dataclass(frozen=True, slots=True)
class Settings:
    """How to solve a program, to a zero gap unless told otherwise, and to ``TOLERANCE``.

    Attributes:
        time_limit: seconds; None for none.
        threads: of the solver; more than one only where it is capable of ``THREADS``.
        seed: of its random numbers; the same seed gives the same answer.
        presolve: whether it may reduce the program first.
        gap: absolute, of the objective, at which it may stop: less than any two solutions differ by.
    """

    time_limit: float | None = None
    threads: int = 1
    seed: int = 0
    presolve: bool = True
    gap: float = 0.0


class Capability(StrEnum):
    """What a solver can do beside solving, and what of its answer it fills in."""

    START = "start"  # begins with a solution, of which some variables are given
    START_TOLD = "start_told"  # says whether it took it
    BOUND = "bound"  # has a proven bound where it was stopped
    NODES = "nodes"  # counts the nodes of its tree
    ITERATIONS = "iterations"  # counts those of the simplex method
    PRESOLVED = "presolved"  # says what its presolve makes of the program
    THREADS = "threads"  # runs on several


@dataclass(frozen=True, slots=True, eq=False)
class MilpAnswer:
    """The end of a solve. What a solver is not capable of telling is None, or 0 where it counts.

    Attributes:
        solver: its title.
        size: of the program.
        termination: why the solver stopped; ERROR for any status that is not expected.
        x: the solution by column, None if there is none.
        objective: of the solution, None if there is none.
        bound: proven: no solution has less; None if there is none.
        nodes: of the branch-and-bound tree.
        iterations: of the simplex method.
        presolved: what presolve makes of the program, used or not; None if that was not looked at.
        start_accepted: whether the solver completed the given start and took it into its search; None if none
            was given, or if presolve left nothing to search.
    """

    solver: str
    size: Size
    termination: Termination
    x: Floats | None
    objective: float | None
    bound: float | None
    nodes: int = 0
    iterations: int = 0
    presolved: Size | None = None
    start_accepted: bool | None = None


class SolverDisagreement(RuntimeError):
    """What a solver says is not what the mappings cost."""


class MilpBackend(Protocol):
    """A solver of mixed-integer linear programs."""

    @property
    def title(self) -> str:
        """Its name as its makers write it."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""

    def solve(self, program: LinearProgram, settings: Settings, start: Start) -> MilpAnswer:
        """Minimise a program.

        Args:
            program: what to solve.
            settings: how; within the capabilities.
            start: of a known solution, empty for none; only if it is capable of ``START``.
        """


def milp_backend(name: str = DEFAULT_MILP) -> MilpBackend:
    """The solver of that name; raises InputError if there is none, or if its package is missing."""
    backend: MilpBackend = load(MILP, name)
    return backend
