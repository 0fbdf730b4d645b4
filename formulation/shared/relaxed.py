"""The relaxation of shared ifmap tiles: the models of ``formulation.relaxed.model``, read in another way.

The rounds play the output-channel trips. With ``N = J*Co`` filters in all and R rounds, a round holds
``N / R`` of them on average, with ``sum_j taps_j / J`` taps each and, per axis, the mean over the phases of
their clipped tile; the largest round is no smaller than the mean one, so weights and ofmap tiles are
under-estimated. Intervals are those of the hulls. The compute cycles are, whatever the packing, at least
those without split passes,

    groups * sum_j ceil(Co / limit) * least a_ci(j) * a_sp(j)

which is a function of the spatial tiles alone; it is under-estimated over their trips as a whole. Likewise
the bits at the array's ports, each tensor's over those of one pass: the ifmap's over the rounds (none is
empty, so that there are as many passes more than the fewest as rounds more than these), the weights' over
the spatial trips, the ofmap's over those of the input channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np

from dnns.axes import TransposedAxis
from formulation.cost import fits, footprint, held_bits
from formulation.extents import Ints
from formulation.hardware import Halo
from formulation.relaxed.classes import Body, Relaxation, Variant
from formulation.relaxed.structure import Structure
from formulation.relaxed.underestimates import Underestimate, underestimate
from formulation.shared.hull import grid_extent, hull_table
from formulation.shared.problem import SharedProblem
from formulation.shared.space import SharedSpace
from formulation.shared.tiles import Tiles
from formulation.words import deconvolution_words, machine_words

_GRID = 1 << 14  # most spatial tiles of which a table is made
_ONE = Underestimate(1, ((1.0, 0.0),))


@dataclass(frozen=True, slots=True)
class SharedVariant(Variant):
    """A class of mappings with shared ifmap tiles.

    Attributes:
        rounds: fewest and most of them, the trips of ``co``.
    """

    rounds: tuple[int, int]

    def trips_range(self, dim: str) -> tuple[int, int]:
        """Least and most trips of a dimension."""
        return self.rounds if dim == "co" else Variant.trips_range(self, dim)


class SharedRelaxation(Relaxation):
    """A shared problem's share of the relaxed models.

    Args:
        space: of the problem.
    """

    apart = True
    problem: SharedProblem

    def __init__(self, space: SharedSpace) -> None:
        self.space, self.problem = space, space.problem
        kernels, deconv = space.kernels, space.problem.deconv
        taps = Fraction(space.taps, len(kernels.layers))
        macs, reads = (sum(getattr(y, name) for y in kernels.layers) for name in ("macs", "ifmap_reads"))
        words = kernels.weight_words, kernels.ofmap_words
        self.body = Body(len(deconv.axes), deconv.groups, float(taps), *words, macs, reads)
        self.filters = deconv.out_channels * len(kernels.layers)
        spatial = {f"axis{i}": grid_extent(axis) for i, axis in enumerate(deconv.axes)}
        channels = {"co": self.filters, "ci": deconv.in_channels, "batch": deconv.batch}
        self.extents = channels | spatial
        self._known: dict[Any, Underestimate] = {}
        self._known_ports: dict[Any, dict[str, Underestimate]] = {}
        self._listed: dict[Any, tuple[Tiles, bool]] = {}

    @property
    def heading(self) -> tuple[str, ...]:
        """Lines that say what the models are of, and what is meant by their dimensions."""
        count = len(self.space.kernels.layers)
        rounds = (
            f"ifmap tiles shared by {count} sub-kernels: co are their {self.filters} filters, cut into rounds"
        )
        lines = deconvolution_words(self.problem.deconv), *machine_words(self.space.hardware)
        return *lines, f"{rounds}; axes are of the common grid"

    @cached_property
    def stored(self) -> bool:
        """Whether there is an ifmap however the axes of the grid are cut."""
        return all(bool(hull_table(axis).fetched.all()) for axis in self.problem.deconv.axes)

    def _whole(self, structure: Structure, slide: int | None) -> Variant:
        whole = super()._whole(structure, slide)
        return SharedVariant(structure, slide, whole.tiles, whole.extents, (1, self.filters))

    def counts(self, variant: Variant, dim: str) -> Ints:
        """As of an ordinary layer; every number of rounds is one, the most rounds first."""
        if dim != "co":
            return super().counts(variant, dim)
        fewest, most = variant.trips_range(dim)
        return np.arange(most, fewest - 1, -1)

    def part(self, variant: Variant, dim: str, first: int, last: int) -> Variant:
        """The part of a class between two positions of ``counts``, both included."""
        if dim != "co":
            return super().part(variant, dim, first, last)
        _, most = variant.trips_range(dim)
        assert isinstance(variant, SharedVariant)
        return replace(variant, rounds=(most - last, most - first))

    def _tile_fits(self, tile: Mapping[str, int], trips_ci: int) -> bool:
        return self._rounds_fit(tile, self.filters, trips_ci)

    def _smallest_fits(self, variant: Variant) -> bool:
        tile = {d: variant.tile_range(d)[0] for d in self.extents}
        return self._rounds_fit(tile, variant.trips_range("co")[1], 1 + variant.structure.partial_sums)

    def _rounds_fit(self, tile: Mapping[str, int], rounds: int, trips_ci: int) -> bool:
        """Whether tiles no larger than these do, in so many rounds.

        The fullest round holds a filter of the largest sub-kernel, and no less than the mean round.
        """
        space, axes = self.space, self.problem.deconv.axes
        sizes = [tile[f"axis{i}"] for i in range(len(axes))]
        words = prod(int(hull_table(axis).largest[n - 1]) for axis, n in zip(axes, sizes, strict=True))
        clipped = [np.minimum(_outs(axis), n) for axis, n in zip(axes, sizes, strict=True)]
        every = self.problem.deconv.out_channels * prod(int(c.sum()) for c in clipped)
        pixels = max(-(-every // rounds), prod(int(c.max()) for c in clipped))
        held = held_bits(
            space.hardware,
            tile["ci"] * tile["batch"] * words,
            tile["batch"] * pixels,
            tile["ci"] * int(self._most_weights(np.array([rounds]))[0]),
            trips_ci,
        )
        return bool(fits(space.hardware, self.problem.partition, footprint(space.hardware, held)))

    def _most_weights(self, rounds: Ints) -> Ints:
        """Weights per input channel of the fullest of so many rounds, at least."""
        step, words = self.space.tap_step, self.space.taps * self.problem.deconv.out_channels
        return np.maximum(step * -(-words // (step * rounds)), self.problem.most_taps)

    def _slides(self) -> list[int | None]:
        if self.space.hardware.halo is Halo.REFETCH:
            return [None]
        tables = [hull_table(axis) for axis in self.problem.deconv.axes]
        return [i for i, t in enumerate(tables) if (t.slid < t.fetched).any()] or [None]

    def underestimates(self, variant: Variant) -> dict[str, dict[str, Underestimate]]:
        """Of each epigraph variable, by its name and index."""
        fetched, largest = {}, {}
        for i, axis in enumerate(self.problem.deconv.axes):
            of_axis = _axis_underestimates(axis, *variant.tile_range(f"axis{i}"))
            fetched[f"axis{i}"] = of_axis["slid" if variant.slide == i else "fetched"]
            largest[f"axis{i}"] = of_axis["largest"]
        found = {"fetched": fetched, "largest": largest}
        if variant.structure.timed:
            least, most = variant.trips_range("ci")
            among = np.flatnonzero((least <= self.space.trips_ci) & (self.space.trips_ci <= most))
            cycles = self._cycles(variant.tiles[2:], variant.trips_range("co")[0], tuple(map(int, among)))
            found["cycles"] = {"co": _ONE, "ci": _ONE, "sp": cycles}
        if variant.structure.apart:
            found["ports"] = self._ports(variant)
        return found | self._writes(variant)

    def _ports(self, variant: Variant) -> dict[str, Underestimate]:
        """Of how often tensors go between buffer and array, over all sub-kernels, by group of loops."""
        rounds, channels = variant.trips_range("co"), variant.tile_range("ci")
        energy, key = self.space.energy, (variant.tiles[2:], rounds, channels)
        assert energy is not None
        if key not in self._known_ports:
            tiles, few = self._tiles(variant.tiles[2:])
            trips = tiles.table.trips if few else np.ones(1, dtype=np.int64)
            self._known_ports[key] = {
                "co": underestimate(*energy.ifmap_passes(*rounds), 1),
                "ci": underestimate(*energy.ofmap_passes(*channels), 1),
                "sp": underestimate(trips, energy.weight_passes(tiles), 1),
            }
        return self._known_ports[key]

    def _cycles(
        self, ranges: tuple[tuple[int, int], ...], rounds: int, among: tuple[int, ...]
    ) -> Underestimate:
        """Of the least compute cycles of one group, in the number of spatial tiles.

        Args:
            ranges: smallest and greatest tile of the batch and of each axis.
            rounds: at least so many.
            among: positions of the input-channel tiles.
        """
        if (ranges, rounds, among) not in self._known:
            groups, positions = self.body.groups, np.array(among)
            tiles, few = self._tiles(ranges)
            cycles = self.space.roughest_cycles(tiles, positions, rounds) // groups
            trips = tiles.table.trips if few else np.ones(1, dtype=np.int64)
            self._known[ranges, rounds, among] = underestimate(trips, np.asarray(cycles, dtype=np.int64), 1)
        return self._known[ranges, rounds, among]

    def _tiles(self, ranges: tuple[tuple[int, int], ...]) -> tuple[Tiles, bool]:
        """All tiles in the given ranges; if they are many, one that takes no more cycles than any."""
        if ranges not in self._listed:
            few = prod(most - least + 1 for least, most in ranges) <= _GRID
            picks = [np.arange(least - 1, most if few else least) for least, most in ranges]
            table, space = self.space.grid.table(picks), self.space
            self._listed[ranges] = (space.tiles(table) if few else space.rough_tiles(table)), few
        return self._listed[ranges]

    def product(self, variant: Variant, dim: str) -> float:
        """Least ``n * tile``: of an axis the phases' mean, of the rounds the filters in all.

        A round of the fullest has ``ceil(N / R)`` filters, each with the pixels of the smallest sub-kernel at
        least; that is more than the mean round's if the sub-kernels are alike.
        """
        if dim == "co":
            return self._filled(variant)[1]
        if dim.startswith("axis"):
            return _mean_product(self.problem.deconv.axes[int(dim[4:])], *variant.tile_range(dim))[0]
        return super().product(variant, dim)

    def _filled(self, variant: Variant) -> tuple[float, float]:
        """The least ``R *`` weights per input channel, and filters, of the fullest of R rounds."""
        fewest, most = variant.trips_range("co")
        rounds = np.arange(fewest, most + 1)
        weights = float((rounds * self._most_weights(rounds)).min())
        alike = prod(
            _mean_product(axis, *variant.tile_range(f"axis{i}"))[1]
            for i, axis in enumerate(self.problem.deconv.axes)
        )
        filters = max(float(self.filters), float((rounds * -(-self.filters // rounds)).min()) * alike)
        return weights * (1 - 1e-12), filters * (1 - 1e-12)

    def taps(self, variant: Variant) -> float:
        """Those that the fullest round's weights come to per filter."""
        weights, filters = self._filled(variant)
        return weights / filters


