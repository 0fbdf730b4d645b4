"""Coefficients of the whole program of shared ifmap tiles: as a layer's, rounds in place of channel tiles.

What a layer's program has of the output channels' tile, here depends on how filters are packed: the weights
P and the ofmap Q of the fullest round, and the passes. These are whole numbers of the program, and what they
are multiplied by is a choice. Each product is a ``LoadProduct``: one variable for every choice, the number
beside it, 0 if it is not chosen.

    weights   ci_b * P
    ofmap     unit_k * Q_c       c: the ratio of the pixels that tile k has of each shape of sub-kernel
    cycles    sum over shapes s of cycles_sk * L_s
              L_s = sum over kinds of that shape of ci_cycles_b * (fixed + each * passes)
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formulation.cost import TensorBits, Trips, array_traffic, held_bits
from formulation.extents import Ints
from formulation.hardware import Rates
from formulation.program.choices import VariantChoices
from formulation.program.terms import ChoiceTerms, Compute, Keys, Product, Terms, merge
from formulation.shared.whole.choices import SharedChoices
from formulation.space.space import CLASSES, Names
from formulation.space.tables import ChannelTable

#: The index of a variable of which there is one.
ONE = ("all",)


@dataclass(frozen=True, slots=True, eq=False)
class LoadProduct(Product):
    """A choice's factor times a number of the packing.

    Attributes:
        of: family of the numbers.
        load: index of the number, by that of the choice's binary.
        size: the greatest that a number may be, by its index.
    """

    of: str
    load: dict[Keys, Hashable]
    size: dict[Hashable, int]


class SharedTerms(ChoiceTerms):
    """Coefficients of one variant.

    Args:
        made: all choices.
        chosen: the variant's.
        names: labels of numbers of rounds, of input-channel tiles, and of tiles of the common grid.
        tables: numbers of rounds, and input-channel tiles.
    """

    def __init__(
        self,
        made: SharedChoices,
        chosen: VariantChoices,
        names: Names,
        tables: tuple[ChannelTable, ChannelTable],
    ) -> None:
        space = made.space
        super().__init__(CLASSES[chosen.which], chosen, names, tables, space.kernels, space.hardware)
        self.made, self.space = made, space

    @cached_property
    def _unit(self) -> TensorBits:
        """Bits per word of the window, pixel and word of P, by input-channel tile."""
        ci = self.space.ci
        return held_bits(self.hardware, ci, np.ones_like(ci), ci, 1 if self.whole else 2)

    @cached_property
    def window(self) -> Product:
        """Bits of the ifmap's tile: input channels times words of the window."""
        return self._product("window", "inp", "tile", self.ik, self._unit.ifmap, self.tiles.largest)

    @cached_property
    def beside(self) -> LoadProduct:
        """Bits of the weights' tile: input channels times P, as much as fits beside the least of the rest."""
        made, (total, parts), ci = self.made, self.space.room(), self.space.ci[self.ci]
        ratio = made.ratio[self.rows]
        pixels = (made.least_ofmap[ratio] * made.unit[self.rows]).min()
        window = int(self.tiles.largest[self.rows].min())
        least = held_bits(self.hardware, ci * window, pixels, 0, 1 if self.whole else 2)
        free = total - least.ifmap - least.ofmap if parts is None else parts.weights
        most = np.minimum(free // self._unit.weights[self.ci], made.most_load("fullest", "weights"))
        low = np.full_like(most, made.loads.weights.min())
        return self._load("beside", "inp", self._unit.weights, "fullest", ["weights"] * len(ci), low, most)

    @cached_property
    def pixels(self) -> LoadProduct:
        """Bits of the ofmap's tile: the unit of its pixels times Q."""
        made, (total, parts), ci = self.made, self.space.room(), int(self.space.ci[self.ci].min())
        unit, ratio = made.unit * self._unit.ofmap[0], made.ratio[self.rows]
        weights = ci * int(made.loads.weights.min())
        least = held_bits(self.hardware, ci * self.tiles.largest[self.rows], 0, weights, 1)
        free = total - least.ifmap - least.weights if parts is None else parts.ofmap
        loads = [ofmap_load(c) for c in ratio.tolist()]
        greatest = np.array([made.most_load("fullest", load) for load in loads])
        most = np.minimum(free // unit[self.rows], greatest)
        return self._load("pixels", "tile", unit, "fullest", loads, made.least_ofmap[ratio], most)

    @cached_property
    def work(self) -> tuple[LoadProduct, ...]:
        """Array cycles of each shape of sub-kernel: the tile's factor times L."""
        made, found = self.made, []
        for s, (low, most) in enumerate(made.work_range()):
            left = self.tensors.groups * made.tiles.cycles[s]
            lows, tops = (np.full(len(self.rows), n) for n in (low, most))
            found.append(self._load(f"work{s}", "tile", left, "work", [s] * len(self.rows), lows, tops))
        return tuple(found)

    def _load(
        self,
        name: str,
        family: str,
        left: Ints,
        of: str,
        numbers: Sequence[Hashable],
        low: Ints,
        most: Ints,
    ) -> LoadProduct:
        """A product over the choices of a family: ``left`` of all in its table, the rest of its own."""
        keys = [self._label(family, int(i)) for i in self.at[family]]
        factor = dict(zip(keys, (int(left[i]) for i in self.at[family]), strict=True))
        least = dict(zip(keys, map(int, low), strict=True))
        spread = {key: max(0, int(n) - least[key]) for key, n in zip(keys, most, strict=True)}
        terms = {(family, key): factor[key] * n for key, n in least.items()}
        terms |= {(name, key): factor[key] for key, n in spread.items() if n}
        size = {number: self.made.most_load(of, number) for number in set(numbers)}
        load = dict(zip(keys, numbers, strict=True))
        return LoadProduct(name, terms, least, spread, {}, (family, ""), of, load, size)

    @property
    def products(self) -> tuple[Product, ...]:
        """All products."""
        turns = (self.turns, *self.lesser_turns) if self.hardware.transfer_cycles else ()
        return (self.window, self.pixels, self.beside, *self.work, self.words, *turns)

    @property
    def shares(self) -> tuple[Compute, ...]:
        """Set-ups of transfers, shared out to the input channels."""
        return (self.turned,) if self.hardware.transfer_cycles else ()

    @cached_property
    def compute(self) -> Compute:
        """Array cycles."""
        return Compute(merge(product.terms for product in self.work), {})

    @property
    def rates(self) -> Rates | None:
        """Of what is summed; None if nothing is."""
        return self.space.problem.rates

    @cached_property
    def spent(self) -> Terms:
        """Quanta but for those of time: MACs, DRAM, and what passes the array's ports."""
        energy, each, moved = self.space.energy, self.rates, self.made.tiles.moved
        assert energy is not None
        assert each is not None
        assert moved is not None
        inp, tile, fixed = np.zeros(len(self.ci), object), np.zeros(len(self.rows), object), 0
        passes: Terms = {}
        kinds = zip(self.space.kinds, energy.ci_moved, self.made.passes_range(), strict=True)
        for k, (kind, ci_moved, (low, most)) in enumerate(kinds):
            count, none = len(kind.members), self._ports(k, Trips(0, 0, 0))
            ofmap, weights = (self._ports(k, Trips(0, *pair)) - none for pair in ((1, 0), (0, 1)))
            reads = self._ports(k, Trips(1, 0, 0)) - none
            fixed += count * none + low * reads
            inp += count * ofmap * ci_moved[self.ci].astype(object)
            tile += count * weights * moved[kind.shape][self.rows].astype(object)
            if most > low:
                passes[f"passes{k}", ONE] = each.port * reads
        alone = {("variant", (self.name,)): each.of(energy.macs, fixed, 0, 0)}
        dram = {key: n * each.moved for key, n in self.traffic.items()}
        ports = self._terms("inp", each.port * inp), self._terms("tile", each.port * tile)
        return merge([passes, alone, dram, *ports])

    def _ports(self, kind: int, moved: Trips) -> int:
        """Bits between buffer and array of one sub-kernel of a kind."""
        layer = self.space.kinds[kind].layer
        return int(array_traffic(layer, layer.ifmap_reads, moved).bits(self.hardware))


def ofmap_load(ratio: int) -> str:
    """The index of Q, counted for a ratio of pixels."""
    return f"ofmap_{ratio}"


def shared_terms(made: SharedChoices) -> list[SharedTerms]:
    """The coefficients of all variants."""
    space, rounds = made.space, np.arange(1, made.most_rounds + 1)
    none = np.zeros_like(space.ci)
    tables = ChannelTable(rounds, rounds, rounds, rounds), ChannelTable(space.ci, space.trips_ci, none, none)
    sizes = np.stack(space.grid.tiles(made.tiles.table.rank), axis=1)
    names = (
        [f"rounds{n}" for n in rounds],
        [f"ci{tile}" for tile in space.ci],
        ["x".join(map(str, size)) for size in sizes.tolist()],
    )
    return [SharedTerms(made, chosen, names, tables) for chosen in made.variants]
