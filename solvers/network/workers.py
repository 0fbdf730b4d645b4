"""Processes that work for this one, and end with it, however it ends.

The pools of the standard library give up all tasks when one of their processes is killed, and leave their
processes behind when this one is. So here each process has a pipe of its own: an answer cut short tells
which task was lost, and a thread in the process ends it as soon as this one is gone.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from math import inf
from multiprocessing import get_all_start_methods, get_context, parent_process, set_start_method
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from pickle import loads
from queue import SimpleQueue
from threading import Thread
from time import monotonic, sleep
from typing import Any

from dnns.errors import InputError
from solvers.network.attempt import Died, Failure, NotBegun, attempt

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its arguments, known to pickle."""

_IMPORTED = ("numpy", "solvers.network.work")
_PROGRAMS = ("pyomo.core", "solvers.layers.exact", "solvers.shared.exact", "solvers.backends.highs")
_RELAXED = ("pyomo.core", "solvers.layers.combined", "solvers.shared.combined", "solvers.backends.ipopt")
#: What each method needs, imported once for all processes.
_PRELOADED = {
    "static": ("solvers.layers.static", "solvers.shared.exhaustive"),
    "exhaustive": ("solvers.layers.exhaustive", "solvers.shared.exhaustive"),
    "exact": _PROGRAMS,
    "constrained": _RELAXED,
    "combined": (*_RELAXED, *_PROGRAMS),
}
_SOLVING = re.compile("|".join(_PRELOADED), re.IGNORECASE)
_READ = 1 << 16  # of a scenario, to see which methods it names
_START_FAILURES = 4
_AHEAD = 0.05
"""Seconds of work that a process may have before it: it does not wait for its next call, nor keeps many."""
_BETWEEN = 0.02
"""Seconds in which answers gather where more is to be done: together they take less time."""
_KIN = 16
"""Calls of a kin that it may have before it, however long they take."""


