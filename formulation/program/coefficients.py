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

from formulation.bursts import (
    channel_bursts,
    ifmap_bits,
    ofmap_bits,
    split_ifmap_bits,
    weight_bits,
)
from formulation.cost import (
    Traffic,
    Trips,
    array_passes,
    array_traffic,
    footprint,
    ifmap_pass_words,
    moved_tiles,
    passes,
    tile_bits,
)
from formulation.mapping import Group, Stationary
from formulation.price import energy_quanta
from formulation.program.candidates import Candidates
from formulation.space.space import CLASSES, Space

TENSORS = ("ifmap", "ofmap", "weights")
WHOLE = "_whole"

Keys = tuple[Any, ...]
Terms = dict[tuple[str, Keys], int]
"""A linear function: coefficients by (family of variables, index)."""


SHARES = ("share", "turn", "fetch", "spill")
"""Families of variables that disaggregate a pair over the input channels: its cycles, its transfers, its
bursts of the ifmap and of partial sums."""


@dataclass(frozen=True, slots=True)
class Product:
    """A factor of the input channels times one of the pair (output channels, tile), in a variant.

    Attributes:
        terms: the product; of its family of ``SHARES`` per unit of the pair.
        above: by how much each pair is above the least; empty if it needs no such variables.
    """

    terms: Terms
    above: Terms

    def shared(self, variant: VariantTerms, co: int, ci: int, row: int) -> int:
        """What the variables of its family add for a mapping."""
        above = self.above.get(("ok", variant.index("ok", co, row)), 0)
        factors = (self.terms.get((family, variant.index("inp", ci)), 0) for family in SHARES)
        return above * sum(factors) if above else 0


