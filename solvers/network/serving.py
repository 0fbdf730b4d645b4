"""What a process that works for another one does: it answers calls in their order, and ends with it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_all_start_methods, parent_process, set_start_method
from multiprocessing.connection import Connection
from pickle import loads
from queue import SimpleQueue
from threading import Thread
from time import monotonic

from solvers.network.attempt import attempt


def serve(pipe: Connection) -> None:
    """Answer calls until there are no more, each as soon as it is done.

    Args:
        pipe: what comes is lists of calls, pickled; what goes is pairs of an answer and the seconds it took.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "fork" in get_all_start_methods():  # so that no lock which a package makes is left behind
        set_start_method("fork", force=True)
    Thread(target=_end_with_parent, daemon=True).start()
    messages: SimpleQueue[bytes | None] = SimpleQueue()
    Thread(target=_take, args=(pipe, messages), daemon=True).start()
    with suppress(OSError):  # which says that the parent is gone
        while (message := messages.get()) is not None:
            began = monotonic()
            for work, arguments in loads(message):
                answer = attempt(work, arguments)
                pipe.send((answer, monotonic() - began))
                began = monotonic()


def _take(pipe: Connection, messages: SimpleQueue[bytes | None]) -> None:
    """Take calls out of the pipe whatever is being worked on, so that nobody waits to hand them over."""
    with suppress(EOFError, OSError):
        while True:
            messages.put(pipe.recv_bytes())
    messages.put(None)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def import_all(*modules: str) -> None:
    """Import modules by their names."""
    for module in modules:
        import_module(module)
