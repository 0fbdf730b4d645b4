"""Who solves a sweep's problems: this process, or others (``solvers.network.workers.Workers``)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from time import monotonic
from typing import Any

from solvers.network.attempt import attempt
from solvers.network.tasks import Call

_MOST = 64
_TOGETHER = 0.2
"""Seconds of work whose answers are handed over together: what is done with them is quicker so."""


class Here:
    """This process, one call after another."""

    def __init__(self) -> None:
        self._held: deque[tuple[int, Call]] = deque()

    def start(self, number: int) -> None:
        """Nothing is needed."""

    def hand_out(self, token: int, call: Call, kin: Hashable = None) -> bool:
        """Take a call if few are held."""
        if len(self._held) == _MOST:
            return False
        self._held.append((token, call))
        return True

    def answers(self) -> Iterator[tuple[int, Any]]:
        """Answers to the calls that are held, as many as take a moment, at least to one."""
        began = monotonic()
        found: list[tuple[int, Any]] = []
        while self._held and (not found or monotonic() - began < _TOGETHER):
            token, call = self._held.popleft()
            found.append((token, attempt(*call)))
        return iter(found)
