"""Blocks of tiles of equal trip counts: none that is wanted is lost, and every bound holds for its tiles."""

from dataclasses import replace
from fractions import Fraction
from unittest.mock import patch

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Deconvolution, Layer
from formulation.hardware import Dataflow, Fill, Halo, Hardware
from formulation.mapping import Mapping, Stationary, Tile
from formulation.pricing.price import Price
from formulation.problem import Kind, Objective, Problem
from formulation.shared.problem import SharedProblem, SubKernels
from formulation.space import blocks
from formulation.space.blocks import sift
from formulation.space.shortlist import short_list
from formulation.space.space import CLASSES, Space
from formulation.space.tables import SpatialGrid, SpatialTable, TileGrid
from solvers.goals import limit, ranked
from solvers.layers import exhaustive, interest, search
from solvers.layers.rounding import Rounder
from solvers.layers.search import Search
from solvers.shared import exhaustive as shared_exhaustive
from tests import strategies
from tests.goals import FASTEST, goal_of, least_traffic, score
from tests.strategies import examples

COLUMNS = ("trips", "fetched", "slid", "largest", "pixels")


def whole(grid):
    """Every tile, in lexicographic order."""
    return SpatialTable.join(list(grid.slabs()))


@examples(150)
@given(
    strategies.layers(most=14, channels=3), strategies.hardware(set_up=True), st.integers(1, 40), st.data()
)
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


@examples(100)
@given(strategies.layers(most=14, channels=3), strategies.hardware())
def test_what_a_short_list_leaves_out_has_an_earlier_tile_that_is_as_small(layer, machine):
    grid = SpatialGrid(layer, machine)
    every = whole(grid)
    kept, cycles = short_list(layer, machine.for_tables)
    assert np.array_equal(cycles, grid.cycles(kept))
    columns = {name: getattr(every, name) for name in COLUMNS} | {"cycles": grid.cycles(every)}
    for name in SpatialTable.__slots__:
        assert np.array_equal(getattr(kept, name), getattr(every, name)[kept.rank])
    for left_out in set(every.rank.tolist()) - set(kept.rank.tolist()):
        earlier = kept.rank[kept.rank < left_out]
        assert np.logical_and.reduce([c[earlier] <= c[left_out] for c in columns.values()]).any()


def test_short_lists_serve_all_machines_with_the_same_array():
    layer = Layer("l", 4, 4, (Axis(20, in_size=20), Axis(20, in_size=20)))
    machine = Hardware(rows=3, cols=5)
    larger = replace(machine, buffer_bytes=1 << 22, bandwidth=Fraction(7), bank_bytes=64)
    assert short_list(layer, larger.for_tables) is short_list(layer, machine.for_tables)
    for field in ({"rows": 4}, {"cols": 4}, {"dataflow": Dataflow.INPUT}, {"halo": Halo.REUSE}):
        other = replace(machine, **field)
        assert short_list(layer, other.for_tables) is not short_list(layer, machine.for_tables)


def test_blocks_that_are_not_wanted_are_not_looked_at():
    grid = SpatialGrid(Layer("l", 1, 1, (Axis(12, in_size=12), Axis(12, in_size=12))), Hardware())
    kept = SpatialTable.join(list(sift(grid, lambda table: table.trips <= 2)))
    assert sorted(zip(*(t.tolist() for t in grid.tiles(kept.rank)[1:]), strict=True)) == [
        *((t, 12) for t in range(6, 12)),
        *((12, t) for t in range(6, 13)),
    ]


@examples(100)
@given(
    strategies.problems(set_up=True, most=14, channels=6, most_axes=2), st.integers(0, 2), st.integers(1, 4)
)
def test_survivors_hold_every_mapping_that_is_as_good_and_no_tile_whose_bound_is_worse(problem, which, many):
    space = Space(problem)
    best = Rounder(space).smallest(least_traffic()) if problem.fits_at_all else None
    if best is None:
        return
    goal = (FASTEST, least_traffic(best.price.latency), goal_of(problem))[which]
    best = ranked(goal, best)
    with patch.object(blocks, "_MANY", many):
        tiles, cycles = Search(space).survivors(goal, best)
    every = whole(space.grid)
    fits, bounds = space.bounds(every, space.grid.cycles(every))
    good = [
        (goal.keys(bound)[0] <= limit(best)) & (bound.latency <= (goal.cap or bound.latency))
        for bound in bounds
    ]
    assert set(tiles.rank.tolist()) <= set(every.rank[fits & np.logical_or.reduce(good)].tolist())
    assert tiles.rank.tolist() == sorted(tiles.rank.tolist())
    as_good = set()
    for choice, price, _ in priced(problem):
        first = (price.latency, price.traffic, problem.values(price)[0])[which]
        if first <= best.keys[0] and (goal.cap is None or price.latency <= goal.cap):
            as_good.add(choice[3])
    assert as_good <= set(tiles.rank.tolist())
    assert np.array_equal(cycles, space.grid.cycles(tiles))


def test_a_closer_look_leaves_few_tiles():
    """Weights stay in the array, 64 MiB: no channel tiles are better beside any of millions of tiles."""
    axes = tuple(Axis(n, 3, 1, 1, 1, 1, n) for n in (127, 131, 113))
    machine = Hardware(
        buffer_bytes=64 << 20,
        bandwidth=Fraction(1),
        halo=Halo.REUSE,
        fill=Fill.EXPOSED,
        dataflow=Dataflow.WEIGHT,
    )
    space = Space(Problem(Layer("l", 97, 89, axes, batch=7), machine))
    best = Rounder(space).incumbent(FASTEST, [])
    seen = interest.Interest(space, FASTEST, best)
    count = [sum(len(p) for p in sift(space.grid, seen.blocks, closer=c)) for c in (None, seen.closely)]
    assert count[0] > 100 * count[1] > 0


