"""A deadline that every loop that may be long looks at between two pieces of work.

A look costs next to nothing, so the pieces are small: some ten thousand mappings priced, one pair of
dimensions tried, one constraint built. A method that runs out of time answers with what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic


class TimeUp(Exception):
    """The deadline has passed."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When to stop.

    Attributes:
        at: the time, by the clock [s]; None for never.
        clock: tells the time.
    """

    at: float | None = None
    clock: Callable[[], float] = monotonic

    @classmethod
    def of(cls, limit: float | Deadline | None) -> Deadline:
        """From now on by so many seconds; a deadline as it is; never for None."""
        if isinstance(limit, Deadline):
            return limit
        return cls() if limit is None else cls(monotonic() + limit)

    @property
    def left(self) -> float | None:
        """Seconds that are left, at least 0; None for ever."""
        return None if self.at is None else max(0.0, self.at - self.clock())

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.at is not None and self.clock() > self.at

    def check(self) -> None:
        """Raise ``TimeUp`` if it is over."""
        if self.passed:
            raise TimeUp

    def after(self, share: float) -> Deadline:
        """The deadline of a part of the work that may take this share of what is left."""
        if self.at is None:
            return self
        now = self.clock()
        return Deadline(now + share * max(0.0, self.at - now), self.clock)

    def later(self, seconds: float) -> Deadline:
        """A deadline that is so much later."""
        return self if self.at is None else Deadline(self.at + seconds, self.clock)


NEVER = Deadline()

GRACE = 0.1
"""Seconds past the deadline that a local search may take; it comes first, and mostly takes a tenth of it."""
