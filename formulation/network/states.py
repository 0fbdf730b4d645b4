"""The states of a layer's operands that differ in what it moves or holds, and the room that is left to it.

Of a layer only those tensors matter that it names: sources of its ifmap and weights, what it emits, what its
drain nodes read. Those that are alike (same words, same part in the layer) are exchangeable, so of each kind
only the number that stays is counted. Tensors that live on past the layer without being named take room;
every sum of theirs that may occur is a room of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from dnns.errors import InputError
from formulation.hardware import Hardware
from formulation.network.graph import LayerUse, TensorGraph, Value
from formulation.network.movement import Movement, kept_bits, movement_of

MOST_STATES = 4096
MOST_ROOMS = 256


@dataclass(frozen=True, slots=True)
class State:
    """How many tensors of each kind stay, and what follows for a layer.

    Attributes:
        stay: per kind, how many of its tensors stay.
        movement: what the layer moves then.
        kept: bits that the tensors named by the layer take.
        rooms: bits that may be left for the layer's own parts, descending; None for any number up to
            ``buffer - kept``.
        resident: whether the layer's trained weights stay for good; they are part of ``kept``.
    """

    stay: tuple[int, ...]
    movement: Movement
    kept: int
    rooms: tuple[int, ...] | None
    resident: bool = False


@dataclass(frozen=True, slots=True)
class LayerStates:
    """All states of one layer.

    Attributes:
        use: the layer.
        kinds: the tensors that may stay and that it names, alike ones together, by index.
        states: those whose tensors fit the buffer.
    """

    use: LayerUse
    kinds: tuple[tuple[int, ...], ...]
    states: tuple[State, ...]


def layer_states(
    graph: TensorGraph, hardware: Hardware, use: LayerUse, smaller: Sequence[int] = (0,)
) -> LayerStates:
    """All states of a layer whose tensors fit the buffer, the one in which nothing stays first.

    Args:
        graph: the network.
        hardware: the machine.
        use: the layer among the tensors.
        smaller: how much smaller the buffers are for which rooms are wanted [bits].

    Raises:
        InputError: if there are more than ``MOST_STATES``.
    """
    kinds = _kinds(graph, use)
    count = 1
    for kind in kinds:
        count *= len(kind) + 1
    if count > MOST_STATES:
        problem = f"its operands have {count} states, at most {MOST_STATES} are allowed"
        raise InputError(graph.name, f"layer {use.name}", problem)
    named = {t for kind in kinds for t in kind}
    passing = [
        kept_bits(hardware, t) for t in graph.candidates if t.index not in named and t.alive(use.position)
    ]
    states = []
    for stay in product(*(range(len(kind) + 1) for kind in kinds)):
        kept = [t for kind, number in zip(kinds, stay, strict=True) for t in kind[:number]]
        bits = sum(kept_bits(hardware, graph.tensors[t]) for t in kept)
        if bits <= hardware.buffer_bits:
            movement = movement_of(hardware, graph.tensors, use, kept)
            rooms = rooms_beside(hardware.buffer_bits - bits, passing, smaller)
            states.append(State(stay, movement, bits, rooms))
    return LayerStates(use, kinds, tuple(states))


def _kinds(graph: TensorGraph, use: LayerUse) -> tuple[tuple[int, ...], ...]:
    """The tensors of a layer that may stay, by what the layer's cost sees of them."""

    def words(sources: Value, tensor: int) -> tuple[int, ...]:
        return tuple(s.words for s in sources if s.tensor == tensor)

    alike: dict[object, list[int]] = {}
    operands = (*use.ifmap, *use.weights, *use.drain_reads)
    for index in dict.fromkeys((*(s.tensor for s in operands), *use.emits)):
        if index is None or not graph.tensors[index].may_stay:
            continue
        tensor = graph.tensors[index]
        own = index == use.ofmap
        parts = tuple(words(sources, index) for sources in (use.ifmap, use.weights, use.drain_reads))
        emitted = index in use.emits
        alike.setdefault((tensor.words, parts, emitted, emitted and tensor.is_output, own), []).append(index)
    return tuple(tuple(kind) for kind in alike.values())


def for_good(hardware: Hardware, states: LayerStates, bits: int) -> LayerStates:
    """The same states, then each once more while the layer's weights, of so many bits, stay for good.

    What all weights that stay leave to a layer is any room: none is listed.
    """
    found = [replace(state, rooms=None) for state in states.states]
    for state in states.states:
        if state.kept + bits <= hardware.buffer_bits:
            movement = replace(state.movement, weights=(1, 0))
            found.append(State(state.stay, movement, state.kept + bits, None, True))
    return replace(states, states=tuple(found))


def rooms_beside(most: int, passing: Iterable[int], smaller: Sequence[int] = (0,)) -> tuple[int, ...] | None:
    """What tensors that pass by may leave of so many bits, descending; None if there are too many sums.

    Args:
        most: bits that are there.
        passing: bits of each tensor that passes by.
        smaller: how much less may be there.
    """
    taken = {less for less in smaller if less <= most}
    for bits in passing:
        taken |= {total + bits for total in taken if total + bits <= most}
        if len(taken) > MOST_ROOMS:
            return None
    return tuple(sorted((most - total for total in taken), reverse=True))
