"""What is minimised: the quantities of a mapping, measures of them, and the steps of each objective.

The only place that knows the kinds of objectives. A method asks an objective, or the problem that poses it,
for its ``steps``: each says what is minimised, in which order ties are broken, whether the latency that the
step before has found caps it, and, by its first measure, which bound is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import floor, lcm

import numpy as np

from dnns.layer import Operator
from formulation.bounds import compulsory_bits, least_energy_quanta, roofline_ticks
from formulation.cost import Num
from formulation.hardware import Hardware
from formulation.price import Price

#: Comparisons with a latency cap allow this relative excess.
CAP_TOLERANCE = Fraction(1, 10**12)
SCORE = "score"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity of a mapping: a field of ``Price``.

    Attributes:
        name: of the field.
        unit: that results are told in.
        per_unit: what the field counts, of one such unit.
        least: what no mapping of a layer can beat, in what the field counts.
    """

    name: str
    unit: str
    per_unit: Callable[[Hardware], int]
    least: Callable[[Operator, Hardware], Fraction | int]

    @property
    def key(self) -> str:
        """Under which results and bounds have it."""
        return f"{self.name}_{self.unit}"


LATENCY = Quantity("latency", "cycles", lambda hardware: hardware.tick.per_cycle, roofline_ticks)
TRAFFIC = Quantity("traffic", "bytes", lambda hardware: 8, compulsory_bits)
ENERGY = Quantity("energy", "pj", lambda hardware: hardware.quantum.per_unit, least_energy_quanta)
#: In the order of the fields of ``Price``.
QUANTITIES = (LATENCY, TRAFFIC, ENERGY)


@dataclass(frozen=True, slots=True)
class Measure:
    """What mappings are compared by: a quantity, or a weighted sum of quantities.

    Attributes:
        weights: of one unit of each field of ``Price``.
        quantity: the one that it is; None if it is a sum.
    """

    weights: Price
    quantity: Quantity | None = None

    @classmethod
    def only(cls, quantity: Quantity) -> Measure:
        """One quantity by itself."""
        return cls(Price(*(int(other is quantity) for other in QUANTITIES)), quantity)

    @property
    def name(self) -> str:
        """Of the quantity, or ``score``."""
        return SCORE if self.quantity is None else self.quantity.name

    @property
    def claim(self) -> str:
        """The bound that a search for its least proves: a key of ``LowerBound``."""
        return SCORE if self.quantity is None else self.quantity.key

    def of(self, price: Price) -> Num:
        """Of many prices: integers, or for a weighted sum floating-point numbers, rounded."""
        if self.quantity is not None:
            return price[QUANTITIES.index(self.quantity)]
        terms = [v.astype(np.float64) * float(w) for v, w in zip(price, self.weights, strict=True) if w]
        return sum(terms[1:], terms[0])

    def whole(self, price: Price) -> Num:
        """Of many prices, exactly: an integer multiple, the same for all of them."""
        if self.quantity is not None:
            return self.of(price)
        scale = lcm(*(weight.denominator for weight in self.weights))
        pairs = zip(price, self.weights, strict=True)
        return sum(v.astype(object) * int(w * scale) for v, w in pairs if w)

    def exact(self, price: Price) -> Fraction | int:
        """Of one price, exactly."""
        terms = (weight * value for weight, value in zip(self.weights, price, strict=True))
        total: Fraction | int = sum(terms) if self.quantity is None else self.of(price)
        return total

    def told(self, hardware: Hardware, value: Fraction | int) -> Fraction:
        """A value in the unit that results are told in: cycles, bytes; a score as it is."""
        return Fraction(value, 1 if self.quantity is None else self.quantity.per_unit(hardware))


@dataclass(frozen=True, slots=True)
class Step:
    """One minimisation that an objective asks for.

    Attributes:
        measures: what is minimised, the most important first; the others break ties.
        capped: whether the latency that the step before has found caps it, by ``Objective.cap``.
    """

    measures: tuple[Measure, ...]
    capped: bool = False

    @classmethod
    def of(cls, *quantities: Quantity, capped: bool = False) -> Step:
        """The least of the first quantity, ties broken by the others."""
        return cls(tuple(map(Measure.only, quantities)), capped)


