"""Blocks beside trained weights that stay for good: frontiers that grow where a program's answer needs it.

What all weights that stay leave to a layer may be any room, and the fronts of all of them are many points. So
the fronts of a few rooms are made, a program is solved with what they bound from below
(``formulation.network.growing``), and where what it chose does not fit the room that is left, the front of
that room is made and the program solved again. An answer that fits is an optimum over all rooms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.network.blocks import Block, BlockState, TotalMeasure
from formulation.network.choice import Chosen, Key
from formulation.network.frontier import Point
from formulation.network.graph import TensorGraph
from formulation.network.growing import GrowingFrontier
from formulation.network.movement import kept_bits
from formulation.network.stacks.candidates import stacks
from formulation.network.stacks.stack import Stack
from formulation.network.stacks.states import nameless, stack_for_good, stack_states
from formulation.network.states import for_good, layer_states
from formulation.network.weights import bits_for_good, trained_weights
from formulation.problem import Kind
from solvers.network.resident.points import Failed, MadeFrontier, Wanted, points, wanted_layer
from solvers.network.resident.stack_points import (
    WantedStack,
    most_latencies,
    named,
    stack_name,
    stack_points,
)
from solvers.network.tasks import Notify, Task, run_tasks

if TYPE_CHECKING:
    from solvers.network.workers import Workers

_FEWER = 4  # each room of the first ones is so many times smaller than the one before
_LEAST_ROOM = 1 << 13  # bits, of the first ones

StateKey = tuple[str, tuple[int, ...], bool]
"""Name of a block, what stays, whether its weights do."""


@dataclass(frozen=True, slots=True)
class Making:
    """What all frontiers are made for.

    Attributes:
        hardware: the machine.
        treatment: of deconvolutions.
        kind: of the objective.
        time_limit: seconds for each frontier; None for none.
    """

    hardware: Hardware
    treatment: Treatment
    kind: Kind
    time_limit: float | None


Recipe = Wanted | WantedStack
"""A layer beside a state of its operands, or a stack without names beside one; the rooms are left open."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A state of a block.

    Attributes:
        recipe: how its fronts are made; the same for states that are alike.
        most: bits that may be left to it.
        stack: the stack, None of a layer.
        stays: tensors of the stack that stay.
    """

    recipe: Recipe
    most: int
    stack: Stack | None = None
    stays: frozenset[int] = frozenset()

    def own(self, point: Point) -> Point:
        """A point of the recipe as one of the block."""
        return point if self.stack is None else named(point, self.stack, self.stays)


def fronts(making: Making, recipe: Recipe, rooms: tuple[int, ...]) -> MadeFrontier:
    """The points of the fronts of some rooms, descending [bits]."""
    if isinstance(recipe, Wanted):
        wanted = replace(recipe, rooms=rooms)
        return points(making.hardware, making.treatment, making.kind, wanted, making.time_limit)
    ((stays, _, _),) = recipe.states
    stack = replace(recipe, states=((stays, rooms[0], rooms),))
    return stack_points(making.hardware, making.kind, stack, making.time_limit)[0]


class Growth:
    """The blocks of a network, and what is known of their frontiers.

    Args:
        graph: the network.
        making: what frontiers are made for.
        workers: processes to use; the blocks do not depend on them.
        notify: called after each frontier.

    Attributes:
        weights: that may stay for good.
        errors: internal ones, by the first layer's position.
    """

    def __init__(
        self,
        graph: TensorGraph,
        making: Making,
        workers: Workers | None = None,
        notify: Notify | None = None,
    ) -> None:
        self.graph, self.making, self.hardware = graph, making, making.hardware
        self.workers, self.notify = workers, notify
        self.weights = trained_weights(graph, making.hardware)
        self.errors: dict[int, str] = {}
        self._entries: dict[StateKey, Entry] = {}
        self._known: dict[Recipe, GrowingFrontier] = {}
        self._failed: dict[Recipe, str] = {}

    def layers(self) -> list[Block]:
        """A block for every layer; one without points does not fit."""
        drafts = []
        for use in self.graph.layers:
            found = layer_states(self.graph, self.hardware, use)
            bits = bits_for_good(self.weights, [use.position])
            found = replace(found, states=tuple(replace(s, rooms=None) for s in found.states))
            found = found if bits is None else for_good(self.hardware, found, bits)
            states = []
            for state in found.states:
                most = self.hardware.buffer_bits - state.kept
                self._enter(use.name, state.stay, state.resident, Entry(wanted_layer(found, state), most))
                states.append(BlockState(state.stay, (), True, state.resident))
            drafts.append(Block(use.position, use.position, found.kinds, tuple(states), use.name))
        return self._begun(drafts)

    def stacks(
        self, longest: int, layers: Sequence[Block], without: frozenset[int], cap: int | None
    ) -> list[Block]:
        """A block for every stack that fits; arguments as of ``stack_blocks``."""
        found = []
        for stack in stacks(self.graph, longest):
            if without.isdisjoint(range(stack.first, stack.last + 1)):
                states = stack_states(self.graph, self.hardware, stack)
                bits = bits_for_good(self.weights, range(stack.first, stack.last + 1))
                found.append(states if bits is None else stack_for_good(states, bits))
        drafts = []
        limits = most_latencies(self.hardware, found, layers, cap)
        for states, limit in zip(found, limits, strict=True):
            stack, name = states.stack, stack_name(self.graph, states.stack)
            for state in states.states:
                own = replace(stack, resident=state.resident)
                plain, stays = nameless(own, state.stays)
                recipe = WantedStack(plain, ((stays, state.most, None),), limit)
                self._enter(name, state.stay, state.resident, Entry(recipe, state.most, own, state.stays))
            kinds = tuple((tensor,) for tensor in states.tensors)
            drafts.append(
                Block(
                    stack.first,
                    stack.last,
                    kinds,
                    tuple(BlockState(s.stay, (), True, s.resident) for s in states.states),
                    name,
                )
            )
        blocks = self._begun(drafts)
        return [block for block in blocks if any(state.points for state in block.states)]

    def _enter(self, name: str, stay: tuple[int, ...], resident: bool, entry: Entry) -> None:
        if isinstance(entry.recipe, WantedStack):  # rooms are given by whoever asks
            ((stays, _, _),) = entry.recipe.states
            entry = replace(entry, recipe=replace(entry.recipe, states=((stays, 0, None),)))
        self._entries[name, stay, resident] = entry

    def _begun(self, drafts: Sequence[Block]) -> list[Block]:
        """Blocks with the fronts of a few rooms."""
        rooms: dict[Recipe, set[int]] = {}
        names: dict[Recipe, str] = {}
        for block in drafts:
            for state in block.states:
                entry = self._entries[block.name, state.stay, state.resident]
                rooms.setdefault(entry.recipe, set()).add(entry.most)
                names.setdefault(entry.recipe, block.name)
        for recipe, wanted in rooms.items():
            room = min(wanted) // _FEWER
            while room > _LEAST_ROOM and isinstance(recipe, Wanted):
                wanted.add(room)
                room //= _FEWER
        self._make(rooms, names)
        for block in drafts:
            for state in block.states:
                recipe = self._entries[block.name, state.stay, state.resident].recipe
                if recipe in self._failed:
                    stack = "" if isinstance(recipe, Wanted) else f"stack {block.name}: "
                    self.errors.setdefault(block.first, stack + self._failed[recipe])
        return list(self.filled(drafts))

    def _make(self, rooms: dict[Recipe, set[int]], names: dict[Recipe, str]) -> None:
        """Make the fronts of some rooms."""
        asked = {recipe: tuple(sorted(wanted, reverse=True)) for recipe, wanted in rooms.items()}
        tasks = [
            Task(names[recipe], fronts, (self.making, recipe, wanted), Failed)
            for recipe, wanted in asked.items()
        ]
        made = run_tasks(tasks, workers=self.workers, notify=self.notify)
        for (recipe, wanted), outcome in zip(asked.items(), made, strict=True):
            known = self._known.setdefault(recipe, GrowingFrontier())
            if isinstance(outcome, Failed):
                self._failed[recipe] = outcome.text
                known.add(wanted, (), False)
            else:
                known.add(wanted, outcome.points, outcome.complete)

    def filled(self, blocks: Sequence[Block]) -> tuple[Block, ...]:
        """Blocks with what is known by now; points that they have keep their places."""
        return tuple(
            replace(block, states=tuple(self._filled(block, state) for state in block.states))
            for block in blocks
        )

    def _filled(self, block: Block, state: BlockState) -> BlockState:
        entry = self._entry(block, state)
        if entry is None:
            return state
        known = self._known[entry.recipe]
        own = tuple(entry.own(point) for point in known.relaxed())
        return replace(state, points=own, complete=known.complete)

    def _entry(self, block: Block, state: BlockState) -> Entry | None:
        """Of a state; None for what stands in for a layer that does not fit."""
        entry = self._entries.get((block.name, state.stay, state.resident))
        stands_in = entry is not None and state.points and not self._known[entry.recipe].points
        return None if stands_in else entry

    def real(self, block: Block, s: int, p: int) -> Point:
        """A point with what it really needs."""
        entry = self._entry(block, block.states[s])
        own = block.states[s].points[p]
        return own if entry is None else replace(own, need=self._known[entry.recipe].points[p].need)

    def rooms(self, blocks: Sequence[Block], chosen: Chosen) -> list[int]:
        """What is left to each block that is used [bits]."""
        tensors, buffer = self.graph.tensors, self.hardware.buffer_bits
        held = sum(self.weights[w].bits for w in chosen.weights)
        left = []
        for b, _, _ in chosen.runs:
            kept = (t for t in chosen.stays if any(tensors[t].alive(p) for p in blocks[b].positions))
            left.append(buffer - held - sum(kept_bits(self.hardware, tensors[t]) for t in kept))
        return left

    def fits(self, blocks: Sequence[Block], chosen: Chosen) -> bool:
        """Whether what is used really fits."""
        runs = zip(chosen.runs, self.rooms(blocks, chosen), strict=True)
        return all(self.real(blocks[b], s, p).need <= room for (b, s, p), room in runs)

    def grown(self, blocks: Sequence[Block], chosen: Chosen) -> tuple[Block, ...] | None:
        """The blocks with the fronts of the rooms that are left where a solution does not fit.

        None if all of these are known: a solver's rounding let the solution through.
        """
        rooms: dict[Recipe, set[int]] = {}
        names: dict[Recipe, str] = {}
        for (b, s, p), room in zip(chosen.runs, self.rooms(blocks, chosen), strict=True):
            entry = self._entry(blocks[b], blocks[b].states[s])
            if entry is None or self.real(blocks[b], s, p).need <= room:
                continue
            if not self._known[entry.recipe].knows(room):
                rooms.setdefault(entry.recipe, set()).add(room)
                names.setdefault(entry.recipe, blocks[b].name)
        if not rooms:
            return None
        self._make(rooms, names)
        return self.filled(blocks)

    def repaired(
        self, blocks: Sequence[Block], chosen: Chosen, measure: TotalMeasure, caps: Iterable[TotalMeasure]
    ) -> Chosen | None:
        """A solution that fits, with what stays as it is; block by block no worse in caps if it can."""
        runs: list[Key] = []
        for (b, s, p), room in zip(chosen.runs, self.rooms(blocks, chosen), strict=True):
            state = blocks[b].states[s]
            was = state.points[p]
            found = [
                (any(c.of(point) > c.of(was) for c in caps), measure.of(point), i)
                for i, point in enumerate(state.points)
                if self.real(blocks[b], s, i).need <= room
            ]
            if not found:
                return None
            runs.append((b, s, min(found)[2]))
        return replace(chosen, runs=tuple(runs))
