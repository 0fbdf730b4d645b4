"""The tiles of a deconvolution with shared ifmap tiles, and the array's cycles of them, as tables."""

from __future__ import annotations

from functools import cached_property
from math import gcd, prod

import numpy as np

from formulation.cost import Num, array_passes, group_cycles
from formulation.extents import Ints, spatial_tiles, trip_count
from formulation.hardware import Rates
from formulation.mapping import Group
from formulation.shared.counts import shared_counts
from formulation.shared.energy import SharedEnergy
from formulation.shared.problem import SharedProblem
from formulation.shared.tiles import KernelKind, Tiles, streams, undominated_channels
from formulation.space.counts import Counts
from formulation.space.tables import SpatialTable, TileGrid


class SharedTables:
    """The tiles of a shared problem, and what the array takes for them.

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

    def _counts(self) -> Counts:
        """What 64 bits must hold; raises TooLargeError."""
        return shared_counts(self.problem).checked(self.problem.deconv.name)

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

    def all_pixels(self, tiles: Tiles) -> Num:
        """Ofmap words of one tile if all filters were in one round."""
        return self.filters * sum(len(k.members) * tiles.pixels[k.shape] for k in self.kinds)

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