class Kind(StrEnum):
    """What is minimised."""

    LATENCY = "latency"
    TRAFFIC = "traffic"
    BALANCED = "balanced"
    ENERGY = "energy"
    WEIGHTED = "weighted"


_STEPS = {
    Kind.LATENCY: (Step.of(LATENCY, TRAFFIC),),
    Kind.TRAFFIC: (Step.of(TRAFFIC, LATENCY),),
    Kind.ENERGY: (Step.of(ENERGY, LATENCY, TRAFFIC),),
    Kind.BALANCED: (Step.of(LATENCY, TRAFFIC), Step.of(TRAFFIC, LATENCY, capped=True)),
}


@dataclass(frozen=True, slots=True)
class Objective:
    """The objective.

    ``latency`` and ``traffic`` minimise one and break ties by the other, ``energy`` by latency, then traffic.
    ``balanced`` finds the least latency L*, then the least traffic among mappings with latency at most
    ``(1 + tolerance) * L*``, then the least latency. ``weighted`` minimises ``latency_weight * latency /
    roofline + traffic_weight * traffic / compulsory + energy_weight * energy / least energy``, ties by
    latency, then traffic.

    Raises:
        ValueError: if the tolerance or a weight is negative, or all weights are zero.
    """

    kind: Kind = Kind.BALANCED
    tolerance: Fraction = Fraction(1, 100)
    latency_weight: Fraction = Fraction(1, 2)
    traffic_weight: Fraction = Fraction(1, 2)
    energy_weight: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if self.tolerance < 0:
            raise ValueError(f"tolerance is {self.tolerance}, must be at least 0")
        weights = self.weights
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError("the weights must be at least 0, and one of them above 0")

    def __hash__(self) -> int:
        """Of what most objectives differ in; a fraction takes long to hash."""
        return hash((self.kind, self.tolerance.as_integer_ratio()))

    @property
    def weights(self) -> Price:
        """Of the weighted sum, each of a quantity over the least of it that any mapping takes."""
        return Price(self.latency_weight, self.traffic_weight, self.energy_weight)

    def cap(self, latency_ticks: int | Fraction) -> int:
        """The largest latency within the tolerance of the given one [ticks]."""
        return floor(self.loosened(latency_ticks))

    def loosened(self, latency: int | Fraction) -> Fraction:
        """A latency, in any unit, and the tolerance on top of it."""
        return latency * (1 + self.tolerance) * (1 + CAP_TOLERANCE)

    def needs(self, quantity: Quantity) -> bool:
        """Whether a quantity is minimised or capped, ties aside."""
        if self.kind is Kind.WEIGHTED:
            return bool(self.weights[QUANTITIES.index(quantity)])
        return any(quantity is step.measures[0].quantity for step in _STEPS[self.kind])

    def steps(self, least: Callable[[], Price]) -> tuple[Step, ...]:
        """What is minimised in turn.

        Args:
            least: what no mapping can beat, per quantity: the units of the weighted sum.
        """
        if self.kind is not Kind.WEIGHTED:
            return _STEPS[self.kind]
        weights = Price(*(weight / low for weight, low in zip(self.weights, least(), strict=True)))
        return (Step((Measure(weights), Measure.only(LATENCY), Measure.only(TRAFFIC))),)

    @property
    def capped(self) -> bool:
        """Whether latency has a cap, over the least latency."""
        return self.kind is Kind.BALANCED

    @property
    def quantity(self) -> Quantity | None:
        """The quantity that the last step minimises; None for a weighted sum."""
        return None if self.kind is Kind.WEIGHTED else _STEPS[self.kind][-1].measures[0].quantity

    @property
    def claim(self) -> str:
        """The bound on what the last step minimises: a key of ``LowerBound``."""
        return SCORE if self.quantity is None else self.quantity.key

    @property
    def title(self) -> str:
        """What is minimised, in words."""
        if self.capped:
            return f"least traffic within {100 * float(self.tolerance):.3g} % of the least latency"
        return self.kind.value


def least_price(operator: Operator, hardware: Hardware) -> Price:
    """What no mapping of a layer can beat, quantity by quantity."""
    return Price(*(quantity.least(operator, hardware) for quantity in QUANTITIES))
