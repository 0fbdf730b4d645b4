"""What every solver returns: a mapping, its exact cost, what is proven about it, and why it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Fields
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Any, Generic, TypeVar, overload

from typing_extensions import TypedDict

from formulation.mapping import Mapping, Partition
from formulation.pricing.objective import LATENCY, SCORE, TRAFFIC, Measure
from formulation.pricing.price import Cost
from formulation.problem import Posed, Problem


class Termination(StrEnum):
    """Why a solver stopped: ``OPTIMAL`` if it solved what it set out to, be that a relaxation.

    Whether the mapping it returns is optimal is another matter: see ``SolutionStatus``.
    """

    OPTIMAL = "optimal"
    TIME_LIMIT = "time_limit"
    ITERATION_LIMIT = "iteration_limit"
    INFEASIBLE = "infeasible"
    ERROR = "error"


class SolutionStatus(StrEnum):
    """What kind of point is held."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    NONE = "none"


class BoundScope(StrEnum):
    """Over which mappings a bound holds: all of them, or those within the given partition."""

    MAP_SPACE = "map_space"
    PARTITION = "partition"


class BoundFrom(StrEnum):
    """What a bound rests on.

    ``FREE``: compulsory traffic or the roofline. ``ENUMERATION``: all mappings, one by one or in blocks that
    a bound on each leaves out. ``SIEVE``: the same, before a mixed-integer program was made: nothing better
    than the known mapping was left for it. ``PROGRAM``: what a solver proved of a mixed-integer program.
    ``PRESOLVE``: the classes of mappings, listed and priced, or bounded without a model. ``IPOPT``: dual
    bounds of convex models that IPOPT has solved, be it of those that the presolve has left.
    """

    FREE = "free"
    ENUMERATION = "enumeration"
    SIEVE = "sieve"
    PROGRAM = "program"
    PRESOLVE = "presolve"
    IPOPT = "ipopt"


Bound = Fraction | float
"""A proven bound: exact, or a float rounded towards zero."""


@dataclass(frozen=True, slots=True)
class LowerBound:
    """Proven bounds.

    Attributes:
        proven: by ``Measure.claim``, in the unit that results are told in; without those that are not proven.
    """

    proven: Fields[str, Bound] = field(default_factory=dict)

    def of(self, claim: str) -> Bound | None:
        """One of them; None if it is not proven."""
        return self.proven.get(claim)

    @property
    def latency_cycles(self) -> Bound | None:
        """On the latency of every mapping in scope."""
        return self.of(LATENCY.key)

    @property
    def traffic_bytes(self) -> Bound | None:
        """On the traffic of every mapping in scope.

        For the balanced objective only of those within the latency cap: it may be above the least traffic.
        """
        return self.of(TRAFFIC.key)

    @property
    def score(self) -> Bound | None:
        """On the weighted objective."""
        return self.of(SCORE)


def free_bound(problem: Posed[Any]) -> LowerBound:
    """What compulsory traffic and the roofline allow: it costs nothing, so every answer has it at least."""
    least = problem.floor
    bounds: dict[str, Bound] = {}
    for measure in (step.measures[0] for step in problem.steps):
        value = Fraction(measure.exact(least))
        whole = value if measure.quantity is None else ceil(value)
        bounds[measure.claim] = measure.told(problem.hardware, whole)
    return LowerBound(bounds)


def at_least(one: LowerBound, other: LowerBound) -> LowerBound:
    """The greater of two proven bounds, of each measure."""
    greater = {claim: max(low, other.proven.get(claim, low)) for claim, low in one.proven.items()}
    return LowerBound({**other.proven, **greater})


class ResultError(RuntimeError):
    """An answer contradicts itself: a fault of the program, told in place of the answer."""


P = TypeVar("P", bound=Posed[Any])
M = TypeVar("M")


