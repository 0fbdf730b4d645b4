"""The presolve of classes whose tiles may be cut; see ``formulation.relaxed.presolve``.

The lists of a cut hold pairs of a tile and a sub-tile, those of ``formulation.space.streamed``. They have
more columns: what is held of each tensor, and the pieces that are computed. Each formula is non-decreasing
in these too, so that what is left out is left out by the same argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from formulation.cost import Num, TensorBits, held_bits
from formulation.extents import Ints
from formulation.mapping import Group
from formulation.relaxed.classes import Aim, Variant
from formulation.relaxed.lists import Channels, Rest
from formulation.relaxed.presolve import Mask, Presolve
from formulation.relaxed.structure import SUB
from formulation.space.cut_channels import CutChannelTable
from formulation.space.cut_table import CutSpatialTable
from formulation.space.space import Space
from formulation.space.streamed import StreamedSpace
from formulation.space.tables import ChannelTable, SpatialTable
from formulation.space.undominated import undominated


@dataclass(frozen=True, slots=True, eq=False)
class CutChannels(Channels):
    """Channel tiles of a cut: the tile is that of the trips.

    Attributes:
        parts: how many pieces are computed.
        of_map: channels that are held of the feature map.
        of_weights: channels that are held of the weights.
    """

    parts: Num
    of_map: Num
    of_weights: Num

    @property
    def pieces(self) -> Num:
        """How many pieces are computed."""
        return self.parts

    @property
    def least(self) -> CutChannels:
        """Of every column."""
        return CutChannels(*(getattr(self, name).min() for name in self.__match_args__))

    def within(self, table: ChannelTable, extent: int, most: Ints) -> CutChannels:
        """The least columns of tiles of at most so many channels, if these are the least of all."""
        few = Channels(self.tile, self.trips, self.cycles).within(table, extent, most)
        parts = np.maximum(self.parts, few.trips)
        return CutChannels(few.tile, few.trips, few.cycles, parts, self.of_map, self.of_weights)


class StreamedPresolve(Presolve):
    """The classes of one problem, of whole tiles and of each cut, with what is left of each.

    Args:
        space: the problem's map space of whole tiles.
        cuts: its spaces of each cut.
        aim: the objective and its caps.
        check: called between pieces of work; what it raises ends the presolve.
    """

    def __init__(
        self, space: Space, cuts: Iterable[StreamedSpace], aim: Aim, check: Callable[[], object] = bool
    ) -> None:
        super().__init__(space, aim, check)
        self.cuts = {(each.stationary, each.cut): each for each in cuts}
        self._known: set[Variant] = set()

    def _cut(self, variant: Variant) -> StreamedSpace | None:
        """The space of a class, if its tiles are cut."""
        structure = variant.structure
        return None if structure.cut is None else self.cuts[structure.stationary, structure.cut]

    def _space(self, variant: Variant) -> Space:
        return self._cut(variant) or self.space

    def _together(self, variants: Sequence[Variant]) -> Iterable[Sequence[Variant]]:
        """Classes of whole tiles; those of cuts, which have many more pairs, are listed when asked for."""
        return super()._together([v for v in variants if v.structure.cut is None])

    def reduce(self, variant: Variant, incumbent: float) -> tuple[float | None, Variant]:
        """Shorten the lists of a class; see ``Presolve``. By now the models may have closed most of them."""
        if variant.structure.cut is not None and variant not in self._known:
            self._known.add(variant)
            self._list([variant], incumbent)
            if variant in self.lists:
                self.lists[variant] = _undominated(self.lists[variant])
        least, part = super().reduce(variant, incumbent)
        self._known.add(part)
        return least, part

    def cut(self, whole: Variant, part: Variant) -> None:
        """List a part of a class."""
        self._known.add(part)
        super().cut(whole, part)

    def _channels(self, variant: Variant) -> tuple[Ints, Ints]:
        co, ci = super()._channels(variant)
        if Group.CO in variant.structure.one:
            co = co[self._space(variant).co.trips[co] == 1]
        if not variant.structure.cyclic:  # nothing is dearer in smaller sub-tiles
            co, ci = (_first(table, at) for table, at in zip(self._tables(variant), (co, ci), strict=True))
        return co, ci

    def _tables(self, variant: Variant) -> tuple[ChannelTable, ChannelTable]:
        return self._space(variant).co, self._space(variant).ci

    def _of(self, variant: Variant, group: Group, positions: Ints) -> Channels:
        space = self._cut(variant)
        if space is None:
            return super()._of(variant, group, positions)
        table = space.co if group is Group.CO else space.ci
        parts = table.pieces if isinstance(table, CutChannelTable) else table.trips
        tensors = "ofmap" if group is Group.CO else "ifmap", "weights"
        held = (space.channels(tensor, group)[positions] for tensor in tensors)
        columns = (values[positions] for values in (table.tile, table.trips, table.cycles, parts))
        return CutChannels(*columns, *held)

    def _most(self, variant: Variant, group: Group, beside: Channels, sp: SpatialTable) -> Ints:
        space = self._cut(variant)
        if space is None or not isinstance(beside, CutChannels):
            return super()._most(variant, group, beside, sp)
        return np.asarray(space.most_channels(group, beside.of_map, beside.of_weights, sp))

    def _wanted(self, variant: Variant, rest: Rest, incumbent: float, *, block: bool = False) -> Mask:
        mask = super()._wanted(variant, rest, incumbent, block=block)
        return mask & (rest.sp.trips == 1) if Group.SP in variant.structure.one else mask

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
        rows = super()._rows_beside(variant, out, ci, row, blocks, cycles, incumbent)
        return rows[blocks.trips[rows] == 1] if Group.SP in variant.structure.one else rows

    def _held(self, variant: Variant, co: Channels, ci: Channels, sp: SpatialTable) -> TensorBits:
        if not isinstance(co, CutChannels) or not isinstance(ci, CutChannels):
            return super()._held(variant, co, ci, sp)
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        kernels = co.of_weights * ci.of_weights
        wide = 2 if variant.structure.wide else 1
        return held_bits(hardware, ci.of_map * sp.largest, co.of_map * sp.pixels, kernels * layer.taps, wide)

    def _slides(self, variant: Variant) -> bool:
        """Whether the ifmap slides from tile to tile; sub-tiles that slide in their tiles are fetched so."""
        structure = variant.structure
        between = structure.cut_axis is None or not structure.partial_sums
        return variant.slide is not None and between

    def _tiles(self, variant: Variant, rest: Rest) -> list[tuple[int, Ints]]:
        space = self._cut(variant)
        if space is None:
            return super()._tiles(variant, rest)
        found = {"co": (0, space.co.tile[rest.co]), "ci": (1, space.ci.tile[rest.ci])}
        for dim, table, (which, at) in (("co", space.co, (0, rest.co)), ("ci", space.ci, (1, rest.ci))):
            if isinstance(table, CutChannelTable):
                found[SUB + dim] = which, table.sub[at]
        subs: list[Ints] = []
        if space.cuts is None:
            tiles = space.grid.tiles(rest.sp.rank)
        else:
            tiles, subs = space.cuts.sizes_at(rest.sp.rank)
        found |= {d: (2, tile) for d, tile in zip(variant.structure.spatial, tiles, strict=True)}
        found |= {SUB + d: (2, sub) for d, sub in zip(variant.structure.spatial, subs, strict=False)}
        return [found[dim] for dim in variant.structure.dims]


def _first(table: ChannelTable, positions: Ints) -> Ints:
    """Of the pairs of each tile, that of the smallest sub-tile."""
    if not isinstance(table, CutChannelTable):
        return positions
    return positions[np.unique(table.tile[positions], return_index=True)[1]]


def _undominated(rest: Rest) -> Rest:
    """The lists without pairs of spatial tiles that another one is no larger than in any column."""
    sp = rest.sp
    if not isinstance(sp, CutSpatialTable) or not len(sp):
        return rest
    columns = [sp.trips, sp.fetched, sp.slid, sp.largest, sp.pixels, sp.pieces, sp.cycles]
    keep = undominated(np.stack(columns))
    return replace(rest, sp=sp.take(keep), cycles=rest.cycles[keep])
