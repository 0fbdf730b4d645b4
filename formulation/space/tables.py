"""Candidate tiles of the three groups of loops, with everything the cost needs of them, as arrays.

Candidates are left out only where that loses nothing: a channel tile if another one is no larger and has
no more trips and no more array cycles. For equal cost the smaller tile also comes first in the order
that breaks ties, so what is left out is never the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from math import prod
from typing import Any, Literal

import numpy as np

from dnns.layer import Layer
from formulation.cost import group_cycles
from formulation.extents import (
    AxisTable,
    Ints,
    batch_axis,
    channel_tiles,
    full_axis_table,
    spatial_tiles,
    trip_count,
)
from formulation.hardware import Halo, Hardware
from formulation.mapping import Group
from formulation.pricing.bursts import channel_bursts, spatial_bursts

#: Tiles evaluated at once, few enough that the arrays stay in the processor's cache.
SLAB = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class ChannelTable:
    """Candidate tiles of the output or the input channels, in ascending order.

    Attributes:
        tile: tile sizes [channels].
        trips: trip counts, not ascending.
        cycles: the group's factor of the compute cycles.
        least_cycles: entry ``n`` is the least ``cycles`` of all candidates with at least ``n`` trips.
    """

    tile: Ints
    trips: Ints
    cycles: Ints
    least_cycles: Ints


def channel_table(layer: Layer, hardware: Hardware, group: Group) -> ChannelTable:
    """All undominated tiles of the output or the input channels.

    A tile is dominated if another is at most as large and has at most as many trips and cycles; and bursts,
    where runs take whole ones, wherever a run may end (``formulation.pricing.bursts``). The table is kept for
    the machines to come that have the same array.
    """
    return _channel_table(layer, hardware.for_tables, group)


@lru_cache(maxsize=512)
def _channel_table(layer: Layer, hardware: Hardware, group: Group) -> ChannelTable:
    extent = layer.out_channels if group is Group.CO else layer.in_channels
    tile = np.arange(1, extent + 1)
    trips = trip_count(extent, tile)
    cycles = group_cycles(layer, hardware, group, trips, channel_tiles(extent, tile, trips))
    # Trips fall as tiles grow, so only a smaller tile of the same trips can dominate. Taking a growing
    # amount off each run of equal trips turns the least cycles so far into those of the run so far.
    run = np.cumsum(np.r_[0, np.diff(trips) != 0])
    value = cycles - run * (cycles.max() + 1)
    keep = np.r_[True, value[1:] < np.minimum.accumulate(value)[:-1]]
    if hardware.burst_bytes:
        columns = [cycles, *channel_bursts(layer, hardware, group, tile)]
        keep = _undominated_in_runs(run, np.stack(columns))
    tile, trips, cycles = tile[keep], trips[keep], cycles[keep]
    return ChannelTable(tile, trips, cycles, least_from(trips, cycles, extent))


def _undominated_in_runs(run: Ints, columns: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Where no column before of the same run is at most as great in every row."""
    keep = np.ones(len(run), dtype=np.bool_)
    for first, stop in zip(*(np.searchsorted(run, np.unique(run), side) for side in _SIDES), strict=True):
        for at in range(first + 1, stop):
            before = columns[:, first:at][:, keep[first:at]]
            keep[at] = not (before <= columns[:, at : at + 1]).all(axis=0).any()
    return keep


_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def least_from(trips: Ints, cycles: Ints, extent: int) -> Ints:
    """Entry ``n`` is the least of the cycles of all candidates with at least ``n`` trips.

    Where there is none, it is that of the most trips that there are: any number bounds nothing, a large one
    would wrap in products.
    """
    most = trips.max(initial=0)
    least = np.full(extent + 2, cycles[trips == most].min(initial=np.iinfo(np.int64).max))
    np.minimum.at(least, trips, cycles)
    return np.asarray(np.minimum.accumulate(least[::-1])[::-1])


@dataclass(frozen=True, slots=True, eq=False)
class SpatialTable:
    """Tiles over the batch and the spatial axes, flattened; words are of one group.

    Attributes:
        rank: place of the tile in lexicographic order among all of the layer's.
        trips: trip counts, product over the dimensions.
        fetched: ifmap words of one pass, all input channels, halo refetched.
        slid: the same along the best sliding axis; ``fetched`` where nothing slides.
        slide: that axis, -1 where nothing slides.
        largest: words of the largest ifmap tile per input channel.
        pixels: output positions of a full tile.
    """

    rank: Ints
    trips: Ints
    fetched: Ints
    slid: Ints
    slide: Ints
    largest: Ints
    pixels: Ints

    def __len__(self) -> int:
        return len(self.rank)

    @property
    def computed(self) -> Ints:
        """How many pieces are computed."""
        return self.trips

    def take(self, index: Any) -> SpatialTable:
        """The tiles at the given positions, of a slice, or where a mask is true; whatever arrays take."""
        return type(self)(*(getattr(self, name)[index] for name in self.__match_args__))

    @staticmethod
    def join(tables: Sequence[SpatialTable]) -> SpatialTable:
        """Several tables as one."""
        kind = type(tables[0])
        return kind(*(np.concatenate([getattr(t, n) for t in tables]) for n in kind.__match_args__))


