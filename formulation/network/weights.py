"""Trained weights that stay for good, inference after inference, and the room that they take throughout.

``size[w]`` are the bits of the weights w, in whole banks. Binary ``keep[w]``; a block may run as if the
weights of its layers stayed (state s of b is *resident*) only if they do. They take room beside every layer:

    for_good[l,w]:  sum over b at l, s resident of use[b,s] <= keep[w]     for each layer l with the weights w
    kept:           sum over w of size[w] / unit * keep[w] = units         w whose size is a multiple of unit
    held            = unit * units + sum over the other w of size[w] * keep[w]

``held`` is part of every row ``room[l]`` of ``formulation.network.program.model``. ``unit`` is the greatest
power of two of which nine tenths of the sizes are multiples, and ``units`` a whole number. Sets of weights
whose sums are close together are all but equally good, and a branch on the sum tells more than one on any of
them: ResNet-50 at 8 MiB takes 24 nodes, and without it 10,000 prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.core as pyo

from formulation.hardware import Hardware
from formulation.network.graph import LayerUse, TensorGraph
from formulation.network.movement import stored_bits


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """Weights of one layer, or shared by several.

    Attributes:
        name: of the first layer that has them.
        positions: of the layers that have them, ascending.
        bits: that they take, in whole banks.
    """

    name: str
    positions: tuple[int, ...]
    bits: int


def trained_weights(graph: TensorGraph, hardware: Hardware) -> tuple[TrainedWeights, ...]:
    """All trained weights that the buffer holds, by the first layer that has them.

    Runs of a repeated layer have their own; layers that share theirs (``LayerUse.twin``) keep them once.
    """
    owners: dict[str, list[LayerUse]] = {}
    for use in graph.layers:
        if not use.weights:
            owners.setdefault(weights_name(use), []).append(use)
    found = []
    for uses in owners.values():
        words = max(use.layer.weight_words for use in uses)
        bits = stored_bits(hardware, words, hardware.bits.weights)
        if bits <= hardware.buffer_bits:
            found.append(TrainedWeights(uses[0].name, tuple(use.position for use in uses), bits))
    return tuple(found)


def weights_name(use: LayerUse) -> str:
    """The same for layers with the same trained weights."""
    return (use.twin or use.node) if use.name == use.node else use.name


def bits_for_good(weights: Sequence[TrainedWeights], positions: Iterable[int]) -> int | None:
    """What the weights of some layers take, each once; None if those of one do not fit or are not trained."""
    wanted = set(positions)
    named = [w for w in weights if not wanted.isdisjoint(w.positions)]
    if wanted - {p for w in named for p in w.positions}:
        return None
    return sum(w.bits for w in named)


def keep_for_good(
    m: Any, weights: Sequence[TrainedWeights], resident: Mapping[int, Sequence[Any]], buffer: int
) -> Any:
    """Add the module's rows to a model; returns what is held of every room, in buffers.

    Args:
        m: the model; ``keep`` is added, by the weights' names.
        weights: that may stay for good.
        resident: for each position the binaries of points whose blocks need that its weights stay.
        buffer: bits.
    """
    unit = _unit(weights)
    even, odd = ([w for w in weights if (w.bits % unit > 0) == other] for other in (False, True))
    m.keep = pyo.Var([w.name for w in weights], domain=pyo.Binary)
    m.units = pyo.Var(domain=pyo.NonNegativeIntegers, bounds=(0, buffer // unit))
    m.for_good = pyo.ConstraintList()
    for w in weights:
        for position in w.positions:
            m.for_good.add(pyo.quicksum(resident[position]) <= m.keep[w.name])
    m.kept = pyo.Constraint(expr=pyo.quicksum(w.bits // unit * m.keep[w.name] for w in even) - m.units == 0)
    return unit / buffer * m.units + pyo.quicksum(w.bits / buffer * m.keep[w.name] for w in odd)


def _unit(weights: Sequence[TrainedWeights]) -> int:
    """The greatest power of two of which nine tenths of the sizes are multiples [bits]."""
    unit = 1
    while 10 * sum(w.bits % (2 * unit) == 0 for w in weights) >= 9 * len(weights):
        unit *= 2
    return unit
