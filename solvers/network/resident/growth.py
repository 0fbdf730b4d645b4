"""Blocks beside trained weights that stay for good: frontiers that grow where a program's answer needs it.

What all weights that stay leave to a layer may be any room, and the fronts of all of them are many points. So
the fronts of a few rooms are made, a program is solved with what they bound from below
(``formulation.network.frontiers.growing``), and where what it chose does not fit the room that is left, the
front of that room is made and the program solved again. An answer that fits is an optimum over all rooms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from formulation.network.frontiers.frontier import Point
from formulation.network.graph import TensorGraph
from formulation.network.movement import kept_bits
from formulation.network.program.blocks import Block, BlockState, TotalMeasure
from formulation.network.program.choice import Chosen, Key
from formulation.network.stacks.search.candidates import stacks
from formulation.network.stacks.states import nameless, stack_for_good, stack_states
from formulation.network.states import for_good, layer_states
from formulation.network.weights import bits_for_good, trained_weights
from solvers.network.resident.points import Failed, MadeFrontier, Wanted, wanted_layer
from solvers.network.resident.recipes import Growing, Making, Recipe, StateEntry, fronts
from solvers.network.resident.stack_points import WantedStack, most_latencies, stack_name
from solvers.network.tasks import Notify, Task, run_tasks

if TYPE_CHECKING:
    from solvers.network.workers import Workers

_FEWER = 4  # each room of the first ones is so many times smaller than the one before
_LEAST_ROOM = 1 << 13  # bits, of the first ones

StateKey = tuple[str, tuple[int, ...], bool]
"""Name of a block, what stays, whether its weights do."""


class Growth:
    """The blocks of a network, and what is known of their frontiers.

    Args:
        graph: the network.
        making: what frontiers are made for, with the largest buffer.
        for_good: whether trained weights may stay from one inference to the next.
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
        for_good: bool = True,
        workers: Workers | None = None,
        notify: Notify | None = None,
    ) -> None:
        self.graph, self.making, self.hardware = graph, making, making.hardware
        self.workers, self.notify = workers, notify
        self.weights = trained_weights(graph, making.hardware) if for_good else ()
        self.errors: dict[int, str] = {}
        self._entries: dict[StateKey, StateEntry] = {}
        self._growing: dict[Recipe, Growing] = {}

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
                growing = self._alike(wanted_layer(found, state), use.name)
                entry = StateEntry(growing, self.hardware.buffer_bits - state.kept)
                self._entries[use.name, state.stay, state.resident] = entry
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
                growing = self._alike(WantedStack(plain, ((stays, 0, None),), limit), name)
                entry = StateEntry(growing, state.most, own, state.stays)
                self._entries[name, state.stay, state.resident] = entry
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

    def _alike(self, recipe: Recipe, name: str) -> Growing:
        """What is known, or will be, of all states that are alike."""
        return self._growing.setdefault(recipe, Growing(recipe, name))

    def _begun(self, drafts: Sequence[Block]) -> list[Block]:
        """Blocks with the fronts of a few rooms."""
        rooms: dict[Growing, set[int]] = {}
        entries = [(block, self._entries[_key(block, state)]) for block in drafts for state in block.states]
        for _, entry in entries:
            rooms.setdefault(entry.growing, set()).add(entry.most)
        for growing, wanted in rooms.items():
            room = min(wanted) // _FEWER
            while room > _LEAST_ROOM and isinstance(growing.recipe, Wanted):
                wanted.add(room)
                room //= _FEWER
        self._make(rooms)
        for block, entry in entries:
            if entry.growing.failed:
                stack = "" if entry.stack is None else f"stack {block.name}: "
                self.errors.setdefault(block.first, stack + entry.growing.failed)
        return list(self.filled(drafts))

    def _make(self, rooms: dict[Growing, set[int]]) -> None:
        """Make the fronts of some rooms."""
        asked = {growing: tuple(sorted(wanted, reverse=True)) for growing, wanted in rooms.items()}
        tasks = [Task(g.name, fronts, (self.making, g.recipe, wanted), Failed) for g, wanted in asked.items()]
        made = run_tasks(tasks, workers=self.workers, notify=self.notify)
        for (growing, wanted), outcome in zip(asked.items(), made, strict=True):
            if isinstance(outcome, Failed):
                growing.failed, outcome = outcome.text, MadeFrontier((), False)
            growing.known.add(wanted, outcome.points, outcome.complete, outcome.beside)

    def filled(self, blocks: Sequence[Block], grown: Iterable[Growing] | None = None) -> tuple[Block, ...]:
        """Blocks with what is known by now, of all or of what has grown; their points keep their places."""
        some = None if grown is None else set(grown)

        def state_of(block: Block, state: BlockState) -> BlockState:
            entry = self._entry(block, state)
            if entry is None or (some is not None and entry.growing not in some):
                return state
            known = entry.growing.known
            points = tuple(map(entry.own, known.relaxed()))
            return replace(state, points=points, complete=known.complete, beside=known.beside)

        return tuple(replace(b, states=tuple(state_of(b, state) for state in b.states)) for b in blocks)

    def _entry(self, block: Block, state: BlockState) -> StateEntry | None:
        """Of a state; None for what stands in for a layer that does not fit."""
        entry = self._entries.get(_key(block, state))
        stands_in = entry is not None and state.points and not entry.growing.known.points
        return None if stands_in else entry

    def real(self, block: Block, s: int, p: int) -> Point:
        """A point with what it really needs."""
        own = block.states[s].points[p]
        return replace(own, need=self._need(block, s, p))

    def _need(self, block: Block, s: int, p: int) -> int:
        """What a point really needs [bits]."""
        entry = self._entry(block, block.states[s])
        return block.states[s].points[p].need if entry is None else entry.growing.known.points[p].need

    def rooms(self, buffer: int, blocks: Sequence[Block], chosen: Chosen) -> list[int]:
        """What is left of a buffer to each block that is used [bits]."""
        tensors = self.graph.tensors
        held = sum(self.weights[w].bits for w in chosen.weights)
        left = []
        for b, _, _ in chosen.runs:
            kept = (t for t in chosen.stays if any(tensors[t].alive(p) for p in blocks[b].positions))
            left.append(buffer - held - sum(kept_bits(self.hardware, tensors[t]) for t in kept))
        return left

    def fits(self, buffer: int, blocks: Sequence[Block], chosen: Chosen) -> bool:
        """Whether what is used really fits a buffer [bits]."""
        runs = zip(chosen.runs, self.rooms(buffer, blocks, chosen), strict=True)
        return all(self._need(blocks[b], s, p) <= room for (b, s, p), room in runs)

    def grown(self, buffer: int, blocks: Sequence[Block], chosen: Chosen) -> tuple[Block, ...] | None:
        """The blocks with the fronts of the rooms that a buffer leaves where a solution does not fit.

        None if all of these are known: a solver's rounding let the solution through.
        """
        rooms: dict[Growing, set[int]] = {}
        for (b, s, p), room in zip(chosen.runs, self.rooms(buffer, blocks, chosen), strict=True):
            entry = self._entry(blocks[b], blocks[b].states[s])
            needs = self._need(blocks[b], s, p)
            if entry is not None and needs > room and not entry.growing.known.knows(room):
                rooms.setdefault(entry.growing, set()).add(room)
        if not rooms:
            return None
        self._make(rooms)
        return self.filled(blocks, rooms)

    def repaired(
        self,
        buffer: int,
        blocks: Sequence[Block],
        chosen: Chosen,
        measure: TotalMeasure,
        caps: Iterable[TotalMeasure],
    ) -> Chosen | None:
        """A solution that fits, with what stays as it is; block by block no worse in caps if it can."""
        runs: list[Key] = []
        for (b, s, p), room in zip(chosen.runs, self.rooms(buffer, blocks, chosen), strict=True):
            state = blocks[b].states[s]
            was = state.points[p]
            found = [
                (any(c.of(point) > c.of(was) for c in caps), measure.of(point), i)
                for i, point in enumerate(state.points)
                if self._need(blocks[b], s, i) <= room
            ]
            if not found:
                return None
            runs.append((b, s, min(found)[2]))
        return replace(chosen, runs=tuple(runs))


def _key(block: Block, state: BlockState) -> StateKey:
    return block.name, state.stay, state.resident
