"""The points of one room that nothing beats, while they are being found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from formulation.extents import Ints
from formulation.price import Price
from formulation.problem import Kind
from formulation.wide_ticks import WideTicks


class Front:
    """The points so far: latency ascending, traffic descending.

    Args:
        kind: if only the least latency or the least traffic matters (ties by the other), which; the front
            is then a single point.
        most_latency: points above are of no interest [ticks]; None for no limit.
    """

    def __init__(self, kind: Kind | None = None, most_latency: int | None = None) -> None:
        self.kind = kind if kind in (Kind.LATENCY, Kind.TRAFFIC) else None
        self.most_latency = most_latency
        none = np.zeros(0, dtype=np.int64)
        self.latency: Any = none
        self.traffic, self.need = none, none
        self.choice = np.zeros((5, 0), dtype=np.int64)

    def open(self, price: Price) -> NDArray[np.bool_]:
        """Where no point is at least as good in both quantities."""
        if not len(self.latency):
            free = np.ones(price.latency.shape, dtype=bool)
        elif self.kind is Kind.LATENCY:
            free = price.latency < self.latency[0]
            free |= (price.latency == self.latency[0]) & (price.traffic < self.traffic[0])
        elif self.kind is Kind.TRAFFIC:
            free = price.traffic < self.traffic[0]
            free |= (price.traffic == self.traffic[0]) & (price.latency < self.latency[0])
        elif isinstance(price.latency, WideTicks):
            free = np.ones(price.latency.shape, dtype=bool)
            for i in range(len(self.latency)):
                free &= (price.latency < self.latency[i]) | (price.traffic < self.traffic[i])
        else:
            at = np.searchsorted(self.latency, price.latency, side="right") - 1
            free = (at < 0) | (self.traffic[np.maximum(at, 0)] > price.traffic)
        return free if self.most_latency is None else free & (price.latency <= self.most_latency)

    def add(self, price: Price, need: Ints, choice: Ints) -> None:
        """Enter mappings, and drop what they beat; of equals the least need stays, then the first."""
        new = np.flatnonzero(self.open(price))
        if len(new):
            known = [self.latency] if len(self.latency) else []
            self._keep(
                np.concatenate([*known, price.latency[new]]),
                np.concatenate([self.traffic, price.traffic[new]]),
                np.concatenate([self.need, need[new]]),
                np.concatenate([self.choice, choice[:, new]], axis=1),
            )

    def shrink(self, room: int) -> None:
        """Drop what does not fit a smaller room."""
        fits = self.need <= room
        self._keep(self.latency[fits], self.traffic[fits], self.need[fits], self.choice[:, fits])

    def _keep(self, latency: Any, traffic: Ints, need: Ints, choice: Ints) -> None:
        first, second = (traffic, latency) if self.kind is Kind.TRAFFIC else (latency, traffic)
        order = np.lexsort((*choice[::-1], need, second, first))
        if self.kind is not None:
            order = order[:1]
        else:
            least = np.minimum.accumulate(traffic[order])
            order = order[np.r_[True, traffic[order][1:] < least[:-1]]] if len(order) else order
        self.latency, self.traffic, self.need = latency[order], traffic[order], need[order]
        self.choice = choice[:, order]