@dataclass(eq=False, slots=True)
class _Worker:
    """One process.

    Attributes:
        process: the process.
        pipe: calls go in, answers come out, in their order.
        owed: of the calls that are not answered yet, the tokens; None for imports and the like.
        kin: of the last call.
        usual: seconds that a call takes; unknown at first, and taken as long.
    """

    process: BaseProcess
    pipe: Connection
    owed: list[int | None] = field(default_factory=list)
    kin: Hashable = None
    usual: float = inf

    def takes(self, kin: Hashable, most: int) -> bool:
        """Whether it may have one more call: it has none, or short ones, or few of the same kin."""
        akin = kin is not None and kin == self.kin and len(self.owed) < most
        return akin or not self.owed or len(self.owed) * self.usual < _AHEAD

    @property
    def ahead(self) -> float:
        """Seconds, roughly, that it has work for, what it is at left out; none if not known."""
        return 0.0 if self.usual == inf else (len(self.owed) - 1) * self.usual

    def call(self, token: int | None, call: Call) -> bool:
        """Hand over a call; False if the process is no longer there."""
        try:
            self.pipe.send(call)
        except OSError:
            return False
        self.owed.append(token)
        return True

    def answer(self) -> Any:
        """The next answer, its token left at the head of ``owed``."""
        try:
            answer, took = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return Died(self.process.exitcode)
        if self.owed[0] is not None:
            self.usual = took if self.usual == inf else (self.usual + took) / 2
        return answer

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

    def __init__(self, most: int, likely: Iterable[str] = tuple(_PRELOADED)) -> None:
        """At most as many processes as given.

        Args:
            most: of them at a time.
            likely: methods that are imported ahead; another one is imported by each process for itself.
        """
        self._most, self._likely = most, tuple(likely)
        self._prepared: list[Call] = [(_import, _IMPORTED)]
        self._later: tuple[str, ...] = ()
        self._workers: list[_Worker] = []
        self._start_failures = 0
        self._left = 0

    def __enter__(self) -> Workers:
        if _context().get_start_method() == "forkserver":
            from multiprocessing import forkserver

            modules = (module for method in self._likely for module in _PRELOADED[method])
            _context().set_forkserver_preload([*_IMPORTED, "solvers.shared.deconvolution", *modules])
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
            worker.call(None, call)

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
        most = min(_KIN, self._left // (4 * self._most))  # so that all are busy to the end
        able = [worker for worker in self._workers if worker.takes(kin, most)]
        for worker in sorted(able, key=lambda one: (kin is None or one.kin != kin, len(one.owed))):
            if worker.call(token, call):
                worker.kin = kin
                return True
        return False

    def answers(self) -> Iterator[tuple[int, Any]]:
        """Wait for answers to calls; each with the call's token.

        A process that has died has ``Died`` for its answer, ``NotBegun`` for what else it was to do, and is
        replaced.

        Raises:
            InputError: if a package is missing or processes cannot be started.
        """
        _import(*self._later)
        self._later, patience = (), None
        self._gather()
        while ready := wait([worker.pipe for worker in self._workers], patience):
            for worker in [worker for worker in self._workers if worker.pipe in ready]:
                yield from self._answered(worker)
            patience = 0

    def _gather(self) -> None:
        """Let answers gather if nobody is to wait for a call meanwhile."""
        owed = sum(len(worker.owed) for worker in self._workers)
        if self._left > owed and all(worker.ahead > _BETWEEN for worker in self._workers):
            sleep(_BETWEEN)

    def _answered(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        """The next answer of a process, and what it comes to."""
        answer = worker.answer()
        if isinstance(answer, Died):
            lost = [token for token in worker.owed if token is not None]
            self._replace(worker, answer)
            yield from ((token, NotBegun() if place else answer) for place, token in enumerate(lost))
            return
        token = worker.owed.pop(0)
        if token is not None:
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
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    try:
        with _interrupts_held():
            process.start()
    except OSError as error:
        raise InputError("jobs", "", f"a process cannot be started: {error.strerror}") from None
    theirs.close()
    worker = _Worker(process, ours)
    for call in prepared:
        worker.call(None, call)
    return worker


@lru_cache(maxsize=1)
def _context() -> Any:
    """If there is one, a server that imports once and is copied for each process; it ends with this one."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    return get_context("forkserver")


def likely_methods(text: str | None, *files: str | Path) -> tuple[str, ...]:
    """The methods that a text names, else those that files do, else the default one: a guess."""
    texts = [text] if text is not None else map(_beginning, files)
    found = dict.fromkeys(name.lower() for each in texts for name in _SOLVING.findall(each))
    return tuple(found) or ("exhaustive",)


def _beginning(file: str | Path) -> str:
    """Of a file that can be read, again and again; not of a pipe, which would be empty then."""
    with suppress(OSError, ValueError):
        if Path(file).is_file():
            with Path(file).open(encoding="utf-8") as stream:
                return stream.read(_READ)
    return ""


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


def _serve(pipe: Connection) -> None:
    """Answer calls until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "fork" in get_all_start_methods():  # so that no lock which a package makes is left behind
        set_start_method("fork", force=True)
    Thread(target=_end_with_parent, daemon=True).start()
    calls: SimpleQueue[bytes | None] = SimpleQueue()
    Thread(target=_take_calls, args=(pipe, calls), daemon=True).start()
    with suppress(OSError):  # which says that the parent is gone
        while (call := calls.get()) is not None:
            began = monotonic()
            work, arguments = loads(call)
            pipe.send((attempt(work, arguments), monotonic() - began))


def _take_calls(pipe: Connection, calls: SimpleQueue[bytes | None]) -> None:
    """Take calls out of the pipe whatever is being worked on, so that nobody waits to hand one over."""
    with suppress(EOFError, OSError):
        while True:
            calls.put(pipe.recv_bytes())
    calls.put(None)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _import(*modules: str) -> None:
    for module in modules:
        import_module(module)
