"""How far a sweep is, on standard error: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from dnns.terminal.streams import tell

BETWEEN = 30.0
"""Seconds between two lines."""
Step = Callable[[int, int], None]
"""Done, and of how many."""


@contextmanager
def told_progress(what: str, quiet: bool) -> Iterator[Step | None]:
    """What to call after each step; None if nothing is to be told.

    Args:
        what: the steps are, in the plural.
        quiet: tell nothing.
    """
    if quiet or sys.stderr is None:
        yield None
    elif sys.stderr.isatty():
        with _bar(what) as step:
            yield step
    else:
        yield Lines(what)


@contextmanager
def _bar(what: str) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps per second."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.1f}/s")

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(what),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=60) as bar:
        task = None

        def step(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = bar.add_task("", total=total, completed=done)
            bar.update(task, completed=done)

        yield step


class Lines:
    """Tells a line when enough time has passed since the last."""

    def __init__(self, what: str, clock: Callable[[], float] = monotonic) -> None:
        """Of steps called ``what``."""
        self._what, self._clock = what, clock
        self._began: tuple[float, int] | None = None
        self._told = 0.0

    def __call__(self, done: int, total: int) -> None:
        """After a step."""
        now = self._clock()
        if self._began is None:
            self._began, self._told = (now, done), now
        since, before = self._began
        if now - self._told < BETWEEN or done == before:
            return
        self._told = now
        rate = (done - before) / (now - since)
        left = round((total - done) / rate)
        tell(f"{done:,} of {total:,} {self._what}, {rate:,.1f} a second, {left // 60}:{left % 60:02} left")
