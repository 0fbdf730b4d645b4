"""What a machine does in order: transfers between DRAM and buffer, and computations on what lies there."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from solvers.schedules.execution.buffer import PartName
from solvers.schedules.execution.nest import Interval


@dataclass(frozen=True, slots=True)
class DmaTransfer:
    """A box of a tensor that moves between DRAM and its part of the buffer.

    Transfers run in the order of their numbers; one may begin once the computation ``after`` has ended.

    Attributes:
        number: from 1.
        tensor: what moves.
        into_buffer: whether it goes from DRAM to the buffer, not back.
        partial: whether it is partial sums that move.
        group: of the tile.
        kernel: position of the kernel it belongs to; 0 for the ifmap, which all share.
        tile: which elements, in the order of the tensor's dimensions, within the group and the kernel.
        offset: of the box's first element in DRAM [elements].
        shape: of the box.
        strides: of the box in DRAM [elements].
        word: where it begins in the part [words].
        word_strides: of the box there [words].
        after: number of the computation that must have ended, 0 for none.
    """

    number: int
    tensor: PartName
    into_buffer: bool
    partial: bool
    group: int
    kernel: int
    tile: tuple[Interval, ...]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    word: int
    word_strides: tuple[int, ...]
    after: int

    @property
    def words(self) -> int:
        """Words that move."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class SubTile:
    """Where a sub-tile lies in the tiles that are held [words].

    Attributes:
        ifmap_word: from the first word of each of the ifmap's slices.
        weights_word: from the first weight.
        weights_strides: in the order of DRAM.
        ofmap_word: from the first output.
        ofmap_strides: of images, filters, axes.
    """

    ifmap_word: int
    weights_word: int
    weights_strides: tuple[int, ...]
    ofmap_word: int
    ofmap_strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TileCompute:
    """A convolution of what lies in the buffer.

    Each output of the tile adds, over input channels and taps, the products of weights and of the ifmap
    elements that the kernel's axes name; what is out of the ifmap's range is padding and adds nothing. Axis
    ``a`` of the ifmap tile has the elements ``windows[a]``. Word of an element: ``ifmap_strides`` times its
    place in the tile (image, channel, axes), where along the axis of slices that is ``(first_slice + i) mod
    ring``.

    Attributes:
        number: from 1.
        after: number of the transfer that must have ended, and all before it; 0 for none.
        group: of the tile.
        kernel: position of the kernel.
        filters: output channels, within the group.
        channels: input channels, within the group.
        images: of the batch.
        outputs: of each axis of the kernel.
        windows: ifmap elements that the tile has.
        first_slice: of the ifmap tile in the ring.
        ifmap_strides: of image, channel and axes [words].
        weights_word: where the kernel's weights begin in their part; dense, in the order of DRAM.
        ofmap_word: where its outputs begin: dense images, filters, axes.
        accumulate: whether outputs are added to what is there; otherwise they begin at 0.
        inside: of a sub-tile, where it lies in the tiles; None where a tile is computed at once.
    """

    number: int
    after: int
    group: int
    kernel: int
    filters: Interval
    channels: Interval
    images: Interval
    outputs: tuple[Interval, ...]
    windows: tuple[Interval, ...]
    first_slice: int
    ifmap_strides: tuple[int, ...]
    weights_word: int
    ofmap_word: int
    accumulate: bool
    inside: SubTile | None = None


Event = DmaTransfer | TileCompute


@dataclass(frozen=True, slots=True)
class ZeroOutputs:
    """Outputs of a deconvolution that no tap reaches: zeros, written once.

    Attributes:
        name: of the sub-convolution.
        outputs: by axis, the outputs of the deconvolution that it has.
        offset: of the first in DRAM [elements].
        shape: images, output channels of all groups, axes.
        strides: in DRAM [elements].
    """

    name: str
    outputs: tuple[range, ...]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def words(self) -> int:
        """Words that are written."""
        return prod(self.shape)


def counted(transfers: dict[str, int], event: Event) -> None:
    """Add the words of a transfer to those by tensor, named as in a result's ``traffic``."""
    if isinstance(event, DmaTransfer):
        name: str = event.tensor
        if name == "ofmap":
            name = "ofmap_read" if event.into_buffer else "ofmap_write"
        transfers[name] += event.words
