"""Coefficients of the mixed-integer program: what each choice takes, moves and costs, and products of two.

A *variant* is a loop order together with whether all input channels are one tile; in each the widths of
partial sums and the sliding ifmap are settled. All numbers come from ``formulation.cost``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from formulation.cost import (
    TensorBits,
    Traffic,
    Trips,
    array_passes,
    array_traffic,
    held_bits,
    ifmap_pass_words,
    passes,
)
from formulation.extents import Ints
from formulation.mapping import Group, Stationary
from formulation.price import energy_quanta
from formulation.program.choices import Pairs, VariantChoices
from formulation.space.space import Names, Space

TENSORS = ("ifmap", "ofmap", "weights")
WHOLE = "_whole"
CHOICES = ("variant", "out", "inp", "tile")
"""Families of binaries; in a variant each sums to its own binary."""

Keys = tuple[Any, ...]
Terms = dict[tuple[str, Keys], int]
"""A linear function: coefficients by (family of variables, index)."""


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """``left * right`` of two choices, as one variable for each that the left one may be.

    Attributes:
        name: family of its variables; one stands for ``right`` above its least, 0 if the left is not chosen.
        terms: the product, of binaries and of those variables.
        least: that of ``right`` beside each left choice, by the index of its binary.
        spread: by how much the greatest of ``right`` is above that.
        right: by the index of its binary.
        families: those of the left and of the right binaries.
    """

    name: str
    terms: Terms
    least: dict[Keys, int]
    spread: dict[Keys, int]
    right: dict[Keys, int]
    families: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Compute:
    """A factor of the input channels times something of the pair (output channels, tile): array cycles.

    Attributes:
        terms: the product; of ``family`` per unit of the pair.
        above: by how much each pair is above the least; empty if it needs no such variables.
        most: the greatest of ``above``.
        family: of the variables that share the pair out to the input channels.
    """

    terms: Terms
    above: Terms
    most: int = 0
    family: str = "share"


class VariantTerms:
    """Coefficients of one variant, by family and index.

    Families: ``out``, ``inp``, ``tile`` of one choice; those of its products; and ``share``, as
    ``formulation.program.model`` explains.

    Args:
        space: the map space.
        chosen: the variant's choices.
        names: labels of all tiles of output channels, of input channels, and of the spatial ones.
    """

    def __init__(self, space: Space, chosen: VariantChoices, names: Names) -> None:
        self.space, self.stationary, self.whole = space, space.orders[chosen.which], chosen.whole
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
        return self.name, self.names[("out", "inp", "tile").index(family)][at]

    def _terms(self, family: str, values: Any) -> Terms:
        """Values of all choices of a family."""
        places = zip(self.at[family], values, strict=True)
        return {(family, self._label(family, int(i))): int(v) for i, v in places}

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
        held = self.space.channels("weights", Group.CO)
        return self._product("beside", "inp", "out", self.oi[::-1], self._unit.weights, held)

    @property
    def _unit(self) -> TensorBits:
        """Bits per pixel, word of the window and output channel, by channels of the other kind."""
        held, taps = self.space.channels, self.space.problem.layer.taps
        channels = held("ifmap", Group.CI), held("ofmap", Group.CO), held("weights", Group.CI) * taps
        partial = not self.whole or self.space.cut is Group.CI
        return held_bits(self.space.problem.hardware, *channels, 2 if partial else 1)

    @cached_property
    def words(self) -> Product:
        """Bits of the ifmap that move: its passes times the words of one."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        slid = self.space.slid(self.tiles)
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, self.tiles.fetched, slid)
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

    @property
    def products(self) -> tuple[Product, ...]:
        """All products."""
        return self.window, self.pixels, self.beside, self.words, self.work

    @property
    def shares(self) -> tuple[Compute, ...]:
        """What is shared out to the input channels besides ``compute``."""
        return ()

    @property
    def set_ups(self) -> Terms:
        """Cycles to set transfers up; nothing if that takes no time."""
        return {}

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
            Group.CO: ("out", self.co, self._out.trips[self.co], self._out.cycles[self.co]),
            Group.CI: ("inp", self.ci, self._inp.trips[self.ci], self._inp.cycles[self.ci]),
            Group.SP: ("tile", tiles, tiles.trips, self.cycles[self.rows]),
        }
        none = array_traffic(layer, layer.ifmap_reads, Trips(0, 0, 0)).bits(hardware)
        fixed: Terms = {("variant", (self.name,)): energy_quanta(hardware, layer.macs, none, 0, 0)}
        moved = {key: n * (each.sram_bit + each.dram_bit) for key, n in self.traffic.items()}
        terms = [fixed, moved]
        for group, (family, at, trips, cycles) in choices.items():
            moves = array_passes(hardware, group, self.space.pieces(group, trips, at), cycles)
            passes = {g.value: 0 for g in Group} | {group.value: moves}
            bits = array_traffic(layer, layer.ifmap_reads, Trips(**passes)).bits(hardware) - none
            terms.append(self._terms(family, [each.sram_bit * int(b) for b in bits]))
        return merge(terms)

    def moves(self, co: int, ci: int, row: int) -> int | None:
        """Bits that a mapping of the variant moves; None if it is not in it."""
        pairs = ((self.ok, co, row), (self.ik, ci, row), (self.oi, co, ci))
        if not all(((p[0] == i) & (p[1] == j)).any() for p, i, j in pairs):
            return None
        layer, tile = self.space.problem.layer, self.tiles.take(np.array([row]))
        slid = self.space.slid(tile)
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, tile.fetched, slid)
        writes = self._passes(Group.CI, int(self._inp.trips[ci]))
        moved = Traffic(
            layer.groups * int(words[0]) * self._passes(Group.CO, int(self._out.trips[co])),
            layer.weight_words * self._passes(Group.SP, int(tile.trips[0])),
            layer.ofmap_words * writes,
            layer.ofmap_words * (writes - 1),
        )
        return int(moved.bits(self.space.problem.hardware))

    def _passes(self, group: Group, trips: Any) -> Any:
        """Passes of a tensor when all other groups have several trips: never below the true ones.

        Of tiles that are cut the variant has one loop order only, so they are exact: there it is known which
        groups have one trip.
        """
        whole = self.whole and self.space.cut is not None
        single = self.space.single | ({Group.CI} if whole else frozenset())
        several = {other.value: 1 if other in single else 2 for other in Group} | {group.value: trips}
        return passes(self.stationary, group, Trips(**several), self.space.cut)

    @property
    def _one_factor(self) -> int | None:
        """The input channels' factor of the array's cycles, if it is the same for all."""
        factors = set(self._inp.cycles[self.ci].tolist())
        return factors.pop() if len(factors) == 1 else None

    @cached_property
    def compute(self) -> Compute:
        """Array cycles."""
        if self._one_factor is not None:
            return Compute(self.work.terms, {})
        co, row = self.ok
        pair = self.space.problem.layer.groups * self._out.cycles[co] * self.cycles[row]
        least, most = int(pair.min()), int(pair.max())
        factor = self._inp.cycles[self.ci].tolist()
        terms = self._terms("inp", [f * least for f in factor])
        if least == most:
            return Compute(terms, {})
        shares = {("share", self._label("inp", int(b))): f for b, f in zip(self.ci, factor, strict=True)}
        above = {key: n - least * (key[0] in CHOICES) for key, n in self.work.terms.items()}
        return Compute(terms | shares, above, most - least)


def variant_name(stationary: Stationary, whole: bool) -> str:
    """The name of a variant."""
    return stationary.value + (WHOLE if whole else "")


def merge(terms: Iterable[Terms]) -> Terms:
    """The sum of linear functions."""
    merged: Terms = {}
    for part in terms:
        for key, value in part.items():
            merged[key] = merged.get(key, 0) + value
    return merged
