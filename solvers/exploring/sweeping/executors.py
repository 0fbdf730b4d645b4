"""Who solves a sweep's problems: this process, or others (``solvers.network.workers.Workers``)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from solvers.network.attempt import attempt
from solvers.network.tasks import Call


class Here:
    """This process, one call at a time."""

    def __init__(self) -> None:
        self._held: list[tuple[int, Call]] = []

    def start(self, number: int) -> None:
        """Nothing is needed."""

    def hand_out(self, token: int, call: Call, kin: Hashable = None) -> bool:
        """Take a call if none is held."""
        if self._held:
            return False
        self._held.append((token, call))
        return True

    def answers(self) -> Iterator[tuple[int, Any]]:
        """The answer to the call that is held."""
        token, call = self._held.pop()
        yield token, attempt(*call)
