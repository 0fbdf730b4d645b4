"""Streamed tiles: the closed forms against enumeration, and the cost against a walk of the inner steps."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.evaluation import evaluate
from formulation.hardware import Hardware
from formulation.mapping import Mapping, Stationary, Tile
from formulation.pricing.cuts import cut_table, first_interval, least_fetched, least_largest
from tests import strategies
from tests.strategies import examples
from tests.walkers.stream_walker import StreamWalk, parts
from tests.walkers.walker import cuts, span


@examples(40)
@example(Axis(4, 3, pad_lo=-3, pad_hi=5, in_size=4))  # before the first tile an interval would be longer
@given(strategies.axes(most=12))
def test_cut_tables_equal_enumeration(axis):
    pairs = [(tile, sub) for tile in range(1, axis.out + 1) for sub in range(1, tile + 1)]
    table = cut_table(axis, *np.array(pairs).T)
    for i, (tile, sub) in enumerate(pairs):
        tiles = [[span(axis, part) for part in parts(outputs, sub)] for outputs in cuts(axis.out, tile)]
        spans = [s for inside in tiles for s in inside]
        assert table.fetched[i] == sum(map(len, spans))
        assert table.largest[i] == max(map(len, spans))
        assert table.within[i] == sum(new_words(inside) for inside in tiles)
        assert table.slid[i] == new_words(spans)
        sizes = Counter(len(part) for outputs in cuts(axis.out, tile) for part in parts(outputs, sub))
        kinds = Counter()
        for count, size in table.kinds:
            kinds[int(np.broadcast_to(size, len(pairs))[i])] += int(np.broadcast_to(count, len(pairs))[i])
        assert +kinds == sizes


def new_words(spans):
    return sum(len(s - b) for s, b in zip(spans, [frozenset(), *spans[:-1]], strict=True))


@examples(25)
@example(Axis(7, 3, pad_lo=2, in_size=7))
@given(strategies.axes(most=9))
def test_what_sub_tiles_have_at_least_is_what_some_have_at_most(axis):
    """Bounds over all tiles: on the longest interval from a size on, on the words from a number on."""
    longest, words = least_largest(axis), least_fetched(axis)
    for tile in range(1, axis.out + 1):
        for sub in range(1, tile + 1):
            runs = [span(axis, part) for each in cuts(axis.out, tile) for part in parts(each, sub)]
            assert all(longest[:sub] <= max(map(len, runs)))
            assert all(words[: len(runs)] <= sum(map(len, runs)))
    firsts = [len(span(axis, range(size))) for size in range(1, axis.out + 1)]
    assert first_interval(axis, np.arange(1, axis.out + 1)).tolist() == firsts


def test_the_bound_on_sub_tiles_is_reached_away_from_a_border():
    """Padding shortens the first interval alone: of three sizes' outputs, some sub-tile has a whole one."""
    axis = Axis(12, 3, pad_lo=1, in_size=13)
    assert least_largest(axis)[:4].tolist() == [3, 4, 5, 6]


@examples(150)
@given(st.data())
def test_counts_equal_a_walk_of_the_inner_steps(data):
    layer = data.draw(strategies.layers(most=6, channels=6))
    machine = replace(data.draw(strategies.hardware()), streaming=True)
    mapping = data.draw(strategies.streamed_mappings(layer, machine))
    cost, walk = evaluate(layer, machine, mapping), StreamWalk(layer, machine, mapping)
    moved, ports, width = cost.traffic, cost.array, machine.bits
    assert (moved.ifmap, moved.weights) == (walk.ifmap, walk.weights)
    assert (moved.ofmap_write, moved.ofmap_read) == (walk.writes, walk.reads)
    assert cost.compute_cycles == walk.compute
    assert (ports.ifmap, ports.weights) == (walk.port_ifmap, walk.port_weights)
    assert (ports.ofmap_write, ports.ofmap_read) == (walk.port_writes, walk.port_reads)
    several = (mapping.inner or mapping.tile).in_channels < layer.in_channels
    held = [
        walk.largest["ifmap"] * width.ifmap,
        walk.largest["ofmap"] * (width.partial_sums if several else width.ofmap),
        walk.largest["weights"] * width.weights,
    ]
    bank = machine.bank_bytes * 8 if machine.bank_bytes else 1
    copies = 2 if machine.double_buffered else 1
    assert cost.footprint.parts == tuple(-(-copies * part // bank) * bank for part in held)
    per_cycle = 8 * machine.bandwidth / machine.frequency
    transfer, edge = cost.traffic_bits / per_cycle, sum(held) / per_cycle
    if machine.double_buffered:
        assert cost.latency_cycles == max(walk.compute + edge, transfer)
    else:
        assert cost.latency_cycles == walk.compute + transfer
    assert cost.energy_pj(machine) == walk.energy(cost.traffic_bits, cost.latency_cycles)


@examples(60)
@given(st.data())
def test_a_sub_tile_that_is_met_again_only_is_at_the_end_of_a_dimension(data):
    """A walk that keeps it counts the same, but where the last tile is a single sub-tile: then less."""
    layer = data.draw(strategies.layers(most=6, channels=6))
    machine = replace(data.draw(strategies.hardware()), streaming=True)
    mapping = data.draw(strategies.streamed_mappings(layer, machine))
    walk, keeping = StreamWalk(layer, machine, mapping), StreamWalk(layer, machine, mapping, keeps=True)
    found, kept = ((w.ifmap, w.weights, w.writes, w.reads) for w in (walk, keeping))
    assert all(k <= f for k, f in zip(kept, found, strict=True))
    tile, inner = mapping.tile, mapping.inner
    if inner is None or all(
        (extent - 1) % size + 1 > sub or size == sub
        for extent, size, sub in (
            (layer.out_channels, tile.out_channels, inner.out_channels),
            (layer.in_channels, tile.in_channels, inner.in_channels),
        )
    ):
        assert kept == found


LAYER = Layer("x", 8, 6, (Axis(9, 3, 1, 1, 1, 1, 9), Axis(8, 3, 1, 1, 1, 1, 8)))
TILE = Tile(4, 3, 1, (9, 4))


@pytest.mark.parametrize(
    ("stationary", "inner", "message"),
    [
        (Stationary.WEIGHT, replace(TILE, spatial=(3, 4)), "weight stationary cannot be cut by sp"),
        (Stationary.INPUT, replace(TILE, out_channels=2), "input stationary cannot be cut by co"),
        (Stationary.OUTPUT, replace(TILE, in_channels=1), "output stationary cannot be cut by ci"),
        (Stationary.OUTPUT, replace(TILE, out_channels=1, spatial=(3, 4)), "smaller than .* in one group"),
        (Stationary.OUTPUT, replace(TILE, spatial=(3, 5)), "smaller than"),
        (Stationary.OUTPUT, TILE, "smaller than"),
    ],
)
def test_what_is_no_cut_is_refused(stationary, inner, message):
    with pytest.raises(ValueError, match=message):
        evaluate(LAYER, Hardware(streaming=True), Mapping(TILE, stationary, inner=inner))


def test_only_a_machine_that_streams_cuts_tiles():
    mapping = Mapping(TILE, Stationary.OUTPUT, inner=replace(TILE, out_channels=2))
    assert str(mapping) == "output co4 ci3 9x4, weights by co2"
    with pytest.raises(ValueError, match="needs a machine that streams"):
        evaluate(LAYER, Hardware(), mapping)
