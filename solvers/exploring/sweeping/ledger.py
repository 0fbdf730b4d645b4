"""A sweep's answers: each kept when it is there, and read again from what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any

from dnns.errors import InputError
from solvers.exploring.sweeping.axes.file import SweepPoint
from solvers.exploring.sweeping.kept.codec import decoded, encoded
from solvers.exploring.sweeping.kept.rows import failed_rows, rows_of
from solvers.exploring.sweeping.kept.store import DATABASE, Answered, Store
from solvers.exploring.sweeping.problems import Problems, WholePoint
from solvers.network.attempt import Failure
from solvers.network.data.layers import layer_figures
from solvers.network.data.report import totals_dict
from solvers.network.tasks import Call, Task
from solvers.result import Result, ResultError

if TYPE_CHECKING:
    from solvers.network.questions import Reply

Settled = Callable[[int, int], None]
"""Progress: problems solved, problems in all."""
_REMEMBERED = 4096
"""Replies held in memory, for the points that share them."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A problem that has been solved in this run.

    Attributes:
        answered: the answer as it is kept.
        reply: the same as the method gave it; None if it failed, or is plain data.
    """

    answered: Answered
    reply: Reply | None = None

    def __reduce__(self) -> tuple[type[Solved], tuple[Answered]]:
        """Between processes goes what is kept: to read it takes no longer than to pickle the reply."""
        return Solved, (self.answered,)


class SweepLedger:
    """Keeps the outcomes of a sweep's tasks in its store."""

    def __init__(self, problems: Problems, store: Store, notify: Settled | None = None) -> None:
        """Of all problems of a sweep; ``notify`` is called after each."""
        self._problems, self._store, self._notify = problems, store, notify
        known = store.known()
        self._settled = {place for place, digest in enumerate(problems.digests) if digest in known}
        self._held: dict[int, Reply] = {}
        self._reply = lru_cache(maxsize=_REMEMBERED)(self._decoded)

    @property
    def tasks(self) -> Sequence[Task]:
        """One for each distinct problem."""
        return self._problems.tasks

    @property
    def count(self) -> int:
        """Problems that have an answer."""
        return len(self._settled)

    def is_settled(self, position: int) -> bool:
        """Whether a problem has an answer."""
        return position in self._settled

    def call(self, position: int) -> Call:
        """What to call, here or in a process of its own."""
        task = self.tasks[position]
        needs = (self._reply(need) for need in task.needs)
        return solved, (task.work, *task.arguments, *needs)

    def settle(self, position: int, answer: Any) -> None:
        """Keep an answer; of a call that failed, the reason."""
        if isinstance(answer, InputError):
            answer = Failure(str(answer))
        solution = answer if isinstance(answer, Solved) else Solved(Answered(encoded(answer), 0.0, True))
        self._store.put(self._problems.digests[position], solution.answered)
        if solution.reply is not None and len(self._held) < _REMEMBERED:
            self._held[position] = solution.reply
        self._settled.add(position)
        if self._notify is not None:
            self._notify(len(self._settled), len(self.tasks))

    def _decoded(self, position: int) -> Reply:
        """The reply to a problem: as it has come in this run, else from what is kept of it."""
        if position in self._held:
            return self._held[position]
        question, method = self._problems.asked[position], self._problems.methods[position]
        assert not isinstance(question, WholePoint)
        parts = []
        for need in self.tasks[position].needs:
            reply = self._reply(need)
            assert isinstance(reply, Result)
            parts.append(reply)
        digest = self._problems.digests[position]
        text = self._store.get(digest).text
        try:
            return decoded(text, method, question, parts)
        except (ResultError, ValueError, LookupError, TypeError) as error:
            problem = f"holds an answer that cannot be right: {error}"
            raise InputError(self._store.folder / DATABASE, f"problem {digest[:12]}", problem) from None

    def rows(self, point: SweepPoint) -> dict[str, Any]:
        """The rows of a point whose problems all have answers."""
        questions, places = self._problems.of_point(point)
        if questions is None:
            (place,) = places.values()
            data: dict[str, Any] = json.loads(self._store.get(self._problems.digests[place]).text)
            network, _ = self._problems.networks.of(point.scenario)
            return failed_rows(network.name, data["failed"]) if "failed" in data else data
        replies = {question: self._reply(place) for question, place in places.items()}
        report = questions.report(replies, 0.0)
        layers = [layer_figures(layer) for layer in report.layers]
        return rows_of(report.network, report.complete, layers, totals_dict(report))

    def seconds(self) -> Iterator[dict[str, Any]]:
        """What each problem took."""
        for place, (task, digest) in enumerate(zip(self.tasks, self._problems.digests, strict=True)):
            kept = self._store.get(digest)
            yield {"problem": place, "name": task.name, "seconds": kept.seconds, "failed": kept.failed}


def solved(work: Callable[..., Any], *arguments: Any) -> Solved:
    """Solve one problem."""
    started = monotonic()
    reply = work(*arguments)
    text = encoded(reply)
    answered = Answered(text, monotonic() - started, text.startswith('{"failed":'))
    return Solved(answered, None if answered.failed or isinstance(reply, dict) else reply)
