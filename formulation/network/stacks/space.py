"""All cuts of a stack with bounds on what each takes and costs, whatever is done with the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from formulation.cost import group_cycles
from formulation.extents import Ints, trip_count
from formulation.hardware import Hardware, Rates
from formulation.mapping import Group
from formulation.network.stacks.cost import Cuts, Setups
from formulation.network.stacks.stack import Stack
from formulation.network.stacks.tables import MapTable, StackAxis, axis_table, kernels
from formulation.network.stacks.weights import WeightFigures, Weights, choices, figures

Picks = list[Ints]


def stack_tables(stack: Stack, hardware: Hardware) -> tuple[StackAxis, ...]:
    """The table of each axis, for every size of its pieces."""
    extents = stack.maps[stack.root].extents
    return tuple(axis_table(stack, hardware, a, np.arange(1, n + 1)) for a, n in enumerate(extents))


@dataclass(frozen=True)
class StackSpace:
    """The cuts of a stack while certain tensors stay on the chip; ``rank`` numbers the cuts in a row.

    Attributes:
        stack: the stack.
        hardware: the machine.
        tables: of every axis and size (``stack_tables``).
        stays: indices of the tensors that stay.
        wide: whether latencies are ``WideTicks``.
        rates: of what is summed; None if nothing is.
    """

    stack: Stack
    hardware: Hardware
    tables: tuple[StackAxis, ...]
    stays: frozenset[int]
    wide: bool = False
    rates: Rates | None = None

    @cached_property
    def cuts(self) -> Cuts:
        """What cuts cost."""
        return Cuts(self.stack, self.hardware, self.tables, self.stays, wide=self.wide)

    @cached_property
    def weights(self) -> tuple[tuple[Weights, ...], ...]:
        """For each layer its weights kept, then streamed in every tile that matters."""
        stack, summed = self.stack, self.rates is not None
        return tuple(choices(y, self.hardware, stack.resident, summed=summed) for y in stack.layers)

    @cached_property
    def figures(self) -> tuple[WeightFigures, ...]:
        """The same, figure by figure."""
        stack, summed = self.stack, self.rates is not None
        return tuple(figures(y, self.hardware, stack.resident, summed=summed) for y in stack.layers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of each axis."""
        return tuple(len(table.sizes) for table in self.tables)

    def picks(self, rank: Ints) -> Picks:
        """The position of the size of each axis."""
        found: list[Ints] = []
        for size in self.shape[
            :0:-1
        ]:  # nearly twice as fast as numpy's own, whose columns are not contiguous
            above = rank // size
            found.append(rank - above * size)
            rank = above
        return [rank, *found[::-1]]

    def coarse(self) -> Ints:
        """Ranks of the cuts into pieces that are the smallest of their number."""
        few = []
        for table in self.tables:
            trips = trip_count(len(table.sizes), table.sizes)
            few.append(np.flatnonzero(np.r_[True, np.diff(trips) != 0]))
        return self._product(few)

    def every(self, room: int) -> Ints:
        """Ranks of all cuts, but for sizes of one axis that do not fit the room whatever the others are."""
        return self._product([np.flatnonzero(self._least_room(a) <= room) for a in range(len(self.tables))])

    def _product(self, sizes: Sequence[Ints]) -> Ints:
        rank = np.zeros(1, dtype=np.int64)
        for axis, index in enumerate(sizes):
            rank = (rank[:, None] + index * prod(self.shape[axis + 1 :])).reshape(-1)
        return rank

    def _least_room(self, axis: int) -> Ints:
        """What the maps take at least for each size of one axis: all other figures at their least."""
        tables = [table if a == axis else _least(table) for a, table in enumerate(self.tables)]
        count = len(self.tables[axis].sizes)
        picks = [
            np.arange(count) if a == axis else np.zeros(count, dtype=np.int64) for a in range(len(tables))
        ]
        cuts = Cuts(self.stack, self.hardware, tables, self.stays)
        return cuts.rooms(picks, [False] * len(self.stack.layers)) + self.least_weights

    @cached_property
    def least_weights(self) -> int:
        """Room of all layers' weights at least [bits]."""
        return sum(int(held.room.min()) for held in self.figures)

    @cached_property
    def _least_edge(self) -> int:
        return sum(int(held.edge.min()) for held in self.figures)

    @cached_property
    def weight_bits(self) -> int:
        """All weights, moved once, of the layers that compute something in every cut."""
        return sum(w[0].moved for w, i in zip(self.weights, self.stack.ofmaps, strict=True) if self._busy(i))

    def _busy(self, index: int) -> bool:
        made = [table.maps[index] for table in self.tables]
        return all(m is not None and int(m.busy.min()) > 0 for m in made)

    def least_traffic(self, picks: Picks) -> Ints:
        """Bits moved if all weights were kept."""
        return self.cuts.moved(picks) + self.weight_bits

    def least_streamed(self, picks: Picks, room: Ints) -> Ints:
        """Bits moved besides, at least, as only so much of the weights has room to be kept.

        What is kept takes at least its bits; every other bit is moved in each step of its layer.
        """
        steps = np.minimum.reduce([self.cuts.steps(layer, picks) for layer in range(len(self.weights))])
        return np.asarray(np.maximum(0, self.weight_bits - room) * np.maximum(0, steps - 1))

    def least_setups(self, picks: Picks) -> Setups:
        """Set-ups if all weights were kept."""
        cycles, first = self.cuts.setups(picks)
        pairs = zip(self.weights, self.stack.ofmaps, strict=True)
        return Setups(cycles + sum(w[0].setup for w, i in pairs if self._busy(i)), first + self.moved_weights)

    @cached_property
    def moved_weights(self) -> int:
        """Layers whose weights are moved by transfers that are set up."""
        return sum(w[0].setup > 0 for w in self.weights)

    def least_cycles(self, picks: Picks, passes: Sequence[Sequence[Ints]]) -> Ints:
        """Cycles if the outputs that a kernel computes in all steps were one tile, or one in each step.

        Args:
            picks: the cuts.
            passes: of each layer's kernels, ``least_passes``.
        """
        total = np.zeros_like(picks[0])
        for fewest, kernel_passes in zip(self._fewest, passes, strict=True):
            for each, factor in zip(fewest, kernel_passes, strict=True):
                total = total + each * factor
        return total

    def least_passes(self, layer: int, picks: Picks) -> tuple[Ints, ...]:
        """The spatial factor of each kernel's cycles, then: no more than ``Cuts.passes``."""
        steps, found = self.cuts.steps(layer, picks), []
        for number, kernel in enumerate(kernels(self.stack.layers[layer])):
            pixels = np.full_like(picks[0], self.stack.batch)
            for table, pick in zip(self.tables, picks, strict=True):
                pixels = pixels * table.kernels[layer][number].outputs[pick]
            trips = np.minimum(steps, pixels)
            found.append(np.asarray(group_cycles(kernel, self.hardware, Group.SP, 0 * trips, [(1, pixels)])))
        return tuple(found)

    @cached_property
    def _fewest(self) -> list[list[int]]:
        """For each layer and kernel the least of its cycles for one unit of its spatial factor."""
        return [held.cycles.min(axis=1).tolist() for held in self.figures]

    @cached_property
    def floor_ticks(self) -> int:
        """Ticks below which no cut is: the array's, if all that is needed were computed in one step.

        Every cut computes the same positions, some of them more than once; and the cycles of several tiles
        are no fewer than those of one with all their outputs.
        """
        whole = [np.array([size - 1]) for size in self.shape]
        passes = [self.least_passes(layer, whole) for layer in range(len(self.weights))]
        return int(self.hardware.tick.of(int(self.least_cycles(whole, passes)[0]), 0))

    def least_edge(self, picks: Picks) -> Ints:
        """Bits that move before and after the array works, with the smallest tile of each layer's weights."""
        first, last = self.cuts.first_and_last(picks)
        return first + last + self._least_edge


def _least(table: StackAxis) -> StackAxis:
    """One size with the least of every figure."""

    def least(made: MapTable) -> MapTable:
        return MapTable(*(getattr(made, name).min(keepdims=True) for name in MapTable.__slots__))

    return StackAxis(table.sizes[:1], tuple(None if m is None else least(m) for m in table.maps), ())
