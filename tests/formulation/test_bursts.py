"""Bursts: the formula against addresses, the tables against single mappings, and what they add."""

from dataclasses import replace
from itertools import permutations, product
from operator import le

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.bounds import least_energy_pj
from formulation.evaluation import evaluate, work_of
from formulation.hardware import BitWidths, Hardware, Layout
from formulation.mapping import Group, Mapping, Stationary, Tile
from formulation.pricing.bursts import channel_bursts, spatial_bursts
from formulation.problem import Problem
from formulation.space.space import CLASSES, Space
from formulation.space.undominated import undominated_tiles
from tests import strategies
from tests.strategies import examples
from tests.walkers.bursts import BurstWalk


def test_a_run_ends_with_an_axis_that_is_cut_even_if_one_word_of_it_is_stored():
    """Two outputs in two tiles, of which the second lies in the padding: the first has a word an image."""
    layer = Layer("short", 1, 1, (Axis(2, pad_hi=1, in_size=1),), batch=2)
    machine = Hardware(bits=BitWidths.uniform(4), burst_bytes=1)
    cut, whole = (Mapping(Tile(1, 1, 2, (tile,)), Stationary.WEIGHT) for tile in (1, 2))
    for mapping, bursts in ((cut, 2), (whole, 1)):
        assert evaluate(layer, machine, mapping).pins.ifmap == 8 * bursts
        assert BurstWalk(layer, machine, mapping).bits["ifmap"] == 8 * bursts


@examples(300)
@given(st.data())
def test_bits_equal_the_runs_of_addresses(data):
    layer, machine = data.draw(strategies.layers(most=5, channels=5)), data.draw(strategies.bursting())
    mapping = data.draw(strategies.mappings(layer, machine))
    cost, walk = evaluate(layer, machine, mapping), BurstWalk(layer, machine, mapping)
    assert cost.pins.by_tensor() == walk.bits
    assert cost.traffic_bits == sum(walk.bits.values())
    words = evaluate(layer, replace(machine, burst_bytes=None, layout=Layout.NCHW), mapping)
    assert cost.traffic == words.traffic
    assert cost.footprint == words.footprint
    assert cost.traffic_bits >= words.traffic_bits
    bits = replace(
        machine, burst_bytes=1, bits=replace(machine.bits, ifmap=8, weights=8, ofmap=8, partial_sums=8)
    )
    plain = replace(bits, burst_bytes=None, layout=Layout.NCHW)
    assert evaluate(layer, bits, mapping).traffic_bits == evaluate(layer, plain, mapping).traffic_bits