def _outs(axis: TransposedAxis) -> Ints:
    """Outputs of the phases that have taps."""
    return np.array([phase.out for phase in axis.phases if phase.taps])


@lru_cache(maxsize=4096)
def _axis_underestimates(axis: TransposedAxis, smallest: int, greatest: int) -> dict[str, Underestimate]:
    """Of an axis cut into tiles of ``smallest`` to ``greatest`` points of the grid."""
    table = hull_table(axis)
    if not table.fetched.all():
        return dict.fromkeys(("fetched", "slid", "largest"), _ONE)
    at = slice(smallest - 1, greatest)
    powers = {"fetched": 1, "slid": 1, "largest": -1}
    return {name: underestimate(table.trips[at], getattr(table, name)[at], p) for name, p in powers.items()}


@lru_cache(maxsize=4096)
def _mean_product(axis: TransposedAxis, smallest: int, greatest: int) -> tuple[float, float]:
    """Of tile sizes of a range: least ``trips * mean clipped tile``, least share of the mean that any has."""
    table, at = hull_table(axis), slice(smallest - 1, greatest)
    clipped = np.minimum.outer(table.tile[at], _outs(axis))
    mean = clipped.mean(axis=1)
    return float((table.trips[at] * mean).min()) * (1 - 1e-12), float((clipped.min(axis=1) / mean).min())
