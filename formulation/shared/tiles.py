"""Tiles of a deconvolution's common grid, and the kinds of sub-kernels that share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dnns.layer import Layer
from formulation.extents import Ints
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
    """

    table: SpatialTable
    cycles: Ints
    pixels: Ints

    def take(self, index: Any) -> Tiles:
        """The tiles at the given positions, or where a mask is true."""
        return Tiles(self.table.take(index), self.cycles[:, index], self.pixels[:, index])
