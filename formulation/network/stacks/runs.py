"""Which positions of every map each piece of a cut computes, along one spatial axis of a stack.

The last layer's ofmap is cut into pieces of one size, the last one smaller; this is done for many sizes at
once. Along the first axis the pieces are *bands*, and a map computes in a band what earlier bands have not.
Along the others they are *strips*, each of which computes all that it needs.

With ``[lo, hi)`` the hull of what the consumers of a map need for what they compute in band b (those of
``held`` reads alone: ``lo', hi'``), and over all bands of one cut

    E(b)  = max of hi over the bands up to b           what has been computed ends here
    K(b)  = min of lo over the bands from b on         nobody needs what lies before any more
    new   = [max(E(b-1), K(b)), E(b))                  one run; what nobody needs is skipped
    kept  = [K'(b), min(E(b-1), H'(b)))                K', H' = min of lo', max of hi', from b on

A strip's run is ``[lo, hi)``. Of a map that must be computed within ``[m0, m1)`` (it leaves the stack, or
what is drained of it does) nothing there is skipped: what lies in a gap is computed with the run after it,
what lies behind all runs with the run that ends last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formulation.extents import Ints, trip_count
from formulation.network.stacks.stack import Stack
from formulation.network.stacks.windows import NOWHERE, needed

_SPAN = NOWHERE << 1  # numbers of one cut lie within a span, cuts in different ones


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """An axis cut into pieces, for several sizes; the pieces of all sizes in a row.

    Attributes:
        sizes: of the pieces.
        begin: index of each size's first piece.
        owner: which size each piece belongs to.
        first: where each piece begins.
        stop: where it ends.
    """

    sizes: Ints
    begin: Ints
    owner: Ints
    first: Ints
    stop: Ints

    @classmethod
    def of(cls, extent: int, sizes: Ints) -> Cut:
        """The cuts of an axis into pieces of the given sizes."""
        trips = trip_count(extent, sizes)
        begin = np.cumsum(trips) - trips
        owner = np.repeat(np.arange(len(sizes)), trips)
        first = (np.arange(len(owner)) - begin[owner]) * sizes[owner]
        return cls(sizes, begin, owner, first, np.minimum(first + sizes[owner], extent))

    def most_so_far(self, values: Ints) -> Ints:
        """The greatest value of the pieces up to each one, within each cut; values from 0."""
        base = self.owner * _SPAN
        return np.asarray(np.maximum.accumulate(values + base) - base)

    def least_from(self, values: Ints) -> Ints:
        """The least value of the pieces from each one on, within each cut; values from 0."""
        base = self.owner * _SPAN
        return np.asarray(np.minimum.accumulate((values + base)[::-1])[::-1] - base)

    def most_from(self, values: Ints) -> Ints:
        """The greatest value of the pieces from each one on, within each cut; values up to ``NOWHERE``."""
        return np.asarray(NOWHERE - self.least_from(NOWHERE - values))

    def before(self, values: Ints) -> Ints:
        """The value of the piece before, 0 for the first of a cut."""
        moved: Ints = np.r_[0, values[:-1]]
        moved[self.begin] = 0
        return moved

    def final(self, values: Ints) -> Ints:
        """For each piece the value of the last one of its cut."""
        return np.asarray(values[np.r_[self.begin[1:], len(values)] - 1][self.owner])


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """What one map computes in each piece: ``[first, stop)``, and how many positions it keeps for it."""

    first: Ints
    stop: Ints
    kept: Ints

    @property
    def new(self) -> Ints:
        """How many positions each piece computes."""
        return np.asarray(np.maximum(0, self.stop - self.first))


def runs(stack: Stack, axis: int, cut: Cut, *, bands: bool) -> tuple[Computed | None, ...]:
    """What every map of a stack computes in each piece of a cut of one axis of its last ofmap.

    None for a map that nothing on the way to the last ofmap needs, and that reads nothing from outside.
    """
    walk = _RunWalk(stack, axis, cut, bands)
    walk.run()
    return tuple(walk.runs)


class _RunWalk:
    """Walks the maps from the last to the first, so that a map's consumers stand before it."""

    def __init__(self, stack: Stack, axis: int, cut: Cut, bands: bool) -> None:
        self.maps, self.axis, self.cut, self.bands = stack.maps, axis, cut, bands
        self.root = stack.root
        self.runs: list[Computed | None] = [None] * len(stack.maps)
        self.consumers: list[list[tuple[int, bool]]] = [[] for _ in stack.maps]
        for index, made in enumerate(stack.maps):
            for read in made.reads:
                if (index, read.held) not in self.consumers[read.map]:
                    self.consumers[read.map].append((index, read.held))
        self.ahead = stack.ahead
        self.must = self._musts()

    def run(self) -> None:
        """Fill in the runs; what only leaves the stack follows what it is drained of."""
        for index in reversed(range(len(self.maps))):
            if index == self.root:
                self.runs[index] = Computed(self.cut.first, self.cut.stop, np.zeros_like(self.cut.first))
            elif index in self.ahead or not self.maps[index].reads:
                self.runs[index] = self._run(index)
            else:
                continue
            self._follow(index)

    def _musts(self) -> list[tuple[int, int]]:
        """What of each map must be computed whether or not a piece needs it; ``(NOWHERE, 0)`` for nothing."""
        musts = [(NOWHERE, 0)] * len(self.maps)
        for index in reversed(range(len(self.maps))):
            made = self.maps[index]
            low, high = (0, made.extents[self.axis]) if made.leaves else (NOWHERE, 0)
            for consumer, _ in self.consumers[index]:
                first, stop = musts[consumer]
                if consumer not in self.ahead and stop > first:
                    for lo, hi in self._needs(consumer, index, np.array([first]), np.array([stop])):
                        low, high = min(low, int(lo[0])), max(high, int(hi[0]))
            musts[index] = low, high
        return musts

    def _needs(self, consumer: int, index: int, first: Ints, stop: Ints) -> list[tuple[Ints, Ints]]:
        reads = (read for read in self.maps[consumer].reads if read.map == index)
        return [needed(read.windows[self.axis], first, stop) for read in reads]

    def _hull(self, index: int, held_only: bool) -> tuple[Ints, Ints]:
        low, high = np.full_like(self.cut.first, NOWHERE), np.zeros_like(self.cut.first)
        for consumer, held in self.consumers[index]:
            run = self.runs[consumer]
            if run is not None and (held or not held_only):
                for lo, hi in self._needs(consumer, index, run.first, run.stop):
                    low, high = np.minimum(low, lo), np.maximum(high, hi)
        return low, high

    def _run(self, index: int) -> Computed:
        cut, (m0, m1) = self.cut, self.must[index]
        low, high = self._hull(index, held_only=False)
        end = cut.most_so_far(high)
        last = end == cut.final(end)  # computes the last that is needed, or comes after that
        closes = np.zeros_like(last)
        closes[cut.begin] = True
        closes = last & (closes | (cut.before(end) < end))
        high = np.where(closes, np.maximum(high, m1), high)
        end = np.where(last, np.maximum(end, m1), end)
        before = cut.before(end)
        begin = cut.least_from(low) if self.bands else low
        gap = np.maximum(before, m0)
        gapped = (gap < np.minimum(begin, m1)) & (high > 0)
        if not self.bands:
            return Computed(np.where(gapped, gap, low), high, np.zeros_like(high))
        first = np.where(gapped, gap, np.maximum(before, begin))
        lo, hi = self._hull(index, held_only=True)
        kept = np.minimum(before, cut.most_from(hi)) - cut.least_from(lo)
        return Computed(first, end, np.maximum(0, kept))

    def _follow(self, index: int) -> None:
        """Runs of what is drained of a map and only leaves the stack: what its operand newly completes."""
        for consumer, held in self.consumers[index]:
            if consumer in self.ahead or held:
                continue
            operand = self.runs[index]
            assert operand is not None
            ends = self.cut.most_so_far(np.where(operand.stop > operand.first, operand.stop, 0))
            out = self.maps[consumer].extents[self.axis]
            every = np.arange(out)
            done = np.full_like(ends, out)
            for _, stop in self._needs(consumer, index, every, every + 1):
                done = np.minimum(done, np.searchsorted(np.maximum.accumulate(stop), ends, side="right"))
            done = np.where(ends == self.cut.final(ends), out, done)
            self.runs[consumer] = Computed(self.cut.before(done), done, np.zeros_like(done))
            self._follow(consumer)
