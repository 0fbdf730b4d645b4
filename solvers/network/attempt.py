"""A call that may fail, with what went wrong in one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dnns.errors import InputError, one_line

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Failure:
    """An internal error, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Died:
    """In place of an answer: the process has ended; ``str`` says how."""

    code: int | None

    def __str__(self) -> str:
        if self.code is not None and self.code < 0:
            return f"was killed by signal {-self.code}"
        return f"ended with exit code {self.code}"


@dataclass(frozen=True, slots=True)
class NotBegun:
    """In place of an answer: the process has ended before it came to this call."""


def attempt(work: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """The result of a call; an ``InputError`` or a ``Failure`` in its place if it raises one or fails."""
    try:
        return work(*arguments)
    except InputError as error:
        return error
    except Exception as error:  # whatever it is, the other tasks are not to be lost
        return Failure(one_line(f"{type(error).__name__}: {error}") + _place(error.__traceback__))


def _place(trace: TracebackType | None) -> str:
    """Module and line of the innermost code of this project that an exception came through."""
    place = ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in ("dnns", "formulation", "solvers") and module != __name__:
            place = f" ({module}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place
