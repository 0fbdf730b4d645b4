"""The numbers of a relaxation: which models a problem has, their parameters and their variables' bounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log
from typing import Any

import numpy as np

from formulation.cost import Trips, passes
from formulation.extents import Ints, trip_count
from formulation.hardware import Rates
from formulation.mapping import Group, Stationary
from formulation.pricing.price import Price
from formulation.problem import Posed
from formulation.relaxed.structure import Structure, class_passes
from formulation.relaxed.underestimates import (
    Underestimate,
    least_product,
    underestimate,
)


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


@dataclass(frozen=True, slots=True)
class Body:
    """What the models see of what is run: of a layer its own numbers, of several kernels sums and means.

    Attributes:
        axes: how many there are.
        groups: run one after another.
        taps: of a kernel.
        weight_words: of all groups.
        ofmap_words: of all groups.
        macs: multiply-accumulates.
        ifmap_reads: ifmap words that one pass of the array reads.
    """

    axes: int
    groups: int
    taps: float
    weight_words: int
    ofmap_words: int
    macs: int
    ifmap_reads: int


class Relaxation(ABC):
    """A problem's share of all its relaxed models; what is run, layer or shared tiles, gives the rest.

    Attributes:
        problem: the problem.
        body: what is run, as the models see it.
        extents: extent of each dimension, by name.
        apart: as of ``Structure``, where what is spent is modelled.
    """

    apart = False
    problem: Posed[Any]
    body: Body
    extents: dict[str, int]

    @property
    @abstractmethod
    def heading(self) -> tuple[str, ...]:
        """Lines that say what the models are of."""

    @property
    @abstractmethod
    def stored(self) -> bool:
        """Whether there is an ifmap however the axes are cut."""

    @abstractmethod
    def underestimates(self, variant: Variant) -> dict[str, dict[str, Underestimate]]:
        """Of each epigraph variable, by its name and index."""

    @abstractmethod
    def _tile_fits(self, tile: Mapping[str, int], trips_ci: int) -> bool:
        """Whether tiles no larger than this one do, of so many input-channel tiles at least."""

    @abstractmethod
    def _slides(self) -> list[int | None]:
        """The axes along which tiles may slide to move less; None for no axis."""

    @cached_property
    def least(self) -> Price:
        """The units of the models' quantities: what no mapping can beat."""
        return self.problem.floor

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
        return Structure(self.body.axes, stationary, partial_sums, *flags)

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
        return self.body.groups * exp(least) / self.roofline_cycles * (1 - 1e-9)

    def _smallest_fits(self, variant: Variant) -> bool:
        """Whether the smallest tile of a class fits."""
        tile = {d: variant.tile_range(d)[0] for d in self.extents}
        return self._tile_fits(tile, 1 + variant.structure.partial_sums)

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

    def taps(self, variant: Variant) -> float:
        """Weights of a filter and an input channel, as the models have them."""
        return float(self.body.taps)

    def product(self, variant: Variant, dim: str) -> float:
        """The least ``n * tile`` of a dimension, so that ``tile >= product / n``."""
        return float(least_product(variant.extent(dim), *variant.tile_range(dim)))
