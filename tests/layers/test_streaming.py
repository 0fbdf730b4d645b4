"""Streamed tiles by every method: against every tile, loop order and cut of small layers, one by one."""

from dataclasses import replace
from fractions import Fraction
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import BitWidths, Dataflow, Fill, Halo, Hardware
from formulation.mapping import Partition, Stationary
from formulation.problem import Kind, Objective, Problem
from formulation.space import cut_grid
from solvers.bounds.branching import Presolving
from solvers.layers import combined, constrained, exact, exhaustive, static
from solvers.methods import solve
from solvers.result import BoundFrom, SolutionStatus, Termination
from tests import strategies
from tests.conformance.reference import TENSORS, every_mapping, price
from tests.goals import score
from tests.strategies import examples
from tests.walkers.stream_walker import StreamWalk


def walked(problem):
    """Latency, traffic and energy of every mapping that fits, by the walker."""
    layer, machine = problem.layer, problem.hardware
    for mapping in every_mapping(layer, machine):
        walk = StreamWalk(layer, machine, mapping)
        words = walk.ifmap, walk.weights, walk.writes, walk.reads, 0, None  # no set-ups, no bursts
        some = (mapping.inner or mapping.tile).in_channels < layer.in_channels
        largest = tuple(walk.largest[name] for name in TENSORS)
        found = price(
            machine,
            problem.partition,
            words,
            largest,
            walk.compute,
            layer.ofmap_words,
            some,
            walk.energy(0, 0),
        )
        if found is not None:
            yield found


def evaluated(problem):
    """The same by the cost that the walker has checked."""
    for mapping in every_mapping(problem.layer, problem.hardware):
        cost = problem.evaluate(mapping)
        if problem.is_feasible(cost):
            yield cost.latency_cycles, cost.traffic_bits, cost.energy_pj(problem.hardware)


def least(problem, found):
    """What the objective's steps make of the latency, traffic and energy of all mappings."""
    hardware, kind = problem.hardware, problem.objective.kind
    if kind is Kind.WEIGHTED:
        ticks, quanta = hardware.tick.per_cycle, hardware.quantum.per_unit
        return (min(score(problem, cycles * ticks, bits, pj * quanta) for cycles, bits, pj in found),)
    cap = problem.objective.loosened(min(found)[0]) if kind is Kind.BALANCED else None
    within = [f for f in found if cap is None or f[0] <= cap]
    return min(in_turn(kind, *f) for f in within)


def in_turn(kind, cycles, bits, pj):
    if kind is Kind.ENERGY:
        return pj, cycles, bits
    return (cycles, bits) if kind is Kind.LATENCY else (bits, cycles)


def check(problem, found):
    result = exhaustive.solve(problem)
    if result.mapping is None:
        assert result.termination is Termination.INFEASIBLE
        assert not found
        return
    assert result.termination is Termination.OPTIMAL
    assert result.gap == 0
    cost = result.cost
    reached = cost.latency_cycles, cost.traffic_bits, cost.energy_pj(problem.hardware)
    if problem.objective.kind is Kind.WEIGHTED:
        assert (result.objective_value,) == least(problem, found)
    else:
        assert in_turn(problem.objective.kind, *reached) == least(problem, found)


@st.composite
def streaming_problems(draw, most, channels):
    problem = draw(strategies.problems(most=most, channels=channels, most_axes=2))
    return replace(problem, hardware=replace(problem.hardware, streaming=True))


@examples(6)
@given(streaming_problems(3, 3))
def test_equals_a_walk_of_every_mapping(problem):
    check(problem, set(walked(problem)))


@pytest.mark.parametrize("many", [1 << 16, 1])
@examples(7)
@given(problem=streaming_problems(5, 4))
def test_equals_plain_enumeration(many, problem):
    """Also where even few pairs are taken for many, so that some are looked at first."""
    with patch.object(cut_grid, "_MANY", many):
        check(problem, set(evaluated(problem)))


CONV2 = Layer("conv2", 128, 64, (Axis(144, 5, 2, 1, 2, 2, 288).stored, Axis(240, 5, 2, 1, 2, 2, 480).stored))


def small(layer, kib, streaming=True):
    """The least traffic on a machine with a small single buffer."""
    machine = Hardware(buffer_bytes=1024 * kib, double_buffered=False, halo=Halo.REUSE, streaming=streaming)
    return Problem(layer, machine, Objective(Kind.TRAFFIC))


@pytest.mark.parametrize(("kib", "whole", "streamed"), [(64, 41175040, 39379968), (128, 29964480, 29274624)])
def test_a_sliding_window_beats_whole_tiles_on_a_small_buffer(kib, whole, streamed):
    """FlowNetC's second layer with its padding as data: the words that AccelForge's model counts."""
    for streaming, words in ((False, whole), (True, streamed)):
        assert exhaustive.solve(small(CONV2, kib, streaming)).cost.traffic_bytes == 2 * words


