"""What ``combine`` returns: both ways to run a deconvolution, the better one, and what is proven of both."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dnns.layer import Deconvolution
from formulation.deconv import Treatment, split
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.pricing.objective import LATENCY, Measure, Objective
from formulation.pricing.price import Price
from formulation.shared.problem import Rounds, SubKernels
from solvers.result import (
    BoundScope,
    LowerBound,
    Result,
    ResultError,
    SolutionStatus,
    Termination,
    exceeded,
    relative_gap,
)
from solvers.shared.result import SharedResult


@dataclass(frozen=True, slots=True)
class KernelRow:
    """One sub-kernel, for the table under its layer.

    Attributes:
        name: residues of its phases.
        kernel: taps per axis, none (zeros) if no tap reaches its outputs.
        out: output extents.
        filters: filters in each round; empty unless the ifmap tiles are shared.
    """

    name: str
    kernel: tuple[int, ...]
    out: tuple[int, ...]
    filters: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class DeconvolutionResult:
    """The better way to run a deconvolution, one run.

    Attributes:
        deconv: the deconvolution.
        hardware: the machine.
        objective: what was minimised.
        partition: the buffer's parts if they were given.
        method: the solver, lower case.
        choice: ``COMBINE`` if ifmap tiles are shared, ``SPLIT`` if not.
        shared: the answer with shared tiles, None if no sub-kernel has taps.
        parts: the answers of ``split``.
        total: price of the choice, outputs that no tap reaches included; None if neither fits.
        split_total: the same of ``split``.
        shared_total: the same with shared tiles; None also if no such mapping is within the latency cap.
        lower_bound: on both ways: the lesser of the two bounds.
        seconds: wall time of the shared problem.
        relaxed: what the relaxations prove by themselves, likewise; None if the method has none.

    Raises:
        ResultError: if it contradicts itself, as of ``Answer``.
    """

    deconv: Deconvolution
    hardware: Hardware
    objective: Objective
    partition: Partition | None
    method: str
    choice: Treatment
    shared: SharedResult | None
    parts: tuple[tuple[Result, int], ...]
    total: Price | None
    split_total: Price | None
    shared_total: Price | None
    lower_bound: LowerBound
    seconds: float
    relaxed: LowerBound | None = None

    def __repr__(self) -> str:
        name = self.deconv.name or "deconvolution"
        gap = "" if self.gap is None else f", gap {100 * self.gap:.2f} %"
        return f"<DeconvolutionResult {name}: {self.method}, {self.choice}, {self.solution_status}{gap}>"

    def __post_init__(self) -> None:
        chosen = self.shared_total if self.choice is Treatment.COMBINE else self.split_total
        faults = [] if self.total == chosen else [f"the total is not that of {self.choice}"]
        faults += exceeded(self.lower_bound.latency_cycles, self.latency_cycles, "latency_cycles")
        if self.objective.quantity is not LATENCY:
            faults += exceeded(
                self.lower_bound.of(self.objective.claim), self.objective_value, self.objective.claim
            )
        for fault in faults:
            raise ResultError(f"{self.deconv.name or 'deconvolution'}: {self.method}: {fault}")

    @property
    def latency_cycles(self) -> Fraction | None:
        """Latency of the choice."""
        return None if self.total is None else self.hardware.tick.cycles(self.total.latency)

    @property
    def traffic_bytes(self) -> Fraction | None:
        """Traffic of the choice."""
        return None if self.total is None else Fraction(self.total.traffic, 8)

    @property
    def energy_pj(self) -> Fraction | None:
        """Energy of the choice, zeros that are only written included [pJ]."""
        kernels = SubKernels(self.deconv)
        zeros, ticks = kernels.zero_bits(self.hardware), kernels.zero_ticks(self.hardware)
        machine = self.hardware
        found = [machine.quantum.told(machine.quantum.of(0, 0, zeros, ticks))]
        if self.choice is Treatment.COMBINE and self.shared is not None and self.shared.cost is not None:
            found.append(self.shared.cost.energy_pj(machine))
        elif self.total is not None:
            found += [count * r.cost.energy_pj(machine) for r, count in self.parts if r.cost is not None]
        return sum(found, Fraction(0)) if self.total is not None else None

    @property
    def termination(self) -> Termination:
        """``OPTIMAL`` if both ways are settled, else why one is not; ``INFEASIBLE`` if neither fits."""
        if self.total is None and not self._reasons - SETTLED:
            return Termination.INFEASIBLE
        return next(iter(sorted(self._reasons - SETTLED)), Termination.OPTIMAL)

    @property
    def _reasons(self) -> set[Termination]:
        results = [result for result, _ in self.parts]
        return {r.termination for r in (*results, self.shared) if r is not None}

    @property
    def bound_from(self) -> dict[str, str]:
        """What each step's bound rests on: of shared tiles and of the parts, ``+`` between."""
        found: dict[str, set[str]] = {}
        for result in (*(r for r, _ in self.parts), self.shared):
            for name, origin in result.bound_from.items() if result is not None else ():
                found.setdefault(name, set()).add(origin.value)
        return {name: "+".join(sorted(origins)) for name, origins in found.items()}

    @property
    def solution_status(self) -> SolutionStatus:
        """``OPTIMAL`` if both ways are proven."""
        if self.total is None:
            return SolutionStatus.NONE
        settled = all(proven(r) for r, _ in self.parts) and (self.shared is None or proven(self.shared))
        return SolutionStatus.OPTIMAL if settled else SolutionStatus.FEASIBLE

    @property
    def bound_scope(self) -> BoundScope:
        """Where the bound holds."""
        return BoundScope.MAP_SPACE if self.partition is None else BoundScope.PARTITION

    @property
    def objective_value(self) -> Fraction | None:
        """The objective's own quantity; None if it is a weighted sum and no sub-kernel has taps."""
        if self.total is None:
            return None
        quantity = self.objective.quantity
        if quantity is not None:
            measure = Measure.only(quantity)
            return measure.told(self.hardware, measure.exact(self.total))
        return None if self.shared is None else self.shared.problem.objective_value(self.total)

    @property
    def gap(self) -> float | None:
        """``(objective - bound) / objective`` of the objective's own quantity."""
        return relative_gap(self.objective_value, self.lower_bound.of(self.objective.claim))

    @property
    def latency_gap(self) -> float | None:
        """The same for latency."""
        return relative_gap(self.latency_cycles, self.lower_bound.latency_cycles)

    @property
    def kernels(self) -> tuple[KernelRow, ...]:
        """The sub-kernels, with their filters in each round where tiles are shared."""
        rounds: Rounds = ()
        if self.choice is Treatment.COMBINE and self.shared is not None and self.shared.mapping is not None:
            rounds = self.shared.mapping.rounds
        return kernel_rows(self.deconv, rounds)


def kernel_rows(deconv: Deconvolution, rounds: Rounds) -> tuple[KernelRow, ...]:
    """The sub-kernels of a deconvolution, with their filters in each round, () unless tiles are shared."""
    filters, rows = iter(rounds), []
    for sub in split(deconv):
        held = next(filters, ()) if sub.layer is not None else ()
        rows.append(KernelRow(sub.name, tuple(p.taps for p in sub.phases), sub.out, held))
    return tuple(rows)


#: The ends of a search that leave nothing open.
SETTLED = {Termination.OPTIMAL, Termination.INFEASIBLE}


def proven(result: Result | SharedResult) -> bool:
    """Whether the best mapping is known, or that there is none."""
    return result.solution_status is SolutionStatus.OPTIMAL or (
        result.solution_status is SolutionStatus.NONE and result.termination in SETTLED
    )
