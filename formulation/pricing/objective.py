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
from formulation.bounds import compulsory_bits, least_spent, roofline_ticks
from formulation.cost import Num
from formulation.hardware import Hardware, Rates
from formulation.pricing.price import Price

#: Comparisons with a latency cap allow this relative excess.
CAP_TOLERANCE = Fraction(1, 10**12)
SCORE = "score"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity of a mapping: a linear form of what the mapping does.

    Attributes:
        name: of the quantity, and of the objective that minimises it.
        unit: that results are told in.
        rates: what it takes of each thing that is done.
    """

    name: str
    unit: str
    rates: Callable[[Hardware], Rates]

    @property
    def key(self) -> str:
        """Under which results and bounds have it."""
        return f"{self.name}_{self.unit}"

    def per_unit(self, hardware: Hardware) -> int:
        """Of what ``Price`` counts, in one unit that results are told in."""
        return self.rates(hardware).per_unit

    def __reduce__(self) -> tuple[Callable[[str], Quantity], tuple[str]]:
        """The same one in another process: there is one of each name."""
        return quantity_named, (self.name,)


LATENCY = Quantity("latency", "cycles", lambda hardware: Rates(hardware.tick.per_cycle, 0, 0, 0, 1))
TRAFFIC = Quantity("traffic", "bytes", lambda hardware: Rates(8, 0, 0, 1, 0))
ENERGY = Quantity("energy", "pj", lambda hardware: hardware.quantum)
#: Quantities that sum up what is done. An objective asks for one of them at most: ``Price.spent``.
SUMS = (ENERGY,)
QUANTITIES = (LATENCY, TRAFFIC, *SUMS)


def quantity_named(name: str) -> Quantity:
    """The quantity of a name."""
    return next(quantity for quantity in QUANTITIES if quantity.name == name)


@dataclass(frozen=True, slots=True)
class Measure:
    """What mappings are compared by: a quantity, or a weighted sum of quantities.

    Attributes:
        weights: of one unit of each field of ``Price``.
        quantity: the one that it is; None if it is a sum.
        spends: whose ``Price.spent`` is.
    """

    weights: Price
    quantity: Quantity | None = None
    spends: Quantity = ENERGY

    @classmethod
    def only(cls, quantity: Quantity) -> Measure:
        """One quantity by itself."""
        weights = Price(int(quantity is LATENCY), int(quantity is TRAFFIC), int(quantity in SUMS))
        return cls(weights, quantity, quantity if quantity in SUMS else ENERGY)

    @property
    def quantities(self) -> tuple[Quantity, Quantity, Quantity]:
        """What the fields of ``Price`` are."""
        return LATENCY, TRAFFIC, self.spends

    def rates(self, hardware: Hardware) -> Rates | None:
        """Of what is spent; None if that has no weight."""
        return self.spends.rates(hardware) if self.weights.spent else None

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
            return price[self.weights.index(1)]
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
    """What is minimised: a quantity, or what is made of some."""

    LATENCY = "latency"
    TRAFFIC = "traffic"
    BALANCED = "balanced"
    ENERGY = "energy"
    WEIGHTED = "weighted"


_STEPS = {
    Kind.LATENCY: (Step.of(LATENCY, TRAFFIC),),
    Kind.TRAFFIC: (Step.of(TRAFFIC, LATENCY),),
    Kind.BALANCED: (Step.of(LATENCY, TRAFFIC), Step.of(TRAFFIC, LATENCY, capped=True)),
    **{Kind(quantity.name): (Step.of(quantity, LATENCY, TRAFFIC),) for quantity in SUMS},
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

    @property
    def spends(self) -> Quantity | None:
        """The quantity of ``Price.spent``; None where none is summed."""
        if self.kind is Kind.WEIGHTED:
            return ENERGY if self.energy_weight else None
        first = _STEPS[self.kind][0].measures[0]
        return first.spends if first.weights.spent else None

    def rates(self, hardware: Hardware) -> Rates | None:
        """Of the quantity that it sums; None if it sums none."""
        return None if self.spends is None else self.spends.rates(hardware)

    @property
    def quantities(self) -> tuple[Quantity, Quantity, Quantity]:
        """What the fields of ``Price`` are."""
        return LATENCY, TRAFFIC, self.spends or ENERGY

    def needs(self, quantity: Quantity) -> bool:
        """Whether a quantity is minimised or capped, ties aside."""
        if self.kind is Kind.WEIGHTED:
            return any(q is quantity and w for q, w in zip(self.quantities, self.weights, strict=True))
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


def least_price(operator: Operator, hardware: Hardware, spends: Quantity | None = None) -> Price:
    """What no mapping of a layer can beat, quantity by quantity; ``spends`` is that of ``Price.spent``."""
    spent = least_spent(operator, hardware, (spends or ENERGY).rates(hardware))
    return Price(roofline_ticks(operator, hardware), compulsory_bits(operator, hardware), spent)
