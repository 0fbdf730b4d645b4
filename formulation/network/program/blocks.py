"""Blocks: layers alone, or runs of layers executed together, and the ways to run each, by operand states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import lcm

from formulation.network.frontiers.frontier import Point
from formulation.pricing.objective import Measure


@dataclass(frozen=True, slots=True)
class BlockState:
    """The ways to run a block while so many of its tensors stay.

    Attributes:
        stay: per kind of tensor, how many stay.
        points: capacity-cost frontier.
        complete: whether it holds all that nothing beats; if not, nothing is proven with it.
        resident: whether the trained weights of its layers stay for good.
        beside: bounds on ways that may be better than the points, and are not known to be there.
    """

    stay: tuple[int, ...]
    points: tuple[Point, ...]
    complete: bool = True
    resident: bool = False
    beside: tuple[Point, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything stays."""
        return self.resident or any(self.stay)


@dataclass(frozen=True, slots=True)
class Block:
    """One or more layers in a row, executed as one.

    Attributes:
        first: position of its first layer.
        last: position of its last layer.
        kinds: the tensors whose staying matters to it, by index; those of one kind are alike to it, and the
            first of them are named where only some stay.
        states: those that fit, with their points.
        name: for tables and programs.
    """

    first: int
    last: int
    kinds: tuple[tuple[int, ...], ...]
    states: tuple[BlockState, ...]
    name: str = ""

    @property
    def positions(self) -> range:
        """Of its layers."""
        return range(self.first, self.last + 1)

    def thinned(self, most: int) -> set[tuple[int, int]]:
        """Positions of states and points: of each state so many at most, from the fastest to the slowest."""
        kept = set()
        for s, state in enumerate(self.states):
            order = sorted(range(len(state.points)), key=lambda p: (state.points[p].latency, p))
            step = max(1, (len(order) - 1) / max(1, most - 1))
            kept |= {(s, order[min(round(i * step), len(order) - 1)]) for i in range(min(most, len(order)))}
        return kept

    @property
    def loosened(self) -> Block:
        """With what may be better among the points."""
        states = (replace(s, points=s.points + s.beside, beside=()) if s.beside else s for s in self.states)
        return replace(self, states=tuple(states))

    def choices(self) -> Iterator[tuple[int, int, Point]]:
        """Every point with the positions of its state and of itself."""
        for s, state in enumerate(self.states):
            for p, point in enumerate(state.points):
                yield s, p, point


@dataclass(frozen=True, slots=True)
class TotalMeasure:
    """A weighted sum of latency, traffic and what is spent, in integers.

    Attributes:
        name: for programs.
        tick: weight of a tick of latency.
        bit: weight of a bit of traffic.
        quantum: weight of a quantum of what is spent.
    """

    name: str
    tick: int
    bit: int
    quantum: int = 0

    @classmethod
    def whole(cls, measure: Measure) -> TotalMeasure:
        """A measure in integers: a multiple of it."""
        scale = lcm(*(Fraction(weight).denominator for weight in measure.weights))
        return cls(measure.name, *(int(weight * scale) for weight in measure.weights))

    def of(self, point: Point) -> int:
        """Of a point."""
        return self.tick * point.latency + self.bit * point.traffic + self.quantum * point.spent


Span = tuple[int, int, int]
"""First and last layer of a block, and the least that it costs."""


def _least_sums(count: int, spans: Iterable[Span]) -> tuple[int, ...]:
    """For each ``k`` the least sum over blocks that cover the first ``k`` layers."""
    ending: dict[int, list[tuple[int, int]]] = {}
    for first, last, least in spans:
        ending.setdefault(last, []).append((first, least))
    sums = [0]
    for position in range(count):
        sums.append(min(sums[first] + least for first, least in ending[position]))
    return tuple(sums)


def least_beside(count: int, spans: Sequence[Span]) -> dict[tuple[int, int], int]:
    """For each first and last layer of a block the least sum over blocks that cover all other layers."""
    before = _least_sums(count, spans)
    after = _least_sums(count, [(count - 1 - last, count - 1 - first, least) for first, last, least in spans])
    return {(first, last): before[first] + after[count - 1 - last] for first, last, _ in spans}


@dataclass(frozen=True)
class Potentials:
    """The least sums of a quantity over the blocks that cover the layers before each position.

    A block's quantity less the difference of the sums at its ends is never negative, and what is taken off
    adds up to the last sum over every choice of blocks.

    Attributes:
        sums: ``sums[k]`` is the least over covers of the first ``k`` layers.
    """

    sums: tuple[int, ...]

    @classmethod
    def of(cls, count: int, blocks: Sequence[Block], measure: TotalMeasure) -> Potentials:
        """The sums of a measure; every layer must have a block that ends with it."""
        least = (
            (b.first, b.last, min((measure.of(p) for _, _, p in b.choices()), default=None)) for b in blocks
        )
        return cls(_least_sums(count, [(first, last, v) for first, last, v in least if v is not None]))

    @cached_property
    def least(self) -> int:
        """The least sum over all layers."""
        return self.sums[-1]

    def excess(self, block: Block, value: int) -> int:
        """What is left of a block's value."""
        return value - self.sums[block.last + 1] + self.sums[block.first]
