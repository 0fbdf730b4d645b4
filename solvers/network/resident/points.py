"""The blocks of single layers: capacity-cost frontiers for every state, equal layers once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dnns.layer import Layer, Operator
from formulation.deconv import Treatment, naive
from formulation.hardware import Hardware
from formulation.network.frontiers.deconvolution import split_frontier
from formulation.network.frontiers.front import Sought, Stop, posed
from formulation.network.frontiers.frontier import Point, frontier
from formulation.network.frontiers.space import MovedSpace
from formulation.network.graph import TensorGraph
from formulation.network.movement import Movement
from formulation.network.program.blocks import Block, BlockState
from formulation.network.states import LayerStates, State, layer_states
from formulation.shared.problem import SubKernels
from solvers.backends.deadline import Deadline
from solvers.network.resident.sharing import SharedFrontiers
from solvers.network.tasks import Notify, Task, run_tasks

if TYPE_CHECKING:
    from solvers.network.workers import Workers


@dataclass(frozen=True, slots=True)
class Wanted:
    """A frontier to be made.

    Attributes:
        layer: the layer, without its name.
        movement: where its operands are.
        rooms: bits that may be left for it, descending; None for any.
    """

    layer: Operator
    movement: Movement
    rooms: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class MadeFrontier:
    """A frontier.

    Attributes:
        points: of it.
        complete: whether it was made whole.
        beside: bounds on what may be better than its points.
    """

    points: tuple[Point, ...]
    complete: bool = True
    beside: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """In the place of a frontier: an internal error, in one line."""

    text: str


def layer_blocks(
    graph: TensorGraph,
    hardware: Hardware,
    treatment: Treatment,
    kind: Sought,
    *,
    smaller: Sequence[int] = (0,),
    time_limit: float | None = None,
    workers: Workers | None = None,
    notify: Notify | None = None,
) -> tuple[list[Block], dict[int, str]]:
    """A block for every layer, in order, and internal errors by position; one without points does not fit.

    Args:
        graph: the network.
        hardware: the machine.
        treatment: of deconvolutions.
        kind: of the objective, or a measure with energy; but for latency and traffic together, a single point
            for each room is needed.
        smaller: how much smaller the buffers are for which points are wanted [bits].
        time_limit: seconds for each frontier; None for none.
        workers: processes to use; the blocks do not depend on them.
        notify: called after each frontier.
    """
    states = [layer_states(graph, hardware, use, smaller) for use in graph.layers]
    names: dict[Wanted, str] = {}
    for found in states:
        for state in found.states:
            names.setdefault(wanted_layer(found, state), found.use.name)
    tasks = [
        Task(
            name,
            points,
            (hardware, treatment, kind, wanted, time_limit),
            Failed,
            effort=float(wanted.layer.macs) ** 0.5,
        )
        for wanted, name in names.items()
    ]
    made = dict(zip(names, run_tasks(tasks, workers=workers, notify=notify), strict=True))
    errors = {}
    for found in states:
        failed = (made[wanted_layer(found, state)] for state in found.states)
        texts = [outcome.text for outcome in failed if isinstance(outcome, Failed)]
        if texts:
            errors[found.use.position] = texts[0]
    return [_block(found, made, errors) for found in states], errors


def wanted_layer(found: LayerStates, state: State) -> Wanted:
    """The frontier of a state of a layer, the same for states that are alike.

    What the layer is called does not matter.
    """
    return Wanted(replace(found.use.layer, name="", op="conv"), state.movement, state.rooms)


def _block(found: LayerStates, made: dict[Wanted, MadeFrontier], errors: dict[int, str]) -> Block:
    position = found.use.position
    states = []
    for state in found.states:
        frontier = MadeFrontier(()) if position in errors else made[wanted_layer(found, state)]
        states.append(BlockState(state.stay, frontier.points, frontier.complete, beside=frontier.beside))
    return Block(position, position, found.kinds, tuple(states), found.use.name)


def points(
    hardware: Hardware, treatment: Treatment, kind: Sought, wanted: Wanted, time_limit: float | None
) -> MadeFrontier:
    """The frontier of a layer beside a state of its operands; arguments as of ``layer_blocks``."""
    layer, deadline = wanted.layer, Deadline.of(time_limit)
    stop = Stop(lambda: deadline.passed)
    if not isinstance(layer, Layer) and treatment is not Treatment.NAIVE:
        moved, rooms = wanted.movement, wanted.rooms
        if treatment is Treatment.COMBINE and SubKernels(layer).layers:
            shared = SharedFrontiers(layer, hardware, kind, stop, deadline.at)
            both = split_frontier(layer, hardware, moved, rooms, kind, stop=stop, others=shared.points)
            return MadeFrontier(tuple(both), not stop.stopped, tuple(shared.beside))
        found = split_frontier(layer, hardware, moved, rooms, kind, stop=stop)
    else:
        plain = layer if isinstance(layer, Layer) else replace(naive(layer), name="")
        space = MovedSpace(posed(plain, hardware, kind), wanted.movement)
        found = frontier(space, wanted.rooms, kind, stop=stop)
    return MadeFrontier(tuple(found), not stop.stopped)


def stop_after(time_limit: float | None) -> Stop:
    """A stop after so many seconds from now on; never for None."""
    deadline = Deadline.of(time_limit)
    return Stop(lambda: deadline.passed)
