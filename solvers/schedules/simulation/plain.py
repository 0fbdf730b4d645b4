"""A nest run step by step, nothing skipped: what ``skipping`` must equal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, product, repeat

from solvers.schedules.simulation.clock import START, Pace, Unwritten
from solvers.schedules.simulation.nest import Arrival, Nest, TileStep
from solvers.schedules.simulation.skipping import Stretch
from solvers.schedules.simulation.totals import LargestTiles, MovedTotals


def steps(nest: Nest) -> Iterator[TileStep]:
    """Every step of a nest, in order."""
    tiles = [
        list(chain.from_iterable(repeat(place, count) for place, (count, _) in enumerate(loop.runs)))
        for loop in nest.loops
    ]
    before: tuple[int, ...] = ()
    for turn in product(*(range(len(places)) for places in tiles)):
        picked = tuple(places[i] for places, i in zip(tiles, turn, strict=True))
        yield nest.step(picked, _arrival(nest, before, turn))
        before = turn


def _arrival(nest: Nest, before: tuple[int, ...], turn: tuple[int, ...]) -> Arrival:
    """What a step replaces: the tensors that depend on any loop whose turn is another one."""
    if not before:
        return nest.start
    changed = [loop for loop, i, j in zip(nest.loops, before, turn, strict=True) if i != j]
    of_ifmap = [loop.name for loop in changed if "ifmap" in loop.tensors]
    moved = dict(zip((loop.name for loop in nest.loops), zip(before, turn, strict=True), strict=True))
    slid = of_ifmap == [nest.sliding] and moved[of_ifmap[0]][1] == moved[of_ifmap[0]][0] + 1
    return Arrival(frozenset[str]().union(*(loop.tensors for loop in changed)), slid)


def plain_run(nest: Nest, pace: Pace) -> Stretch:
    """All steps, by a clock on which everything is free."""
    clock, moved, largest, unwritten = START, MovedTotals(), LargestTiles(), Unwritten()
    for step in steps(nest):
        moved += MovedTotals.of(step, pace.written(step, unwritten))
        largest |= LargestTiles.of(step, nest.machine)
        clock = pace.step(clock, step, unwritten)
        unwritten = pace.left(step, unwritten)
    return Stretch(clock, moved, largest, unwritten)
