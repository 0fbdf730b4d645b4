"""A problem solved, in a process that need not know of sweeps: what is kept of its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from solvers.exploring.sweeping.kept.codec import encoded
from solvers.exploring.sweeping.kept.figures import Figures, figures
from solvers.exploring.sweeping.kept.store import Answered
from solvers.network.attempt import Failure, attempt

if TYPE_CHECKING:
    from solvers.network.questions import Reply


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an answer.

    Attributes:
        answered: on disk.
        figures: what the tables have of it; None if it failed, or is plain data.
    """

    answered: Answered
    figures: Figures | None = None

    def __reduce__(self) -> tuple[type[Kept], tuple[Any, ...]]:
        """In few bytes."""
        return Kept, (self.answered, self.figures)


@dataclass(frozen=True, slots=True)
class Solved:
    """A problem that has been solved in this run.

    Attributes:
        reply: the answer.
        seconds: that it took.
    """

    reply: Reply | dict[str, Any]
    seconds: float

    def kept(self) -> Kept:
        """What is kept of it: best made of several in a row, which is quicker."""
        text = encoded(self.reply)
        answered = Answered(text, self.seconds, text.startswith('{"failed":'))
        if answered.failed or isinstance(self.reply, dict):
            return Kept(answered)
        return Kept(answered, figures(self.reply))

    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[Any]]:
        """Between processes goes what is kept, or why that cannot be made."""
        return _same, (attempt(self.kept, ()),)


def _same(answer: Kept | Failure) -> Kept | Failure:
    return answer


def solved(work: Callable[..., Any], *arguments: Any) -> Solved:
    """Solve one problem."""
    started = monotonic()
    reply = work(*arguments)
    return Solved(reply, monotonic() - started)
