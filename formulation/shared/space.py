"""The map space of a deconvolution with shared ifmap tiles, and what any mapping in a part of it costs.

A mapping is a choice of four: a tile of the common grid (and the batch), an input-channel tile, the number
of rounds R with the packing of filters into them, and a loop order. Traffic depends on the packing only
through R. With all but the packing fixed, ``bounds`` says what the array and the edge cost at least:

    P >= Co*sum_j taps_j / R, a multiple of the taps' common divisor;   Q >= Co*sum_j pixels_j / R
    without a split pass:  rounds hold v or v-1 units of whole passes, so the v-rounds hold the rest
    with split passes:     as many more passes as the buffer's P and Q force, at least one
"""

from __future__ import annotations

from functools import cached_property
from math import gcd, prod

import numpy as np

from formulation.cost import (
    Num,
    TensorBits,
    Trips,
    array_passes,
    fits,
    footprint,
    group_cycles,
    held_bits,
    setup_cycles,
    spatial_tiles,
    traffic,
)
from formulation.extents import Ints, trip_count
from formulation.hardware import Rates
from formulation.mapping import Group, Stationary
from formulation.pricing.bursts import Runs, all_passes, pinned
from formulation.pricing.price import Price, array_ticks, overlapped
from formulation.shared.bursts import shared_runs
from formulation.shared.counts import shared_counts
from formulation.shared.energy import SharedEnergy
from formulation.shared.packing.rounds import Items
from formulation.shared.packing.search import PackingProblem
from formulation.shared.problem import Rounds, SharedMapping, SharedProblem
from formulation.shared.tiles import KernelKind, Tiles, streams, undominated_channels
from formulation.space.counts import SAFE, Counts
from formulation.space.space import CLASSES
from formulation.space.tables import SpatialTable, TileGrid

#: Cycles, or ticks that are not wide: no mapping has more.
FAR = SAFE - 1


