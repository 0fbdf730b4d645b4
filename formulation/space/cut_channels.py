"""Tiles of the output or the input channels, each with a sub-tile that it is cut into.

A pair of sizes enters cost and footprint through five numbers: the tile, the sub-tile, trips, array cycles,
and the pieces computed. All of them are non-decreasing in each. A pair is left out only if another one is at
most as large in all five:

* On a side of the array, a sub-tile of ``side / gcd(side, words)`` channels fills whole passes: a larger one
  takes no fewer cycles (``sum ceil(part / side) >= ceil(whole / side)``, and here it is equal but for the
  last part of a tile, where that holds as well). Pieces do not matter there.
* Where the group streams, cycles and pieces only fall at sub-tiles that change the number of them in a full
  tile or in the last one: the smallest such are kept. Where neither fill nor bits at the array are counted,
  cycles are always the same and pieces do not matter: sub-tiles of one channel are enough.
* Of what is left, a pair stays only if it is below those of the same tile and smaller sub-tiles, and
  below those of the same trips, the same sub-tile and smaller tiles, in cycles or in pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, isqrt

import numpy as np
from numpy.typing import NDArray

from dnns.layer import Layer
from formulation.cost import array_side, group_cycles
from formulation.extents import Ints, cut_tiles, trip_count
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.space.tables import ChannelTable, least_from


@dataclass(frozen=True, slots=True, eq=False)
class CutChannelTable(ChannelTable):
    """Candidate tiles of the output or the input channels, cut into sub-tiles; ascending in both sizes.

    Attributes:
        sub: sizes of the sub-tiles, below those of the tiles [channels].
        pieces: sub-tiles, over all tiles.
    """

    sub: Ints
    pieces: Ints


def cut_channel_table(
    layer: Layer, hardware: Hardware, group: Group, *, summed: bool = False
) -> CutChannelTable:
    """All pairs of sizes that matter; none if there is but one channel. Kept as ``channel_table`` is.

    Args:
        layer: gives the channels.
        hardware: gives the array.
        group: output or input channels.
        summed: whether bits at the array are summed, so that the pieces of a group that streams matter.
    """
    return _cut_channel_table(layer, hardware.for_tables, group, summed)


@lru_cache(maxsize=512)
def _cut_channel_table(layer: Layer, hardware: Hardware, group: Group, summed: bool) -> CutChannelTable:
    extent = layer.out_channels if group is Group.CO else layer.in_channels
    side = array_side(hardware, group)
    counted = side is None and bool(summed or hardware.fill_cycles)
    if counted:
        tile, sub = _where_pieces_fall(extent)
    else:
        words = layer.taps if group is Group.CI else 1
        tile, sub = _up_to(extent, 1 if side is None else side // gcd(side, words))
    trips, kinds = trip_count(extent, tile), cut_tiles(extent, tile, sub)
    pieces = sum((count for count, _ in kinds), np.zeros_like(tile))
    cycles = np.asarray(group_cycles(layer, hardware, group, pieces, kinds))
    falls, keep = pieces if counted else cycles, np.arange(len(tile))
    for keys in ((sub, tile), (tile, sub, trips)):
        keep = keep[np.lexsort(tuple(key[keep] for key in keys))]
        keep = keep[_below(falls[keep], [key[keep] for key in keys[1:]])]
    keep = keep[np.lexsort((sub[keep], tile[keep]))]
    tile, sub, trips, cycles, pieces = (values[keep] for values in (tile, sub, trips, cycles, pieces))
    return CutChannelTable(tile, trips, cycles, least_from(trips, cycles, extent), sub, pieces)


def _up_to(extent: int, most: int) -> tuple[Ints, Ints]:
    """All tiles with all smaller sub-tiles of at most so many channels."""
    most = min(most, extent - 1)
    tile, sub = np.repeat(np.arange(1, extent + 1), most), np.tile(np.arange(1, most + 1), extent)
    return tile[sub < tile], sub[sub < tile]


def _where_pieces_fall(extent: int) -> tuple[Ints, Ints]:
    """All tiles with the smallest of the sub-tiles that cut it, or the last tile, into equally many."""
    tiles, subs = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for tile in range(2, extent + 1):
        edge = extent - (-(-extent // tile) - 1) * tile
        sizes = np.unique(np.r_[_smallest_parts(tile), _smallest_parts(edge)])
        subs.append(sizes[sizes < tile])
        tiles.append(np.full(len(subs[-1]), tile))
    return np.concatenate(tiles), np.concatenate(subs)


def _smallest_parts(size: int) -> Ints:
    """The smallest sub-tiles of each number of them that a tile may have: all ``ceil(size / number)``.

    With r the root of the size, rounded down, those of more than r + 1 sub-tiles are at most r, and each up
    to r is one: the numbers that come to v are those from size / v to below size / (v - 1), which are one
    apart at least where v (v - 1) <= size.
    """
    few = np.arange(1, isqrt(size) + 2)
    return np.union1d(few[:-1], -(-size // few))


def _below(values: Ints, keys: Sequence[Ints]) -> NDArray[np.bool_]:
    """Where values are below all before them in a run of equal keys.

    Taking a growing amount off each run turns the least so far into the least of the run so far.
    """
    if not len(values):
        return np.zeros(0, dtype=np.bool_)
    starts = np.logical_or.reduce([np.diff(key) != 0 for key in keys])
    value = values - np.cumsum(np.r_[0, starts]) * (int(values.max()) + 1)
    return np.asarray(np.r_[True, value[1:] < np.minimum.accumulate(value)[:-1]])