class TileGrid:
    """The tiles over the batch and all spatial axes, as the product of tables of each.

    Args:
        dims: the table of the batch, then of each spatial axis, for every tile size ``1, 2, ...``.
        in_channels: of one group.
        hardware: says whether the halo is reused.
    """

    def __init__(self, dims: Sequence[AxisTable], in_channels: int, hardware: Hardware) -> None:
        self.dims, self.in_channels, self.hardware = list(dims), in_channels, hardware
        self.shape = tuple(len(dim.tile) for dim in self.dims)

    def __len__(self) -> int:
        return prod(self.shape)

    def tiles(self, rank: Ints) -> list[Ints]:
        """Tile sizes of the batch and each axis, for ranks."""
        return [index + 1 for index in np.unravel_index(rank, self.shape)]

    def coarse(self) -> SpatialTable:
        """A few hundred tiles spread over the whole grid: few trips, powers of two, and array sizes."""
        budget = max(6, int(4096 ** (1 / max(1, sum(n > 1 for n in self.shape)))))
        picks = [spread(len(dim.tile), self.hardware, budget) for dim in self.dims]
        return self.table(picks)

    def slabs(self) -> Iterator[SpatialTable]:
        """All tiles, in pieces of bounded size, in lexicographic order."""
        whole = [np.arange(n) for n in self.shape]
        cut = next(d for d in range(len(whole)) if prod(self.shape[d + 1 :]) <= SLAB)
        step = max(1, SLAB // prod(self.shape[cut + 1 :]))
        for outer in np.ndindex(*self.shape[:cut]):
            fixed = [np.array([i]) for i in outer]
            for start in range(0, self.shape[cut], step):
                yield self.table([*fixed, whole[cut][start : start + step], *whole[cut + 1 :]])

    def table(self, picks: Sequence[Ints]) -> SpatialTable:
        """The product of the given positions of each dimension."""
        return self._table(picks, lambda over, columns: reduce(over.outer, columns).reshape(-1))

    def at(self, picks: Sequence[Ints]) -> SpatialTable:
        """The tiles at the given positions, as many in each dimension, taken together."""
        return self._table(picks, reduce)

    def _table(self, picks: Sequence[Ints], combine: Callable[[np.ufunc, list[Ints]], Ints]) -> SpatialTable:
        """Tiles from one column of each dimension."""
        dims = range(len(picks))

        def product(names: Sequence[str]) -> Ints:
            columns = [getattr(self.dims[d], names[d])[picks[d]] for d in dims]
            return combine(np.multiply, columns)

        fetched = product(["fetched" for _ in dims])
        slid, slide = fetched, np.full(len(fetched), -1)
        if self.hardware.halo is Halo.REUSE:
            for axis in dims[1:]:
                other = product(["slid" if d == axis else "fetched" for d in dims])
                slide = np.where(other < slid, axis - 1, slide)
                slid = np.minimum(slid, other)
        return SpatialTable(
            rank=combine(np.add, [picks[d] * prod(self.shape[d + 1 :]) for d in dims]),
            trips=product(["trips" for _ in dims]),
            fetched=self.in_channels * fetched,
            slid=self.in_channels * slid,
            slide=slide,
            largest=product(["largest" for _ in dims]),
            pixels=product(["tile" for _ in dims]),
        )


class SpatialGrid(TileGrid):
    """The tiles over the batch and all spatial axes of a layer.

    Args:
        layer: whose tiles.
        hardware: says whether the halo is reused, and gives the array.
    """

    def __init__(self, layer: Layer, hardware: Hardware) -> None:
        self.layer = layer
        dims = [full_axis_table(axis) for axis in (batch_axis(layer), *layer.axes)]
        super().__init__(dims, layer.in_channels, hardware)

    def cycles(self, table: SpatialTable) -> Ints:
        """The spatial group's factor of the compute cycles, for each tile of a table."""
        used = [d for d, n in enumerate(self.shape) if n > 1] or [0]
        index = np.unravel_index(table.rank, self.shape)
        trips, full, edge = ([getattr(self.dims[d], n)[index[d]] for d in used] for n in _CUT)
        tiles = spatial_tiles(trips, full, edge)
        return np.asarray(group_cycles(self.layer, self.hardware, Group.SP, table.trips, tiles))

    def columns(self, table: SpatialTable, cycles: Ints) -> list[Ints]:
        """All that a tile costs by: no cost is less where one of these is greater, and all others the same.

        Args:
            table: tiles.
            cycles: their cycle factors.
        """
        columns = [cycles, table.trips, table.fetched, table.slid, table.largest, table.pixels]
        return columns + self.bursts(table)

    def bursts(self, table: SpatialTable) -> list[Ints]:
        """What tiles cost by besides: bursts of feature maps, if runs take whole ones."""
        if not self.hardware.burst_bytes:
            return []
        return spatial_bursts(self.layer, self.hardware, self.tiles(table.rank))

    def least_cycles(self, table: SpatialTable) -> Ints:
        """A cheap bound below ``cycles``: as if all pixels were one tile, or every tile one pixel."""
        one = group_cycles(self.layer, self.hardware, Group.SP, table.trips, [(1, self.layer.pixels)])
        each = group_cycles(self.layer, self.hardware, Group.SP, table.trips, [(table.trips, 1)])
        return np.asarray(np.maximum(each, one))


_CUT = ("trips", "tile", "edge")


def spread(extent: int, hardware: Hardware, budget: int) -> Ints:
    """Positions (tile - 1) of at most about ``budget`` tiles of one dimension."""
    trips = np.unique(np.geomspace(1, extent, 2 * budget).astype(np.int64))
    tiles = -(-extent // trips)
    sizes = np.outer((1, hardware.rows, hardware.cols), (1, 2, 4)).reshape(-1)
    return np.unique(np.r_[tiles[:budget], tiles[-2:], sizes[sizes <= extent]]) - 1
