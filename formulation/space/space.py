"""The map space of a problem, and what any mapping in a part of it costs at least.

A mapping is a choice of three: an output-channel tile, an input-channel tile, and a tile over the batch
and the spatial axes; and of a loop order. Fixing only the last, or the last and the first, bounds the
cost from below: capacity limits the largest channel tiles, hence the fewest trips, and every cost is
non-decreasing in every trip count.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from formulation.cost import Num, TensorBits, Trips, fits, footprint, tile_bits
from formulation.extents import Ints
from formulation.mapping import Group, Mapping, Stationary, Tile
from formulation.pricing.price import Price
from formulation.problem import Problem
from formulation.space.blocks import Stage, sift
from formulation.space.counts import SAFE
from formulation.space.priced import PricedTiles
from formulation.space.tables import SpatialTable

CLASSES = tuple(Stationary)
Names = tuple[list[str], list[str], list[str]]
"""Labels of output-channel, input-channel and spatial tiles."""
#: Loop orders, each with the group that its tiles are cut by, in the order that breaks ties.
CUTS = [(order, group) for order in Stationary for group in order.loops[:2]]
#: The place of a mapping that no search has found: after all others.
ELSEWHERE = len(CLASSES) + len(CUTS)


class Space(PricedTiles):
    """All mappings of a problem.

    Attributes:
        orders: the loop orders, by the place at which they break ties.
        single: groups that are known to have one tile, for the program of a cut.
    """

    single: frozenset[Group] = frozenset()

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
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

    def more_columns(self, sp: SpatialTable) -> list[Ints]:
        """What tiles cost by besides their own columns and cycles."""
        return self.grid.bursts(sp)

    def channels(self, tensor: str, group: Group) -> Ints:
        """Channels that are held of a tensor, for each tile of the group's table."""
        return self.co.tile if group is Group.CO else self.ci.tile

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
