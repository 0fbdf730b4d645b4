"""The capacity-cost frontier of a deconvolution whose sub-convolutions share ifmap tiles.

Where one quantity, or a sum, is wanted, each room's best is found as for a layer by itself
(``solvers.shared.search``). Where latency and traffic are, the front so far is in the place of the incumbent:
what no known point beats in both is packed for the least latency, for a choice's traffic does not depend on
its packing. Rooms are taken in descending order, those left out for which the front of the one before holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np

from dnns.layer import Deconvolution
from formulation.cost import footprint
from formulation.hardware import Hardware
from formulation.network.frontiers.deconvolution import ZerosWay, shares
from formulation.network.frontiers.front import Front, Sought, Stop, rates_of
from formulation.network.frontiers.frontier import Point, filled_rooms, in_turn
from formulation.network.movement import MovedCost, Movement
from formulation.network.sharing import MovedSharedSpace, SharedWay
from formulation.pricing.objective import LATENCY, TRAFFIC, Measure, Step
from formulation.pricing.price import Price
from formulation.problem import Kind, Objective
from formulation.shared.packing.search import NODES
from formulation.shared.packing_bounds import least_held, narrowed_bounds
from formulation.shared.problem import SharedMapping, SharedProblem
from formulation.shared.tiles import Tiles
from formulation.space.space import CLASSES
from solvers.goals import Found, Goal, safe
from solvers.shared.candidates import Batch, Candidate
from solvers.shared.search import SharedSearch

_FASTEST = Goal(Step.of(LATENCY, TRAFFIC).measures)


class SharedFrontiers:
    """The frontiers of one deconvolution.

    Args:
        deconv: the deconvolution; some sub-convolution has taps.
        hardware: the machine.
        kind: as of ``Front``.
        stop: is told if better points may be missing of which nothing is known.
        deadline: when to leave it, by ``time.monotonic``; None for never.

    Attributes:
        beside: bounds on packings that are not proven and may be better than the points.
    """

    def __init__(
        self,
        deconv: Deconvolution,
        hardware: Hardware,
        kind: Sought | None,
        stop: Stop,
        deadline: float | None,
    ) -> None:
        self.hardware, self.kind, self.stop, self.deadline = hardware, kind, stop, deadline
        self.beside: list[Point] = []
        self.problem = SharedProblem(deconv, hardware, Objective(_posed(kind)))

    def points(self, movement: Movement, rooms: Sequence[int] | None, base: int) -> list[Point]:
        """The points of the fronts of all rooms, each once.

        Args:
            movement: of the whole deconvolution.
            rooms: as of ``frontier``.
            base: bits that are taken throughout.
        """
        every = shares(self.problem.deconv, movement)
        own = [moved for layer, moved in every if layer is not None]
        zeros = [ZerosWay(moved) for layer, moved in every if layer is None]
        written, read = sum(moved.written for moved in own), sum(moved.read for moved in own)
        space = MovedSharedSpace(self.problem, replace(movement, written=written, read=read))
        front = Front(self.kind)
        search = (PairSearch if front.kind is None else MovedSearch)(space, front, self.deadline)
        found: dict[SharedWay, Point] = {}
        for room in filled_rooms(front, rooms, space.free):
            space.free = room
            self.stop.stopped |= not search.fill()
            for way in search.ways:
                found.setdefault(way, self._point((way, *zeros), base))
            for need, price in search.bounds():
                costs = [zero.cost(self.hardware) for zero in zeros]
                aside = (
                    sum(c.latency for c in costs),
                    sum(c.traffic for c in costs),
                    sum(map(self._spent, costs)),
                )
                total = [have + more for have, more in zip(price, aside, strict=True)]
                self.beside.append(Point(base + need, total[0], total[1], (), base, total[2]))
        return list(found.values())

    def _point(self, ways: tuple[SharedWay | ZerosWay, ...], base: int) -> Point:
        cost = in_turn(ways, base, self.hardware)
        return Point(cost.need, cost.latency, cost.traffic, ways, base, self._spent(cost))

    def _spent(self, cost: MovedCost) -> int:
        """What is summed of a cost; 0 if nothing is."""
        rates = rates_of(self.kind, self.hardware)
        return 0 if rates is None else cost.spent(rates)


def _posed(kind: Sought | None) -> Kind:
    """The objective under which what is wanted is priced."""
    return Kind(kind.spends.name) if isinstance(kind, Measure) else Kind.BALANCED


class MovedSearch(SharedSearch):
    """One space beside a movement, searched for the best of each of its rooms.

    Args:
        space: the map space; its room may change from one front to the next.
        front: what is known; of what kind it is says what is searched for.
        deadline: as of ``SharedSearch``.
    """

    space: MovedSharedSpace

    def __init__(self, space: MovedSharedSpace, front: Front, deadline: float | None) -> None:
        super().__init__(space, deadline)
        self.front, self._ways = front, list[SharedWay]()
        self._undecided: list[Candidate] = []

    def fill(self) -> bool:
        """Find the front of the space's room; False if there was no time to look at all of it."""
        self.front.shrink(self.space.free)
        outcome = self.minimise(_goal(self.front.kind))
        if outcome.found is not None:
            self._enter(outcome.found.mapping, outcome.found.price)
        return not self._late

    @property
    def _late(self) -> bool:
        return self.deadline is not None and monotonic() > self.deadline

    def bounds(self) -> Iterator[tuple[int, Price]]:
        """What packings that are not proven take and cost at least."""
        space = self.space
        for candidate in self._undecided:
            _, rounds, ci, _ = candidate.choice
            held = least_held(space, candidate.tile, ci, rounds)
            need = footprint(space.hardware, space.parts(held))
            whole, split = candidate.bounds
            narrowed = narrowed_bounds(space, candidate.tile, ci, rounds, self._spills(candidate))
            ticks = min(whole, min((one.split for one in narrowed), default=split))
            latency = int(space.latency(ticks, candidate.traffic, candidate.setup))
            ports = None if candidate.ports is None else min(candidate.ports)
            yield int(need.total), space.price(latency, candidate.traffic, ports)

    def _settle(self, goal: Goal) -> Any:
        self._undecided = []
        for candidate in sorted(self.open, key=lambda c: (c.keys, c.choice)):
            if self._better(candidate.keys, candidate.choice):
                nodes = 0 if self._late else min(NODES, self.spare_nodes)
                if nodes <= 0 or not self._pack(goal, candidate, nodes=nodes):
                    self._undecided.append(candidate)
        self._undecided = [c for c in self._undecided if self._better(c.keys, c.choice)]
        return min((safe(c.keys[0]) for c in self._undecided), default=None)

    @property
    def ways(self) -> list[SharedWay]:
        """How the front's points are run."""
        return [self._ways[place] for place in self.front.found.choice[0].tolist()]

    def _enter(self, mapping: SharedMapping, price: Price) -> None:
        """Let the front have a mapping."""
        way = SharedWay(self.space.problem.deconv, self.space.movement, mapping)
        choice = np.zeros((5, 1), dtype=np.int64)
        choice[0] = len(self._ways)
        self._ways.append(way)
        latency = np.array([price.latency], dtype=object if self.space.wide else np.int64)
        columns = latency, np.array([price.traffic]), np.array([price.spent])
        self.front.add(Price(*columns), np.array([way.cost(self.space.hardware).need]), choice)

    def _spills(self, candidate: Candidate) -> bool:
        which, rounds, ci, _ = candidate.choice
        trips = int(self.space.trips_ci[ci])
        return self.space.spills(CLASSES[which], rounds, trips, candidate.tile.table)


