"""A nest run step by step, nothing skipped: what ``skipping`` must equal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from solvers.schedules.simulation.clock import START, Pace, Unwritten
from solvers.schedules.simulation.nest import Arrival, Nest, Picked, TileStep
from solvers.schedules.simulation.skipping import Stretch
from solvers.schedules.simulation.totals import LargestTiles, MovedTotals

Turn = tuple[int, ...]
"""Which tile of each loop's it is."""


def steps(nest: Nest) -> Iterator[TileStep]:
    """Every step of a nest, in order."""
    before: Turn = ()
    for picked, turn in _turns(nest, (), ()):
        yield nest.step(picked, _arrival(nest, before, turn))
        before = turn


def _turns(nest: Nest, picked: Picked, turn: Turn) -> Iterator[tuple[Picked, Turn]]:
    """The tiles of each step, by their place among the runs and by their number, inside some loops."""
    if len(picked) == len(nest.loops):
        yield picked, turn
        return
    number = count()
    for place, (alike, _) in enumerate(nest.runs(picked)):
        for _ in range(alike):
            yield from _turns(nest, (*picked, place), (*turn, next(number)))


def _arrival(nest: Nest, before: Turn, turn: Turn) -> Arrival:
    """What a step replaces: what is streamed, and what depends on a loop over tiles that goes on."""
    if not before:
        return nest.start
    moved = list(zip(nest.loops, before, turn, strict=True))
    changed = [loop for loop, i, j in moved if i != j and not loop.streams]
    ahead = {loop.name: j - i for loop, i, j in moved if bool(loop.streams) == (not changed)}
    of_ifmap = [loop.name for loop in changed if "ifmap" in loop.tensors]
    slid = of_ifmap == [nest.sliding] if changed else nest.streamed == "ifmap"
    slid = slid and ahead.get(nest.sliding or "") == 1
    replaced = frozenset((nest.streamed,) if nest.streamed else ())
    return Arrival(replaced.union(*(loop.tensors for loop in changed)), slid, not changed)


def plain_run(nest: Nest, pace: Pace) -> Stretch:
    """All steps, by a clock on which everything is free."""
    clock, moved, largest, unwritten = START, MovedTotals(), LargestTiles(), Unwritten()
    for step in steps(nest):
        moved += MovedTotals.of(step, pace.written(step, unwritten))
        largest |= LargestTiles.of(step, nest.machine)
        clock = pace.step(clock, step, unwritten)
        unwritten = pace.left(step, unwritten)
    return Stretch(clock, moved, largest, unwritten)
