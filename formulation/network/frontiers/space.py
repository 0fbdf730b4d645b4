"""The map space of a layer beside a state of its operands, within a room of the buffer.

As ``formulation.space``: tiles that are left out there are dominated here as well, for everything that a
state's cost is made of is non-decreasing in tiles, trips and cycles just as there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from formulation.cost import Num, TensorBits, Traffic, Trips, transfers
from formulation.mapping import Stationary
from formulation.network.movement import Movement
from formulation.problem import Problem
from formulation.space.counts import layer_counts
from formulation.space.space import Space
from formulation.space.tables import SpatialTable


class MovedSpace(Space):
    """All mappings of a problem, priced by a movement.

    Args:
        problem: the layer and the machine.
        movement: where its operands are.

    Attributes:
        room: bits for the parts; the whole buffer unless set.
    """

    def __init__(self, problem: Problem, movement: Movement) -> None:
        super().__init__(problem)
        self.movement = movement
        layer, hardware = problem.layer, problem.hardware
        counts = layer_counts(layer, hardware, summed=self.summed)
        if self.summed:  # what is moved besides may be more than the layer's own
            bits = counts.bits + (movement.written + movement.read) * hardware.bits.ofmap
            self.wide_sum = replace(counts, bits=bits).sum_is_wide(layer, hardware, self.rates)
        if hardware.transfer_cycles:
            tiles = layer.groups * layer.out_channels * layer.pixels
            more = hardware.transfer_cycles * movement.moves * tiles
            counts = replace(counts, cycles=counts.cycles + more).checked(layer.name)
            self.wide = counts.are_wide(hardware)
        self.room = problem.hardware.buffer_bits

    def _moved(
        self, words: Traffic, stationary: Stationary, trips: Trips, compute: Num, held: TensorBits
    ) -> tuple[Num, Num]:
        layer, hardware = self.problem.layer, self.problem.hardware
        moves = transfers(layer.groups, stationary, trips) if hardware.transfer_cycles else None
        bits = np.asarray(self.movement.bits(hardware, words))
        return bits, self.movement.latency(hardware, compute, words, held, moves, self.wide)

    def need(self, co: Num, ci: Num, sp: SpatialTable) -> Num:
        """Buffer that mappings take [bits]; arguments as for ``price``."""
        held = self.tile(co, ci, sp)
        return self.movement.need(self.problem.hardware, held, self.ci.trips[ci])

    def most_in_channels(self, co: Num, sp: SpatialTable) -> Num:
        """Most input channels of a tile beside ``co`` output channels [channels]; below 1 if none fits."""
        held, total = self._unit_parts(sp)
        each = held.ifmap + co * held.weights
        return self._most(total - co * held.ofmap, each, self.problem.layer.in_channels)

    def most_out_channels(self, sp: SpatialTable, ci: Num = 1) -> Num:
        """Most output channels of a tile beside ``ci`` input channels [channels]; below 1 if none fits."""
        held, total = self._unit_parts(sp)
        each = ci * held.weights + held.ofmap
        return self._most(total - ci * held.ifmap, each, self.problem.layer.out_channels)

    def _unit_parts(self, sp: SpatialTable) -> tuple[TensorBits, int]:
        """Least bits of the parts per channel and pair of channels, and those for one copy of all."""
        return self.movement.parts(self._unit_bits(sp)), self.room // self.problem.hardware.copies

    @staticmethod
    def _most(total: Num, each: Num, extent: int) -> Num:
        """How many units of ``each`` bits fit into ``total``; all if they take nothing."""
        most = np.where(each > 0, total // np.maximum(each, 1), np.where(total >= 0, extent, 0))
        return np.minimum(most, extent)
