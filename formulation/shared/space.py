"""The map space of a deconvolution with shared ifmap tiles, and what any mapping in a part of it costs.

A mapping is a choice of four: a tile of the common grid (and the batch), an input-channel tile, the number
of rounds R with the packing of filters into them, and a loop order. Traffic depends on the packing only
through R. With all but the packing fixed, ``bounds`` says what the array and the edge cost at least:

    P >= Co*sum_j taps_j / R, a multiple of the taps' common divisor;   Q >= Co*sum_j pixels_j / R
    without a split pass:  rounds hold v or v-1 units of whole passes, so the v-rounds hold the rest
    with split passes:     as many more passes as the buffer's P and Q force, at least one
"""

from __future__ import annotations

from math import gcd

import numpy as np

from formulation.cost import Num, TensorBits, Trips, fits, footprint, held_bits, setup_cycles, traffic
from formulation.extents import Ints
from formulation.mapping import Stationary
from formulation.pricing.bursts import Runs, all_passes, pinned
from formulation.pricing.price import Price, array_ticks, overlapped
from formulation.shared.bursts import shared_runs
from formulation.shared.packing.rounds import Items
from formulation.shared.packing.search import PackingProblem
from formulation.shared.problem import Rounds, SharedMapping
from formulation.shared.tables import SharedTables
from formulation.shared.tiles import Tiles
from formulation.space.counts import SAFE
from formulation.space.space import CLASSES
from formulation.space.tables import SpatialTable

#: Cycles, or ticks that are not wide: no mapping has more.
FAR = SAFE - 1


