"""Bounds on choices of one option for each layer that keep several limits at once: blends of the limits.

With ``e[k]`` what an option takes of limit k above the least of its layer, in parts of what the least of all
layers leave of it, a choice that keeps all limits has a sum of ``e[k]`` over its layers of 1 at most for each
k, and so has any blend of them with weights that add up to 1. Of the other layers the least of the blend
counts. Parts are floating point, so that what is over by less than ``_CLOSE`` stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formulation.extents import Ints

_CLOSE = 1e-9
_STEPS = 6  # a weight is a multiple of one over this


class Blends:
    """Blends of limits over the options of all layers.

    Args:
        figures: of each layer, what its options take of each limit, one array a limit.
        limits: of the sums over the layers.
    """

    def __init__(self, figures: Sequence[Sequence[Any]], limits: Sequence[int]) -> None:
        self.least = [[int(column.min()) for column in layer] for layer in figures]
        sums = [sum(column) for column in zip(*self.least, strict=True)]
        self.slack = [limit - total for limit, total in zip(limits, sums, strict=True)]
        self.weights = _weights(len(limits))
        self.blended = [self._parts(layer, least) for layer, least in zip(figures, self.least, strict=True)]
        self.index = [np.arange(len(values)) for values in self.blended]

    @classmethod
    def of(cls, options: Sequence[Any], limits: Sequence[tuple[str, int]]) -> Blends:
        """Of options that have each limit's figure by its name."""
        figures = [[getattr(each, name) for name, _ in limits] for each in options]
        return cls(figures, [limit for _, limit in limits])

    def _parts(self, columns: Sequence[Any], least: Sequence[int]) -> NDArray[np.float64]:
        """Blends of each option, options x weights."""
        above = [
            np.asarray(column - low, dtype=np.float64) / (slack or 0.5)  # of nothing left, one is too much
            for column, low, slack in zip(columns, least, self.slack, strict=True)
        ]
        return np.asarray(np.stack(above, axis=1) @ self.weights)

    def options(self) -> list[Ints] | None:
        """Of each layer those that may be in a choice that keeps all limits; None if none can."""
        if min(self.slack) < 0:
            return None
        for _ in range(2):
            lows = [values.min(axis=0) for values in self.blended]
            spare = 1 + _CLOSE - np.sum(lows, axis=0)
            if (spare < 0).any():
                return None
            for layer, low in enumerate(lows):
                near = np.flatnonzero((self.blended[layer] <= low + spare).all(axis=1))
                if not len(near):
                    return None
                self.blended[layer], self.index[layer] = self.blended[layer][near], self.index[layer][near]
        return self.index

    def picks(self) -> Ints:
        """A few choices, choices x layers: the option of each layer that is least in a blend."""
        best = [index[values.argmin(axis=0)] for values, index in zip(self.blended, self.index, strict=True)]
        return np.unique(np.stack(best, axis=1), axis=0)

    def within(self, place: int, sums: Sequence[Any]) -> NDArray[np.bool_]:
        """Where the layers after a place may be added to what those up to it take together."""
        least = [sum(column) for column in zip(*self.least[: place + 1], strict=True)]
        later = [values.min(axis=0) for values in self.blended[place + 1 :]]
        taken = self._parts(sums, least)
        return np.asarray((taken + np.sum(later, axis=0) <= 1 + _CLOSE).all(axis=1))


@lru_cache(maxsize=8)
def _weights(count: int) -> NDArray[np.float64]:
    """Weights of each blend, limits x blends."""
    every = (part for part in product(range(_STEPS + 1), repeat=count) if sum(part) == _STEPS)
    return np.array(list(every), dtype=np.float64).T / _STEPS
