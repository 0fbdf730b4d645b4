"""What a solver of convex programs is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from solvers.backends.posynomial import Floats, Program
from solvers.backends.registry import DEFAULT_NLP, NLP, load
from solvers.result import Termination


@dataclass(frozen=True, slots=True, eq=False)
class NlpAnswer:
    """What a solver returned. Nothing rests on it: bounds are proven from the multipliers, whatever they are.

    Attributes:
        termination: OPTIMAL if it converged.
        x: the last point.
        multipliers: of the constraints, not negative up to tolerance.
        iterations: of the solver.
    """

    termination: Termination
    x: Floats
    multipliers: Floats
    iterations: int


class NlpBackend(Protocol):
    """A solver of convex programs that returns multipliers."""

    @property
    def title(self) -> str:
        """Its name as its makers write it."""

    def solve(
        self, program: Program, start: Floats, *, max_iterations: int = 300, time_limit: float | None = None
    ) -> NlpAnswer:
        """Minimise a program.

        Args:
            program: convex, so that what the solver converges to is its global optimum.
            start: where to start; moved into the box.
            max_iterations: of the solver.
            time_limit: wall time [s].

        Returns:
            The last point with its multipliers, and why the solver stopped.
        """


def nlp_backend(name: str = DEFAULT_NLP) -> NlpBackend:
    """The solver of that name; raises InputError if there is none, or if its package is missing."""
    backend: NlpBackend = load(NLP, name)
    return backend
