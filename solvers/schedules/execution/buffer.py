"""Where tiles lie in the buffer: its parts, the copies in each, and how a tile is laid out.

* A part begins where the one before it ends, in the order ifmap, ofmap, weights.
* Tiles of weights and ofmap are dense, kernel after kernel, copy after copy.
* The ifmap's part is a ring of slices along one axis. A slice holds images, channels and the other axes,
  dense. A tile that does not slide begins at the first slice of a copy; one that slides goes on where the
  tile before it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal

from solvers.schedules.execution.nest import LoopNest

PartName = Literal["ifmap", "ofmap", "weights"]
PARTS: tuple[PartName, ...] = ("ifmap", "ofmap", "weights")
"""The buffer's parts in their order."""


@dataclass(frozen=True, slots=True)
class BufferPart:
    """A part of the buffer.

    Attributes:
        name: of its tensor.
        address: where it begins [bits].
        bits: its size [bits].
        width: of a word in it [bits].
        words: of the largest tile, which is a copy's size.
        copies: tiles that it holds.
    """

    name: PartName
    address: int
    bits: int
    width: int
    words: int
    copies: int

    @property
    def needed(self) -> int:
        """What the copies take [bits]."""
        return self.copies * self.words * self.width


@dataclass(frozen=True)
class NestBuffer:
    """What a nest needs of the buffer, in words.

    Attributes:
        nest: the nest.
    """

    nest: LoopNest

    @cached_property
    def slice_words(self) -> int:
        """Words of the largest slice of an ifmap tile."""
        nest, axis = self.nest, self.nest.slice_axis
        others = [self._longest(a) for a in range(nest.axes) if a != axis]
        return nest.held("ifmap", "batch") * nest.held("ifmap", "in_channels") * prod(others)

    @cached_property
    def slices(self) -> int:
        """Slices of the largest ifmap tile."""
        return self._longest(self.nest.slice_axis)

    def _longest(self, axis: int) -> int:
        return max(window.size for window in self.nest.held_windows[axis])

    @property
    def ring(self) -> int:
        """Slices that the ifmap's part holds."""
        return self.nest.copies * self.slices

    @cached_property
    def words(self) -> dict[PartName, int]:
        """Words of the largest tile of each tensor, or sub-tile."""
        nest = self.nest
        pixels = [
            nest.held("ofmap", "batch")
            * prod(min(nest.held("ofmap", f"spatial.{i}"), axis.out) for i, axis in enumerate(kernel.axes))
            for kernel in nest.kernels
        ]
        taps = [kernel.taps for kernel in nest.kernels]
        return {
            "ifmap": self.slices * self.slice_words,
            "ofmap": max(_sum(filters, pixels) for filters in self._filters("ofmap")),
            "weights": nest.held("weights", "in_channels")
            * max(_sum(filters, taps) for filters in self._filters("weights")),
        }

    def _filters(self, tensor: PartName) -> list[list[int]]:
        """Of each kernel, in each tile of output channels or round: those that are held at once."""
        nest = self.nest
        most = nest.cut.sizes.get("outputs") if nest.cut and nest.cut.tensor == tensor else None
        rounds = zip(*(kernel.filters for kernel in nest.kernels), strict=True)
        return [[min(n, most or n) for n in filters] for filters in rounds]


def _sum(numbers: list[int], sizes: list[int]) -> int:
    return sum(n * size for n, size in zip(numbers, sizes, strict=True))
