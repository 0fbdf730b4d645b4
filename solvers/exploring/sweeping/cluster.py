"""The workers of a Dask cluster as those who solve a sweep's problems."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from dnns import PROJECT
from dnns.errors import InputError, one_line
from dnns.terminal.streams import tell
from solvers.network.attempt import Failure, attempt
from solvers.network.tasks import Call

_EACH = 3
"""Calls that are handed out for each thread of the cluster, so that none waits for its next."""
_PATIENCE = 20.0
"""Seconds for the scheduler to answer at first."""


class Cluster:
    """The workers of a Dask cluster; to be had from ``connected``."""

    def __init__(self, address: str, client: Any) -> None:
        from distributed import as_completed

        self._address, self._client = address, client
        self._tokens: dict[str, int] = {}
        self._room = _EACH
        self._done = as_completed(loop=client.loop, with_results=True, raise_errors=False)

    def start(self, number: int) -> None:
        """See how many workers there are; a cluster may grow and shrink later on."""
        self._look()
        if number and not self._client.nthreads():
            tell(f"{self._address}: has no workers yet, waiting for them")

    def _look(self) -> None:
        self._room = _EACH * max(1, sum(self._client.nthreads().values()))

    def hand_out(self, token: int, call: Call, kin: Hashable = None) -> bool:
        """Take a call, unless the workers have enough."""
        if len(self._tokens) >= self._room:
            return False
        future = self._client.submit(partial(attempt, *call), pure=False)
        self._tokens[future.key] = token
        self._done.add(future)
        return True

    def answers(self) -> Iterator[tuple[int, Any]]:
        """Wait for answers, each with its call's token; of a call that kills its workers, a failure.

        Raises:
            InputError: if the scheduler is gone.
        """
        for future, answer in self._done.next_batch(block=True):
            if future.status in ("cancelled", "lost"):
                raise _gone(self._address)
            token = self._tokens.pop(future.key)
            if future.status == "error":
                error = answer[1]
                answer = Failure(f"its process died: {one_line(f'{type(error).__name__}: {error}')}")
            yield token, answer
        self._look()


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The workers of the cluster whose scheduler has an address.

    Raises:
        InputError: if Dask is not installed, or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        problem = f"needs Dask: pip install '{PROJECT}[cluster]'"
        raise InputError("--cluster", "", problem) from None
    told, client = logging.root.manager.disable, None
    logging.disable(logging.CRITICAL)  # what matters is told in one line
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
        yield Cluster(address, client)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        if client is not None:
            raise _gone(address) from None
        raise InputError("--cluster", address, f"cannot be reached: {error}") from None
    finally:
        if client is not None:
            client.close(timeout=2)
        logging.disable(told)


def _gone(address: str) -> InputError:
    return InputError("--cluster", address, "its scheduler is gone; what was finished before is kept")