@examples(60)
@given(strategies.layers(most=5, channels=5, most_axes=2), strategies.bursting(), strategies.objectives())
def test_a_table_costs_what_its_mappings_do_and_no_less_than_its_bounds(layer, machine, objective):
    problem = Problem(layer, machine, objective)
    space = Space(problem)
    sp = space.grid.table([np.arange(n) for n in space.grid.shape])
    cycles = space.grid.cycles(sp)
    co, ci, row = (x.reshape(-1) for x in np.indices((len(space.co.tile), len(space.ci.tile), len(sp))))
    for which in CLASSES:
        price = space.price(which, co, ci, sp.take(row), cycles[row])
        least = space.least_price(which, co, ci, sp.take(row), cycles[row])
        for at in range(0, len(row), max(1, len(row) // 25)):
            mapping = space.mapping(which, co[at], ci[at], int(sp.rank[row[at]]), -1)
            assert price.one(at) == problem.price(problem.evaluate(mapping))
            assert all(low <= value for low, value in zip(least.one(at), price.one(at), strict=True))


@examples(60)
@given(strategies.layers(most=6, channels=4, most_axes=2), strategies.bursting())
def test_what_is_left_out_costs_no_less_than_something_that_is_not(layer, machine):
    """Beside all channels, whole and cut: some tile that is kept is at most as large and moves no more."""
    machine = replace(machine, transfer_setup=3)
    space = Space(Problem(layer, machine))
    kept, cycles = undominated_tiles(space.grid)
    every = space.grid.table([np.arange(n) for n in space.grid.shape])
    least = space.grid.cycles(every)
    channels = [(co, ci) for co in range(len(space.co.tile)) for ci in range(len(space.ci.tile))]
    for which in CLASSES:
        for co, ci in channels:
            here = space.price(which, co, ci, kept, cycles)
            there = space.price(which, co, ci, every, least)
            held = space.tile(co, ci, kept), space.tile(co, ci, every)
            for at in range(len(every)):
                fits = [getattr(held[0], x) <= getattr(held[1], x)[at] for x in ("ifmap", "ofmap")]
                good = np.logical_and.reduce(fits) & (here.traffic <= there.traffic[at])
                slow = [int(here.latency[i]) <= int(there.latency[at]) for i in range(len(kept))]
                assert (good & slow).any()


@examples(40)
@given(strategies.layers(most=3, channels=14, most_axes=1), strategies.bursting())
def test_channel_tiles_that_are_left_out_cost_no_less(layer, machine):
    problem = Problem(layer, machine)
    space = Space(problem)
    tile = Tile(1, 1, layer.batch, tuple(max(1, axis.out - 1) for axis in layer.axes))
    for order in Stationary:
        for name, table in (("out_channels", space.co), ("in_channels", space.ci)):
            extent = getattr(layer, name)
            costs = {
                n: problem.evaluate(Mapping(replace(tile, **{name: n}), order)) for n in range(1, extent + 1)
            }
            kept = [(n, costs[n]) for n in table.tile.tolist()]
            for n, cost in costs.items():
                assert any(
                    m <= n and k.traffic_bits <= cost.traffic_bits and k.latency_ticks <= cost.latency_ticks
                    for m, k in kept
                )


@examples(40)
@given(st.data(), strategies.layers(most=4, channels=30, most_axes=1), strategies.bursting())
def test_of_equal_trips_the_tile_of_fewer_bursts_moves_no_more(data, layer, machine):
    """Whatever the other sizes and the order: by all bursts of a tile of channels, or of batch and axes."""
    other = data.draw(strategies.mappings(layer, machine))
    extents = layer.out_channels, layer.in_channels, (layer.batch, *(axis.out for axis in layer.axes))
    names = "out_channels", "in_channels", "spatial"
    for name, extent in zip(names, extents, strict=True):
        if name == "spatial":
            tiles = list(product(*(range(1, n + 1) for n in extent)))
            sizes = [np.array(column) for column in zip(*tiles, strict=True)]
            changes = [{"batch": n, "spatial": tuple(spatial)} for n, *spatial in tiles]
            bursts = spatial_bursts(layer, machine, sizes)
        else:
            tiles, changes = range(1, extent + 1), [{name: n} for n in range(1, extent + 1)]
            bursts = channel_bursts(
                layer, machine, {"out_channels": Group.CO, "in_channels": Group.CI}[name], np.array(tiles)
            )
        columns = list(zip(*(column.tolist() for column in bursts), strict=True))
        found = [work_of(layer, machine, replace(other, tile=replace(other.tile, **c))) for c in changes]
        pairs = [
            (a, b)
            for a, b in permutations(range(len(columns)), 2)
            if found[a].trips == found[b].trips and all(map(le, columns[a], columns[b]))
        ]
        assert all(found[a].pins.total <= found[b].pins.total for a, b in pairs)


def test_whole_rows_are_one_run_and_cut_ones_are_not():
    """14 rows of 14 words of 2 bytes, bursts of 64 bytes: one run of 7 bursts, or two of 4, or 28 of one."""
    layer = Layer("rows", 1, 1, (Axis(14, in_size=14), Axis(14, in_size=14)))
    machine = Hardware(burst_bytes=64)
    ways = {size: Mapping(Tile(1, 1, 1, size), Stationary.OUTPUT) for size in ((14, 14), (7, 14), (14, 7))}
    bursts = {size: evaluate(layer, machine, way).pins.ifmap // 512 for size, way in ways.items()}
    assert bursts == {(14, 14): 7, (7, 14): 2 * 4, (14, 7): 2 * 14}


def test_channels_are_contiguous_in_one_layout_and_apart_in_the_other():
    layer = Layer("few", 32, 32, (Axis(8, in_size=8), Axis(8, in_size=8)))
    pixel = Mapping(Tile(32, 32, 1, (1, 1)), Stationary.WEIGHT)
    nchw, nhwc = (Hardware(burst_bytes=64, layout=layout) for layout in Layout)
    assert evaluate(layer, nchw, pixel).pins.ifmap == 32 * 64 * 512
    assert evaluate(layer, nhwc, pixel).pins.ifmap == 64 * 512
    assert least_energy_pj(layer, nhwc) <= evaluate(layer, nhwc, pixel).energy_pj(nhwc)
