"""The numbers of a relaxation: which models a problem has, their parameters and their variables' bounds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log, prod
from typing import Any

import numpy as np

from dnns.axes import Axis
from formulation.cost import Trips, array_passes, fits, footprint, passes, tile_bits
from formulation.extents import Ints, full_axis_table, trip_count
from formulation.hardware import Halo, Rates
from formulation.mapping import Group, Stationary
from formulation.price import Price
from formulation.problem import Problem
from formulation.relaxed.parameters import load_underestimate, set_range, switch
from formulation.relaxed.structure import LOWEST, TENSORS, Structure, class_passes
from formulation.relaxed.underestimates import (
    Underestimate,
    always_fetches,
    axis_underestimates,
    channel_cycles_underestimate,
    least_product,
    spatial_cycles_underestimate,
    underestimate,
)
from formulation.words import in_words


@dataclass(frozen=True, slots=True)
class Variant:
    """One class of mappings of a problem.

    Attributes:
        structure: of the model.
        slide: the axis along which tiles slide.
        tiles: smallest and greatest tile of each dimension, in the structure's order.
        extents: of each dimension, in the same order.
    """

    structure: Structure
    slide: int | None
    tiles: tuple[tuple[int, int], ...]
    extents: tuple[int, ...]

    def tile_range(self, dim: str) -> tuple[int, int]:
        """Smallest and greatest tile of a dimension."""
        return self.tiles[self.structure.dims.index(dim)]

    def extent(self, dim: str) -> int:
        """Extent of a dimension."""
        return self.extents[self.structure.dims.index(dim)]

    def trips_range(self, dim: str) -> tuple[int, int]:
        """Least and most trips of a dimension."""
        at = self.structure.dims.index(dim)
        smallest, greatest = self.tiles[at]
        return -(-self.extents[at] // greatest), -(-self.extents[at] // smallest)

    def restricted(self, dim: str, smallest: int, greatest: int) -> Variant:
        """The part of the class whose tiles of one dimension lie within a range."""
        at = self.structure.dims.index(dim)
        return replace(self, tiles=(*self.tiles[:at], (smallest, greatest), *self.tiles[at + 1 :]))

    @property
    def name(self) -> str:
        """For files and tables: ``weight``, ``input_partial_slide1``, ..."""
        partial = "_partial" if self.structure.partial_sums else ""
        slide = "" if self.slide is None else f"_slide{self.slide}"
        cut = "" if self.structure.cut is None else f"_cut_{self.structure.cut.value}"
        one = "".join(f"_one_{group}" for group in self.structure.one)
        return f"{self.structure.stationary.value}{cut}{partial}{one}{slide}"


@dataclass(frozen=True, slots=True)
class Aim:
    """What one solve of a relaxation minimises, and the bounds that keep its variables finite.

    Attributes:
        weights: of each quantity in the least that any mapping takes of it.
        caps: no mapping that takes more of a quantity is of interest, in the same units.
        hard: whether the latency cap is a constraint; otherwise it only follows from the objective.
    """

    weights: Price
    caps: Price
    hard: bool = False

    def terms(self, names: Collection[str]) -> Iterator[tuple[str, float, float]]:
        """Name, weight and cap of each quantity that is modelled: that is among the names."""
        every = zip(Price._fields, self.weights, self.caps, strict=True)
        return (term for term in every if term[0] in names)


class Relaxation:
    """A problem's share of all its relaxed models.

    Attributes:
        problem: the problem.
        extents: extent of each dimension, by name.
        apart: as of ``Structure``, where what is spent is modelled.
    """

    apart = False

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        layer = problem.layer
        spatial = {f"axis{i}": axis.out for i, axis in enumerate(layer.axes)}
        channels = {"co": layer.out_channels, "ci": layer.in_channels, "batch": layer.batch}
        self.extents: dict[str, int] = channels | spatial
        self._made: dict[Variant, dict[str, dict[str, Underestimate]]] = {}

    @property
    def heading(self) -> tuple[str, ...]:
        """Lines that say what the models are of."""
        return tuple(in_words(self.problem))

    @cached_property
    def least(self) -> Price:
        """The units of the models' quantities: what no mapping can beat."""
        return self.problem.least

    @property
    def rates(self) -> Rates | None:
        """Of the quantity that the objective sums; None if it sums none."""
        return self.problem.rates

    @property
    def roofline_cycles(self) -> float:
        """The unit of the models' latency, in cycles."""
        return float(self.least.latency / self.problem.hardware.tick.per_cycle)

    @property
    def compulsory_bits(self) -> int:
        """The unit of the models' traffic."""
        return int(self.least.traffic)

    @cached_property
    def stored(self) -> bool:
        """Whether there is an ifmap however the axes are cut."""
        return all(always_fetches(axis) for axis in self.problem.layer.axes)

    @property
    def transfer_bound(self) -> float:
        """Whether the roofline is that of the transfers, 1 or 0: what doubling the bandwidth is worth."""
        tick = self.problem.hardware.tick
        return float(self.compulsory_bits * tick.per_bit >= self.roofline_cycles * tick.per_cycle)

    def variants(self, timed: bool) -> Iterator[Variant]:
        """All models that are needed: every mapping is no better than the relaxation of one of them.

        Per loop order, with and without partial sums: two loop orders whose tensors all move equally often
        are one model, and one in which nothing fits is none. Sliding pays where an axis has a halo; OUTPUT
        with partial sums refetches. (An axis that does not slide moves no less than one that does.)
        """
        seen = set()
        for partial_sums in (False, True):
            for stationary in Stationary:
                structure = self._structure(stationary, partial_sums, timed)
                key = partial_sums, tuple(passes(stationary, g, structure.trips) for g in Group)
                if key in seen or not self._fits(partial_sums):
                    continue
                seen.add(key)
                slides = self._slides() if stationary is not Stationary.OUTPUT or not partial_sums else [None]
                yield from (self._whole(structure, slide) for slide in slides)

    def _structure(self, stationary: Stationary, partial_sums: bool, timed: bool) -> Structure:
        """What shapes the models of a loop order."""
        hardware, summed = self.problem.hardware, self.rates is not None
        set_up = timed and hardware.transfer_cycles > 0
        flags = hardware.double_buffered, timed, summed, summed and self.apart, set_up
        return Structure(len(self.problem.layer.axes), stationary, partial_sums, *flags)

    def _whole(self, structure: Structure, slide: int | None) -> Variant:
        """A class with all its tiles; with partial sums, the input channels are never one tile."""
        tiles = {d: (1, n) for d, n in self.extents.items()}
        channels = self.extents["ci"]
        tiles["ci"] = (1, channels - 1) if structure.partial_sums else (channels, channels)
        return Variant(structure, slide, tuple(tiles.values()), tuple(self.extents.values()))

    def _fits(self, partial_sums: bool) -> bool:
        """Whether the smallest tile does: one element per dimension, or all input channels."""
        tile = dict.fromkeys(self.extents, 1) | ({} if partial_sums else {"ci": self.extents["ci"]})
        return (not partial_sums or self.extents["ci"] > 1) and self._tile_fits(tile, 1 + partial_sums)

    def counts(self, variant: Variant, dim: str) -> Ints:
        """Trip counts of the tiles of a dimension in a class, by ascending tile."""
        smallest, greatest = variant.tile_range(dim)
        return trip_count(variant.extent(dim), np.arange(smallest, greatest + 1))

    def part(self, variant: Variant, dim: str, first: int, last: int) -> Variant:
        """The part of a class between two positions of ``counts``, both included."""
        smallest, _ = variant.tile_range(dim)
        return variant.restricted(dim, smallest + first, smallest + last)

    def is_empty(self, variant: Variant, aim: Aim) -> bool:
        """Whether a class is proven to hold no mapping: nothing fits, or the array alone takes too long."""
        late = aim.hard and self.least_compute(variant) > aim.caps.latency
        return late or not self._smallest_fits(variant)

    def least_compute(self, variant: Variant) -> float:
        """What the array takes at least [rooflines]; 0 where latency is not modelled."""
        cycles = self.underestimates(variant).get("cycles")
        if cycles is None or not variant.structure.timed:
            return 0.0
        least = sum(u.log_range(*self.log_trips_range(variant, g, "cycles"))[0] for g, u in cycles.items())
        return self.problem.layer.groups * exp(least) / self.roofline_cycles * (1 - 1e-9)

    def _smallest_fits(self, variant: Variant) -> bool:
        """Whether the smallest tile of a class fits."""
        tile = {d: variant.tile_range(d)[0] for d in self.extents}
        return self._tile_fits(tile, 1 + variant.structure.partial_sums)

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

    def _writes(self, variant: Variant) -> dict[str, dict[str, Underestimate]]:
        """Of the times that an ofmap tile moves, out and in, by the trips of the input channels."""
        if not variant.structure.set_up:
            return {}
        trips = np.unique(self.counts(variant, "ci"))
        moved = class_passes(variant.structure, Trips(1, trips, 1)).ci * np.ones_like(trips)
        return {"writes": {"ci": underestimate(trips, 2 * moved - 1, 1)}}

    def log_trips_range(self, variant: Variant, index: str, name: str = "") -> tuple[float, float]:
        """Bounds on the logarithm of the trips of a dimension, or of what an epigraph is a function of."""
        ranges = [variant.trips_range(d) for d in variant.structure.arguments(name, index)]
        return sum(log(low) for low, _ in ranges), sum(log(high) for _, high in ranges)

    def lift(self, variant: Variant, trips: Mapping[str, float], above: float = 0.0) -> dict[str, float]:
        """The logarithmic variables for given trip counts, by ``name[index]``.

        Those of the epigraphs are ``above`` their least.
        """
        structure, log_trips = variant.structure, {d: log(n) for d, n in trips.items()}
        point = {f"log_trips[{d}]": log_trips[d] for d in structure.dims}
        for name, family in self.underestimates(variant).items():
            for index, under in family.items():
                at = sum(log_trips[d] for d in structure.arguments(name, index))
                point[f"log_{name}[{index}]"] = float(under.log(at)) + above
        return point

    def product(self, variant: Variant, dim: str) -> float:
        """The least ``n * tile`` of a dimension, so that ``tile >= product / n``."""
        return float(least_product(variant.extent(dim), *variant.tile_range(dim)))

    def load(self, model: Any, variant: Variant, aim: Aim) -> None:
        """Set a model's parameters and its variables' bounds to this problem's."""
        self._load_layer(model)
        for dim in variant.structure.dims:
            model.product[dim].set_value(self.product(variant, dim))
        self._load_machine(model, aim)
        for name, family in self.underestimates(variant).items():
            for index, under in family.items():
                load_underestimate(model, name, index, under)
                low, high = self.log_trips_range(variant, index, name)
                low, high = under.log_range(low, high)
                getattr(model, f"log_{name}")[index].setlb(low)
                getattr(model, f"log_{name}")[index].setub(high)
        for dim in variant.structure.dims:
            low, high = self.log_trips_range(variant, dim)
            model.log_trips[dim].setlb(low)
            model.log_trips[dim].setub(high)

    def _load_layer(self, m: Any) -> None:
        layer = self.problem.layer
        m.ifmap_stored.set_value(float(self.stored))
        m.groups.set_value(float(layer.groups))
        m.taps.set_value(float(layer.taps))
        m.weight_words.set_value(float(layer.weight_words))
        m.ofmap_words.set_value(float(layer.ofmap_words))
        for dim, extent in self.extents.items():
            m.extent[dim].set_value(float(extent))

    def _load_machine(self, m: Any, aim: Aim) -> None:
        hardware = self.problem.hardware
        for name in ("ifmap", "weights", "ofmap", "partial_sums"):
            m.width[name].set_value(float(getattr(hardware.bits, name)))
        m.copies.set_value(float(hardware.copies))
        m.cycles_per_bit.set_value(hardware.tick.per_bit / hardware.tick.per_cycle)
        m.buffer_bits.set_value(float(hardware.buffer_bits))
        m.roofline_cycles.set_value(self.roofline_cycles)
        m.compulsory_bits.set_value(float(self.compulsory_bits))
        m.capacity.set_value(1.0)
        for name, weight, cap in aim.terms(m.structure.quantities):
            m.weight[name].set_value(weight)
            set_range(getattr(m, name), LOWEST[name], cap)
        if m.structure.set_up:
            m.setup_share.set_value(hardware.transfer_cycles / self.roofline_cycles)
        if m.structure.summed:
            self._load_sum(m)
        self._load_partition(m)

    def _load_sum(self, m: Any) -> None:
        """Shares of the least sum: of the MACs, a bit at the array, a unit of traffic, and of latency."""
        layer, hardware, least = self.problem.layer, self.problem.hardware, self.least
        each = self.rates
        assert each is not None
        m.ifmap_reads.set_value(float(layer.ifmap_reads))
        m.mac_share.set_value(float(each.mac * layer.macs / least.spent))
        m.port_share.set_value(float(each.port / least.spent))
        m.moved_share.set_value(float(each.moved * least.traffic / least.spent))
        m.time_share.set_value(float(each.tick * least.latency / least.spent))
        for group in Group:
            m.streams[group.value].set_value(float(array_passes(hardware, group, 1, 0)))

    def _load_partition(self, m: Any) -> None:
        """Parts that are given bind one by one; otherwise only their sum is bounded."""
        partition, whole = self.problem.partition, self.problem.hardware.buffer_bits
        switch(m.parts_fit, partition is None)
        for tensor in TENSORS:
            share = 1.0 if partition is None else getattr(partition, tensor) / whole
            m.share[tensor].set_value(share)
            set_range(m.part[tensor], 0.0, 2 * share)  # never binding: the constraint is
            switch(m.partition[tensor], partition is not None)
