"""A loop nest over tiles as plain numbers: kernels, loops, tensors in DRAM, and what a tile needs of them.

Nothing here counts words or cycles by a formula: tiles are intervals, and what they need is found one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from typing import Literal, NamedTuple


class Interval(NamedTuple):
    """The integers ``start .. stop-1``; none if the two are equal."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many there are."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class DramTensor:
    """A tensor as it lies in DRAM: dense, the last dimension innermost.

    Attributes:
        name: ``ifmap``, ``weights`` or ``ofmap``.
        dims: names of its dimensions; channels are those of all groups, one group after another.
        shape: extents [elements].
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements between neighbours along each dimension."""
        return dense(self.shape)


def dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a dense box, the last dimension innermost."""
    return tuple(accumulate(reversed(shape[1:]), lambda a, b: a * b, initial=1))[::-1]


@dataclass(frozen=True, slots=True)
class KernelAxis:
    """One axis of a kernel: output ``y`` with tap ``t`` reads element ``y*stride + origin + t*tap_step``.

    Taps are numbered in the order in which they lie in DRAM. A deconvolution's walk its ifmap backwards, so
    ``tap_step`` is below 0.

    Attributes:
        ifmap: extent of the stored ifmap.
        out: outputs.
        taps: taps.
        stride: ifmap elements between outputs.
        origin: ifmap element that output 0 reads with tap 0; may be out of range, which is padding.
        tap_step: ifmap elements between taps.
        first_output: where output 0 lies in the ofmap in DRAM.
        output_step: distance of outputs there.
        first_tap: where tap 0 lies in the kernel in DRAM.
        tap_stride: distance of taps there.
    """

    ifmap: int
    out: int
    taps: int
    stride: int
    origin: int
    tap_step: int
    first_output: int = 0
    output_step: int = 1
    first_tap: int = 0
    tap_stride: int = 1

    def window(self, outputs: Interval) -> Interval | None:
        """The ifmap elements from the first to the last that outputs read; None if there are none."""
        reach = (self.taps - 1) * self.tap_step
        first = outputs.start * self.stride + self.origin + min(0, reach)
        last = (outputs.stop - 1) * self.stride + self.origin + max(0, reach)
        seen = Interval(max(0, first), min(self.ifmap, last + 1))
        return seen if outputs.size > 0 and seen.size > 0 else None


@dataclass(frozen=True)
class NestKernel:
    """A convolution that takes part in a nest; all that take part share each ifmap tile.

    Attributes:
        name: of the layer or sub-convolution.
        axes: its axes.
        filters: output channels of each tile of these, or of each round, in order.
    """

    name: str
    axes: tuple[KernelAxis, ...]
    filters: tuple[int, ...]

    @cached_property
    def taps(self) -> int:
        """Taps over all axes."""
        return prod(axis.taps for axis in self.axes)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First output channel of each tile."""
        return tuple(accumulate(self.filters, initial=0))[:-1]


@dataclass(frozen=True, slots=True)
class TileLoop:
    """A loop over tiles.

    Attributes:
        name: as in ``loop_order`` of a result.
        trips: tiles.
        extent: elements of the dimension.
        size: of a tile [elements]; the last may be smaller. Rounds have 1.
    """

    name: str
    trips: int
    extent: int
    size: int

    def tile(self, index: int) -> Interval:
        """One tile."""
        return Interval(index * self.size, min(self.extent, (index + 1) * self.size))


@dataclass(frozen=True, slots=True)
class NestCut:
    """Inner steps: loops over sub-tiles, inside all loops over tiles.

    Attributes:
        tensor: of which only a sub-tile is held.
        sizes: of a sub-tile in the dimensions that are cut, by loop, outermost first [elements].
    """

    tensor: Literal["ifmap", "ofmap", "weights"]
    sizes: dict[str, int]


