"""The points of one room that nothing beats, while they are being found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formulation.extents import Ints
from formulation.price import Price
from formulation.problem import Kind
from formulation.wide_ticks import WideTicks


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

    def keys(self) -> list[tuple[int, int, int]]:
        """What each takes, its latency and its traffic, as Python's integers."""
        columns = (self.need, self.price.latency, self.price.traffic)
        return [(int(n), int(t), int(b)) for n, t, b in zip(*columns, strict=True)]


def compared(kind: Kind | None, price: Price) -> tuple[Any, Any]:
    """The quantities that points are compared by, the first of them first where one kind matters."""
    if kind is Kind.ENERGY:
        return price.energy, price.latency
    if kind is Kind.TRAFFIC:
        return price.traffic, price.latency
    return price.latency, price.traffic


class Front:
    """The points so far: latency ascending, traffic descending.

    Args:
        kind: if only the least latency, traffic (ties by the other) or energy (ties by the latency) matters,
            which; the front is then a single point.
        most_latency: points above are of no interest [ticks]; None for no limit.
    """

    def __init__(self, kind: Kind | None = None, most_latency: int | None = None) -> None:
        self.kind = kind if kind in (Kind.LATENCY, Kind.TRAFFIC, Kind.ENERGY) else None
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
        latency, traffic = self.found.price.latency, self.found.price.traffic
        if not len(self.found):
            free = np.ones(price.latency.shape, dtype=bool)
        elif self.kind is not None:
            (first, second), (one, other) = compared(self.kind, price), compared(self.kind, self.found.price)
            free = first < one[0]
            free |= (first == one[0]) & (second < other[0])
        elif isinstance(price.latency, WideTicks):
            free = np.ones(price.latency.shape, dtype=bool)
            for i in range(len(latency)):
                free &= (price.latency < latency[i]) | (price.traffic < traffic[i])
        else:
            at = np.searchsorted(latency, price.latency, side="right") - 1
            free = (at < 0) | (traffic[np.maximum(at, 0)] > price.traffic)
        return free if self.most_latency is None else free & (price.latency <= self.most_latency)

    def add(self, price: Price, need: Ints, choice: Ints) -> None:
        """Enter mappings, and drop what they beat; of equals the least need stays, then the first."""
        new = np.flatnonzero(self.open(price))
        if len(new):
            self._keep(self.found.joined(FrontPoints(need[new], price.take(new), choice[:, new])))

    def shrink(self, room: int) -> None:
        """Drop what does not fit a smaller room."""
        self._keep(self.found.take(np.flatnonzero(self.need <= room)))

    def _keep(self, found: FrontPoints) -> None:
        first, second = compared(self.kind, found.price)
        order = np.lexsort((*found.choice[::-1], found.need, second, first))
        if self.kind is not None:
            order = order[:1]
        elif len(order):
            traffic = found.price.traffic[order]
            order = order[np.r_[True, traffic[1:] < np.minimum.accumulate(traffic)[:-1]]]
        self.found = found.take(order)
