"""Best-first search of the map space of shared ifmap tiles.

As ``solvers.layers.search``: tiles are bounded in blocks against the best mapping of a coarse grid, then
taken in ascending order of their bound, extended by input-channel tiles and numbers of rounds, and bounded
again. For what is left the filters are packed. A packing that meets its lower bound is optimal; the others
are settled by branch and bound, once the incumbent is known, if their bound is still below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import islice
from time import monotonic
from typing import Any

import numpy as np

from formulation.cost import TensorBits
from formulation.extents import Ints
from formulation.pricing.price import Price
from formulation.shared.packing.search import NODES, best_packing
from formulation.shared.packing_bounds import PackedBounds, packed_bounds
from formulation.shared.problem import SharedMapping
from formulation.shared.space import SharedSpace
from formulation.shared.tiles import Tiles
from formulation.space.blocks import sift
from formulation.space.space import CLASSES
from formulation.space.tables import SpatialTable
from solvers.goals import Found, Goal, Outcome, limit, safe
from solvers.shared.candidates import (
    Batch,
    Candidate,
    Settling,
    SharedFound,
    in_order,
    packed_price,
    posed_packing,
    settling,
)

_FIRST = 8  # tiles of the first chunk; the next are larger
_CELLS = 1 << 17
_LEAD = 4  # choices of tiles looked at before the rest of a chunk
_BLOCK = 64  # numbers of rounds looked at together
_NODES = 300_000  # of all branch and bound of one search


class SharedSearch:
    """One space searched, possibly for several goals in turn.

    Args:
        space: the map space.
        deadline: when to stop, by ``time.monotonic``; None for never.
    """

    def __init__(self, space: SharedSpace, deadline: float | None = None) -> None:
        self.space, self.deadline = space, deadline
        self.coarse = space.grid.coarse()
        self.best: SharedFound | None = None
        self.open: list[Candidate] = []
        self.packed = 0
        self.spare_nodes = _NODES

    def minimise(
        self, goal: Goal, known: Sequence[SharedFound] = (), *, settle: bool = True
    ) -> Outcome[SharedMapping]:
        """The optimum of a goal over the whole space, or the best by the deadline.

        Args:
            goal: what to minimise.
            known: mappings, looked at first.
            settle: whether to settle by branch and bound the packings that do not meet their bounds.
        """
        self._begin()
        for found in known:
            self._offer(goal, found.choice, found.mapping, found.price)
        self._best_first(goal, [self.coarse])
        self.open = []
        reached = self._best_first(goal, self._sifted(goal))
        left = self._settle(goal) if settle else self._unsettled()
        bounds = [b for b in (reached, left) if b is not None]
        if self.best is None:
            return Outcome(None, min(bounds, default=None), not bounds)
        first = self.best.keys[0]
        bound = min([first, *bounds])
        return Outcome(self.best, bound, bound == first)

    def _begin(self) -> None:
        """Forget what was found."""
        self.best, self.open, self.spare_nodes = None, [], _NODES

    def look(self, goal: Goal, tiles: SpatialTable, known: Iterable[SharedFound] = ()) -> SharedFound | None:
        """The best of known mappings and of all with the given tiles of batch and spatial axes."""
        self.best, self.open = None, []
        for found in known:
            self._offer(goal, found.choice, found.mapping, found.price)
        self._extend(goal, self.space.tiles(tiles))
        return self.best

    def extras(self) -> dict[str, object]:
        """What else a search knows, plain values."""
        return {}

    def _best_first(self, goal: Goal, slabs: Iterable[SpatialTable]) -> Any:
        """Look at all tiles; returns None, or a bound on what the deadline left unseen."""
        kept = [piece for slab in slabs for piece in self._survivors(goal, slab)]
        if not kept:
            return None
        bound = np.concatenate([b for _, b in kept])
        tables = SpatialTable.join([t for t, _ in kept])
        order = np.argsort(bound, kind="stable")
        start, size = 0, _FIRST
        while start < len(order) and not self._beaten(bound[order[start]]):
            if self.deadline is not None and self.best is not None and monotonic() > self.deadline:
                return safe(bound[order[start]])
            rows = order[start : start + size]
            self._extend(goal, self.space.tiles(tables.take(rows)))
            start, size = start + size, min(4 * size, max(_FIRST, _CELLS // len(self.space.ci)))
        return None

    def _sifted(self, goal: Goal) -> Iterable[SpatialTable]:
        """The tiles of all blocks that the incumbent does not beat."""
        return sift(self.space.grid, lambda blocks: self._look(goal, self.space.rough_tiles(blocks))[0])

    def _survivors(self, goal: Goal, slab: SpatialTable) -> Iterable[tuple[SpatialTable, Any]]:
        """Tiles of a slab that the incumbent does not beat: by a cheap bound, then with exact cycles."""
        bound = None
        for tiles_of in (self.space.rough_tiles, self.space.tiles):
            if not len(slab):
                return
            alive, bound = self._look(goal, tiles_of(slab))
            slab, bound = slab.take(alive), bound[alive]
        if len(slab):
            yield slab, bound

    def _look(self, goal: Goal, tiles: Tiles) -> tuple[Any, Any]:
        """Where the incumbent does not beat tiles, and their bounds on the first quantity."""
        fits, prices = self.space.rough_bounds(tiles)
        alive = np.logical_or.reduce([self._wanted(goal, fits, price) for price in prices])
        return alive, reduce(np.minimum, (goal.first(price) for price in prices))

    def _wanted(self, goal: Goal, fits: Any, price: Price) -> Any:
        """Where a bound is within the cap and comes before the incumbent."""
        good = fits & goal.within(price)
        if self.best is None:
            return good
        keys = goal.keys(price)
        if goal.rounded:
            return good & (keys[0] <= limit(self.best))
        first, second = self.best.keys[:2]
        return good & ((keys[0] < first) | ((keys[0] == first) & (keys[1] <= second)))

    def _extend(self, goal: Goal, tiles: Tiles) -> None:
        """All input-channel tiles and numbers of rounds beside these tiles; pack what the bounds leave."""
        part, ci, fewest = self._beside(tiles)
        fits, prices = self.space.open_bounds(part, ci)
        for most in (_LEAD, None):  # the most promising ones first, for an incumbent
            batches: list[Batch] = []
            for which, price in enumerate(prices):
                at = np.flatnonzero(self._wanted(goal, fits, price))
                at = at[np.argsort(goal.first(price)[at], kind="stable")][:most]
                if len(at):
                    found = self._rounds(goal, which, part.take(at), ci[at], fewest[at])
                    batches += islice(found, None if most is None else 2)
            for candidate in in_order(batches):
                if not self._better(candidate.keys, candidate.choice):
                    break
                self._visit(goal, candidate)

    def _beside(self, tiles: Tiles) -> tuple[Tiles, Ints, Ints]:
        """Tiles beside all input-channel tiles, and the fewest rounds of each pair."""
        width = len(self.space.ci)
        row, ci = np.repeat(np.arange(len(tiles.table)), width), np.tile(np.arange(width), len(tiles.table))
        part = tiles.take(row)
        return part, ci, self.space.fewest_rounds(part, self.space.ci[ci], self.space.trips_ci[ci])[1]

    def _visit(self, goal: Goal, candidate: Candidate) -> None:
        """What is done with a candidate that may be better than the incumbent."""
        self._pack(goal, candidate, nodes=0)

    def _rounds(self, goal: Goal, which: int, tiles: Tiles, ci: Ints, fewest: Ints) -> Iterable[Batch]:
        """Candidates of every number of rounds, as far as more rounds may still be better."""
        top = self.space.filters * len(self.space.kernels.layers)
        start = 0
        while len(ci):
            rounds = np.add.outer(fewest + start, np.arange(_BLOCK))
            may = self._wanted(goal, rounds <= top, self._floor(which, tiles, ci, rounds))
            row, column = np.nonzero(may)
            rounds, part, cis = rounds[row, column], tiles.take(row), ci[row]
            bounds = packed_bounds(self.space, part, cis, rounds)
            price = self._prices(which, part, cis, rounds, bounds)
            good = np.flatnonzero(self._wanted(goal, bounds.fits, price))
            if len(good):
                keys = goal.keys(price.take(good))
                bits, kept = price.traffic[good], bounds.take(good)
                chosen = part.take(good), cis[good], rounds[good]
                yield Batch(which, *chosen, keys, kept, bits, self._setup(which, *chosen))
            start += _BLOCK
            on = fewest + start <= top
            tiles, ci, fewest = tiles.take(on), ci[on], fewest[on]
            if len(ci):
                more = self._wanted(goal, True, self._floor(which, tiles, ci, (fewest + start)[:, None]))[
                    :, 0
                ]
                tiles, ci, fewest = tiles.take(more), ci[more], fewest[more]

    def _prices(self, which: int, tiles: Tiles, ci: Ints, rounds: Ints, bounds: PackedBounds) -> Price:
        runs = self.space.runs(tiles.table, rounds, ci)
        bits = self.space.run_bits(CLASSES[which], rounds, self.space.trips_ci[ci], tiles.table, runs)
        return bounds.price(self.space, bits, self._setup(which, tiles, ci, rounds))

    def _setup(self, which: int, tiles: Tiles, ci: Ints, rounds: Ints) -> Any:
        """Cycles to set the transfers up."""
        return self.space.setup(CLASSES[which], rounds, self.space.trips_ci[ci], tiles.table)

    def _floor(self, which: int, tiles: Tiles, ci: Ints, rounds: Ints) -> Price:
        """What mappings of at least so many rounds cost at least; ``rounds`` has a row for each tile.

        It is not above ``_prices``: the packing's bounds have the edge on top, and no fewer passes.
        """
        space, rows = self.space, np.s_[:, None]
        more = np.maximum(rounds - space.passes, 0)
        each = np.minimum.reduce([space.pass_cost(k, tiles, ci)[1] for k in range(len(space.kinds))])
        trips, table = space.trips_ci[ci][rows], tiles.table.take(rows)
        array = space.array(space.least_cycles(tiles, ci)[rows] + more * each[rows], TensorBits(0, 0, 0))
        bits = space.moved_bits(CLASSES[which], rounds, trips, table)
        setup = space.setup(CLASSES[which], rounds, trips, table)
        ports = None
        if space.energy is not None:
            ports = space.energy.array_bits(tiles, ci)[rows] + more * min(space.energy.read_bits)
        return space.price(space.latency(array, bits, setup), bits, ports)

    def _pack(self, goal: Goal, candidate: Candidate, *, nodes: int) -> bool:
        """Pack a candidate's filters and keep the best; False if that is not proven to be optimal."""
        which, count, ci, rank = candidate.choice
        spills = self._spills(candidate)
        packing = self.space.packing(candidate.tile, ci, spills)
        posed, least, split = posed_packing(self.space, goal, candidate, packing)
        known = Settling(least, split)
        if nodes:
            known = settling(self.space, goal, candidate, packing, spills)
        answer = best_packing(
            posed,
            count,
            candidate.most,
            candidate.target,
            known.least,
            known.split,
            rooms=known.rooms,
            nodes=nodes,
        )
        self.packed += 1
        self.spare_nodes -= answer.nodes
        if answer.packing is not None:
            price = packed_price(self.space, candidate, packing, answer.packing)
            mapping = self.space.mapping(CLASSES[which], ci, rank, answer.packing.rounds, candidate.tile)
            self._offer(goal, candidate.choice, mapping, price)
        if not answer.proven and nodes == 0:
            self.open.append(candidate)
        return answer.proven

    def _spills(self, candidate: Candidate) -> bool:
        """As of ``SharedSpace.edge``, where that looks at it."""
        return False

    def _unsettled(self) -> Any:
        """A bound on what is open, None if nothing that may be better is."""
        return min((safe(c.keys[0]) for c in self.open if self._better(c.keys, c.choice)), default=None)

    def _settle(self, goal: Goal) -> Any:
        """Branch and bound for what is open and may be better; returns a bound on what stays open."""
        left = None
        for candidate in sorted(self.open, key=lambda c: (c.keys, c.choice)):
            if not self._better(candidate.keys, candidate.choice):
                break
            late = self.spare_nodes <= 0 or (self.deadline is not None and monotonic() > self.deadline)
            if late or not self._pack(goal, candidate, nodes=min(NODES, self.spare_nodes)):
                bound = safe(candidate.keys[0])
                left = bound if left is None else min(left, bound)
        return left

    def _offer(
        self, goal: Goal, choice: tuple[int, int, int, int], mapping: SharedMapping, price: Price
    ) -> None:
        """Keep a mapping if it is within the cap and comes first."""
        found = Found(goal.values(price), choice, mapping, price)
        if goal.allows(price) and (self.best is None or found.order < self.best.order):
            self.best = found

    def _better(self, keys: tuple[Any, ...], choice: tuple[int, ...]) -> bool:
        """Whether a bound may come before the incumbent."""
        if self.best is None:
            return True
        if isinstance(self.best.keys[0], int):
            return (*keys, *choice) < self.best.order
        return bool(keys[0] <= limit(self.best))

    def _beaten(self, bound: Any) -> bool:
        return self.best is not None and bool(bound > limit(self.best))
