"""The relaxation of a problem whose tiles may be cut: its classes of whole tiles, and of each cut.

A class of a cut fixes the loop order and the group that is cut (``formulation.pricing.cuts``), whether
there are partial sums, and what slides. Its models are those of ``formulation.relaxed.model`` with a size
more for each dimension that is cut: that of the sub-tile.

**Every streamed mapping has a class whose model is below it**, or is no better than one that has. Its point
has its own trips, and those that its sub-tiles would have as tiles, ``k = ceil(extent / sub)``:

* a sub-tile is at least ``extent / k``. What is held of the streamed tensor grows with it, and the longest
  interval is at least ``cuts.least_largest``;
* the array runs at least ``k`` pieces of a dimension, as each covers at most ``sub`` of it. Cycles, and
  passes at the array's ports, are non-decreasing in the pieces (``pieces_cycles_underestimate``);
* a streamed ifmap has at least the words of ``k`` intervals (``cuts.least_fetched``). If it slides, its axis
  is the only dimension that is cut, and its words are those of the tiles, which is what the classes of
  ``cut_axis`` have: slid with one input-channel tile, else fetched;
* a streamed tensor moves as in the table in any case. What is held whole moves less than that where the
  loops inside have one trip. INPUT by sp with one tile of co, WEIGHT or INPUT by ci with one tile of co and
  of sp are classes of their own (``one``). WEIGHT by co with one tile of sp, and OUTPUT with one tile of ci
  as well, need none.

For these, whole tiles of WEIGHT or INPUT, of the sub-tile's channels, move no tensor more often and take no
more of the buffer. They take no longer either: where output channels stream, or a sub-tile is within one
pass of the array, tiles of a size are the fewest pieces; if it is not, cut down to whole passes they take
``ceil(extent / side)``, the least there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from dnns.axes import Axis
from formulation.cost import fits, footprint, held_bits
from formulation.extents import full_axis_table
from formulation.mapping import Group, Stationary, Tensor
from formulation.pricing.cuts import least_largest
from formulation.relaxed.classes import Variant
from formulation.relaxed.layers import LayerRelaxation
from formulation.relaxed.structure import SUB, Structure
from formulation.relaxed.underestimates import (
    Underestimate,
    pieces_cycles_underestimate,
    sub_axis_underestimates,
)
from formulation.space.space import CUTS


class StreamedRelaxation(LayerRelaxation):
    """The share that a problem has of all its relaxed models, if its machine streams."""

    def variants(self, timed: bool) -> Iterator[Variant]:
        """All models that are needed: of whole tiles, then of each cut."""
        yield from super().variants(timed)
        for partial_sums in (False, True):
            for stationary, cut in CUTS:
                structure = replace(self._structure(stationary, partial_sums, timed), cut=cut)
                yield from (v for v in self._cut(structure) if _is_any(v) and self._smallest_fits(v))

    def _cut(self, structure: Structure) -> Iterator[Variant]:
        """The classes of one cut."""
        stationary, cut, streamed = structure.stationary, structure.cut, structure.streamed
        if streamed == "ifmap" and cut is Group.SP:
            yield self._whole(structure, None)
            for axis in self._slides():
                if axis is not None:
                    yield self._whole(replace(structure, cut_axis=axis), axis)
            return
        refetches = stationary is Stationary.OUTPUT and structure.partial_sums
        for slide in [None] if streamed == "ifmap" or refetches else self._slides():
            yield self._whole(structure, slide)
            if streamed == "ofmap" and cut is Group.SP:
                yield self._whole(replace(structure, one=(Group.CO,)), slide)
        if cut is Group.CI and structure.partial_sums:
            yield self._whole(replace(structure, one=(Group.CO, Group.SP)), None)

    def _whole(self, structure: Structure, slide: int | None) -> Variant:
        """A class with all its tiles and sub-tiles."""
        variant = super()._whole(structure, slide)
        tiles = dict(zip(structure.dims, variant.tiles, strict=False))
        for dim in (dim for group in structure.one for dim in structure.of_group(group)):
            tiles[dim] = (self.extents[dim],) * 2
        for sub in structure.subs:
            dim = sub.removeprefix(SUB)
            smallest, greatest = tiles[dim]
            if len(structure.subs) == 1:
                tiles[dim], tiles[sub] = (max(2, smallest), greatest), (1, greatest - 1)
            else:
                tiles[sub] = (1, greatest)
        extents = tuple(self.extents[d.removeprefix(SUB)] for d in structure.dims)
        return Variant(structure, slide, tuple(tiles[d] for d in structure.dims), extents)

    def _smallest_fits(self, variant: Variant) -> bool:
        """Whether the smallest tile of a class fits, with the smallest of its sub-tiles."""
        s, layer, hardware = variant.structure, self.problem.layer, self.problem.hardware

        def size(tensor: Tensor, dim: str) -> int:
            return variant.tile_range(s.held(tensor, dim))[0]

        words = size("ifmap", "batch")
        for dim, axis in zip(s.spatial[1:], layer.axes, strict=True):
            cut = s.held("ifmap", dim) != dim
            longest = least_largest(axis) if cut else full_axis_table(axis).largest
            words *= int(longest[size("ifmap", dim) - 1])
        held = held_bits(
            hardware,
            size("ifmap", "ci") * words,
            size("ofmap", "co") * prod(size("ofmap", d) for d in s.spatial),
            size("weights", "co") * size("weights", "ci") * layer.taps,
            2 if s.wide else 1,
        )
        return bool(fits(hardware, self.problem.partition, footprint(hardware, held)))

    def _axis(self, variant: Variant, dim: str, axis: Axis) -> tuple[Underestimate, Underestimate]:
        """Of an axis: words and longest interval, of what is held and moved of it."""
        s = variant.structure
        fetched, largest = super()._axis(variant, dim, axis)
        sub = s.held("ifmap", dim)
        if sub == dim:
            return fetched, largest
        under = sub_axis_underestimates(axis, *variant.tile_range(sub))
        if s.cut_axis is None:
            return under.fetched, under.largest
        return fetched if not s.partial_sums else self._refetched(variant, dim, axis), under.largest

    def _refetched(self, variant: Variant, dim: str, axis: Axis) -> Underestimate:
        """Of the words of tiles that do not slide into one another, as their sub-tiles do."""
        return super()._axis(replace(variant, slide=None), dim, axis)[0]

    def _cycles_of(self, variant: Variant, group: Group) -> Underestimate:
        """Of a group's factor of the compute cycles: by pieces, if it is cut."""
        if group is variant.structure.cut:
            return pieces_cycles_underestimate(self.problem.layer, self.problem.hardware, group)
        return super()._cycles_of(variant, group)


def _is_any(variant: Variant) -> bool:
    """Whether there is a tile that can be cut: one of more than one element."""
    some = any(variant.extent(sub) > 1 for sub in variant.structure.subs)
    return some and all(smallest <= greatest for smallest, greatest in variant.tiles)
