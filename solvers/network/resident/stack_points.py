"""The blocks of fused stacks: capacity-cost frontiers for every state, equal stacks once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from formulation.hardware import Hardware
from formulation.network.frontiers.front import Sought
from formulation.network.frontiers.frontier import Point
from formulation.network.graph import TensorGraph
from formulation.network.program.blocks import Block, BlockState, least_beside
from formulation.network.stacks.search.candidates import stacks
from formulation.network.stacks.search.frontier import StackWay, stack_frontier
from formulation.network.stacks.space import StackSpace, stack_tables
from formulation.network.stacks.stack import Stack
from formulation.network.stacks.states import StackStates, nameless, stack_states
from formulation.network.stacks.tables import StackAxis
from solvers.network.resident.points import Failed, MadeFrontier, stop_after
from solvers.network.tasks import Notify, Task, run_tasks

if TYPE_CHECKING:
    from solvers.network.workers import Workers


@dataclass(frozen=True, slots=True)
class WantedStack:
    """The frontiers of a stack, without names, for its states.

    Attributes:
        stack: the stack.
        states: of each, the tensors that stay, the bits that are left and the rooms of ``StackState``.
        most_latency: points above are of no interest [ticks]; None for no limit.
    """

    stack: Stack
    states: tuple[tuple[frozenset[int], int, tuple[int, ...] | None], ...]
    most_latency: int | None


def wanted_stacks(
    graph: TensorGraph,
    hardware: Hardware,
    longest: int,
    *,
    cap: int | None = None,
    layers: Sequence[Block] = (),
    without: frozenset[int] = frozenset(),
    smaller: Sequence[int] = (0,),
) -> list[tuple[StackStates, WantedStack]]:
    """Every stack with its states, and what frontiers it needs.

    Args:
        graph: the network.
        hardware: the machine.
        longest: layers of a stack at most; a single layer whose rows are kept is one.
        cap: of the network's latency [ticks]; None for none. What cannot keep it, however fast all other
            layers are, is left out.
        layers: a block with points for every layer by itself; needed with a cap.
        without: positions of layers that no stack holds.
        smaller: how much smaller the buffers are for which points are wanted [bits].
    """
    found = [
        stack_states(graph, hardware, stack, smaller)
        for stack in stacks(graph, longest)
        if without.isdisjoint(range(stack.first, stack.last + 1))
    ]
    most = most_latencies(hardware, found, layers, cap)
    return [(states, _wanted(states, limit)) for states, limit in zip(found, most, strict=True)]


def stack_blocks(
    graph: TensorGraph,
    hardware: Hardware,
    kind: Sought,
    wanted: Sequence[tuple[StackStates, WantedStack]],
    *,
    time_limit: float | None = None,
    workers: Workers | None = None,
    notify: Notify | None = None,
) -> tuple[list[Block], dict[int, str]]:
    """A block for every stack that fits, and internal errors by the first layer's position.

    Args:
        graph: the network.
        hardware: the machine.
        kind: as of ``layer_blocks``.
        wanted: of ``wanted_stacks``.
        time_limit: seconds for the frontiers of each stack; None for none.
        workers: processes to use; the blocks do not depend on them.
        notify: called after each stack.
    """
    names: dict[WantedStack, str] = {}
    for states, frontier in wanted:
        names.setdefault(frontier, stack_name(graph, states.stack))
    tasks = [
        Task(name, stack_points, (hardware, kind, frontier, time_limit), Failed, effort=_effort(frontier))
        for frontier, name in names.items()
    ]
    made = dict(zip(names, run_tasks(tasks, workers=workers, notify=notify), strict=True))
    errors = {
        states.stack.first: f"stack {stack_name(graph, states.stack)}: {made[frontier].text}"
        for states, frontier in wanted
        if isinstance(made[frontier], Failed)
    }
    blocks = [
        _block(graph, states, made[frontier])
        for states, frontier in wanted
        if not isinstance(made[frontier], Failed)
    ]
    return [block for block in blocks if any(state.points for state in block.states)], errors


def stack_name(graph: TensorGraph, stack: Stack) -> str:
    """What programs and tables call a stack."""
    first, last = graph.layers[stack.first].name, graph.layers[stack.last].name
    return f"{first} rows" if stack.first == stack.last else f"{first}..{last}"


def _wanted(found: StackStates, most_latency: int | None) -> WantedStack:
    stack, _ = nameless(found.stack, frozenset())
    states = tuple((nameless(found.stack, s.stays)[1], s.most, s.rooms) for s in found.states)
    return WantedStack(stack, states, most_latency)


def most_latencies(
    hardware: Hardware, found: Sequence[StackStates], layers: Sequence[Block], cap: int | None
) -> list[int | None]:
    """What each stack may take at most if all other layers are as fast as they can be [ticks]."""
    if cap is None:
        return [None] * len(found)
    spans = [(b.first, b.last, min(p.latency for _, _, p in b.loosened.choices())) for b in layers]
    for states in found:
        stack = states.stack
        space = StackSpace(stack, hardware, stack_tables(stack, hardware), frozenset())
        spans.append((stack.first, stack.last, space.floor_ticks))
    beside = least_beside(1 + max(b.last for b in layers), spans)
    return [cap - beside[states.stack.first, states.stack.last] for states in found]


def _effort(wanted: WantedStack) -> float:
    cuts = 1.0
    for extent in wanted.stack.maps[wanted.stack.root].extents:
        cuts *= extent
    return float(len(wanted.states) * len(wanted.stack.layers) * cuts**0.5)


def stack_points(
    hardware: Hardware, kind: Sought, wanted: WantedStack, time_limit: float | None
) -> list[MadeFrontier]:
    """The frontier of a stack for each of its states; arguments as of ``stack_blocks``."""
    tables = _tables(replace(wanted.stack, resident=False), hardware) if wanted.states else ()
    found = []
    for stays, most, rooms in wanted.states:
        space, stop = StackSpace(wanted.stack, hardware, tables, stays), stop_after(time_limit)
        points = stack_frontier(space, rooms, most, kind, wanted.most_latency, stop)
        found.append(MadeFrontier(tuple(points), not stop.stopped))
    return found


@lru_cache(maxsize=4)
def _tables(stack: Stack, hardware: Hardware) -> tuple[StackAxis, ...]:
    """As of ``stack_tables``; states of a stack are made one after another."""
    return stack_tables(stack, hardware)


def _block(graph: TensorGraph, found: StackStates, made: list[MadeFrontier]) -> Block:
    states = tuple(
        BlockState(
            state.stay,
            tuple(named(point, found.stack, state.stays) for point in frontier.points),
            frontier.complete,
        )
        for state, frontier in zip(found.states, made, strict=True)
    )
    stack, kinds = found.stack, tuple((tensor,) for tensor in found.tensors)
    return Block(stack.first, stack.last, kinds, states, stack_name(graph, stack))


def named(point: Point, stack: Stack, stays: frozenset[int]) -> Point:
    """A point of a stack without names as one of the stack itself."""
    (way,) = point.ways
    assert isinstance(way, StackWay)
    return replace(point, ways=(StackWay(stack, stays, way.schedule),))
