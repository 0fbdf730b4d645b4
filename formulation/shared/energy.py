"""What mappings with shared ifmap tiles spend, as energy: a packing changes its passes and latency alone.

Each sub-kernel goes to the array as a layer does (``cost.array_traffic``), its ``passes_j`` of the packing in
the place of the output channels' passes:

    array  = sum_j  passes_j * reads_j  +  W_j * moved_j(sp)  +  ofmap_j * moved_j(ci)     (each at its width)
    spent  = hardware.Rates.of these, the traffic and the latency

No packing has fewer than ``ceil(Co / limit)`` passes of a sub-kernel, so that with these it is the least;
every pass more adds the sub-kernel's reads. Among packings beside one tile, input-channel tile and number of
rounds, traffic and all but the first term are the same, and any sum of latency and what is spent is

    sum_j passes_j * port_j  +  rate * max(array's time, transfer)   +   what is the same for all

which is the greater of two prices of the form of ``formulation.shared.packing.rounds`` (``spending``). Ties,
by latency, are in it as well: the sum is multiplied by more than what latencies can differ by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import lcm

import numpy as np
from numpy.typing import NDArray

from formulation.cost import Num, Trips, array_passes, array_traffic, group_cycles
from formulation.extents import Ints, channel_tiles, trip_count
from formulation.hardware import Hardware, Rates
from formulation.mapping import Group
from formulation.pricing.objective import Measure
from formulation.shared.packing.search import PackingProblem
from formulation.shared.tiles import KernelKind, Tiles

Floats = NDArray[np.float64]


class SharedEnergy:
    """What the mappings of one shared space spend.

    Attributes:
        read_bits: per kind, the ifmap's bits of one pass of a sub-kernel, all groups.

    Args:
        hardware: the machine.
        rates: of the quantity that is summed.
        macs: of all sub-kernels.
        kinds: of sub-kernels.
        trips_ci: trips of the input-channel tiles.
        ci_cycles: each kind's factor of the compute cycles (kinds by tiles).
        passes: fewest of a sub-kernel.
        wide: whether 64 bits might not hold it, so that it is Python's integers.
    """

    def __init__(
        self,
        hardware: Hardware,
        rates: Rates,
        macs: int,
        kinds: Sequence[KernelKind],
        trips_ci: Ints,
        ci_cycles: Ints,
        passes: int,
        wide: bool,
    ) -> None:
        self.hardware, self.rates, self.macs = hardware, rates, macs
        self.kinds, self.passes, self.wide = kinds, passes, wide
        self.ci_cycles = ci_cycles
        self.ci_moved = [array_passes(hardware, Group.CI, trips_ci, cycles) for cycles in ci_cycles]
        self.read_bits = [k.layer.ifmap_reads * hardware.bits.ifmap for k in kinds]
        self.of = {j: k for k, kind in enumerate(kinds) for j in kind.members}

    def array_bits(self, tiles: Tiles, ci: Ints) -> Num:
        """Bits at the array with the fewest passes; ``ci`` are positions of input-channel tiles."""
        return self._bits(tiles, [moved[ci] for moved in self.ci_moved])

    def rough_bits(self, tiles: Tiles, trips_ci: Num) -> Num:
        """The same at least, of any input-channel tile of at least so many trips."""
        least = (int(cycles.min()) for cycles in self.ci_cycles)
        return self._bits(tiles, [array_passes(self.hardware, Group.CI, trips_ci, c) for c in least])

    def _bits(self, tiles: Tiles, ci_moved: Sequence[Num]) -> Num:
        assert tiles.moved is not None
        total: Num = 0
        for kind, moved in zip(self.kinds, ci_moved, strict=True):
            trips = Trips(self.passes, moved, tiles.moved[kind.shape])
            array = array_traffic(kind.layer, kind.layer.ifmap_reads, trips)
            total = total + len(kind.members) * array.bits(self.hardware)
        return total

    def ifmap_passes(self, fewest: int, most: int) -> tuple[Ints, Floats]:
        """Numbers of rounds, and how often the ifmap goes to the array at least: a mean over its reads."""
        rounds = np.arange(fewest, most + 1)
        reads = sum(len(k.members) * k.layer.ifmap_reads for k in self.kinds)
        more = np.maximum(rounds - self.passes * len(self.of), 0) * min(
            k.layer.ifmap_reads for k in self.kinds
        )
        return rounds, self.passes + more / max(reads, 1)

    def ofmap_passes(self, smallest: int, greatest: int) -> tuple[Ints, Floats]:
        """Trips of input-channel tiles, and how often the ofmap goes to the array, as a mean over it."""
        tile = np.arange(smallest, greatest + 1)
        extent = self.kinds[0].layer.in_channels
        trips = trip_count(extent, tile)
        parts = channel_tiles(extent, tile, trips)
        total: Num = 0
        for kind in self.kinds:
            cycles = group_cycles(kind.layer, self.hardware, Group.CI, trips, parts)
            moved = array_passes(self.hardware, Group.CI, trips, cycles)
            total = total + len(kind.members) * kind.layer.ofmap_words * moved
        return trips, total / sum(len(k.members) * k.layer.ofmap_words for k in self.kinds)

    def weight_passes(self, tiles: Tiles) -> Floats:
        """How often the weights go to the array, as a mean over them."""
        assert tiles.moved is not None
        words = [len(k.members) * k.layer.weight_words for k in self.kinds]
        each = zip(words, self.kinds, strict=True)
        return np.asarray(sum(w * tiles.moved[k.shape] for w, k in each) / sum(words))

    def packed_bits(self, least: int, passes: Sequence[int]) -> int:
        """Exactly, of a packing's passes of each sub-kernel, where the fewest passes take ``least``."""
        more = (self.read_bits[self.of[j]] * (n - self.passes) for j, n in enumerate(passes))
        return least + sum(more)

    def quanta(self, array: Num, traffic: Num, latency: Num) -> Num:
        """Of so many bits at the array and the DRAM, and a latency [ticks]; of arrays or integers."""
        if self.wide and isinstance(traffic, np.ndarray):
            array, traffic, latency = (np.asarray(array).astype(object), traffic.astype(object), latency)
            latency = latency if isinstance(latency, int) else latency.astype(object)
        return self.rates.of(self.macs, array, traffic, latency)

    def spending(
        self, packing: PackingProblem, measure: Measure, transfer: int
    ) -> tuple[PackingProblem, int, int]:
        """What is minimised of packings: the packing problem, and what a bit at the array and a tick cost.

        Args:
            packing: the same for the array's time [ticks].
            measure: latency and what is spent, summed; ties by latency.
            transfer: latency is no less [ticks]; 0 where it is added.
        """
        items, each = packing.items, self.rates
        idle = transfer - packing.fixed
        most = sum(packing.pass_cost) * items.filters + packing.alpha * items.filters * sum(items.taps)
        most += packing.beta * items.filters * sum(items.pixels) + max(idle, 0)
        latency, _, spent = measure.weights
        scale = (1 + most) * lcm(latency.denominator, spent.denominator)
        bit, tick = int(scale * spent * each.port), int(scale * (latency + spent * each.tick)) + 1
        ports = tuple(bit * self.read_bits[self.of[j]] for j in range(len(items.taps)))
        posed = replace(
            packing,
            pass_cost=tuple(p + tick * c for p, c in zip(ports, packing.pass_cost, strict=True)),
            alpha=tick * packing.alpha,
            beta=tick * packing.beta,
            idle_cost=ports,
            idle=tick * idle,
        )
        return posed, bit, tick
