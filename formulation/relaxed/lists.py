"""Lists of tiles of a class of mappings, and the columns that its formulas see of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formulation.cost import Num
from formulation.extents import Ints
from formulation.space.tables import ChannelTable, SpatialTable


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """The lists of a class.

    Attributes:
        co: positions in the table of output-channel tiles.
        ci: positions in that of input-channel tiles.
        sp: tiles over the batch and the axes.
        cycles: their factor of the compute cycles.
    """

    co: Ints
    ci: Ints
    sp: SpatialTable
    cycles: Ints

    def __len__(self) -> int:
        return len(self.co) * len(self.ci) * len(self.sp)


_NONE = np.zeros(0, dtype=np.int64)
_NO_TILES = SpatialTable(_NONE, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE)
NOTHING = Rest(_NONE, _NONE, _NO_TILES, _NONE)


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """Channel tiles as the formulas see them: extents, trip counts, factors of the array cycles."""

    tile: Num
    trips: Num
    cycles: Num

    @classmethod
    def listed(cls, table: ChannelTable, positions: Ints) -> Channels:
        """Those at the given positions of a table."""
        return cls(table.tile[positions], table.trips[positions], table.cycles[positions])

    @property
    def pieces(self) -> Num:
        """How many pieces are computed."""
        return self.trips

    @property
    def least(self) -> Channels:
        """Of every column."""
        return Channels(self.tile.min(), self.trips.min(), self.cycles.min())

    def within(self, table: ChannelTable, extent: int, most: Ints) -> Channels:
        """The least columns of tiles of at most so many channels, if these are the least of all."""
        trips = -(-extent // np.maximum(most, 1))
        cycles = np.maximum(self.cycles, table.least_cycles[trips])
        return Channels(self.tile, np.maximum(self.trips, trips), cycles)
