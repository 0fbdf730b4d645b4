"""The points of rooms of every size that nothing beats, while they are being found.

A mapping is one of them if no other one that takes at most as much of the buffer is at least as good in
latency and in traffic (or in the one of them that matters, ties by the other). Rooms are taken in ascending
slabs ``(low, high]``. What fits ``low`` is settled before: a mapping whose bound within ``high`` does not
beat it is of no use in the slab, whatever it takes. The others are priced, and compared with what takes no
more than each of them. So a few dozen searches settle hundreds of rooms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from formulation.extents import Ints
from formulation.network.frontiers.front import Front, FrontPoints, Pair, Sought, compared
from formulation.pricing.price import Price
from formulation.pricing.wide_ticks import WideTicks

_GROWTH = 1.6  # of a room from one slab to the next


def undominated(found: FrontPoints, kind: Sought | None) -> FrontPoints:
    """The points that none beats that takes no more, by what they take; of equals the first choice.

    Args:
        found: the points.
        kind: as of ``Front``.
    """
    latency = found.price.latency
    ranks = latency.ranks() if isinstance(latency, WideTicks) else latency
    ranked = compared(kind, found.price)
    ranked = tuple(ranks if column is latency else column for column in ranked)
    order = np.lexsort((*found.choice[::-1], *ranked[::-1], found.need))
    columns = [column[order].tolist() for column in ranked]
    pairs = kind is None or isinstance(kind, Pair)
    beats = unbeaten_pairs(*columns) if pairs else _ordered(*columns)
    return found.take(order[np.fromiter(beats, dtype=np.bool_, count=len(order))])


def _ordered(*columns: list[int]) -> Iterator[bool]:
    """Where values are less, in lexicographic order, than all before them."""
    least: tuple[int, ...] | None = None
    for values in zip(*columns, strict=True):
        less = least is None or values < least
        least = values if less else least
        yield less


def unbeaten_pairs(first: list[int], second: list[int]) -> Iterator[bool]:
    """Where no pair before is at most as great in both."""
    one: list[int] = []  # ascending, with ``two`` descending: what nothing so far beats
    two: list[int] = []
    for a, b in zip(first, second, strict=True):
        at = bisect_right(one, a)
        if at and two[at - 1] <= b:
            yield False
            continue
        end = at
        while end < len(one) and two[end] >= b:
            end += 1
        at -= at > 0 and one[at - 1] == a  # as great, and beaten in the other
        one[at:end], two[at:end] = [a], [b]
        yield True


class Stairs:
    """The points of every room so far.

    Args:
        kind: as of ``Front``.
        most_latency: as of ``Front``.

    Attributes:
        low: rooms up to here are settled [bits].
        points: of these, by what they take.
    """

    def __init__(self, kind: Sought | None = None, most_latency: int | None = None) -> None:
        self._front = Front(kind, most_latency)
        self.low, self.points, self._slab = -1, FrontPoints.none(), FrontPoints.none()

    def __len__(self) -> int:
        return len(self.points) + len(self._slab)

    @property
    def kind(self) -> Sought | None:
        """As of ``Front``."""
        return self._front.kind

    def open(self, price: Price) -> NDArray[np.bool_]:
        """Where nothing that fits the room ``low`` is at least as good."""
        return self._front.open(price)

    def add(self, price: Price, need: Ints, choice: Ints) -> None:
        """Enter mappings of the slab above ``low``."""
        new = np.flatnonzero((need > self.low) & self.open(price))
        if len(new):
            found = FrontPoints(need[new], price.take(new), choice[:, new])
            self._slab = undominated(self._slab.joined(found), self._front.kind or self._front.pair)

    def settle(self, room: int) -> None:
        """All that fits a room has been entered."""
        slab, self._slab, self.low = self._slab, FrontPoints.none(), room
        if len(slab):
            self.points = self.points.joined(slab)
            self._front.add(slab.price, slab.need, slab.choice)


def slabs(least: int, most: int) -> Iterator[int]:
    """Rooms, ascending, the last of them ``most`` [bits]; below ``least`` nothing fits."""
    room = float(least)
    while room < most:
        yield int(room)
        room = room * _GROWTH + 1
    yield most
