"""A sweep's answers: each kept when it is there, and read again from what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dnns.errors import InputError
from solvers.exploring.sweeping.axes.file import SweepPoint
from solvers.exploring.sweeping.kept.answers import Kept, Solved, solved
from solvers.exploring.sweeping.kept.codec import decoded, encoded
from solvers.exploring.sweeping.kept.figures import Figures, figures
from solvers.exploring.sweeping.kept.rows import failed_rows
from solvers.exploring.sweeping.kept.store import DATABASE, Answered, Store
from solvers.exploring.sweeping.points import solved_point
from solvers.exploring.sweeping.problems import Problems, WholePoint, is_whole
from solvers.network.attempt import Failure, attempt
from solvers.network.plan import plan_of
from solvers.network.tasks import Call, Task
from solvers.result import Result, ResultError

if TYPE_CHECKING:
    from solvers.network.questions import Reply

Settled = Callable[[int, int], None]
"""Progress: problems solved, problems in all."""
_REMEMBERED = 16384
"""Figures of answers held in memory, for the points that share them."""


class SweepLedger:
    """Keeps the outcomes of a sweep's tasks in its store."""

    def __init__(self, problems: Problems, store: Store, notify: Settled | None = None) -> None:
        """Of all problems of a sweep; ``notify`` is called after each."""
        self._problems, self._store, self._notify = problems, store, notify
        self._settled = {place for place, digest in enumerate(problems.digests) if digest in store}
        self._fresh: list[tuple[int, Any]] = []
        self._held: dict[int, Figures] = {}
        self._figures = lru_cache(maxsize=_REMEMBERED)(self._read)

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
        needs = (self._result(need) for need in task.needs)
        return solved, (task.work, *task.arguments, *needs)

    def settle(self, position: int, answer: Any) -> None:
        """Take an answer; of a call that failed, the reason."""
        self._fresh.append((position, answer))

    def keep(self) -> None:
        """Keep what was taken."""
        digests, fresh = self._problems.digests, [(place, _kept(answer)) for place, answer in self._fresh]
        self._store.put([(digests[place], kept.answered) for place, kept in fresh])
        self._fresh.clear()
        for place, kept in fresh:
            self._settled.add(place)
            if kept.figures is not None and len(self._held) < _REMEMBERED:
                self._held[place] = kept.figures
        if self._notify is not None:
            self._notify(len(self._settled), len(self.tasks))

    def _result(self, position: int) -> Result:
        """The answer to a layer's problem, from what is kept of it."""
        reply = self._reply(position)
        assert isinstance(reply, Result)
        return reply

    def _reply(self, position: int) -> Reply:
        question, method = self._problems.asked[position], self._problems.methods[position]
        assert not isinstance(question, WholePoint)
        parts = [self._result(need) for need in self.tasks[position].needs]
        digest = self._problems.digests[position]
        text = self._store.get(digest).text
        try:
            return decoded(text, method, question, parts)
        except (ResultError, ValueError, LookupError, TypeError) as error:
            problem = f"holds an answer that cannot be right: {error}"
            raise InputError(self._store.folder / DATABASE, f"problem {digest[:12]}", problem) from None

    def _read(self, position: int) -> Figures:
        """The figures of an answer: as they have come in this run, else of what is kept."""
        return self._held.get(position) or figures(self._reply(position))

    def rows(self, point: SweepPoint) -> dict[str, Any]:
        """The rows of a point whose problems all have answers."""
        scenario, places = point.scenario, self._problems.of_point(point.number)
        network, _ = self._problems.networks.of(scenario)
        if is_whole(scenario):
            data: dict[str, Any] = json.loads(self._store.get(self._problems.digests[places[0]]).text)
            return failed_rows(network.name, data["failed"]) if "failed" in data else data
        found = [self._figures(place) for place in places]
        return solved_point(network.name, plan_of(network, scenario), scenario.treatment, found)

    def seconds(self) -> Iterator[dict[str, Any]]:
        """What each problem took."""
        found = self._store.seconds()
        for place, (task, digest) in enumerate(zip(self.tasks, self._problems.digests, strict=True)):
            seconds, failed = found[digest]
            yield {"problem": place, "name": task.name, "seconds": seconds, "failed": failed}


def _kept(answer: Any) -> Kept:
    """What is kept of what a call has returned, or of what stands in its place."""
    if isinstance(answer, Solved):
        answer = attempt(answer.kept, ())
    if isinstance(answer, InputError):
        answer = Failure(str(answer))
    return answer if isinstance(answer, Kept) else Kept(Answered(encoded(answer), 0.0, True))
