"""What of every tensor an inference needs at least, along each spatial axis: the rest need not be there.

A pool that leaves a row out, a crop, or a stride beyond the kernel reads less than all of what it drains. A
fused stack then neither computes nor fetches what nothing reads. Of a tensor's readers the one that needs
most of it counts: what it needs is part of what all of them need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from dnns.axes import Axis, TransposedAxis
from formulation.network.graph import LayerUse, TensorGraph, Value
from formulation.network.stacks.windows import Reach

Positions = NDArray[np.bool_]
"""Which positions of one spatial axis are needed."""


@dataclass(frozen=True, slots=True, eq=False)
class Needed:
    """What is needed of something.

    Attributes:
        axes: which positions of each spatial axis; empty where all of it is.
    """

    axes: tuple[Positions, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing can be left out."""
        return all(axis.all() for axis in self.axes)

    def of(self, words: int) -> int:
        """How many of so many words, which are spread evenly over the positions; rounded down."""
        total = prod(len(axis) for axis in self.axes)
        return words * prod(int(axis.sum()) for axis in self.axes) // max(1, total)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Words that a layer, or a drain node on the way out of it, reads of a tensor.

    Attributes:
        position: of the layer.
        tensor: index.
        words: that are named.
        what: operand, ``ifmap``, ``weights`` or ``drain``.
        needed: of them.
    """

    position: int
    tensor: int
    words: int
    what: str
    needed: Needed


def readings(graph: TensorGraph) -> tuple[dict[int, list[Reading]], dict[int, Needed]]:
    """The readings of every tensor, and what is needed of it: of an output of the network, everything."""
    found: dict[int, list[Reading]] = {tensor.index: [] for tensor in graph.tensors}
    needs: dict[int, Needed] = {}

    def need(tensor: int) -> Needed:
        if tensor not in needs:
            most = max(found[tensor], key=lambda r: r.needed.of(1 << 40), default=None)
            whole = graph.tensors[tensor].is_output or most is None
            needs[tensor] = Needed() if whole or most is None else most.needed
        return needs[tensor]

    for use in reversed(graph.layers):
        for name in reversed(use.drains):
            for reading in _of_drain(graph, use, name, need):
                found[reading.tensor].append(reading)
        out = need(use.ofmap)
        sizes = [axis.in_size for axis in use.layer.axes]
        for tensor, words in _named(use.ifmap):
            fits = list(graph.tensors[tensor].shape[1:]) == sizes
            needed = _back(use.layer.axes, out, taps=True) if fits else Needed()
            found[tensor].append(Reading(use.position, tensor, words, "ifmap", needed))
        for tensor, words in _named(use.weights):
            found[tensor].append(Reading(use.position, tensor, words, "weights", Needed()))
    return found, {tensor.index: need(tensor.index) for tensor in graph.tensors}


def _of_drain(
    graph: TensorGraph, use: LayerUse, name: str, need: Callable[[int], Needed]
) -> Iterator[Reading]:
    node = graph.nodes[name]
    result = graph.values[name][0].tensor
    assert result is not None
    out = need(result)
    windows = node.windows or (None,) * len(node.inputs)
    for given, reach in zip(node.inputs, windows, strict=True):
        for tensor, words in _named(graph.values[given]):
            fits = reach is not None and [w.in_size for w in reach] == list(graph.tensors[tensor].shape[1:])
            needed = _back(reach, out, taps=False) if fits and reach is not None else Needed()
            yield Reading(use.position, tensor, words, "drain", needed)


def _named(value: Value) -> Iterator[tuple[int, int]]:
    for source in value:
        if source.tensor is not None:
            yield source.tensor, source.words


def _back(windows: tuple[Reach, ...], out: Needed, *, taps: bool) -> Needed:
    """What outputs need of an input, axis by axis: what some tap reads, or all that a window spans."""
    wanted = out.axes if len(out.axes) == len(windows) else [np.ones(w.out, dtype=np.bool_) for w in windows]
    if any(len(axis) != w.out for axis, w in zip(wanted, windows, strict=True)):
        return Needed()
    return Needed(tuple(_reached(w, axis, taps) for w, axis in zip(windows, wanted, strict=True)))


def _reached(window: Reach, wanted: Positions, taps: bool) -> Positions:
    """Inputs of one axis that the wanted outputs need."""
    found = np.zeros(window.in_size, dtype=np.bool_)
    outputs = np.flatnonzero(wanted)
    if isinstance(window, TransposedAxis):
        for tap in range(window.kernel):
            at = outputs + window.pad_lo - window.dilation * tap
            found[_inside(at[at % window.stride == 0] // window.stride, window.in_size)] = True
    elif taps and isinstance(window, Axis):
        for tap in range(window.kernel):
            at = outputs * window.stride - window.pad_lo + window.dilation * tap
            found[_inside(at, window.in_size)] = True
    else:
        for output in outputs.tolist():
            low, high = window.interval(output, output + 1)
            found[max(0, low) : max(0, high)] = True
    return found


def _inside(at: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return at[(at >= 0) & (at < size)]
