"""The capacity-cost frontier of a layer: buffer taken, latency and traffic, where nothing beats all three.

For a room, the *front* holds the pairs of latency and traffic that no other mapping within the room beats.
It is found as an optimum is in the exhaustive search, with the front so far in the place of the incumbent:
blocks of spatial tiles are bounded first, then tiles, then pairs with output-channel tiles, and what no known
point beats in both is priced. The fronts of all rooms are the frontier as far as any choice of tensors that
stay can see it. Rooms are taken in descending order: a front holds for every smaller room that all its
points fit, and those that still fit are the next room's first incumbents. Where rooms of every size are
wanted, all are settled in one pass (``formulation.network.frontiers.stairs``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dnns.layer import Layer
from formulation.cost import footprint
from formulation.evaluation import Work, work_of
from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.mapping import Mapping, Partition
from formulation.network.frontiers.front import Front, FrontPoints, Sought, Stop, StoppedError
from formulation.network.frontiers.space import MovedSpace
from formulation.network.frontiers.stairs import Stairs, slabs
from formulation.network.movement import MovedCost, Movement
from formulation.pricing.objective import Measure
from formulation.pricing.price import Price
from formulation.space.blocks import sift
from formulation.space.space import CLASSES
from formulation.space.tables import SpatialTable

_CELLS = 1 << 17  # mappings priced at once
_FIRST = 8  # spatial tiles of the first chunk; the next are larger


class Incumbents(Protocol):
    """What has been found so far."""

    @property
    def kind(self) -> Sought | None:
        """As of ``Front``."""

    def __len__(self) -> int:
        """How many points."""

    def open(self, price: Price) -> NDArray[np.bool_]:
        """Where a mapping of that price, or a bound on it, is still of interest."""

    def add(self, price: Price, need: Ints, choice: Ints) -> None:
        """Enter mappings."""


class Way(Protocol):
    """How a piece of a block is run."""

    def cost(self, hardware: Hardware) -> MovedCost:
        """What it takes and costs, in Python's integers."""


@dataclass(frozen=True, slots=True)
class LayerWay:
    """A layer, or a sub-convolution, run by itself.

    Attributes:
        layer: the layer.
        movement: where its operands are.
        mapping: how it is run.
    """

    layer: Layer
    movement: Movement
    mapping: Mapping

    def work(self, hardware: Hardware) -> Work:
        """Words, cycles and tiles if nothing stays."""
        return work_of(self.layer, hardware, self.mapping)

    def parts(self, hardware: Hardware) -> Partition:
        """The parts of the buffer."""
        need = footprint(hardware, self.movement.parts(self.work(hardware).tile))
        return Partition(need.ifmap, need.ofmap, need.weights)

    def cost(self, hardware: Hardware) -> MovedCost:
        """What it takes and costs, in Python's integers."""
        return self.movement.cost(hardware, self.layer.macs, self.work(hardware))


@dataclass(frozen=True, slots=True)
class Point:
    """One way to run a block.

    Attributes:
        need: bits of the buffer beside tensors that stay: ``base`` and the most that a piece needs.
        latency: in ticks, all pieces.
        traffic: in bits, all pieces.
        ways: how each piece is run, in order.
        base: bits that are taken throughout.
        spent: in quanta of what is summed, all pieces; 0 if nothing is.
    """

    need: int
    latency: int
    traffic: int
    ways: tuple[Way, ...]
    base: int = 0
    spent: int = 0

    @property
    def price(self) -> Price:
        """What an objective looks at."""
        return Price(self.latency, self.traffic, self.spent)

    def priced_again(self, hardware: Hardware) -> MovedCost:
        """The same quantities from the ways."""
        return in_turn(self.ways, self.base, hardware)


def in_turn(ways: Iterable[Way], base: int, hardware: Hardware) -> MovedCost:
    """What ways take and cost one after another, above bits that are taken throughout: Python's integers."""
    costs = [way.cost(hardware) for way in ways]
    return MovedCost(
        base + max(c.need for c in costs),
        sum(c.latency for c in costs),
        sum(c.traffic for c in costs),
        sum(c.macs for c in costs),
        sum(c.ports for c in costs),
    )


def frontier(
    space: MovedSpace,
    rooms: Sequence[int] | None,
    kind: Sought | None = None,
    most_latency: int | None = None,
    stop: Stop | None = None,
) -> list[Point]:
    """The points of the fronts of all rooms, each once.

    Args:
        space: the layer beside a state of its operands.
        rooms: bits, descending; None for every room up to ``space.room``.
        kind: as of ``Front``.
        most_latency: as of ``Front``.
        stop: when to leave it as it is; None for never.
    """
    stop = stop or Stop()
    if rooms is None:
        stairs = Stairs(kind, most_latency)
        with suppress(StoppedError):
            _climb(space, stairs, stop)
        stairs.settle(stairs.low)  # what was found of a slab that was not finished
        return _points(space, stairs.points)
    front = Front(kind, most_latency)
    found = FrontPoints.none()
    coarse = space.grid.coarse()
    for room in filled_rooms(front, rooms, space.room):
        space.room = room
        front.shrink(room)
        with suppress(StoppedError):
            _fill(space, front, coarse, stop)
        found = found.joined(front.found)
    return _points(space, found)


def _points(space: MovedSpace, found: FrontPoints) -> list[Point]:
    """What was found, each once."""
    points: dict[tuple[int, int, int, int], Ints] = {}
    for i, key in enumerate(found.keys()):
        points.setdefault(key, found.choice[:, i])
    layer, movement = space.problem.layer, space.movement
    return [
        Point(n, t, b, (LayerWay(layer, movement, _mapping(space, choice)),), spent=e)
        for (n, t, b, e), choice in points.items()
    ]


