"""The relaxation of a layer: what of its mappings the models need, from the layer's own tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import prod

from dnns.axes import Axis
from formulation.cost import fits, footprint, tile_bits
from formulation.extents import full_axis_table
from formulation.hardware import Halo
from formulation.mapping import Group
from formulation.problem import Problem
from formulation.relaxed.classes import Body, Relaxation, Variant
from formulation.relaxed.underestimates import (
    Underestimate,
    always_fetches,
    axis_underestimates,
    channel_cycles_underestimate,
    spatial_cycles_underestimate,
)
from formulation.words import in_words


class LayerRelaxation(Relaxation):
    """A layer's share of all its relaxed models.

    Args:
        problem: the layer's.
    """

    problem: Problem

    def __init__(self, problem: Problem) -> None:
        self.problem, layer = problem, problem.layer
        numbers = layer.groups, layer.taps, layer.weight_words, layer.ofmap_words
        self.body = Body(len(layer.axes), *numbers, layer.macs, layer.ifmap_reads)
        spatial = {f"axis{i}": axis.out for i, axis in enumerate(layer.axes)}
        channels = {"co": layer.out_channels, "ci": layer.in_channels, "batch": layer.batch}
        self.extents = channels | spatial
        self._made: dict[Variant, dict[str, dict[str, Underestimate]]] = {}

    @property
    def heading(self) -> tuple[str, ...]:
        """Lines that say what the models are of."""
        return tuple(in_words(self.problem))

    @cached_property
    def stored(self) -> bool:
        """Whether there is an ifmap however the axes are cut."""
        return all(always_fetches(axis) for axis in self.problem.layer.axes)

    def _tile_fits(self, tile: Mapping[str, int], trips_ci: int) -> bool:
        layer, hardware = self.problem.layer, self.problem.hardware
        spatial = [tile[f"axis{i}"] for i in range(len(layer.axes))]
        largest = [int(full_axis_table(a).largest[t - 1]) for a, t in zip(layer.axes, spatial, strict=True)]
        words, pixels = tile["batch"] * prod(largest), tile["batch"] * prod(spatial)
        held = tile_bits(layer, hardware, tile["co"], tile["ci"], words, pixels, trips_ci)
        return bool(fits(hardware, self.problem.partition, footprint(hardware, held)))

    def _slides(self) -> list[int | None]:
        if self.problem.hardware.halo is Halo.REFETCH:
            return [None]
        tables = [full_axis_table(axis) for axis in self.problem.layer.axes]
        return [i for i, table in enumerate(tables) if (table.slid < table.fetched).any()] or [None]

    def underestimates(self, variant: Variant) -> dict[str, dict[str, Underestimate]]:
        """Of each epigraph variable, by its name and index."""
        if variant not in self._made:
            self._made[variant] = self._underestimates(variant)
        return self._made[variant]

    def _underestimates(self, variant: Variant) -> dict[str, dict[str, Underestimate]]:
        axes = {f"axis{i}": axis for i, axis in enumerate(self.problem.layer.axes)}
        each = {d: self._axis(variant, d, axis) for d, axis in axes.items()}
        found = {
            "fetched": {d: fetched for d, (fetched, _) in each.items()},
            "largest": {d: largest for d, (_, largest) in each.items()},
        }
        if variant.structure.cyclic:
            found["cycles"] = {g.value: self._cycles_of(variant, g) for g in (Group.SP, Group.CO, Group.CI)}
        return found | self._writes(variant)

    def _axis(self, variant: Variant, dim: str, axis: Axis) -> tuple[Underestimate, Underestimate]:
        """Of an axis: the sum of its input intervals, slid where the class slides, and the longest one."""
        under = axis_underestimates(axis, *variant.tile_range(dim))
        slides = variant.slide is not None and dim == f"axis{variant.slide}"
        return under.slid if slides else under.fetched, under.largest

    def _cycles_of(self, variant: Variant, group: Group) -> Underestimate:
        """Of a group's factor of the compute cycles."""
        layer, hardware = self.problem.layer, self.problem.hardware
        if group is Group.SP:
            ranges = tuple(variant.tile_range(d) for d in variant.structure.spatial)
            return spatial_cycles_underestimate(layer, hardware, ranges)
        return channel_cycles_underestimate(layer, hardware, group, *variant.tile_range(group.value))
