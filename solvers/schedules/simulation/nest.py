"""A mapping as a nest of loops over tiles, and what each of its steps moves and computes.

A step is one turn of the innermost loop: one tile of each tensor meets in the array. Which tensors are
replaced is decided by the loop that has just gone on: by it and by the loops inside, which begin again.

A tile may run in inner steps: loops over sub-tiles of one group of dimensions, inside all loops over tiles.
One tensor, which is streamed, then has a sub-tile in the buffer, another one in each step; the others have
tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from solvers.schedules.simulation.machine import Accelerator
from solvers.schedules.simulation.runs import StoredTensor
from solvers.schedules.simulation.tiles import CutPiece, MetPieces, Runs

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
    """A loop over the tiles of one dimension, or over the sub-tiles of each.

    Attributes:
        name: ``groups``, ``outputs``, ``in_channels``, ``batch``, or ``spatial.0`` and so on.
        runs: its tiles; or the sub-tiles of the first tile.
        streams: over sub-tiles, the tensor of which they are; None over tiles.
    """

    name: str
    runs: Runs[Any]
    streams: str | None = None

    @property
    def trips(self) -> int:
        """How many tiles there are."""
        return sum(count for count, _ in self.runs)

    @property
    def tensors(self) -> frozenset[str]:
        """The tensors of which another tile, or sub-tile, is held when it goes on."""
        return frozenset((self.streams,)) if self.streams else DEPENDENT[self.name.partition(".")[0]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What comes with a step.

    Attributes:
        replaced: tensors whose tile is another one than in the step before.
        slid: whether the ifmap tile is the next one along the sliding axis, and nothing else of it is new.
        within: whether the step goes on with the same tiles, by sub-tiles.
    """

    replaced: frozenset[str]
    slid: bool = False
    within: bool = False


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
        within: whether it goes on with the tiles of the step before, by sub-tiles.
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
    within: bool = False


