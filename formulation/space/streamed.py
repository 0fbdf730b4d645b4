"""The mappings of a problem whose tiles are cut in one group, so that one tensor is streamed.

As ``Space``, with the sizes of two tensors for the group that is cut: the streamed one holds the sub-tile,
the other one the tile. All costs and footprints are non-decreasing in both, in trips, pieces and cycles.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from formulation.cost import Num, TensorBits, held_bits
from formulation.extents import Ints
from formulation.mapping import INDEPENDENT, Group, Mapping, Stationary, Tile
from formulation.space.blocks import Stage
from formulation.space.cut_channels import CutChannelTable, cut_channel_table
from formulation.space.cut_grid import CutGrid
from formulation.space.space import CLASSES, CUTS, Names, Space
from formulation.space.tables import ChannelTable, SpatialTable


class StreamedSpace(Space):
    """All mappings of one loop order whose tiles are cut by one group.

    Args:
        whole: the space of the problem's tiles that are not cut.
        which: the place of the loop order and the group in ``CUTS``.

    Attributes:
        stationary: the loop order.
        streamed: the tensor that is held as sub-tiles.
        cuts: tiles over the batch and the spatial axes, with their sub-tiles; None if another group is cut.
    """

    def __init__(self, whole: Space, which: int) -> None:
        self.__dict__.update(copy(whole).__dict__)
        self.stationary, self.cut = CUTS[which]
        self.orders = {len(CLASSES) + which: self.stationary}
        self.streamed = INDEPENDENT[self.stationary.streamed_across(self.cut)]
        self.cuts: CutGrid | None = None
        layer, hardware = self.problem.layer, self.problem.hardware
        if self.cut is Group.CO:
            self.co = cut_channel_table(layer, hardware, self.cut, summed=self.summed)
        elif self.cut is Group.CI:
            self.ci = cut_channel_table(layer, hardware, self.cut, summed=self.summed)
        else:
            self.cuts = CutGrid(layer, hardware, self.streamed)

    def known_single(self, single: frozenset[Group]) -> StreamedSpace:
        """The same space, of whose mappings only those are looked at that have one tile of some groups."""
        some = copy(self)
        some.single = single
        return some

    @property
    def is_empty(self) -> bool:
        """Whether there is no such mapping: a group of one element cannot be cut."""
        size = {Group.CO: len(self.co.tile), Group.CI: len(self.ci.tile), Group.SP: len(self.grid) - 1}
        return self.cut is None or size[self.cut] == 0

    def no_tiles(self) -> SpatialTable:
        """A table of no spatial tiles."""
        return super().no_tiles() if self.cuts is None else self.cuts.no_tiles()

    def stages(self) -> list[Stage]:
        """Ways to list spatial tiles, the last of which leaves out none that is wanted."""
        return super().stages()[1:] if self.cuts is None else self.cuts.stages()

    def cycles(self, sp: SpatialTable) -> Ints:
        """The spatial group's factor of the compute cycles, for each of some tiles."""
        return super().cycles(sp) if self.cuts is None else self.cuts.cycles(sp)

    def least_cycles(self, sp: SpatialTable) -> Ints:
        """A cheap bound below ``cycles``, also for blocks of tiles."""
        return super().least_cycles(sp) if self.cuts is None else self.cuts.cycles(sp)

    def held(self, co: Num, ci: Num, sp: SpatialTable, trips_ci: Num) -> TensorBits:
        """Bits of the largest tiles, or of the largest sub-tiles of the streamed tensor."""
        return self._bits(
            self._of("ifmap", self.ci, ci) * sp.largest,
            self._of("ofmap", self.co, co) * sp.pixels,
            self._of("weights", self.co, co) * self._of("weights", self.ci, ci),
            trips_ci,
        )

    def most_beside(self, co: Num, sp: SpatialTable) -> Num:
        """Most input channels of a tile [channels]; below 1 if none fits; arguments as of ``Space``."""
        if co is None:
            return self.most_channels(Group.CI, 1, 1, sp)
        of_ofmap, of_weights = (self._of(tensor, self.co, co) for tensor in ("ofmap", "weights"))
        return self.most_channels(Group.CI, of_ofmap, of_weights, sp)

    def most_out_channels(self, sp: SpatialTable, ci: Num = 1) -> Num:
        """Most output channels of a tile beside ``ci`` input channels [channels]; below 1 if none fits."""
        return self.most_channels(Group.CO, ci, ci, sp)

    def most_channels(self, group: Group, of_map: Num, of_weights: Num, sp: SpatialTable) -> Num:
        """Most channels of a tile [channels]; below 1 if none fits.

        Args:
            group: output or input channels.
            of_map: channels of the other group that are held of its feature map.
            of_weights: those that are held of the weights.
            sp: spatial tiles.
        """
        layer = self.problem.layer
        if group is Group.CO:
            each = self._bits(of_map * sp.largest, sp.pixels, of_weights, 1)
            return self._most(each, ("ofmap", "weights"), group, layer.out_channels)
        each = self._bits(sp.largest, of_map * sp.pixels, of_weights, 1)
        return self._most(each, ("ifmap", "weights"), group, layer.in_channels)

    def mapping(self, stationary: Stationary, co: int, ci: int, rank: int, slide: int) -> Mapping:
        """The mapping of a choice, its sliding axis None where nothing slides."""
        channels = self._both(self.co, co), self._both(self.ci, ci)
        if self.cuts is None:
            whole = tuple(int(t) for t in self.grid.tiles(np.asarray(rank)))
            inside = whole
        else:
            whole, inside = self.cuts.sizes(rank)
        tile, inner = (
            Tile(out, reduced, sizes[0], sizes[1:])
            for out, reduced, sizes in zip(*channels, (whole, inside), strict=True)
        )
        slides = slide >= 0 and self._slides(ci)
        return Mapping(tile, stationary, int(slide) if slides else None, inner)

    def _slides(self, ci: int) -> bool:
        """Whether an ifmap slides along an axis where it saves words."""
        if self.streamed == "ifmap":
            return self.cut is Group.SP
        return not (self.stationary is Stationary.OUTPUT and self.ci.trips[ci] > 1)

    def slid(self, sp: SpatialTable) -> Ints:
        """Ifmap words of one pass that slides where it may: not where it is cut by channels."""
        return sp.fetched if self.streamed == "ifmap" and self.cut is Group.CI else sp.slid

    def pieces(self, group: Group, trips: Num, at: Num) -> Num:
        """How many pieces are computed of a group; arguments as of ``Space``."""
        if group is not self.cut:
            return trips
        if self.cuts is not None:
            return self.cuts.pieces(at)
        table = self.co if group is Group.CO else self.ci
        assert isinstance(table, CutChannelTable)
        return table.pieces[at]

    def names(self, co: Num, ci: Num, sp: SpatialTable) -> Names:
        """Labels of tiles, with the sub-tiles of those that are cut."""
        if self.cuts is None:
            out, reduced, tiles = super().names(co, ci, sp)
        else:
            pairs = [self.cuts.sizes(int(rank)) for rank in sp.rank]
            out, reduced, _ = super().names(co, ci, sp.take(np.arange(0)))
            tiles = ["_".join("x".join(map(str, sizes)) for sizes in pair) for pair in pairs]
        for labels, table, at in ((out, self.co, co), (reduced, self.ci, ci)):
            if isinstance(table, CutChannelTable):
                labels[:] = [f"{name}_{sub}" for name, sub in zip(labels, table.sub[at], strict=True)]
        return out, reduced, tiles

    def channels(self, tensor: str, group: Group) -> Ints:
        """Channels that are held of a tensor, for each tile of the group's table."""
        table = self.co if group is Group.CO else self.ci
        return np.asarray(self._of(tensor, table, np.arange(len(table.tile))))

    def _of(self, tensor: str, table: ChannelTable, at: Num) -> Num:
        """Channels that are held of a tensor: of its sub-tile if it is streamed and these are cut."""
        cut = isinstance(table, CutChannelTable) and tensor == self.streamed
        return table.sub[at] if cut and isinstance(table, CutChannelTable) else table.tile[at]

    @staticmethod
    def _both(table: ChannelTable, at: int) -> tuple[int, int]:
        """Sizes of tile and sub-tile."""
        tile = int(table.tile[at])
        return tile, int(table.sub[at]) if isinstance(table, CutChannelTable) else tile

    def _bits(self, ifmap: Num, ofmap: Num, filters: Num, trips_ci: Num) -> TensorBits:
        """Bits of tiles of so many words and kernels; partial sums are wide if channels are cut as well."""
        wide = 2 if self.cut is Group.CI else trips_ci
        return held_bits(self.problem.hardware, ifmap, ofmap, filters * self.problem.layer.taps, wide)

    def _least_tile(self, co: Num, sp: SpatialTable) -> TensorBits:
        if co is None:
            return self._bits(sp.largest, sp.pixels, 1, 1)
        of_ofmap, of_weights = (self._of(tensor, self.co, co) for tensor in ("ofmap", "weights"))
        return self._bits(sp.largest, of_ofmap * sp.pixels, of_weights, 1)

    def _most(self, each: TensorBits, growing: tuple[str, str], group: Group, extent: int) -> Num:
        """Most channels of a tile; two tensors take so many bits per channel, and the third one so many.

        Where the group is cut, the streamed tensor does not grow with the tile: one channel of it is held.
        """
        total, parts = self._room()
        grows = [name for name in growing if group is not self.cut or name != self.streamed]
        rate = sum(getattr(each, name) for name in grows)
        fixed = each.total - rate
        most = np.where(rate > 0, (total - fixed) // np.maximum(rate, 1), np.where(fixed <= total, extent, 0))
        if parts is not None:
            for name in TensorBits.__slots__:
                bits, part = getattr(each, name), getattr(parts, name)
                if name in grows:
                    most = np.where(bits > 0, np.minimum(most, part // np.maximum(bits, 1)), most)
                else:
                    most = np.where(bits > part, 0, most)
        return np.minimum(most, extent)


def streamed_spaces(whole: Space) -> list[StreamedSpace]:
    """The spaces of all cuts that a problem has, if its machine streams."""
    if not whole.problem.hardware.streaming:
        return []
    spaces = (StreamedSpace(whole, which) for which in range(len(CUTS)))
    return [space for space in spaces if not space.is_empty]
