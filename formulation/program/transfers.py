"""Coefficients of the mixed-integer program where transfers are set up, or take whole bursts.

Both are of three choices, and shared out to the input channels like the array's cycles. With n the trips, P
the passes of the order of loops, and ``g`` the bursts of runs that end with channels:

    set-ups   n_b * n_a * P_k + n_b * n_k * P_a + n_a * n_k * (2 P_b - 1)       (``cost.moved_tiles``)
    ifmap     P_a * (fixed_k + each_k * g_b)        channels cut; P_a * whole_k if they are one tile
    weights   P_k * w_b                             channels cut; P_k * w_a
    ofmap     O_ak, and 2 (P_b - 1) times that at the partial sums' width
              O_ak = fixed_k + each_k * g_a         output channels cut; whole_k if they are one tile
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from formulation.extents import Ints
from formulation.mapping import Group
from formulation.pricing.bursts import (
    channel_bursts,
    ifmap_bits,
    ofmap_bits,
    split_ifmap_bits,
    split_ofmap_bits,
    weight_bits,
)
from formulation.program.choices import VariantChoices
from formulation.program.coefficients import VariantTerms
from formulation.program.terms import Compute, Product, Terms, merge
from formulation.space.space import Space


@dataclass(frozen=True, slots=True, eq=False)
class BurstTerms:
    """What traffic is made of: terms, products, and what is shared out to the input channels."""

    terms: tuple[Terms, ...]
    products: tuple[Product, ...]
    shares: tuple[Compute, ...]


class TransferTerms(VariantTerms):
    """Coefficients of a variant, with set-ups and bursts; arguments as of ``VariantTerms``."""

    @property
    def products(self) -> tuple[Product, ...]:
        """All products."""
        hardware = self.hardware
        every = (self.window, self.pixels, self.beside, self.work)
        moved = self.bursts.products if hardware.burst_bytes else (self.words,)
        return (*every, *moved, *((self.turns, *self.lesser_turns) if hardware.transfer_cycles else ()))

    @property
    def shares(self) -> tuple[Compute, ...]:
        """What is shared out to the input channels besides ``compute``."""
        hardware = self.hardware
        bursts = self.bursts.shares if hardware.burst_bytes else ()
        return (*bursts, *((self.turned,) if hardware.transfer_cycles else ()))

    @cached_property
    def traffic(self) -> Terms:
        """Bits moved."""
        if not self.hardware.burst_bytes:
            return super().traffic
        return merge(self.bursts.terms)

    def moves(self, co: int, ci: int, row: int) -> int | None:
        """Bits that a mapping of the variant moves; None if it is not in it."""
        found = super().moves(co, ci, row)
        layer, hardware = self.space.problem.layer, self.hardware
        if found is None or not hardware.burst_bytes:
            return found
        sizes = [int(size) for size in self.space.grid.tiles(self.tiles.rank[row])]
        out, inp = int(self._out.tile[co]), int(self._inp.tile[ci])
        each = partial(ofmap_bits, layer, hardware, co=out, sizes=sizes)
        again = self._passes(Group.CI, int(self._inp.trips[ci])) - 1
        bits = ifmap_bits(layer, hardware, inp, sizes) * self._passes(Group.CO, int(self._out.trips[co]))
        bits += weight_bits(layer, hardware, out, inp) * self._passes(Group.SP, int(self.tiles.trips[row]))
        bits += each(width=hardware.bits.ofmap) + 2 * again * each(width=hardware.bits.partial_sums)
        return int(layer.groups * bits)

    @cached_property
    def bursts(self) -> BurstTerms:
        """What crosses the DRAM's pins."""
        final = self._ofmap("final", self.hardware.bits.ofmap)
        parts = [self._ifmap(), self._weights(), BurstTerms(tuple(p.terms for p in final), final, ())]
        if not self.whole and self._passes(Group.CI, 2) > 1:
            parts.append(self._partial_sums())
        every = ("terms", "products", "shares")
        return BurstTerms(*(tuple(x for part in parts for x in getattr(part, name)) for name in every))

    @cached_property
    def _sizes(self) -> list[Ints]:
        return self.space.grid.tiles(self.tiles.rank)

    def _ifmap(self) -> BurstTerms:
        layer, hardware = self.space.problem.layer, self.hardware
        left = layer.groups * self._passes(Group.CO, self._out.trips) * np.ones_like(self._out.trips)
        over = partial(self._over_tiles, left=left)
        if self.whole:
            words = over("words", ifmap_bits(layer, hardware, layer.in_channels, self._sizes))
            return BurstTerms((words.terms,), (words,), ())
        fixed, each = split_ifmap_bits(layer, hardware, self._sizes)
        words, reach = over("words", fixed), over("reach", each)
        bursts = channel_bursts(layer, hardware, Group.CI, self._inp.tile[self.ci])[0]
        co, row = self.ok
        most = int((left[co] * (each * np.ones_like(self.tiles.trips))[row]).max())
        fetched = self._shared("fetch", bursts, [reach], most)
        return BurstTerms((words.terms, fetched.terms), (words, reach), (fetched,))

    def _weights(self) -> BurstTerms:
        layer, hardware = self.space.problem.layer, self.hardware
        trips = self._passes(Group.SP, self.tiles.trips) * np.ones_like(self.tiles.trips)
        if self.whole:
            bits = layer.groups * weight_bits(layer, hardware, self._out.tile, layer.in_channels)
            product = self._product("filters", "out", "tile", self.ok, bits, trips)
        else:
            bits = layer.groups * weight_bits(layer, hardware, 1, self._inp.tile)
            product = self._product("filters", "inp", "tile", self.ik, bits, trips)
        return BurstTerms((product.terms,), (product,), ())

    def _ofmap(self, name: str, width: int) -> tuple[Product, ...]:
        """Bits of all ofmap tiles, once, at some width."""
        layer, hardware = self.space.problem.layer, self.hardware
        at = 0 if width == hardware.bits.ofmap else 1
        cut = layer.groups * (self._out.trips > 1)
        bursts = channel_bursts(layer, hardware, Group.CO, self._out.tile)[at]
        fixed, each = split_ofmap_bits(layer, hardware, width, self._sizes)
        whole = ofmap_bits(layer, hardware, width, layer.out_channels, self._sizes)
        return (
            self._over_tiles(f"{name}_fixed", fixed, left=cut),
            self._over_tiles(f"{name}_each", each, left=cut * bursts),
            self._over_tiles(f"{name}_whole", whole, left=layer.groups - cut),
        )

    def _partial_sums(self) -> BurstTerms:
        layer, hardware = self.space.problem.layer, self.hardware
        products, (co, row) = self._ofmap("partial", hardware.bits.partial_sums), self.ok
        sizes = [size[row] for size in self._sizes]
        bits = ofmap_bits(layer, hardware, hardware.bits.partial_sums, self._out.tile[co], sizes)
        again = 2 * (self._inp.trips[self.ci] - 1)
        spilled = self._shared("spill", again, products, int((layer.groups * bits).max()))
        return BurstTerms((spilled.terms,), products, (spilled,))

    def _over_tiles(self, name: str, right: Ints, *, left: Ints) -> Product:
        """A factor of the output channels times one of the spatial tiles."""
        return self._product(name, "out", "tile", self.ok, left, right * np.ones_like(self.tiles.trips))


def variants_of(space: Space, chosen: Iterable[VariantChoices]) -> list[VariantTerms]:
    """The coefficients of variants."""
    hardware = space.problem.hardware
    kind = TransferTerms if hardware.transfer_cycles or hardware.burst_bytes else VariantTerms
    variants = []
    for one in chosen:
        names = space.names(np.arange(len(space.co.tile)), np.arange(len(space.ci.tile)), one.tiles)
        variants.append(kind(space, one, names))
    return variants
