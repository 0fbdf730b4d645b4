"""What a fused stack takes in the buffer, moves and computes: the only home of these formulas.

Every function prices many cuts at once: ``picks`` holds, for each spatial axis, the position of the size of
its pieces in that axis' table, one for each cut. A map of C channels that computes ``r`` rows in a band and
``c`` columns in a strip takes ``C*r*c`` words: rows do not depend on the strip, nor columns on the band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from formulation.cost import Num, TensorBits, group_cycles
from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.network.stacks.stack import MapKind, Stack
from formulation.network.stacks.tables import MapTable, StackAxis, axis_table, kernels
from formulation.network.stacks.weights import Weights, weights_of
from formulation.pricing.price import latency_ticks
from formulation.space.counts import SAFE


@dataclass(frozen=True, slots=True)
class Schedule:
    """One way to run a stack.

    Attributes:
        pieces: rows of a band, then the width of a strip along each further axis.
        tiles: for each layer the tile of (output, input) channels in which its weights are streamed; None if
            they are kept.
    """

    pieces: tuple[int, ...]
    tiles: tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class StackCost:
    """What a schedule of a stack costs, exactly.

    Attributes:
        room: taken in the buffer, without the tensors that stay [bits].
        traffic_bits: moved between DRAM and the buffer.
        compute_cycles: cycles in which the array works.
        latency_ticks: latency in ``hardware.tick``.
    """

    room: int
    traffic_bits: int
    compute_cycles: int
    latency_ticks: int


class Setups(NamedTuple):
    """Set-ups of transfers.

    Attributes:
        cycles: of all of them.
        first: how many are in the edge.
    """

    cycles: Any
    first: Any

    def take(self, index: Any) -> Setups:
        """The same of some cuts."""
        return Setups(*(x[index] if isinstance(x, np.ndarray) else x for x in self))


NO_SETUPS = Setups(0, 0)


class TooNarrowError(ArithmeticError):
    """64 bits might not hold a latency."""


class Cuts:
    """Cuts of one stack into bands and strips, while certain tensors stay on the chip.

    Args:
        stack: the stack.
        hardware: the machine.
        tables: of every axis.
        stays: indices of the tensors that stay.
        wide: whether latencies are ``WideTicks``.
    """

    def __init__(
        self,
        stack: Stack,
        hardware: Hardware,
        tables: Sequence[StackAxis],
        stays: frozenset[int],
        *,
        wide: bool = False,
    ) -> None:
        self.stack, self.hardware, self.tables, self.wide = stack, hardware, tuple(tables), wide
        self.stays = [m.tensor is not None and m.tensor in stays for m in stack.maps]

    def _over(self, index: int, picks: Sequence[Ints], bands: str, strips: str) -> Ints:
        """A figure of a map's bands times one of its strips."""
        names = (bands, *(strips for _ in picks[1:]))
        words = np.ones_like(picks[0])
        for axis, pick, name in zip(self.tables, picks, names, strict=True):
            table = axis.maps[index]
            words = words * (getattr(table, name)[pick] if isinstance(table, MapTable) else 0)
        return words

    def room(self, index: int, picks: Sequence[Ints], partial: bool) -> Ints:
        """What one map takes in the buffer [bits], in whole banks.

        A source: what is kept and, in each copy, what is new. An operand of a drain node, and the last ofmap:
        each copy its largest band. A map inside: the most that is live; of one that stays only what its
        partial sums take beyond it. What nothing inside reads from the buffer takes none, but an ofmap
        takes what is just made.
        """
        made, width, copies = self.stack.maps[index], self.hardware.bits, self.hardware.copies
        inside = made.kind in (MapKind.OFMAP, MapKind.DRAINED)
        if self.stays[index] and (not inside or not partial):
            return np.zeros_like(picks[0])
        if self.stays[index]:
            bits = (width.partial_sums - width.ofmap) * self._over(index, picks, "most", "most")
        elif made.kind is MapKind.SOURCE:
            bits = width.ifmap * self._over(index, picks, "fetched", "most")
        elif made.kind is MapKind.OPERAND or index == self.stack.root:
            bits = copies * self._over(index, picks, "most", "most")
            bits = bits * (width.partial_sums if partial else width.ofmap)
        elif partial:
            bits = self._over(index, picks, "partial", "most")
        else:
            bits = width.ofmap * self._over(index, picks, "live", "most") * self._takes(index)
        bank = self.hardware.bank_bits
        return -(-made.channels * bits // bank) * bank

    def _takes(self, index: int) -> bool:
        held = any(read.held and read.map == index for made in self.stack.maps for read in made.reads)
        return held or self.stack.maps[index].kind is MapKind.OFMAP

    def rooms(self, picks: Sequence[Ints], partial: Sequence[bool]) -> Ints:
        """What all maps take [bits]; ``partial`` says of each layer whether its sums wait in the buffer."""
        total = np.zeros_like(picks[0])
        for index, made in enumerate(self.stack.maps):
            waits = made.kind is MapKind.OFMAP and made.layer is not None and partial[made.layer]
            total = total + self.room(index, picks, waits)
        return total

    def moved(self, picks: Sequence[Ints]) -> Ints:
        """Bits moved but for weights: what comes from outside, strip by strip, and what leaves, once."""
        indices = range(len(self.stack.maps))
        return np.asarray(sum(self.fetched(i, picks) + self.written(i) for i in indices))

    def fetched(self, index: int, picks: Sequence[Ints]) -> Ints:
        """Bits of a map that come from outside, strip by strip."""
        made, width = self.stack.maps[index], self.hardware.bits
        if made.reads or self.stays[index]:
            return np.zeros_like(picks[0])
        word = width.ifmap if made.kind is MapKind.SOURCE else width.ofmap
        return np.asarray(
            self.stack.batch * made.channels * word * self._over(index, picks, "total", "total")
        )

    def written(self, index: int) -> int:
        """Bits of a map that leave, once."""
        made = self.stack.maps[index]
        words = self.stack.batch * made.channels * prod(made.extents)
        return words * self.hardware.bits.ofmap if self._written(index) else 0

    def _written(self, index: int) -> bool:
        made = self.stack.maps[index]
        return made.leaves and (made.is_output or not self.stays[index])

    def first_and_last(self, picks: Sequence[Ints]) -> tuple[Ints, Ints]:
        """Bits of the sources in the first step, and of the last ofmap in the last step if it is written."""
        width = self.hardware.bits
        first = np.zeros_like(picks[0])
        for index, made in enumerate(self.stack.maps):
            if made.kind is MapKind.SOURCE and not self.stays[index]:
                first = first + made.channels * width.ifmap * self._over(index, picks, "first", "first")
        root = self.stack.root
        band = self.stack.maps[root].channels * width.ofmap * self._over(root, picks, "last", "last")
        return first, band * self._ends

    def setups(self, picks: Sequence[Ints]) -> Setups:
        """Of what comes and leaves besides weights: one in every step that has something of a map to move.

        In the edge are the sources that the first step reads, and the last ofmap if it is written.
        """
        each, cycles, first = self.hardware.transfer_cycles, np.zeros_like(picks[0]), np.zeros_like(picks[0])
        if not each:
            return NO_SETUPS
        for index, made in enumerate(self.stack.maps):
            comes = not made.reads and not self.stays[index]
            if comes or self._written(index):
                name = "busy" if comes else "fresh"
                cycles = cycles + each * self.stack.batch * self._over(index, picks, name, name)
            if comes and made.kind is MapKind.SOURCE:
                first = first + (self._over(index, picks, "first", "first") > 0)
        return Setups(cycles, first + self._ends)

    @property
    def _ends(self) -> bool:
        """Whether anything that the last layer makes is written."""
        last = len(self.stack.layers) - 1
        return any(self._written(i) for i, made in enumerate(self.stack.maps) if made.layer == last)

    def steps(self, layer: int, picks: Sequence[Ints]) -> Ints:
        """Steps in which a layer computes something, over all images."""
        return self.stack.batch * self._over(self.stack.ofmaps[layer], picks, "busy", "busy")

    def passes(self, layer: int, picks: Sequence[Ints]) -> tuple[Ints, ...]:
        """The spatial factor of each kernel's cycles, each step a spatial tile, all images."""
        found = []
        for number, kernel in enumerate(kernels(self.stack.layers[layer])):
            lengths = [axis.kernels[layer][number] for axis in self.tables]
            columns = [range(axis.length.shape[1]) for axis in lengths]
            tiles: list[tuple[Ints, Ints]] = []
            for slots in product(*columns):
                pieces, pixels = np.ones_like(picks[0]), np.ones_like(picks[0])
                for axis, pick, slot in zip(lengths, picks, slots, strict=True):
                    pieces, pixels = pieces * axis.pieces[pick, slot], pixels * axis.length[pick, slot]
                tiles.append((pieces, pixels))
            trips = sum(pieces for pieces, _ in tiles)
            cycles = group_cycles(kernel, self.hardware, Group.SP, trips, tiles)
            found.append(np.asarray(self.stack.batch * cycles))
        return tuple(found)

    def latency(self, cycles: Ints, edge: Ints, traffic: Ints, setups: Setups = NO_SETUPS) -> Num:
        """Latency [ticks].

        The edge moves the first step's sources in, the weights that are kept, one tile of each other
        layer's, and the last ofmap's last band out.

        Raises:
            TooNarrowError: if these cuts are not wide, and 64 bits might not hold a latency.
        """
        each = self.hardware.transfer_cycles
        most = [int(np.max(x, initial=0)) for x in (cycles, edge, traffic, *setups)]
        busy = most[0] + most[3] + each * most[4]
        if not self.wide and self.hardware.tick.of(busy, most[1] + most[2]) >= SAFE:
            raise TooNarrowError
        tile = TensorBits(edge, 0, 0)
        return latency_ticks(
            self.hardware, cycles, traffic, tile, setups.cycles, first=setups.first, wide=self.wide
        )


def stack_cost(stack: Stack, hardware: Hardware, schedule: Schedule, stays: frozenset[int]) -> StackCost:
    """What one schedule of a stack costs.

    Raises:
        ValueError: if the schedule does not have one size for each axis, within its extent, and one entry
            for each layer.
    """
    cuts, picks, weights = schedule_cuts(stack, hardware, schedule, stays)
    room, traffic, cycles, edge, setups = priced(cuts, picks, weights)
    latency = cuts.latency(cycles, edge, traffic, setups)
    return StackCost(int(room[0]), int(traffic[0]), int(cycles[0]), int(latency[0]))


def schedule_cuts(
    stack: Stack, hardware: Hardware, schedule: Schedule, stays: frozenset[int]
) -> tuple[Cuts, list[Ints], list[Weights]]:
    """The cuts of one schedule, the only one of them, and its weights."""
    extents = stack.maps[stack.root].extents
    sizes = zip(schedule.pieces, extents, strict=True)
    if len(schedule.tiles) != len(stack.layers) or not all(1 <= n <= most for n, most in sizes):
        raise ValueError(f"{schedule} is no schedule of {len(stack.layers)} layers to {extents}")
    tables = [axis_table(stack, hardware, a, np.array([n])) for a, n in enumerate(schedule.pieces)]
    held = zip(stack.layers, schedule.tiles, strict=True)
    weights = [weights_of(layer, hardware, tile, stack.resident) for layer, tile in held]
    return Cuts(stack, hardware, tables, stays, wide=True), [np.array([0]) for _ in extents], weights


def priced(
    cuts: Cuts, picks: Sequence[Ints], weights: Sequence[Weights]
) -> tuple[Ints, Ints, Ints, Ints, Setups]:
    """Room, traffic, cycles, edge and set-ups of cuts with one choice of weights, summed over all."""
    first, last = cuts.first_and_last(picks)
    room = cuts.rooms(picks, [w.partial for w in weights]) + sum(w.room for w in weights)
    traffic, cycles = cuts.moved(picks), np.zeros_like(picks[0])
    spent, begin = cuts.setups(picks)
    for layer, held in enumerate(weights):
        times = 1 if held.kept else cuts.steps(layer, picks)
        traffic, spent = traffic + held.moved * times, spent + held.setup * times
        for each, passes in zip(held.cycles, cuts.passes(layer, picks), strict=True):
            cycles = cycles + each * passes
    setups = Setups(spent, begin + sum(w.setup > 0 for w in weights))
    return room, traffic, cycles, first + last + sum(w.edge for w in weights), setups
