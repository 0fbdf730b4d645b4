"""The cost module against the reference walker, and the closed forms of extents against enumeration."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import prod
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation import extents
from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.cost import Trips
from formulation.evaluation import evaluate
from formulation.extents import full_axis_table
from formulation.hardware import BitWidths, Halo, Hardware
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.pricing.price import LayerRates
from formulation.problem import Problem
from formulation.space.space import Space
from tests import strategies
from tests.strategies import examples
from tests.walkers.ports import PortWalk
from tests.walkers.walker import cuts, span


@examples(400)
@given(st.data())
def test_counts_equal_a_walk_of_the_tiles(data):
    layer, machine = data.draw(strategies.layers(most=7)), data.draw(strategies.hardware(set_up=True))
    mapping = data.draw(strategies.mappings(layer, machine))
    cost, walk = evaluate(layer, machine, mapping), PortWalk(layer, machine, mapping)
    moved = cost.traffic
    assert (moved.ifmap, moved.weights) == (walk.ifmap, walk.weights)
    assert (moved.ofmap_write, moved.ofmap_read) == (walk.writes, walk.reads)
    assert cost.compute_cycles == walk.compute
    width, several = machine.bits, mapping.tile.in_channels < layer.in_channels
    outputs = layer.ofmap_words
    bits = (
        walk.ifmap * width.ifmap
        + walk.weights * width.weights
        + outputs * width.ofmap
        + (walk.writes - outputs + walk.reads) * width.partial_sums
    )
    assert cost.traffic_bits == bits
    held = [
        walk.largest["ifmap"] * width.ifmap,
        walk.largest["ofmap"] * (width.partial_sums if several else width.ofmap),
        walk.largest["weights"] * width.weights,
    ]
    bank = machine.bank_bytes * 8 if machine.bank_bytes else 1
    copies = 2 if machine.double_buffered else 1
    assert cost.footprint.parts == tuple(-(-copies * part // bank) * bank for part in held)
    per_cycle = 8 * machine.bandwidth / machine.frequency
    setup = machine.transfer_setup
    transfer = bits / per_cycle + walk.transfers * setup
    ports = cost.array
    assert (ports.ifmap, ports.weights) == (walk.port_ifmap, walk.port_weights)
    assert (ports.ofmap_write, ports.ofmap_read) == (walk.port_writes, walk.port_reads)
    energy = cost.energy_pj(machine)
    assert energy == walk.energy(bits, cost.latency_cycles)
    if machine.double_buffered:
        assert cost.latency_cycles == max(walk.compute + sum(held) / per_cycle + 3 * setup, transfer)
    else:
        assert cost.latency_cycles == walk.compute + transfer


@examples(300)
@given(strategies.axes(most=24), st.integers(1, 24))
def test_axis_tables_equal_enumeration(axis, piece):
    with patch.object(extents, "_PIECE", piece):
        table = full_axis_table.__wrapped__(axis)
    for i, tile in enumerate(range(1, axis.out + 1)):
        spans = [span(axis, outputs) for outputs in cuts(axis.out, tile)]
        assert table.trips[i] == len(spans)
        assert table.edge[i] == axis.out - (len(spans) - 1) * tile
        assert table.fetched[i] == sum(map(len, spans))
        assert table.largest[i] == max(map(len, spans))
        before = [frozenset(), *spans[:-1]]
        assert table.slid[i] == sum(len(s - b) for s, b in zip(spans, before, strict=True))


def test_compulsory_traffic_is_what_some_tap_touches():
    """A kernel of 1 at a stride of 3 leaves two of three positions out, on each axis."""
    layer = Layer("gaps", 5, 7, (Axis(4, 1, 3, in_size=12), Axis(3, 1, 3, in_size=9)), batch=2, groups=3)
    machine = Hardware(bits=BitWidths(2, 3, 5, 7))
    touched, weights, outputs = 3 * 7 * 2 * (4 * 3), 3 * 5 * 7, 3 * 5 * 2 * (4 * 3)
    assert compulsory_bits(layer, machine) == 2 * touched + 3 * weights + 5 * outputs


@examples(200)
@given(strategies.layers(most=7))
def test_compulsory_traffic_counts_each_touched_word_once(layer):
    touched = prod(len(set().union(*(taps_of(axis, y) for y in range(axis.out)))) for axis in layer.axes)
    ifmap = layer.groups * layer.in_channels * layer.batch * touched
    bits = compulsory_bits(layer, Hardware(bits=BitWidths(2, 3, 5, 7)))
    assert bits == 2 * ifmap + 3 * layer.weight_words + 5 * layer.ofmap_words


def taps_of(axis, output):
    """Positions of the input that the taps of one output read."""
    places = (output * axis.stride - axis.pad_lo + tap * axis.dilation for tap in range(axis.kernel))
    return {place for place in places if 0 <= place < axis.in_size}


@pytest.mark.parametrize(("rows", "cols"), [(2, 8), (8, 2), (3, 5)])
def test_the_roofline_of_an_array_that_is_no_square(rows, cols):
    layer = Layer("x", 60, 60, (Axis(30, in_size=30),))
    fast = Hardware(rows, cols, bandwidth=Fraction(10**6))
    assert roofline_ticks(layer, fast) == Fraction(60 * 60 * 30, rows * cols) * fast.tick.per_cycle
    slow = Hardware(rows, cols, bandwidth=Fraction(1, 10**6))
    words = 60 * 60 + 2 * 60 * 30
    assert roofline_ticks(layer, slow) == 16 * words * slow.tick.per_bit


def test_rows_and_columns_are_not_exchanged():
    """Pixels lie on the rows, output channels on the columns."""
    layer, tile = Layer("x", 9, 4, (Axis(14, in_size=14),)), Tile(9, 4, 1, (14,))
    for rows, cols, passes in [(7, 3, 2 * 3), (3, 7, 5 * 2), (14, 9, 1)]:
        cost = evaluate(layer, Hardware(rows, cols), Mapping(tile, Stationary.WEIGHT))
        assert cost.compute_cycles == passes * 4


SLIDING = Layer("slide", 4, 6, (Axis(8, 3, 1, 1, 1, 1, 8), Axis(8, 3, 1, 1, 1, 1, 8)))


@pytest.mark.parametrize(("tile_ci", "slides"), [(6, True), (3, False), (5, False)])
def test_output_stationary_slides_only_over_all_input_channels(tile_ci, slides):
    """With two tiles of input channels the window of the next tile is another channel's."""
    machine, tile = Hardware(halo=Halo.REUSE), Tile(4, tile_ci, 1, (8, 2))
    moved = evaluate(SLIDING, machine, Mapping(tile, Stationary.OUTPUT, 1)).traffic.ifmap
    refetched = evaluate(SLIDING, machine, Mapping(tile, Stationary.OUTPUT)).traffic.ifmap
    assert refetched == 6 * 8 * (3 + 4 + 4 + 3)
    assert moved == (6 * 8 * 8 if slides else refetched)


