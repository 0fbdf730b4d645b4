"""The simulation against a machine that goes from event to event, the model, and itself unskipped."""

from dataclasses import replace
from itertools import pairwise
from math import prod

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import solvers
from dnns.axes import Axis
from dnns.layer import Deconvolution, Layer
from formulation.deconv import split
from formulation.evaluation import evaluate
from formulation.hardware import Hardware
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.shared.problem import SharedMapping, SharedProblem
from solvers.network.data.geometry import geometry
from solvers.network.data.mappings import mapping_dict, shared_mapping_dict
from solvers.schedules.simulation.machine import Accelerator, WordWidths
from solvers.schedules.simulation.pieces import pieces
from solvers.schedules.simulation.run import run_nest
from tests import strategies
from tests.simulation.events import Machine
from tests.strategies import examples

NOTHING = Partition(0, 0, 0)


def accelerator(machine):
    rate = 8 * machine.bandwidth / machine.frequency
    return Accelerator(
        machine.rows,
        machine.cols,
        machine.dataflow.value,
        machine.rows + machine.cols - 2 if machine.fill == "exposed" else 0,
        2 if machine.double_buffered else 1,
        machine.halo == "reuse",
        machine.buffer_bits,
        8 * machine.bank_bytes if machine.bank_bytes else 1,
        rate.numerator,
        rate.denominator,
        WordWidths(**machine.bits.to_dict()),
        machine.transfer_setup,
        machine.burst_bits,
        machine.layout == "NHWC",
    )


def nest_of(layer, machine, mapping):
    part = {
        "name": "a",
        "groups": layer.groups,
        "count": 1,
        "geometry": geometry(layer),
        "mapping": mapping_dict(layer, mapping, NOTHING),
    }
    (piece,) = pieces({"parts": [part]}, accelerator(machine))
    size = mapping.tile.out_channels
    rounds = [min(size, layer.out_channels - at) for at in range(0, layer.out_channels, size)]
    return piece.nest, part["mapping"], [(part["geometry"], rounds)]


def check_counts(run, cost, machine):
    """Words, cycles, footprint and latency by the model are those of a cost."""
    moved = run.moved
    assert (moved.ifmap, moved.weights) == (cost.traffic.ifmap, cost.traffic.weights)
    assert (moved.ofmap_write, moved.ofmap_read) == (cost.traffic.ofmap_write, cost.traffic.ofmap_read)
    assert run.traffic_bits == cost.traffic_bits
    assert moved.cycles == cost.compute_cycles
    assert tuple(run.part_bits.values()) == cost.footprint.parts
    assert run.expected_cycles == cost.latency_cycles


def check_events(nest, mapping, kernels, machine, in_pieces):
    """Skipped, unskipped and event by event are the same."""
    run = run_nest(nest, in_pieces=in_pieces)
    assert run == run_nest(nest, in_pieces=in_pieces, every_step=True)
    events = Machine(mapping, kernels, machine, in_pieces)
    assert run.latency_cycles == events.latency
    assert events.words == {name: getattr(run.moved, name) for name in events.words}
    assert events.largest == {name: getattr(run.largest, name) for name in events.largest}
    assert (events.compute, len(events.steps)) == (run.moved.cycles, run.moved.steps)
    assert run.waiting_cycles >= 0
    if not machine.double_buffered:
        assert run.latency_cycles == run.expected_cycles
    return run


@examples(150)
@given(st.data())
def test_skipped_unskipped_and_event_by_event_are_the_same(data):
    layer, machine = data.draw(strategies.layers(most=7)), data.draw(strategies.hardware(set_up=True))
    mapping = data.draw(strategies.mappings(layer, machine))
    nest, fields, kernels = nest_of(layer, machine, mapping)
    assume(prod(loop.trips for loop in nest.loops) <= 1500)
    run = check_events(nest, fields, kernels, machine, data.draw(st.booleans()))
    check_counts(run, evaluate(layer, machine, mapping), machine)


@examples(60)
@given(st.data())
def test_inner_steps_too(data):
    layer = data.draw(strategies.layers(most=6, channels=6))
    machine = replace(data.draw(strategies.hardware()), streaming=True)
    mapping = data.draw(strategies.streamed_mappings(layer, machine))
    nest, fields, kernels = nest_of(layer, machine, mapping)
    assume(prod(loop.trips for loop in nest.loops) <= 800)
    run = check_events(nest, fields, kernels, machine, data.draw(st.booleans()))
    check_counts(run, evaluate(layer, machine, mapping), machine)


@examples(100)
@given(st.data())
def test_bursts_are_those_of_the_model(data):
    layer, machine = data.draw(strategies.layers(most=6)), data.draw(strategies.bursting())
    mapping = data.draw(strategies.mappings(layer, machine))
    nest, _, _ = nest_of(layer, machine, mapping)
    assume(prod(loop.trips for loop in nest.loops) <= 1500)
    run = run_nest(nest)
    assert run == run_nest(nest, every_step=True)
    check_counts(run, evaluate(layer, machine, mapping), machine)
    assert machine.double_buffered or run.latency_cycles == run.expected_cycles


