"""A machine that runs nests on numbers: it computes on nothing but what transfers brought into the buffer.

Buffer and ofmap hold no number (NaN) before something is written to them, so whatever is read too early, or
from where it does not lie, shows in the result. Numbers are small integers, which floating point adds without
rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from solvers.schedules.execution.buffer import BufferPart, NestBuffer
from solvers.schedules.execution.events import DmaTransfer, Event, TileCompute, counted
from solvers.schedules.execution.nest import Interval, KernelAxis, LoopNest, dense
from solvers.schedules.execution.plan import ScheduledLayer
from solvers.schedules.execution.steps import NestRun

Numbers = npt.NDArray[np.floating[Any]]
Places = tuple[Any, ...]
"""An index of an array."""
_LARGEST = 9


@dataclass(frozen=True, slots=True)
class NumericCheck:
    """What came of running a layer on numbers.

    Attributes:
        wrong: outputs that differ from the direct computation.
        outputs: how many there are.
        words: moved in all, repeats not counted.
        miscounted: runs whose words are not the result's, with both counts.
    """

    wrong: int
    outputs: int
    words: int
    miscounted: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all agrees."""
        return not self.wrong and not self.miscounted

    @property
    def told(self) -> tuple[str, ...]:
        """The same in words, the first for all, then one for each run that is miscounted."""
        equal = f"equals the direct computation, {self.outputs:,} outputs"
        differ = f"{self.wrong:,} of {self.outputs:,} outputs differ from the direct computation"
        return (f"{differ if self.wrong else equal}; {self.words:,} words moved", *self.miscounted)


def run_numbers(layer: ScheduledLayer, seed: int) -> NumericCheck:
    """Run a layer's schedule on random integers, and compare with a direct computation."""
    ifmap, weights = _operands(layer, seed)
    expected = direct(layer, ifmap, weights)
    stored = _zeros_inserted(layer, ifmap) if layer.treatment == "naive" else ifmap
    ofmap, words, miscounted = np.full(layer.tensors[2].shape, np.nan), 0, []
    for run in layer.runs:
        for zeros in run.zeros:
            _view(ofmap, zeros.offset, zeros.shape, zeros.strides)[...] = 0
            words += zeros.words
        for nest in run.nests:
            moved = NumericMachine(nest, run.parts, (stored, weights, ofmap)).run()
            words += sum(moved.values())
            if run.traffic is not None and any(run.traffic[name] != n for name, n in moved.items()):
                told = {name: run.traffic[name] for name in moved}
                miscounted.append(f"{nest.name}: moves {moved}, the result says {told}")
    wrong = int(np.count_nonzero(~(ofmap == expected)))
    return NumericCheck(wrong, ofmap.size, words, tuple(miscounted))


