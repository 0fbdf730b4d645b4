"""Tasks that depend on each other, done here or by worker processes; one that fails never loses the others.

With workers, what takes long is begun first: of the tasks that can begin, the one on which the most work
waits, its own included. The outcomes do not depend on who did what, nor when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from dnns.errors import InputError
from solvers.network.attempt import Failure, attempt

if TYPE_CHECKING:
    from solvers.network.workers import Workers

Notify = Callable[[int, int, str], None]
"""Progress: problems solved, problems in all, name of the last one."""

ATTEMPTS = 2
"""How often a task is begun if the process that works on it is killed."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do.

    Attributes:
        name: what progress calls it.
        work: what to call; known to pickle, and so are its arguments.
        arguments: its first arguments; the outcomes of ``needs`` follow.
        failed: the outcome if ``work`` does not come to an end, from one line that says why.
        needs: positions of the earlier tasks that must be done before.
        effort: how long it takes, roughly, in any unit.
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    failed: Callable[[str], Any]
    needs: tuple[int, ...] = ()
    effort: float = 0.0


def run_tasks(
    tasks: Sequence[Task], *, workers: Workers | None = None, notify: Notify | None = None
) -> list[Any]:
    """The outcomes of tasks, in their order.

    Args:
        tasks: what to do; a task needs only earlier ones.
        workers: processes to do it; here if None.
        notify: called when one is done.

    Raises:
        InputError: if a task raises it.
    """
    run = _Run(tasks, notify, {})
    if workers is None or len(tasks) < 2:
        for position in range(len(tasks)):
            run.settle(position, attempt(*run.call(position)))
    else:
        _share_out(run, workers)
    return [run.outcomes[position] for position in range(len(tasks))]


@dataclass(frozen=True, slots=True)
class _Run:
    """The outcomes so far, by position."""

    tasks: Sequence[Task]
    notify: Notify | None
    outcomes: dict[int, Any]

    def call(self, position: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        task = self.tasks[position]
        return task.work, (*task.arguments, *(self.outcomes[need] for need in task.needs))

    def settle(self, position: int, answer: Any) -> None:
        if isinstance(answer, InputError):
            raise answer
        task = self.tasks[position]
        self.outcomes[position] = task.failed(answer.text) if isinstance(answer, Failure) else answer
        if self.notify is not None:
            self.notify(len(self.outcomes), len(self.tasks), task.name)


def _share_out(run: _Run, workers: Workers) -> None:
    from solvers.network.workers import Died

    urgency, needed_by = _urgency(run.tasks)
    open_needs = [len(set(task.needs)) for task in run.tasks]
    begun = [0] * len(run.tasks)
    waiting = [(-urgency[p], p) for p in range(len(run.tasks)) if not open_needs[p]]
    heapify(waiting)
    workers.start(len(run.tasks))
    while len(run.outcomes) < len(run.tasks):
        while waiting and workers.hand_out(waiting[0][1], run.call(waiting[0][1])):
            begun[heappop(waiting)[1]] += 1
        for position, answer in workers.answers():
            if isinstance(answer, Died):
                if begun[position] < ATTEMPTS:
                    heappush(waiting, (-urgency[position], position))
                    continue
                answer = Failure(f"its process {answer}, {ATTEMPTS} times")
            run.settle(position, answer)
            for other in needed_by[position]:
                open_needs[other] -= 1
                if not open_needs[other]:
                    heappush(waiting, (-urgency[other], other))


def _urgency(tasks: Sequence[Task]) -> tuple[list[float], list[list[int]]]:
    """The effort of each task and of the longest chain that waits for it; and the tasks that need it."""
    urgency = [task.effort for task in tasks]
    needed_by: list[list[int]] = [[] for _ in tasks]
    for position in reversed(range(len(tasks))):
        for need in set(tasks[position].needs):
            needed_by[need].append(position)
            urgency[need] = max(urgency[need], tasks[need].effort + urgency[position])
    return urgency, needed_by