@pytest.mark.parametrize("stationary", [Stationary.WEIGHT, Stationary.INPUT])
@pytest.mark.parametrize("tile_ci", [6, 3])
def test_other_loop_orders_slide_always(stationary, tile_ci):
    machine, tile = Hardware(halo=Halo.REUSE), Tile(4, tile_ci, 1, (8, 2))
    assert evaluate(SLIDING, machine, Mapping(tile, stationary, 1)).traffic.ifmap == 6 * 8 * 8


@examples(60)
@given(strategies.problems(set_up=True, most=5, channels=5))
def test_a_mapping_names_a_sliding_axis_only_where_it_saves_words(problem):
    problem = replace(problem, hardware=replace(problem.hardware, halo=Halo.REUSE))
    space = Space(problem)
    for rank in range(min(40, len(space.grid))):
        index = np.unravel_index(rank, space.grid.shape)
        tiles = space.grid.table([np.array([i]) for i in index])
        for stationary, ci in product(Stationary, range(len(space.ci.tile))):
            mapping = space.mapping(stationary, 0, ci, rank, int(tiles.slide[0]))
            words = problem.evaluate(mapping).traffic.ifmap
            refetched = problem.evaluate(replace(mapping, sliding_axis=None)).traffic.ifmap
            assert (mapping.sliding_axis is not None) == (words < refetched)


def test_clipped_borders_cost_less_than_the_obvious_formula():
    table = full_axis_table(Axis(out=5, kernel=5, pad_lo=2, pad_hi=2, in_size=5))
    assert table.fetched[0] == 19  # not the 25 that tiles of five words each would take


WORKED = [
    (Layer("a", 64, 6, (Axis(288, 7, 2, 1, 3, 3, 576), Axis(480, 7, 2, 1, 3, 3, 960))), 24_812_832),
    (Layer("b", 256, 256, (Axis(72, 3, 1, 1, 1, 1, 72), Axis(120, 3, 1, 1, 1, 1, 120))), 16_199_680),
    (Layer("c", 512, 512, (Axis(36, 3, 1, 1, 1, 1, 36), Axis(60, 3, 1, 1, 1, 1, 60))), 13_565_952),
    (Layer("d", 3072, 768, (Axis(512, in_size=512),)), 11_796_480),
]


