"""Tiles of a deconvolution's common grid, and the kinds of sub-kernels that share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnns.layer import Layer
from formulation.cost import array_passes, group_cycles
from formulation.extents import Ints, channel_tiles, trip_count
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.shared.bursts import tile_bursts
from formulation.space.tables import SpatialTable


@dataclass(frozen=True, slots=True)
class KernelKind:
    """Sub-kernels that are alike in all that the cost sees.

    Attributes:
        layer: one of them.
        members: positions among the sub-kernels with taps.
        shape: position of its output extents among the distinct ones.
    """

    layer: Layer
    members: tuple[int, ...]
    shape: int


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Tiles of the common grid with what each shape of sub-kernel makes of them.

    Attributes:
        table: the tiles.
        cycles: per shape, the spatial group's factor of the compute cycles (shapes by tiles).
        pixels: per shape, output positions of its largest tile (shapes by tiles).
        moved: per shape, how often its weights go between buffer and array (shapes by tiles); None where
            energy is not asked for.
    """

    table: SpatialTable
    cycles: Ints
    pixels: Ints
    moved: Ints | None = None

    def take(self, index: Any) -> Tiles:
        """The tiles at the given positions, or where a mask is true."""
        moved = None if self.moved is None else self.moved[:, index]
        return Tiles(self.table.take(index), self.cycles[:, index], self.pixels[:, index], moved)


def streams(hardware: Hardware) -> bool:
    """Whether the output channels stream through the array instead of lying on a side of it."""
    return bool(array_passes(hardware, Group.CO, 1, 0))


def undominated_channels(kinds: Sequence[KernelKind], hardware: Hardware) -> tuple[Ints, Ints, Ints]:
    """Input-channel tiles, their trips and each kind's factor of the compute cycles (kinds by tiles).

    Left out: a tile that the smallest one of as many trips matches or beats for every kind, in bursts too.
    """
    extent = kinds[0].layer.in_channels
    tile = np.arange(1, extent + 1)
    trips = trip_count(extent, tile)
    parts = channel_tiles(extent, tile, trips)
    cycles = np.array([group_cycles(k.layer, hardware, Group.CI, trips, parts) for k in kinds])
    first = np.maximum.accumulate(np.where(np.r_[True, np.diff(trips) != 0], np.arange(extent), 0))
    bursts = tile_bursts([(kind.layer, 1) for kind in kinds], hardware, tile)
    columns = np.array([*cycles, *bursts])
    keep = (first == np.arange(extent)) | (columns < columns[:, first]).any(axis=0)
    return tile[keep], trips[keep], cycles[:, keep]
