"""The capacity-cost frontier of a stack: exact over bands, strips, kept weights and tiles of the others.

Cuts are bounded first, with the front so far as incumbent: all weights moved once, and again in every step
what has no room to be kept; the outputs of all steps in one tile. What no known point beats is taken with
every set of layers whose weights are kept, the others streamed in their smallest tiles and computed as fast
as in the fastest; and what is still open with the tiles that take the least time within the room. Each is a
bound from below on all that it stands for, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.network.front import Front, Stop, StoppedError
from formulation.network.frontier import Point, filled_rooms
from formulation.network.movement import MovedCost
from formulation.network.stacks.cost import Schedule, TooNarrowError, stack_cost
from formulation.network.stacks.space import Picks, StackSpace
from formulation.network.stacks.stack import Stack
from formulation.network.stacks.weights import Weights
from formulation.price import Price
from formulation.problem import Kind

_CUTS = 1 << 18  # cuts bounded at once
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
        return MovedCost(cost.room, cost.latency_ticks, cost.traffic_bits)


def stack_frontier(
    space: StackSpace,
    rooms: Sequence[int] | None,
    most: int,
    kind: Kind | None = None,
    most_latency: int | None = None,
    stop: Stop | None = None,
) -> list[Point]:
    """The points of the fronts of all rooms, each once.

    Args:
        space: the stack beside a state of its tensors.
        rooms: bits, descending; None for every room up to ``most``.
        most: bits that the stack may take.
        kind: if only the least latency or the least traffic matters (ties by the other), which.
        most_latency: points above are of no interest [ticks]; None for no limit.
        stop: when to leave it as it is; None for never.
    """
    stop = stop or Stop()
    try:
        return _frontier(space, rooms, most, Front(kind, most_latency), stop)
    except TooNarrowError:  # all latencies of one front are of one kind
        return _frontier(replace(space, wide=True), rooms, most, Front(kind, most_latency), stop)


def _frontier(
    space: StackSpace, rooms: Sequence[int] | None, most: int, front: Front, stop: Stop
) -> list[Point]:
    points: dict[tuple[int, int, int], Ints] = {}
    for room in filled_rooms(front, rooms, most):
        front.shrink(room)
        with suppress(StoppedError):
            _Search(space, front, room, stop).run()
        for i, key in enumerate(front.found.keys()):
            points.setdefault(key, front.found.choice[:, i])
    return [
        Point(*key, (StackWay(space.stack, space.stays, _schedule(space, choice)),))
        for key, choice in points.items()
    ]


def _schedule(space: StackSpace, choice: Ints) -> Schedule:
    picks = space.picks(choice[:1])
    pieces = tuple(int(t.sizes[p[0]]) for t, p in zip(space.tables, picks, strict=True))
    tiles, code = [], int(choice[1])
    for held in space.weights:
        code, at = divmod(code, len(held))
        tiles.append(held[at].tile)
    return Schedule(pieces, tuple(tiles))


class _Search:
    """Fills a front with what fits a room."""

    def __init__(self, space: StackSpace, front: Front, room: int, stop: Stop) -> None:
        self.space, self.front, self.room, self.stop = space, front, room, stop
        self.cuts, self.layers = space.cuts, range(len(space.weights))
        self.waits = [False] * len(self.layers)
        every = 1 << len(self.layers)
        sets = np.arange(every - 1 if space.stack.resident else 0, every)
        self.kept = (sets[None, :] >> np.arange(len(self.layers))[:, None]) & 1  # layers x sets

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
        for bound in (self._by_moves, self._by_cycles, self._by_room):
            price, fits = bound(space.picks(rank))
            rank = rank[fits & self.front.open(price)]
            if not len(rank):
                return
        price, _ = self._by_room(space.picks(rank))
        promise = price.latency.astype(np.float64) * price.traffic.astype(np.float64)
        rank = rank[np.argsort(promise, kind="stable")]
        start, size = 0, 16
        while start < len(rank):
            part = rank[start : start + size]
            start, size = start + size, min(4 * size, max(1, _CELLS >> len(self.layers)))
            price, fits = self._by_room(space.picks(part))
            part = part[fits & self.front.open(price)]
            if len(part):
                _Extension(self, part).run()
                self.stop.look(len(self.front) > 0)

    def price(self, cycles: Any, edge: Any, traffic: Ints) -> Price:
        """Latency and traffic, or bounds on them."""
        return Price.of(self.cuts.latency(cycles, edge, traffic), traffic)

    def _by_moves(self, picks: Picks) -> tuple[Price, Any]:
        traffic = self.space.least_traffic(picks)
        return self.price(0 * traffic, 0 * traffic, traffic), True

    def _by_cycles(self, picks: Picks) -> tuple[Price, Any]:
        cycles, edge = self.space.least_cycles(picks), self.space.least_edge(picks)
        return self.price(cycles, edge, self.space.least_traffic(picks)), True

    def _by_room(self, picks: Picks) -> tuple[Price, Any]:
        space = self.space
        left = self.room - self.cuts.rooms(picks, self.waits)
        least = sum(min(w.room for w in held) for held in space.weights)
        traffic = space.least_traffic(picks) + space.least_streamed(picks, left)
        price = self.price(space.least_cycles(picks), space.least_edge(picks), traffic)
        return price, left >= least


class _Extension:
    """Cuts with every set of layers whose weights are kept, and the tiles of the others."""

    def __init__(self, search: _Search, rank: Ints) -> None:
        self.search, self.rank = search, rank
        space, cuts = search.space, search.cuts
        picks = space.picks(rank)
        self.maps = cuts.rooms(picks, search.waits)
        self.moved = cuts.moved(picks) + sum(held[0].moved for held in space.weights)
        first, last = cuts.first_and_last(picks)
        self.ends = first + last
        self.again, self.rooms, self.cycles = (
            [],
            [],
            [],
        )  # for each layer; of rooms and cycles, cuts x choices
        for layer, held in enumerate(space.weights):
            self.again.append(held[0].moved * (cuts.steps(layer, picks) - 1))
            self.rooms.append(self._rooms(layer, held, picks))
            passes = cuts.passes(layer, picks)
            each = [sum(c * p for c, p in zip(w.cycles, passes, strict=True)) for w in held]
            self.cycles.append(np.stack([np.broadcast_to(e, rank.shape) for e in each], axis=1))
        self.edges = [np.array([w.edge for w in held]) for held in space.weights]

    def _rooms(self, layer: int, held: Sequence[Weights], picks: Picks) -> Ints:
        """What each choice takes, with what partial sums take more."""
        cuts, index = self.search.cuts, self.search.space.stack.ofmaps[layer]
        rooms = np.broadcast_to(np.array([w.room for w in held]), (len(self.rank), len(held))).copy()
        if any(w.partial for w in held):
            wider = cuts.room(index, picks, True) - cuts.room(index, picks, False)
            rooms += wider[:, None] * np.array([w.partial for w in held])
        return rooms

    def _sums(self, kept: Sequence[Ints], others: Sequence[Ints]) -> Ints:
        """For each cut and set the sum over the layers of a figure, another if its weights are kept."""
        gain = np.stack([k - o for k, o in zip(kept, others, strict=True)], axis=1)
        return np.asarray(np.sum(others, axis=0)[:, None] + gain @ self.search.kept)

    def run(self) -> None:
        """Bound every set, and settle what is open."""
        search, none = self.search, 0 * self.maps
        room = self._sums([r[:, 0] for r in self.rooms], [_streamed(r).min(axis=1) for r in self.rooms])
        room = room + self.maps[:, None]
        traffic = self.moved[:, None] + self._sums([none for _ in self.again], self.again)
        cycles = self._sums([c[:, 0] for c in self.cycles], [_streamed(c).min(axis=1) for c in self.cycles])
        edge = self._sums([none + e[0] for e in self.edges], [none + _streamed(e).min() for e in self.edges])
        edge = edge + self.ends[:, None]
        cut, chosen = np.nonzero(room <= search.room)
        traffic = traffic[cut, chosen]
        price = search.price(cycles[cut, chosen], edge[cut, chosen], traffic)
        at = np.flatnonzero(search.front.open(price))
        cut, chosen, traffic = cut[at], chosen[at], traffic[at]
        if len(at):
            self._settle(cut, chosen, traffic, price.take(at))

    def _settle(self, cut: Ints, chosen: Ints, traffic: Ints, bound: Price) -> None:
        """The fastest tile of every layer where all of them fit; the fastest that do elsewhere."""
        search, front = self.search, self.search.front
        picked = []
        for layer in search.layers:
            fastest = 1 + np.argmin(_streamed(self._ticks(layer)), axis=1)
            picked.append(np.where(search.kept[layer, chosen] == 1, 0, fastest[cut]))
        room = self.maps[cut] + sum(r[cut, p] for r, p in zip(self.rooms, picked, strict=True))
        fits = room <= search.room
        self._add(cut[fits], [p[fits] for p in picked], traffic[fits])
        for i in np.flatnonzero(~fits):
            if front.open(bound.take(np.array([i])))[0]:
                tiles = self._fitting(int(cut[i]), int(chosen[i]))
                if tiles is not None:
                    self._add(cut[i : i + 1], [np.array([t]) for t in tiles], traffic[i : i + 1])

    def _ticks(self, layer: int) -> Any:
        """Time of the array with each choice, without the other layers."""
        hardware, cycles = self.search.space.hardware, self.cycles[layer]
        edge = self.edges[layer] if hardware.double_buffered else 0 * self.edges[layer]
        tick = hardware.tick
        if tick.of(int(cycles.max()), int(edge.max())) >= 1 << 62:
            return tick.of(cycles.astype(object), edge.astype(object))
        return tick.of(cycles, edge)

    def _fitting(self, cut: int, chosen: int) -> list[int] | None:
        """The tiles that take the least time within the room: layer by layer, keeping what is best."""
        search = self.search
        states: list[tuple[int, int, list[int]]] = [(int(self.maps[cut]), 0, [])]
        for layer in search.layers:
            ticks, rooms = self._ticks(layer)[cut], self.rooms[layer][cut]
            options = [0] if search.kept[layer, chosen] else range(1, len(rooms))
            grown = [
                (room + int(rooms[o]), time + int(ticks[o]), [*tiles, o])
                for room, time, tiles in states
                for o in options
            ]
            states = _best(g for g in grown if g[0] <= search.room)
        return states[-1][2] if states else None

    def _add(self, cut: Ints, picked: list[Ints], traffic: Ints) -> None:
        """Enter schedules into the front."""
        search, space = self.search, self.search.space
        if not len(cut):
            return
        room, cycles, edge = self.maps[cut], 0 * traffic, self.ends[cut]
        code, base = 0 * traffic, 1
        for layer, at in enumerate(picked):
            room = room + self.rooms[layer][cut, at]
            cycles = cycles + self.cycles[layer][cut, at]
            edge = edge + self.edges[layer][at]
            code, base = code + base * at, base * len(space.weights[layer])
        choice = np.zeros((5, len(cut)), dtype=np.int64)
        choice[0], choice[1] = self.rank[cut], code
        search.front.add(search.price(cycles, edge, traffic), room, choice)


def _streamed(figures: Any) -> Any:
    """Those of weights that are streamed; of weights that stay for good, which never are, their own."""
    return figures[..., 1:] if figures.shape[-1] > 1 else figures


def _best(states: Iterable[tuple[int, int, list[int]]]) -> list[tuple[int, int, list[int]]]:
    """Those that no other one beats in room and time, by rising room."""
    best: list[tuple[int, int, list[int]]] = []
    for state in sorted(states):
        if not best or state[1] < best[-1][1]:
            best.append(state)
    return best
