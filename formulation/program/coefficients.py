"""Coefficients of the mixed-integer program: what each choice, or pair of choices, takes, moves and costs.

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
    Traffic,
    Trips,
    array_passes,
    array_traffic,
    footprint,
    ifmap_pass_words,
    passes,
)
from formulation.mapping import Group, Stationary
from formulation.price import energy_quanta
from formulation.program.candidates import Candidates
from formulation.space.space import Space

TENSORS = ("ifmap", "ofmap", "weights")
WHOLE = "_whole"

Keys = tuple[Any, ...]
Terms = dict[tuple[str, Keys], int]
"""A linear function: coefficients by (family of variables, index)."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Array cycles of a variant.

    Attributes:
        terms: cycles; of ``share`` per cycle of the pair (output channels, tile).
        above: by how much each pair is above the least; empty if it needs no ``share``.
    """

    terms: Terms
    above: Terms


class VariantTerms:
    """Coefficients of one variant, by family and index.

    Families: ``out``, ``inp``, ``tile`` of one choice; ``ok``, ``ik``, ``oi`` of output channels and tile, of
    input channels and tile, of output and input channels; and ``share``, as ``formulation.program.model``
    explains.

    Args:
        space: the map space.
        found: the variant's candidates.
        which: position of its loop order in the space's ``orders``.
        whole: whether all input channels are one tile.
        names: labels of all output-channel tiles, input-channel tiles, and the candidates' spatial tiles.
    """

    def __init__(
        self,
        space: Space,
        found: Candidates,
        which: int,
        whole: bool,
        names: tuple[list[str], list[str], list[str]],
    ) -> None:
        self.space, self.stationary = space, space.orders[which]
        self.name = variant_name(self.stationary, whole)
        self.tiles, self.cycles, self.names, self.whole = found.tiles, found.cycles, names[2], whole
        self._labels = names
        self.ok = _unique(found.co, found.row)
        self.ik = _unique(found.ci, found.row)
        self.oi = _unique(found.co, found.ci)
        self.co, self.ci, self.rows = (np.unique(column) for column in (found.co, found.ci, found.row))

    def out(self, a: int) -> str:
        """The label of an output-channel tile."""
        return self._labels[0][a]

    def inp(self, b: int) -> str:
        """The label of an input-channel tile."""
        return self._labels[1][b]

    def index(self, family: str, first: int, second: int | None = None) -> Keys:
        """The labels under which a variable is known."""
        label = {"out": self.out, "inp": self.inp, "tile": self.names.__getitem__}
        if second is None:
            return self.name, label[family](first)
        one, two = {"ok": ("out", "tile"), "ik": ("inp", "tile"), "oi": ("out", "inp")}[family]
        return self.name, label[one](first), label[two](second)

    def terms(self, family: str, pairs: Any, values: Any) -> Terms:
        """Values for the members of a family, given as positions or as pairs of them."""
        if family in ("out", "inp", "tile"):
            return {(family, self.index(family, i)): int(v) for i, v in zip(pairs, values, strict=True)}
        places = zip(*pairs, values, strict=True)
        return {(family, self.index(family, i, j)): int(v) for i, j, v in places}

    def needs(self) -> dict[str, Terms]:
        """Buffer that each tensor's tile takes [banks, or bits]."""
        hardware = self.space.problem.hardware
        need, _ = self._held()
        bank = hardware.bank_bits
        return {name: {key: value // bank for key, value in terms.items()} for name, terms in need.items()}

    def edge(self) -> Terms:
        """Bits of the largest tiles."""
        _, held = self._held()
        return {key: value for terms in held.values() for key, value in terms.items()}

    def _held(self) -> tuple[dict[str, Terms], dict[str, Terms]]:
        """Footprints and bits of the tiles, by tensor."""
        hardware = self.space.problem.hardware
        trips_ci = 1 if self.whole else 2
        need: dict[str, Terms] = {}
        held: dict[str, Terms] = {}
        for tensor, family, pairs in zip(
            TENSORS, ("ik", "ok", "oi"), (self.ik, self.ok, self.oi), strict=True
        ):
            co, ci, row = self._places(family, pairs)
            tiles = self.tiles.take(row)
            bits = self.space.held(co, ci, tiles, trips_ci)
            held[tensor] = self.terms(family, pairs, getattr(bits, tensor))
            need[tensor] = self.terms(family, pairs, getattr(footprint(hardware, bits), tensor))
        return need, held

    @staticmethod
    def _places(family: str, pairs: Any) -> tuple[Any, Any, Any]:
        """Positions of output channels, input channels and tiles behind pairs; 0 where a pair has none."""
        first, second = pairs
        none = np.zeros_like(first)
        return {"ok": (first, none, second), "ik": (none, first, second), "oi": (first, second, none)}[family]

    @cached_property
    def traffic(self) -> Terms:
        """Bits moved."""
        space = self.space
        layer, hardware = space.problem.layer, space.problem.hardware
        co, row = self.ok
        tiles = self.tiles.take(row)
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, tiles.fetched, space.slid(tiles))
        ifmap = layer.groups * words * self._passes(Group.CO, space.co.trips[co])
        weights = layer.weight_words * self._passes(Group.SP, tiles.trips)
        writes = self._passes(Group.CI, space.ci.trips[self.ci])
        written = Traffic(0, 0, layer.ofmap_words * writes, layer.ofmap_words * (writes - 1))
        moved = self.terms("ok", self.ok, Traffic(ifmap, weights, 0, 0).bits(hardware))
        return moved | self.terms("inp", self.ci, written.bits(hardware))

    @cached_property
    def energy(self) -> Terms:
        """Quanta but for those of time: MACs, DRAM and, by group, what passes the array's ports."""
        space = self.space
        layer, hardware = space.problem.layer, space.problem.hardware
        each, tiles = hardware.quantum, self.tiles.take(self.rows)
        choices = {
            Group.CO: ("out", self.co, self.co, space.co.trips[self.co], space.co.cycles[self.co]),
            Group.CI: ("inp", self.ci, self.ci, space.ci.trips[self.ci], space.ci.cycles[self.ci]),
            Group.SP: ("tile", self.rows, tiles, tiles.trips, self.cycles[self.rows]),
        }
        none = array_traffic(layer, layer.ifmap_reads, Trips(0, 0, 0)).bits(hardware)
        fixed: Terms = {("variant", (self.name,)): energy_quanta(hardware, layer.macs, none, 0, 0)}
        moved = {key: n * (each.sram_bit + each.dram_bit) for key, n in self.traffic.items()}
        terms = [fixed, moved]
        for group, (family, at, tile, trips, cycles) in choices.items():
            moves = array_passes(hardware, group, space.pieces(group, trips, tile), cycles)
            passes = {g.value: 0 for g in Group} | {group.value: moves}
            bits = array_traffic(layer, layer.ifmap_reads, Trips(**passes)).bits(hardware) - none
            terms.append(self.terms(family, at, [each.sram_bit * int(b) for b in bits]))
        return merge(terms)

    def moves(self, co: int, ci: int, row: int) -> int | None:
        """Bits that a mapping of the variant moves; None if it is not in it."""
        pairs = ((self.ok, co, row), (self.ik, ci, row), (self.oi, co, ci))
        if not all(((p[0] == i) & (p[1] == j)).any() for p, i, j in pairs):
            return None
        return self.traffic["ok", self.index("ok", co, row)] + self.traffic["inp", self.index("inp", ci)]

    def _passes(self, group: Group, trips: Any) -> Any:
        """Passes of a tensor when all other groups have several trips: never below the true ones.

        Of tiles that are cut the variant has one loop order only, so they are exact: there it is known which
        groups have one trip.
        """
        whole = self.whole and self.space.cut is not None
        single = self.space.single | ({Group.CI} if whole else frozenset())
        several = {other.value: 1 if other in single else 2 for other in Group} | {group.value: trips}
        return passes(self.stationary, group, Trips(**several), self.space.cut)

    @cached_property
    def compute(self) -> Compute:
        """Array cycles."""
        space = self.space
        groups = space.problem.layer.groups
        factor = space.ci.cycles[self.ci]
        co, row = self.ok
        pair = groups * space.co.cycles[co] * self.cycles[row]
        if len(set(factor.tolist())) == 1:
            return Compute(self.terms("ok", self.ok, pair * factor[0]), {})
        least = int(pair.min())
        terms = self.terms("inp", self.ci, [int(f) * least for f in factor])
        if least == pair.max():
            return Compute(terms, {})
        shares = {("share", self.index("inp", b)): int(f) for b, f in zip(self.ci, factor, strict=True)}
        return Compute(terms | shares, self.terms("ok", self.ok, pair - least))


def variant_name(stationary: Stationary, whole: bool) -> str:
    """The name of a variant."""
    return stationary.value + (WHOLE if whole else "")


def _unique(first: Any, second: Any) -> Any:
    pairs = np.unique(np.stack([first, second]), axis=1)
    return pairs[0], pairs[1]


def variants_of(space: Space, found: Candidates) -> list[VariantTerms]:
    """The variants that the candidates have, in a fixed order."""
    whole = space.ci.trips[found.ci] == 1
    names = space.names(np.arange(len(space.co.tile)), np.arange(len(space.ci.tile)), found.tiles)
    keys = sorted({(int(c), bool(w)) for c, w in zip(found.which, whole, strict=True)})
    return [VariantTerms(space, found.take((found.which == c) & (whole == w)), c, w, names) for c, w in keys]


def merge(terms: Iterable[Terms]) -> Terms:
    """The sum of linear functions."""
    merged: Terms = {}
    for part in terms:
        for key, value in part.items():
            merged[key] = merged.get(key, 0) + value
    return merged
