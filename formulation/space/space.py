"""The map space of a problem, and what any mapping in a part of it costs at least.

A mapping is a choice of three: an output-channel tile, an input-channel tile, and a tile over the batch
and the spatial axes; and of a loop order. Fixing only the last, or the last and the first, bounds the
cost from below: capacity limits the largest channel tiles, hence the fewest trips, and every cost is
non-decreasing in every trip count.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from formulation.cost import (
    Num,
    TensorBits,
    Trips,
    array_passes,
    fits,
    footprint,
    setup_cycles,
    tile_bits,
    traffic,
)
from formulation.extents import Ints
from formulation.mapping import Group, Mapping, Stationary, Tile
from formulation.pricing.bursts import pins
from formulation.pricing.price import LayerRates, Price, latency_ticks
from formulation.problem import Problem
from formulation.space.blocks import Stage, sift
from formulation.space.counts import SAFE, layer_counts
from formulation.space.tables import SpatialGrid, SpatialTable, channel_table

CLASSES = tuple(Stationary)
Names = tuple[list[str], list[str], list[str]]
"""Labels of output-channel, input-channel and spatial tiles."""
#: Loop orders, each with the group that its tiles are cut by, in the order that breaks ties.
CUTS = [(order, group) for order in Stationary for group in order.loops[:2]]
#: The place of a mapping that no search has found: after all others.
ELSEWHERE = len(CLASSES) + len(CUTS)


class Space:
    """All mappings of a problem.

    Attributes:
        problem: the problem.
        co: undominated output-channel tiles.
        ci: undominated input-channel tiles.
        grid: tiles over the batch and the spatial axes.
        orders: the loop orders, by the place at which they break ties.
        cut: the group whose tiles are cut into sub-tiles; None for none.
        single: groups that are known to have one tile, for the program of a cut.
        wide: whether latencies are ``WideTicks``.
        rates: of the quantity that the objective sums; None if it sums none.
        wide_sum: whether sums are Python's integers.

    Raises:
        TooLargeError: if 64 bits do not hold what is counted.
    """

    cut: Group | None = None
    single: frozenset[Group] = frozenset()

    def __init__(self, problem: Problem) -> None:
        layer, hardware = problem.layer, problem.hardware
        self.problem = problem
        self.rates = problem.rates
        counts = layer_counts(layer, hardware, summed=self.summed).checked(layer.name)
        self.wide, self.wide_sum = (
            counts.are_wide(hardware),
            counts.sum_is_wide(layer, hardware, self.rates),
        )
        self.co = channel_table(layer, hardware, Group.CO)
        self.ci = channel_table(layer, hardware, Group.CI)
        self.grid = SpatialGrid(layer, hardware)
        self.orders = dict(enumerate(CLASSES))

    def no_tiles(self) -> SpatialTable:
        """A table of no spatial tiles."""
        return SpatialTable(*(np.zeros(0, dtype=np.int64) for _ in SpatialTable.__match_args__))

    @cached_property
    def coarse(self) -> SpatialTable:
        """A few hundred spatial tiles to begin with."""
        return self.grid.coarse()

    def stages(self) -> list[Stage]:
        """Ways to list spatial tiles, the last of which leaves out none that is wanted.

        Those before it are for a good mapping to begin with. Each is given what is wanted, and a sharper look
        that takes longer; it returns such tiles, and perhaps others, in pieces. See ``blocks.sift``.
        """
        return [
            lambda wanted, closer: iter([self.coarse]),
            lambda wanted, closer: sift(self.grid, wanted, closer=closer),
        ]

    def cycles(self, sp: SpatialTable) -> Ints:
        """The spatial group's factor of the compute cycles, for each of some tiles."""
        return self.grid.cycles(sp)

    def least_cycles(self, sp: SpatialTable) -> Ints:
        """A cheap bound below ``cycles``, also for blocks of tiles."""
        return self.grid.least_cycles(sp)

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
        if not self.problem.hardware.burst_bytes:
            return self.least_price(stationary, co, ci, sp, sp_cycles)
        bits = self._burst_bits(stationary, trips, co, ci, sp)
        return self._priced(bits, stationary, trips, trips, cycles, self.tile(co, ci, sp))

    def least_price(
        self, stationary: Stationary, co: Num, ci: Num, sp: SpatialTable, sp_cycles: Num
    ) -> Price:
        """As ``price`` from the tiles' columns alone, so that it bounds blocks; bursts are left out."""
        cycles = Trips(self.co.cycles[co], self.ci.cycles[ci], sp_cycles)
        trips = Trips(self.co.trips[co], self.ci.trips[ci], sp.trips)
        at = {Group.CO: co, Group.CI: ci, Group.SP: sp}
        pieces = Trips(*(self.pieces(group, trips.of(group), at[group]) for group in Group))
        return self._price(stationary, trips, pieces, cycles, self.tile(co, ci, sp), sp)

    def pieces(self, group: Group, trips: Num, at: Num) -> Num:
        """How many pieces are computed of a group: its tiles, or their sub-tiles.

        Args:
            group: of the loops.
            trips: its tiles.
            at: positions in its table; of the spatial group, the tiles.
        """
        return trips

    def more_columns(self, sp: SpatialTable) -> list[Ints]:
        """What tiles cost by besides their own columns and cycles."""
        return self.grid.bursts(sp)

    def channels(self, tensor: str, group: Group) -> Ints:
        """Channels that are held of a tensor, for each tile of the group's table."""
        return self.co.tile if group is Group.CO else self.ci.tile

    def slid(self, sp: SpatialTable) -> Ints:
        """Ifmap words of one pass that slides where it may."""
        return sp.slid

    def _burst_bits(self, stationary: Stationary, trips: Trips, co: Num, ci: Num, sp: SpatialTable) -> Num:
        """Traffic where runs take whole bursts [bits]."""
        tiles = self.co.tile[co], self.ci.tile[ci]
        problem, sizes = self.problem, self.grid.tiles(sp.rank)
        return pins(problem.layer, problem.hardware, stationary, trips, *tiles, sizes).total

    def _price(
        self,
        stationary: Stationary,
        trips: Trips,
        pieces: Trips,
        cycles: Trips,
        held: TensorBits,
        sp: SpatialTable,
    ) -> Price:
        """Of mappings of these trips and, by group, pieces and factors of the array's cycles."""
        layer, hardware = self.problem.layer, self.problem.hardware
        bits = traffic(layer, stationary, trips, sp.fetched, self.slid(sp), self.cut).bits(hardware)
        return self._priced(bits, stationary, trips, pieces, cycles, held)

    def _priced(
        self,
        bits: Num,
        stationary: Stationary,
        trips: Trips,
        pieces: Trips,
        cycles: Trips,
        held: TensorBits,
    ) -> Price:
        """Of mappings that move so many bits."""
        layer, hardware = self.problem.layer, self.problem.hardware
        compute = layer.groups * cycles.product
        setup = setup_cycles(hardware, layer.groups, stationary, trips)
        latency = latency_ticks(hardware, compute, bits, held, setup, wide=self.wide)
        return Price.of(latency, bits, self._spent(pieces, cycles, bits, latency))

    @property
    def summed(self) -> bool:
        """Whether the objective sums what a mapping does."""
        return self.rates is not None

    @cached_property
    def _layer_rates(self) -> LayerRates | None:
        problem = self.problem
        return None if self.rates is None else LayerRates.of(problem.hardware, problem.layer, self.rates)

    def _spent(self, pieces: Trips, cycles: Trips, bits: Num, latency: Num) -> Num | None:
        """The sum of what mappings do, where the objective asks for one."""
        if self._layer_rates is None:
            return None
        passes = [array_passes(self.problem.hardware, g, pieces.of(g), cycles.of(g)) for g in Group]
        if self.wide_sum:
            *passes, bits, latency = (v.astype(object) for v in (*passes, bits, latency))
        return self._layer_rates.quanta(Trips(*passes), bits, latency)

    def tile(self, co: Num, ci: Num, sp: SpatialTable) -> TensorBits:
        """Bits of the largest tiles; arguments as for ``price``."""
        return self.held(co, ci, sp, self.ci.trips[ci])

    def held(self, co: Num, ci: Num, sp: SpatialTable, trips_ci: Num) -> TensorBits:
        """The same with the ofmap's width as of so many input-channel tiles."""
        layer, hardware = self.problem.layer, self.problem.hardware
        return tile_bits(layer, hardware, self.co.tile[co], self.ci.tile[ci], sp.largest, sp.pixels, trips_ci)

    def feasible(self, held: TensorBits) -> Num:
        """Whether tiles fit the buffer."""
        hardware = self.problem.hardware
        return fits(hardware, self.problem.partition, footprint(hardware, held))

    def most_beside(self, co: Num, sp: SpatialTable) -> Num:
        """Most input channels of a tile [channels]; below 1 if none fits.

        Args:
            co: positions of the output-channel tiles beside it; None for a single channel.
            sp: spatial tiles.
        """
        return self.most_in_channels(1 if co is None else self.co.tile[co], sp)

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
            most_co = np.minimum(self.most_out_channels(sp), limit_co)
            trips_co = -(-layer.out_channels // np.maximum(most_co, 1))
            cycles_co = self.co.least_cycles[trips_co]
        else:
            most_co = self.co.tile[co]
            trips_co, cycles_co = self.co.trips[co], self.co.cycles[co]
        most_ci = np.minimum(self.most_beside(co, sp), limit_ci)
        trips_ci = -(-layer.in_channels // np.maximum(most_ci, 1))
        cycles = Trips(cycles_co, self.ci.least_cycles[trips_ci], sp_cycles)
        trips = Trips(trips_co, trips_ci, sp.trips)
        held = self._least_tile(co, sp)
        prices = [self._price(order, trips, trips, cycles, held, sp) for order in self.orders.values()]
        return (most_co >= 1) & (most_ci >= 1), prices

    def _least_tile(self, co: Num, sp: SpatialTable) -> TensorBits:
        """Least bits of tiles beside output-channel tiles at the given positions; None if those are free."""
        size = 1 if co is None else self.co.tile[co]
        return tile_bits(self.problem.layer, self.problem.hardware, size, 1, sp.largest, sp.pixels, 1)

    def names(self, co: Num, ci: Num, sp: SpatialTable) -> Names:
        """Labels of output-channel tiles, input-channel tiles and spatial tiles."""
        sizes = np.stack(self.grid.tiles(sp.rank), axis=1)
        return (
            [f"co{tile}" for tile in self.co.tile[co]],
            [f"ci{tile}" for tile in self.ci.tile[ci]],
            ["x".join(map(str, size)) for size in sizes.tolist()],
        )

    def mapping(self, stationary: Stationary, co: int, ci: int, rank: int, slide: int) -> Mapping:
        """The mapping of a choice, its sliding axis None where nothing slides."""
        batch, *spatial = (int(t) for t in self.grid.tiles(np.asarray(rank)))
        tile = Tile(int(self.co.tile[co]), int(self.ci.tile[ci]), batch, tuple(spatial))
        slides = slide >= 0 and not (stationary is Stationary.OUTPUT and self.ci.trips[ci] > 1)
        return Mapping(tile, stationary, int(slide) if slides else None)
