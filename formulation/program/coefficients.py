"""Coefficients of the mixed-integer program: what each choice takes, moves and costs, and products of two.

A *variant* is a loop order together with whether all input channels are one tile; in each the widths of
partial sums and the sliding ifmap are settled. All numbers come from ``formulation.cost``.
"""

from __future__ import annotations

from functools import cached_property

from formulation.cost import (
    TensorBits,
    Trips,
    array_passes,
    array_traffic,
    held_bits,
)
from formulation.extents import Ints
from formulation.hardware import Rates
from formulation.mapping import Group
from formulation.program.choices import VariantChoices
from formulation.program.terms import CHOICES, ChoiceTerms, Compute, Product, Terms, merge
from formulation.space.space import Names, Space


class VariantTerms(ChoiceTerms):
    """Coefficients of one variant, by family and index.

    Families: ``out``, ``inp``, ``tile`` of one choice; those of its products; and ``share``, as
    ``formulation.program.model`` explains.

    Args:
        space: the map space.
        chosen: the variant's choices.
        names: labels of all tiles of output channels, of input channels, and of the spatial ones.
    """

    def __init__(self, space: Space, chosen: VariantChoices, names: Names) -> None:
        stationary, problem = space.orders[chosen.which], space.problem
        super().__init__(stationary, chosen, names, (space.co, space.ci), problem.layer, problem.hardware)
        self.space, self.cycles = space, chosen.cycles
        self.cut, self.single = space.cut, space.single

    @property
    def slid(self) -> Ints:
        """Ifmap words of one pass that slides where it may, of all tiles."""
        return self.space.slid(self.tiles)

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
        return held_bits(self.hardware, *channels, 2 if partial else 1)

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
    def rates(self) -> Rates | None:
        """Of what is summed; None if nothing is."""
        return self.space.rates

    @cached_property
    def spent(self) -> Terms:
        """Quanta but for those of time: MACs, DRAM and, by group, what passes the array's ports."""
        layer, hardware = self.space.problem.layer, self.hardware
        each, tiles = self.rates, self.tiles.take(self.rows)
        assert each is not None
        choices = {
            Group.CO: ("out", self.co, self._out.trips[self.co], self._out.cycles[self.co]),
            Group.CI: ("inp", self.ci, self._inp.trips[self.ci], self._inp.cycles[self.ci]),
            Group.SP: ("tile", tiles, tiles.trips, self.cycles[self.rows]),
        }
        none = array_traffic(layer, layer.ifmap_reads, Trips(0, 0, 0)).bits(hardware)
        fixed: Terms = {("variant", (self.name,)): each.of(layer.macs, none, 0, 0)}
        moved = {key: n * each.moved for key, n in self.traffic.items()}
        terms = [fixed, moved]
        for group, (family, at, trips, cycles) in choices.items():
            moves = array_passes(hardware, group, self.space.pieces(group, trips, at), cycles)
            passes = {g.value: 0 for g in Group} | {group.value: moves}
            bits = array_traffic(layer, layer.ifmap_reads, Trips(**passes)).bits(hardware) - none
            terms.append(self._terms(family, [each.port * int(b) for b in bits]))
        return merge(terms)

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
