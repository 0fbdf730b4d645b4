"""What a solver returns for a deconvolution with shared ifmap tiles."""

from __future__ import annotations

from dataclasses import dataclass

from formulation.shared.problem import SharedMapping, SharedProblem
from solvers.result import Answer


@dataclass(frozen=True, slots=True)
class SharedResult(Answer[SharedProblem, SharedMapping]):
    """The answer to a shared problem."""