@dataclass(frozen=True, slots=True, repr=False)
class Answer(Generic[P, M]):
    """The answer to one problem of a kind, whose mappings are of one kind.

    No answer is made that contradicts itself: its mapping is priced again in Python's integers, fits, and is
    no better than the bounds; if it is said to be optimal, it is as good as the bound on the objective.

    Attributes:
        problem: what was asked.
        method: the solver, lower case.
        termination: why it stopped.
        solution_status: what kind of point ``mapping`` is.
        mapping: the mapping, None if none was found.
        cost: its exact cost.
        lower_bound: what is proven about all mappings.
        seconds: wall time.
        iterations: of the solver, None if it counts none.
        nodes: of its search tree, None if it has none.
        extras: what else one method knows (model sizes, multipliers, ...), plain values.
        bound_from: what each step's bound rests on, by the name of what the step minimises.
        relaxed: what the convex relaxation proves by itself, before presolve and branching; None if the
            method has none.

    Raises:
        ResultError: if it contradicts itself.
    """

    problem: P
    method: str
    termination: Termination
    solution_status: SolutionStatus
    mapping: M | None = None
    cost: Cost | None = None
    lower_bound: LowerBound = field(default_factory=LowerBound)
    seconds: float = 0.0
    iterations: int | None = None
    nodes: int | None = None
    extras: Fields[str, object] = field(default_factory=dict)
    bound_from: Fields[str, BoundFrom] = field(default_factory=dict)
    relaxed: LowerBound | None = None

    def __repr__(self) -> str:
        cost, gap = self.cost, self.gap
        found = (
            "no mapping" if cost is None else f"{self.mapping}\n  {float(cost.latency_cycles):,.6g} cycles"
        )
        moved = "" if cost is None else f", {float(cost.traffic_bytes):,.6g} bytes"
        proven = "" if gap is None else f", gap {100 * gap:.2f} %"
        name = self.problem.name or "layer"
        status = f"{self.solution_status}, {self.termination}"
        return f"<{type(self).__name__} {name}: {self.method}, {status}\n  {found}{moved}{proven}>"

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise ResultError(f"{self.problem.name or 'layer'}: {self.method}: {fault}")

    def _faults(self) -> Iterator[str]:
        """What contradicts itself."""
        bound = self.lower_bound
        for what, low in bound.proven.items():
            if not low >= 0:
                yield f"the bound on {what} is {low}, below 0"
        if (self.mapping is None) != (self.solution_status is SolutionStatus.NONE):
            yield f"the mapping is {self.mapping}, its status {self.solution_status}"
        if self.mapping is None or self.cost is None:
            if self.mapping is not self.cost:
                yield "a mapping or a cost without the other"
            return
        if self.cost != self.problem.evaluate(self.mapping):
            yield f"{self.mapping} does not cost what is said"
        if not self.problem.is_feasible(self.cost):
            yield f"{self.mapping} does not fit"
        yield from exceeded(bound.latency_cycles, self.cost.latency_cycles, "latency_cycles")
        yield from exceeded(self._objective_bound, self.objective_value, "the objective")
        if self.relaxed is not None:
            alone = self.relaxed.of(self.problem.objective.claim)
            yield from exceeded(alone, self.objective_value, "the objective, of the relaxation,")
        optimal = self.solution_status is SolutionStatus.OPTIMAL
        if optimal and self._objective_bound not in (None, self.objective_value):
            yield f"optimal, but {self.objective_value} is above the bound {self._objective_bound}"

    @property
    def _objective_bound(self) -> Fraction | float | None:
        """The bound on ``objective_value``."""
        return self.lower_bound.of(self.problem.objective.claim)

    @property
    def bound_scope(self) -> BoundScope:
        """Where the bound holds."""
        return BoundScope.MAP_SPACE if self.problem.partition is None else BoundScope.PARTITION

    @property
    def objective_value(self) -> Fraction | None:
        """The objective's own quantity: cycles, bytes (also for balanced) or the weighted score."""
        return None if self.cost is None else self.problem.objective_value(self.problem.price(self.cost))

    @property
    def gap(self) -> float | None:
        """``(objective - bound) / objective`` of the objective's own quantity."""
        return relative_gap(self.objective_value, self._objective_bound)

    @property
    def latency_gap(self) -> float | None:
        """The same for latency, against the bound on the least latency of all."""
        return relative_gap(self.cost.latency_cycles if self.cost else None, self.lower_bound.latency_cycles)

    def relaxed_gap(self, measure: Measure) -> float | None:
        """The gap of a measure to what the relaxation proves of it by itself."""
        if self.relaxed is None or self.cost is None:
            return None
        reached = measure.told(self.problem.hardware, measure.exact(self.problem.price(self.cost)))
        return relative_gap(reached, self.relaxed.of(measure.claim))


@dataclass(frozen=True, slots=True, repr=False)
class Result(Answer[Problem, Mapping]):
    """The answer to one layer's problem."""


def exceeded(bound: Fraction | float | None, value: Fraction | None, what: str) -> Iterator[str]:
    """A sentence if a bound is above what a mapping has, nothing if not."""
    if bound is not None and value is not None and bound > value:
        yield f"the bound on {what} is {bound}, above the mapping's {value}"


def relative_gap(value: Fraction | None, bound: Fraction | float | None) -> float | None:
    """``(value - bound) / value``, None where one is not known."""
    if value is None or bound is None:
        return None
    above, below = value.as_integer_ratio(), bound.as_integer_ratio()
    if above == below:
        return 0.0
    whole = above[0] * below[1]
    return (whole - below[0] * above[1]) / whole


def internal_error(answer: Answer[P, M]) -> str | None:
    """What went wrong in the program itself; None if there is an answer, or a reason for none."""
    if answer.cost is not None or answer.termination is not Termination.ERROR:
        return None
    return str(answer.extras.get("error", "the solver failed"))


@overload
def number(value: Fraction | float) -> int | float: ...
@overload
def number(value: None) -> None: ...
@overload
def number(value: Fraction | float | None) -> int | float | None: ...
def number(value: Fraction | float | None) -> int | float | None:
    """A quantity as JSON has it: whole numbers as integers."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else float(value)
    return int(value) if value.is_integer() else value


class PartitionData(TypedDict):
    """The buffer's parts [bytes], both halves of a double buffer included."""

    ifmap: int | float
    ofmap: int | float
    weights: int | float


def partition_dict(parts: Partition) -> PartitionData:
    """The buffer's parts in bytes."""
    ifmap, ofmap, weights = (bits / 8 if bits % 8 else bits // 8 for bits in parts.parts)
    return {"ifmap": ifmap, "ofmap": ofmap, "weights": weights}
