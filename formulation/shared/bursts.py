"""Bursts where sub-kernels share ifmap tiles: what crosses the pins if runs take whole ones.

As ``formulation.pricing.bursts`` for each sub-kernel, which has weights and an ofmap of its own in the DRAM:
its tile is the common grid's clipped to its outputs. The ifmap's runs are those of the hulls. A round takes
filters of several sub-kernels, of each as many as its packing says; so if there are several rounds a run
never passes from one filter to the next, neither in the weights nor in the ofmap:

    bits of a sub-kernel's tiles, once = those of tiles of one filter if R > 1, else of all filters

Hence they depend on the packing through R alone, and do not fall where R grows: a sum of bursts of parts is
no less than the bursts of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution, Layer
from formulation.cost import Num
from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.pricing.bursts import (
    Runs,
    channel_bursts,
    cut_as_tabled,
    cut_evenly,
    map_bits,
    ofmap_bits,
    weight_bits,
)
from formulation.shared.hull import hull_table, hulls

Kernels = Sequence[tuple[Layer, int]]
"""Sub-kernels, each with how many are like it."""


def shared_runs(
    deconv: Deconvolution, alike: Kernels, hardware: Hardware, rounds: Num, ci: Num, sizes: Sequence[Num]
) -> Runs:
    """Bits of all tiles of each tensor of one group, once, in whole bursts.

    Args:
        deconv: the deconvolution.
        alike: its sub-kernels with taps, those that are alike together.
        hardware: the machine.
        rounds: how many.
        ci: input channels of a tile.
        sizes: of a tile of the common grid, of the batch and each axis.
    """
    width, filters = hardware.bits, deconv.out_channels
    run = filters - (filters - 1) * (rounds > 1)
    weights: Num = 0
    final: Num = 0
    partial_sums: Num = 0
    for layer, count in alike:
        extents = layer.batch, *(axis.out for axis in layer.axes)
        tile = [_clipped(size, n) for size, n in zip(sizes, extents, strict=True)]
        weights = weights + count * weight_bits(layer, hardware, run, ci)
        final = final + count * ofmap_bits(layer, hardware, width.ofmap, run, tile)
        partial_sums = partial_sums + count * ofmap_bits(layer, hardware, width.partial_sums, run, tile)
    return Runs(_ifmap_bits(deconv, hardware, ci, sizes), weights, final, partial_sums)


def _clipped(size: Num, extent: int) -> Num:
    return min(size, extent) if isinstance(size, int) else np.minimum(size, extent)


def _ifmap_bits(deconv: Deconvolution, hardware: Hardware, ci: Num, sizes: Sequence[Num]) -> Num:
    """Of all ifmap tiles, once."""
    burst, axes = hardware.burst_bits, []
    for axis, size in zip(deconv.axes, sizes[1:], strict=True):
        each = partial(_hull_bursts, axis, burst=burst)
        axes.append((cut_as_tabled(hull_table(axis), axis.in_size, size, each), axis.in_size))
    channels = cut_evenly(deconv.in_channels, ci, burst)
    return map_bits(deconv, hardware, hardware.bits.ifmap, sizes[0], axes, channels, deconv.in_channels)


@lru_cache(maxsize=1024)
def _hull_bursts(axis: TransposedAxis, inside: int, burst: int) -> Ints:
    """For each tile size, the sum over tiles of the bursts of their hulls."""
    extent = len(hull_table(axis).tile)
    found = np.empty(extent, dtype=np.int64)
    for tile in range(1, extent + 1):
        start = np.arange(0, extent, tile)
        low, high = hulls(axis, start, np.full_like(start, tile))
        found[tile - 1] = (-(-np.maximum(high - low, 0) * inside // burst)).sum()
    return found


def tile_bursts(alike: Kernels, hardware: Hardware, tile: Ints) -> list[Ints]:
    """All bursts by which an input-channel tile costs, as of ``channel_bursts``; none without bursts."""
    if not hardware.burst_bytes:
        return []
    return [column for layer, _ in alike for column in channel_bursts(layer, hardware, Group.CI, tile)]
