"""A nest run whole: tiles that are alike are looked at once, and turns of a loop that are alike are skipped.

What a step does to the clock takes only maxima of dates and additions of ticks. In this algebra (max, +) it
is a matrix, which tells for each date of the clock behind the step how long after each date before it that is
at least. Steps one after another are a product, and ``n`` turns of a loop that are alike the n-th power: some
``log n`` products, exactly what the turns would be one by one, in a steady state or not.

Turns are alike if their tiles are of the same kind and the same ofmap tiles wait to be written. After two or
three turns that is so for all that are left of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from solvers.schedules.simulation.clock import START, Clock, Date, Pace, Unwritten, later
from solvers.schedules.simulation.nest import Arrival, Nest, Picked
from solvers.schedules.simulation.totals import LargestTiles, MovedTotals

_DATES = 5
_NOW = Clock(*(tuple(0 if i == j else -inf for j in range(_DATES)) for i in range(_DATES)))
"""The clock that each date of it depends on alone."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps one after another.

    Attributes:
        clock: behind them, by the clock before them.
        moved: by them.
        largest: tiles of them.
        unwritten: behind them.
    """

    clock: Clock
    moved: MovedTotals
    largest: LargestTiles
    unwritten: Unwritten

    def then(self, other: Stretch) -> Stretch:
        """Both, one after another."""
        clock = Clock(*(_seen_from(date, self.clock) for date in other.clock.dates))
        moved, largest = self.moved + other.moved, self.largest | other.largest
        return Stretch(clock, moved, largest, other.unwritten)

    def times(self, count: int) -> Stretch:
        """So many like this one after another."""
        whole, power = None, self
        while count:
            if count % 2:
                whole = power if whole is None else whole.then(power)
            count //= 2
            if count:
                power = power.then(power)
        assert whole is not None
        return whole


def _seen_from(date: Date, clock: Clock) -> Date:
    """A date behind a clock that is itself behind another, by the other."""
    found: Date = (-inf,) * len(clock.engine)
    for ticks, before in zip(date, clock.dates, strict=True):
        if ticks > -inf:
            found = later(found, tuple(element + ticks for element in before))
    return found


class SkippingRun:
    """One nest on its machine; alike stretches are made once."""

    def __init__(self, nest: Nest, pace: Pace) -> None:
        self.nest, self.pace = nest, pace
        self.known: dict[tuple[Picked, Arrival, Unwritten], Stretch] = {}

    def whole(self) -> Stretch:
        """All steps, by a clock on which everything is free."""
        stretch = self.stretch((), self.nest.start, Unwritten())
        return Stretch(START, MovedTotals(), LargestTiles(), Unwritten()).then(stretch)

    def stretch(self, picked: Picked, arrival: Arrival, unwritten: Unwritten) -> Stretch:
        """The loops inside.

        Args:
            picked: tiles of the loops outside.
            arrival: what comes with its first step.
            unwritten: ofmap tiles before it.
        """
        key = picked, arrival, unwritten
        if key not in self.known:
            inside = len(picked) < len(self.nest.loops)
            self.known[key] = self._turns(*key) if inside else self._step(*key)
        return self.known[key]

    def _step(self, picked: Picked, arrival: Arrival, unwritten: Unwritten) -> Stretch:
        step = self.nest.step(picked, arrival)
        moved = MovedTotals.of(step, self.pace.written(step, unwritten))
        clock, left = self.pace.step(_NOW, step, unwritten), self.pace.left(step, unwritten)
        return Stretch(clock, moved, LargestTiles.of(step, self.nest.machine), left)

    def _turns(self, picked: Picked, arrival: Arrival, unwritten: Unwritten) -> Stretch:
        """All turns of the next loop."""
        whole = None
        for place, (count, _) in enumerate(self.nest.runs(picked)):
            while count:
                turn = self.stretch((*picked, place), arrival, unwritten)
                again = turn.unwritten == unwritten and whole is not None
                taken = turn.times(count) if again else turn
                whole = taken if whole is None else whole.then(taken)
                count -= count if again else 1
                arrival, unwritten = self.nest.arrivals[len(picked)], turn.unwritten
        assert whole is not None
        return whole
