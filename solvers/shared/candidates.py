"""Candidates of the search over shared ifmap tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.pricing.price import Price
from formulation.shared.packing.rounds import Packing
from formulation.shared.packing.search import PackingProblem
from formulation.shared.packing_bounds import PackedBounds, narrowed_bounds
from formulation.shared.problem import SharedMapping
from formulation.shared.space import SharedSpace
from formulation.shared.tiles import Tiles
from solvers.goals import Found, Goal

_ROOMS = 8  # that are tried to settle a packing

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
        ports: bits between buffer and array without, and at least with a split pass; None where energy is not
            asked for.
    """

    keys: tuple[Any, ...]
    choice: tuple[int, int, int, int]
    tile: Tiles
    bounds: tuple[int, int]
    most: tuple[int, int]
    target: tuple[int, int]
    traffic: int
    setup: int = 0
    ports: tuple[int, int] | None = None


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
    setup: Any = 0

    def candidate(self, i: int) -> Candidate:
        """One of them."""
        most, target, ports = self.bounds.most, self.bounds.target, self.bounds.ports
        return Candidate(
            tuple(k[i] for k in self.keys),
            (self.which, int(self.rounds[i]), int(self.ci[i]), int(self.tiles.table.rank[i])),
            self.tiles.take(slice(i, i + 1)),
            (int(self.bounds.whole[i]), int(self.bounds.split[i])),
            (int(most[0][i]), int(most[1][i])),
            (int(target[0][i]), int(target[1][i])),
            int(self.traffic[i]),
            int(np.broadcast_to(self.setup, self.traffic.shape)[i]),
            None if ports is None else (int(ports[0][i]), int(ports[1][i])),
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


def transfer_ticks(space: SharedSpace, candidate: Candidate) -> int:
    """What latency is no less than, by its transfers alone; 0 where these and computation are added."""
    double = space.hardware.double_buffered
    return int(space.latency(0, candidate.traffic, candidate.setup)) if double else 0


def posed_packing(
    space: SharedSpace, goal: Goal, candidate: Candidate, packing: PackingProblem
) -> tuple[PackingProblem, int, int]:
    """The packing problem of a goal, a bound on its price, and one on that of packings that split a pass.

    Latency alone tells packings of equal traffic apart unless the goal asks for energy.

    Args:
        space: the map space.
        goal: what to minimise.
        candidate: the choices but for the packing.
        packing: the packing problem of the array's time.
    """
    measure, transfer = goal.measures[0], transfer_ticks(space, candidate)
    whole, split = candidate.bounds
    if space.energy is None or candidate.ports is None or not measure.weights.spent:
        return packing, max(min(whole, split), transfer) - packing.fixed, split - packing.fixed
    posed, bit, tick = space.energy.spending(packing, measure, transfer)
    assert posed.idle_cost is not None
    fewest = packing.items.least_passes * sum(posed.idle_cost)
    more = bit * (candidate.ports[1] - candidate.ports[0])
    whole, split = (tick * (max(ticks, transfer) - packing.fixed) for ticks in (whole, split))
    return posed, fewest + min(whole, split + more), fewest + split + more


@dataclass(frozen=True, slots=True)
class Settling:
    """What settles a packing.

    Attributes:
        least: a bound on its price.
        split: one on that of packings that split a pass.
        rooms: P and Q of the fullest round to be tried, the most promising first.
    """

    least: int
    split: int
    rooms: tuple[tuple[int, int], ...] = ()


def settling(
    space: SharedSpace, goal: Goal, candidate: Candidate, packing: PackingProblem, spills: bool = False
) -> Settling:
    """The bounds of ``posed_packing`` from what each largest round may hold, where these are few.

    Arguments as of ``posed_packing``; ``spills`` as of ``SharedSpace.edge``.
    """
    _, rounds, ci, _ = candidate.choice
    found = []
    for one in narrowed_bounds(space, candidate.tile, ci, rounds, spills):
        ports = None if candidate.ports is None or one.ports is None else (candidate.ports[0], one.ports)
        bounded = replace(candidate, bounds=(candidate.bounds[0], one.split), ports=ports)
        _, least, split = posed_packing(space, goal, bounded, packing)
        found.append((least, split, one.most))
    if not found:
        return Settling(*posed_packing(space, goal, candidate, packing)[1:])
    rooms = tuple(most for _, _, most in sorted(found)[:_ROOMS])
    return Settling(min(least for least, _, _ in found), min(split for _, split, _ in found), rooms)


def packed_price(space: SharedSpace, candidate: Candidate, packing: PackingProblem, found: Packing) -> Price:
    """The price of a candidate with its filters packed.

    Args:
        space: the map space.
        candidate: the choices but for the packing.
        packing: the packing problem of the array's time.
        found: a packing.
    """
    array = packing.price(found) + packing.fixed
    latency = int(space.latency(array, candidate.traffic, candidate.setup))
    ports = candidate.ports and space.energy and space.energy.packed_bits(candidate.ports[0], found.passes)
    return space.price(latency, candidate.traffic, ports)
