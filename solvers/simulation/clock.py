"""When the DMA engine and the array do what a step asks for.

The engine works through one queue in the order of need: before a step's tiles come those of all steps before.
A tile is fetched when the engine is free and so is a half of its tensor's part: when the last step that uses the
tile but one before it is done. An ofmap tile is written back when it is done; that must be over before the tile
after the next is begun. The array begins a step when it is done with the one before and the step's tiles are there.

With one half nothing overlaps: an ofmap tile goes out before the next step's tiles come in.

A date is a tuple: ticks after each of several dates in the past of which the latest decides. Where that past is
known it has one element. So the same code runs a nest step by step, and composes steps for ``skipping``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from solvers.simulation.machine import Accelerator
from solvers.simulation.nest import IFMAP, OFMAP, WEIGHTS, TileStep

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
    """An ofmap tile in the buffer: its words, and whether they are final."""

    words: int
    final: bool


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
"""The order of transfers of one step, by the tensor that stays: its half is free the longest. An ofmap tile that
stays is not waited for by the step that its writing begins in, so that is last."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a machine runs the steps of a nest.

    Attributes:
        machine: that runs it.
        stays: the tensor whose tile stays longest; its half falls free first, so it is first in the queue
            of a step.
    """

    machine: Accelerator
    stays: str | None

    def written(self, step: TileStep, unwritten: Unwritten) -> OfmapTile | None:
        """The ofmap tile that is written in the queue of a step."""
        if self.machine.halves == 2:
            return unwritten.done
        return unwritten.current if step.opens else None

    def left(self, step: TileStep, unwritten: Unwritten) -> Unwritten:
        """What is unwritten behind a step."""
        current = OfmapTile(step.ofmap, step.final)
        kept = self.machine.halves == 2 and step.opens
        return Unwritten(current, unwritten.current if kept else None)

    def step(self, clock: Clock, step: TileStep, unwritten: Unwritten) -> Clock:
        """The clock behind a step."""
        single = self.machine.halves == 1
        engine = later(clock.engine, clock.array) if single else clock.engine
        there = engine
        free = {WEIGHTS: clock.weights, IFMAP: clock.ifmap, OFMAP: clock.ofmap}
        for tensor, ticks in self._queue(step, self.written(step, unwritten)):
            engine = after(later(engine, free[tensor]), ticks)
            if tensor != OFMAP or step.opens:
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
        if unwritten.done is not None:
            engine = after(later(engine, clock.ofmap), self._write_ticks(unwritten.done))
        assert unwritten.current is not None
        return after(later(engine, clock.array), self._write_ticks(unwritten.current))

    def _queue(self, step: TileStep, written: OfmapTile | None) -> Iterator[tuple[str, int]]:
        """Transfers in the queue of a step: tensor and ticks."""
        widths, per_bit = self.machine.widths, self.machine.ticks_per_bit
        moved: dict[str, list[int]] = {WEIGHTS: [], IFMAP: [], OFMAP: []}
        if step.weights is not None:
            moved[WEIGHTS].append(step.weights * widths.weights * per_bit)
        if step.ifmap is not None:
            moved[IFMAP].append(step.ifmap * widths.ifmap * per_bit)
        if written is not None:
            moved[OFMAP].append(self._write_ticks(written))
        if step.partial is not None:
            moved[OFMAP].append(step.partial * widths.partial_sums * per_bit)
        for tensor in _QUEUE[self.stays]:
            yield from ((tensor, ticks) for ticks in moved[tensor])

    def _write_ticks(self, tile: OfmapTile) -> int:
        widths = self.machine.widths
        width = widths.ofmap if tile.final else widths.partial_sums
        return tile.words * width * self.machine.ticks_per_bit
