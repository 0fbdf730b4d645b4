"""A mapping as a nest of loops over tiles, and what each of its steps moves and computes.

A step is one turn of the innermost loop: one tile of each tensor meets in the array. Which tensors are
replaced is decided by the loop that has just gone on: by it and by the loops inside, which begin again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from solvers.schedules.simulation.machine import Accelerator
from solvers.schedules.simulation.runs import StoredTensor
from solvers.schedules.simulation.tiles import AxisPiece, ChannelPiece, Runs

WEIGHTS, IFMAP, OFMAP = "weights", "ifmap", "ofmap"
DEPENDENT = {
    "groups": frozenset((WEIGHTS, IFMAP, OFMAP)),
    "outputs": frozenset((WEIGHTS, OFMAP)),
    "in_channels": frozenset((WEIGHTS, IFMAP)),
    "batch": frozenset((IFMAP, OFMAP)),
    "spatial": frozenset((IFMAP, OFMAP)),
}
"""The tensors whose tile is another when a loop goes on."""

Picked = tuple[int, ...]
"""A run of alike tiles for each loop, outermost first, by its place in the loop's runs."""


@dataclass(frozen=True, slots=True)
class NestLoop:
    """A loop over the tiles of one dimension.

    Attributes:
        name: ``groups``, ``outputs``, ``in_channels``, ``batch``, or ``spatial.0`` and so on.
        runs: its tiles.
    """

    name: str
    runs: Runs[Any]

    @property
    def trips(self) -> int:
        """How many tiles there are."""
        return sum(count for count, _ in self.runs)

    @property
    def tensors(self) -> frozenset[str]:
        """The tensors that depend on it."""
        return DEPENDENT[self.name.partition(".")[0]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What comes with a step.

    Attributes:
        replaced: tensors whose tile is another one than in the step before.
        slid: whether the ifmap tile is the next one along the sliding axis, and nothing else of it is new.
    """

    replaced: frozenset[str]
    slid: bool = False


@dataclass(frozen=True, slots=True)
class CrossingBits:
    """Bits that cross the DRAM's pins when a tile moves.

    Attributes:
        weights: of the weights.
        ifmap: of what is fetched of the ifmap.
        partial: of the ofmap as partial sums, out or in.
        final: of the ofmap as results.
    """

    weights: int
    ifmap: int
    partial: int
    final: int


@dataclass(frozen=True, slots=True)
class TileStep:
    """One step of the nest.

    Attributes:
        weights: words fetched, None if the tile is there.
        ifmap: the same; 0 if the tile lies in the padding.
        opens: whether another ofmap tile is begun, or gone on with.
        partial: words of it that are read back, None if there are none yet.
        ofmap: words of the ofmap tile.
        final: whether its words are final behind this step.
        held: words of each tensor's tile, in the order ifmap, ofmap, weights.
        partial_sums: whether the ofmap tile holds partial sums at some time.
        cycles: of the array.
        macs: multiply-accumulates.
        bits: that cross the DRAM's pins if they move: of weights, ifmap, partial sums, and results.
    """

    weights: int | None
    ifmap: int | None
    opens: bool
    partial: int | None
    ofmap: int
    final: bool
    held: tuple[int, int, int]
    partial_sums: bool
    cycles: int
    macs: int
    bits: CrossingBits


@dataclass(frozen=True)
class Nest:
    """The loops of one mapping on its machine.

    Attributes:
        machine: that runs it.
        loops: outermost first, each dimension once.
        taps: of each kernel that shares the ifmap tiles; of one if nothing is shared.
        sliding: the loop along which ifmap tiles slide, None if there is none.
        stored: how each tensor lies in the DRAM; empty where only words matter.
    """

    machine: Accelerator
    loops: tuple[NestLoop, ...]
    taps: tuple[int, ...]
    sliding: str | None
    stored: Mapping[str, StoredTensor] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each dimension's loop is."""
        return {loop.name: place for place, loop in enumerate(self.loops)}

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The loops over spatial axes, in the order of the axes."""
        return tuple(sorted(name for name in self.places if name.startswith("spatial.")))

    @cached_property
    def arrivals(self) -> tuple[Arrival, ...]:
        """What comes with the first step after each loop has gone on."""
        return tuple(map(self._arrival, range(len(self.loops))))

    @property
    def start(self) -> Arrival:
        """What comes with the first step of all: everything."""
        return Arrival(DEPENDENT["groups"])

    def _arrival(self, place: int) -> Arrival:
        begun_again = [loop.tensors for loop in self.loops[place + 1 :] if loop.trips > 1]
        replaced = self.loops[place].tensors.union(*begun_again)
        slid = self.loops[place].name == self.sliding and not any(IFMAP in t for t in begun_again)
        return Arrival(replaced, slid)

    @cached_property
    def stays(self) -> str | None:
        """The tensor whose tile stays while the innermost loop of several turns runs."""
        inner = [loop.tensors for loop in self.loops if loop.trips > 1][-1:]
        absent = DEPENDENT["groups"].difference(*inner) if inner else frozenset[str]()
        return next(iter(absent), None)

    def step(self, picked: Picked, arrival: Arrival) -> TileStep:
        """The step of some tiles.

        Args:
            picked: the tiles.
            arrival: what is another tile than in the step before.
        """
        filters: tuple[int, ...] = self._tile("outputs", picked)
        channels: ChannelPiece = self._tile("in_channels", picked)
        images: int = self._tile("batch", picked)
        axes: list[AxisPiece] = [self._tile(name, picked) for name in self.axes]
        pixels = [images * prod(own) for own in zip(*(axis.outputs for axis in axes), strict=True)]
        kernels = list(zip(filters, pixels, self.taps, strict=True))
        weights = channels.length * sum(f * taps for f, _, taps in kernels)
        ofmap = sum(f * p for f, p, _ in kernels)
        ifmap = channels.length * images * prod(axis.inputs for axis in axes)
        fetched = (
            channels.length
            * images
            * prod(
                axis.fresh if arrival.slid and name == self.sliding else axis.inputs
                for name, axis in zip(self.axes, axes, strict=True)
            )
        )
        opens = OFMAP in arrival.replaced
        cycles = self.machine.array_cycles
        return TileStep(
            weights=weights if WEIGHTS in arrival.replaced else None,
            ifmap=fetched if IFMAP in arrival.replaced else None,
            opens=opens,
            partial=ofmap if opens and channels.begun else None,
            ofmap=ofmap,
            final=channels.ends,
            held=(ifmap, ofmap, weights),
            partial_sums=channels.begun or not channels.ends,
            cycles=sum(cycles(p, f, channels.length, taps) for f, p, taps in kernels),
            macs=channels.length * sum(p * f * taps for f, p, taps in kernels),
            bits=self._bits(weights, fetched, ofmap, picked),
        )

    def _bits(self, weights: int, ifmap: int, ofmap: int, picked: Picked) -> CrossingBits:
        """What crosses the pins for so many words, or, in bursts, for the tiles that they are of."""
        width, burst = self.machine.widths, self.machine.burst_bits
        if not self.stored:
            partial = ofmap * width.partial_sums
            return CrossingBits(weights * width.weights, ifmap * width.ifmap, partial, ofmap * width.ofmap)
        (filters,) = self._tile("outputs", picked)
        ends = {"outputs": filters, "in_channels": self._tile("in_channels", picked).length}
        axes = {name: self._tile(name, picked) for name in self.axes}
        inputs = {name: axis.inputs for name, axis in axes.items()} | ends
        outputs = {name: axis.outputs[0] for name, axis in axes.items()} | ends
        inputs["batch"] = outputs["batch"] = self._tile("batch", picked)
        return CrossingBits(
            self.stored[WEIGHTS].bits(ends, self.taps[0] * width.weights, burst),
            self.stored[IFMAP].bits(inputs, width.ifmap, burst),
            self.stored[OFMAP].bits(outputs, width.partial_sums, burst),
            self.stored[OFMAP].bits(outputs, width.ofmap, burst),
        )

    def _tile(self, name: str, picked: Picked) -> Any:
        place = self.places[name]
        return self.loops[place].runs[picked[place]][1]