@st.composite
def with_many_ties(draw):
    """Problems whose tiles mostly cost the same: no halo, few channels, all bound by the transfer."""
    axes = tuple(Axis(n, in_size=n) for n in draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))
    layer = Layer(
        "ties", draw(st.integers(1, 6)), draw(st.integers(1, 6)), axes, draw(st.sampled_from((1, 3)))
    )
    machine = draw(strategies.hardware(set_up=True))
    bandwidth = draw(st.sampled_from((Fraction(1, 50), machine.bandwidth)))
    machine = replace(machine, bandwidth=bandwidth, buffer_bytes=draw(st.integers(40, 900)), bank_bytes=None)
    return Problem(layer, machine, draw(strategies.objectives()))


def priced(problem):
    """Every mapping over the tables of channel tiles that fits: choice, latency and traffic."""
    space = Space(problem)
    every = whole(space.grid)
    co, ci, row = (axis.ravel() for axis in np.indices((len(space.co.tile), len(space.ci.tile), len(every))))
    fits = space.feasible(space.tile(co, ci, every.take(row)))
    co, ci, row = co[fits], ci[fits], row[fits]
    tiles = every.take(row)
    for which, stationary in enumerate(CLASSES):
        price = space.price(stationary, co, ci, tiles, space.grid.cycles(tiles))
        for column in zip(co, ci, row, tiles.slide, *price, strict=True):
            c, i, r, slide, *each = (int(x) for x in column)
            yield (which, c, i, r), Price(*each), space.mapping(stationary, c, i, r, slide)


@examples(60)
@given(
    with_many_ties() | strategies.problems(set_up=True, most=9, channels=5),
    st.floats(0, 0.999),
    st.integers(1, 3),
    st.sampled_from((0, 1 << 15)),
)
def test_the_first_of_all_that_tie_is_found(problem, start, chunk, short):
    """From the short list, or from any first tile and in small chunks: the coarse grid would be all of it."""
    found = list(priced(problem))
    with (
        patch.object(Rounder, "improve", lambda rounder, goal, best: best),
        patch.object(
            SpatialGrid, "coarse", lambda grid: whole(grid).take(np.array([int(start * len(grid))]))
        ),
        patch.object(search, "_SHORT", short),
        patch.object(search, "_FIRST", chunk),
        patch.object(search, "_FEW", chunk),
        patch.object(blocks, "CELLS", chunk),
        patch.object(search, "CELLS", chunk),
        patch.object(blocks, "_MANY", 1 + chunk // 2),
    ):
        result = exhaustive.solve(problem)
    if not found:
        assert result.mapping is None
        return
    cap = problem.objective.cap(min(price.latency for _, price, _ in found))
    order = {
        Kind.LATENCY: lambda p: (p.latency, p.traffic),
        Kind.TRAFFIC: lambda p: (p.traffic, p.latency),
        Kind.BALANCED: lambda p: (p.latency > cap, p.traffic, p.latency),
        Kind.ENERGY: lambda p: (p.spent, p.latency, p.traffic),
        Kind.WEIGHTED: lambda p: (score(problem, *p), p.latency, p.traffic),
    }[problem.objective.kind]
    best = min(found, key=lambda f: (order(f[1]), f[0]))
    assert result.mapping == best[2]


def test_a_tie_in_an_earlier_loop_order_comes_first():
    """Six channels at six places in eleven words: halving the channels, or the places, moves as much."""
    machine = Hardware(1, 1, buffer_bytes=22, double_buffered=False)
    problem = Problem(Layer("l", 6, 1, (Axis(6, in_size=6),)), machine, Objective(Kind.TRAFFIC))
    tied = Mapping(Tile(1, 1, 1, (3,)), Stationary.INPUT)
    with (
        patch.object(search, "_SHORT", 0),
        patch.object(SpatialGrid, "coarse", lambda grid: whole(grid).take(np.array([2]))),
    ):
        found = Search(Space(problem)).minimise(least_traffic()).found
        assert found.mapping == Mapping(Tile(3, 1, 1, (1,)), Stationary.WEIGHT)
    assert found.price.traffic == problem.evaluate(tied).traffic_bits
    assert found.price.latency == problem.evaluate(tied).latency_ticks


@examples(60)
@given(
    st.lists(strategies.transposed_axes(most=5), min_size=1, max_size=2),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strategies.hardware(set_up=True),
    strategies.objectives(summed=False),
    st.floats(0, 0.999),
)
def test_shared_tiles_are_found_from_any_first_tile(axes, channels, machine, objective, start):
    deconv = Deconvolution("d", *channels, tuple(axes))
    assume(SubKernels(deconv).layers)
    problem = SharedProblem(deconv, machine, objective)
    usual = shared_exhaustive.solve(problem)
    with patch.object(TileGrid, "coarse", lambda grid: whole(grid).take(np.array([int(start * len(grid))]))):
        result = shared_exhaustive.solve(problem)
    assert result.termination is usual.termination
    assert result.mapping == usual.mapping
    assert result.lower_bound == usual.lower_bound