@st.composite
def shared_cases(draw):
    axes = tuple(draw(strategies.transposed_axes(most=4)) for _ in range(draw(st.integers(1, 2))))
    sizes = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    deconv = Deconvolution(
        "d", *sizes, axes, batch=draw(st.integers(1, 2)), groups=draw(st.sampled_from((1, 1, 2)))
    )
    machine = draw(st.one_of(strategies.hardware(set_up=True), strategies.bursting()))
    assume(any(sub.layer is not None for sub in split(deconv)))
    problem = SharedProblem(deconv, machine)
    count = draw(st.integers(1, 3))
    rows = []
    for _ in problem.kernels.layers:
        cuts = sorted(draw(st.integers(0, deconv.out_channels)) for _ in range(count - 1))
        ends = [0, *cuts, deconv.out_channels]
        rows.append(tuple(b - a for a, b in pairwise(ends)))
    rounds = [column for column in zip(*rows, strict=True) if any(column)]
    slides = [None, *range(len(axes))] if machine.halo == "reuse" else [None]
    mapping = SharedMapping(
        draw(st.integers(1, deconv.in_channels)),
        draw(st.integers(1, deconv.batch)),
        tuple(draw(st.integers(1, -(-a.out // a.stride))) for a in axes),
        tuple(zip(*rounds, strict=True)),
        draw(st.sampled_from(tuple(Stationary))),
        draw(st.sampled_from(slides)),
    )
    return problem, mapping


@examples(90)
@given(shared_cases(), st.booleans())
def test_shared_ifmap_tiles_too(case, in_pieces):
    problem, mapping = case
    deconv, layers = problem.deconv, problem.kernels.layers
    layer = {
        "name": "d",
        "groups": deconv.groups,
        "count": 1,
        "geometry": geometry(deconv),
        "mapping": shared_mapping_dict(deconv, mapping, NOTHING),
        "parts": [
            {"geometry": geometry(kernel), "rounds": list(row)}
            for kernel, row in zip(layers, mapping.rounds, strict=True)
        ],
    }
    (piece,) = pieces(layer, accelerator(problem.hardware))
    kernels = [(part["geometry"], part["rounds"]) for part in layer["parts"]]
    if problem.hardware.burst_bytes:  # which the machine of events does not know
        run = run_nest(piece.nest, in_pieces=in_pieces)
        assert run == run_nest(piece.nest, in_pieces=in_pieces, every_step=True)
    else:
        run = check_events(piece.nest, layer["mapping"], kernels, problem.hardware, in_pieces)
    check_counts(run, problem.evaluate(mapping), problem.hardware)


@pytest.mark.parametrize("method", ["exhaustive", "static"])
@examples(25)
@given(data=st.data())
def test_what_is_found_is_what_runs(method, data):
    problem = data.draw(strategies.problems(set_up=True))
    if method == "static" and problem.partition is None:
        machine = problem.hardware
        parts = Partition.from_ratio((1, 1, 1), machine.buffer_bits, machine.bank_bits)
        problem = type(problem)(problem.layer, machine, problem.objective, parts)
    result = solvers.solve(problem, method=method)
    assume(result.mapping is not None)
    nest, _, _ = nest_of(problem.layer, problem.hardware, result.mapping)
    check_counts(run_nest(nest), result.cost, problem.hardware)


def layer_of(**fields):
    size = fields.pop("size", 8)
    axes = (Axis(size, 1, in_size=size),)
    return Layer("a", fields.pop("out", 4), fields.pop("channels", 4), axes, **fields)


def run_of(layer, tile, stationary, machine, **options):
    nest, _, _ = nest_of(layer, machine, Mapping(Tile(*tile), stationary))
    return run_nest(nest, **options)


def test_a_schedule_by_hand():
    """Four steps of 8 cycles; a word takes a cycle, weights 16, each ifmap and each ofmap tile 8.

    The engine: weights 0-16, ifmap tiles 16-24, 24-32, then ofmap tile 0, done at 32, until 40, ifmap tile 2
    until 48, ofmap tile 1 until 56, ifmap tile 3 until 64, ofmap tile 2 until 72 and the last, done at 72,
    until 80. The array: 24-32, 32-40, 48-56, 64-72.
    """
    machine = Hardware(rows=1, cols=4, bandwidth=2)
    run = run_of(layer_of(), (4, 4, 1, (2,)), Stationary.WEIGHT, machine)
    assert (run.moved.cycles, run.latency_cycles) == (32, 80)
    assert (run.first_cycles, run.waiting_cycles, run.last_cycles) == (24, 16, 8)


def test_halves_that_are_not_there_let_nothing_overlap():
    machine = Hardware(rows=1, cols=4, bandwidth=2, double_buffered=False)
    run = run_of(layer_of(), (4, 4, 1, (2,)), Stationary.WEIGHT, machine)
    assert run.latency_cycles == 32 + 16 + 32 + 32


def test_millions_of_steps_are_skipped():
    layer = layer_of(size=1000, out=1000, channels=1000)
    machine = Hardware(rows=1, cols=1)
    run = run_of(layer, (1, 1, 1, (1,)), Stationary.OUTPUT, machine)
    assert run.moved.steps == run.moved.cycles == run.moved.macs == 10**9
    assert run.moved.weights == run.moved.ifmap == 10**9
    assert run.latency_cycles >= run.expected_cycles


def test_an_ofmap_tile_written_in_pieces_keeps_nothing_waiting():
    layer = layer_of(size=64, out=64, channels=64)
    machine = Hardware(rows=8, cols=8)
    whole, pieces_ = (
        run_of(layer, (64, 1, 1, (16,)), Stationary.OUTPUT, machine, in_pieces=p) for p in (False, True)
    )
    assert whole.moved == pieces_.moved
    assert whole.waiting_cycles > 0 == pieces_.waiting_cycles
