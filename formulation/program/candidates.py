"""Candidate mappings for the mixed-integer program: what an incumbent leaves, and loses nothing.

Three sieves, each lossless for mappings that are at least as good as the incumbent:

1. Bounds (``formulation.space.space``): spatial tiles, then pairs of them with output-channel tiles, whose
   bound is worse than the incumbent or above the latency cap.
2. Dominance: a spatial tile if another has at most its trips, ifmap words (fetched and slid), largest ifmap
   tile, pixels, array cycles and, where runs take whole bursts, those of feature maps. Every cost is
   non-decreasing in each of these, and so is every footprint.
3. Price: a triple of tiles in a loop order that does not fit, or whose exact price is worse.

``Sieve`` says which of them are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from formulation.cost import Num
from formulation.extents import Ints
from formulation.pricing.price import Price
from formulation.space.blocks import CELLS, pairs
from formulation.space.space import Space
from formulation.space.tables import SpatialTable
from formulation.space.undominated import undominated as front

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Wanted = Callable[[Price], Num]
"""Where a price, or a bound on one, is still of interest."""

Check = Callable[[], object]
"""Called between pieces of work; what it raises ends the work."""


class Sieve(StrEnum):
    """What is taken from the program before it is built, beside what is dominated or does not fit."""

    PRICES = "prices"  # mappings whose bound, or price, is worse than the incumbent's
    BOUNDS = "bounds"  # those whose bound is: the program compares all prices
    NONE = "none"  # nothing: the whole map space


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Triples of tiles with a loop order.

    Attributes:
        tiles: spatial tiles.
        cycles: their cycle factors.
        which: position of the loop order in the space's ``orders``, for each triple.
        co: position in the space's output-channel table, for each triple.
        ci: the same for input channels.
        row: the same for ``tiles``.
        price: exact latency and traffic of each triple.
    """

    tiles: SpatialTable
    cycles: Ints
    which: Ints
    co: Ints
    ci: Ints
    row: Ints
    price: Price

    def __len__(self) -> int:
        return len(self.which)

    def take(self, keep: Mask | Ints) -> Candidates:
        """Some of the triples, over the same tiles."""
        which, co, ci, row = (getattr(self, name)[keep] for name in ("which", "co", "ci", "row"))
        return Candidates(self.tiles, self.cycles, which, co, ci, row, self.price.take(keep))


def undominated(tiles: SpatialTable, cycles: Ints, check: Check = bool, more: Sequence[Ints] = ()) -> Ints:
    """Positions of spatial tiles that no other one dominates, ordered by columns; of equals the first.

    Args:
        tiles: the tiles.
        cycles: their cycle factors.
        check: called between pieces of work; what it raises ends it.
        more: columns by which the tiles cost besides their own.
    """
    names = (name for name in tiles.__match_args__ if name not in ("rank", "slide"))
    columns = [cycles, *(getattr(tiles, name) for name in names), *more]
    order = np.lexsort([tiles.rank, *columns[::-1]])
    points = np.stack(columns)[:, order]
    first = np.r_[True, (points[:, 1:] != points[:, :-1]).any(axis=0)][: len(order)]
    order, points = order[first], points[:, first]
    return np.asarray(order[front(points, check)])


def candidates(
    space: Space,
    tiles: SpatialTable,
    cycles: Ints,
    wanted: Wanted,
    exactly: Wanted | None = None,
    check: Check = bool,
) -> Candidates:
    """All triples over the undominated among the given spatial tiles that fit and whose price is wanted.

    Args:
        space: the map space.
        tiles: spatial tiles that survived their bounds; all of them for an unpruned model.
        cycles: their cycle factors.
        wanted: must hold for a price if it holds for one that is greater or equal in both parts.
        exactly: the same for the exact prices of triples, None if as for their bounds.
        check: called between pieces of work; what it raises ends it.
    """
    kept = undominated(tiles, cycles, check, space.more_columns(tiles))
    tiles, cycles = tiles.take(kept), cycles[kept]
    pieces = []
    for order, rows, out in _pairs(space, tiles, cycles, wanted, check):
        pieces.append(_triples(space, tiles, cycles, order, rows, out, exactly or wanted))
    if not pieces:
        none = np.zeros(0, dtype=np.int64)
        return Candidates(tiles, cycles, none, none, none, none, Price.of(none, none))
    which, co, ci, row, *prices = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Candidates(tiles, cycles, which, co, ci, row, Price(*prices))


def _pairs(
    space: Space, tiles: SpatialTable, cycles: Ints, wanted: Wanted, check: Check
) -> Iterable[tuple[int, Ints, Ints]]:
    """Pairs (spatial tile, output-channel tile) per loop order whose bound is wanted, in pieces."""
    size = max(1, CELLS // len(space.ci.tile))
    for row, co in pairs(len(tiles), len(space.co.tile)):
        check()
        fits, prices = space.bounds(tiles.take(row), cycles[row], co)
        for which, price in zip(space.orders, prices, strict=True):
            keep = np.flatnonzero(fits & wanted(price))
            for first in range(0, max(1, len(keep)), size):
                check()
                piece = keep[first : first + size]
                yield which, row[piece], co[piece]


def _triples(
    space: Space, tiles: SpatialTable, cycles: Ints, which: int, row: Ints, co: Ints, wanted: Wanted
) -> tuple[Ints, ...]:
    """Pairs extended by every input-channel tile: columns which, co, ci, row, and those of the price."""
    width = len(space.ci.tile)
    ci = np.tile(np.arange(width), len(row))
    row, co = np.repeat(row, width), np.repeat(co, width)
    fits = np.flatnonzero(space.feasible(space.tile(co, ci, tiles.take(row))))
    ci, row, co = ci[fits], row[fits], co[fits]
    price = space.price(space.orders[which], co, ci, tiles.take(row), cycles[row])
    keep = np.flatnonzero(wanted(price))
    ci, row, co = ci[keep], row[keep], co[keep]
    return np.full(len(keep), which), co, ci, row, *price.take(keep)