@dataclass(frozen=True)
class Nest:
    """The loops of one mapping on its machine.

    Attributes:
        machine: that runs it.
        loops: outermost first, each dimension once; then those over sub-tiles.
        taps: of each kernel that shares the ifmap tiles; of one if nothing is shared.
        sliding: the loop along which ifmap tiles slide, None if there is none.
        stored: how each tensor lies in the DRAM, weights and ofmap of each kernel by themselves; empty where
            only words matter.
    """

    machine: Accelerator
    loops: tuple[NestLoop, ...]
    taps: tuple[int, ...]
    sliding: str | None
    stored: Mapping[str, tuple[StoredTensor, ...]] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each dimension's loop is."""
        return {loop.name: place for place, loop in enumerate(self.loops) if not loop.streams}

    @cached_property
    def inner(self) -> dict[str, int]:
        """Where the loops over sub-tiles are."""
        return {loop.name: place for place, loop in enumerate(self.loops) if loop.streams}

    @property
    def streamed(self) -> str | None:
        """The tensor of which a sub-tile is held; None if all hold tiles."""
        return self.loops[-1].streams

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
        going, inside = self.loops[place], self.loops[place + 1 :]
        begun_again = [loop.tensors for loop in inside if loop.trips > 1]
        replaced = going.tensors.union(*begun_again)
        others = [loop for loop in inside if loop.trips > 1 and not loop.streams]
        slid = going.name == self.sliding and not any(IFMAP in loop.tensors for loop in others)
        return Arrival(replaced, slid, going.streams is not None)

    @cached_property
    def stays(self) -> str | None:
        """The tensor whose tile stays while the innermost loop of several turns runs.

        Of loops over tiles, if one stays there; else of weights and ifmap one that stays over sub-tiles.
        """
        over_tiles = [loop.tensors for loop in self.loops if loop.trips > 1 and not loop.streams][-1:]
        absent = DEPENDENT["groups"].difference(*over_tiles) if over_tiles else frozenset[str]()
        if absent <= {self.streamed} and self.streamed:
            absent = DEPENDENT["groups"] - {OFMAP}
        return min(absent - {self.streamed}, default=None)

    def runs(self, picked: Picked) -> Runs[Any]:
        """The tiles, or sub-tiles, of the next loop.

        Args:
            picked: of the loops outside.
        """
        loop = self.loops[len(picked)]
        if loop.streams is None:
            return loop.runs
        place = self.places[loop.name]
        parts: Runs[Any] = self.loops[place].runs[picked[place]][1].parts
        return parts

    def step(self, picked: Picked, arrival: Arrival) -> TileStep:
        """The step of some tiles.

        Args:
            picked: the tiles.
            arrival: what is another tile than in the step before.
        """
        tile = self._met(picked, self._tile)
        part = self._met(picked, self._part) if self.streamed else tile
        held = {name: part if name == self.streamed else tile for name in DEPENDENT["groups"]}
        weights, ofmap = held[WEIGHTS].weights, held[OFMAP].ofmap
        fetched = held[IFMAP].ifmap(self.sliding if arrival.slid else None)
        opens, cycles = OFMAP in arrival.replaced, self.machine.array_cycles
        channels, at_once = tile.channels, part.channels.length
        return TileStep(
            weights=weights if WEIGHTS in arrival.replaced else None,
            ifmap=fetched if IFMAP in arrival.replaced else None,
            opens=opens,
            partial=ofmap if opens and channels.begun else None,
            ofmap=ofmap,
            final=channels.ends,
            held=(held[IFMAP].ifmap(), ofmap, weights),
            partial_sums=channels.begun or not channels.ends or "in_channels" in self.inner,
            cycles=sum(cycles(p, f, at_once, taps) for f, p, taps in part.kernels),
            macs=at_once * sum(p * f * taps for f, p, taps in part.kernels),
            bits=self._bits(weights, fetched, ofmap, picked),
            within=arrival.within,
        )

    def _met(self, picked: Picked, taken: Callable[[str, Picked], Any]) -> MetPieces:
        names = ("outputs", "in_channels", "batch")
        filters, channels, images = (taken(name, picked) for name in names)
        return MetPieces(
            filters, channels, images, {name: taken(name, picked) for name in self.axes}, self.taps
        )

    def _bits(self, weights: int, ifmap: int, ofmap: int, picked: Picked) -> CrossingBits:
        """What crosses the pins for so many words, or, in bursts, for the tiles that they are of."""
        width, burst = self.machine.widths, self.machine.burst_bits
        if not self.stored:
            partial = ofmap * width.partial_sums
            return CrossingBits(weights * width.weights, ifmap * width.ifmap, partial, ofmap * width.ofmap)
        channels, images = self._tile("in_channels", picked).length, self._tile("batch", picked)
        axes = {name: self._tile(name, picked) for name in self.axes}
        inputs = {name: axis.inputs for name, axis in axes.items()}
        (stored,) = self.stored[IFMAP]
        fetched = stored.bits(inputs | {"in_channels": channels, "batch": images}, width.ifmap, burst)
        bits = {"weights": 0, "partial_sums": 0, "ofmap": 0}
        for number, filters in enumerate(self._tile("outputs", picked)):
            held = {"outputs": filters, "in_channels": channels}
            bits["weights"] += self.stored[WEIGHTS][number].bits(
                held, self.taps[number] * width.weights, burst
            )
            made = {name: axis.outputs[number] for name, axis in axes.items()}
            made |= {"outputs": filters, "batch": images}
            for name in ("partial_sums", "ofmap"):
                bits[name] += self.stored[OFMAP][number].bits(made, getattr(width, name), burst)
        return CrossingBits(bits["weights"], fetched, bits["partial_sums"], bits["ofmap"])

    def _tile(self, name: str, picked: Picked) -> Any:
        place = self.places[name]
        piece = self.loops[place].runs[picked[place]][1]
        return piece.whole if isinstance(piece, CutPiece) else piece

    def _part(self, name: str, picked: Picked) -> Any:
        """What is computed at once: the sub-tile, of a dimension that is not cut the tile."""
        if name not in self.inner:
            return self._tile(name, picked)
        place = self.inner[name]
        return self.runs(picked[:place])[picked[place]][1]
