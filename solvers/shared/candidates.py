"""Candidates of the search over shared ifmap tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.shared.packing_bounds import PackedBounds
from formulation.shared.problem import SharedMapping
from formulation.shared.tiles import Tiles
from solvers.goals import Found

SharedFound = Found[SharedMapping]
"""The best mapping with shared ifmap tiles so far."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Choices but for the packing.

    Attributes:
        keys: bounds on the goal's quantities.
        choice: class, rounds, position of the input-channel tile, rank of the tile.
        tile: the tile.
        bounds: of the packing: without, with a split pass [ticks].
        most: P and Q that might fit.
        target: P and Q that packings without a split pass might have.
        traffic: in bits.
        setup: of the transfers [cycles].
    """

    keys: tuple[Any, ...]
    choice: tuple[int, int, int, int]
    tile: Tiles
    bounds: tuple[int, int]
    most: tuple[int, int]
    target: tuple[int, int]
    traffic: int
    setup: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Candidates of one loop order, as arrays."""

    which: int
    tiles: Tiles
    ci: Ints
    rounds: Ints
    keys: tuple[Any, ...]
    bounds: PackedBounds
    traffic: Any
    setup: Any

    def candidate(self, i: int) -> Candidate:
        """One of them."""
        most, target = self.bounds.most, self.bounds.target
        return Candidate(
            tuple(k[i] for k in self.keys),
            (self.which, int(self.rounds[i]), int(self.ci[i]), int(self.tiles.table.rank[i])),
            self.tiles.take(slice(i, i + 1)),
            (int(self.bounds.whole[i]), int(self.bounds.split[i])),
            (int(most[0][i]), int(most[1][i])),
            (int(target[0][i]), int(target[1][i])),
            int(self.traffic[i]),
            int(np.broadcast_to(self.setup, self.traffic.shape)[i]),
        )


def in_order(batches: list[Batch]) -> Iterable[Candidate]:
    """All candidates in ascending order of their bounds, then of what breaks ties."""
    if not batches:
        return
    sizes = [len(b.ci) for b in batches]
    batch = np.repeat(np.arange(len(batches)), sizes)
    place = np.concatenate([np.arange(n) for n in sizes])
    keys = [np.concatenate(column) for column in zip(*(b.keys for b in batches), strict=True)]
    choice = [
        np.repeat([b.which for b in batches], sizes),
        np.concatenate([b.rounds for b in batches]),
        np.concatenate([b.ci for b in batches]),
        np.concatenate([b.tiles.table.rank for b in batches]),
    ]
    for i in np.lexsort((*choice[::-1], *keys[::-1])):
        yield batches[batch[i]].candidate(int(place[i]))
