"""How the weights of a fused layer may lie in the buffer: kept, or streamed with every step, tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dnns.layer import Layer, Operator
from formulation.cost import array_passes, group_cycles
from formulation.extents import Ints, channel_tiles, trip_count
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.network.stacks.search.fitting import unbeaten
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
        ifmap_passes: for each kernel, how often the ifmap goes to the array (``cost.array_passes``).
        ofmap_passes: the same of the ofmap.
        setup: cycles to set up their transfers, once.
    """

    tile: tuple[int, int] | None
    room: int
    moved: int
    edge: int
    cycles: tuple[int, ...]
    partial: bool = False
    ifmap_passes: tuple[int, ...] = ()
    ofmap_passes: tuple[int, ...] = ()
    setup: int = 0

    @property
    def kept(self) -> bool:
        """Whether they are moved only once."""
        return self.tile is None

    def figures(self, *, summed: bool) -> tuple[int, ...]:
        """A tile can stand for another one of its layer if none of these is greater."""
        passes = (*self.ifmap_passes, *self.ofmap_passes) if summed else ()
        return (self.edge, self.setup, *self.cycles, self.partial, *passes)


def weights_of(
    layer: Operator, hardware: Hardware, tile: tuple[int, int] | None, resident: bool = False
) -> Weights:
    """What weights kept (no tile) or streamed in tiles of (output, input) channels take and cost.

    Those that stay for good (resident) are kept, are not moved, and take their room outside the stack.

    A kernel's cycles for one unit of its spatial factor are ``groups`` times the factors of output and
    input channels (``cost.group_cycles``). A tile of a deconvolution is one of its largest kernel. Weights
    that are kept come in one transfer; of those streamed each tile of each kernel and group is one.
    """
    parts = kernels(layer)
    co, ci = tile or (layer.out_channels, layer.in_channels)
    width = hardware.bits
    channels = layer.groups * layer.out_channels * layer.in_channels
    moved = 0 if resident else channels * sum(part.taps for part in parts) * width.weights
    edge = moved if tile is None else co * ci * max((p.taps for p in parts), default=0) * width.weights
    copies = 1 if tile is None else hardware.copies
    wider = width.partial_sums > width.ofmap
    tiles = layer.groups * -(-layer.out_channels // co) * -(-layer.in_channels // ci) * len(parts)
    outs = _factors(parts, hardware, Group.CO, layer.out_channels, co)
    ins = _factors(parts, hardware, Group.CI, layer.in_channels, ci)
    return Weights(
        tile,
        banked(hardware, copies * edge),
        moved,
        edge,
        tuple(layer.groups * a * b for (a, _), (b, _) in zip(outs, ins, strict=True)),
        wider and ci < layer.in_channels,
        tuple(passes for _, passes in outs),
        tuple(passes for _, passes in ins),
        hardware.transfer_cycles * (tiles if tile else 1) if moved else 0,
    )


@dataclass(frozen=True, slots=True, eq=False)
class WeightFigures:
    """Ways to hold the weights of a layer, figure by figure as of ``Weights``; arrays over the ways.

    Attributes:
        room: of each way.
        edge: of each way.
        partial: of each way.
        cycles: kernels x ways.
        ifmap_passes: kernels x ways.
        ofmap_passes: kernels x ways.
        setup: of each way.
    """

    room: Ints
    edge: Ints
    partial: NDArray[np.bool_]
    cycles: Ints
    ifmap_passes: Ints
    ofmap_passes: Ints
    setup: Ints

    @classmethod
    def of(cls, ways: Sequence[Weights]) -> WeightFigures:
        """Of some ways."""

        def each(name: str) -> Ints:
            return np.array([getattr(way, name) for way in ways], dtype=np.int64).T

        return cls(
            each("room"),
            each("edge"),
            each("partial") > 0,
            each("cycles"),
            each("ifmap_passes"),
            each("ofmap_passes"),
            each("setup"),
        )

    def take(self, ways: slice) -> WeightFigures:
        """Some of them."""
        return WeightFigures(*(getattr(self, name)[..., ways] for name in self.__slots__))


def banked(hardware: Hardware, bits: int) -> int:
    """A part of the buffer, in whole banks."""
    return -(-bits // hardware.bank_bits) * hardware.bank_bits


@lru_cache(maxsize=1 << 14)
def _factors(
    parts: tuple[Layer, ...], hardware: Hardware, group: Group, extent: int, tile: int
) -> list[tuple[int, int]]:
    """Those of each kernel."""
    return [_factor(part, hardware, group, extent, tile) for part in parts]


def _factor(layer: Layer, hardware: Hardware, group: Group, extent: int, tile: int) -> tuple[int, int]:
    """A group's factor of the array's cycles, and its passes at the ports."""
    trips = -(-extent // tile)
    cycles = int(group_cycles(layer, hardware, group, trips, channel_tiles(extent, tile, trips)))
    return cycles, int(array_passes(hardware, group, trips, cycles))


@lru_cache(maxsize=1024)
def choices(layer: Operator, hardware: Hardware, resident: bool, *, summed: bool) -> tuple[Weights, ...]:
    """Kept, then every tile that no other one can stand for, the smallest first.

    Weights that stay for good (resident) are kept: no tile has fewer cycles or passes at the ports, and they
    take and move nothing.

    Of output channels only those tiles are looked at that no smaller one is as good as in the cycles of every
    kernel; of input channels the same, and all of them, which need no partial sums. A tile of other extents
    could be made smaller in one of them: its size falls, and no cycles are added. Where bits at the array are
    asked for, passes at the ports count as cycles do; where transfers are set up, so do the trips.
    """
    if resident:
        return (weights_of(layer, hardware, None, resident),)
    co = _falling(layer, hardware, Group.CO, layer.out_channels, summed)
    ci = sorted({*_falling(layer, hardware, Group.CI, layer.in_channels, summed), layer.in_channels})
    tiles = [weights_of(layer, hardware, (a, b)) for a in co for b in ci]
    tiles.sort(key=lambda w: (w.edge, w.cycles, w.partial, w.tile))
    chosen = unbeaten(*np.array([w.figures(summed=summed) for w in tiles], dtype=np.int64).T)
    return (weights_of(layer, hardware, None), *(tiles[at] for at in chosen))


@lru_cache(maxsize=1024)
def figures(layer: Operator, hardware: Hardware, resident: bool, *, summed: bool) -> WeightFigures:
    """Those of ``choices``."""
    return WeightFigures.of(choices(layer, hardware, resident, summed=summed))


def _falling(layer: Operator, hardware: Hardware, group: Group, extent: int, summed: bool) -> list[int]:
    """Tiles that no smaller one is as good as in all cycles, and passes at the ports and trips that count."""
    tile = np.arange(1, extent + 1)
    trips = trip_count(extent, tile)
    figures = [trips] if hardware.transfer_cycles else []
    for part in kernels(layer):
        cycles = np.asarray(group_cycles(part, hardware, group, trips, channel_tiles(extent, tile, trips)))
        figures += [cycles, array_passes(hardware, group, trips, cycles)] if summed else [cycles]
    if not figures:
        return [1]
    columns = np.unique([np.broadcast_to(each, tile.shape) for each in figures], axis=0).T
    some = np.flatnonzero(np.r_[True, ~(columns[:-1] <= columns[1:]).all(axis=1)])
    found: list[int] = []
    for at in some:
        if not (columns[found] <= columns[at]).all(axis=1).any():
            found.append(int(at))
    return [int(tile[at]) for at in found]
