"""What a solved model, and all models of one objective, come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import inf

from formulation.relaxed.classes import Aim, Variant
from solvers.backends.posynomial import Floats, Program
from solvers.result import Termination


@dataclass(frozen=True, slots=True, eq=False)
class SolvedModel:
    """A solved model.

    Attributes:
        variant: the class of mappings.
        program: what was solved.
        x: its solution.
        multipliers: of its constraints.
        bound: the rigorous bound on its objective.
        trips: relaxed trip counts by dimension.
    """

    variant: Variant
    program: Program
    x: Floats
    multipliers: Floats
    bound: float
    trips: dict[str, float]

    def value(self, name: str) -> float:
        """Of a variable."""
        return float(self.x[self.program.position(name)])


@dataclass(frozen=True, slots=True, eq=False)
class Bounded:
    """One objective minimised over all models.

    Attributes:
        aim: the objective and its caps.
        floor: what the roofline and compulsory traffic allow.
        bound: proven for every mapping within the aim's caps; None if a model was left unresolved.
        bounds: of each model.
        points: the models that were solved, in the order of their bounds.
        iterations: of IPOPT, in all.
        termination: OPTIMAL if every model is resolved, else why one is not.
        priced: models of which all that may be as good as the incumbent is priced one by one.
        settled: whether the best mapping known is proven to be the least.
    """

    aim: Aim
    floor: float
    bound: float | None
    bounds: Mapping[Variant, float]
    points: tuple[SolvedModel, ...]
    iterations: int
    termination: Termination
    priced: frozenset[Variant] = frozenset()
    settled: bool = False

    def close(self, closed: Collection[Variant], incumbent: float) -> Bounded:
        """The same with some models proven to hold no mapping that is better than the incumbent.

        They need no solution of theirs, so that one on which the solver failed is resolved.
        """
        if not closed:
            return self
        bounds = {v: max(b, incumbent) if v in closed else b for v, b in self.bounds.items()}
        complete = all(b > -inf for b in bounds.values())
        return replace(
            self,
            bounds=bounds,
            bound=min([incumbent, *bounds.values()]) if complete else None,
            points=tuple(p for p in self.points if p.variant not in closed),
            termination=Termination.OPTIMAL if complete else self.termination,
        )
