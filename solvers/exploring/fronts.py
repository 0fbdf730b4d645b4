"""Fronts of latency and traffic, or energy: of every layer, and of the network, both exact.

A layer's front holds the pairs that no other mapping beats in both
(``formulation.network.frontiers.frontier``); of a layer in parts, the sums of theirs that nothing beats. The
network's is that of the sums over its layers: they are added layer by layer, and what is beaten so far is
dropped, for whatever is added to it, the same added to what beats it is no worse. Runs of one part that are
alike (``count``) are run alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnns.layer import Network
from formulation.hardware import Hardware
from formulation.network.frontiers.front import Pair
from formulation.network.frontiers.frontier import LayerWay, Point
from formulation.pricing.price import Price, written_ticks
from formulation.problem import Problem
from solvers.exploring.plan import part_problem, settled, splits, wanted_layers
from solvers.network.attempt import Failure
from solvers.network.plan import Planned
from solvers.network.slack import front
from solvers.network.tasks import Notify, Task
from solvers.network.work import effort
from solvers.scenario import Scenario

if TYPE_CHECKING:
    from solvers.network.workers import Workers

_TRAFFIC = Pair()
_AT_ONCE = 1 << 22  # sums looked at together


@dataclass(frozen=True)
class Sums:
    """Sums that nothing beats: latency ascending, the other quantity descending.

    Attributes:
        latency: [ticks], Python's integers where 64 bits might not hold them.
        other: traffic [bits] or energy [quanta], the same.
        terms: for each sum a row: which point of each summand it is made of.
    """

    latency: NDArray[Any]
    other: NDArray[Any]
    terms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.latency)


@dataclass(frozen=True)
class LayerFront:
    """The front of a layer.

    Attributes:
        planned: the layer and its parts.
        parts: for each part with a mapping, its points and how often it runs.
        sums: of all its parts, all runs.
    """

    planned: Planned
    parts: tuple[tuple[tuple[Point, ...], int], ...]
    sums: Sums

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.planned.operator.name

    def ways(self, place: int) -> list[LayerWay]:
        """How each part runs at one of the sums."""
        found = []
        for (points, _), at in zip(self.parts, self.sums.terms[place], strict=True):
            (way,) = points[at].ways
            assert isinstance(way, LayerWay)
            found.append(way)
        return found


@dataclass(frozen=True)
class Fronts:
    """What was found.

    Attributes:
        network: its name.
        hardware: the machine.
        pair: what is compared.
        layers: that fit, in order.
        total: of the network, its terms the places in the layers' fronts; None if some layer does not fit.
        unfit: the layers that do not.
        split: whether deconvolutions are split though the scenario would let them share tiles.
    """

    network: str
    hardware: Hardware
    pair: Pair
    layers: tuple[LayerFront, ...]
    total: Sums | None
    unfit: tuple[str, ...]
    split: bool


def fronts(
    scenario: Scenario,
    pair: Pair = _TRAFFIC,
    *,
    layer: str | None = None,
    network: Network | None = None,
    workers: Workers | None = None,
    notify: Notify | None = None,
) -> Fronts:
    """The fronts of a network's layers, and of their sum.

    Args:
        scenario: network and machine.
        pair: what is compared.
        layer: name of the only layer that is wanted; None for all.
        network: the scenario's network if it has been read already.
        workers: processes to use; the fronts do not depend on them.
        notify: called after each front.

    Raises:
        InputError: if the network cannot be read, has no such layer, or a front fails.
    """
    network = scenario.read_network(network)
    plan = wanted_layers(scenario, network, layer)
    made = _made(plan, pair, workers, notify)
    found = [_layer_front(planned, pair, made) for planned in plan]
    known = [one for one in found if len(one.sums)]
    total = summed([one.sums for one in known]) if len(known) == len(found) else None
    unfit = tuple(one.name for one in found if not len(one.sums))
    machine, apart = scenario.hardware.build(), splits(scenario, plan)
    return Fronts(network.name, machine, pair, tuple(known), total, unfit, apart)


def _made(
    plan: Sequence[Planned], pair: Pair, workers: Workers | None, notify: Notify | None
) -> dict[Problem, tuple[Point, ...]]:
    """The front of each distinct problem."""
    names: dict[Problem, str] = {}
    for planned in plan:
        for part in planned.parts:
            if part.layer is not None:
                names.setdefault(part_problem(planned, part.layer), part.name)
    tasks = [
        Task(name, front, (p.layer, p.hardware, pair), Failure, (), effort(p)) for p, name in names.items()
    ]
    outcomes = settled(tasks, workers, notify)
    by_latency = (tuple(sorted(points, key=lambda p: p.latency)) for points in outcomes)
    return dict(zip(names, by_latency, strict=True))


def _layer_front(planned: Planned, pair: Pair, made: dict[Problem, tuple[Point, ...]]) -> LayerFront:
    runs, machine = planned.operator.count, planned.machine
    parts, columns, ticks, other = [], [], 0, 0
    for part in planned.parts:
        if part.layer is None:
            bits = part.ofmap_words * machine.bits.ofmap
            each = written_ticks(machine, bits)
            price = Price(each, bits, machine.quantum.of(0, 0, bits, each))
            ticks, other = ticks + runs * part.count * each, other + runs * part.count * pair.of(price)
            continue
        points, times = tuple(made[part_problem(planned, part.layer)]), runs * part.count
        parts.append((points, times))
        columns.append(_sums(points, pair, times))
    sums = summed(columns)
    extra = replace(sums, latency=sums.latency + ticks, other=sums.other + other)
    return LayerFront(planned, tuple(parts), extra)


def _sums(points: Sequence[Point], pair: Pair, times: int) -> Sums:
    """Points, each so many times, as sums of one term: latency ascending, the other descending."""
    columns = [times * p.latency for p in points], [times * pair.of(p.price) for p in points]
    kind = object if max((*columns[0], *columns[1]), default=0) >= 1 << 53 else np.int64
    latency, other = (np.array(values, dtype=kind) for values in columns)
    return Sums(latency, other, np.arange(len(points))[:, None])


def summed(columns: Sequence[Sums]) -> Sums:
    """The sums of one of each that no other such sum beats; their terms are places in the columns."""
    total = Sums(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), np.zeros((1, 0), dtype=np.int64))
    if not columns:
        return total
    trail: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for column in columns:
        total, before, at = _added(total, column)
        trail.append((before, at))
    terms = np.empty((len(total), len(columns)), dtype=np.int64)
    place = np.arange(len(total))
    for c in reversed(range(len(columns))):
        before, at = trail[c]
        terms[:, c] = at[place]
        place = before[place]
    return replace(total, terms=terms)


def _added(total: Sums, column: Sums) -> tuple[Sums, NDArray[np.int64], NDArray[np.int64]]:
    """The sums of both that nothing beats, and of which of each they are."""
    none = np.zeros(0, dtype=np.int64)
    latency, other, before, at = none, none, none, none
    step = max(1, _AT_ONCE // max(1, len(total)))
    for start in range(0, len(column), step):
        part = slice(start, start + step)
        width = len(column.latency[part])
        latency = np.concatenate([latency, (total.latency[:, None] + column.latency[part]).reshape(-1)])
        other = np.concatenate([other, (total.other[:, None] + column.other[part]).reshape(-1)])
        before = np.concatenate([before, np.repeat(np.arange(len(total)), width)])
        at = np.concatenate([at, np.tile(np.arange(start, start + width), len(total))])
        order = np.lexsort((at, before, other, latency))
        least = np.minimum.accumulate(other[order])
        kept = order[np.r_[True, other[order][1:] < least[:-1]]] if len(order) else order
        latency, other, before, at = latency[kept], other[kept], before[kept], at[kept]
    return Sums(latency, other, total.terms), before, at
