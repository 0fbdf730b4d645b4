"""A sum of latency and what is spent, as the packing programs have it, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor, lcm

from formulation.pricing.objective import Measure
from formulation.shared.milp import Spending
from formulation.shared.space import SharedSpace
from solvers.shared.candidates import Candidate, transfer_ticks


@dataclass(frozen=True, slots=True)
class Spent:
    """What the candidates of one program spend.

    Attributes:
        spending: in whole numbers, with what is spent on passes and latency.
        scale: of them to the measure.
        rest: of the measure, what all candidates have in common.
    """

    spending: Spending
    scale: int
    rest: Fraction | int

    @classmethod
    def of(cls, space: SharedSpace, measure: Measure, members: Sequence[Candidate]) -> Spent:
        """Of candidates of equal traffic and set-ups.

        The latency of a program is that of the array where transfers are added to it: the rest has these.
        """
        energy, traffic = space.energy, members[0].traffic
        assert energy is not None
        each = energy.rates
        latency, _, weight = measure.weights
        scale = lcm(latency.denominator, weight.denominator)
        bit, rate = int(scale * weight * each.port), int(scale * (latency + weight * each.tick))
        reads = [energy.read_bits[energy.of[j]] for j in range(len(space.kernels.layers))]
        fewest = energy.passes * sum(reads)
        base = tuple(bit * (c.ports[0] - fewest) for c in members if c.ports is not None)
        added = 0 if space.hardware.double_buffered else int(space.latency(0, traffic, members[0].setup))
        rest = measure.exact(space.price(added, traffic, 0))
        transfer, bound = transfer_ticks(space, members[0]), []
        for c in members:
            assert c.ports is not None
            ways = zip(c.ports, c.bounds, strict=True)
            bound.append(min(bit * ports + rate * max(ticks, transfer) for ports, ticks in ways))
        return cls(Spending(base, tuple(bit * r for r in reads), rate, tuple(bound)), scale, rest)

    def first(self, spent: int) -> Fraction | int:
        """The measure of what is spent."""
        return Fraction(spent, self.scale) + self.rest

    def up_to(self, value: Fraction | int) -> Spent:
        """The same, latency being minimised up to a value of the measure."""
        return replace(self, spending=replace(self.spending, most=floor((value - self.rest) * self.scale)))
