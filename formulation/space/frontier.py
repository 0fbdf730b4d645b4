"""What a layer costs at best within any partition of the buffer, as one short list.

Every mapping takes so many units of the buffer for ifmap, ofmap and weights. Among the mappings that take the
same units only those matter that no other one beats in latency and traffic at once; and these are few.
Restricted to what fits a partition, the list holds the optimum of every objective over these two within it.
Where the objective sums what is done, only its own best mapping of each need is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from formulation.cost import TensorBits, footprint
from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.pricing.price import Price
from formulation.problem import Problem
from formulation.space.space import CLASSES, Space
from formulation.space.tables import SpatialTable
from formulation.space.undominated import undominated_tiles

_CELLS = 1 << 19  # mappings priced at once
_WITHOUT_BANKS = 24  # units of a buffer that has no banks
_MOST = 96  # units at most; more banks are taken in groups


@dataclass(frozen=True, slots=True)
class Units:
    """The buffer in ``count`` units: ``sizes[k]`` is the part of ``k`` units [bits].

    Whole banks, or 1/24 of the buffer in whole bytes if there are none: the parts that
    ``Partition.from_ratio`` gives for a ratio of whole numbers that sum to ``count``. More than 96 banks
    are taken in 96 groups of (nearly) equally many.
    """

    count: int
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, hardware: Hardware) -> Units:
        """The units of a machine."""
        return _units(hardware.buffer_bits, hardware.bank_bits)

    def partition(self, shares: tuple[int, int, int]) -> Partition:
        """The partition of so many units for ifmap, ofmap and weights."""
        return Partition(*(self.sizes[k] for k in shares))

    def shares(self) -> Iterator[tuple[int, int, int]]:
        """All ways to divide the buffer, in lexicographic order; every part is at least one unit."""
        least = 1 if self.count >= 3 else 0
        for ifmap in range(least, self.count + 1):
            for ofmap in range(least, self.count - ifmap - least + 1):
                yield ifmap, ofmap, self.count - ifmap - ofmap

    def needed(self, bits: Ints) -> Ints:
        """The fewest units that hold so many bits; ``count + 1`` if the whole buffer does not."""
        return np.searchsorted(np.array(self.sizes), bits, side="left")


@lru_cache(maxsize=64)
def _units(buffer_bits: int, bank_bits: int) -> Units:
    grain = bank_bits if bank_bits > 1 else 8
    whole = buffer_bits // grain
    count = min(whole, _MOST) if bank_bits > 1 else _WITHOUT_BANKS
    return Units(count, tuple(grain * (whole * k // count) for k in range(count + 1)))


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """The mappings of a layer that are the best of some partition, by what they take and cost.

    Attributes:
        need: units of ifmap, ofmap and weights; 3 x mappings.
        price: what they cost.
    """

    need: Ints
    price: Price

    def __len__(self) -> int:
        return int(self.need.shape[1])

    def within(self, shares: tuple[int, int, int]) -> Ints:
        """Positions of the mappings that fit so many units of ifmap, ofmap and weights."""
        ifmap, ofmap, weights = self.need
        return np.flatnonzero((ifmap <= shares[0]) & (ofmap <= shares[1]) & (weights <= shares[2]))

    def take(self, at: Ints) -> Frontier:
        """Some of the mappings."""
        return Frontier(self.need[:, at], self.price.take(at))


def frontier(problem: Problem) -> Frontier:
    """Price every mapping over undominated tiles and keep, for each need, what no other one beats.

    Args:
        problem: its partition does not matter, nor its objective unless that sums what is done.
    """
    space = Space(problem)
    tiles, cycles = undominated_tiles(space.grid)
    co, ci = (axis.reshape(-1) for axis in np.indices((len(space.co.tile), len(space.ci.tile))))
    step = max(1, _CELLS // len(co))
    pieces = []
    for start in range(0, len(tiles), step):
        rows = np.arange(start, min(len(tiles), start + step))
        row = np.repeat(rows, len(co))
        pieces.append(_priced(space, tiles, cycles, np.tile(co, len(rows)), np.tile(ci, len(rows)), row))
    return _best(problem, _joined(pieces))


def _priced(space: Space, tiles: SpatialTable, cycles: Ints, co: Ints, ci: Ints, row: Ints) -> Frontier:
    """The mappings of some tiles that fit, in all loop orders."""
    hardware = space.problem.hardware
    units = Units.of(hardware)
    part = tiles.take(row)
    need: TensorBits = footprint(hardware, space.tile(co, ci, part))
    taken = np.stack([units.needed(bits) for bits in (need.ifmap, need.ofmap, need.weights)])
    fits = np.flatnonzero(taken.sum(axis=0) <= units.count)
    co, ci, part, taken = co[fits], ci[fits], part.take(fits), taken[:, fits]
    prices = [space.price(which, co, ci, part, cycles[row[fits]]) for which in CLASSES]
    return _best(space.problem, _joined([Frontier(taken, price) for price in prices]))


def _joined(pieces: list[Frontier]) -> Frontier:
    return Frontier(
        np.concatenate([p.need for p in pieces], axis=1),
        Price(*map(np.concatenate, zip(*(p.price for p in pieces), strict=True))),
    )


def _best(problem: Problem, front: Frontier) -> Frontier:
    """Of the mappings of equal need those that no other one beats, of equals one.

    Sorted by need and latency, a mapping stays if its traffic is below all before it of its need. Taking
    a growing amount off each run of equal needs turns the least so far into the least of the run so far.
    """
    if not len(front):
        return front
    if problem.rates is not None:
        keys = [measure.whole(front.price) for measure in problem.steps[-1].measures]
        front = front.take(np.lexsort((*keys[::-1], *front.need)))
        return front.take(np.flatnonzero(np.r_[True, np.any(np.diff(front.need, axis=1) != 0, axis=0)]))
    front = front.take(np.lexsort((front.price.traffic, front.price.latency, *front.need)))
    rank = np.unique(front.price.traffic, return_inverse=True)[1].reshape(-1)
    run = np.cumsum(np.r_[0, np.any(np.diff(front.need, axis=1) != 0, axis=0)])
    value = rank - run * (int(rank.max()) + 1)
    keep = np.r_[True, value[1:] < np.minimum.accumulate(value)[:-1]]
    return front.take(np.flatnonzero(keep))