class SharedSpace(SharedTables):
    """All mappings of a shared problem."""

    def runs(self, table: SpatialTable, rounds: Num, ci: Ints) -> Runs | None:
        """Bits of all tiles once, where runs take whole bursts; ``ci`` are positions in ``ci``; else None."""
        if not self.hardware.burst_bytes:
            return None
        alike = [(kind.layer, len(kind.members)) for kind in self.kinds]
        sizes = self.grid.tiles(table.rank)
        return shared_runs(self.problem.deconv, alike, self.hardware, rounds, self.ci[ci], sizes)

    def parts(self, held: TensorBits) -> TensorBits:
        """The tiles that take a part of the buffer."""
        return held

    def edge(self, held: TensorBits, spills: bool = False) -> TensorBits:
        """The tiles that move before and after the array works; ``spills``: partial sums move."""
        return held

    def room(self) -> tuple[int, TensorBits | None]:
        """Bits for one copy of all tiles, and of each where the partition is given."""
        given, copies = self.problem.partition, self.hardware.copies
        if given is None:
            return min(self.hardware.buffer_bits // copies, SAFE), None
        parts = TensorBits(*(part // copies for part in given.parts))
        return parts.total, parts

    def fewest_rounds(self, tiles: Tiles, ci: Ints, trips_ci: Num) -> tuple[Num, Num]:
        """Where some packing might fit beside ``ci`` input channels, and a bound on its rounds."""
        held = self.parts(held_bits(self.hardware, ci * tiles.table.largest, 1, ci, trips_ci))
        total, parts = self.room()
        weights, ofmap = held.weights * self.filters * self.taps, held.ofmap * self.all_pixels(tiles)
        most_taps, most_pixels = self.problem.most_taps, tiles.pixels.max(axis=0)
        least = held.ifmap + held.weights * most_taps + held.ofmap * most_pixels
        fit = least <= total
        rounds = -(-(weights + ofmap) // np.maximum(total - held.ifmap, 1))
        if parts is not None:
            fit = fit & (held.ifmap <= parts.ifmap) & (held.weights * most_taps <= parts.weights)
            fit = fit & (held.ofmap * most_pixels <= parts.ofmap)
            rounds = -(-weights // max(parts.weights, 1))
            rounds = np.maximum(rounds, -(-ofmap // max(parts.ofmap, 1)))
        return fit, np.clip(rounds, 1, self.filters * len(self.kernels.layers))

    def feasible(self, held: TensorBits) -> Num:
        """Whether tiles fit the buffer."""
        return fits(self.hardware, self.problem.partition, footprint(self.hardware, self.parts(held)))

    def moved_bits(self, stationary: Stationary, rounds: Num, trips_ci: Num, table: SpatialTable) -> Num:
        """Traffic [bits]: exact, but for bursts, which words are below."""
        n = Trips(rounds, trips_ci, table.trips)
        moved = traffic(self.kernels, stationary, n, table.fetched, table.slid)
        return moved.bits(self.hardware)

    def run_bits(
        self, stationary: Stationary, rounds: Num, trips_ci: Num, table: SpatialTable, runs: Runs | None
    ) -> Num:
        """Traffic of runs that take whole bursts, ``moved_bits`` where there are none [bits]: exact."""
        if runs is None:
            return self.moved_bits(stationary, rounds, trips_ci, table)
        n = Trips(rounds, trips_ci, table.trips)
        return pinned(self.kernels.groups, all_passes(stationary, n), runs).total

    def setup(self, stationary: Stationary, rounds: Num, trips_ci: Num, table: SpatialTable) -> Num:
        """Cycles to set the transfers up: exact."""
        n = Trips(rounds, trips_ci, table.trips)
        return setup_cycles(self.hardware, self.kernels.groups, stationary, n)

    def open_bounds(self, tiles: Tiles, ci: Num) -> tuple[Num, list[Price]]:
        """What mappings of these tiles and input-channel tiles cost at least, for each loop order."""
        fit, rounds = self.fewest_rounds(tiles, self.ci[ci], self.trips_ci[ci])
        compute = self.least_cycles(tiles, ci)
        held = held_bits(
            self.hardware,
            self.ci[ci] * tiles.table.largest,
            tiles.pixels.max(axis=0),
            self.ci[ci] * self.problem.most_taps,
            self.trips_ci[ci],
        )
        ports, runs = self.energy and self.energy.array_bits(tiles, ci), self.runs(tiles.table, rounds, ci)
        common = rounds, self.trips_ci[ci], tiles, compute, held, ports, runs
        return fit, [self._prices(s, *common) for s in CLASSES]

    def rough_bounds(self, tiles: Tiles) -> tuple[Num, list[Price]]:
        """The same over all input-channel tiles."""
        table, hardware = tiles.table, self.hardware
        fit, rounds = self.fewest_rounds(tiles, np.ones_like(table.rank), 1)
        held = held_bits(hardware, table.largest, tiles.pixels.max(axis=0), self.problem.most_taps, 1)
        unit = self.parts(held_bits(hardware, table.largest, 0, self.problem.most_taps, 1))
        channels = self.problem.deconv.in_channels
        most = most_units(self.room()[0] - self.parts(held).ofmap, unit.total, channels)
        trips = -(-channels // np.maximum(most, 1))
        compute = self.roughest_cycles(tiles, np.arange(len(self.ci)))
        ports = self.energy and self.energy.rough_bits(tiles, trips)
        prices = [self._prices(s, rounds, trips, tiles, compute, held, ports) for s in CLASSES]
        return fit & (most >= 1), prices

    def latency(self, array: Num, bits: Num, setup: Num = 0) -> Num:
        """Latency [ticks] from the array's and the edge's [ticks], traffic [bits] and set-ups [cycles]."""
        return overlapped(self.hardware, array, bits, setup)

    def array(self, compute: Num, held: TensorBits, spills: bool = False) -> Num:
        """The array's time with the edge [ticks]; ``spills`` as of ``edge``."""
        return array_ticks(self.hardware, compute, self.edge(held, spills), wide=self.wide)

    def packing(self, tile: Tiles, ci: int, spills: bool = False) -> PackingProblem:
        """The packing problem beside one tile and input-channel tile; in ticks; ``spills`` as of ``edge``."""
        table, hardware = tile.table, self.hardware
        layers = len(self.kernels.layers)
        pixels, costs, compute = [0] * layers, [0] * layers, 0
        for k, kind in enumerate(self.kinds):
            fixed, each = self.pass_cost(k, tile, ci)
            for j in kind.members:
                pixels[j] = int(tile.pixels[kind.shape, 0])
                costs[j] = int(each[0]) * hardware.tick.per_cycle
                compute += int(fixed[0])
        unit = gcd(*pixels)
        channels, trips = int(self.ci[ci]), int(self.trips_ci[ci])
        held = held_bits(hardware, channels * int(table.largest[0]), unit, channels, trips)
        moved = self.edge(held, spills)

        def edge(bits: int) -> int:
            return hardware.tick.of(0, bits) if hardware.double_buffered else 0

        def fit(p: int, q: int) -> bool:
            return bool(self.feasible(TensorBits(held.ifmap, q * held.ofmap, p * held.weights)))

        return PackingProblem(
            Items(
                self.filters,
                self.limit,
                tuple(layer.taps for layer in self.kernels.layers),
                tuple(p // unit for p in pixels),
            ),
            tuple(costs),
            edge(moved.weights),
            edge(moved.ofmap),
            unit,
            fit,
            array_ticks(hardware, compute, TensorBits(moved.ifmap, 0, 0)),
            held,
        )

    def mapping(
        self, stationary: Stationary, ci: int, rank: int, rounds: Rounds, tile: Tiles
    ) -> SharedMapping:
        """The mapping of a choice, its sliding axis None where nothing slides."""
        batch, *spatial = (int(t) for t in self.grid.tiles(np.asarray(rank)))
        slide = int(tile.table.slide[0])
        slides = slide >= 0 and not (stationary is Stationary.OUTPUT and self.trips_ci[ci] > 1)
        axis = slide if slides else None
        return SharedMapping(int(self.ci[ci]), batch, tuple(spatial), rounds, stationary, axis)

    def price(self, latency: Num, bits: Num, ports: Num) -> Price:
        """Of a latency [ticks], traffic, and bits between buffer and array, which only sums look at."""
        return Price.of(latency, bits, self.energy and self.energy.quanta(ports, bits, latency))

    def _prices(
        self,
        stationary: Stationary,
        rounds: Num,
        trips_ci: Num,
        tiles: Tiles,
        compute: Num,
        held: TensorBits,
        ports: Num,
        runs: Runs | None = None,
    ) -> Price:
        bits = self.run_bits(stationary, rounds, trips_ci, tiles.table, runs)
        setup = self.setup(stationary, rounds, trips_ci, tiles.table)
        return self.price(self.latency(self.array(compute, held), bits, setup), bits, ports)


def most_units(free: Num, each: Num, extent: Num) -> Num:
    """How many units of ``each`` bits fit into what is free, at most all; all if they take nothing."""
    return np.where(each > 0, np.minimum(free // np.maximum(each, 1), extent), extent)
