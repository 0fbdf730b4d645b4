"""The capacity-cost frontier of a stack: exact over bands, strips, kept weights and tiles of the others.

Cuts are bounded first, with the front so far as incumbent: all weights moved once, and again in every step
what has no room to be kept; the outputs of all steps in one tile. What no known point beats is taken with
every set of layers whose weights are kept, the others streamed in their smallest tiles and computed as fast
as in the fastest; and what is still open with the tiles that take the least time within the room. Each is a
bound from below on all that it stands for, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.network.frontiers.front import Front, Sought, Stop, StoppedError, rates_of
from formulation.network.frontiers.frontier import Point, filled_rooms, promise
from formulation.network.movement import MovedCost
from formulation.network.stacks.cost import Schedule, TooNarrowError, stack_cost
from formulation.network.stacks.energy import array_bits, layer_work, stack_work
from formulation.network.stacks.search.extension import StackExtension
from formulation.network.stacks.search.tiled import Ports, StackSearch
from formulation.network.stacks.space import Picks, StackSpace
from formulation.network.stacks.stack import Stack
from formulation.pricing.price import Price

_CUTS = 1 << 18  # cuts bounded at once
_CHOICES = 1 << 22  # cuts with ways to hold weights looked at at once, where something is summed
_CELLS = 1 << 18  # cuts with sets of kept weights looked at once


@dataclass(frozen=True, slots=True)
class StackWay:
    """A stack run in one way.

    Attributes:
        stack: the stack.
        stays: indices of the tensors that stay.
        schedule: how it is run.
    """

    stack: Stack
    stays: frozenset[int]
    schedule: Schedule

    def cost(self, hardware: Hardware) -> MovedCost:
        """What it takes and costs, in Python's integers."""
        cost = stack_cost(self.stack, hardware, self.schedule, self.stays)
        macs, ports = stack_work(self.stack, hardware, self.schedule, self.stays)
        return MovedCost(cost.room, cost.latency_ticks, cost.traffic_bits, macs, ports)


def stack_frontier(
    space: StackSpace,
    rooms: Sequence[int] | None,
    most: int,
    kind: Sought | None = None,
    most_latency: int | None = None,
    stop: Stop | None = None,
) -> list[Point]:
    """The points of the fronts of all rooms, each once.

    Args:
        space: the stack beside a state of its tensors.
        rooms: bits, descending; None for every room up to ``most``.
        most: bits that the stack may take.
        kind: as of ``Front``.
        most_latency: points above are of no interest [ticks]; None for no limit.
        stop: when to leave it as it is; None for never.
    """
    stop = stop or Stop()
    space = replace(space, rates=rates_of(kind, space.hardware))
    try:
        return _frontier(space, rooms, most, Front(kind, most_latency), stop)
    except TooNarrowError:  # all latencies of one front are of one kind
        return _frontier(replace(space, wide=True), rooms, most, Front(kind, most_latency), stop)


def _frontier(
    space: StackSpace, rooms: Sequence[int] | None, most: int, front: Front, stop: Stop
) -> list[Point]:
    points: dict[tuple[int, int, int, int], Ints] = {}
    for room in filled_rooms(front, rooms, most):
        front.shrink(room)
        with suppress(StoppedError):
            _Search(space, front, room, stop).run()
        for i, key in enumerate(front.found.keys()):
            points.setdefault(key, front.found.choice[:, i])
    return [
        Point(n, t, b, (StackWay(space.stack, space.stays, _schedule(space, choice)),), spent=e)
        for (n, t, b, e), choice in points.items()
    ]


def _schedule(space: StackSpace, choice: Ints) -> Schedule:
    picks = space.picks(choice[:1])
    pieces = tuple(int(t.sizes[p[0]]) for t, p in zip(space.tables, picks, strict=True))
    tiles = zip(space.weights, choice[:0:-1], strict=True)
    return Schedule(pieces, tuple(held[at].tile for held, at in tiles))


class _Search(StackSearch):
    """Fills a front with what fits a room."""

    def __init__(self, space: StackSpace, front: Front, room: int, stop: Stop) -> None:
        super().__init__(space, front, room)
        self.stop = stop
        self.most = max(1, _CELLS >> len(self.layers))  # cuts
        if space.rates is not None:  # far more tiles matter
            self.most = min(self.most, max(1, _CHOICES // sum(map(len, space.weights))))

    def run(self) -> None:
        """Enter a few cuts, then what these leave open of all."""
        self._enter(self.space.coarse())
        every = self.space.every(self.room)
        for start in range(0, len(every), _CUTS):
            self._enter(every[start : start + _CUTS])
            self.stop.look(len(self.front) > 0)

    def _enter(self, rank: Ints) -> None:
        """Bound cuts, the cheap bounds first, and extend what is open, the most promising first."""
        space = self.space
        traffic = space.least_traffic(space.picks(rank))
        if space.rates is None:
            still = self.front.open(self.price(0 * traffic, 0 * traffic, traffic, None))
            rank, traffic = rank[still], traffic[still]
        rank, price = self._least(rank, traffic)
        if not len(rank):
            return
        order = np.argsort(promise([price], self.front.kind), kind="stable")
        rank, price = rank[order], price.take(order)
        start, size = 0, 16
        while start < len(rank):
            some = slice(start, start + size)
            start, size = start + size, min(4 * size, self.most)
            part = rank[some][self.front.open(price.take(some))]
            if len(part):
                StackExtension(self, part).run()
                self.stop.look(len(self.front) > 0)

    def _least(self, rank: Ints, traffic: Ints) -> tuple[Ints, Price]:
        """The cuts that are open and leave room for weights, with the least that each takes.

        Weights are moved once, and again in every step if there is no room for them; of each layer they lie
        in the way with the fewest cycles and passes, and each kernel's steps are one tile.
        """
        space, picks = self.space, self.space.picks(rank)
        passes = [space.least_passes(layer, picks) for layer in self.layers]
        cycles, edge, ports = space.least_cycles(picks, passes), space.least_edge(picks), None
        setups = space.least_setups(picks)
        if space.rates is not None:
            ports = self._ports(picks, passes)
        still = np.flatnonzero(self.front.open(self.price(cycles, edge, traffic, ports, setups)))
        rank, picks = rank[still], [pick[still] for pick in picks]
        left = self.room - self.cuts.rooms(picks, self.waits)
        traffic = traffic[still] + space.least_streamed(picks, left)
        ports = None if ports is None else (ports[0][still], ports[1][still])
        price = self.price(cycles[still], edge[still], traffic, ports, setups.take(still))
        still = np.flatnonzero((left >= space.least_weights) & self.front.open(price))
        return rank[still], price.take(still)

    def _ports(self, picks: Picks, passes: Sequence[Sequence[Ints]]) -> Ports:
        """MACs, and bits at the array at least: weights are kept, each kernel's steps are one tile."""
        macs, array = 0 * picks[0], 0 * picks[0]
        for layer, held in enumerate(self.space.figures):
            work = layer_work(self.cuts, layer, picks, passes[layer])
            macs = macs + work.macs.sum(axis=0)
            array = array + array_bits(self.space.hardware, work, held.take(slice(1)))[:, 0]
        return macs, array