class NumericMachine:
    """A buffer, and tensors in DRAM.

    Args:
        nest: what to run.
        parts: of the buffer.
        dram: ifmap, weights and ofmap.
        transfers_first: whether transfers run as early as they may, or as late.
    """

    def __init__(
        self,
        nest: LoopNest,
        parts: Sequence[BufferPart],
        dram: tuple[Numbers, Numbers, Numbers],
        *,
        transfers_first: bool = True,
    ) -> None:
        self.nest, self.ring, self.transfers_first = nest, NestBuffer(nest), transfers_first
        self.waiting: deque[Event] = deque()
        self.dram = dict(zip(("ifmap", "weights", "ofmap"), dram, strict=True))
        self.buffer = {part.name: np.full(part.copies * part.words, np.nan) for part in parts}

    def run(self) -> dict[str, int]:
        """Run everything; returns the words moved, by tensor as in a result."""
        words = dict.fromkeys(("ifmap", "weights", "ofmap_write", "ofmap_read"), 0)
        for event in NestRun(self.nest).events():
            counted(words, event)
            if isinstance(event, DmaTransfer) is self.transfers_first:
                self._catch_up(event.after)
                self._do(event)
            else:
                self.waiting.append(event)
        self._catch_up(None)
        return words

    def _catch_up(self, number: int | None) -> None:
        """Do what waits, up to a number, or all of it."""
        while self.waiting and (number is None or self.waiting[0].number <= number):
            self._do(self.waiting.popleft())

    def _do(self, event: Event) -> None:
        if isinstance(event, DmaTransfer):
            self._move(event)
        else:
            self._compute(event)

    def _move(self, move: DmaTransfer) -> None:
        outside = _view(self.dram[move.tensor], move.offset, move.shape, move.strides)
        inside = _view(self.buffer[move.tensor], move.word, move.shape, move.word_strides)
        if move.into_buffer:
            inside[...] = outside
        else:
            outside[...] = inside

    def _compute(self, job: TileCompute) -> None:
        """Add the products of every tap, for all outputs for which that reads no padding, at once."""
        axes = self.nest.kernels[job.kernel].axes
        ofmap = self._ofmap(job)
        if not job.accumulate:
            ofmap[...] = 0
        ifmap, weights = self._ifmap(job), self._weights(job, axes)
        places = zip(axes, job.outputs, job.windows, strict=True)
        reads = [_reads(axis, outputs, window) for axis, outputs, window in places]
        for tap in product(*(range(axis.taps) for axis in axes)):
            picked = [read[t] for read, t in zip(reads, tap, strict=True)]
            pairs = [pair for pair in picked if pair is not None]
            if len(pairs) == len(picked):
                made, read = (Places((..., *(pair[i] for pair in pairs))) for i in (0, 1))
                ofmap[made] += _product(weights[Places((..., *tap))], ifmap[read])

    def _ifmap(self, job: TileCompute) -> Numbers:
        """The tile in use: image, channel, axes; slices are taken from the ring."""
        axis = self.nest.slice_axis
        sizes = [window.size for window in job.windows]
        shape = (job.images.size, job.channels.size, *sizes)
        if 0 in sizes:
            return np.zeros(shape)
        rows = self.buffer["ifmap"].reshape(self.ring.ring, self.ring.slice_words)
        taken = rows[(job.first_slice + np.arange(sizes[axis])) % self.ring.ring]
        strides = list(job.ifmap_strides)
        strides[2 + axis] = self.ring.slice_words
        return _view(taken, job.inside.ifmap_word if job.inside else 0, shape, tuple(strides))

    def _weights(self, job: TileCompute, axes: tuple[KernelAxis, ...]) -> Numbers:
        """Filter, channel, taps."""
        channels, taps = (job.filters.size, job.channels.size), tuple(axis.taps for axis in axes)
        shape = (*(channels[::-1] if self.nest.transposed else channels), *taps)
        strides = job.inside.weights_strides if job.inside else dense(shape)
        first = job.weights_word + (job.inside.weights_word if job.inside else 0)
        held = _view(self.buffer["weights"], first, shape, strides)
        return held.swapaxes(0, 1) if self.nest.transposed else held

    def _ofmap(self, job: TileCompute) -> Numbers:
        shape = (job.images.size, job.filters.size, *(i.size for i in job.outputs))
        strides = job.inside.ofmap_strides if job.inside else dense(shape)
        first = job.ofmap_word + (job.inside.ofmap_word if job.inside else 0)
        return _view(self.buffer["ofmap"], first, shape, strides)


def _view(array: Numbers, offset: int, shape: Sequence[int], strides: Sequence[int]) -> Numbers:
    """A box of an array, by elements; raises IndexError if it is not inside."""
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if min(offset, last) < 0 or max(offset, last) >= array.size:
        raise IndexError(f"elements {offset} to {last} are not among {array.size}")
    flat = array.reshape(-1)
    return np.lib.stride_tricks.as_strided(
        flat[offset:], tuple(shape), tuple(stride * flat.itemsize for stride in strides)
    )


