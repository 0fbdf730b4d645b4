"""A mapping: tile sizes, the stationary tensor, the sliding axis and the buffer's partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import prod


class Group(StrEnum):
    """The three groups of tile loops; ``SP`` is all spatial axes and the batch."""

    CO = "co"
    CI = "ci"
    SP = "sp"


class Stationary(StrEnum):
    """The class of loop order, named for the tensor that is moved least."""

    WEIGHT = "weight"
    INPUT = "input"
    OUTPUT = "output"

    @property
    def loops(self) -> tuple[Group, Group, Group]:
        """The groups of tile loops, outermost first."""
        return _LOOPS[self]


_LOOPS = {
    Stationary.WEIGHT: (Group.CI, Group.CO, Group.SP),
    Stationary.INPUT: (Group.CI, Group.SP, Group.CO),
    Stationary.OUTPUT: (Group.CO, Group.SP, Group.CI),
}


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Extent of one tile per dimension [elements]; tiles at the end of a dimension may be smaller."""

    out_channels: int
    in_channels: int
    batch: int
    spatial: tuple[int, ...]

    @property
    def pixels(self) -> int:
        """Output positions of one channel in a full tile, its batch included."""
        return self.batch * prod(self.spatial)


@dataclass(frozen=True, slots=True)
class Partition:
    """The buffer's parts for ifmap, ofmap and weights, in this order [bits]."""

    ifmap: int
    ofmap: int
    weights: int

    @property
    def parts(self) -> tuple[int, int, int]:
        """The three parts, I O W."""
        return self.ifmap, self.ofmap, self.weights

    @property
    def total(self) -> int:
        """Bits of all parts."""
        return sum(self.parts)

    @classmethod
    def from_ratio(cls, ratio: Sequence[int | Fraction], buffer_bits: int, bank_bits: int) -> Partition:
        """Divide a buffer in the given ratio, in whole bytes or banks.

        A part is ``floor(units * p / sum)``. With banks, those left over go to the largest remainders,
        ties in the order I, O, W; without, up to two bytes are left over.

        Raises:
            ValueError: if a ratio is negative or all are zero.
        """
        if min(ratio) < 0 or sum(ratio) == 0:
            raise ValueError("buffer_partition must be three ratios, none negative and one above 0")
        unit = bank_bits if bank_bits > 1 else 8
        units = buffer_bits // unit
        shares = [divmod(units * p, sum(ratio)) for p in ratio]
        parts = [int(whole) for whole, _ in shares]
        if bank_bits > 1:
            by_remainder = sorted(range(3), key=lambda i: -shares[i][1])
            for i in by_remainder[: units - sum(parts)]:
                parts[i] += 1
        return cls(*(unit * p for p in parts))


@dataclass(frozen=True, slots=True)
class Mapping:
    """One way to run a layer.

    Attributes:
        tile: extents of a tile.
        stationary: loop order.
        sliding_axis: index of the spatial axis along which consecutive tiles fetch only what is new;
            None where the halo is refetched or nothing slides.
    """

    tile: Tile
    stationary: Stationary
    sliding_axis: int | None = None

    def __str__(self) -> str:
        tile = self.tile
        batch = f" n{tile.batch}" if tile.batch > 1 else ""
        slide = "" if self.sliding_axis is None else f" slide {self.sliding_axis}"
        spatial = "x".join(map(str, tile.spatial))
        return f"{self.stationary} co{tile.out_channels} ci{tile.in_channels}{batch} {spatial}{slide}"