class PairSearch(MovedSearch):
    """The same for pairs of latency and traffic: all that no point of the front beats is looked at."""

    def fill(self) -> bool:
        """As of ``MovedSearch``."""
        self.front.shrink(self.space.free)
        self._begin()
        self._best_first(_FASTEST, [self.coarse])
        self.open = []
        self._best_first(_FASTEST, self._sifted(_FASTEST))
        self._settle(_FASTEST)
        return not self._late

    def _wanted(self, goal: Goal, fits: Any, price: Price) -> Any:
        return fits & self.front.open(price)

    def _beaten(self, bound: Any) -> bool:
        return False

    def _better(self, keys: tuple[Any, ...], choice: tuple[int, ...]) -> bool:
        latency, traffic = (np.array([key]) for key in keys)
        return bool(self.front.open(Price.of(latency, traffic))[0])

    def _offer(
        self, goal: Goal, choice: tuple[int, int, int, int], mapping: SharedMapping, price: Price
    ) -> None:
        self.best = Found(goal.values(price), choice, mapping, price)
        self._enter(mapping, price)

    def _extend(self, goal: Goal, tiles: Tiles) -> None:
        part, ci, fewest = self._beside(tiles)
        fits, prices = self.space.open_bounds(part, ci)
        for which, price in enumerate(prices):
            at = np.flatnonzero(self._wanted(goal, fits, price))
            for batch in self._rounds(goal, which, part.take(at), ci[at], fewest[at]):
                self._pack_all(goal, batch)

    def _pack_all(self, goal: Goal, batch: Batch) -> None:
        """Pack what is open, the least products of latency and traffic first."""
        latency, traffic = batch.keys
        left = np.argsort(latency.astype(np.float64) * traffic.astype(np.float64), kind="stable")
        while len(left):
            self._pack(goal, batch.candidate(int(left[0])), nodes=0)
            left = left[1:]
            left = left[self.front.open(Price.of(latency[left], traffic[left]))]


def _goal(kind: Sought | None) -> Goal:
    """What is minimised where a single point is wanted."""
    if isinstance(kind, Measure):
        return Goal((kind, *_FASTEST.measures))
    return Goal(_FASTEST.measures[::-1]) if kind is Kind.TRAFFIC else _FASTEST