class VariantTerms:
    """Coefficients of one variant, by family and index.

    Families: ``out``, ``inp``, ``tile`` of one choice; ``ok``, ``ik``, ``oi`` of output channels and tile, of
    input channels and tile, of output and input channels; and ``SHARES``, as ``formulation.program.model``
    explains.

    Args:
        space: the map space.
        found: the variant's candidates.
        which: position of its loop order in ``CLASSES``.
        whole: whether all input channels are one tile.
        names: labels of the spatial tiles.
    """

    def __init__(self, space: Space, found: Candidates, which: int, whole: bool, names: list[str]) -> None:
        self.space, self.stationary = space, CLASSES[which]
        self.name = variant_name(self.stationary, whole)
        self.tiles, self.cycles, self.names, self.whole = found.tiles, found.cycles, names, whole
        self.ok = _unique(found.co, found.row)
        self.ik = _unique(found.ci, found.row)
        self.oi = _unique(found.co, found.ci)
        self.co, self.ci, self.rows = (np.unique(column) for column in (found.co, found.ci, found.row))

    def out(self, a: int) -> str:
        """The label of an output-channel tile."""
        return f"co{self.space.co.tile[a]}"

    def inp(self, b: int) -> str:
        """The label of an input-channel tile."""
        return f"ci{self.space.ci.tile[b]}"

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
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        trips_ci = 1 if self.whole else 2
        need: dict[str, Terms] = {}
        held: dict[str, Terms] = {}
        for tensor, family, pairs in zip(
            TENSORS, ("ik", "ok", "oi"), (self.ik, self.ok, self.oi), strict=True
        ):
            co, ci, row = self._places(family, pairs)
            tiles = self.tiles.take(row)
            bits = tile_bits(
                layer,
                hardware,
                self.space.co.tile[co],
                self.space.ci.tile[ci],
                tiles.largest,
                tiles.pixels,
                trips_ci,
            )
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
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, tiles.fetched, tiles.slid)
        ifmap = layer.groups * words * self._passes(Group.CO, space.co.trips[co])
        weights = layer.weight_words * self._passes(Group.SP, tiles.trips)
        writes = self._passes(Group.CI, space.ci.trips[self.ci])
        written = Traffic(0, 0, layer.ofmap_words * writes, layer.ofmap_words * (writes - 1))
        if hardware.burst_bytes:
            return merge([self._fixed_bursts(), self.fetches.terms, self.spills.terms])
        moved = self.terms("ok", self.ok, Traffic(ifmap, weights, 0, 0).bits(hardware))
        return moved | self.terms("inp", self.ci, written.bits(hardware))

    def _fixed_bursts(self) -> Terms:
        """Bits across the pins but for ``fetches`` and ``spills``: exact for every mapping of the variant."""
        space = self.space
        layer, hardware = space.problem.layer, space.problem.hardware
        co, row = self.ok
        tile, sizes = space.co.tile[co], space.grid.tiles(self.tiles.rank[row])
        if self.whole:
            ifmap = ifmap_bits(layer, hardware, layer.in_channels, sizes)
        else:
            ifmap, _ = split_ifmap_bits(layer, hardware, sizes)
        bits = ifmap * self._passes(Group.CO, space.co.trips[co])
        bits = bits + ofmap_bits(layer, hardware, hardware.bits.ofmap, tile, sizes)
        if self.whole:
            weights = weight_bits(layer, hardware, tile, layer.in_channels)
            bits = bits + weights * self._passes(Group.SP, self.tiles.trips[row])
            return self.terms("ok", self.ok, layer.groups * bits)
        ci, row = self.ik
        weights = weight_bits(layer, hardware, 1, space.ci.tile[ci])
        weights = layer.groups * weights * self._passes(Group.SP, self.tiles.trips[row])
        return self.terms("ok", self.ok, layer.groups * bits) | self.terms("ik", self.ik, weights)

    @cached_property
    def fetches(self) -> Product:
        """Bits of ifmap runs that end with the input channels, where these are cut."""
        space = self.space
        layer, hardware = space.problem.layer, space.problem.hardware
        if self.whole or not hardware.burst_bytes:
            return Product({}, {})
        co, row = self.ok
        _, each = split_ifmap_bits(layer, hardware, space.grid.tiles(self.tiles.rank[row]))
        pair = layer.groups * each * self._passes(Group.CO, space.co.trips[co]) * np.ones_like(row)
        bursts = channel_bursts(layer, hardware, Group.CI, space.ci.tile[self.ci])[0]
        return self._product("fetch", bursts, pair)

    @cached_property
    def spills(self) -> Product:
        """Bits of partial sums, out and in."""
        space = self.space
        layer, hardware = space.problem.layer, space.problem.hardware
        if self.whole or not hardware.burst_bytes:
            return Product({}, {})
        co, row = self.ok
        sizes = space.grid.tiles(self.tiles.rank[row])
        bits = ofmap_bits(layer, hardware, hardware.bits.partial_sums, space.co.tile[co], sizes)
        again = self._passes(Group.CI, space.ci.trips[self.ci]) - 1 + 0 * self.ci
        return self._product("spill", again, 2 * layer.groups * bits)

    @cached_property
    def energy(self) -> Terms:
        """Quanta but for those of time: MACs, DRAM and, by group, what passes the array's ports."""
        space = self.space
        layer, hardware = space.problem.layer, space.problem.hardware
        each, tiles = hardware.quantum, self.tiles.take(self.rows)
        choices = {
            Group.CO: ("out", self.co, space.co.trips[self.co], space.co.cycles[self.co]),
            Group.CI: ("inp", self.ci, space.ci.trips[self.ci], space.ci.cycles[self.ci]),
            Group.SP: ("tile", self.rows, tiles.trips, self.cycles[self.rows]),
        }
        none = array_traffic(layer, layer.ifmap_reads, Trips(0, 0, 0)).bits(hardware)
        fixed: Terms = {("variant", (self.name,)): energy_quanta(hardware, layer.macs, none, 0, 0)}
        moved = {key: n * (each.sram_bit + each.dram_bit) for key, n in self.traffic.items()}
        terms = [fixed, moved]
        for group, (family, at, trips, cycles) in choices.items():
            passes = {g.value: 0 for g in Group} | {group.value: array_passes(hardware, group, trips, cycles)}
            bits = array_traffic(layer, layer.ifmap_reads, Trips(**passes)).bits(hardware) - none
            terms.append(self.terms(family, at, [each.sram_bit * int(b) for b in bits]))
        return merge(terms)

    def moves(self, co: int, ci: int, row: int) -> int | None:
        """Bits that a mapping of the variant moves; None if it is not in it."""
        pairs = ((self.ok, co, row), (self.ik, ci, row), (self.oi, co, ci))
        if not all(((p[0] == i) & (p[1] == j)).any() for p, i, j in pairs):
            return None
        keys = (("ok", co, row), ("ik", ci, row), ("inp", ci))
        linear = sum(self.traffic.get((family, self.index(family, *at)), 0) for family, *at in keys)
        return linear + self.fetches.shared(self, co, ci, row) + self.spills.shared(self, co, ci, row)

    def _passes(self, group: Group, trips: Any) -> Any:
        """Passes of a tensor when all other groups have several trips: never below the true ones."""
        several = {other.value: 2 for other in Group} | {group.value: trips}
        return passes(self.stationary, group, Trips(**several))

    @cached_property
    def compute(self) -> Product:
        """Array cycles."""
        space = self.space
        co, row = self.ok
        pair = space.problem.layer.groups * space.co.cycles[co] * self.cycles[row]
        return self._product("share", space.ci.cycles[self.ci], pair)

    @cached_property
    def setup(self) -> Product:
        """Cycles to set the transfers up: ``moved_tiles`` is linear in the trips of the input channels."""
        space = self.space
        each = space.problem.hardware.transfer_setup * space.problem.layer.groups
        if not each:
            return Product({}, {})
        co, row = self.ok
        n_co, n_sp, trips = space.co.trips[co], self.tiles.trips[row], space.ci.trips[self.ci]
        co_moves, sp_moves = self._passes(Group.CO, n_co), self._passes(Group.SP, n_sp)
        one, two = (moved_tiles(Trips(n_co, n, n_sp), self._moved(co_moves, sp_moves, n)) for n in (1, 2))
        product = self._product("turn", trips - 1, each * (two - one))
        return Product(merge([self.terms("ok", self.ok, each * one), product.terms]), product.above)

    def _moved(self, co: Any, sp: Any, trips: int) -> Trips:
        """Passes beside so many trips of the input channels."""
        return Trips(co, self._passes(Group.CI, trips), sp)

    def _product(self, family: str, factor: Any, pair: Any) -> Product:
        """A factor for each input-channel tile times one for each pair of ``ok``."""
        if len(set(factor.tolist())) == 1:
            return Product(self.terms("ok", self.ok, pair * factor[0]), {})
        least = int(pair.min())
        terms = self.terms("inp", self.ci, [int(f) * least for f in factor])
        if least == pair.max():
            return Product(terms, {})
        shares = {(family, self.index("inp", b)): int(f) for b, f in zip(self.ci, factor, strict=True)}
        return Product(terms | shares, self.terms("ok", self.ok, pair - least))


def variant_name(stationary: Stationary, whole: bool) -> str:
    """The name of a variant."""
    return stationary.value + (WHOLE if whole else "")


def _unique(first: Any, second: Any) -> Any:
    pairs = np.unique(np.stack([first, second]), axis=1)
    return pairs[0], pairs[1]


def variants_of(space: Space, found: Candidates) -> list[VariantTerms]:
    """The variants that the candidates have, in a fixed order."""
    whole = space.ci.trips[found.ci] == 1
    sizes = np.stack(space.grid.tiles(found.tiles.rank), axis=1)
    names = ["x".join(map(str, size)) for size in sizes.tolist()]
    keys = sorted({(int(c), bool(w)) for c, w in zip(found.which, whole, strict=True)})
    return [VariantTerms(space, found.take((found.which == c) & (whole == w)), c, w, names) for c, w in keys]


def merge(terms: Iterable[Terms]) -> Terms:
    """The sum of linear functions."""
    merged: Terms = {}
    for part in terms:
        for key, value in part.items():
            merged[key] = merged.get(key, 0) + value
    return merged