@examples(10)
@given(streaming_problems(6, 6))
def test_the_programs_find_the_same(problem):
    """Also where groups have one tile, so that a cut's own loop order must count that."""
    searched, solved = exhaustive.solve(problem), exact.solve(problem)
    assert solved.termination is searched.termination
    if searched.mapping is not None:
        found = [problem.values(problem.price(result.cost)) for result in (searched, solved)]
        assert found[0] == found[1]


@pytest.mark.parametrize(
    "layer",
    [CONV2, Layer("conv1", 64, 6, (Axis(288, 7, 2, 1, 3, 3, 576), Axis(480, 7, 2, 1, 3, 3, 960)))],
)
def test_a_program_proves_a_streamed_optimum(layer):
    searched, solved = (method.solve(small(layer, 64)) for method in (exhaustive, exact))
    assert solved.mapping == searched.mapping
    assert solved.mapping.inner is not None
    assert solved.gap == 0
    assert solved.bound_from == {"traffic": BoundFrom.PROGRAM}


@pytest.mark.parametrize(("kib", "words"), [(64, 39379968), (128, 29274624)])
def test_the_relaxation_proves_a_streamed_optimum(kib, words):
    """Rounded from relaxed points, and bounded by what the classes of all cuts prove."""
    result = solve(small(CONV2, kib), "constrained")
    assert result.cost.traffic_bytes == 2 * words
    assert result.gap == 0
    assert result.solution_status is SolutionStatus.OPTIMAL
    assert {name.partition("_cut")[0] for name in result.extras["models"]["traffic"]} >= set(Stationary)


@examples(12)
@given(streaming_problems(6, 6), st.sampled_from(Presolving))
def test_the_relaxation_bounds_every_cut(problem, presolve):
    """Found, and with its presolve proven; models alone have a bound that no mapping is below."""
    searched, relaxed = exhaustive.solve(problem), constrained.solve(problem, presolve=presolve)
    if searched.mapping is None:
        assert relaxed.mapping is None
        return
    assert problem.is_feasible(relaxed.cost)
    best, claim = searched.objective_value, problem.objective.claim
    assert relaxed.lower_bound.of(claim) <= best
    if presolve is Presolving.FULL:
        assert relaxed.objective_value == relaxed.lower_bound.of(claim) == best


@examples(4)
@given(streaming_problems(5, 5))
def test_combined_goes_on_from_streamed_starts(problem):
    searched, found = exhaustive.solve(problem), solve(problem, "combined")
    assert (searched.mapping is None) == (found.mapping is None)
    if found.mapping is not None:
        assert found.objective_value == searched.objective_value
        assert found.solution_status is SolutionStatus.OPTIMAL


def test_combined_starts_from_a_partition_that_streams():
    layer = Layer("x", 40, 12, (Axis(20, 3, 1, 1, 1, 1, 20),) * 2)
    machine = Hardware(buffer_bytes=1 << 12, streaming=True)
    problem = Problem(layer, machine, Objective(Kind.TRAFFIC))
    part = Partition.from_ratio([1, 3, 2], machine.buffer_bits, 1)
    result = combined.solve(problem, start=part, exact_after=True)
    inside = static.solve(replace(problem, partition=part))
    assert result.extras["starts"][0]["traffic_bytes"] == inside.cost.traffic_bytes
    assert result.cost == exhaustive.solve(problem).cost


def test_channels_that_are_cut_have_fewer_tiles_than_channels():
    axes = tuple(Axis(out, 1, 1, 1, 2, 2, out - 4) for out in (8, 12, 9))
    machine = Hardware(5, 2, 2048, Fraction("21.333333333333332"), bits=BitWidths.uniform(8), bank_bytes=64)
    machine = replace(machine, dataflow=Dataflow.WEIGHT, double_buffered=False, fill=Fill.EXPOSED)
    machine = replace(machine, halo=Halo.REUSE, streaming=True)
    problem = Problem(Layer("x", 4, 4, axes), machine)
    assert combined.solve(problem).cost == exhaustive.solve(problem).cost


def test_within_a_partition_and_from_a_known_mapping():
    machine = Hardware(buffer_bytes=1 << 16, streaming=True)
    part = Partition.from_ratio([3, 3, 4], machine.buffer_bits, 1)
    problem = Problem(Layer("x", 40, 12, (Axis(20, 3, 1, 1, 1, 1, 20),) * 2), machine, partition=part)
    result = static.solve(problem)
    assert all(need <= have for need, have in zip(result.cost.footprint.parts, part.parts, strict=True))
    again = static.solve(problem, initial=result.mapping, time_limit=0.0)
    assert again.cost == result.cost
    assert again.gap >= 0
