"""The relaxation of shared ifmap tiles: the models of ``formulation.relaxed``, read in another way.

The rounds play the output-channel trips. With ``N = J*Co`` filters in all and R rounds, a round holds
``N / R`` of them on average, with ``sum_j taps_j / J`` taps each and, per axis, the mean over the phases of
their clipped tile; the largest round is no smaller than the mean one, so weights and ofmap tiles are
under-estimated. Intervals are those of the hulls. The compute cycles are, whatever the packing, at least
those without split passes,

    groups * sum_j ceil(Co / limit) * least a_ci(j) * a_sp(j)

which is a function of the spatial tiles alone; it is under-estimated over their trips as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np

from dnns.axes import TransposedAxis
from formulation.bounds import compulsory_bits
from formulation.cost import fits, footprint, held_bits
from formulation.extents import Ints
from formulation.hardware import Halo
from formulation.hull import grid_extent, hull_table
from formulation.relaxed_data import Relaxation, Variant
from formulation.shared_space import SharedSpace
from formulation.shared_tiles import Tiles
from formulation.underestimates import Underestimate, underestimate

_GRID = 1 << 14  # most spatial tiles of which a table is made
_ONE = Underestimate(1, ((1.0, 0.0),))


@dataclass(frozen=True, slots=True)
class _View:
    """What the models see as the layer: means over the sub-kernels."""

    axes: tuple[TransposedAxis, ...]
    groups: int
    taps: float
    weight_words: int
    ofmap_words: int


@dataclass(frozen=True, slots=True)
class _Problem:
    """What the models see as the problem."""

    layer: _View
    hardware: Any
    objective: Any
    partition: Any


class SharedRelaxation(Relaxation):
    """A shared problem's share of the relaxed models.

    Args:
        space: of the problem.
    """

    def __init__(self, space: SharedSpace) -> None:
        self.space, self.shared = space, space.problem
        kernels, deconv = space.kernels, space.problem.deconv
        taps = Fraction(space.taps, len(kernels.layers))
        view = _View(deconv.axes, deconv.groups, float(taps), kernels.weight_words, kernels.ofmap_words)
        self.problem: Any = _Problem(view, space.hardware, self.shared.objective, self.shared.partition)
        self.filters = deconv.out_channels * len(kernels.layers)
        spatial = {f"axis{i}": grid_extent(axis) for i, axis in enumerate(deconv.axes)}
        channels = {"co": self.filters, "ci": deconv.in_channels, "batch": deconv.batch}
        self.extents = channels | spatial

    @property
    def heading(self) -> tuple[str, ...]:
        """Lines that say what the models are of, and what is meant by their dimensions."""
        count = len(self.space.kernels.layers)
        rounds = (
            f"ifmap tiles shared by {count} sub-kernels: co are their {self.filters} filters, cut into rounds"
        )
        return f"{self.shared.deconv}", f"{self.space.hardware}", f"{rounds}; axes are of the common grid"

    @cached_property
    def compulsory_bits(self) -> int:
        """The unit of the models' traffic: without outputs that no tap reaches."""
        zeros = self.space.kernels.zero_words * self.space.hardware.bits.ofmap
        return compulsory_bits(self.shared.deconv, self.space.hardware) - zeros

    @cached_property
    def roofline_ticks(self) -> Fraction:
        """The unit of the models' latency [ticks]."""
        hardware = self.space.hardware
        compute = Fraction(self.shared.deconv.macs * hardware.tick.per_cycle, hardware.rows * hardware.cols)
        return max(compute, Fraction(self.compulsory_bits * hardware.tick.per_bit))

    @cached_property
    def roofline_cycles(self) -> float:
        """The unit of the models' latency [cycles]."""
        return float(self.roofline_ticks / self.space.hardware.tick.per_cycle)

    def _tile_fits(self, tile: Mapping[str, int], trips_ci: int) -> bool:
        """Whether tiles no larger than these do; a round holds a filter of the largest sub-kernel."""
        layers = self.space.kernels.layers
        sizes = [tile[f"axis{i}"] for i in range(len(self.problem.layer.axes))]
        tables = [hull_table(axis) for axis in self.problem.layer.axes]
        words = tile["batch"] * prod(int(t.largest[n - 1]) for t, n in zip(tables, sizes, strict=True))
        taps = max(self.shared.most_taps, tile["co"] * self.space.taps // len(layers))
        ofmap = tile["batch"]
        held = held_bits(self.space.hardware, tile["ci"] * words, ofmap, tile["ci"] * taps, trips_ci)
        return bool(fits(self.space.hardware, self.shared.partition, footprint(self.space.hardware, held)))

    def _slides(self) -> list[int | None]:
        if self.space.hardware.halo is Halo.REFETCH:
            return [None]
        tables = [hull_table(axis) for axis in self.problem.layer.axes]
        return [i for i, t in enumerate(tables) if (t.slid < t.fetched).any()] or [None]

    def underestimates(self, variant: Variant) -> dict[str, dict[str, Underestimate]]:
        """Of each epigraph variable, by its name and index."""
        fetched, largest = {}, {}
        for i, axis in enumerate(self.problem.layer.axes):
            of_axis = _axis_underestimates(axis)
            fetched[f"axis{i}"] = of_axis["slid" if variant.slide == i else "fetched"]
            largest[f"axis{i}"] = of_axis["largest"]
        found = {"fetched": fetched, "largest": largest}
        if variant.structure.timed:
            found["cycles"] = {"co": _ONE, "ci": _ONE, "sp": self._cycles}
        return found

    @cached_property
    def _cycles(self) -> Underestimate:
        """Of the least compute cycles of one group, in the number of spatial tiles."""
        space, grid = self.space, self.space.grid
        groups = self.problem.layer.groups
        if len(grid) <= _GRID:
            tables = list(grid.slabs())
            cycles = np.concatenate([space.roughest_cycles(space.tiles(t)) for t in tables])
            trips = np.concatenate([t.trips for t in tables])
            return underestimate(trips, np.asarray(cycles // groups, dtype=np.int64), 1)
        whole: Tiles = space.rough_tiles(next(iter(grid.slabs())).take(np.array([0])))
        return Underestimate(1, ((float(int(space.roughest_cycles(whole)[0]) // groups), 0.0),))

    def load(self, model: Any, variant: Variant, aim: Any) -> None:
        """Set a model's parameters; tiles' extents are the phases' mean."""
        super().load(model, variant, aim)
        for i, axis in enumerate(self.problem.layer.axes):
            model.product[f"axis{i}"].set_value(_mean_product(axis))
        stored = all(bool(hull_table(axis).fetched.all()) for axis in self.problem.layer.axes)
        model.ifmap_stored.set_value(float(stored))

    def _load_layer(self, m: Any) -> None:
        layer = self.problem.layer
        for name in ("groups", "taps", "weight_words", "ofmap_words"):
            getattr(m, name).set_value(float(getattr(layer, name)))
        for dim, extent in self.extents.items():
            m.extent[dim].set_value(float(extent))


@lru_cache(maxsize=512)
def _axis_underestimates(axis: TransposedAxis) -> dict[str, Underestimate]:
    table = hull_table(axis)
    if not table.fetched.all():
        return dict.fromkeys(("fetched", "slid", "largest"), _ONE)
    powers = {"fetched": 1, "slid": 1, "largest": -1}
    return {name: underestimate(table.trips, getattr(table, name), p) for name, p in powers.items()}


def _mean_product(axis: TransposedAxis) -> float:
    """Least ``trips * mean clipped tile`` over the tile sizes of an axis."""
    table = hull_table(axis)
    outs: Ints = np.array([phase.out for phase in axis.phases if phase.taps])
    clipped = np.minimum.outer(table.tile, outs).mean(axis=1)
    return float((table.trips * clipped).min()) * (1 - 1e-12)