def _reads(axis: KernelAxis, outputs: Interval, window: Interval) -> list[tuple[slice, slice] | None]:
    """For each tap, the outputs of a tile for which it reads no padding, and what these read."""
    found: list[tuple[slice, slice] | None] = []
    for tap in range(axis.taps):
        shift = axis.origin + tap * axis.tap_step
        made = [y for y in range(*outputs) if 0 <= y * axis.stride + shift < axis.ifmap]
        if not made:
            found.append(None)
            continue
        first = made[0] * axis.stride + shift - window.start
        stop = made[-1] * axis.stride + shift - window.start + 1
        if first < 0 or stop > window.size:
            raise IndexError(f"tap {tap} of outputs {outputs} reads what is not in {window}")
        found.append(
            (slice(made[0] - outputs.start, made[-1] + 1 - outputs.start), slice(first, stop, axis.stride))
        )
    return found


def _product(weights: Numbers, ifmap: Numbers) -> Numbers:
    """Filters by channels times images by channels by places: images by filters by places."""
    images, channels, *places = ifmap.shape
    flat = np.ascontiguousarray(ifmap, dtype=np.float64).reshape(images, channels, -1)
    made: Numbers = np.ascontiguousarray(weights, dtype=np.float64) @ flat
    return made.reshape(images, len(weights), *places)


def _operands(layer: ScheduledLayer, seed: int) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(seed)
    ifmap = (*layer.tensors[0].shape[:2], *(axis["ifmap"] for axis in layer.shape["axes"]))

    def integers(shape: tuple[int, ...]) -> Numbers:
        return random.integers(-_LARGEST, _LARGEST + 1, shape, dtype=np.int8).astype(np.float32)

    return integers(ifmap), integers(layer.tensors[1].shape)


def _zeros_inserted(layer: ScheduledLayer, ifmap: Numbers) -> Numbers:
    inserted = np.zeros(layer.tensors[0].shape, dtype=ifmap.dtype)
    places = (slice(None, (n - 1) * axis["stride"] + 1, axis["stride"]) for n, axis in _sides(layer, ifmap))
    inserted[(slice(None), slice(None), *places)] = ifmap
    return inserted


def _sides(layer: ScheduledLayer, ifmap: Numbers) -> list[tuple[int, Any]]:
    return list(zip(ifmap.shape[2:], layer.shape["axes"], strict=True))


def direct(layer: ScheduledLayer, ifmap: Numbers, weights: Numbers) -> Numbers:
    """The layer by its definition, from whole tensors.

    A convolution's output y reads input ``y*stride - pad + dilation*t`` by tap t; a deconvolution's input x
    goes to output ``x*stride - pad + dilation*t``.
    """
    shape, groups = layer.shape, layer.groups
    made: Numbers = np.zeros(layer.tensors[2].shape)
    outs, ins = shape["out_channels"], shape["in_channels"]
    every = slice(None)
    for tap in product(*(range(axis["kernel"]) for axis in shape["axes"])):
        pairs = [_places(axis, t, layer.transposed) for axis, t in zip(shape["axes"], tap, strict=True)]
        large, small = (tuple(pair[i] for pair in pairs) for i in (0, 1))
        written, read = (large, small) if layer.transposed else (small, large)
        for g in range(groups):
            inputs, outputs = slice(g * ins, (g + 1) * ins), slice(g * outs, (g + 1) * outs)
            kernel: Places = (inputs, every, *tap) if layer.transposed else (outputs, every, *tap)
            by = weights[kernel].T if layer.transposed else weights[kernel]
            made[Places((every, outputs, *written))] += _product(by, ifmap[Places((every, inputs, *read))])
    return made


def _places(axis: Any, tap: int, transposed: bool) -> tuple[slice, slice]:
    """What one tap connects: places of the larger map, ``stride`` apart, and of the other, one by one."""
    large, small = ("ofmap", "ifmap") if transposed else ("ifmap", "ofmap")
    shift = axis["dilation"] * tap - axis["pad_before"]
    met = [i for i in range(axis[small]) if 0 <= i * axis["stride"] + shift < axis[large]]
    if not met:
        return slice(0, 0), slice(0, 0)
    first, last = met[0], met[-1]
    many = slice(first * axis["stride"] + shift, last * axis["stride"] + shift + 1, axis["stride"])
    return many, slice(first, last + 1)
