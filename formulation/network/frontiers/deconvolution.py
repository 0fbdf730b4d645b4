"""The capacity-cost frontier of a deconvolution that is split into its sub-convolutions.

The sub-convolutions run one after another. All read one ifmap and write parts of one ofmap, so ifmap and
ofmap are where they are for all of them. One point of each makes one of the whole: latency and traffic are
the sums, the buffer the maximum. What is moved besides (results of drain nodes, what these read) goes along
with the outputs: the first ``k`` sub-convolutions move ``floor(words * outputs so far / outputs)`` of it. If
the ofmap stays and any sub-convolution makes partial sums, all of it takes their width: points where none
does, and points of those that may, are made apart. Where the sub-convolutions may share ifmap tiles, the
points of that (``formulation.network.sharing``) are among the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from dnns.layer import Deconvolution, Layer
from formulation.cost import TensorBits, Traffic
from formulation.deconv import split
from formulation.hardware import Hardware
from formulation.network.frontiers.front import Sought, Stop, posed, rates_of
from formulation.network.frontiers.frontier import Point, frontier
from formulation.network.frontiers.space import MovedSpace
from formulation.network.movement import MovedCost, Movement
from formulation.pricing.objective import Measure
from formulation.problem import Kind

_NO_WORDS = Traffic(0, 0, 0, 0)
_ONE_TILE = Traffic(0, 0, 1, 0)


@dataclass(frozen=True, slots=True)
class ZerosWay:
    """Outputs that no tap reaches: zeros are written, nothing is computed."""

    movement: Movement

    def cost(self, hardware: Hardware) -> MovedCost:
        """The transfer alone."""
        nothing = TensorBits(0, 0, 0)
        moved = replace(self.movement, in_place=True, ifmap=(1, 0), weights=(1, 0))
        latency = moved.latency(
            hardware, 0, _NO_WORDS, nothing, _ONE_TILE if hardware.transfer_cycles else None
        )
        bits = int(moved.bits(hardware, _NO_WORDS))
        return MovedCost(0, int(latency), bits)


Others = Callable[[Movement, Sequence[int] | None, int], list[Point]]
"""Further points, for a movement, rooms as of ``frontier``, and bits that are taken throughout."""


def split_frontier(
    deconv: Deconvolution,
    hardware: Hardware,
    movement: Movement,
    rooms: Sequence[int] | None,
    kind: Sought | None = None,
    most_latency: int | None = None,
    stop: Stop | None = None,
    others: Others | None = None,
) -> list[Point]:
    """The points of a deconvolution that is split, or run in other ways besides, for all rooms.

    Args:
        deconv: the deconvolution.
        hardware: the machine.
        movement: of the whole deconvolution.
        rooms: as of ``frontier``.
        kind: as of ``frontier``.
        most_latency: as of ``frontier``.
        stop: as of ``frontier``.
        others: the points of other ways to run it; None for none.
    """

    def made(moved: Movement, left: Sequence[int] | None, base: int) -> list[Point]:
        found = _sums(deconv, hardware, moved, left, base, kind, most_latency, stop)
        return found + ([] if others is None else others(moved, left, base))

    found = made(replace(movement, wider=hardware.buffer_bits + 1 if movement.wider else 0), rooms, 0)
    if movement.wider:
        less = None if rooms is None else [r - movement.wider for r in rooms if r >= movement.wider]
        found += made(replace(movement, wider=0), less, movement.wider)
    if rooms is None:
        return [p for p in found if p.need <= hardware.buffer_bits]
    best = [p for room in rooms for p in _front((p for p in found if p.need <= room), kind)]
    return list(dict.fromkeys(best))


def _sums(
    deconv: Deconvolution,
    hardware: Hardware,
    movement: Movement,
    rooms: Sequence[int] | None,
    base: int,
    kind: Sought | None,
    most_latency: int | None,
    stop: Stop | None,
) -> list[Point]:
    pieces: list[list[Point]] = []
    for layer, moved in shares(deconv, movement):
        if layer is None:
            way = ZerosWay(moved)
            cost = way.cost(hardware)
            rates = rates_of(kind, hardware)
            spent = 0 if rates is None else cost.spent(rates)
            pieces.append([Point(0, cost.latency, cost.traffic, (way,), spent=spent)])
        else:
            space = MovedSpace(posed(layer, hardware, kind), moved)
            pieces.append(frontier(space, rooms, kind, most_latency, stop))
    found: list[Point] = []
    for room in sorted({p.need for points in pieces for p in points}) if rooms is None else rooms:
        total = [Point(base, 0, 0, (), base)]
        for points in pieces:
            within = _front((p for p in points if p.need <= room), kind)
            total = _front((_joined(a, b) for a in total for b in within), kind)
        found += total
    return found


def shares(deconv: Deconvolution, movement: Movement) -> list[tuple[Layer | None, Movement]]:
    """Each sub-convolution, None for one without taps, with its part of what is moved besides."""
    found, done, outputs = [], 0, deconv.ofmap_words
    for sub in split(deconv):
        before, done = done, done + sub.ofmap_words
        written, read = (
            words * done // outputs - words * before // outputs for words in (movement.written, movement.read)
        )
        layer = None if sub.layer is None else replace(sub.layer, name="")
        found.append((layer, replace(movement, written=written, read=read)))
    return found


def _joined(a: Point, b: Point) -> Point:
    need = a.base + max(a.need - a.base, b.need)
    sums = a.latency + b.latency, a.traffic + b.traffic
    return Point(need, *sums, a.ways + b.ways, a.base, a.spent + b.spent)


def _front(points: Iterable[Point], kind: Sought | None) -> list[Point]:
    """What nothing beats in latency and traffic; the best alone if only one of them, or a sum, matters."""
    if isinstance(kind, Measure):
        exact = kind.exact
        return sorted(points, key=lambda p: (exact(p.price), p.latency, p.traffic, p.need))[:1]
    if kind is Kind.TRAFFIC:
        return sorted(points, key=lambda p: (p.traffic, p.latency, p.need))[:1]
    order = sorted(points, key=lambda p: (p.latency, p.traffic, p.need))
    if kind is Kind.LATENCY:
        return order[:1]
    kept: list[Point] = []
    for point in order:
        if not kept or point.traffic < kept[-1].traffic:
            kept.append(point)
    return kept
