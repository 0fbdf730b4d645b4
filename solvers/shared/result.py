"""What a solver returns for a deconvolution with shared ifmap tiles."""

from __future__ import annotations

from dataclasses import dataclass

from formulation.shared.problem import SharedMapping, SharedProblem
from solvers.result import Answer


@dataclass(frozen=True, slots=True, repr=False)
class SharedResult(Answer[SharedProblem, SharedMapping]):
    """The answer to a shared problem.

    Attributes:
        least_latency: the least latency that a mapping is known to have, from which the cap of the balanced
            objective follows [ticks]; None for other objectives.
    """

    least_latency: int | None = None
