"""Which of the tiles of a stack's weights may be best together within a room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.network.frontiers.stairs import unbeaten_pairs
from formulation.network.stacks.search.blends import Blends
from formulation.space.counts import SAFE

_PRICES = 16  # of room that are tried
_BLOCK = 64  # choices that are compared at once


@dataclass(frozen=True, slots=True, eq=False)
class WeightTiles:
    """Tiles of a layer, or of several layers together; arrays of one length.

    Attributes:
        room: that they take of the buffer.
        bits: at the array; 0 if not asked for.
        time: of the array, in 64 bits or Python's integers.
        number: of the tile, or of what it goes on from and the tile.
        rank: of equals the least comes first.
        setup: cycles to set their transfers up; 0 if not asked for.
    """

    room: Ints
    bits: Ints
    time: Any
    number: Ints
    rank: Ints
    setup: Ints

    def take(self, index: Ints) -> WeightTiles:
        """Some of them."""
        number = self.number[..., index]
        room, bits, time = self.room[index], self.bits[index], self.time[index]
        return WeightTiles(room, bits, time, number, self.rank[index], self.setup[index])

    def kept(self, timed: bool) -> WeightTiles:
        """Those that no other one beats, by rising room; ``timed`` as of ``fitting``."""
        found = self.take(np.lexsort((self.rank, self.setup, self.time, self.bits, self.room)))
        if timed:
            figures = [found.bits, found.time, found.setup]
            few = [each for each in figures if len(each) and (each != each[0]).any()]
            if len(few) > 2:
                return found.take(unbeaten(*few))
            first, second = (*few, *figures)[:2]
            beats = unbeaten_pairs(first.tolist(), second.tolist())
            return found.take(np.flatnonzero(np.fromiter(beats, dtype=np.bool_, count=len(found.room))))
        order = np.lexsort((found.time, found.bits))
        bits, time = found.bits[order], found.time[order]
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.cumsum(np.r_[0, (np.diff(bits) != 0) | (np.diff(time) != 0)][: len(order)])
        less = np.r_[True, rank[1:] < np.minimum.accumulate(rank)[:-1]][: len(order)]
        return found.take(np.flatnonzero(less))


@dataclass(frozen=True, slots=True)
class Limits:
    """Most of interest: bits at the array, its time, cycles to set transfers up; None for no limit."""

    bits: int | None = None
    time: int | None = None
    setup: int | None = None

    def known(self, room: int) -> list[tuple[str, int]]:
        """Those that there are, with the room."""
        each = (("bits", self.bits), ("time", self.time), ("setup", self.setup))
        return [("room", room), *((name, most) for name, most in each if most is not None)]


def fitting(
    options: Sequence[WeightTiles], room: int, *, timed: bool, most: Limits | None = None
) -> list[list[int]]:
    """The numbers of one tile for each layer, layer by layer keeping what no other choice beats.

    What the other layers take at least is counted: what leaves them no room, or no bits, goes nowhere.

    Args:
        options: of each layer.
        room: for all of them.
        timed: whether more bits may be made good by less time, or by less time to set transfers up; else the
            fewest bits are best, then the least time, and there is one answer at most.
        most: of all layers together, all but bits where timed; None for no limits.
    """
    most = most or Limits()
    most_bits = most.bits
    if most_bits is not None or not timed:
        most_bits = sum(int(each.bits.max()) for each in options) if most_bits is None else most_bits
        options, most_bits = _within_reach(options, room, most_bits, timed=timed)
    if not options:
        return []
    zero = np.zeros(1, dtype=np.int64)
    states, steps = WeightTiles(zero, zero, zero, zero, zero, zero), list[Ints]()
    known = replace(most, bits=most_bits).known(room)
    blends = None
    if most.time is not None and most.setup is not None:
        blends = Blends.of(options, known)
        near = blends.options()
        if near is None:
            return []
        options = [each.take(index) for each, index in zip(options, near, strict=True)]
    caps = [(name, cap, _beside([getattr(o, name) for o in options])) for name, cap in known]
    for place, each in enumerate(options):
        within = np.ones(len(each.room), dtype=np.bool_)
        for name, cap, others in caps:
            within &= getattr(each, name) <= cap - others[place][0]
        some = each.take(np.flatnonzero(within)).kept(timed)
        before = np.repeat(np.arange(len(states.room)), len(some.room))
        at = np.tile(np.arange(len(some.room)), len(states.room))
        taken, moved = states.room[before] + some.room[at], states.bits[before] + some.bits[at]
        time, setup = states.time[before] + some.time[at], states.setup[before] + some.setup[at]
        rank = states.rank[before] * (1 + int(some.rank.max(initial=0))) + some.rank[at]
        states = WeightTiles(taken, moved, time, np.stack([before, some.number[at]]), rank, setup)
        fits = np.ones(len(taken), dtype=np.bool_)
        if blends is not None:
            fits = blends.within(place, [getattr(states, name) for name, _ in known])
        for name, cap, others in caps:
            fits &= getattr(states, name) <= cap - others[place][1]
        states = states.take(np.flatnonzero(fits)).kept(timed)
        states.rank[np.argsort(states.rank)] = np.arange(len(states.rank))  # in the order of all tiles so far
        steps.append(states.number)
    best = range(len(states.room)) if timed else range(len(states.room))[-1:]
    return [_traced(steps, at) for at in best]


def unbeaten(*figures: Any) -> Ints:
    """Where none before is at most as great in all figures."""
    columns = np.stack([np.unique(each, return_inverse=True)[1] for each in figures], axis=1)
    found = np.zeros(0, dtype=np.int64)
    for start in range(0, len(columns), _BLOCK):
        some = np.arange(start, min(start + _BLOCK, len(columns)))
        beaten = np.all(columns[found][None] <= columns[some][:, None], axis=2)
        some = some[~np.any(beaten, axis=1)]
        beats = np.all(columns[some][None] <= columns[some][:, None], axis=2)
        found = np.r_[found, some[~np.any(np.tril(beats, -1), axis=1)]]
    return found


def _within_reach(
    options: Sequence[WeightTiles], room: int, most_bits: int, *, timed: bool
) -> tuple[Sequence[WeightTiles], int]:
    """Tiles that may be in a choice of interest that fits the room, and the most bits of interest.

    At any price of a bit of room, a choice that fits has no fewer bits at the array than the sum over the
    layers of their tiles' ``bits + price * room``, less what the whole room is worth; of the layers besides a
    tile's own the least counts. The price is sought at which the least just fits. Arguments: see ``fitting``.

    Returns:
        Options of each layer; none if no choice is of interest. Bits.
    """
    price, low, high = 0, 0, None
    dearest = SAFE // 2 // max(1, *(int(each.room.max()) for each in options))
    for _ in range(_PRICES):
        priced = [each.bits + price * each.room for each in options]
        best = [int(values.argmin()) for values in priced]
        least = [int(values[at]) for values, at in zip(priced, best, strict=True)]
        fits = sum(int(each.room[at]) for each, at in zip(options, best, strict=True)) <= room
        if fits and not timed:  # so few can be had
            most_bits = min(most_bits, sum(int(e.bits[at]) for e, at in zip(options, best, strict=True)))
        spare = most_bits + price * room - sum(least)
        if spare < 0:
            return (), most_bits
        reach = zip(options, priced, least, strict=True)
        options = [each.take(np.flatnonzero(values <= own + spare)) for each, values, own in reach]
        low, high = (low, price) if fits else (price, high)
        price = 4 * price + 1 if high is None else (low + high) // 2
        if price in (low, high) or price > dearest:
            break
    return options, most_bits


def _beside(figures: Sequence[Any]) -> list[tuple[int, int]]:
    """For each layer what all others, and those after it, take at least."""
    least = [int(each.min()) for each in figures]
    return [(sum(least) - own, sum(least[at + 1 :])) for at, own in enumerate(least)]


def _traced(steps: Sequence[Ints], at: int) -> list[int]:
    """The tiles that a state has come from."""
    numbers = []
    for step in reversed(steps):
        numbers.append(int(step[1, at]))
        at = int(step[0, at])
    return numbers[::-1]
