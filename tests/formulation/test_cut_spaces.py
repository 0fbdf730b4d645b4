"""Tiles with sub-tiles as tables: families hold and bound every pair, and nothing better is left out."""

from dataclasses import replace
from itertools import product
from math import ceil

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.cost import array_side, group_cycles
from formulation.evaluation import work_of
from formulation.extents import cut_tiles
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.pricing.cuts import cut_table
from formulation.problem import Problem
from formulation.space import cut_grid
from formulation.space.cut_axis import cut_axis
from formulation.space.cut_channels import _smallest_parts, cut_channel_table
from formulation.space.cut_grid import CutGrid
from formulation.space.space import Space
from formulation.space.streamed import streamed_spaces
from tests import strategies
from tests.strategies import examples

MAP = {Group.CO: "ofmap", Group.CI: "ifmap"}


def bits(held):
    return held.ifmap, held.ofmap, held.weights


def pairs_of(extent):
    return [(tile, sub) for tile in range(1, extent + 1) for sub in range(1, tile + 1)]


@examples(25)
@given(strategies.axes(most=14), st.sampled_from((None, (1, 2, 5))))
def test_families_hold_each_pair_once_and_bound_it(axis, menu):
    cut = cut_axis(axis, menu)
    families, block = cut.families, np.repeat(np.arange(len(cut.starts)), np.diff(cut.offset))
    found, inside = [], [0] * len(cut.starts)
    for at in range(len(families.parts)):
        tiles, subs = cut.members(at)
        assert len(tiles)
        table = cut_table(axis, tiles, subs)
        found += zip(tiles.tolist(), subs.tolist(), strict=True)
        inside[block[at]] += len(tiles)
        pieces = np.broadcast_to(sum(count for count, _ in table.kinds), tiles.shape)
        assert (families.parts[at] == 1) == (tiles == subs).all()
        assert families.trips[at] == table.whole.trips.min() == table.whole.trips.max()
        assert ceil(axis.out / subs.max()) <= families.pieces[at] <= pieces.min()
        assert (families.first[at], families.last[at]) == (tiles.min(), tiles.max())
        for column, exact in (
            ("smallest", subs),
            ("fetched", table.fetched),
            ("within", table.within),
            ("slid", table.slid),
            ("held", table.largest),
            ("whole_fetched", table.whole.fetched),
            ("whole_slid", table.whole.slid),
            ("whole_held", table.whole.largest),
        ):
            assert getattr(families, column)[at] <= exact.min()
            assert getattr(cut.least, column)[block[at]] <= getattr(families, column)[at]
    assert sorted(found) == [p for p in pairs_of(axis.out) if menu is None or p[1] in (*menu, p[0])]
    assert menu is not None or inside == cut.inside.tolist()


@examples(10)
@given(strategies.layers(most=5, channels=2, most_axes=2), strategies.hardware(), st.data())
def test_ranks_tell_the_sizes_of_all_pairs_in_turn(layer, machine, data):
    grid = CutGrid(layer, machine, data.draw(st.sampled_from(("ifmap", "ofmap"))))
    every = list(product(*(pairs_of(axis.axis.out) for axis in grid.axes)))
    tiles, subs = grid.sizes_at(np.arange(len(every)))
    told = [tuple(zip(*sizes, strict=True)) for sizes in (tiles, subs)]
    assert [(tuple(map(int, t)), tuple(map(int, s))) for t, s in zip(*told, strict=True)] == [
        tuple(zip(*pairs, strict=True)) for pairs in every
    ]
    rank = data.draw(st.integers(0, len(every) - 1))
    assert grid.sizes(rank) == tuple(zip(*every[rank], strict=True))
    cut = [i for i, pairs in enumerate(every) if any(t != s for t, s in pairs)]
    tables = list(grid.product([np.array(pairs_of(axis.axis.out)) for axis in grid.axes]))
    assert sorted(int(rank) for table in tables for rank in table.rank) == cut


def test_what_a_closer_look_does_not_want_is_left_out():
    layer, machine = Layer("x", 1, 1, (Axis(6, in_size=6),)), Hardware()
    (table,) = CutGrid(layer, machine, "ofmap").product([np.array([(1, 1)]), np.array(pairs_of(6))])
    wanted = cut_grid._looked(table, lambda t: t.pixels >= 2, lambda t: t.trips == 2)
    assert wanted.tolist() == [i for i in range(len(table)) if table.pixels[i] >= 2 and table.trips[i] == 2]
    assert 0 < len(wanted) < len(table)
    assert len(cut_grid._looked(table, lambda t: t.pixels > 9, lambda t: t.trips == 2)) == 0


