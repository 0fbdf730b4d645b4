"""Blocks of tiles of equal trip counts: none that is wanted is lost, and every bound holds for its tiles."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dnns.layer import Axis, Layer
from formulation.blocks import sift
from formulation.hardware import Hardware
from formulation.space import Space
from formulation.tables import SpatialGrid, SpatialTable
from solvers.rounding import Rounder
from solvers.search import LATENCY_FIRST, Search, traffic_first, weighted
from tests import strategies
from tests.strategies import examples

COLUMNS = ("trips", "fetched", "slid", "largest", "pixels")


def whole(grid):
    """Every tile, in lexicographic order."""
    return SpatialTable.join(list(grid.slabs()))


@examples(150)
@given(strategies.layers(most=14, channels=3), strategies.hardware(), st.integers(1, 40), st.data())
def test_every_wanted_tile_is_kept_and_whole(layer, machine, size, data):
    grid = SpatialGrid(layer, machine)
    every = whole(grid)
    row = data.draw(st.integers(0, len(every) - 1), label="limits from tile")
    limits = {c: getattr(every, c)[row] for c in COLUMNS if data.draw(st.booleans(), label=c)}

    def wanted(table):
        return np.logical_and.reduce(
            [np.full(len(table), True)] + [getattr(table, c) <= m for c, m in limits.items()]
        )

    pieces = list(sift(grid, wanted, size))
    assert all(len(piece) <= size for piece in pieces)
    kept = SpatialTable.join(pieces)
    assert len(set(kept.rank.tolist())) == len(kept)
    assert set(every.rank[wanted(every)].tolist()) <= set(kept.rank.tolist())
    for name in SpatialTable.__slots__:
        assert np.array_equal(getattr(kept, name), getattr(every, name)[kept.rank])


def test_blocks_that_are_not_wanted_are_not_looked_at():
    grid = SpatialGrid(Layer("l", 1, 1, (Axis(12, in_size=12), Axis(12, in_size=12))), Hardware())
    kept = SpatialTable.join(list(sift(grid, lambda table: table.trips <= 2)))
    assert sorted(zip(*(t.tolist() for t in grid.tiles(kept.rank)[1:]), strict=True)) == [
        *((t, 12) for t in range(6, 12)),
        *((12, t) for t in range(6, 13)),
    ]


@examples(100)
@given(strategies.problems(most=9, channels=6), st.integers(0, 2))
def test_survivors_are_those_of_a_look_at_every_tile(problem, which):
    space = Space(problem)
    goal = (LATENCY_FIRST, traffic_first(), weighted(problem))[which]
    best = Rounder(space).smallest(goal) if problem.fits_at_all else None
    if best is None:
        return
    if which == 1:
        goal = traffic_first(best.latency)
    search = Search(space)
    tiles, cycles = search.survivors(goal, best)
    kept = [piece for piece in search._survivors(goal, whole(space.grid), best)]
    assert np.array_equal(tiles.rank, np.concatenate([t.rank for t, _, _ in kept]))
    assert np.array_equal(cycles, space.grid.cycles(tiles))
