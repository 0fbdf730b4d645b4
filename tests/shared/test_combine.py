"""``combine``: the better of shared ifmap tiles and of split, under every objective."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution
from formulation.bounds import compulsory_bits, least_spent, roofline_ticks
from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.problem import Kind, Objective
from formulation.shared.problem import SharedProblem, SubKernels
from solvers.result import SolutionStatus, Termination
from solvers.shared.deconvolution import combine, solve_split
from solvers.shared.methods import solve
from tests.shared.test_cost import small_problems


def keys(result, total):
    goal = result.objective
    match goal.kind:
        case Kind.LATENCY:
            return total.latency, total.traffic
        case Kind.ENERGY:
            return total.spent, total.latency, total.traffic
        case Kind.WEIGHTED:
            score = goal.latency_weight * total.latency / roofline_ticks(result.deconv, result.hardware)
            score += goal.traffic_weight * total.traffic / compulsory_bits(result.deconv, result.hardware)
            if goal.energy_weight:
                least = least_spent(result.deconv, result.hardware, result.hardware.quantum)
                score += goal.energy_weight * total.spent / least
            return score, total.latency, total.traffic
    return total.traffic, total.latency


@settings(max_examples=60)
@given(small_problems())
def test_the_choice_is_the_better_of_both(problem):
    result = combine(problem.deconv, problem.hardware, problem.objective, problem.partition)
    if result.total is None:
        assert result.termination is Termination.INFEASIBLE
        return
    assert result.solution_status is SolutionStatus.OPTIMAL
    assert result.total == (result.shared_total if result.choice is Treatment.COMBINE else result.split_total)
    ways = [total for total in (result.split_total, result.shared_total) if total is not None]
    if problem.objective.kind is not Kind.BALANCED:
        assert keys(result, result.total) == min(keys(result, total) for total in ways)
        assert result.gap == pytest.approx(0, abs=1e-9)
        return
    latency = replace(problem.objective, kind=Kind.LATENCY)
    fastest = combine(problem.deconv, problem.hardware, latency, problem.partition).total.latency
    assert result.total.latency <= problem.objective.cap(fastest)
    within = [total for total in ways if total.latency <= problem.objective.cap(fastest)]
    assert keys(result, result.total) == min(keys(result, total) for total in within)


def test_zeros_are_written_in_both_ways():
    deconv = Deconvolution("d", 4, 4, (TransposedAxis(9, 3, 2, dilation=2),) * 2)
    hardware = Hardware(4, 4, 600)
    result = combine(deconv, hardware, Objective())
    zeros = SubKernels(deconv).zero_words * 16
    split = solve_split(deconv, hardware, Objective())
    assert zeros > 0
    assert result.split_total.traffic == zeros + sum(n * r.cost.traffic_bits for r, n in split)
    assert result.shared_total.traffic == zeros + result.shared.cost.traffic_bits
    seconds = Fraction(zeros, 8) / hardware.bytes_per_cycle
    assert hardware.tick.cycles(result.shared_total.latency) == result.shared.cost.latency_cycles + seconds
    assert [row.filters for row in result.kernels if 0 in row.kernel] == [(), (), ()]


def test_a_deconvolution_that_no_tap_reaches_only_writes():
    deconv = Deconvolution("d", 2, 2, (TransposedAxis(1, 1, 5, pad_lo=-2, pad_hi=2),))
    result = combine(deconv, Hardware(), Objective())
    assert SubKernels(deconv).layers == ()
    assert result.choice is Treatment.SPLIT
    assert result.traffic_bytes == 2 * deconv.ofmap_words
    with pytest.raises(ValueError, match="no sub-kernel"):
        SharedProblem(deconv)


def test_sharing_saves_the_ifmap_where_it_is_what_moves():
    deconv = Deconvolution("d", 32, 64, (TransposedAxis(32, 3, 2, pad_lo=1, pad_hi=1, output_padding=1),) * 2)
    result = combine(deconv, Hardware(), Objective())
    assert result.choice is Treatment.COMBINE
    assert result.total.traffic < result.split_total.traffic
    assert [row.kernel for row in result.kernels] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert all(sum(row.filters) == 32 for row in result.kernels)


@pytest.mark.parametrize("method", ["exact", "constrained", "combined"])
def test_every_method_combines(method):
    deconv = Deconvolution("d", 24, 16, (TransposedAxis(10, 4, 2, pad_lo=1, pad_hi=1),) * 2)
    hardware = Hardware(8, 8, 16384)
    best = combine(deconv, hardware, Objective())
    split = solve_split(deconv, hardware, Objective())
    result = combine(deconv, hardware, Objective(), method=method, split_results=split, time_limit=10)
    assert result.total.traffic >= best.total.traffic
    assert result.lower_bound.latency_cycles <= best.latency_cycles
    assert result.lower_bound.traffic_bytes <= best.traffic_bytes
    if method == "exact":
        assert result.total.traffic == best.total.traffic


@pytest.mark.parametrize("method", ["exhaustive", "constrained"])
def test_sub_convolutions_that_are_too_slow_are_in_no_bound(method):
    """Without a tolerance, where shared tiles are faster than the parts can be."""
    up = TransposedAxis(32, 5, 2, pad_lo=2, pad_hi=2, output_padding=1)
    deconv, hardware, objective = Deconvolution("t5", 3, 128, (up, up)), Hardware(), Objective(tolerance=0)
    result = combine(deconv, hardware, objective, method=method)
    apart = sum(count * part.lower_bound.latency_cycles for part, count in result.parts)
    assert result.choice is Treatment.COMBINE
    assert result.split_total.traffic < result.total.traffic
    assert apart > result.latency_cycles
    assert result.gap == 0


def test_a_rival_out_of_reach_leaves_no_mapping():
    deconv = Deconvolution("d", 8, 8, (TransposedAxis(6, 4, 2, pad_lo=1, pad_hi=1),) * 2)
    problem = SharedProblem(deconv, Hardware(4, 4, 4096))
    result = solve(replace(problem, rival=1))
    assert result.mapping is None
    assert result.solution_status is SolutionStatus.NONE
    assert result.termination is Termination.OPTIMAL
