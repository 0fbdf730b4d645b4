"""What is left of a class of mappings: the tiles that may be within the caps and as good as a known mapping.

A class is a product of three lists: output-channel tiles, input-channel tiles, tiles over the batch and the
axes. A tile stays unless it is too much even beside the *least* that the other lists still hold, column by
column (trips, words, largest tile, array cycles): it does not fit the buffer, or the class's own formula puts
its latency above the cap or its objective above that of the known mapping. Each formula is non-decreasing in
every column, so no mapping of the class that is within the caps and no worse than the known one has such a
tile. What is left out of one list raises the least of the others: the lists are gone through until
nothing changes.

What the array's rounding up leaves within a tight cap is often a handful of mappings. A few may be priced one
by one, which is the exact bound of the class; otherwise the ranges that they span restrict its relaxation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from sys import float_info

import numpy as np
from numpy.typing import NDArray

from formulation.bounds import compulsory_bits, least_energy_quanta, roofline_ticks
from formulation.bursts import Runs
from formulation.cost import (
    Num,
    TensorBits,
    Trips,
    array_passes,
    fits,
    footprint,
    tile_bits,
)
from formulation.extents import Ints
from formulation.mapping import Group
from formulation.price import EnergyRates, latency_ticks
from formulation.relaxed.classes import Aim, Variant
from formulation.relaxed.lists import NOTHING, Channels, Rest
from formulation.relaxed.runs import channel_runs, class_bits, exact_runs, spatial_runs
from formulation.relaxed.structure import class_setup, class_traffic
from formulation.space.blocks import pairs, sift
from formulation.space.space import Space
from formulation.space.tables import ChannelTable, SpatialTable

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TILES = 1 << 18  # most spatial tiles of a class that are kept in a list
_PRICED = 1 << 16  # most mappings that are priced one by one
_WORSE = 1 + 1e-12  # how far above the known mapping a price counts as worse: more than rounding makes of it


class Presolve:
    """The classes of one problem under one objective, with what is left of each.

    Args:
        space: the problem's map space.
        aim: the objective and its caps.
        check: called between pieces of work; what it raises ends the presolve.

    Attributes:
        lists: of each class that is known; none where they are too long.
    """

    def __init__(self, space: Space, aim: Aim, check: Callable[[], object] = bool) -> None:
        self.space, self.aim, self.check = space, aim, check
        problem = space.problem
        self._roofline = float(roofline_ticks(problem.layer, problem.hardware))
        self._compulsory = compulsory_bits(problem.layer, problem.hardware)
        self._least_energy = float(least_energy_quanta(problem.layer, problem.hardware))
        self._rates = EnergyRates.of(problem.hardware, problem.layer)
        self.lists: dict[Variant, Rest] = {}

    def start(self, variants: Iterable[Variant], incumbent: float) -> tuple[Variant, ...]:
        """List what is left of whole classes.

        Args:
            variants: the classes.
            incumbent: objective of a known mapping, in the models' units.

        Returns:
            The classes of which nothing is left, in their order.
        """
        channels = {v: self._channels(v) for v in variants}

        pieces: dict[Variant, list[tuple[SpatialTable, Ints]]] = {v: [] for v in channels}

        def wanted(blocks: SpatialTable) -> Mask:
            self.check()
            cycles = self.space.grid.least_cycles(blocks)
            masks = [
                self._wanted(v, Rest(*channels[v], blocks, cycles), incumbent, block=True) for v in pieces
            ]
            return np.asarray(np.logical_or.reduce(masks))

        def closely(blocks: SpatialTable) -> Mask:
            return self._beside_channels({v: channels[v] for v in pieces}, blocks, incumbent)

        for tiles in sift(self.space.grid, wanted, closer=closely):
            self.check()
            cycles = self.space.grid.cycles(tiles)
            for variant, kept in list(pieces.items()):
                mask = self._wanted(variant, Rest(*channels[variant], tiles, cycles), incumbent)
                kept.append((tiles.take(mask), cycles[mask]))
                if sum(len(c) for _, c in kept) > _TILES:
                    del pieces[variant]
            if not pieces:
                break
        for variant, kept in pieces.items():
            rest = Rest(*channels[variant], *_joined(kept)) if kept else NOTHING
            self.lists[variant] = self._narrowed(variant, rest, incumbent)
        return tuple(v for v, rest in self.lists.items() if not len(rest))

    def _beside_channels(
        self, channels: Mapping[Variant, tuple[Ints, Ints]], blocks: SpatialTable, incumbent: float
    ) -> Mask:
        """Which blocks stay beside some pair of channel tiles of some class."""
        kept = np.zeros(len(blocks), dtype=np.bool_)
        cycles = self.space.grid.least_cycles(blocks)
        for variant, (co, ci) in channels.items():
            for row, at in pairs(len(blocks), len(co)):
                self.check()
                row, at = row[~kept[row]], at[~kept[row]]
                kept[self._rows_beside(variant, co[at], ci, row, blocks, cycles, incumbent)] = True
        return kept

    def _rows_beside(
        self,
        variant: Variant,
        out: Ints,
        ci: Ints,
        row: Ints,
        blocks: SpatialTable,
        cycles: Ints,
        incumbent: float,
    ) -> Ints:
        """The blocks that stay beside a given output-channel tile each, and some input-channel tile."""
        part, co = blocks.take(row), Channels.listed(self.space.co, out)
        most = self.space.most_in_channels(co.tile, part)
        least = Channels.listed(self.space.ci, ci).least
        least = least.within(self.space.ci, self.space.problem.layer.in_channels, most)
        good = self._price(variant, co, least, part, cycles[row]) <= _limit(incumbent)
        row, out = row[good], out[good]
        stay = np.zeros(len(row), dtype=np.bool_)
        for pair, at in pairs(len(row), len(ci)):
            self.check()
            co, inp = Channels.listed(self.space.co, out[pair]), Channels.listed(self.space.ci, ci[at])
            price = self._price(variant, co, inp, blocks.take(row[pair]), cycles[row[pair]])
            stay[pair[price <= _limit(incumbent)]] = True
        return np.asarray(row[stay])

    def _channels(self, variant: Variant) -> tuple[Ints, Ints]:
        ci = np.flatnonzero((self.space.ci.trips > 1) == variant.structure.partial_sums)
        return np.arange(len(self.space.co.tile)), ci

    def reduce(self, variant: Variant, incumbent: float) -> tuple[float | None, Variant]:
        """Shorten the lists of a class.

        Returns:
            The least objective of what is left, infinite if nothing is; None if there is too much to price.
            The class cut down to what is left, with the same lists.
        """
        if variant not in self.lists:
            return None, variant
        rest = self.lists[variant] = self._narrowed(variant, self.lists[variant], incumbent)
        if not len(rest):
            return inf, variant
        if self.is_short(variant):
            return self._least(variant, rest), variant
        cut = self._ranges(variant, rest)
        self.lists[cut] = rest
        return None, cut

    def is_short(self, variant: Variant) -> bool:
        """Whether a class is listed, and its mappings are few enough to be priced one by one."""
        return variant in self.lists and len(self.lists[variant]) <= _PRICED

    def cut(self, whole: Variant, part: Variant) -> None:
        """List a part of a class."""
        if whole in self.lists:
            self.lists[part] = self._part(part, self.lists[whole])

    def _narrowed(self, variant: Variant, rest: Rest, incumbent: float) -> Rest:
        """The tiles that stay, all lists considered."""
        before = -1
        while len(rest) and len(rest) != before:
            before = len(rest)
            mask = self._wanted(variant, rest, incumbent)
            rest = replace(rest, sp=rest.sp.take(mask), cycles=rest.cycles[mask])
            if len(rest):
                pairs = self._wanted_pairs(variant, rest, incumbent)
                rest = replace(rest, co=rest.co[pairs.any(axis=1)], ci=rest.ci[pairs.any(axis=0)])
        return rest

    def _part(self, variant: Variant, rest: Rest) -> Rest:
        """The tiles within a class's ranges."""
        co, ci, *ranges = variant.tiles
        mask = np.ones(len(rest.sp), dtype=np.bool_)
        for tile, (smallest, greatest) in zip(self.space.grid.tiles(rest.sp.rank), ranges, strict=True):
            mask &= (smallest <= tile) & (tile <= greatest)
        return Rest(
            _within(self.space.co, rest.co, *co),
            _within(self.space.ci, rest.ci, *ci),
            rest.sp.take(mask),
            rest.cycles[mask],
        )

    def _ranges(self, variant: Variant, rest: Rest) -> Variant:
        """The class cut down to the ranges that its lists span, none of which is empty."""
        tiles = [self.space.co.tile[rest.co], self.space.ci.tile[rest.ci]]
        tiles += self.space.grid.tiles(rest.sp.rank)
        return replace(variant, tiles=tuple((int(t.min()), int(t.max())) for t in tiles))

    def _least(self, variant: Variant, rest: Rest) -> float:
        """The least objective of all mappings of the lists."""
        co = Channels.listed(self.space.co, rest.co[:, None, None])
        ci = Channels.listed(self.space.ci, rest.ci[:, None])
        once = exact_runs(self.space, co.tile, ci.tile, rest.sp)
        return float(self._price(variant, co, ci, rest.sp, rest.cycles, once).min())

    def _wanted(self, variant: Variant, rest: Rest, incumbent: float, *, block: bool = False) -> Mask:
        """Which spatial tiles stay beside the least channel tiles, and the least trips that then fit.

        Blocks of tiles are bounded by their words, tiles by their bursts.
        """
        once = None if block else spatial_runs(self.space, rest.sp)
        co = Channels.listed(self.space.co, rest.co).least
        ci = Channels.listed(self.space.ci, rest.ci).least
        layer = self.space.problem.layer
        most_co = self.space.most_out_channels(rest.sp, ci.tile)
        most_ci = self.space.most_in_channels(co.tile, rest.sp)
        co = co.within(self.space.co, layer.out_channels, most_co)
        ci = ci.within(self.space.ci, layer.in_channels, most_ci)
        return self._price(variant, co, ci, rest.sp, rest.cycles, once) <= _limit(incumbent)

    def _wanted_pairs(self, variant: Variant, rest: Rest, incumbent: float) -> Mask:
        """Which pairs of channel tiles stay beside the least of the spatial columns."""
        co = Channels.listed(self.space.co, rest.co[:, None])
        ci = Channels.listed(self.space.ci, rest.ci)
        least = SpatialTable(*(np.array(getattr(rest.sp, name).min()) for name in SpatialTable.__slots__))
        once = channel_runs(self.space, co.tile, ci.tile, rest.sp)
        return self._price(variant, co, ci, least, rest.cycles.min(), once) <= _limit(incumbent)

    def _price(
        self,
        variant: Variant,
        co: Channels,
        ci: Channels,
        sp: SpatialTable,
        sp_cycles: Num,
        once: Runs | None = None,
    ) -> Floats:
        """By the class's own formulas, of ``once`` or of words; infinite beyond the caps; all broadcasts."""
        problem, structure, aim = self.space.problem, variant.structure, self.aim
        layer, hardware = problem.layer, problem.hardware
        held = tile_bits(layer, hardware, co.tile, ci.tile, sp.largest, sp.pixels, structure.trips.ci)
        trips = Trips(co.trips, ci.trips, sp.trips)
        if once is None:
            words = sp.fetched if variant.slide is None else sp.slid
            bits = class_traffic(layer, structure, 1.0 * words, trips).bits(hardware)
        else:
            bits = class_bits(layer.groups, structure, trips, once)
        price = aim.weights.traffic / self._compulsory * bits
        inside = fits(hardware, problem.partition, footprint(hardware, held))
        latency: Num = 0.0
        if structure.timed:
            compute = 1.0 * layer.groups * co.cycles * ci.cycles * sp_cycles
            tile = TensorBits(1.0 * held.total, 0, 0)
            setup = class_setup(hardware, layer.groups, structure, trips)
            latency = latency_ticks(hardware, compute, bits, tile, setup) / self._roofline
            price = price + aim.weights.latency * latency
            inside = inside & (latency <= (_limit(aim.caps.latency) if aim.hard else inf))
        if structure.summed:
            price = price + aim.weights.spent * self._energy(co, ci, sp, sp_cycles, bits, latency)
        return np.where(inside, price, inf)

    def _energy(
        self, co: Channels, ci: Channels, sp: SpatialTable, sp_cycles: Num, bits: Num, latency: Num
    ) -> Num:
        """Energy in the least of any mapping, of traffic in bits and latency in rooflines."""
        trips, cycles = Trips(co.trips, ci.trips, sp.trips), Trips(co.cycles, ci.cycles, sp_cycles)
        hardware = self.space.problem.hardware
        passes = Trips(*(1.0 * array_passes(hardware, g, trips.of(g), cycles.of(g)) for g in Group))
        return self._rates.quanta(passes, bits, latency * self._roofline) / self._least_energy


def _limit(incumbent: float) -> float:
    """What a price is compared with: a little above the known one, and finite."""
    return min(incumbent * _WORSE, float_info.max)


def _within(table: ChannelTable, positions: Ints, smallest: int, greatest: int) -> Ints:
    tile = table.tile[positions]
    return positions[(smallest <= tile) & (tile <= greatest)]


def _joined(pieces: Sequence[tuple[SpatialTable, Ints]]) -> tuple[SpatialTable, Ints]:
    return SpatialTable.join([tiles for tiles, _ in pieces]), np.concatenate([c for _, c in pieces])
