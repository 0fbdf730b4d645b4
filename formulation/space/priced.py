"""The tiles of a problem as tables, and what each mapping of them costs."""

from __future__ import annotations

from functools import cached_property

from formulation.cost import (
    Num,
    TensorBits,
    Traffic,
    Trips,
    array_passes,
    setup_cycles,
    tile_bits,
    traffic,
)
from formulation.extents import Ints
from formulation.mapping import Group, Stationary
from formulation.pricing.bursts import pins
from formulation.pricing.price import LayerRates, Price, latency_ticks
from formulation.problem import Problem
from formulation.space.counts import layer_counts
from formulation.space.tables import SpatialGrid, SpatialTable, channel_table


class PricedTiles:
    """The tiles of a problem, and prices of mappings.

    Attributes:
        problem: the problem.
        co: undominated output-channel tiles.
        ci: undominated input-channel tiles.
        grid: tiles over the batch and the spatial axes.
        cut: the group whose tiles are cut into sub-tiles; None for none.
        wide: whether latencies are ``WideTicks``.
        rates: of the quantity that the objective sums; None if it sums none.
        wide_sum: whether sums are Python's integers.

    Raises:
        TooLargeError: if 64 bits do not hold what is counted.
    """

    cut: Group | None = None

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
        latency = self._latency(bits, stationary, trips, self._compute(cycles), self.tile(co, ci, sp))
        return Price.of(latency, bits, self._spent(trips, cycles, bits, latency))

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
        words = traffic(self.problem.layer, stationary, trips, sp.fetched, self.slid(sp), self.cut)
        bits, latency = self._moved(words, stationary, trips, self._compute(cycles), held)
        return Price.of(latency, bits, self._spent(pieces, cycles, bits, latency))

    def _compute(self, cycles: Trips) -> Num:
        """Cycles of the array."""
        return self.problem.layer.groups * cycles.product

    def _moved(
        self, words: Traffic, stationary: Stationary, trips: Trips, compute: Num, held: TensorBits
    ) -> tuple[Num, Num]:
        """Traffic [bits] and latency [ticks] of mappings with so many words and cycles."""
        bits = words.bits(self.problem.hardware)
        return bits, self._latency(bits, stationary, trips, compute, held)

    def _latency(
        self, bits: Num, stationary: Stationary, trips: Trips, compute: Num, held: TensorBits
    ) -> Num:
        hardware = self.problem.hardware
        setup = setup_cycles(hardware, self.problem.layer.groups, stationary, trips)
        return latency_ticks(hardware, compute, bits, held, setup, wide=self.wide)

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
