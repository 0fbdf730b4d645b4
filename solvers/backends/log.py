"""What was asked of a solver of mixed-integer programs, for ``Answer.extras``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from solvers.backends.milp import MilpAnswer


@dataclass(slots=True)
class Log:
    """The solves of one problem.

    Attributes:
        solves: of each the stage, the program's size before and after presolve, nodes, iterations, whether
            the start was taken, the objective, and the seconds in the solver.
        nodes: in all.
        iterations: in all.
    """

    solves: list[dict[str, Any]] = field(default_factory=list)
    nodes: int = 0
    iterations: int = 0

    def add(self, stage: str, solved: MilpAnswer, seconds: float) -> None:
        """One more solve."""
        self.nodes += solved.nodes
        self.iterations += solved.iterations
        self.solves.append(
            {
                "stage": stage,
                "size": asdict(solved.size),
                "presolved": None if solved.presolved is None else asdict(solved.presolved),
                "nodes": solved.nodes,
                "iterations": solved.iterations,
                "start_accepted": solved.start_accepted,
                "objective": solved.objective,
                "seconds": round(seconds, 6),
            }
        )
