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
        return nest.loop["batch"].size * nest.loop["in_channels"].size * prod(others)

    @cached_property
    def slices(self) -> int:
        """Slices of the largest ifmap tile."""
        return self._longest(self.nest.slice_axis)

    def _longest(self, axis: int) -> int:
        return max(window.size for window in self.nest.windows[axis])

    @property
    def ring(self) -> int:
        """Slices that the ifmap's part holds."""
        return self.nest.copies * self.slices

    @cached_property
    def words(self) -> dict[PartName, int]:
        """Words of the largest tile of each tensor."""
        nest = self.nest
        batch, channels = nest.loop["batch"].size, nest.loop["in_channels"].size
        pixels = [
            batch * prod(nest.outputs(kernel, axis, 0).size for axis in range(nest.axes))
            for kernel in nest.kernels
        ]
        held = [[kernel.filters[r] for kernel in nest.kernels] for r in range(nest.loop["outputs"].trips)]
        taps = [kernel.taps for kernel in nest.kernels]
        return {
            "ifmap": self.slices * self.slice_words,
            "ofmap": max(_sum(filters, pixels) for filters in held),
            "weights": channels * max(_sum(filters, taps) for filters in held),
        }


def _sum(numbers: list[int], sizes: list[int]) -> int:
    return sum(n * size for n, size in zip(numbers, sizes, strict=True))