@dataclass(frozen=True)
class LoopNest:
    """One layer, or one sub-convolution, or some that share tiles, as loops over tiles.

    Attributes:
        name: of the layer or sub-convolution.
        groups: independent convolutions, run one after another.
        out_channels: of a group.
        in_channels: of a group.
        batch: images.
        kernels: what runs in each tile, in order.
        loops: outermost first, the groups among them.
        slides: axis along which consecutive tiles, or sub-tiles, fetch only what is new; None if they do not.
        copies: tiles of a tensor that the buffer holds, 2 if double-buffered.
        tensors: ifmap, weights and ofmap in DRAM, in this order.
        transposed: whether weights lie as a deconvolution's, input channels before output channels.
        cut: inner steps of each tile; None if it is run at once.
    """

    name: str
    groups: int
    out_channels: int
    in_channels: int
    batch: int
    kernels: tuple[NestKernel, ...]
    loops: tuple[TileLoop, ...]
    slides: int | None
    copies: int
    tensors: tuple[DramTensor, DramTensor, DramTensor]
    transposed: bool
    cut: NestCut | None = None

    def held(self, tensor: str, loop: str) -> int:
        """Size of what is held of a tensor along a loop: of the tile, or of its sub-tile [elements]."""
        whole = self.loop[loop].size
        return self.cut.sizes.get(loop, whole) if self.cut and tensor == self.cut.tensor else whole

    @cached_property
    def loop(self) -> dict[str, TileLoop]:
        """Loops by name, output channels or rounds as ``outputs``."""
        return {outputs_named(loop.name): loop for loop in self.loops}

    @property
    def axes(self) -> int:
        """Spatial axes."""
        return len(self.kernels[0].axes)

    @property
    def slice_axis(self) -> int:
        """Axis whose slices lie one after another in the ifmap's part: that which slides, else the first."""
        return self.slides or 0

    def outputs(self, kernel: NestKernel, axis: int, index: int) -> Interval:
        """Outputs of a kernel in a tile along an axis; none where the tile is beyond them."""
        tile, out = self.loop[f"spatial.{axis}"].tile(index), kernel.axes[axis].out
        return Interval(min(tile.start, out), min(tile.stop, out))

    @cached_property
    def windows(self) -> tuple[tuple[Interval, ...], ...]:
        """Ifmap elements that each tile needs along each axis: the hull of what its kernels do."""
        return tuple(
            tuple(self._hull(axis, index) for index in range(self.loop[f"spatial.{axis}"].trips))
            for axis in range(self.axes)
        )

    @cached_property
    def held_windows(self) -> tuple[tuple[Interval, ...], ...]:
        """The same of what is held of the ifmap at once: of sub-tiles, if it is that."""
        return tuple(
            tuple(self.hull(axis, outputs) for outputs in self._held_outputs(axis))
            for axis in range(self.axes)
        )

    def _held_outputs(self, axis: int) -> Iterator[list[Interval]]:
        """Outputs of each kernel that what is held of the ifmap is for, one after another along an axis."""
        size = self.held("ifmap", f"spatial.{axis}")
        for index in range(self.loop[f"spatial.{axis}"].trips):
            whole = [self.outputs(kernel, axis, index) for kernel in self.kernels]
            start, stop = min(i.start for i in whole), max(i.stop for i in whole)
            for first in range(start, max(stop, start + 1), size):
                yield [Interval(min(first, i.stop), min(first + size, i.stop)) for i in whole]

    def _hull(self, axis: int, index: int) -> Interval:
        return self.hull(axis, [self.outputs(kernel, axis, index) for kernel in self.kernels])

    def hull(self, axis: int, outputs: Sequence[Interval]) -> Interval:
        """The ifmap elements that some outputs of each kernel need."""
        needs = (k.axes[axis].window(own) for k, own in zip(self.kernels, outputs, strict=True))
        seen = [need for need in needs if need is not None]
        if not seen:
            return Interval(0, 0)
        return Interval(min(need.start for need in seen), max(need.stop for need in seen))


def outputs_named(loop: str) -> str:
    """A loop's name, but ``outputs`` for that over output channels or rounds."""
    return "outputs" if loop in ("out_channels", "rounds") else loop
