"""Tiles with their sub-tiles as columns, and the words of one pass over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from formulation.cost import Num
from formulation.extents import Ints
from formulation.hardware import Halo
from formulation.space.tables import SpatialTable


@dataclass(frozen=True, slots=True, eq=False)
class CutSpatialTable(SpatialTable):
    """Tiles with their sub-tiles, or bounds on many of them.

    ``largest`` and the words are of what is held and fetched of the ifmap, ``pixels`` of what is held of the
    ofmap. Where sub-tiles slide, ``fetched`` has them slid within each tile.

    Attributes:
        pieces: sub-tiles, over all tiles.
        cycles: the spatial group's factor of the compute cycles.
    """

    pieces: Ints
    cycles: Ints

    @property
    def computed(self) -> Ints:
        """How many pieces are computed."""
        return self.pieces


def product(columns: Sequence[Num]) -> Ints:
    """Of one column of each dimension."""
    return np.asarray(reduce(np.multiply, columns))


def whole_words(halo: Halo, fetched: Sequence[Ints], slid: Sequence[Ints]) -> tuple[Ints, Ints, Ints]:
    """Words of one pass of whole tiles, fetched and slid, and the sliding axis."""
    refetched = product(fetched)
    least, slide = refetched, np.full(len(refetched), -1)
    if halo is Halo.REUSE:
        for axis in range(1, len(fetched)):
            other = product([*fetched[:axis], slid[axis], *fetched[axis + 1 :]])
            slide = np.where(other < least, axis - 1, slide)
            least = np.minimum(least, other)
    return refetched, least, slide


def streamed_words(
    halo: Halo,
    fetched: Sequence[Ints],
    within: Sequence[Ints],
    slid: Sequence[Ints],
    uncut: Sequence[Ints],
) -> tuple[Ints, Ints, Ints]:
    """Words of one pass of sub-tiles, slid within tiles and throughout, and the sliding axis.

    They slide along an axis where no other dimension is cut, which saves words both ways or neither.
    """
    refetched = product(fetched)
    each, all_slid, slide = refetched, refetched, np.full(len(refetched), -1)
    if halo is Halo.REUSE:
        for axis in range(1, len(fetched)):
            others = np.logical_and.reduce([*uncut[:axis], *uncut[axis + 1 :]])
            rest = product([*fetched[:axis], *fetched[axis + 1 :]])
            better = others & (rest * slid[axis] < all_slid)
            slide = np.where(better, axis - 1, slide)
            each = np.where(others, np.minimum(each, rest * within[axis]), each)
            all_slid = np.where(others, np.minimum(all_slid, rest * slid[axis]), all_slid)
    return each, all_slid, slide
