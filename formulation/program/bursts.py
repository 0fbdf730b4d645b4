"""Coefficients of the mixed-integer program where runs take whole bursts: bits across the DRAM's pins.

A run may reach from one dimension into the next where tiles take it whole, so a pair's bits are no product of
two factors: they are known for every pair. ``formulation.bursts`` has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formulation.bursts import (
    channel_bursts,
    ifmap_bits,
    ofmap_bits,
    split_ifmap_bits,
    weight_bits,
)
from formulation.cost import Num, most_passes
from formulation.extents import Ints
from formulation.mapping import Group, Stationary
from formulation.space.space import Space
from formulation.space.tables import SpatialTable


@dataclass(frozen=True, slots=True, eq=False)
class VariantBursts:
    """Bits of all groups in one variant.

    Attributes:
        space: the map space.
        stationary: the loop order.
        whole: whether all input channels are one tile.
        tiles: spatial tiles.
    """

    space: Space
    stationary: Stationary
    whole: bool
    tiles: SpatialTable

    def fixed(self, co: Ints, row: Ints) -> Ints:
        """Of pairs of output channels and tile, but for ``fetched``, ``spilled`` and ``reloaded``."""
        layer, hardware, sizes = self.space.problem.layer, self.space.problem.hardware, self._sizes(row)
        if self.whole:
            ifmap = ifmap_bits(layer, hardware, layer.in_channels, sizes)
        else:
            ifmap, _ = split_ifmap_bits(layer, hardware, sizes)
        bits = ifmap * self._passes(Group.CO, self.space.co.trips[co])
        bits = bits + ofmap_bits(layer, hardware, hardware.bits.ofmap, self.space.co.tile[co], sizes)
        if self.whole:
            weights = weight_bits(layer, hardware, self.space.co.tile[co], layer.in_channels)
            bits = bits + weights * self._passes(Group.SP, self.tiles.trips[row])
        return np.asarray(layer.groups * bits)

    def reloaded(self, ci: Ints, row: Ints) -> Ints:
        """Of the weights, by pairs of input channels and tile, where the input channels are cut."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        bits = weight_bits(layer, hardware, 1, self.space.ci.tile[ci])
        return np.asarray(layer.groups * bits * self._passes(Group.SP, self.tiles.trips[row]))

    def runs(self, ci: Ints) -> Ints:
        """Bursts of ifmap runs that end with the input channels, where these are cut."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        return channel_bursts(layer, hardware, Group.CI, self.space.ci.tile[ci])[0]

    def fetched(self, co: Ints, row: Ints) -> Ints:
        """Bits of each of ``runs``, by pairs of output channels and tile."""
        layer = self.space.problem.layer
        _, each = split_ifmap_bits(layer, self.space.problem.hardware, self._sizes(row))
        return np.asarray(layer.groups * each * self._passes(Group.CO, self.space.co.trips[co]))

    def spilled(self, co: Ints, row: Ints) -> Ints:
        """Bits of partial sums out and in, for each time that they go and come, by pairs."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        width, tile = hardware.bits.partial_sums, self.space.co.tile[co]
        return np.asarray(2 * layer.groups * ofmap_bits(layer, hardware, width, tile, self._sizes(row)))

    def moves(self, co: int, ci: int, row: int) -> int:
        """Of a mapping, by the variant's passes."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        at, width = np.array([row]), hardware.bits
        tile, part = self.space.co.tile[[co]], self.space.ci.tile[[ci]]
        sizes, again = self._sizes(at), self._passes(Group.CI, self.space.ci.trips[[ci]]) - 1
        bits = ifmap_bits(layer, hardware, part, sizes) * self._passes(Group.CO, self.space.co.trips[[co]])
        bits = bits + weight_bits(layer, hardware, tile, part) * self._passes(Group.SP, self.tiles.trips[at])
        bits = bits + ofmap_bits(layer, hardware, width.ofmap, tile, sizes)
        bits = bits + 2 * again * ofmap_bits(layer, hardware, width.partial_sums, tile, sizes)
        return int((layer.groups * bits)[0])

    def _sizes(self, row: Ints) -> list[Ints]:
        return self.space.grid.tiles(self.tiles.rank[row])

    def _passes(self, group: Group, trips: Num) -> Num:
        return most_passes(self.stationary, group, trips) * np.ones_like(trips)
