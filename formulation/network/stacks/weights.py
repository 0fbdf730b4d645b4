"""How the weights of a fused layer may lie in the buffer: kept, or streamed with every step, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dnns.layer import Layer, Operator
from formulation.cost import channel_tiles, group_cycles
from formulation.extents import trip_count
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.network.stacks.tables import kernels


@dataclass(frozen=True, slots=True)
class Weights:
    """One way to hold the weights of a layer.

    Attributes:
        tile: output and input channels of a tile that is streamed; None if all weights are kept.
        room: what they take in the buffer, whole banks [bits].
        moved: all weights that are used, once [bits].
        edge: what must arrive before the array starts [bits].
        cycles: for each kernel, cycles of all channels and groups for one unit of its spatial factor.
        partial: whether what a step computes waits as partial sums, wider than the ofmap.
    """

    tile: tuple[int, int] | None
    room: int
    moved: int
    edge: int
    cycles: tuple[int, ...]
    partial: bool = False

    @property
    def kept(self) -> bool:
        """Whether they are moved only once."""
        return self.tile is None

    def no_worse(self, other: Weights) -> bool:
        """Whether this tile can stand for another one of the same layer at no cost."""
        fewer = all(mine <= its for mine, its in zip(self.cycles, other.cycles, strict=True))
        return fewer and self.edge <= other.edge and self.partial <= other.partial


def weights_of(
    layer: Operator, hardware: Hardware, tile: tuple[int, int] | None, resident: bool = False
) -> Weights:
    """What weights kept (no tile) or streamed in tiles of (output, input) channels take and cost.

    Those that stay for good (resident) are kept, are not moved, and take their room outside the stack.

    A kernel's cycles for one unit of its spatial factor are ``groups`` times the factors of output and
    input channels (``cost.group_cycles``). A tile of a deconvolution is one of its largest kernel.
    """
    parts = kernels(layer)
    co, ci = tile or (layer.out_channels, layer.in_channels)
    width = hardware.bits
    channels = layer.groups * layer.out_channels * layer.in_channels
    moved = 0 if resident else channels * sum(part.taps for part in parts) * width.weights
    edge = moved if tile is None else co * ci * max((p.taps for p in parts), default=0) * width.weights
    copies = 1 if tile is None else hardware.copies
    wider = width.partial_sums > width.ofmap
    return Weights(
        tile,
        banked(hardware, copies * edge),
        moved,
        edge,
        tuple(_cycles(part, hardware, co, ci) for part in parts),
        wider and ci < layer.in_channels,
    )


def banked(hardware: Hardware, bits: int) -> int:
    """A part of the buffer, in whole banks."""
    return -(-bits // hardware.bank_bits) * hardware.bank_bits


def _cycles(layer: Layer, hardware: Hardware, co: int, ci: int) -> int:
    def factor(group: Group, extent: int, tile: int) -> int:
        trips = -(-extent // tile)
        return int(group_cycles(layer, hardware, group, trips, channel_tiles(extent, tile, trips)))

    outs = factor(Group.CO, layer.out_channels, co)
    return layer.groups * outs * factor(Group.CI, layer.in_channels, ci)


@lru_cache(maxsize=1024)
def choices(layer: Operator, hardware: Hardware, resident: bool = False) -> tuple[Weights, ...]:
    """Kept, then every tile that no other one can stand for, the smallest first.

    Weights that stay for good (resident) are kept: no tile has fewer cycles, and they take and move nothing.

    Of output channels only those tiles are looked at that have fewer cycles (of some kernel) than every
    smaller one; of input channels the same, and all of them, which need no partial sums. A tile of other
    extents could be made smaller in one of them: its size falls, and no cycles are added.
    """
    if resident:
        return (weights_of(layer, hardware, None, resident),)
    co = _falling(layer, hardware, Group.CO, layer.out_channels)
    ci = sorted({*_falling(layer, hardware, Group.CI, layer.in_channels), layer.in_channels})
    tiles = [weights_of(layer, hardware, (a, b)) for a in co for b in ci]
    tiles.sort(key=lambda w: (w.edge, w.cycles, w.partial, w.tile))
    chosen: list[Weights] = []
    for tile in tiles:
        if not any(other.no_worse(tile) for other in chosen):
            chosen.append(tile)
    return (weights_of(layer, hardware, None), *chosen)


def _falling(layer: Operator, hardware: Hardware, group: Group, extent: int) -> list[int]:
    """Tiles with fewer cycles of some kernel than every smaller one."""
    tile = np.arange(1, extent + 1)
    trips = trip_count(extent, tile)
    keep = np.r_[True, np.zeros(extent - 1, dtype=bool)]
    for part in kernels(layer):
        cycles = np.asarray(group_cycles(part, hardware, group, trips, channel_tiles(extent, tile, trips)))
        cycles = np.broadcast_to(cycles, tile.shape)
        keep[1:] |= cycles[1:] < np.minimum.accumulate(cycles)[:-1]
    return [int(t) for t in tile[keep]]
