"""Rounding and local search among the mappings of one cut; ``solvers.layers.rounding`` has whole tiles.

A place has a coordinate more for each dimension of the batch and the axes if these are cut, its sub-tile less
one; where channels are cut, their coordinate is the position of a pair of tile and sub-tile.
"""

from __future__ import annotations

from collections.abc import Mapping as Fields
from collections.abc import Sequence
from math import ceil, floor

import numpy as np

from formulation.extents import Ints
from formulation.relaxed.structure import SUB
from formulation.space.cut_channels import CutChannelTable
from formulation.space.streamed import StreamedSpace
from formulation.space.tables import ChannelTable
from solvers.backends.deadline import NEVER, Deadline
from solvers.goals import Goal, LayerFound
from solvers.layers.rounding import Rounder

_SPREAD = 16  # tiles of a channel that is cut that the local search looks at beside those near


class CutRounder(Rounder):
    """Rounds and improves mappings of one cut of a problem.

    Args:
        space: its map space.
        deadline: when the local search stops.
    """

    menu, near = 20, 4

    def __init__(self, space: StreamedSpace, deadline: Deadline = NEVER) -> None:
        self.streamed, self.cuts = space, space.cuts
        super().__init__(space, deadline)

    def _coordinates(self) -> tuple[int, ...]:
        sizes = super()._coordinates()
        return sizes if self.cuts is None else (*sizes, *self._extents)

    def _place(self, found: LayerFound) -> list[int]:
        """That of a mapping, or near it if it is cut in another way: then in sub-tiles as large as may be."""
        mapping, space = found.mapping, self.streamed
        alike = mapping.inner is not None and (mapping.stationary, mapping.cut) == (
            space.stationary,
            space.cut,
        )
        inner = mapping.steps if alike else mapping.tile
        place = super()._place(found)
        for at, table, size, sub in (
            (0, space.co, mapping.tile.out_channels, inner.out_channels),
            (1, space.ci, mapping.tile.in_channels, inner.in_channels),
        ):
            if isinstance(table, CutChannelTable):
                place[at] = int(_nearest(table, np.array([size]), np.array([sub]))[0])
        subs = [] if self.cuts is None else [inner.batch - 1, *(n - 1 for n in inner.spatial)]
        return [max(0, at) for at in place] + subs

    def _menu(self, dim: int, at: int) -> Ints:
        """Positions of one coordinate; of channels that are cut, also other tiles with like sub-tiles."""
        near = super()._menu(dim, at)
        table = (self.space.co, self.space.ci)[dim] if dim < 2 else None
        if not isinstance(table, CutChannelTable):
            return near
        tiles = np.unique(np.linspace(1, table.tile[-1], _SPREAD).astype(np.int64))
        tiles = np.unique(np.r_[tiles, -(-table.tile[-1] // np.arange(1, 9))])
        same = np.flatnonzero(table.tile == table.tile[at])
        spread = _nearest(table, tiles, np.full(len(tiles), table.sub[at]))
        return np.unique(np.r_[near, same[:_SPREAD], spread])

    def round(
        self, goal: Goal, trips: Fields[str, float], best: LayerFound | None = None
    ) -> LayerFound | None:
        """The best mapping beside a relaxed point, or the given one if that is better."""
        picks = []
        for dim, table in (("co", self.space.co), ("ci", self.space.ci)):
            if isinstance(table, CutChannelTable):
                beside = self._pairs_beside(int(table.tile[-1]), trips[dim], trips[SUB + dim])
                picks.append(np.unique(_nearest(table, *beside.T)))
            else:
                picks.append(self._channels(table.tile, trips[dim]))
        rest = [d for d in trips if d not in ("co", "ci") and not d.startswith(SUB)]
        if self.cuts is None:
            picks += [self._neighbours(n, trips[d]) - 1 for d, n in zip(rest, self._extents, strict=True)]
            return self._best(goal, picks, best)
        pairs = [
            self._pairs_beside(n, trips[d], trips.get(SUB + d))
            for d, n in zip(rest, self._extents, strict=True)
        ]
        return self._best_of(goal, picks, pairs, best)

    def _pairs_beside(self, extent: int, trips: float, sub_trips: float | None) -> Ints:
        """Pairs of a tile and a sub-tile beside relaxed ones; the tile itself if it is not cut."""
        tiles = self._neighbours(extent, trips)
        if sub_trips is None:
            return np.stack([tiles, tiles], axis=1)
        size = extent / sub_trips
        subs = {floor(size), ceil(size), *(max(1, round(size / q)) * q for q in self._quanta)}
        pairs = {(int(t), min(s, int(t))) for t in tiles for s in subs if s >= 1}
        return np.array(sorted(pairs))

    def _best(self, goal: Goal, picks: Sequence[Ints], best: LayerFound | None) -> LayerFound | None:
        if self.cuts is None:
            return super()._best(goal, picks, best)
        count = len(self._extents)
        tiles, subs = picks[2 : 2 + count], picks[2 + count :]
        pairs = []
        for tile, sub in zip(tiles, subs, strict=True):
            t, s = (each.reshape(-1) + 1 for each in np.meshgrid(tile, sub, indexing="ij"))
            some = np.stack([t, np.minimum(t, s)], axis=1)
            pairs.append(np.unique(some, axis=0))
        return self._best_of(goal, picks[:2], pairs, best)

    def _best_of(
        self, goal: Goal, channels: Sequence[Ints], pairs: Sequence[Ints], best: LayerFound | None
    ) -> LayerFound | None:
        """The best of some channel tiles and pairs of each spatial dimension, and of the given mapping."""
        assert self.cuts is not None
        for sp in self.cuts.product(pairs):
            best = self.listed(goal, channels[0], channels[1], sp, self.space.cycles(sp), best)
        return best


def _nearest(table: ChannelTable, tile: Ints, sub: Ints) -> Ints:
    """Positions of the last listed pairs that are no greater than these, tile first."""
    assert isinstance(table, CutChannelTable)
    step = int(table.tile[-1]) + 1
    at = np.searchsorted(table.tile * step + table.sub, tile * step + np.minimum(sub, tile - 1), side="right")
    return np.asarray(np.maximum(at - 1, 0))
