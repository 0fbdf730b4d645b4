"""Processes that work for this one, and end with it, however it ends.

The pools of the standard library give up all tasks when one of their processes is killed, and leave their
processes behind when this one is. So here each process has a pipe of its own: an answer cut short tells
which task was lost, and a thread in the process ends it as soon as this one is gone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from time import sleep
from typing import Any

from dnns.errors import InputError
from solvers.network.attempt import Died, Failure, NotBegun
from solvers.network.preloads import IMPORTED, PRELOADED
from solvers.network.serving import import_all, serve

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its arguments, known to pickle."""

_START_FAILURES = 4
_AHEAD = 0.15
"""Seconds of work that a process may have before it: it does not wait for its next call, nor keeps many."""
_GATHERED = 0.1
"""Seconds of work, of all processes, whose answers gather while more is to be done: that saves."""
_KIN = 64
"""Calls of a kin that it is given one after another, however long they take."""


@dataclass(eq=False, slots=True)
class _Worker:
    """One process.

    Attributes:
        process: the process.
        pipe: calls go in, several at once, answers come out, in their order.
        unsent: calls that it is to have, with their tokens.
        owed: of the calls that are sent and not answered yet, the tokens; None for imports and the like.
        kin: of the last call.
        run: calls of that kin that it was given one after another.
        usual: seconds that a call takes; unknown at first, and taken as long.
    """

    process: BaseProcess
    pipe: Connection
    unsent: list[tuple[int, Call]] = field(default_factory=list)
    owed: list[int | None] = field(default_factory=list)
    kin: Hashable = None
    run: int = 0
    usual: float = inf

    @property
    def load(self) -> int:
        """Calls that it has to answer, imports and the like left out."""
        return len(self.owed) - self.owed.count(None) + len(self.unsent)

    def takes(self, kin: Hashable, most: int) -> bool:
        """Whether it may have one more call: it has none, or fewer than ``most``, short ones or of a kin."""
        akin = kin is not None and kin == self.kin and self.run < _KIN
        return not self.load or (self.load < most and (akin or self.load * self.usual < _AHEAD))

    def take(self, token: int, call: Call, kin: Hashable) -> None:
        """Have one more call, which is sent with the others."""
        self.unsent.append((token, call))
        self.run = self.run + 1 if kin == self.kin else 1
        self.kin = kin

    @property
    def ahead(self) -> float:
        """Seconds, roughly, that it has work for, what it is at left out; none if not known."""
        return 0.0 if self.usual == inf else (self.load - 1) * self.usual

    def prepare(self, *calls: Call) -> None:
        """Have calls made for what they import."""
        with suppress(OSError):  # its answers tell
            self.pipe.send(calls)
        self.owed += [None] * len(calls)

    def send(self) -> None:
        """Hand over what it is to have, unless the process is no longer there, which its answers tell."""
        if not self.unsent:
            return
        with suppress(OSError):
            self.pipe.send([call for _, call in self.unsent])
            self.owed += [token for token, _ in self.unsent]
            self.unsent.clear()

    def answers(self) -> Iterator[Any]:
        """The answers that are there, at least one, its token left at the head of ``owed`` meanwhile."""
        while True:
            try:
                answer, took = self.pipe.recv()
            except (EOFError, OSError):
                self.end()
                yield Died(self.process.exitcode)
                return
            if self.owed[0] is not None:
                self.usual = took if self.usual == inf else (self.usual + took) / 2
            yield answer
            del self.owed[0]
            if not self.pipe.poll():
                return

    def lost(self, death: Died) -> Iterator[tuple[int, Any]]:
        """What stands in place of the answers that it owes: it died of the first one, and began no other."""
        for place, token in enumerate([*self.owed, *(token for token, _ in self.unsent)]):
            if token is not None:
                yield token, NotBegun() if place or not self.owed else death

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.join(1)  # one that is ending already tells how
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Workers:
    """Processes that can be started, and import what they need, while this one still reads its input.

    To be used in a ``with`` statement, which ends them.
    """

    def __init__(
        self, most: int, likely: Iterable[str] = tuple(PRELOADED), *, besides: Iterable[str] = ()
    ) -> None:
        """At most as many processes as given.

        Args:
            most: of them at a time.
            likely: methods that are imported ahead; another one is imported by each process for itself.
            besides: modules that are imported ahead.
        """
        methods = (module for method in likely for module in PRELOADED[method])
        self._most = most
        self._ahead = (*IMPORTED, *methods, *besides)
        self._prepared: list[Call] = [(import_all, IMPORTED)]
        self._later: tuple[str, ...] = ()
        self._workers: list[_Worker] = []
        self._start_failures = 0
        self._left = 0

    def __enter__(self) -> Workers:
        if _context().get_start_method() == "forkserver":
            from multiprocessing import forkserver

            _context().set_forkserver_preload(list(self._ahead))
            with _interrupts_held():
                forkserver.ensure_running()  # it imports on; a process that is begun waits for it
        else:
            self.start(os.cpu_count() or 1)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def prepare(self, call: Call) -> None:
        """Have a call made, for what it imports, in the processes that there are and in those to come."""
        self._prepared.append(call)
        for worker in self._workers:
            worker.prepare(call)

    def import_meanwhile(self, *modules: str) -> None:
        """Have this process import what it will need in the end while the others work."""
        self._later = modules

    def start(self, number: int) -> None:
        """Have a number of processes, or as many as there may be if that is less."""
        self._left = number
        while len(self._workers) < min(number, self._most):
            self._workers.append(_started(self._prepared))

    def hand_out(self, token: int, call: Call, kin: Hashable = None) -> bool:
        """Give a call to a process that has little to do, best where its kin was done; False if to none."""
        most = self._left // (4 * self._most)  # so that all are busy to the end
        able = [worker for worker in self._workers if worker.takes(kin, most)]
        if not able:
            return False
        worker = min(able, key=lambda one: (kin is None or one.kin != kin, one.load))
        worker.take(token, call, kin)
        return True

    def answers(self) -> Iterator[tuple[int, Any]]:
        """Wait for answers to calls; each with the call's token.

        A process that has died has ``Died`` for its answer, ``NotBegun`` for what else it was to do, and is
        replaced.

        Raises:
            InputError: if a package is missing or processes cannot be started.
        """
        for worker in self._workers:
            worker.send()
        if self._later:
            Thread(target=_try_import, args=self._later).start()
            self._later = ()
        self._gather()
        ready = wait([worker.pipe for worker in self._workers])
        for worker in [worker for worker in self._workers if worker.pipe in ready]:
            yield from self._answered(worker)

    def _gather(self) -> None:
        """Let answers gather if nobody is to wait for a call meanwhile."""
        load, between = sum(worker.load for worker in self._workers), _GATHERED / self._most
        if self._left > load and all(worker.ahead > between for worker in self._workers):
            sleep(between)

    def _answered(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        """The answers of a process, and what they come to."""
        for answer in worker.answers():
            token = worker.owed[0] if worker.owed else None
            if isinstance(answer, Died):
                self._replace(worker, answer)
                yield from worker.lost(answer)
            elif token is not None:
                self._left -= 1
                yield token, answer
            elif isinstance(answer, InputError | Failure):
                raise answer if isinstance(answer, InputError) else RuntimeError(answer.text)

    def _replace(self, worker: _Worker, death: Died) -> None:
        if None in worker.owed:  # it has not even imported what it needs
            self._start_failures += 1
            if self._start_failures == _START_FAILURES:
                hint = 'a script that uses them needs: if __name__ == "__main__"'
                raise InputError("jobs", "", f"a process for the work {death} while it started; {hint}")
        self._workers.remove(worker)
        self._workers.append(_started(self._prepared))


def _started(prepared: Sequence[Call]) -> _Worker:
    context = _context()
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    try:
        with _interrupts_held():
            process.start()
    except OSError as error:
        raise InputError("jobs", "", f"a process cannot be started: {error.strerror}") from None
    theirs.close()
    worker = _Worker(process, ours)
    worker.prepare(*prepared)
    return worker


@lru_cache(maxsize=1)
def _context() -> Any:
    """If there is one, a server that imports once and is copied for each process; it ends with this one."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    return get_context("forkserver")


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """What is started here never sees Ctrl-C, which is told, and acted upon, by this process alone."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # as it changes the mask when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _try_import(*modules: str) -> None:
    with suppress(Exception):  # whoever needs it tells; where all ends meanwhile, nobody does
        import_all(*modules)