def test_the_smallest_of_each_number_of_parts_are_listed():
    for size in range(1, 60):
        assert _smallest_parts(size).tolist() == sorted({ceil(size / n) for n in range(1, size + 1)})


@examples(40)
@given(
    strategies.layers(most=2, channels=20, most_axes=1),
    strategies.hardware(),
    st.sampled_from((Group.CO, Group.CI)),
    st.booleans(),
)
def test_some_cut_of_channels_that_is_kept_is_no_larger_and_no_dearer(layer, machine, group, summed):
    extent = layer.out_channels if group is Group.CO else layer.in_channels
    table = cut_channel_table(layer, machine, group, summed=summed)
    counted = array_side(machine, group) is None and bool(summed or machine.fill_cycles)
    columns = ("tile", "sub", "trips", "cycles", *(["pieces"] if counted else []))
    kept = list(zip(*(getattr(table, name).tolist() for name in columns), strict=True))
    cost = {}
    for tile, sub in pairs_of(extent):
        if sub < tile:
            kinds = cut_tiles(extent, tile, sub)
            pieces = sum(count for count, _ in kinds)
            cycles = int(group_cycles(layer, machine, group, pieces, kinds))
            cost[tile, sub] = (tile, sub, ceil(extent / tile), cycles, pieces)[: len(columns)]
    assert [cost[row[:2]] for row in kept] == kept == sorted(kept)
    for row in cost.values():
        assert any(all(a <= b for a, b in zip(other, row, strict=True)) for other in kept)
    for i, row in enumerate(kept):
        same = [
            other for j, other in enumerate(kept) if j != i and other[:1] + other[2:3] == row[:1] + row[2:3]
        ]
        assert not any(all(a <= b for a, b in zip(other, row, strict=True)) for other in same)


@examples(10)
@given(strategies.problems(most=4, channels=5, most_axes=2), st.data())
def test_tables_of_cuts_cost_and_hold_what_their_mappings_do(problem, data):
    """All channels, and some spatial tiles; and as many channels fit as are told, where that is exact."""
    room = data.draw(st.integers(4, 60))  # in which tiles just fit, or just do not
    bank = data.draw(st.sampled_from((None, 3)))
    machine = replace(problem.hardware, streaming=True, buffer_bytes=room, bank_bytes=bank)
    problem, layer = Problem(problem.layer, machine, problem.objective), problem.layer
    narrow = machine.bits.partial_sums == machine.bits.ofmap
    for space in streamed_spaces(Space(problem)):
        if space.cuts is None:
            sp = space.grid.table([np.arange(n) for n in space.grid.shape])
        else:
            every = [np.array(pairs_of(n)) for n in (layer.batch, *(axis.out for axis in layer.axes))]
            (sp,) = space.cuts.product(every)
        some = data.draw(st.lists(st.integers(0, len(sp) - 1), min_size=1, max_size=3))
        channels = product(range(len(space.co.tile)), range(len(space.ci.tile)))
        for (co, ci), row in product(channels, some):
            at = sp.take(np.array([row]))
            mapping = space.mapping(space.stationary, co, ci, int(at.rank[0]), int(at.slide[0]))
            work, cost = work_of(layer, machine, mapping), problem.evaluate(mapping)
            assert (mapping.cut, mapping.streamed) == (space.cut, space.streamed)
            held = space.tile(co, ci, at)
            assert all(int(np.ravel(x)[0]) == y for x, y in zip(bits(held), bits(work.tile), strict=True))
            for few in (None, co):  # bounds of blocks have one channel of what is not chosen
                least = space._least_tile(few, at)
                assert all(
                    int(np.ravel(x)[0]) <= y for x, y in zip(bits(least), bits(work.tile), strict=True)
                )
            fits = problem.is_feasible(cost)
            assert bool(np.ravel(space.feasible(held))[0]) == fits
            price = space.price(space.stationary, co, ci, at, space.cycles(at)).one(0)
            assert all(a >= b for a, b in zip(price, problem.price(cost), strict=True))
            if min(work.trips.co, work.trips.ci, work.trips.sp) > 1:
                assert price == problem.price(cost)
            for group, tile, other, table in (
                (Group.CO, mapping.tile.out_channels, Group.CI, space.ci),
                (Group.CI, mapping.tile.in_channels, Group.CO, space.co),
            ):
                place = ci if table is space.ci else co
                each = [int(space.channels(name, other)[place]) for name in (MAP[other], "weights")]
                most = int(np.ravel(space.most_channels(group, *each, at))[0])
                assert not fits or tile <= most
                if machine.bank_bytes is None and (narrow or work.trips.ci == 1 or space.cut is Group.CI):
                    assert group is space.cut or fits == (tile <= most)
