"""The map space of a problem, and what any mapping in a part of it costs at least.

A mapping is a choice of three: an output-channel tile, an input-channel tile, and a tile over the batch
and the spatial axes; and of a loop order. Fixing only the last, or the last and the first, bounds the
cost from below: capacity limits the largest channel tiles, hence the fewest trips, and every cost is
non-decreasing in every trip count.
"""

from __future__ import annotations

import numpy as np

from formulation.bursts import pins
from formulation.cost import (
    Num,
    TensorBits,
    Trips,
    array_passes,
    array_traffic,
    fits,
    footprint,
    setup_cycles,
    tile_bits,
    traffic,
)
from formulation.counts import SAFE, layer_counts
from formulation.mapping import Group, Mapping, Stationary, Tile
from formulation.objective import ENERGY
from formulation.price import Price, energy_quanta, latency_ticks
from formulation.problem import Problem
from formulation.space.tables import SpatialGrid, SpatialTable, channel_table

CLASSES = tuple(Stationary)


class Space:
    """All mappings of a problem.

    Attributes:
        problem: the problem.
        co: undominated output-channel tiles.
        ci: undominated input-channel tiles.
        grid: tiles over the batch and the spatial axes.
        wide: whether latencies are ``WideTicks``.
        energetic: whether energy is asked for.
        wide_energy: whether energies are Python's integers.

    Raises:
        TooLargeError: if 64 bits do not hold what is counted.
    """

    def __init__(self, problem: Problem) -> None:
        layer, hardware = problem.layer, problem.hardware
        self.problem = problem
        self.energetic = problem.needs(ENERGY)
        counts = layer_counts(layer, hardware, energetic=self.energetic).checked(layer.name)
        self.wide, self.wide_energy = counts.are_wide(hardware), counts.energy_is_wide(layer, hardware)
        self.co = channel_table(layer, hardware, Group.CO)
        self.ci = channel_table(layer, hardware, Group.CI)
        self.grid = SpatialGrid(layer, hardware)

    def price(self, stationary: Stationary, co: Num, ci: Num, sp: SpatialTable, sp_cycles: Num) -> Price:
        """Exact price of mappings; arguments broadcast.

        Args:
            stationary: loop order.
            co: positions in the table ``co``.
            ci: positions in the table ``ci``.
            sp: tiles.
            sp_cycles: their cycle factors.
        """
        cycles = Trips(self.co.cycles[co], self.ci.cycles[ci], sp_cycles)
        trips = Trips(self.co.trips[co], self.ci.trips[ci], sp.trips)
        held = self.tile(co, ci, sp)
        if not self.problem.hardware.burst_bytes:
            return self._price(stationary, trips, cycles, held, sp)
        return self._priced(self._burst_bits(stationary, trips, co, ci, sp), stationary, trips, cycles, held)

    def least_price(
        self, stationary: Stationary, co: Num, ci: Num, sp: SpatialTable, sp_cycles: Num
    ) -> Price:
        """As ``price`` from the tiles' columns alone, so that it bounds blocks; bursts are left out."""
        cycles = Trips(self.co.cycles[co], self.ci.cycles[ci], sp_cycles)
        trips = Trips(self.co.trips[co], self.ci.trips[ci], sp.trips)
        return self._price(stationary, trips, cycles, self.tile(co, ci, sp), sp)

    def _burst_bits(self, stationary: Stationary, trips: Trips, co: Num, ci: Num, sp: SpatialTable) -> Num:
        """Traffic where runs take whole bursts [bits]."""
        tiles = self.co.tile[co], self.ci.tile[ci]
        problem, sizes = self.problem, self.grid.tiles(sp.rank)
        return pins(problem.layer, problem.hardware, stationary, trips, *tiles, sizes).total

    def _price(
        self, stationary: Stationary, trips: Trips, cycles: Trips, held: TensorBits, sp: SpatialTable
    ) -> Price:
        """Of mappings of these trips and, by group, factors of the array's cycles."""
        layer, hardware = self.problem.layer, self.problem.hardware
        bits = traffic(layer, stationary, trips, sp.fetched, sp.slid).bits(hardware)
        return self._priced(bits, stationary, trips, cycles, held)

    def _priced(
        self, bits: Num, stationary: Stationary, trips: Trips, cycles: Trips, held: TensorBits
    ) -> Price:
        """Of mappings that move so many bits."""
        layer, hardware = self.problem.layer, self.problem.hardware
        compute = layer.groups * cycles.product
        setup = setup_cycles(hardware, layer.groups, stationary, trips)
        latency = latency_ticks(hardware, compute, bits, held, setup, wide=self.wide)
        return Price.of(latency, bits, self._energy(trips, cycles, bits, latency) if self.energetic else None)

    def _energy(self, trips: Trips, cycles: Trips, bits: Num, latency: Num) -> Num:
        layer, hardware = self.problem.layer, self.problem.hardware
        passes = Trips(*(array_passes(hardware, g, trips.of(g), cycles.of(g)) for g in Group))
        array = array_traffic(layer, layer.ifmap_reads, passes).bits(hardware)
        if self.wide_energy:
            array, bits, latency = (values.astype(object) for values in (array, bits, latency))
        return energy_quanta(hardware, layer.macs, array, bits, latency)

    def tile(self, co: Num, ci: Num, sp: SpatialTable) -> TensorBits:
        """Bits of the largest tiles; arguments as for ``price``."""
        return tile_bits(
            self.problem.layer,
            self.problem.hardware,
            self.co.tile[co],
            self.ci.tile[ci],
            sp.largest,
            sp.pixels,
            self.ci.trips[ci],
        )

    def feasible(self, held: TensorBits) -> Num:
        """Whether tiles fit the buffer."""
        hardware = self.problem.hardware
        return fits(hardware, self.problem.partition, footprint(hardware, held))

    def most_in_channels(self, co: Num, sp: SpatialTable) -> Num:
        """Most input channels of a tile beside ``co`` output channels [channels]; below 1 if none fits."""
        held = self._unit_bits(sp)
        total, parts = self._room()
        weights = co * held.weights
        most = (total - co * held.ofmap) // (held.ifmap + weights)
        if parts is not None:
            most = np.minimum(most, parts.weights // weights)
            most = np.minimum(most, np.where(held.ifmap > 0, parts.ifmap // np.maximum(held.ifmap, 1), most))
            most = np.where(co * held.ofmap > parts.ofmap, 0, most)
        return np.minimum(most, self.problem.layer.in_channels)

    def most_out_channels(self, sp: SpatialTable, ci: Num = 1) -> Num:
        """Most output channels of a tile beside ``ci`` input channels [channels]; below 1 if none fits."""
        held = self._unit_bits(sp)
        total, parts = self._room()
        most = (total - ci * held.ifmap) // (ci * held.weights + held.ofmap)
        if parts is not None:
            most = np.minimum(
                most, np.minimum(parts.ofmap // held.ofmap, parts.weights // (ci * held.weights))
            )
            most = np.where(ci * held.ifmap > parts.ifmap, 0, most)
        return np.minimum(most, self.problem.layer.out_channels)

    def _unit_bits(self, sp: SpatialTable) -> TensorBits:
        """Least bits of the tiles per input channel, output channel, and pair of them."""
        return tile_bits(self.problem.layer, self.problem.hardware, 1, 1, sp.largest, sp.pixels, 1)

    def _room(self) -> tuple[int, TensorBits | None]:
        """Bits for one copy of all tiles, and of each tile where the partition is given."""
        hardware, given = self.problem.hardware, self.problem.partition
        if given is None:
            return min(hardware.buffer_bits // hardware.copies, SAFE), None
        parts = TensorBits(*(part // hardware.copies for part in given.parts))
        return parts.total, parts

    def bounds(
        self, sp: SpatialTable, sp_cycles: Num, co: Num = None, most: tuple[int, int] | None = None
    ) -> tuple[Num, list[Price]]:
        """What mappings with these spatial tiles cost at least, for each loop order.

        Every bound is non-decreasing in the cycle factors and in every column of the tiles, ``rank`` and
        ``slide`` aside. So what is no greater than several tiles in each of them bounds them all.

        Args:
            sp: tiles.
            sp_cycles: their cycle factors, or bounds below them.
            co: positions in the table ``co`` if that choice is made as well; broadcasts with ``sp``.
            most: largest output- and input-channel tile looked at [channels], None for all; the first
                does not matter if ``co`` is given.

        Returns:
            Where any mapping fits, and per class the bounds, which are meaningless elsewhere.
        """
        layer = self.problem.layer
        limit_co, limit_ci = most or (layer.out_channels, layer.in_channels)
        if co is None:
            most_co, co_tile = np.minimum(self.most_out_channels(sp), limit_co), np.ones_like(sp.trips)
            trips_co = -(-layer.out_channels // np.maximum(most_co, 1))
            cycles_co = self.co.least_cycles[trips_co]
        else:
            most_co, co_tile = self.co.tile[co], self.co.tile[co]
            trips_co, cycles_co = self.co.trips[co], self.co.cycles[co]
        most_ci = np.minimum(self.most_in_channels(co_tile, sp), limit_ci)
        trips_ci = -(-layer.in_channels // np.maximum(most_ci, 1))
        cycles = Trips(cycles_co, self.ci.least_cycles[trips_ci], sp_cycles)
        trips = Trips(trips_co, trips_ci, sp.trips)
        held = tile_bits(layer, self.problem.hardware, co_tile, 1, sp.largest, sp.pixels, 1)
        prices = [self._price(stationary, trips, cycles, held, sp) for stationary in CLASSES]
        return (most_co >= 1) & (most_ci >= 1), prices

    def mapping(self, stationary: Stationary, co: int, ci: int, rank: int, slide: int) -> Mapping:
        """The mapping of a choice, its sliding axis None where nothing slides."""
        batch, *spatial = (int(t) for t in self.grid.tiles(np.asarray(rank)))
        tile = Tile(int(self.co.tile[co]), int(self.ci.tile[ci]), batch, tuple(spatial))
        slides = slide >= 0 and not (stationary is Stationary.OUTPUT and self.ci.trips[ci] > 1)
        return Mapping(tile, stationary, int(slide) if slides else None)
