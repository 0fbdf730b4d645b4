"""What 64 bits must hold where sub-kernels share ifmap tiles; see ``formulation.space.counts``."""

from __future__ import annotations

from math import prod

from formulation.shared.problem import SharedProblem
from formulation.space.counts import Counts, layer_counts, most_setup, moved_widths


def shared_counts(problem: SharedProblem) -> Counts:
    """Bounds on what mappings take, as of ``layer_counts``, rounds in place of output-channel tiles.

    A round holds a filter, so that there are at most ``Co * J`` rounds of J sub-kernels. The bounds of
    packings (``formulation.shared.packing_bounds``) multiply three things at most: the cycles of a pass with
    the taps of all filters, which is below ``sum taps`` times all cycles; and the number of rounds with the
    filters, and with the words of all of them in one round. Bits at the array are bounded as cycles are, by
    passes of one filter.
    """
    hardware, deconv, kernels = problem.hardware, problem.deconv, problem.kernels
    summed = problem.rates is not None
    parts = [layer_counts(layer, hardware, summed=summed) for layer in kernels.layers]
    taps, rounds = sum(layer.taps for layer in kernels.layers), deconv.out_channels * len(kernels.layers)
    fetched = deconv.in_channels * prod(int(dim.fetched.max()) for dim in kernels.dims)
    width = moved_widths(hardware)
    bits = (
        deconv.groups * fetched * rounds * width.ifmap
        + kernels.weight_words * prod(len(dim.tile) for dim in kernels.dims) * width.weights
        + kernels.ofmap_words * (width.ofmap + 2 * deconv.in_channels * width.partial_sums)
    )
    tiles = fetched * width.ifmap + deconv.out_channels * deconv.pixels * width.partial_sums
    held = sum(part.held for part in parts) + hardware.copies * tiles
    words = rounds * rounds * max(taps, deconv.pixels)
    extent = max(part.extent for part in parts)
    grid = prod(len(dim.tile) for dim in kernels.dims)
    setup = most_setup(hardware, deconv.groups, rounds, deconv.in_channels, grid)
    cycles, array = ((taps + 1) * sum(getattr(part, n) for part in parts) for n in ("cycles", "array"))
    return Counts(cycles + setup, bits, max(held, words), extent, array=array)
