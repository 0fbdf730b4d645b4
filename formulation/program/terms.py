"""What all variants of a mixed-integer program are made of: terms of choices, and products of two.

A *variant* is a loop order together with whether all input channels are one tile. A linear function is a sum
of coefficients times variables, by family and index; ``out``, ``inp`` and ``tile`` are binaries of choices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from formulation.cost import Tensors, Traffic, Trips, ifmap_pass_words, passes
from formulation.extents import Ints
from formulation.hardware import Hardware, Rates
from formulation.mapping import Group, Stationary
from formulation.program.choices import Pairs, VariantChoices
from formulation.space.space import Names
from formulation.space.tables import ChannelTable

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


class ChoiceTerms(ABC):
    """Choices of one variant, and what moves between DRAM and buffer.

    Args:
        stationary: the loop order.
        chosen: the variant's choices.
        names: labels of all tiles of output channels, of input channels, and of the spatial ones.
        tables: tiles of output and of input channels.
        tensors: give the groups, and the words of weights and ofmap.
        hardware: the machine.
    """

    cut: Group | None = None
    single: frozenset[Group] = frozenset()

    def __init__(
        self,
        stationary: Stationary,
        chosen: VariantChoices,
        names: Names,
        tables: tuple[ChannelTable, ChannelTable],
        tensors: Tensors,
        hardware: Hardware,
    ) -> None:
        self.stationary, self.whole = stationary, chosen.whole
        self.name = variant_name(self.stationary, self.whole)
        self.ok, self.ik, self.oi = chosen.ok, chosen.ik, chosen.oi
        self.co, self.ci, self.rows = (np.unique(p) for p in (self.ok[0], self.ik[0], self.ok[1]))
        self.tiles, self.names = chosen.tiles, names
        self._out, self._inp = tables
        self.tensors, self.hardware = tensors, hardware

    @property
    @abstractmethod
    def window(self) -> Product:
        """Bits of the ifmap's tile."""

    @property
    @abstractmethod
    def pixels(self) -> Product:
        """Bits of the ofmap's tile."""

    @property
    @abstractmethod
    def beside(self) -> Product:
        """Bits of the weights' tile."""

    @property
    @abstractmethod
    def compute(self) -> Compute:
        """Array cycles."""

    @property
    @abstractmethod
    def rates(self) -> Rates | None:
        """Of what is summed; None if nothing is."""

    @property
    @abstractmethod
    def spent(self) -> Terms:
        """Quanta but for those of time: MACs, DRAM and, by group, what passes the array's ports."""

    @property
    @abstractmethod
    def products(self) -> tuple[Product, ...]:
        """All products."""

    @property
    def shares(self) -> tuple[Compute, ...]:
        """What is shared out to the input channels besides ``compute``."""
        return ()

    def held(self, tensor: str) -> Terms:
        """Bits of a tensor's tile."""
        return {"ifmap": self.window, "ofmap": self.pixels, "weights": self.beside}[tensor].terms

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

    @property
    def slid(self) -> Ints:
        """Ifmap words of one pass that slides where it may, of all tiles."""
        return self.tiles.slid

    @cached_property
    def words(self) -> Product:
        """Bits of the ifmap that move: its passes times the words of one."""
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, self.tiles.fetched, self.slid)
        each = self._passes(Group.CO, self._out.trips)
        moved = Traffic(self.tensors.groups * each * np.ones_like(self._out.trips), 0, 0, 0)
        return self._product("words", "out", "tile", self.ok, moved.bits(self.hardware), words)

    @cached_property
    def traffic(self) -> Terms:
        """Bits moved."""
        tensors, hardware = self.tensors, self.hardware
        trips = self.tiles.trips[self.rows]
        weights = tensors.weight_words * self._passes(Group.SP, trips) * np.ones_like(trips)
        writes = self._passes(Group.CI, self._inp.trips[self.ci])
        each = tensors.ofmap_words
        written = Traffic(0, 0, each * writes, each * (writes - 1)).bits(hardware)
        moved = self._terms("tile", Traffic(0, weights, 0, 0).bits(hardware))
        return merge([self.words.terms, moved, self._terms("inp", written * np.ones_like(self.ci))])

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

    def moves(self, co: int, ci: int, row: int) -> int | None:
        """Bits that a mapping of the variant moves; None if it is not in it."""
        pairs = ((self.ok, co, row), (self.ik, ci, row), (self.oi, co, ci))
        if not all(((p[0] == i) & (p[1] == j)).any() for p, i, j in pairs):
            return None
        tensors, tile = self.tensors, self.tiles.take(np.array([row]))
        slid = self.slid[row : row + 1]
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, tile.fetched, slid)
        writes = self._passes(Group.CI, int(self._inp.trips[ci]))
        moved = Traffic(
            tensors.groups * int(words[0]) * self._passes(Group.CO, int(self._out.trips[co])),
            tensors.weight_words * self._passes(Group.SP, int(tile.trips[0])),
            tensors.ofmap_words * writes,
            tensors.ofmap_words * (writes - 1),
        )
        return int(moved.bits(self.hardware))

    def _passes(self, group: Group, trips: Any) -> Any:
        """Passes of a tensor when all other groups have several trips: never below the true ones.

        Of tiles that are cut the variant has one loop order only, so they are exact: there it is known which
        groups have one trip.
        """
        whole = self.whole and self.cut is not None
        single = self.single | ({Group.CI} if whole else frozenset())
        several = {other.value: 1 if other in single else 2 for other in Group} | {group.value: trips}
        return passes(self.stationary, group, Trips(**several), self.cut)

    @property
    def _each(self) -> int:
        """Cycles to set up a transfer in each group."""
        return self.hardware.transfer_cycles * self.tensors.groups

    @cached_property
    def turns(self) -> Product:
        """Set-ups of as many transfers as there are pairs of tiles of output channels and spatial ones."""
        return self._product("pairs", "out", "tile", self.ok, self._each * self._out.trips, self.tiles.trips)

    @cached_property
    def lesser_turns(self) -> tuple[Product, ...]:
        """Set-ups of weights, and of the ifmap, where these move once in the order of loops."""
        inputs, found = self._each * self._inp.trips, []
        if self._passes(Group.SP, 2) == 1:
            found.append(self._product("filled", "inp", "out", self.oi[::-1], inputs, self._out.trips))
        if self._passes(Group.CO, 2) == 1:
            found.append(self._product("opened", "inp", "tile", self.ik, inputs, self.tiles.trips))
        return tuple(found)

    @cached_property
    def turned(self) -> Compute:
        """``turns`` for each tensor that moves in several passes: as often as the input channels say."""
        trips, (co, row) = self._inp.trips[self.ci], self.ok
        inward = sum(self._passes(group, 2) > 1 for group in (Group.CO, Group.SP))
        factors = inward * trips + 2 * self._passes(Group.CI, trips) - 1
        pairs = self._each * self._out.trips[co] * self.tiles.trips[row]
        return self._shared("turn", factors, [self.turns], int(pairs.max()))

    @property
    def set_ups(self) -> Terms:
        """Cycles to set transfers up; nothing if that takes no time."""
        if not self.hardware.transfer_cycles:
            return {}
        return merge([self.turned.terms, *(product.terms for product in self.lesser_turns)])

    def _shared(self, family: str, factors: Ints, products: Iterable[Product], most: int) -> Compute:
        """A factor of each input-channel tile times a sum of products, at most so much."""
        terms = merge(product.terms for product in products)
        each = [int(factor) for factor in np.broadcast_to(factors, self.ci.shape)]
        if len(set(each)) == 1:
            return Compute({key: each[0] * n for key, n in terms.items() if n}, {})
        least = {name: min((n for key, n in terms.items() if key[0] == name), default=0) for name in CHOICES}
        base = sum(least.values())
        found = {key: n - least.get(key[0], 0) for key, n in terms.items()}
        above = {key: n for key, n in found.items() if n}
        fixed = self._terms("inp", [factor * base for factor in each])
        if not above:
            return Compute(fixed, {})
        labels = [(family, self._label("inp", int(b))) for b in self.ci]
        shares = dict(zip(labels, each, strict=True))
        return replace(Compute(fixed | shares, above, max(1, most - base)), family=family)


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
