"""A frontier that is known for some rooms only, and what bounds it from below for all others.

``rooms`` g_0 > g_1 > ... > g_k are those whose fronts are known. A point of theirs that needs n bits is told
to need

    need'(n) = 1 + the largest known room below n, and 0 if there is none

Whatever a mapping needs, m bits, it lies in some (g_j+1, g_j], or in [0, g_k]; a point of the front of g_j is
no worse than it in what is asked for (latency and traffic, or a measure that sums what is done, then these),
and is told to need no more than 1 + g_j+1 <= m. So points told so are a relaxation: no choice costs less than
the least choice of them. One that is chosen and does not fit the room that is left to it asks for the front
of that room, after which it is told not to fit there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace

from formulation.network.frontiers.frontier import Point


class GrowingFrontier:
    """The fronts of some rooms.

    Attributes:
        points: of all known fronts, each once, with what they really need; new ones come last.
        complete: whether all known fronts were made whole.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._beside: list[Point] = []
        self.complete = True
        self._rooms: list[int] = []  # ascending
        self._known: set[tuple[int, int, int, int]] = set()

    def knows(self, room: int) -> bool:
        """Whether the front of a room is known."""
        return room in self._rooms

    def add(
        self, rooms: Iterable[int], points: Iterable[Point], complete: bool, beside: Iterable[Point] = ()
    ) -> None:
        """Enter the fronts of some rooms, and bounds on what may be better than their points."""
        self._beside += beside
        self._rooms = sorted({*self._rooms, *rooms})
        self.complete &= complete
        for point in points:
            key = point.need, point.latency, point.traffic, point.spent
            if key not in self._known:
                self._known.add(key)
                self.points.append(point)

    def relaxed(self) -> tuple[Point, ...]:
        """All points, in their order, with what they are told to need [bits]."""
        return tuple(replace(point, need=self._told(point.need)) for point in self.points)

    @property
    def beside(self) -> tuple[Point, ...]:
        """Bounds on what may be better, likewise."""
        return tuple(replace(point, need=self._told(point.need)) for point in self._beside)

    def _told(self, need: int) -> int:
        below = bisect_left(self._rooms, need)
        return self._rooms[below - 1] + 1 if below else 0
