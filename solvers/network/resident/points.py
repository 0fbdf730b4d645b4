"""The blocks of single layers: capacity-cost frontiers for every state, equal layers once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

from dnns.layer import Layer, Operator
from formulation.deconv import Treatment, naive
from formulation.hardware import Hardware
from formulation.network.blocks import Block, BlockState
from formulation.network.deconvolution import split_frontier
from formulation.network.frontier import Point, frontier
from formulation.network.graph import TensorGraph
from formulation.network.movement import Movement
from formulation.network.space import MovedSpace
from formulation.network.states import LayerStates, layer_states
from formulation.problem import Kind, Problem

Notify = Callable[[int, int, str], None]
"""Progress: pieces done, pieces in all, name of the last one."""


@dataclass(frozen=True, slots=True)
class Task:
    """A frontier to be made.

    Attributes:
        layer: the layer, without its name.
        movement: where its operands are.
        rooms: bits that may be left for it, descending; None for any.
    """

    layer: Operator
    movement: Movement
    rooms: tuple[int, ...] | None


def layer_blocks(
    graph: TensorGraph,
    hardware: Hardware,
    treatment: Treatment,
    kind: Kind,
    *,
    jobs: int = 1,
    notify: Notify | None = None,
) -> list[Block]:
    """A block for every layer, in order; one without points does not fit.

    Args:
        graph: the network.
        hardware: the machine.
        treatment: of deconvolutions.
        kind: of the objective; latency or traffic alone needs a single point for each room.
        jobs: processes to use; the blocks do not depend on it.
        notify: called after each frontier.
    """
    states = [layer_states(graph, hardware, use) for use in graph.layers]
    tasks: dict[Task, str] = {}
    for found in states:
        for state in found.states:
            tasks.setdefault(_task(found, state.movement, state.rooms), found.use.name)
    made: dict[Task, list[Point]] = {}
    results = _mapped(partial(_points, hardware, treatment, kind), list(tasks), jobs)
    for (task, name), points in zip(tasks.items(), results, strict=True):
        made[task] = points
        if notify is not None:
            notify(len(made), len(tasks), name)
    return [_block(found, made) for found in states]


def _task(found: LayerStates, movement: Movement, rooms: tuple[int, ...] | None) -> Task:
    return Task(replace(found.use.layer, name="", op="conv"), movement, rooms)


def _block(found: LayerStates, made: dict[Task, list[Point]]) -> Block:
    states = tuple(
        BlockState(state.stay, tuple(made[_task(found, state.movement, state.rooms)]))
        for state in found.states
    )
    position = found.use.position
    return Block(position, position, found.kinds, states, found.use.name)


def _points(hardware: Hardware, treatment: Treatment, kind: Kind, task: Task) -> list[Point]:
    layer = task.layer
    if not isinstance(layer, Layer):
        if treatment is not Treatment.NAIVE:
            return split_frontier(layer, hardware, task.movement, task.rooms, kind)
        layer = replace(naive(layer), name="")
    return frontier(MovedSpace(Problem(layer, hardware), task.movement), task.rooms, kind)


def _mapped(work: Callable[[Task], list[Point]], tasks: list[Task], jobs: int) -> Iterator[list[Point]]:
    if jobs > 1 and len(tasks) > 1:
        with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
            yield from pool.map(work, tasks, chunksize=max(1, len(tasks) // (8 * jobs)))
    else:
        yield from map(work, tasks)
