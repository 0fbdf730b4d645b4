"""The states of a stack's tensors, the room that is left to it, and the same stack without its names.

As of a layer (``formulation.network.states``), only tensors that the stack names matter: what it reads from
outside, and what leaves it. A stack counts as one layer: what stays and is named takes its room throughout,
and every sum of what passes by at any of its layers may be taken from what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from formulation.hardware import Hardware
from formulation.network.graph import TensorGraph
from formulation.network.movement import kept_bits
from formulation.network.stacks.stack import Stack
from formulation.network.states import MOST_STATES, rooms_beside


@dataclass(frozen=True, slots=True)
class StackState:
    """Which tensors stay, and what follows for a stack.

    Attributes:
        stay: for each of its tensors that may stay, 1 if it does.
        stays: indices of those that stay.
        most: bits that are left for the stack itself.
        rooms: bits that may be left, descending; None for any number up to ``most``.
        resident: whether the trained weights of all its layers stay for good.
    """

    stay: tuple[int, ...]
    stays: frozenset[int]
    most: int
    rooms: tuple[int, ...] | None
    resident: bool = False


@dataclass(frozen=True, slots=True)
class StackStates:
    """All states of a stack.

    Attributes:
        stack: the stack.
        tensors: those that may stay and that it names, by index.
        states: those whose tensors fit the buffer; none if there would be more than ``MOST_STATES``.
    """

    stack: Stack
    tensors: tuple[int, ...]
    states: tuple[StackState, ...]


def stack_states(
    graph: TensorGraph, hardware: Hardware, stack: Stack, smaller: Sequence[int] = (0,)
) -> StackStates:
    """All states of a stack whose tensors fit the buffer, the one in which nothing stays first.

    A tensor that does not fit the buffer by itself never stays, so that it makes no state. Arguments as of
    ``layer_states``.
    """
    size = {t.index: kept_bits(hardware, t) for t in graph.candidates}
    named = tuple(t for t in stack.tensors if size.get(t, hardware.buffer_bits + 1) <= hardware.buffer_bits)
    if 2 ** len(named) > MOST_STATES:
        return StackStates(stack, named, ())
    passing = [bits for t, bits in size.items() if _passes(graph, stack, t)]
    states = []
    for stay in product((0, 1), repeat=len(named)):
        stays = frozenset(t for t, staying in zip(named, stay, strict=True) if staying)
        most = hardware.buffer_bits - sum(size[t] for t in stays)
        if most >= 0:
            states.append(StackState(stay, stays, most, rooms_beside(most, passing, smaller)))
    return StackStates(stack, named, tuple(states))


def stack_for_good(states: StackStates, bits: int) -> StackStates:
    """The same states, then each once more while all its layers' weights, of so many bits, stay for good."""
    found = [replace(state, rooms=None) for state in states.states]
    found += [replace(state, most=state.most - bits, resident=True) for state in found if bits <= state.most]
    return replace(states, states=tuple(found))


def _passes(graph: TensorGraph, stack: Stack, tensor: int) -> bool:
    """Whether a tensor may take room beside a stack that does not name it; what is made inside need not."""
    own = {m.tensor for m in stack.maps}
    alive = graph.tensors[tensor].alive
    return tensor not in own and any(alive(p) for p in range(stack.first, stack.last + 1))


def nameless(stack: Stack, stays: frozenset[int]) -> tuple[Stack, frozenset[int]]:
    """The same stack and the tensors that stay, equal for all stacks that are alike.

    Names are left out, the first layer is at 0, and tensors are numbered in the order of the maps.
    """
    order = dict.fromkeys(m.tensor for m in stack.maps if m.tensor is not None)
    number = {tensor: place for place, tensor in enumerate(order)}
    maps = tuple(
        replace(m, name="", tensor=None if m.tensor is None else number[m.tensor]) for m in stack.maps
    )
    layers = tuple(replace(layer, name="", op="conv") for layer in stack.layers)
    return replace(stack, first=0, layers=layers, maps=maps), frozenset(number[t] for t in stays)
