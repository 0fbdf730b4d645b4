"""Coefficients of the mixed-integer program: what each choice takes, moves and costs, and products of two.

A *variant* is a loop order together with whether all input channels are one tile; in each the widths of
partial sums and the sliding ifmap are settled. All numbers come from ``formulation.cost``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from formulation.cost import (
    TensorBits,
    Traffic,
    Trips,
    array_passes,
    array_traffic,
    ifmap_pass_words,
    most_passes,
    tile_bits,
)
from formulation.extents import Ints
from formulation.mapping import Group, Stationary
from formulation.price import energy_quanta
from formulation.program.bursts import VariantBursts
from formulation.program.choices import Pairs, VariantChoices
from formulation.program.terms import SHARES, Disaggregated, Keys, Product, Terms, disaggregated, merge, times
from formulation.space.space import CLASSES, Space

TENSORS = ("ifmap", "ofmap", "weights")
WHOLE = "_whole"


class VariantTerms:
    """Coefficients of one variant, by family and index.

    Families: ``out``, ``inp``, ``tile`` of one choice; those of its products; ``ok`` and ``ik`` of output
    channels and tile, of input channels and tile, where runs take whole bursts, of which a pair's is no
    product; and ``SHARES``, as ``formulation.program.model`` explains.

    Args:
        space: the map space.
        chosen: the variant's choices.
        names: labels of the spatial tiles.
    """

    def __init__(self, space: Space, chosen: VariantChoices, names: list[str]) -> None:
        self.space, self.stationary, self.whole = space, CLASSES[chosen.which], chosen.whole
        self.name = variant_name(self.stationary, self.whole)
        self.ok, self.ik, self.oi = chosen.ok, chosen.ik, chosen.oi
        self.co, self.ci, self.rows = (np.unique(p) for p in (self.ok[0], self.ik[0], self.ok[1]))
        self.tiles, self.cycles, self.names = chosen.tiles, chosen.cycles, names
        self._out, self._inp = space.co, space.ci

    @property
    def index(self) -> dict[str, dict[int, Keys]]:
        """The labels under which binaries are known, by family and position."""
        return {family: {int(i): self._label(family, int(i)) for i in at} for family, at in self.at.items()}

    @property
    def at(self) -> dict[str, Ints]:
        """Positions of the choices, by family."""
        return {"out": self.co, "inp": self.ci, "tile": self.rows}

    def _label(self, family: str, at: int) -> Keys:
        if family == "tile":
            return self.name, self.names[at]
        return self.name, f"co{self._out.tile[at]}" if family == "out" else f"ci{self._inp.tile[at]}"

    def _terms(self, family: str, values: Any) -> Terms:
        """Values of all choices of a family."""
        places = zip(self.at[family], values, strict=True)
        return {(family, self._label(family, int(i))): int(v) for i, v in places}

    def _pairs(self, family: str, values: Any) -> Terms:
        """Values of all pairs of a family."""
        places = zip(*getattr(self, family), values, strict=True)
        return {(family, self.pair(family, int(i), int(j))): int(v) for i, j, v in places}

    def pair(self, family: str, first: int, second: int) -> Keys:
        """The label of a pair: its variant, and those of its two choices."""
        one = {"ok": "out", "ik": "inp"}[family]
        return *self._label(one, first), self.names[second]

    def held(self, tensor: str) -> Terms:
        """Bits of a tensor's tile."""
        return {"ifmap": self.window, "ofmap": self.pixels, "weights": self.beside}[tensor].terms

    @cached_property
    def window(self) -> Product:
        """Bits of the ifmap's tile: input channels times words of the window."""
        return self._product("window", "inp", "tile", self.ik, self._unit.ifmap, self.tiles.largest)

    @cached_property
    def pixels(self) -> Product:
        """Bits of the ofmap's tile: output channels times pixels."""
        return self._product("pixels", "out", "tile", self.ok, self._unit.ofmap, self.tiles.pixels)

    @cached_property
    def beside(self) -> Product:
        """Bits of the weights' tile: input channels times the output channels beside them."""
        return self._product("beside", "inp", "out", self.oi[::-1], self._unit.weights, self._out.tile)

    @property
    def _unit(self) -> TensorBits:
        """Bits per pixel, word of the window and output channel, by channels of the other kind."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        trips = 1 if self.whole else 2
        of_ofmap = tile_bits(layer, hardware, self._out.tile, 1, 1, 1, trips).ofmap
        inner = tile_bits(layer, hardware, 1, self._inp.tile, 1, 1, trips)
        return TensorBits(inner.ifmap, of_ofmap, inner.weights)

    @cached_property
    def words(self) -> Product:
        """Bits of the ifmap that move: its passes times the words of one."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, self.tiles.fetched, self.tiles.slid)
        each = self._passes(Group.CO, self._out.trips)
        bits = Traffic(layer.groups * each * np.ones_like(self._out.trips), 0, 0, 0).bits(hardware)
        return self._product("words", "out", "tile", self.ok, bits, words)

    @cached_property
    def work(self) -> Product:
        """Array cycles of a pair (output channels, tile); of all where the input channels have one factor."""
        factor = self.space.problem.layer.groups * self._out.cycles
        if self._one_factor is not None:
            factor = factor * self._one_factor
        return self._product("work", "out", "tile", self.ok, factor, self.cycles)

    @cached_property
    def turns(self) -> Product:
        """Trips of output channels and tiles together."""
        return self._product("turns", "out", "tile", self.ok, self._out.trips, self.tiles.trips)

    @property
    def disaggregated(self) -> dict[str, Disaggregated]:
        """All that is disaggregated over the input channels, by family of ``SHARES``."""
        found = self.compute, self.setup, self.fetches, self.spills
        return dict(zip(SHARES, found, strict=True))

    @property
    def products(self) -> tuple[Product, ...]:
        """All products."""
        hardware = self.space.problem.hardware
        moved = () if hardware.burst_bytes else (self.words,)
        started = (self.turns,) if hardware.transfer_setup else ()
        return self.window, self.pixels, self.beside, *moved, self.work, *started

    def _product(self, name: str, one: str, two: str, pairs: Pairs, left: Ints, right: Ints) -> Product:
        """A product over pairs; without variables where the left factor is the same for all."""
        owners, partners = self.at[one], self.at[two]
        values = {self._label(two, int(i)): int(right[i]) for i in partners}
        if len(set(left[owners].tolist())) == 1:
            same = int(left[owners[0]])
            return Product(name, {(two, i): same * v for i, v in values.items()}, {}, {}, {}, (one, two))
        least, most = (np.zeros(len(left), np.int64) for _ in range(2))
        least[:] = np.iinfo(np.int64).max
        np.minimum.at(least, pairs[0], right[pairs[1]])
        np.maximum.at(most, pairs[0], right[pairs[1]])
        index = {self._label(one, int(i)): int(i) for i in owners}
        terms = {(one, key): int(left[i]) * int(least[i]) for key, i in index.items()}
        terms |= {(name, key): int(left[i]) for key, i in index.items() if most[i] > least[i]}
        low = {key: int(least[i]) for key, i in index.items()}
        return Product(
            name, terms, low, {k: int(most[i]) - low[k] for k, i in index.items()}, values, (one, two)
        )

    @cached_property
    def traffic(self) -> Terms:
        """Bits moved."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        if hardware.burst_bytes:
            return merge([self._fixed_bursts(), self.fetches.terms, self.spills.terms])
        trips = self.tiles.trips[self.rows]
        weights = layer.weight_words * self._passes(Group.SP, trips) * np.ones_like(trips)
        writes = self._passes(Group.CI, self._inp.trips[self.ci])
        written = Traffic(0, 0, layer.ofmap_words * writes, layer.ofmap_words * (writes - 1)).bits(hardware)
        moved = self._terms("tile", Traffic(0, weights, 0, 0).bits(hardware))
        return merge([self.words.terms, moved, self._terms("inp", written * np.ones_like(self.ci))])

    @cached_property
    def energy(self) -> Terms:
        """Quanta but for those of time: MACs, DRAM and, by group, what passes the array's ports."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        each, tiles = hardware.quantum, self.tiles.take(self.rows)
        choices = {
            Group.CO: ("out", self._out.trips[self.co], self._out.cycles[self.co]),
            Group.CI: ("inp", self._inp.trips[self.ci], self._inp.cycles[self.ci]),
            Group.SP: ("tile", tiles.trips, self.cycles[self.rows]),
        }
        none = array_traffic(layer, layer.ifmap_reads, Trips(0, 0, 0)).bits(hardware)
        fixed: Terms = {("variant", (self.name,)): energy_quanta(hardware, layer.macs, none, 0, 0)}
        moved = {key: n * (each.sram_bit + each.dram_bit) for key, n in self.traffic.items()}
        terms = [fixed, moved]
        for group, (family, trips, cycles) in choices.items():
            passes = {g.value: 0 for g in Group} | {group.value: array_passes(hardware, group, trips, cycles)}
            bits = array_traffic(layer, layer.ifmap_reads, Trips(**passes)).bits(hardware) - none
            terms.append(self._terms(family, [each.sram_bit * int(b) for b in bits]))
        return merge(terms)

    def moves(self, co: int, ci: int, row: int) -> int | None:
        """Bits that a mapping of the variant moves; None if it is not in it."""
        pairs = ((self.ok, co, row), (self.ik, ci, row), (self.oi, co, ci))
        if not all(((p[0] == i) & (p[1] == j)).any() for p, i, j in pairs):
            return None
        if self.space.problem.hardware.burst_bytes:
            return self.bursts.moves(co, ci, row)
        layer, tile = self.space.problem.layer, self.tiles.take(np.array([row]))
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, tile.fetched, tile.slid)
        writes = self._passes(Group.CI, int(self._inp.trips[ci]))
        moved = Traffic(
            layer.groups * int(words[0]) * self._passes(Group.CO, int(self._out.trips[co])),
            layer.weight_words * self._passes(Group.SP, int(tile.trips[0])),
            layer.ofmap_words * writes,
            layer.ofmap_words * (writes - 1),
        )
        return int(moved.bits(self.space.problem.hardware))

    def _passes(self, group: Group, trips: Any) -> Any:
        once = most_passes(self.stationary, group, trips)
        return once if np.ndim(once) == np.ndim(trips) else np.full_like(trips, once)

    @property
    def _one_factor(self) -> int | None:
        """The input channels' factor of the array's cycles, if it is the same for all."""
        factors = set(self._inp.cycles[self.ci].tolist())
        return factors.pop() if len(factors) == 1 else None

    @cached_property
    def compute(self) -> Disaggregated:
        """Array cycles."""
        if self._one_factor is not None:
            return Disaggregated(self.work.terms, {})
        co, row = self.ok
        pair = self.space.problem.layer.groups * self._out.cycles[co] * self.cycles[row]
        return self._disaggregated("share", self._inp.cycles[self.ci], self.work.terms, pair)

    @cached_property
    def setup(self) -> Disaggregated:
        """Cycles to set transfers up (``cost.moved_tiles``), linear in the trips of the input channels.

        With one of them ``weights + ifmap + n_co n_sp`` transfers, and as many more with each further one but
        for the ofmap's, which are ``2 n_co n_sp`` where it spills and else none. The weights' tiles move
        ``n_co n_sp`` times, or ``n_co`` where they stay; the ifmap's as often, or ``n_sp`` where that stays.
        """
        each = self.space.problem.hardware.transfer_setup * self.space.problem.layer.groups
        if not each:
            return Disaggregated({}, {})
        both, (co, row) = self.turns.terms, self.ok
        alone = {"out": self._out.trips[co], "tile": self.tiles.trips[row]}
        alone["both"] = alone["out"] * alone["tile"]
        moved = {
            "both": both,
            "out": self._terms("out", self._out.trips[self.co]),
            "tile": self._terms("tile", self.tiles.trips[self.rows]),
        }
        weights = "out" if self.stationary is Stationary.WEIGHT else "both"
        ifmap = "tile" if self.stationary is Stationary.INPUT else "both"
        spills = 0 if self.stationary is Stationary.OUTPUT else 2
        first = merge(times(t, each) for t in (moved[weights], moved[ifmap], both))
        more = merge([times(moved[weights], each), times(moved[ifmap], each), times(both, spills * each)])
        pair = each * (alone[weights] + alone[ifmap] + spills * alone["both"])
        again = self._disaggregated("turn", self._inp.trips[self.ci] - 1, more, pair)
        return Disaggregated(merge([first, again.terms]), again.above, again.most)

    @property
    def bursts(self) -> VariantBursts:
        """What moves in whole bursts."""
        return VariantBursts(self.space, self.stationary, self.whole, self.tiles)

    @cached_property
    def fetches(self) -> Disaggregated:
        """Bits of ifmap runs that end with the input channels, where these are cut."""
        if self.whole or not self.space.problem.hardware.burst_bytes:
            return Disaggregated({}, {})
        pair = self.bursts.fetched(*self.ok)
        return self._disaggregated("fetch", self.bursts.runs(self.ci), self._pairs("ok", pair), pair)

    @cached_property
    def spills(self) -> Disaggregated:
        """Bits of partial sums, out and in, where runs take whole bursts."""
        if self.whole or not self.space.problem.hardware.burst_bytes:
            return Disaggregated({}, {})
        pair, again = self.bursts.spilled(*self.ok), self._passes(Group.CI, self._inp.trips[self.ci]) - 1
        return self._disaggregated("spill", again, self._pairs("ok", pair), pair)

    def _fixed_bursts(self) -> Terms:
        """Bits across the pins but for ``fetches`` and ``spills``: exact for every mapping of the variant."""
        fixed = self._pairs("ok", self.bursts.fixed(*self.ok))
        return fixed if self.whole else fixed | self._pairs("ik", self.bursts.reloaded(*self.ik))

    def _disaggregated(self, family: str, factor: Ints, function: Terms, pair: Ints) -> Disaggregated:
        """A factor of each input-channel tile times a function, of which the pairs' values are given."""
        return disaggregated(family, self._terms("inp", factor), function, int(pair.max()))


def variant_name(stationary: Stationary, whole: bool) -> str:
    """The name of a variant."""
    return stationary.value + (WHOLE if whole else "")


def variants_of(space: Space, chosen: Iterable[VariantChoices]) -> list[VariantTerms]:
    """The coefficients of variants."""
    variants = []
    for one in chosen:
        sizes = np.stack(space.grid.tiles(one.tiles.rank), axis=1)
        names = ["x".join(map(str, size)) for size in sizes.tolist()]
        variants.append(VariantTerms(space, one, names))
    return variants
