"""The walk of a nest: every transfer and every computation, in order, found tile by tile.

Each tensor has one tile at work. A tile is fetched when it is another than the one before, into the copy
that has been idle longest; an ifmap tile that slides fetches only slices that the one before it did not
have. An ofmap tile is written when it gives way to another; it comes back as partial sums if there are
input channels left to add. Double-buffered, what a tile needs is fetched before the ofmap tile before it is
written, so that it waits for nothing; with a single copy the ofmap tile is written first. Of weights and
ifmap what stays longer comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from solvers.schedules.execution.buffer import NestBuffer, PartName
from solvers.schedules.execution.events import DmaTransfer, Event, SubTile, TileCompute
from solvers.schedules.execution.nest import Interval, LoopNest, dense
from solvers.schedules.execution.place import HeldTiles, Place
from solvers.schedules.execution.structure import structure

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
        self.tiles, streamed = HeldTiles(nest), None if nest.cut is None else nest.cut.tensor
        self.weights_first = streamed == "ifmap" or (
            streamed != "weights" and depth["weights"] < depth["ifmap"]
        )
        self.opened: Place | None = None  # where the ofmap tile in use was met last
        self.steps = 0

    def events(self) -> Iterator[Event]:
        """Every transfer and computation, in order."""
        for at in self.tiles.places():
            yield from self._visit(at)
        if self.opened is not None:
            yield from self._store(self.opened, self.ofmap.at)

    def _visit(self, index: Place) -> Iterator[Event]:
        place = (index["groups"], index["batch"], *(index[f"spatial.{a}"] for a in range(self.nest.axes)))
        self.steps += 1
        before, copy, made = self.opened, self.ofmap.at, (*place, index["outputs"], *self._turn("ofmap"))
        opens, waits = self.ofmap.key != made, self.nest.copies == 1
        if opens and before and waits:
            yield from self._store(before, copy)
        key = (*place, index["in_channels"])
        goes_on = self._follows(before, index)
        weight_key = index["groups"], index["in_channels"], index["outputs"], *self._turn("weights")
        weights = self.weights.change(weight_key)
        if weights and self.weights_first:
            yield from self._fetch_weights(index)
        if self.ifmap.change((*key, *self._turn("ifmap"))):
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

    def _turn(self, tensor: PartName) -> tuple[int, ...]:
        """What makes each sub-tile of a tensor that is streamed another one."""
        return (self.steps,) if self.tiles.streamed == tensor else ()

    def _follows(self, before: Place | None, at: Place) -> bool:
        """Whether the ifmap's tile is the next along the axis that slides, and all else is the same."""
        if self.nest.slides is None or before is None:
            return False
        slides = f"spatial.{self.nest.slides}"
        same = all(before[name] == i for name, i in at.items() if name not in (slides, "outputs"))
        last, first = (self.tiles.along(slides, place, "ifmap") for place in (before, at))
        return same and last.stop == first.start

    def _ifmap_strides(self, index: Place, windows: tuple[Interval, ...]) -> tuple[int, ...]:
        """Of an ifmap tile in its part: image, channel and axes."""
        axis = self.nest.slice_axis
        others = [1 if a == axis else window.size for a, window in enumerate(windows)]
        channels = self.tiles.channels(index, "ifmap").size
        strides = list(dense((self.tiles.images(index, "ifmap").size, channels, *others)))
        strides[2 + axis] = self.buffer.slice_words
        return tuple(strides)

    def _moved(
        self, tensor: PartName, index: Place, tile: tuple[Interval, ...], placed: Placed, copies: _Copies,
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

    def _fetch_ifmap(self, index: Place, goes_on: bool) -> Iterator[Event]:
        axis, windows, strides = self.nest.slice_axis, self.tiles.windows(index), self.strides["ifmap"]
        if self.nest.slides is None:
            new = self.ring.restart(windows[axis], self.ifmap.at * self.buffer.slices)
        else:
            new = self.ring.slide(windows[axis], goes_on)
            self.ifmap.ready[self.ifmap.at] = max(self.ifmap.ready)  # of the slices that are there already
        inside = self._ifmap_strides(index, windows)
        images, channels = self.tiles.images(index, "ifmap"), self.tiles.channels(index, "ifmap")
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

    def _weights_tile(self, kernel: int, index: Place) -> tuple[Interval, ...]:
        """Channels in the order of DRAM, then taps."""
        filters, channels = (
            self.tiles.filters(kernel, index, "weights"),
            self.tiles.channels(index, "weights"),
        )
        taps = (Interval(0, axis.taps) for axis in self.nest.kernels[kernel].axes)
        return (*((channels, filters) if self.nest.transposed else (filters, channels)), *taps)

    def _fetch_weights(self, index: Place) -> Iterator[Event]:
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

    def _store(self, index: Place, copy: int) -> Iterator[Event]:
        return self._move_ofmap(index, copy, into_buffer=False)

    def _move_ofmap(self, index: Place, copy: int, *, into_buffer: bool) -> Iterator[Event]:
        """Write an ofmap tile, of partial sums unless all channels were added; or read these back."""
        strides, word = self.strides["ofmap"], copy * self.buffer.words["ofmap"]
        partial = into_buffer or index["in_channels"] < self.nest.loop["in_channels"].trips - 1
        first = index["groups"] * self.nest.out_channels
        for number, kernel in enumerate(self.nest.kernels):
            tile = self._ofmap_tile(number, index)
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

    def _ofmap_tile(self, kernel: int, index: Place) -> tuple[Interval, ...]:
        """Images, channels, axes."""
        tiles, images = self.tiles, self.tiles.images(index, "ofmap")
        return (images, tiles.filters(kernel, index, "ofmap"), *tiles.outputs(kernel, index, "ofmap"))

    def _compute(self, index: Place) -> Iterator[Event]:
        """What each kernel computes of a tile."""
        parts = (self.ifmap, self.weights, self.ofmap)
        after = max(part.ready[part.at] for part in parts)
        windows, images = self.tiles.windows(index), self.tiles.images(index)
        ring = self.buffer.ring
        first = (self.ring.anchor + self.ring.window.start) % ring if ring else 0
        inside = self._ifmap_strides(index, windows)
        weights, ofmap = (part.at * self.buffer.words[n] for part, n in zip(parts[1:], _MADE, strict=True))
        for number, kernel in enumerate(self.nest.kernels):
            filters, outputs = self.tiles.filters(number, index), self.tiles.outputs(number, index)
            channels = self.tiles.channels(index)
            words = images.size * filters.size * prod(i.size for i in outputs)
            if words:
                self.computes += 1
                yield TileCompute(
                    self.computes, after, index["groups"], number, filters, channels, images, outputs,
                    windows, first, inside, weights, ofmap, channels.start > 0,
                    self._inside(number, index, inside),
                )  # fmt: skip
            weights += filters.size * channels.size * kernel.taps
            ofmap += words
        for part in parts:
            part.used[part.at] = self.computes

    def _inside(self, kernel: int, at: Place, ifmap: tuple[int, ...]) -> SubTile | None:
        """Where what is computed lies in the tiles that are held; None where it is these."""
        if not at.part:
            return None
        tiles, axes = self.tiles, range(self.nest.axes)
        filters, channels = tiles.filters(kernel, at), tiles.channels(at)
        made = (tiles.images(at), filters, *tiles.outputs(kernel, at))
        used = (*((channels, filters) if self.nest.transposed else (filters, channels)), *_whole(axes))
        weights, ofmap = self._weights_tile(kernel, at), self._ofmap_tile(kernel, at)
        read = tiles.images(at, "ifmap"), tiles.channels(at, "ifmap")
        return SubTile(
            _offset((made[0], channels), read, ifmap),
            _offset(used, weights, of_weights := _dense(weights)),
            of_weights,
            _offset(made, ofmap, of_ofmap := _dense(ofmap)),
            of_ofmap,
        )


def _dense(tile: tuple[Interval, ...]) -> tuple[int, ...]:
    return dense(tuple(interval.size for interval in tile))


def _whole(axes: range) -> list[Interval]:
    """Taps, of which a tile has all: where they begin."""
    return [Interval(0, 0) for _ in axes]


def _offset(part: Sequence[Interval], tile: Sequence[Interval], strides: Sequence[int]) -> int:
    """Words from the first of a tile to the first of a part of it."""
    return sum((p.start - t.start) * n for p, t, n in zip(part, tile, strides, strict=False))


_MADE: tuple[PartName, PartName] = ("weights", "ofmap")


def _dot(starts: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return sum(start * stride for start, stride in zip(starts, strides, strict=True))


def _times(strides: tuple[int, ...], steps: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(stride * step for stride, step in zip(strides, steps, strict=True))
