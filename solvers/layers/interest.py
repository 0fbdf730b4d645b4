"""Where mappings may come before a known one: asked of tiles, of blocks of them, and with their channels.

The price of a block is a bound on those of its tiles: if it is of no interest, none of them is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

import numpy as np
from numpy.typing import NDArray

from formulation.cost import Num
from formulation.extents import Ints
from formulation.mapping import Group
from formulation.pricing.price import Price
from formulation.space.blocks import pairs
from formulation.space.space import Space
from formulation.space.tables import SpatialTable
from solvers.backends.deadline import NEVER, Deadline
from solvers.goals import Goal, LayerFound

Mask = NDArray[np.bool_]

Seen = tuple[Mask, tuple[Num, ...]]
"""Which of some tiles are of interest, and bounds on the measures of their mappings."""


@dataclass(frozen=True, slots=True, eq=False)
class TileBounds:
    """Spatial tiles, perhaps beside an output-channel tile each, with bounds on all their mappings.

    Attributes:
        sp: tiles.
        cycles: their cycle factors.
        co: positions of the output-channel tiles; None if the bounds are on all.
        fits: where any mapping fits.
        prices: the bounds by the position of the loop order; meaningless where nothing fits.
    """

    sp: SpatialTable
    cycles: Ints
    co: Ints | None
    fits: Mask
    prices: dict[int, Price]

    @classmethod
    def of(cls, space: Space, sp: SpatialTable, cycles: Ints, co: Ints | None = None) -> TileBounds:
        """The bounds that the space has for tiles of these cycle factors."""
        fits, prices = space.bounds(sp, cycles, co)
        return cls(sp, cycles, co, fits, dict(zip(space.orders, prices, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """Where mappings may come before a known one.

    Attributes:
        space: the map space.
        goal: their order, and its cap.
        best: the known mapping; None if there is none, so that all within the cap are of interest.
        alike: whether what is as good in the first quantity is of interest, whatever else it costs.
        deadline: looked at between pieces of work.
    """

    space: Space
    goal: Goal
    best: LayerFound | None
    alike: bool = False
    deadline: Deadline = NEVER

    def tiles(self, sp: SpatialTable, cycles: Ints) -> Seen:
        """Which tiles, or blocks, of these cycle factors are of interest, and their bounds."""
        self.deadline.check()
        return self.among(TileBounds.of(self.space, sp, cycles))

    def among(self, tiles: TileBounds) -> Seen:
        """The same where the bounds are known."""
        alive = reduce(or_, (self.mappings(which, tiles) for which in self.space.orders))
        keys = (self.goal.keys(price) for price in tiles.prices.values())
        return tiles.fits & alive, tuple(reduce(np.minimum, each) for each in zip(*keys, strict=True))

    def blocks(self, blocks: SpatialTable) -> Mask:
        """Which blocks are of interest by the bounds on all their mappings."""
        return self.tiles(blocks, self.space.least_cycles(blocks))[0]

    def closely(self, blocks: SpatialTable) -> Mask:
        """Which blocks are of interest beside some pair of channel tiles: by what each pair costs at least.

        First beside each output-channel tile, then, where that leaves it, beside each input-channel tile.
        """
        space, cycles = self.space, self.space.least_cycles(blocks)
        kept = np.zeros(len(blocks), dtype=np.bool_)
        channels = self.out_channels(blocks, cycles)
        for row, at in pairs(len(blocks), len(channels)):
            self.deadline.check()
            bounded = TileBounds.of(space, blocks.take(row), cycles[row], channels[at])
            for which in space.orders:
                good = bounded.fits & ~kept[row] & self.mappings(which, bounded)
                self._mark(which, blocks, cycles, row[good], channels[at[good]], kept)
        return kept

    def out_channels(self, sp: SpatialTable, cycles: Ints) -> Ints:
        """Positions of the output-channel tiles that are of interest beside some of the given tiles.

        Where these are cut as well, they are many: beside the least of every column of the tiles, each is
        asked for first.
        """
        space, everything = self.space, np.arange(len(self.space.co.tile))
        if space.cut is not Group.CO or not len(sp):
            return everything
        least = type(sp)(*(np.full(len(everything), getattr(sp, n).min()) for n in sp.__match_args__))
        fastest = np.full(len(everything), cycles.min())
        return np.flatnonzero(self.among(TileBounds.of(space, least, fastest, everything))[0])

    def _mark(self, which: int, blocks: SpatialTable, cycles: Ints, row: Ints, co: Ints, kept: Mask) -> None:
        """Mark the blocks that are of interest in a loop order, beside an output-channel tile each."""
        space = self.space
        for pair, ci in pairs(len(row), len(space.ci.tile)):
            self.deadline.check()
            rows, cos = row[pair], co[pair]
            part = blocks.take(rows)
            fits = np.flatnonzero(space.feasible(space.tile(cos, ci, part)))
            rows, cos, ci, part = rows[fits], cos[fits], ci[fits], part.take(fits)
            price = space.least_price(space.orders[which], cos, ci, part, cycles[rows])
            kept[rows[self._before(which, price, cos, ci, part)]] = True

    def _before(self, which: int, price: Price, co: Ints, ci: Ints, sp: SpatialTable) -> Mask:
        """Where mappings of these prices, which tell everything but the tile, may come before the best."""
        good = self._wanted(price)
        if self.best is None or self.alike:
            return good
        tied = self._equal(price, self.best)
        best_which, best_co, best_ci, rank = self.best.choice
        first = np.full(len(co), which < best_which)
        if which == best_which:
            first = (co < best_co) | (co == best_co) & ((ci < best_ci) | (ci == best_ci) & (sp.rank < rank))
        return np.asarray(good & (first | ~tied))

    @staticmethod
    def _equal(price: Price, best: LayerFound) -> Mask:
        pairs = zip(price, best.price, strict=True)
        return np.asarray(reduce(and_, (values == known for values, known in pairs)))

    def _wanted(self, price: Price) -> Mask:
        ask = self.goal.promising if self.alike else self.goal.wanted
        return np.asarray(ask(price, self.best))

    def mappings(self, which: int, bounded: TileBounds) -> Mask:
        """Where mappings of one loop order may come before the best, which ties included.

        Where a bound is just the best's price, only its equals can come before it, if they do by what
        breaks ties: in the same loop order by a smaller channel tile, whose bound may be worse, or by
        the same channel tiles beside an earlier spatial tile.

        Args:
            which: position of the loop order.
            bounded: tiles with bounds on their mappings; where nothing fits, the answer means nothing.
        """
        bound = bounded.prices[which]
        may, best = self._wanted(bound), self.best
        if best is None or self.alike or which < best.choice[0]:
            return may
        tied = np.flatnonzero(may & self._equal(bound, best))
        if which > best.choice[0]:
            may[tied] = False
        elif len(tied):
            co = None if bounded.co is None else bounded.co[tied]
            may[tied] = self._sooner(best, bounded.sp.take(tied), bounded.cycles[tied], co)
        return may

    def _sooner(self, best: LayerFound, sp: SpatialTable, cycles: Ints, co: Ints | None) -> Mask:
        """Where mappings in the best's loop order may be as good and have smaller tiles."""
        space, goal = self.space, self.goal
        which, best_co, best_ci, rank = best.choice

        def as_good(most_co: int, most_ci: int) -> Num:
            fits, prices = space.bounds(sp, cycles, co, (most_co, most_ci))
            return fits & goal.wanted(prices[list(space.orders).index(which)], best)

        same = space.feasible(space.tile(best_co, best_ci, sp)) & (sp.rank < rank)
        least = space.least_price(space.orders[which], best_co, best_ci, sp, cycles)
        same &= goal.wanted(least, best)
        co_tile, ci_tile = (np.r_[0, table.tile] for table in (space.co, space.ci))
        sooner = same | as_good(co_tile[-1], ci_tile[best_ci])
        if co is None:
            return np.asarray(sooner | as_good(co_tile[best_co], ci_tile[-1]))
        return np.asarray((co < best_co) | ((co == best_co) & sooner))