def _climb(space: MovedSpace, stairs: Stairs, stop: Stop) -> None:
    """Settle every room, in slabs."""
    smallest = space.need(0, 0, space.grid.table([np.zeros(1, dtype=np.int64)] * len(space.grid.shape)))
    for room in slabs(int(smallest[0]) - space.movement.wider, space.room):
        space.room = room
        _search(space, stairs, _sifted(space, stairs), stop)
        stairs.settle(room)


def filled_rooms(front: Front, rooms: Sequence[int] | None, most: int) -> Iterator[int]:
    """The rooms in descending order, without those for which the front of the one before holds."""
    room = most
    if rooms is not None:
        for room in rooms:
            if not len(front.need) or int(front.need.max()) > room:
                yield room
                if not len(front.need):
                    return
        return
    while room >= 0:
        yield room
        if not len(front.need):
            return
        room = int(front.need.max()) - 1


def _fill(space: MovedSpace, front: Front, coarse: SpatialTable, stop: Stop) -> None:
    """Enter all mappings within the room: first those of a few tiles, then what these leave open."""
    _search(space, front, [coarse], stop)
    _search(space, front, _sifted(space, front), stop)


def _sifted(space: MovedSpace, front: Incumbents) -> Iterator[SpatialTable]:
    """The tiles that are open by the least of their block."""
    return sift(space.grid, lambda t: _seen(space, front, t, space.grid.least_cycles(t))[0])


def _seen(
    space: MovedSpace, front: Incumbents, sp: SpatialTable, cycles: Ints, co: Ints | None = None
) -> tuple[NDArray[np.bool_], list[NDArray[np.bool_]], list[Price]]:
    """Where any loop order is open, each loop order, and the bounds."""
    fits, prices = space.bounds(sp, cycles, co)
    each = [fits & front.open(price) for price in prices]
    return np.logical_or.reduce(each), each, prices


def _search(space: MovedSpace, front: Incumbents, slices: Iterable[SpatialTable], stop: Stop) -> None:
    grid, tables, factors, ranks = space.grid, [], [], []
    for slab in slices:
        tiles = slab.take(_seen(space, front, slab, grid.least_cycles(slab))[0])
        cycles = grid.cycles(tiles)
        is_open, _, prices = _seen(space, front, tiles, cycles)
        tables.append(tiles.take(is_open))
        factors.append(cycles[is_open])
        ranks.append(promise(prices, front.kind)[is_open])
    if not tables:
        return
    table, cycles = SpatialTable.join(tables), np.concatenate(factors)
    order = np.argsort(np.concatenate(ranks), kind="stable")
    table, cycles = table.take(order), cycles[order]
    start, size = 0, _FIRST
    while start < len(table):
        rows = np.arange(start, min(len(table), start + size))
        rows = rows[_seen(space, front, table.take(rows), cycles[rows])[0]]
        _extend(space, front, table.take(rows), cycles[rows])
        start, size = start + size, min(4 * size, max(_FIRST, _CELLS // len(space.co.tile)))
        stop.look(len(front) > 0)


def promise(prices: list[Price], kind: Sought | None) -> NDArray[np.float64]:
    """What tiles are taken in the order of: the least that is wanted, or product of latency and traffic."""
    if isinstance(kind, Measure):
        return np.asarray(np.minimum.reduce([kind.of(p).astype(np.float64) for p in prices]))
    products = [p.latency.astype(np.float64) * p.traffic.astype(np.float64) for p in prices]
    return np.asarray(np.minimum.reduce(products))


def _extend(space: MovedSpace, front: Incumbents, sp: SpatialTable, cycles: Ints) -> None:
    """Extend tiles by all output-channel tiles, and what is still open by all input-channel tiles."""
    width = len(space.co.tile)
    step = max(1, _CELLS // width)
    for start in range(0, len(sp), step):
        rows = np.arange(start, min(len(sp), start + step))
        row, co = np.repeat(rows, width), np.tile(np.arange(width), len(rows))
        _, each, _ = _seen(space, front, sp.take(row), cycles[row], co)
        for which, is_open in enumerate(each):
            at = np.flatnonzero(is_open)
            _price(space, front, which, sp.take(row[at]), cycles[row[at]], co[at])


def _price(
    space: MovedSpace, front: Incumbents, which: int, sp: SpatialTable, cycles: Ints, co: Ints
) -> None:
    """Price all input-channel tiles of one loop order beside pairs of tiles."""
    width = len(space.ci.tile)
    step = max(1, _CELLS // width)
    for start in range(0, len(co), step):
        pairs = np.arange(start, min(len(co), start + step))
        row, ci = np.repeat(pairs, width), np.tile(np.arange(width), len(pairs))
        most = space.most_in_channels(space.co.tile[co[pairs]], sp.take(pairs))
        inside = space.ci.tile[ci] <= np.repeat(most, width)
        row, ci = row[inside], ci[inside]
        need = space.need(co[row], ci, sp.take(row))
        fits = need <= space.room
        row, ci, need = row[fits], ci[fits], need[fits]
        part = sp.take(row)
        price = space.price(CLASSES[which], co[row], ci, part, cycles[row])
        choice = np.stack([np.full(len(row), which), co[row], ci, part.rank, part.slide])
        front.add(price, need, choice)


def _mapping(space: MovedSpace, choice: Ints) -> Mapping:
    which, co, ci, rank, slide = (int(c) for c in choice)
    return space.mapping(CLASSES[which], co, ci, rank, slide)
