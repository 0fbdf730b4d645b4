"""The points of one room that nothing beats, while they are being found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnns.layer import Layer
from formulation.extents import Ints
from formulation.hardware import Hardware, Rates
from formulation.pricing.objective import SUMS, TRAFFIC, Measure, Quantity
from formulation.pricing.price import Price
from formulation.pricing.wide_ticks import WideTicks
from formulation.problem import Kind, Objective, Problem

_CLOSE = 1e-12  # relative; what a sum in floating point may be off


class StoppedError(Exception):
    """A frontier is left as it is."""


class Stop:
    """When a frontier is to be left as it is: its points can be run, but better ones may be missing.

    Args:
        over: says that it is time; None for never.

    Attributes:
        stopped: whether anything was left undone.
    """

    def __init__(self, over: Callable[[], bool] | None = None) -> None:
        self._over, self.stopped = over, False

    def look(self, found: bool) -> None:
        """Raise StoppedError if it is time, and anything was found that can be run."""
        if found and self._over is not None and self._over():
            self.stopped = True
            raise StoppedError


@dataclass(frozen=True, slots=True)
class FrontPoints:
    """Points: what each takes [bits], its price, and the choice behind it."""

    need: Ints
    price: Price
    choice: Ints

    def __len__(self) -> int:
        return len(self.need)

    @staticmethod
    def none() -> FrontPoints:
        """No points."""
        empty = np.zeros(0, dtype=np.int64)
        return FrontPoints(empty, Price(empty, empty, empty), np.zeros((5, 0), dtype=np.int64))

    def take(self, index: Ints) -> FrontPoints:
        """The points at the given positions."""
        return FrontPoints(self.need[index], self.price.take(index), self.choice[:, index])

    def joined(self, other: FrontPoints) -> FrontPoints:
        """These and others."""
        if not len(self):
            return other
        price = Price(*(np.concatenate(pair) for pair in zip(self.price, other.price, strict=True)))
        choice = np.concatenate([self.choice, other.choice], axis=1)
        return FrontPoints(np.concatenate([self.need, other.need]), price, choice)

    def keys(self) -> list[tuple[int, int, int, int]]:
        """What each takes, its latency, traffic and energy (0 if not asked for), as Python's integers."""
        columns = (self.need, *self.price)
        return [(int(n), int(t), int(b), int(e)) for n, t, b, e in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class Pair:
    """Pairs of latency and another quantity that nothing beats in both.

    Attributes:
        other: that quantity.
    """

    other: Quantity = TRAFFIC

    def of(self, price: Price) -> Any:
        """The other quantity of many prices."""
        return Measure.only(self.other).of(price)


Sought = Kind | Measure | Pair
"""What points are wanted for: an objective of latency and traffic, the least of a measure, or pairs."""


def sought(objective: Objective, weights: Sequence[Fraction] = ()) -> Sought:
    """What the frontiers of a network are made for.

    Args:
        objective: of the network.
        weights: of a tick, a bit and a quantum in its weighted sum.
    """
    if objective.kind is Kind.WEIGHTED and objective.spends is not None:
        return Measure(Price(*weights))
    return measured(objective.kind)


def measured(kind: Sought) -> Sought:
    """The measure that a kind of objective is, if it sums what is done; else itself."""
    sums = (Measure.only(quantity) for quantity in SUMS if quantity.name == kind)
    return next(sums, kind)


def rates_of(kind: Sought | None, hardware: Hardware) -> Rates | None:
    """Of the quantity that points are summed by; None if by none."""
    if isinstance(kind, Measure):
        return kind.rates(hardware)
    return kind.other.rates(hardware) if isinstance(kind, Pair) and kind.other in SUMS else None


def posed(layer: Layer, hardware: Hardware, kind: Sought | None) -> Problem:
    """The layer as a problem whose mappings are priced with what is wanted of them."""
    wanted = kind.spends if isinstance(kind, Measure) else kind.other if isinstance(kind, Pair) else None
    if wanted not in SUMS:
        return Problem(layer, hardware)
    return Problem(layer, hardware, Objective(Kind(wanted.name)))


def compared(kind: Sought | None, price: Price) -> tuple[Any, ...]:
    """The quantities that points are compared by, exactly, the first of them first where one is wanted."""
    if isinstance(kind, Measure):
        return kind.whole(price), price.latency, price.traffic
    if isinstance(kind, Pair):
        return price.latency, kind.of(price)
    if kind is Kind.TRAFFIC:
        return price.traffic, price.latency
    return price.latency, price.traffic


class Front:
    """The points so far: latency ascending, traffic, or the other quantity of pairs, descending.

    Args:
        kind: if only the least latency, traffic (ties by the other), or a measure (ties by latency, then
            traffic) matters, which; the front is then a single point.
        most_latency: points above are of no interest [ticks]; None for no limit.
    """

    def __init__(self, kind: Sought | None = None, most_latency: int | None = None) -> None:
        kind = None if kind is None else measured(kind)
        single = isinstance(kind, Measure) or kind in (Kind.LATENCY, Kind.TRAFFIC)
        self.kind = kind if single else None
        self.pair = kind if isinstance(kind, Pair) else Pair()
        self.most_latency = most_latency
        self.found = FrontPoints.none()

    def __len__(self) -> int:
        return len(self.found)

    @property
    def need(self) -> Ints:
        """What each point takes [bits]."""
        return self.found.need

    def open(self, price: Price) -> NDArray[np.bool_]:
        """Where no point is at least as good in both quantities."""
        latency, known, mine = self.found.price.latency, self.pair.of(self.found.price), self.pair.of(price)
        if not len(self.found):
            free = np.ones(price.latency.shape, dtype=bool)
        elif (
            isinstance(self.kind, Measure) and self.kind.quantity is None
        ):  # rounded: what is close is entered
            least = float(self.kind.exact(self.found.price.one(0)))
            free = self.kind.of(price) <= least * (1 + _CLOSE)
        elif self.kind is not None:
            free, equal = np.zeros(price.latency.shape, dtype=bool), True
            for value, best in zip(
                compared(self.kind, price), compared(self.kind, self.found.price), strict=True
            ):
                free, equal = free | (equal & (value < best[0])), equal & (value == best[0])
        elif isinstance(price.latency, WideTicks):
            free = np.ones(price.latency.shape, dtype=bool)
            for i in range(len(latency)):
                free &= (price.latency < latency[i]) | (mine < known[i])
        else:
            at = np.searchsorted(latency, price.latency, side="right") - 1
            free = (at < 0) | (known[np.maximum(at, 0)] > mine)
        return free if self.most_latency is None else free & (price.latency <= self.most_latency)

    def latency_within(self, traffic: int) -> int | None:
        """The most latency of interest at so much traffic, where all else is as good as known or worse."""
        most = [] if self.most_latency is None else [self.most_latency]
        if self.kind is None and self.pair.other is TRAFFIC:
            near = np.flatnonzero(self.found.price.traffic <= traffic)
            most += [int(self.found.price.latency[int(i)]) - 1 for i in near[-1:]]
        elif self.kind is not None and len(self.found):
            most.append(int(self.found.price.latency[0]))
        return min(most, default=None)

    def add(self, price: Price, need: Ints, choice: Ints) -> None:
        """Enter mappings, and drop what they beat; of equals the least need stays, then the first."""
        new = np.flatnonzero(self.open(price))
        if len(new):
            self._keep(self.found.joined(FrontPoints(need[new], price.take(new), choice[:, new])))

    def shrink(self, room: int) -> None:
        """Drop what does not fit a smaller room."""
        self._keep(self.found.take(np.flatnonzero(self.need <= room)))

    def _keep(self, found: FrontPoints) -> None:
        ranked = compared(self.kind or self.pair, found.price)[::-1]
        order = np.lexsort((*found.choice[::-1], found.need, *ranked))
        if self.kind is not None:
            order = order[:1]
        elif len(order):
            other = self.pair.of(found.price)[order]
            order = order[np.r_[True, other[1:] < np.minimum.accumulate(other)[:-1]]]
        self.found = found.take(order)