@pytest.mark.parametrize(("layer", "traffic"), WORKED)
def test_worked_numbers(layer, traffic):
    """Least traffic on the reference machine; see docs/model.md."""
    from formulation.problem import Kind, Objective
    from solvers.layers.exhaustive import solve

    assert solve(Problem(layer, objective=Objective(Kind.TRAFFIC))).cost.traffic_bytes == traffic


def test_balanced_reaches_the_same_traffic_in_few_cycles():
    from solvers.layers.exhaustive import solve

    result = solve(Problem(WORKED[1][0]))
    assert result.cost.traffic_bytes == WORKED[1][1]
    assert result.cost.latency_cycles == pytest.approx(19.9e6, rel=0.01)


def test_evaluate_rejects_what_is_no_mapping():
    layer = Layer("x", 4, 4, (Axis(4, in_size=4),))
    with pytest.raises(ValueError, match="spatial\\[0\\] is 5"):
        evaluate(layer, Hardware(), Mapping(Tile(1, 1, 1, (5,)), Stationary.WEIGHT))
    with pytest.raises(ValueError, match="tile has 2 spatial axes, layer has 1"):
        evaluate(layer, Hardware(), Mapping(Tile(1, 1, 1, (4, 4)), Stationary.WEIGHT))
    with pytest.raises(ValueError, match="sliding axis 0"):
        evaluate(layer, Hardware(), Mapping(Tile(1, 1, 1, (4,)), Stationary.WEIGHT, 0))
    with pytest.raises(ValueError, match="sliding axis 1"):
        evaluate(layer, Hardware(halo=Halo.REUSE), Mapping(Tile(1, 1, 1, (4,)), Stationary.WEIGHT, 1))


def test_ratios_become_whole_bytes_or_banks():
    assert Partition.from_ratio([3, 3, 4], 8 * 1001, 1).parts == (8 * 300, 8 * 300, 8 * 400)
    banks = Partition.from_ratio([1, 1, 1], 8 * 8 * 128, 8 * 128)  # 8 banks: 2.67 each
    assert tuple(p // (8 * 128) for p in banks.parts) == (3, 3, 2)
    half = Partition.from_ratio([Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)], 8 * 4 * 128, 8 * 128)
    assert tuple(p // (8 * 128) for p in half.parts) == (2, 1, 1)


def test_widths_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="partial_sums is 8"):
        BitWidths(8, 8, 16, 8)
    with pytest.raises(ValueError, match="bank_bytes"):
        Hardware(buffer_bytes=100, bank_bytes=200)


def test_counts_stay_exact_beyond_64_bits():
    layer = Layer("huge", 2**20, 2**20, (Axis(2**20, in_size=2**20),), groups=64)
    tile = Tile(1, 1, 1, (1,))
    cost = evaluate(layer, Hardware(), Mapping(tile, Stationary.OUTPUT))
    assert cost.compute_cycles == 64 * 2**60
    assert cost.traffic.weights == 64 * 2**60
    assert np.iinfo(np.int64).max < cost.traffic_bits


@pytest.mark.parametrize(
    "axis",
    [
        Axis(29, 3, 2, 1, 3, -1, 60),
        Axis(27, 3, 1, 2, 5, -1, 30),
        Axis(17, 1, 1, 1, 4, -1, 17),
        Axis(40, 5, 3, 1, 22, 0, 100),
    ],
)
def test_the_longest_interval_where_padding_is_beyond_the_kernel(axis):
    """The first tiles see padding only: which is the longest depends on where the ifmap begins."""
    longest = [max(len(span(axis, piece)) for piece in cuts(axis.out, t)) for t in range(1, axis.out + 1)]
    assert full_axis_table(axis).largest.tolist() == longest


@given(st.data())
def test_energy_is_a_sum_of_rates(data):
    """What tables are priced with, beside what a mapping is."""
    layer, machine = data.draw(strategies.layers(most=7)), data.draw(strategies.hardware(set_up=True))
    cost = evaluate(layer, machine, data.draw(strategies.mappings(layer, machine)))
    words, outputs = cost.array, layer.ofmap_words
    moved = Trips(
        words.ifmap // max(1, layer.ifmap_reads),
        words.ofmap_write // outputs,
        words.weights // layer.weight_words,
    )
    rates = LayerRates.of(machine, layer, machine.quantum)
    found = rates.quanta(moved, cost.traffic_bits, cost.latency_ticks)
    assert found == cost.spent(machine, machine.quantum)
