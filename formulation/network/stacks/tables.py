"""What one spatial axis of a stack takes, for every size of its pieces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dnns.axes import Axis
from dnns.layer import Deconvolution, Layer
from formulation.deconv import split
from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.network.stacks.runs import Computed, Cut, runs
from formulation.network.stacks.stack import Stack
from formulation.network.stacks.windows import phase_outputs


@dataclass(frozen=True, slots=True, eq=False)
class MapTable:
    """One map along one axis; entries are for each size of the pieces [positions].

    Attributes:
        live: most that a piece keeps and computes together.
        partial: the same in bits of one position of one channel, what is computed counting as partial sums.
        most: most that a piece computes.
        fetched: most that a piece keeps and, for each copy of a buffer's part, computes.
        total: all that the pieces compute.
        busy: pieces that compute something.
        first: what the first piece computes.
        last: what the last piece computes.
        fresh: pieces that compute something that none before has: that write it, if it leaves.
    """

    live: Ints
    partial: Ints
    most: Ints
    fetched: Ints
    total: Ints
    busy: Ints
    first: Ints
    last: Ints
    fresh: Ints

    @classmethod
    def of(cls, run: Computed, cut: Cut, hardware: Hardware) -> MapTable:
        """The figures of a map's run."""
        kept, new, width = run.kept, run.new, hardware.bits

        def most(values: Ints) -> Ints:
            return np.asarray(np.maximum.reduceat(values, cut.begin))

        return cls(
            live=most(kept + new),
            partial=most(kept * width.ofmap + new * width.partial_sums),
            most=most(new),
            fetched=most(kept + hardware.copies * new),
            total=np.add.reduceat(new, cut.begin),
            busy=np.add.reduceat(1 * (new > 0), cut.begin),
            first=new[cut.begin],
            last=new[np.r_[cut.begin[1:], len(new)] - 1],
            fresh=np.add.reduceat(
                1 * (new > 0) * (run.stop > cut.before(cut.most_so_far(run.stop))), cut.begin
            ),
        )

    def take(self, index: Ints) -> MapTable:
        """Some of the sizes."""
        return MapTable(*(getattr(self, name)[index] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """How many pieces compute how many outputs of a kernel: a row a size, filled up with 0 pieces.

    Attributes:
        length: outputs.
        pieces: how many of them.
        reads: for each size, pairs of an output that some piece computes and a tap that reads no padding.
        outputs: for each size, those that all pieces compute.
        busy: for each size, pieces that compute any.
    """

    length: Ints
    pieces: Ints
    reads: Ints
    outputs: Ints
    busy: Ints

    @classmethod
    def of(cls, axis: Axis, first: Ints, stop: Ints, cut: Cut) -> Lengths:
        """Count the pieces of each size by what they compute; those that compute nothing do not count."""
        new, pairs = np.maximum(0, stop - first), _pairs(axis)
        read = pairs[np.clip(np.maximum(first, stop), 0, axis.out)] - pairs[np.clip(first, 0, axis.out)]
        span = int(new.max(initial=0)) + 1
        some = new > 0
        keys, pieces = np.unique(cut.owner[some] * span + new[some], return_counts=True)
        owner = keys // span
        column = np.arange(len(owner)) - np.searchsorted(owner, owner)
        table = np.zeros((2, len(cut.sizes), int(column.max(initial=0)) + 1), dtype=np.int64)
        table[:, owner, column] = keys % span, pieces
        outputs, busy = (table[0] * table[1]).sum(axis=1), table[1].sum(axis=1)
        return cls(table[0], table[1], np.add.reduceat(read, cut.begin), outputs, busy)

    def take(self, index: Ints) -> Lengths:
        """Some of the sizes."""
        return Lengths(*(getattr(self, name)[index] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class StackAxis:
    """One axis of a stack.

    Attributes:
        sizes: of the pieces.
        maps: table of each map; None where nothing of the map is computed or read.
        kernels: for each layer, for each of its kernels, the lengths.
    """

    sizes: Ints
    maps: tuple[MapTable | None, ...]
    kernels: tuple[tuple[Lengths, ...], ...]

    def take(self, index: Ints) -> StackAxis:
        """Some of the sizes."""
        return StackAxis(
            self.sizes[index],
            tuple(None if m is None else m.take(index) for m in self.maps),
            tuple(tuple(k.take(index) for k in layer) for layer in self.kernels),
        )


@lru_cache(maxsize=4096)
def _pairs(axis: Axis) -> Ints:
    """For each ``k`` the pairs of one of the first ``k`` outputs and a tap that reads no padding."""
    place = np.arange(axis.out)[:, None] * axis.stride - axis.pad_lo + np.arange(axis.kernel) * axis.dilation
    inside = ((place >= 0) & (place < axis.in_size)).sum(axis=1)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(inside, dtype=np.int64)])


@lru_cache(maxsize=256)
def kernels(layer: Layer | Deconvolution) -> tuple[Layer, ...]:
    """What runs on the array: the layer, or the phases with taps of a deconvolution."""
    if isinstance(layer, Layer):
        return (layer,)
    return tuple(sub.layer for sub in split(layer) if sub.layer is not None)


def axis_table(stack: Stack, hardware: Hardware, axis: int, sizes: Ints) -> StackAxis:
    """Cut one axis of a stack's last ofmap into pieces of each of the given sizes.

    Args:
        stack: the stack.
        hardware: gives widths and the copies of a part.
        axis: 0 is cut into bands, the others into strips.
        sizes: of the pieces, from 1 to the extent.
    """
    cut = Cut.of(stack.maps[stack.root].extents[axis], sizes)
    walked = runs(stack, axis, cut, bands=axis == 0)
    lengths = []
    for layer, index in zip(stack.layers, stack.ofmaps, strict=True):
        run = walked[index]
        assert run is not None
        lengths.append(_kernel_lengths(layer, axis, run, cut))
    tables = tuple(None if run is None else MapTable.of(run, cut, hardware) for run in walked)
    return StackAxis(sizes, tables, tuple(lengths))


def _kernel_lengths(layer: Layer | Deconvolution, axis: int, run: Computed, cut: Cut) -> tuple[Lengths, ...]:
    if isinstance(layer, Layer):
        return (Lengths.of(layer.axes[axis], run.first, run.stop, cut),)
    stop = np.maximum(run.first, run.stop)
    found = {}
    for sub in split(layer):
        phase = sub.phases[axis]
        if sub.layer is not None and phase not in found:
            first, end = phase_outputs(phase, layer.axes[axis].stride, run.first, stop)
            found[phase] = Lengths.of(sub.layer.axes[axis], first, end, cut)
    return tuple(found[sub.phases[axis]] for sub in split(layer) if sub.layer is not None)
