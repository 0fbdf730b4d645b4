"""From a relaxed point to a good feasible mapping: neighbouring tiles first, then a local search.

The inverse of ``formulation.relaxed.model``. Everything is priced exactly, in all loop orders at once, and
what does not fit the buffer is left out, so every mapping that is returned is feasible. Deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Fields
from itertools import combinations
from math import ceil, floor

import numpy as np

from formulation.extents import Ints
from formulation.space.space import Space
from formulation.space.tables import SpatialTable
from solvers.backends.deadline import NEVER, Deadline
from solvers.goals import Goal, LayerFound, better, ranked

_SWEEPS = 20  # rounds of the local search; it stops by itself long before


class Rounder:
    """Rounds and improves mappings of one problem.

    A place is a position in the table of output-channel tiles, one in that of input-channel tiles, and the
    tile of the batch and of each axis, less one.

    Args:
        space: the problem's map space.
        deadline: when the local search stops.

    Attributes:
        menu: tiles of one dimension that the local search looks at.
        near: of which next to the present one, on either side.
    """

    menu, near = 40, 9

    def __init__(self, space: Space, deadline: Deadline = NEVER) -> None:
        self.space, self.deadline = space, deadline
        hardware = space.problem.hardware
        self._quanta = sorted({hardware.rows, hardware.cols} - {1})
        self._extents = [len(dim.tile) for dim in space.grid.dims]
        self._sizes = self._coordinates()
        free = [d for d, size in enumerate(self._sizes) if size > 1]
        self._pairs = list(combinations(free, 2)) or [(d, d) for d in free]

    def _coordinates(self) -> tuple[int, ...]:
        """How many values each coordinate of a place has."""
        return (len(self.space.co.tile), len(self.space.ci.tile), *self._extents)

    def smallest(self, goal: Goal) -> LayerFound | None:
        """The best of the smallest tiles: one element, or all input channels, of one output."""
        ci = np.unique([0, len(self.space.ci.tile) - 1])
        return self._best(goal, [np.array([0]), ci, *[np.array([0])] * len(self._extents)], None)

    def incumbent(self, goal: Goal, known: Iterable[LayerFound]) -> LayerFound:
        """What the local search makes of the best of the smallest tiles and of the known mappings.

        At least one of them is within the goal's cap. At the deadline: the best so far.
        """
        seeds = [ranked(goal, found) for found in known if goal.allows(found.price)]
        smallest = self.smallest(goal)
        if smallest is not None:
            seeds.append(smallest)
        return self.improve(goal, min(seeds, key=lambda seed: seed.order))

    def round(
        self, goal: Goal, trips: Fields[str, float], best: LayerFound | None = None
    ) -> LayerFound | None:
        """The best mapping beside a relaxed point, or the given one if that is better.

        Args:
            goal: the order of mappings.
            trips: relaxed trip counts by dimension: co, ci, batch, axis0, ...
            best: a mapping ranked by the goal.
        """
        co, ci, *rest = trips.values()
        picks = [self._channels(self.space.co.tile, co), self._channels(self.space.ci.tile, ci)]
        for extent, n in zip(self._extents, rest, strict=True):
            picks.append(self._neighbours(extent, n) - 1)
        return self._best(goal, picks, best)

    def improve(self, goal: Goal, start: LayerFound) -> LayerFound:
        """Change two dimensions at a time for the better until no pair of them offers anything."""
        best, clean = start, 0
        for step in range(_SWEEPS * len(self._pairs)):
            if self.deadline.passed:
                break
            pair = self._pairs[step % len(self._pairs)]
            found = self._improve_pair(goal, best, pair)
            clean = clean + 1 if found is best else 1
            best = found
            if clean >= len(self._pairs):
                break
        return best

    def _improve_pair(self, goal: Goal, best: LayerFound, pair: tuple[int, int]) -> LayerFound:
        place = self._place(best)
        menus = [self._menu(d, at) if d in pair else np.array([at]) for d, at in enumerate(place)]
        return self._best(goal, menus, best) or best

    def _place(self, found: LayerFound) -> list[int]:
        """Positions of a mapping's channel tiles, or of the largest listed ones within them, and its tile."""
        tile = found.mapping.tile
        co = int(np.searchsorted(self.space.co.tile, tile.out_channels, side="right")) - 1
        ci = int(np.searchsorted(self.space.ci.tile, tile.in_channels, side="right")) - 1
        return [co, ci, tile.batch - 1, *(t - 1 for t in tile.spatial)]

    def _menu(self, dim: int, at: int) -> Ints:
        """Positions of one dimension: all if they are few, else those near and some spread over all trips."""
        count = self._sizes[dim]
        if count <= self.menu:
            return np.arange(count)
        near = np.arange(max(0, at - self.near), min(count, at + self.near + 1))
        if dim < 2:
            spread = np.linspace(0, count - 1, self.menu - len(near)).astype(np.int64)
        else:
            trips = np.unique(np.geomspace(1, count, self.menu - len(near)).astype(np.int64))
            trips = np.r_[trips, -(-count // (at + 1)) + np.arange(-3, 4)]
            spread = -(-count // trips[(trips >= 1) & (trips <= count)]) - 1
            steps = [q * k - 1 for q in self._quanta for k in (1, 2, 3, 4)]
            steps += [(at + 1) // q * q + q * k - 1 for q in self._quanta for k in (-1, 0, 1, 2)]
            spread = np.r_[spread, [s for s in steps if 0 <= s < count]].astype(np.int64)
        return np.unique(np.r_[near, spread])

    def _neighbours(self, extent: int, trips: float) -> Ints:
        """Tiles beside a relaxed one: of the next trip counts, and whole multiples of the array's sides."""
        size = extent / trips
        tiles = {floor(size), ceil(size), ceil(extent / max(1, floor(trips))), ceil(extent / ceil(trips))}
        for quantum in self._quanta:
            tiles |= {floor(size / quantum) * quantum, ceil(size / quantum) * quantum}
        return np.array(sorted(t for t in tiles if 1 <= t <= extent), dtype=np.int64)

    def _channels(self, tiles: Ints, trips: float) -> Ints:
        """Positions of listed channel tiles that are next to the neighbours of a relaxed one."""
        wanted = self._neighbours(int(tiles[-1]), trips)
        above = np.searchsorted(tiles, wanted)
        return np.unique(np.clip(np.r_[above, above - 1], 0, len(tiles) - 1))

    def _best(self, goal: Goal, picks: Sequence[Ints], best: LayerFound | None) -> LayerFound | None:
        """The best of a product of positions, in all loop orders, and of the given mapping."""
        sp = self.space.grid.table(list(picks[2:]))
        return self.listed(goal, picks[0], picks[1], sp, self.space.grid.cycles(sp), best)

    def listed(
        self,
        goal: Goal,
        out_channels: Ints,
        in_channels: Ints,
        sp: SpatialTable,
        cycles: Ints,
        best: LayerFound | None,
    ) -> LayerFound | None:
        """The best of all mappings of three lists, in all loop orders, and of the given mapping.

        Args:
            goal: the order of mappings.
            out_channels: positions in the table of output-channel tiles.
            in_channels: positions in that of input-channel tiles.
            sp: spatial tiles.
            cycles: their cycle factors.
            best: a mapping ranked by the goal.
        """
        space = self.space
        each = np.ix_(out_channels, in_channels, np.arange(len(sp)))
        co, ci, row = (i.reshape(-1) for i in np.broadcast_arrays(*each))
        some = np.flatnonzero(space.feasible(space.tile(co, ci, sp.take(row))))
        if not len(some):
            return best
        co, ci, row = co[some], ci[some], row[some]
        part, cycle = sp.take(row), cycles[row]
        for which, stationary in space.orders.items():
            price = space.price(stationary, co, ci, part, cycle)
            at = goal.least(price, (co, ci, part.rank))
            if at is not None:
                choice = which, int(co[at]), int(ci[at]), int(part.rank[at])
                best = better(space, goal, choice, price.one(at), int(part.slide[at]), best)
        return best
