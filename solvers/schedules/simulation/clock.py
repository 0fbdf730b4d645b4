"""When the DMA engine and the array do what a step asks for.

The engine works through one queue in the order of need: before a step's tiles come those of all steps
before. A tile is fetched when the engine is free and so is a half of its tensor's part: when the last step
that uses the tile but one before it is done. An ofmap tile is written back when it is done; that must be over
before the tile after the next is begun. The array begins a step when it is done with the one before and the
step's tiles are there. An ofmap tile that stays for several steps may be written in as many pieces, one in
the queue of each step of the next tile.

Each transfer of a tile is set up first, also that of a tile without words; the engine does nothing else
meanwhile. One that is written in pieces is set up once, a share of it with each piece.

With one half nothing overlaps: an ofmap tile goes out before the next step's tiles come in.

A date is a tuple: ticks after each of several dates in the past of which the latest decides. Where that past
is known it has one element. So the same code runs a nest step by step, and composes steps for ``skipping``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from solvers.schedules.simulation.machine import Accelerator
from solvers.schedules.simulation.nest import IFMAP, OFMAP, WEIGHTS, Nest, TileStep

Date = tuple[float, ...]
"""Whole numbers of ticks, or minus infinity."""


def later(one: Date, other: Date) -> Date:
    """The later of two dates."""
    return tuple(map(max, one, other))


def after(date: Date, ticks: int) -> Date:
    """Some ticks later."""
    return tuple(element + ticks for element in date)


@dataclass(frozen=True, slots=True)
class Clock:
    """What has happened when.

    Attributes:
        engine: when the engine is done with its queue up to here.
        array: when the array is done with the steps up to here.
        weights: when the half was, or will be, free that the next weight tile goes to.
        ifmap: the same of the ifmap.
        ofmap: when the ofmap tile before this one was done.
    """

    engine: Date
    array: Date
    weights: Date
    ifmap: Date
    ofmap: Date

    @property
    def dates(self) -> tuple[Date, ...]:
        """All of them, in this order."""
        return self.engine, self.array, self.weights, self.ifmap, self.ofmap


START = Clock(*((0,) for _ in range(5)))
"""Everything is free."""


@dataclass(frozen=True, slots=True)
class OfmapTile:
    """An ofmap tile in the buffer: its words, whether they are final, and the bits that it goes out with."""

    words: int
    final: bool
    bits: int


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Ofmap tiles that are still to be written.

    Attributes:
        current: the one that is being worked on; None before the first step.
        done: the one before, if it is not in the engine's queue yet.
    """

    current: OfmapTile | None = None
    done: OfmapTile | None = None


_QUEUE = {
    None: (OFMAP, WEIGHTS, IFMAP),
    WEIGHTS: (WEIGHTS, OFMAP, IFMAP),
    IFMAP: (IFMAP, OFMAP, WEIGHTS),
    OFMAP: (WEIGHTS, IFMAP, OFMAP),
}
"""The order of transfers in the queue of a step, by the tensor that stays: its half is free the longest.
Nothing but the tile after the next waits until an ofmap tile that has stayed is written, so that is last."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a machine runs the steps of a nest.

    Attributes:
        machine: that runs it; a tick of it is divisible by ``pieces``.
        stays: the tensor whose tile stays for several steps.
        pieces: in which an ofmap tile that stays is written, as many as the steps that it stays for; 1 to
            write it whole.
    """

    machine: Accelerator
    stays: str | None
    pieces: int = 1

    @classmethod
    def of(cls, nest: Nest, *, in_pieces: bool = False) -> Self:
        """That of a nest; with several pieces its ticks are shorter than those of the nest's machine."""
        machine, stays, pieces = nest.machine, nest.stays, 1
        if in_pieces and stays == OFMAP and machine.halves == 2:
            pieces = nest.loops[nest.places["in_channels"]].trips
        per_cycle, per_bit = pieces * machine.ticks_per_cycle, pieces * machine.ticks_per_bit
        return cls(replace(machine, ticks_per_cycle=per_cycle, ticks_per_bit=per_bit), stays, pieces)

    def written(self, step: TileStep, unwritten: Unwritten) -> OfmapTile | None:
        """The ofmap tile whose writing begins in the queue of a step."""
        if self.machine.halves == 2 and self.pieces == 1:
            return unwritten.done
        return unwritten.current if step.opens else None

    def left(self, step: TileStep, unwritten: Unwritten) -> Unwritten:
        """What is unwritten behind a step."""
        current = OfmapTile(step.ofmap, step.final, step.bits.final if step.final else step.bits.partial)
        if self.machine.halves == 2 and step.opens:
            return Unwritten(current, unwritten.current)
        return Unwritten(current, unwritten.done if self.pieces > 1 else None)

    def last(self, unwritten: Unwritten) -> tuple[OfmapTile, ...]:
        """The ofmap tiles that are written behind the last step."""
        done = unwritten.done if self.pieces == 1 else None
        return tuple(tile for tile in (done, unwritten.current) if tile is not None)

    def step(self, clock: Clock, step: TileStep, unwritten: Unwritten) -> Clock:
        """The clock behind a step."""
        engine = there = later(clock.engine, clock.array) if self.machine.halves == 1 else clock.engine
        done = clock.array if self.pieces > 1 and step.opens else clock.ofmap
        free = {WEIGHTS: clock.weights, IFMAP: clock.ifmap, OFMAP: done}
        for tensor, ticks in self._queue(step, unwritten):
            engine = after(later(engine, free[tensor]), ticks)
            if tensor != OFMAP or self.stays != OFMAP or self.machine.halves == 1:
                there = engine
        array = after(later(clock.array, there), step.cycles * self.machine.ticks_per_cycle)
        return Clock(
            engine,
            array,
            clock.array if step.weights is not None else clock.weights,
            clock.array if step.ifmap is not None else clock.ifmap,
            clock.array if step.opens else clock.ofmap,
        )

    def end(self, clock: Clock, unwritten: Unwritten) -> Date:
        """When the last ofmap tiles are written."""
        engine = clock.engine
        *before, current = self.last(unwritten)
        for tile in before:
            engine = after(later(engine, clock.ofmap), self._write_ticks(tile))
        return after(later(engine, clock.array), self._write_ticks(current))

    def _queue(self, step: TileStep, unwritten: Unwritten) -> Iterator[tuple[str, int]]:
        """Transfers in the queue of a step: tensor and ticks."""
        per_bit, setup = self.machine.ticks_per_bit, self.machine.setup_ticks
        moved: dict[str, list[int]] = {WEIGHTS: [], IFMAP: [], OFMAP: []}
        if step.weights is not None:
            moved[WEIGHTS].append(step.bits.weights * per_bit + setup)
        if step.ifmap is not None:
            moved[IFMAP].append(step.bits.ifmap * per_bit + setup)
        in_pieces = self.pieces > 1 and not step.opens
        tile = unwritten.done if in_pieces else self.written(step, unwritten)
        if tile is not None and not (in_pieces and step.within):
            moved[OFMAP].append(self._write_ticks(tile) // self.pieces)
        if step.partial is not None:
            moved[OFMAP].append(step.bits.partial * per_bit + setup)
        for tensor in _QUEUE[self.stays]:
            yield from ((tensor, ticks) for ticks in moved[tensor])

    def _write_ticks(self, tile: OfmapTile) -> int:
        return tile.bits * self.machine.ticks_per_bit + self.machine.setup_ticks
