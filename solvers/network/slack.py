"""A tolerance over the whole network: which layer takes how much of it.

A schedule may take ``(1 + tolerance)`` times the least total latency. Each layer has a front: the pairs of
latency and traffic that no other mapping beats in both. One point of each is chosen such that the total
latency is within that cap and the total traffic least, by a mixed-integer program over the fronts
(``solvers.network.resident.choose``, priced again in integers). The latency of a layer's point, over its
least latency, is the tolerance that the layer is then solved with, by any exact method.

Copies of a layer that run one after another run alike. Deconvolutions that may share ifmap tiles have no
front here: they keep the tolerance each for itself, and stand outside the cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from time import monotonic
from typing import TYPE_CHECKING

from dnns.layer import Deconvolution, Layer
from formulation.hardware import Hardware
from formulation.network.frontiers.front import Pair, posed
from formulation.network.frontiers.frontier import Point, frontier
from formulation.network.frontiers.space import MovedSpace
from formulation.network.movement import alone
from formulation.network.program.blocks import Block, BlockState
from formulation.problem import Objective, Problem
from solvers.backends.registry import DEFAULT_MILP
from solvers.network.attempt import Failure
from solvers.network.plan import Part, Planned
from solvers.network.resident.choose import Chooser
from solvers.network.resident.outcome import TRAFFIC, Choice
from solvers.network.tasks import Notify, Task, run_tasks
from solvers.network.work import effort
from solvers.result import Termination

if TYPE_CHECKING:
    from solvers.network.workers import Workers

_MORE = (2, 5)
"""How many times the tolerance is looked at besides."""
_TRAFFIC = Pair()
_IF_NONE = Fraction(1, 100)
"""In the place of a tolerance of 0 there."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Who solves the programs.

    Attributes:
        backend: solver.
        time_limit: seconds for the programs of one tolerance; None for none.
    """

    backend: str = DEFAULT_MILP
    time_limit: float | None = None

    def solve(self, machine: Hardware, blocks: Sequence[Block], objective: Objective) -> Choice:
        """A point of each block: least total traffic within the tolerance of the least total latency."""
        chooser = Chooser(machine, (), blocks, backend=self.backend, time_limit=self.time_limit)
        choice = chooser.solve(objective)
        assert choice is not None, "every block has points"
        return choice


@dataclass(frozen=True, slots=True)
class Offer:
    """What a tolerance over the network allows.

    Attributes:
        tolerance: on the least total latency.
        cap: the latency that it allows [ticks].
        latency: total of the choice [ticks].
        traffic: total of the choice [bits].
        bound: on the total traffic of every schedule within the cap [bits].
        termination: of the programs.
    """

    tolerance: Fraction
    cap: int
    latency: int
    traffic: int
    bound: int
    termination: Termination


@dataclass(frozen=True, slots=True)
class Slack:
    """How a tolerance was shared out.

    Attributes:
        least: least total latency [ticks].
        taken: what the scenario's tolerance allows.
        more: what more of it would allow.
        outside: layers that keep the tolerance each for itself.
        seconds: wall time.
    """

    least: int
    taken: Offer
    more: tuple[Offer, ...]
    outside: tuple[str, ...]
    seconds: float


def shared_out(
    plan: Sequence[Planned],
    objective: Objective,
    programs: Programs,
    *,
    combine: bool = False,
    workers: Workers | None = None,
    notify: Notify | None = None,
) -> tuple[tuple[Planned, ...], Slack | None]:
    """The plan with an objective of its own for each part; and how it was shared out, None if nothing was.

    Args:
        plan: the network's layers.
        objective: balanced, with the tolerance on the sum.
        programs: who solves them, and for how long.
        combine: whether deconvolutions may share ifmap tiles.
        workers: processes to use; the outcome does not depend on them.
        notify: called after each front.
    """
    started = monotonic()
    outside = [planned.operator.name for planned in plan if combine and _is_deconvolution(planned)]
    parts = [
        (part, planned)
        for planned in plan
        if planned.operator.name not in outside
        for part in planned.parts
        if part.layer is not None
    ]
    fronts = _fronts(parts, workers, notify)
    counted = [(p, planned, points) for p, planned in parts if (points := fronts[_problem(p, planned)])]
    if not counted:
        return tuple(plan), None
    blocks = [
        Block(k, k, (), (BlockState((), _times(points, part.count * planned.operator.count)),), part.name)
        for k, (part, planned, points) in enumerate(counted)
    ]
    machine = counted[0][1].machine
    choice = programs.solve(machine, blocks, objective)
    own = {}
    for block, _, p in choice.chosen.runs:
        part, _, points = counted[block]
        least = min(point.latency for point in points)
        own[part.name] = replace(objective, tolerance=Fraction(points[p].latency - least, least))
    more = [replace(objective, tolerance=(objective.tolerance or _IF_NONE) * times) for times in _MORE]
    offers = tuple(_offer(programs.solve(machine, blocks, other), other) for other in more)
    taken, seconds = _offer(choice, objective), monotonic() - started
    slack = Slack(choice.stages[0].total, taken, offers, tuple(outside), seconds)
    return tuple(_with(planned, own) for planned in plan), slack


def _is_deconvolution(planned: Planned) -> bool:
    return isinstance(planned.operator, Deconvolution)


def _problem(part: Part, planned: Planned) -> Problem:
    assert part.layer is not None
    return Problem(replace(part.layer, name="", op="conv", count=1), planned.machine)


def _fronts(
    parts: Sequence[tuple[Part, Planned]], workers: Workers | None, notify: Notify | None
) -> dict[Problem, list[Point]]:
    """The front of each distinct problem; none where nothing fits, or the program failed."""
    names: dict[Problem, str] = {}
    for part, planned in parts:
        names.setdefault(_problem(part, planned), part.name)
    tasks = [Task(name, front, (p.layer, p.hardware), Failure, (), effort(p)) for p, name in names.items()]
    made = run_tasks(tasks, workers=workers, notify=notify)
    return {p: [] if isinstance(found, Failure) else found for p, found in zip(names, made, strict=True)}


def front(layer: Layer, machine: Hardware, pair: Pair = _TRAFFIC) -> list[Point]:
    """The pairs of latency and traffic, or energy, of a layer that no other mapping beats in both."""
    space = MovedSpace(posed(layer, machine, pair), alone(layer))
    return frontier(space, [machine.buffer_bits], pair)


def _times(points: Sequence[Point], count: int) -> tuple[Point, ...]:
    return tuple(replace(p, need=0, latency=count * p.latency, traffic=count * p.traffic) for p in points)


def _offer(choice: Choice, objective: Objective) -> Offer:
    bound = choice.bound(TRAFFIC)
    assert bound is not None
    cap = objective.cap(choice.stages[0].total)
    return Offer(objective.tolerance, cap, choice.latency, choice.traffic, bound, choice.termination)


def _with(planned: Planned, own: dict[str, Objective]) -> Planned:
    parts = tuple(replace(part, objective=own.get(part.name)) for part in planned.parts)
    return replace(planned, parts=parts)
