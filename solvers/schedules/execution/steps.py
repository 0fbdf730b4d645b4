"""The walk of a nest: every transfer and every computation, in order, found tile by tile.

Each tensor has one tile at work. A tile is fetched when it is another than the one before, into the copy
that has been idle longest; an ifmap tile that slides fetches only slices that the one before it did not
have. An ofmap tile is written when it gives way to another; it comes back as partial sums if there are
input channels left to add. Double-buffered, what a tile needs is fetched before the ofmap tile before it is
written, so that it waits for nothing; with a single copy the ofmap tile is written first. Of weights and
ifmap what stays longer comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

from solvers.schedules.execution.buffer import NestBuffer, PartName
from solvers.schedules.execution.events import DmaTransfer, Event, TileCompute
from solvers.schedules.execution.nest import Interval, LoopNest, dense, outputs_named
from solvers.schedules.execution.structure import structure

Index = dict[str, int]
"""Position in each loop, by its name; output channels or rounds are ``outputs``."""
Key = tuple[int, ...]
Placed = tuple[int, int, tuple[int, ...], int, tuple[int, ...]]
"""A box: kernel, offset and strides in DRAM, word and strides in the part."""


class _Copies:
    """The copies of tiles in a part: whose turn it is, and what must be over before one is used again."""

    def __init__(self, copies: int) -> None:
        self.copies, self.turn, self.at = copies, -1, 0
        self.key: Key = ()
        self.used = [0] * copies  # number of the last computation on each
        self.ready = [0] * copies  # number of the last transfer to or from each

    def change(self, key: Key) -> bool:
        """Whether a tile is another than the one in use; the next copy is then for it."""
        if key == self.key:
            return False
        self.key, self.turn = key, self.turn + 1
        self.at = self.turn % self.copies
        return True


class _Ring:
    """Where the slices of the ifmap tile in use lie: slice ``p`` at ``anchor + p``, modulo the ring."""

    def __init__(self) -> None:
        self.window, self.anchor = Interval(0, 0), 0

    def slide(self, window: Interval, goes_on: bool) -> list[Interval]:
        """Place a window that may share slices with the one before; returns what is new of it."""
        before = self.window
        shared = Interval(max(window.start, before.start), min(window.stop, before.stop))
        if not goes_on or shared.size <= 0:
            return self.restart(window, self.anchor + before.stop)
        self.window = window
        return [Interval(window.start, shared.start), Interval(shared.stop, window.stop)]

    def restart(self, window: Interval, first: int) -> list[Interval]:
        """Place a window that shares nothing at a slice of the ring."""
        self.window, self.anchor = window, first - window.start
        return [window]


class NestRun:
    """One run of a nest, as events."""

    def __init__(self, nest: LoopNest) -> None:
        self.nest, self.buffer, self.ring = nest, NestBuffer(nest), _Ring()
        self.ifmap, self.weights, self.ofmap = (_Copies(nest.copies) for _ in range(3))
        self.transfers = self.computes = 0
        self.strides = {tensor.name: tensor.strides for tensor in nest.tensors}
        depth = structure(nest).depth
        self.weights_first = depth["weights"] < depth["ifmap"]
        self.opened: Index = {}  # where the ofmap tile in use was met last
        self.channels = nest.loop["in_channels"]

    def events(self) -> Iterator[Event]:
        """Every transfer and computation, in order."""
        names = [outputs_named(loop.name) for loop in self.nest.loops]
        for at in product(*(range(loop.trips) for loop in self.nest.loops)):
            yield from self._visit(dict(zip(names, at, strict=True)))
        yield from self._store(self.opened, self.ofmap.at)

    def _visit(self, index: Index) -> Iterator[Event]:
        place = (index["groups"], index["batch"], *(index[f"spatial.{a}"] for a in range(self.nest.axes)))
        before, copy, made = self.opened, self.ofmap.at, (*place, index["outputs"])
        opens, waits = self.ofmap.key != made, self.nest.copies == 1
        if opens and before and waits:
            yield from self._store(before, copy)
        key = (*place, index["in_channels"])
        goes_on = self._follows(self.ifmap.key, key)
        weights = self.weights.change((index["groups"], index["in_channels"], index["outputs"]))
        if weights and self.weights_first:
            yield from self._fetch_weights(index)
        if self.ifmap.change(key):
            yield from self._fetch_ifmap(index, goes_on)
        if weights and not self.weights_first:
            yield from self._fetch_weights(index)
        if opens:
            self.ofmap.change(made)
            if index["in_channels"]:
                yield from self._move_ofmap(index, self.ofmap.at, into_buffer=True)
            if before and not waits:
                yield from self._store(before, copy)
        self.opened = index
        yield from self._compute(index)

    def _follows(self, before: Key, key: Key) -> bool:
        """Whether an ifmap tile is the next one along the axis that slides."""
        if self.nest.slides is None or not before:
            return False
        at = 2 + self.nest.slides
        return key == (*before[:at], before[at] + 1, *before[at + 1 :])

    def _windows(self, index: Index) -> tuple[Interval, ...]:
        return tuple(w[index[f"spatial.{axis}"]] for axis, w in enumerate(self.nest.windows))

    def _filters(self, kernel: int, index: Index) -> Interval:
        row = self.nest.kernels[kernel]
        first = row.starts[index["outputs"]]
        return Interval(first, first + row.filters[index["outputs"]])

    def _outputs(self, kernel: int, index: Index) -> tuple[Interval, ...]:
        nest, row = self.nest, self.nest.kernels[kernel]
        return tuple(nest.outputs(row, axis, index[f"spatial.{axis}"]) for axis in range(nest.axes))

    def _ifmap_strides(self, index: Index, windows: tuple[Interval, ...]) -> tuple[int, ...]:
        """Of an ifmap tile in its part: image, channel and axes."""
        axis = self.nest.slice_axis
        others = [1 if a == axis else window.size for a, window in enumerate(windows)]
        channels = self.channels.tile(index["in_channels"]).size
        strides = list(dense((self.nest.loop["batch"].tile(index["batch"]).size, channels, *others)))
        strides[2 + axis] = self.buffer.slice_words
        return tuple(strides)

    def _moved(
        self, tensor: PartName, index: Index, tile: tuple[Interval, ...], placed: Placed, copies: _Copies,
        at: int, *, into_buffer: bool = True, partial: bool = False,
    ) -> Iterator[DmaTransfer]:  # fmt: skip
        """A transfer, unless it is of nothing; into a copy it waits for what was computed on that before."""
        shape = tuple(interval.size for interval in tile)
        if prod(shape):
            self.transfers += 1
            copies.ready[at] = self.transfers
            kernel, offset, strides, word, inside = placed
            yield DmaTransfer(
                self.transfers, tensor, into_buffer, partial, index["groups"], kernel, tile, offset, shape,
                strides, word, inside, copies.used[at],
            )  # fmt: skip

    def _fetch_ifmap(self, index: Index, goes_on: bool) -> Iterator[Event]:
        axis, windows, strides = self.nest.slice_axis, self._windows(index), self.strides["ifmap"]
        if self.nest.slides is None:
            new = self.ring.restart(windows[axis], self.ifmap.at * self.buffer.slices)
        else:
            new = self.ring.slide(windows[axis], goes_on)
            self.ifmap.ready[self.ifmap.at] = max(self.ifmap.ready)  # of the slices that are there already
        inside = self._ifmap_strides(index, windows)
        images, channels = self._images(index), self.channels.tile(index["in_channels"])
        first = index["groups"] * self.nest.in_channels
        for part in new:
            for piece, at in self._unwrapped(part):
                tile = (images, channels, *windows[:axis], piece, *windows[axis + 1 :])
                starts = (images.start, first + channels.start, *(i.start for i in tile[2:]))
                placed = (0, _dot(starts, strides), strides, at * self.buffer.slice_words, inside)
                yield from self._moved("ifmap", index, tile, placed, self.ifmap, self.ifmap.at)

    def _unwrapped(self, part: Interval) -> Iterator[tuple[Interval, int]]:
        """An interval of slices cut where the ring ends, with the place of each piece in it."""
        start = part.start
        while start < part.stop:
            at = (self.ring.anchor + start) % self.buffer.ring
            stop = min(part.stop, start + self.buffer.ring - at)
            yield Interval(start, stop), at
            start = stop

    def _images(self, index: Index) -> Interval:
        return self.nest.loop["batch"].tile(index["batch"])

    def _weights_tile(self, kernel: int, index: Index) -> tuple[Interval, ...]:
        """Channels in the order of DRAM, then taps."""
        filters, channels = self._filters(kernel, index), self.channels.tile(index["in_channels"])
        taps = (Interval(0, axis.taps) for axis in self.nest.kernels[kernel].axes)
        return (*((channels, filters) if self.nest.transposed else (filters, channels)), *taps)

    def _fetch_weights(self, index: Index) -> Iterator[Event]:
        nest, strides = self.nest, self.strides["weights"]
        outer = nest.in_channels if nest.transposed else nest.out_channels
        word = self.weights.at * self.buffer.words["weights"]
        for number, kernel in enumerate(nest.kernels):
            tile = self._weights_tile(number, index)
            taps = (axis.first_tap for axis in kernel.axes)
            starts = (index["groups"] * outer + tile[0].start, tile[1].start, *taps)
            steps = (1, 1, *(axis.tap_stride for axis in kernel.axes))
            shape = tuple(interval.size for interval in tile)
            placed = (number, _dot(starts, strides), _times(strides, steps), word, dense(shape))
            yield from self._moved("weights", index, tile, placed, self.weights, self.weights.at)
            word += prod(shape)

    def _store(self, index: Index, copy: int) -> Iterator[Event]:
        return self._move_ofmap(index, copy, into_buffer=False)

    def _move_ofmap(self, index: Index, copy: int, *, into_buffer: bool) -> Iterator[Event]:
        """Write an ofmap tile, of partial sums unless all channels were added; or read these back."""
        strides, word = self.strides["ofmap"], copy * self.buffer.words["ofmap"]
        partial = into_buffer or index["in_channels"] < self.channels.trips - 1
        first = index["groups"] * self.nest.out_channels
        for number, kernel in enumerate(self.nest.kernels):
            tile = (self._images(index), self._filters(number, index), *self._outputs(number, index))
            outs = (
                a.first_output + a.output_step * i.start for a, i in zip(kernel.axes, tile[2:], strict=True)
            )
            starts = (tile[0].start, first + tile[1].start, *outs)
            steps = (1, 1, *(axis.output_step for axis in kernel.axes))
            shape = tuple(interval.size for interval in tile)
            placed = (number, _dot(starts, strides), _times(strides, steps), word, dense(shape))
            yield from self._moved(
                "ofmap", index, tile, placed, self.ofmap, copy, into_buffer=into_buffer, partial=partial
            )
            word += prod(shape)

    def _compute(self, index: Index) -> Iterator[Event]:
        """What each kernel computes of a tile."""
        parts = (self.ifmap, self.weights, self.ofmap)
        after = max(part.ready[part.at] for part in parts)
        windows, images = self._windows(index), self._images(index)
        ring = self.buffer.ring
        first = (self.ring.anchor + self.ring.window.start) % ring if ring else 0
        inside = self._ifmap_strides(index, windows)
        weights, ofmap = (part.at * self.buffer.words[n] for part, n in zip(parts[1:], _MADE, strict=True))
        for number, kernel in enumerate(self.nest.kernels):
            filters, outputs = self._filters(number, index), self._outputs(number, index)
            channels = self.channels.tile(index["in_channels"])
            words = images.size * filters.size * prod(i.size for i in outputs)
            if words:
                self.computes += 1
                yield TileCompute(
                    self.computes, after, index["groups"], number, filters, channels, images, outputs,
                    windows, first, inside, weights, ofmap, index["in_channels"] > 0,
                )  # fmt: skip
            weights += filters.size * channels.size * kernel.taps
            ofmap += words
        for part in parts:
            part.used[part.at] = self.computes


_MADE: tuple[PartName, PartName] = ("weights", "ofmap")


def _dot(starts: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return sum(start * stride for start, stride in zip(starts, strides, strict=True))


def _times(strides: tuple[int, ...], steps: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(stride * step for stride, step in zip(strides, steps, strict=True))