class SharedSpace:
    """All mappings of a shared problem.

    Attributes:
        problem: the problem.
        grid: tiles over the batch and the common grid.
        ci: undominated input-channel tiles.
        trips_ci: their trip counts.
        wide: whether latencies are ``WideTicks``.
        energy: what its mappings spend; None where nothing is summed.

    Raises:
        TooLargeError: if 64 bits do not hold what is counted.
    """

    def __init__(self, problem: SharedProblem) -> None:
        self.problem, self.kernels, self.hardware = problem, problem.kernels, problem.hardware
        deconv = problem.deconv
        self.grid = TileGrid(self.kernels.dims, deconv.in_channels, problem.hardware)
        self.shapes = list(dict.fromkeys(tuple(a.out for a in y.axes) for y in self.kernels.layers))
        summed = problem.rates is not None
        alike: dict[tuple[int, ...], list[int]] = {}
        for j, layer in enumerate(self.kernels.layers):
            shape = self.shapes.index(tuple(a.out for a in layer.axes))
            reads = (layer.ifmap_reads,) if summed else ()
            alike.setdefault((layer.taps, shape, *reads), []).append(j)
        self.kinds = [KernelKind(self.kernels.layers[m[0]], tuple(m), s) for (_, s, *_), m in alike.items()]
        self.ci, self.trips_ci, self.ci_cycles = self._channels()
        self.streams = streams(problem.hardware)
        self.filters = deconv.out_channels
        self.limit = self.filters if self.streams else min(self.hardware.cols, self.filters)
        self.taps = sum(layer.taps for layer in self.kernels.layers)
        self.passes = len(self.kernels.layers) * -(-self.filters // self.limit)
        counts = self._counts()
        self.wide = counts.are_wide(self.hardware)
        self.energy = None if problem.rates is None else self._energy(counts, problem.rates)

    def _channels(self) -> tuple[Ints, Ints, Ints]:
        """Input-channel tiles, as of ``undominated_channels``."""
        return undominated_channels(self.kinds, self.hardware)

    def runs(self, table: SpatialTable, rounds: Num, ci: Ints) -> Runs | None:
        """Bits of all tiles once, where runs take whole bursts; ``ci`` are positions in ``ci``; else None."""
        if not self.hardware.burst_bytes:
            return None
        alike = [(kind.layer, len(kind.members)) for kind in self.kinds]
        sizes = self.grid.tiles(table.rank)
        return shared_runs(self.problem.deconv, alike, self.hardware, rounds, self.ci[ci], sizes)

    def _counts(self) -> Counts:
        """What 64 bits must hold; raises TooLargeError."""
        return shared_counts(self.problem).checked(self.problem.deconv.name)

    def parts(self, held: TensorBits) -> TensorBits:
        """The tiles that take a part of the buffer."""
        return held

    def edge(self, held: TensorBits, spills: bool = False) -> TensorBits:
        """The tiles that move before and after the array works; ``spills``: partial sums move."""
        return held

    def _energy(self, counts: Counts, rates: Rates) -> SharedEnergy:
        wide = counts.sum_is_wide(self.problem.deconv, self.hardware, rates)
        fewest = -(-self.filters // self.limit)
        macs = self.kernels.macs
        each = self.kinds, self.trips_ci, self.ci_cycles
        return SharedEnergy(self.hardware, rates, macs, *each, fewest, wide)

    @cached_property
    def tap_step(self) -> int:
        """Common divisor of the sub-kernels' taps."""
        return gcd(*(layer.taps for layer in self.kernels.layers))

    def tiles(self, table: SpatialTable) -> Tiles:
        """Tiles with exact cycles and pixels of every shape."""
        sizes = self.grid.tiles(table.rank)
        cycles, pixels, moved = [], [], []
        for kind, shape in zip(self._per_shape(), self.shapes, strict=True):
            extents = (self.problem.deconv.batch, *shape)
            used = [d for d, n in enumerate(self.grid.shape) if n > 1] or [0]
            tile = [np.minimum(sizes[d], extents[d]) for d in used]
            trips = [trip_count(extents[d], t) for d, t in zip(used, tile, strict=True)]
            edge = [extents[d] - (n - 1) * t for d, n, t in zip(used, trips, tile, strict=True)]
            parts = spatial_tiles(trips, tile, edge)
            cycles.append(group_cycles(kind.layer, self.hardware, Group.SP, prod(trips), parts))
            pixels.append(prod(tile))
            moved.append(array_passes(self.hardware, Group.SP, prod(trips), cycles[-1]))
        return Tiles(table, np.array(cycles), np.array(pixels), np.array(moved) if self.energy else None)

    def rough_tiles(self, table: SpatialTable) -> Tiles:
        """Tiles with a bound below their cycles, as if all pixels were one tile, and below their pixels."""
        every = np.ones(len(table), dtype=np.int64)
        cycles = [
            every * group_cycles(kind.layer, self.hardware, Group.SP, 1, [(1, kind.layer.pixels)])
            for kind in self._per_shape()
        ]
        moved = [array_passes(self.hardware, Group.SP, every, each) for each in cycles]
        ones = np.ones((len(self.shapes), len(table)), dtype=np.int64)
        return Tiles(table, np.array(cycles), ones, np.array(moved) if self.energy else None)

    def _per_shape(self) -> list[KernelKind]:
        return [next(k for k in self.kinds if k.shape == s) for s in range(len(self.shapes))]

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

    def all_pixels(self, tiles: Tiles) -> Num:
        """Ofmap words of one tile if all filters were in one round."""
        return self.filters * sum(len(k.members) * tiles.pixels[k.shape] for k in self.kinds)

    def moved_bits(
        self,
        stationary: Stationary,
        rounds: Num,
        trips_ci: Num,
        table: SpatialTable,
        runs: Runs | None = None,
    ) -> Num:
        """Traffic [bits]: exact, but for bursts without ``runs``, which words are below."""
        n = Trips(rounds, trips_ci, table.trips)
        if runs is not None:
            return pinned(self.kernels.groups, all_passes(stationary, n), runs).total
        moved = traffic(self.kernels, stationary, n, table.fetched, table.slid)
        return moved.bits(self.hardware)

    def setup(self, stationary: Stationary, rounds: Num, trips_ci: Num, table: SpatialTable) -> Num:
        """Cycles to set the transfers up: exact."""
        n = Trips(rounds, trips_ci, table.trips)
        return setup_cycles(self.hardware, self.kernels.groups, stationary, n)

    @property
    def factors(self) -> tuple[int, int]:
        """The filters' factor of the cycles of a sub-kernel: whatever its packing, and of each pass."""
        return (self.filters, self.hardware.fill_cycles) if self.streams else (0, 1)

    def pass_cost(self, kind: int, tiles: Tiles, ci: Num) -> tuple[Num, Num]:
        """Cycles of a sub-kernel whatever its packing, and of each pass; ``ci`` are positions in ``ci``."""
        cycles = self.problem.deconv.groups * self.ci_cycles[kind, ci]
        cycles = cycles * tiles.cycles[self.kinds[kind].shape]
        fixed, each = self.factors
        return cycles * fixed, cycles * each

    def least_cycles(self, tiles: Tiles, ci: Num) -> Num:
        """Compute cycles without split passes; the least there are."""
        total: Num = 0
        for k, kind in enumerate(self.kinds):
            fixed, each = self.pass_cost(k, tiles, ci)
            total = total + len(kind.members) * (fixed + each * -(-self.filters // self.limit))
        return total

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

    def roughest_cycles(self, tiles: Tiles, among: Ints, rounds: int = 1) -> Num:
        """As ``least_cycles``, each kind with its own best input-channel tile.

        No round is empty, so that there are at least as many passes as rounds; those beyond the least there
        are cost no less than the cheapest.

        Args:
            tiles: the tiles.
            among: positions in ``ci``.
            rounds: at least so many.
        """
        total, cheapest = 0, []
        for k, kind in enumerate(self.kinds):
            fixed, each = self.pass_cost(k, tiles, among[int(np.argmin(self.ci_cycles[k, among]))])
            total = total + len(kind.members) * (fixed + each * -(-self.filters // self.limit))
            cheapest.append(each)
        return total + max(rounds - self.passes, 0) * np.minimum.reduce(cheapest)

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
        bits = self.moved_bits(stationary, rounds, trips_ci, tiles.table, runs)
        setup = self.setup(stationary, rounds, trips_ci, tiles.table)
        return self.price(self.latency(self.array(compute, held), bits, setup), bits, ports)


def most_units(free: Num, each: Num, extent: Num) -> Num:
    """How many units of ``each`` bits fit into what is free, at most all; all if they take nothing."""
    return np.where(each > 0, np.minimum(free // np.maximum(each, 1), extent), extent)
