"""A mapping: tile sizes, the stationary tensor, the sliding axis and the buffer's partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import Literal

Tensor = Literal["ifmap", "weights", "ofmap"]


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

    def streamed_across(self, cut: Group) -> Group:
        """The group that the tensor streamed by a cut is independent of.

        The stationary tensor depends on both outer groups and stays whole. Of the two that depend on the
        group that is cut, the other one is streamed: it is independent of the other outer group.

        Raises:
            ValueError: if the innermost group is cut, which is but a smaller tile.
        """
        first, second, innermost = self.loops
        if cut is innermost:
            raise ValueError(f"{self} stationary cannot be cut by {cut}, its innermost group")
        return second if cut is first else first


#: The tensor that is independent of a group.
INDEPENDENT: dict[Group, Tensor] = {Group.CO: "ifmap", Group.CI: "ofmap", Group.SP: "weights"}


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
        inner: extents of a sub-tile where a tile runs in inner steps: smaller than ``tile`` in one group of
            dimensions, equal in the others; None where it does not.
    """

    tile: Tile
    stationary: Stationary
    sliding_axis: int | None = None
    inner: Tile | None = None

    @property
    def cut(self) -> Group | None:
        """The group that is cut into sub-tiles; None where none is.

        Raises:
            ValueError: if the sub-tile is no part of the tile, or it differs in no group or in several.
        """
        if self.inner is None:
            return None
        pairs = {group: (_sizes(self.inner, group), _sizes(self.tile, group)) for group in Group}
        differ = [group for group, (sub, whole) in pairs.items() if sub != whole]
        inside = all(
            len(sub) == len(whole) and all(1 <= s <= t for s, t in zip(sub, whole, strict=True))
            for sub, whole in pairs.values()
        )
        if len(differ) != 1 or not inside:
            raise ValueError(f"inner {self.inner} must be smaller than {self.tile} in one group, else equal")
        return differ[0]

    @property
    def streamed(self) -> Tensor | None:
        """The tensor that is held as sub-tiles; None where all are held whole."""
        return None if self.cut is None else INDEPENDENT[self.stationary.streamed_across(self.cut)]

    def held(self, tensor: str) -> Tile:
        """Extents of what is held of a tensor: the sub-tile of a streamed one, else the tile."""
        return self.inner if self.inner is not None and tensor == self.streamed else self.tile

    @property
    def steps(self) -> Tile:
        """Extents of what is computed at once: the sub-tile, or the tile where nothing is cut."""
        return self.tile if self.inner is None else self.inner

    def __str__(self) -> str:
        tile = self.tile
        batch = f" n{tile.batch}" if tile.batch > 1 else ""
        slide = "" if self.sliding_axis is None else f" slide {self.sliding_axis}"
        spatial = "x".join(map(str, tile.spatial))
        cut = f", {self.streaming}" if self.inner else ""
        return f"{self.stationary} co{tile.out_channels} ci{tile.in_channels}{batch} {spatial}{slide}{cut}"

    @property
    def streaming(self) -> str:
        """What is streamed, by how much at once; "" where all is held whole."""
        return "" if self.inner is None else f"{self.streamed} by {_told(self.inner, self.tile)}"


def _sizes(tile: Tile, group: Group) -> tuple[int, ...]:
    """Extents of a tile in the dimensions of a group."""
    spatial = (tile.batch, *tile.spatial)
    return {Group.CO: (tile.out_channels,), Group.CI: (tile.in_channels,), Group.SP: spatial}[group]


def _told(inner: Tile, tile: Tile) -> str:
    """The extents of a sub-tile in the group that is cut."""
    if inner.out_channels != tile.out_channels:
        return f"co{inner.out_channels}"
    if inner.in_channels != tile.in_channels:
        return f"ci{inner.in_channels}"
    batch = f"n{inner.batch} " if tile.batch > 1 else ""
    return batch + "x".join(map(str, inner.spatial))
