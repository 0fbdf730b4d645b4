"""Input intervals of one axis whose tiles are cut into sub-tiles, for many pairs of sizes at once.

A boundary is an output at which a tile or a sub-tile begins, the first one aside. With ``reach`` the
distance from one interval's end beyond the next one's start, and ``clamp(x) = min(max(x, 0), in)``::

    words over all sub-tiles = span + sum over boundaries b of
        clamp(b*stride - pad_lo + reach) - clamp(b*stride - pad_lo)

as the sum of all ends less all starts telescopes. The boundaries of the sub-tiles of one place within their
tiles are an arithmetic progression, so a pair of sizes costs time proportional to the sub-tiles of one tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dnns.axes import Axis
from formulation.cost import Num
from formulation.extents import AxisTable, Ints, axis_table, clamped_sum, cut_tiles, full_axis_table


@dataclass(frozen=True, slots=True, eq=False)
class CutTable:
    """One axis cut twice, for each pair of sizes; arrays have the pairs' shape.

    Attributes:
        whole: of the tiles, as if they were not cut.
        sub: sizes of the sub-tiles [outputs].
        kinds: pairs (how many sub-tiles, outputs) over the whole axis.
        fetched: sum over the sub-tiles of the input interval's length [words].
        within: the same if each sub-tile fetches only what the one before it in its tile has not [words].
        largest: the longest interval of a sub-tile [words].
    """

    whole: AxisTable
    sub: Ints
    kinds: list[tuple[Num, Num]]
    fetched: Ints
    within: Ints
    largest: Ints

    @property
    def slid(self) -> Ints:
        """Words if every sub-tile but the first fetches only what the one before it has not."""
        return np.minimum(self.whole.slid, self.fetched)


def cut_table(axis: Axis, tile: Ints, sub: Ints) -> CutTable:
    """Sub-tiles of an axis, for pairs of sizes ``1 <= sub <= tile <= out``.

    Slid within a tile, overlapping intervals (``Ke >= stride``) telescope to the tile's own interval;
    disjoint ones save nothing, and what lies between them is not fetched. Python's integers in ``object``
    arrays stay what they are.
    """
    whole = axis_table(axis, tile)
    inside = -(-tile // sub)
    pair = np.repeat(np.arange(len(tile)), inside.astype(np.int64))
    first = np.r_[0, np.cumsum(inside.astype(np.int64))[:-1]]
    place = (np.arange(len(pair)) - first[pair]) * sub[pair]
    at = _Places(axis, tile[pair], sub[pair], place, whole.trips[pair], whole.edge[pair])
    fetched = whole.slid * 0 + span_words(axis) + np.add.reduceat(at.overlap(), first)
    overlapping = axis.effective_kernel >= axis.stride
    within = whole.fetched if overlapping else fetched
    largest = np.maximum.reduceat(at.longest(), first)
    return CutTable(whole, sub, cut_tiles(axis.out, tile, sub), fetched, within, largest)


def span_words(axis: Axis) -> int:
    """From the start of the first interval to the end of the last one."""
    end = (axis.out - 1) * axis.stride - axis.pad_lo + axis.effective_kernel
    return int(_clamp(axis, end) - _clamp(axis, -axis.pad_lo))


def overlaps(axis: Axis) -> Ints:
    """What a boundary at each output but the first adds to the words of a pass: negative for a gap."""
    start = np.arange(1, axis.out) * axis.stride - axis.pad_lo
    reach = axis.effective_kernel - axis.stride
    return np.asarray(_clamp(axis, start + reach) - _clamp(axis, start))


def first_interval(axis: Axis, outputs: Ints) -> Ints:
    """Words of the interval of the first so many outputs."""
    return _interval(axis, 0, outputs)


@lru_cache(maxsize=4096)
def least_fetched(axis: Axis) -> Ints:
    """Entry ``n - 1`` is at most the words of a pass over ``n`` sub-tiles or more, if each fetches its own.

    With overlapping intervals (``Ke >= stride``) each boundary adds to the span of them all, so at least the
    sum of as many of the least overlaps. Else each takes words away: at least those of tiles of one output.
    """
    if axis.effective_kernel < axis.stride:
        return np.full(axis.out, full_axis_table(axis).fetched[0])
    return np.asarray(span_words(axis) + np.r_[0, np.cumsum(np.sort(overlaps(axis)))])


@lru_cache(maxsize=4096)
def least_largest(axis: Axis) -> Ints:
    """Entry ``s - 1`` is at most the longest interval of sub-tiles of ``s`` outputs or more.

    The first sub-tile begins at 0. If the axis has ``3 s`` outputs, another one of ``s`` begins between ``s``
    and ``2 s - 1``: the second of the first tile, or the first of the second tile if that comes sooner. An
    interval's length as a function of its place rises, is level, then falls: no less than at one of the ends.
    """
    sub = np.arange(1, axis.out + 1)
    end = np.minimum(_interval(axis, sub, sub), _interval(axis, 2 * sub - 1, sub))
    longest = np.maximum(first_interval(axis, sub), np.where(3 * sub <= axis.out, end, 0))
    return np.asarray(np.minimum.accumulate(longest[::-1])[::-1])


def _interval(axis: Axis, place: Num, outputs: Ints) -> Ints:
    """Words of the interval of so many outputs from a place on."""
    start = place * axis.stride - axis.pad_lo
    end = start + (outputs - 1) * axis.stride + axis.effective_kernel
    return np.asarray(_clamp(axis, end) - _clamp(axis, start))


def _clamp(axis: Axis, place: Num) -> Num:
    if isinstance(place, int):
        return min(max(place, 0), axis.in_size)
    return np.clip(place, 0, axis.in_size)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Sub-tiles of one place within their tiles, over all tiles: what is counted of each place.

    Attributes:
        axis: the axis.
        tile: size of the tiles.
        sub: size of the sub-tiles.
        place: where the sub-tile begins in its tile [outputs].
        trips: tiles.
        edge: size of the last tile.
    """

    axis: Axis
    tile: Ints
    sub: Ints
    place: Ints
    trips: Ints
    edge: Ints

    def overlap(self) -> Ints:
        """Words by which the intervals beyond each boundary of these overlap, less gaps."""
        axis, step = self.axis, self.tile * self.axis.stride
        count = self.trips - 1 * (self.place >= self.edge)  # tiles that have a sub-tile at this place
        skip = 1 * (self.place == 0)  # the axis begins there: no boundary
        start = self.place * axis.stride - axis.pad_lo + skip * step
        reach = axis.effective_kernel - axis.stride
        ends = clamped_sum(start + reach, step, count - skip, axis.in_size)
        return np.asarray(ends - clamped_sum(start, step, count - skip, axis.in_size))

    def longest(self) -> Ints:
        """The longest interval of these.

        Over full tiles the length rises until the start passes 0 or the end passes ``in``, is level, then
        falls: its maximum is beside the first of these two points. The last tile is looked at as well.
        """
        axis, step = self.axis, self.tile * self.axis.stride
        length = np.minimum(self.sub, self.tile - self.place)
        last = np.minimum(self.sub, self.edge - self.place)
        begin = self.place * axis.stride - axis.pad_lo
        end = begin + length * axis.stride + axis.effective_kernel - axis.stride
        turn = np.minimum(-(begin // step), -(-(axis.in_size - end) // step))
        full = self.trips - 1
        beside = [np.clip(turn + d, 0, np.maximum(full - 1, 0)) for d in (-1, 0, 1)]
        lengths = [np.where(full > 0, self._length(k, length), 0) for k in beside]
        edge = np.where(last > 0, self._length(full, np.maximum(last, 1)), 0)
        return np.asarray(np.maximum.reduce([*lengths, edge]))

    def _length(self, tile: Ints, outputs: Ints) -> Ints:
        """Of the interval of so many outputs at this place of a tile."""
        return _interval(self.axis, tile * self.tile + self.place, outputs)
