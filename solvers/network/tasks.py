"""Tasks that depend on each other, done here or by worker processes; one that fails never loses the others.

With workers, what takes long is begun first: of the tasks that can begin, the one on which the most work
waits, its own included; and tasks that are akin follow each other, as the second is quicker where the first
was done. The outcomes do not depend on who did what, nor when.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Protocol

from dnns.errors import InputError
from solvers.network.attempt import Died, Failure, NotBegun, attempt

if TYPE_CHECKING:
    from solvers.network.workers import Workers

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its arguments, known to pickle."""
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
        kin: equal for tasks of which each is quicker where another was done; None if there are none.
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    failed: Callable[[str], Any]
    needs: tuple[int, ...] = ()
    effort: float = 0.0
    kin: Hashable = None


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
        share_out(run, workers)
    return [run.outcomes[position] for position in range(len(tasks))]


class Executor(Protocol):
    """Whoever does the work."""

    def start(self, number: int) -> None:
        """Be ready for a number of calls."""

    def hand_out(self, token: int, call: Call, kin: Hashable = None) -> bool:
        """Take a call, by preference where one of its kin was done; False if there is nobody for it now."""

    def answers(self) -> Iterator[tuple[int, Any]]:
        """Wait for answers, each with its call's token.

        ``Died`` stands for a process that did not answer, ``NotBegun`` for what else was handed to it.
        """


class Ledger(Protocol):
    """Who keeps the outcomes of tasks."""

    @property
    def tasks(self) -> Sequence[Task]:
        """What to do; a task needs only earlier ones."""

    def is_settled(self, position: int) -> bool:
        """Whether the outcome of a task is known."""

    def call(self, position: int) -> Call:
        """What to call for a task, the tasks that it needs being settled."""

    def settle(self, position: int, answer: Any) -> None:
        """Take what a call has returned, or what stands in its place."""

    def keep(self) -> None:
        """Keep what was taken since; then others may need it."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The outcomes so far, by position."""

    tasks: Sequence[Task]
    notify: Notify | None
    outcomes: dict[int, Any]

    def is_settled(self, position: int) -> bool:
        return position in self.outcomes

    def call(self, position: int) -> Call:
        task = self.tasks[position]
        return task.work, (*task.arguments, *(self.outcomes[need] for need in task.needs))

    def settle(self, position: int, answer: Any) -> None:
        if isinstance(answer, InputError):
            raise answer
        task = self.tasks[position]
        self.outcomes[position] = task.failed(answer.text) if isinstance(answer, Failure) else answer
        if self.notify is not None:
            self.notify(len(self.outcomes), len(self.tasks), task.name)

    def keep(self) -> None:
        """It is kept already."""


def share_out(ledger: Ledger, executor: Executor) -> None:
    """Have all tasks done whose outcome is not known yet.

    Raises:
        InputError: if the executor, or the ledger, does.
    """
    tasks = ledger.tasks
    rank, needed_by = _ranks(tasks)
    left = {position for position in range(len(tasks)) if not ledger.is_settled(position)}
    open_needs = [len(left & set(task.needs)) for task in tasks]
    begun = [0] * len(tasks)
    waiting = [rank[position] for position in left if not open_needs[position]]
    heapify(waiting)
    executor.start(len(left))
    while left:
        while waiting:
            position = waiting[0][-1]
            if not executor.hand_out(position, ledger.call(position), tasks[position].kin):
                break
            begun[position] += 1
            heappop(waiting)
        for position, answer in executor.answers():
            if isinstance(answer, NotBegun):
                begun[position] -= 1
            if isinstance(answer, NotBegun) or (isinstance(answer, Died) and begun[position] < ATTEMPTS):
                heappush(waiting, rank[position])
                continue
            if isinstance(answer, Died):
                answer = Failure(f"its process {answer}, {ATTEMPTS} times")
            ledger.settle(position, answer)
            left.remove(position)
            for other in needed_by[position]:
                open_needs[other] -= 1
                if not open_needs[other]:
                    heappush(waiting, rank[other])
        ledger.keep()


def _ranks(tasks: Sequence[Task]) -> tuple[list[tuple[float, int, int]], list[list[int]]]:
    """What tasks are sorted by, the most urgent first, kin together, their places last; and who needs each.

    A task is as urgent as its effort and that of the longest chain that waits for it; kin as the most urgent
    of them.
    """
    urgency = [task.effort for task in tasks]
    needed_by: list[list[int]] = [[] for _ in tasks]
    for position in reversed(range(len(tasks))):
        for need in set(tasks[position].needs):
            needed_by[need].append(position)
            urgency[need] = max(urgency[need], tasks[need].effort + urgency[position])
    first: dict[Hashable, int] = {}
    most: dict[int, float] = {}
    groups = []
    for position, task in enumerate(tasks):
        place = position if task.kin is None else first.setdefault(task.kin, position)
        most[place] = max(most.get(place, 0.0), urgency[position])
        groups.append(place)
    return [(-most[place], place, position) for position, place in enumerate(groups)], needed_by
