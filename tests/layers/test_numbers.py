"""Every method on decimals as they come out of a division, and on layers of 10^12 operations and more."""

from dataclasses import replace
from fractions import Fraction

import pytest

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Deconvolution, Layer
from formulation.hardware import BitWidths, Halo, Hardware
from formulation.mapping import Partition
from formulation.problem import Kind, Objective, Problem
from formulation.shared.problem import SharedProblem
from formulation.shared.space import SharedSpace
from formulation.space.space import Space
from solvers.methods import solve
from solvers.result import SolutionStatus
from solvers.shared.methods import solve as solve_shared
from tests.goals import best_partition

METHODS = ("exact", "constrained", "combined")


def convolution(channels, size, kernel=3, stride=1):
    pad = kernel // 2
    axis = Axis(-(-size // stride), kernel, stride, 1, pad, pad, size)
    return Layer("convolution", channels, channels, (axis, axis))


def product(m, k, n):
    return Layer("product", n, k, (Axis(m, in_size=m),), op="matmul")


def machine(bandwidth="25.6", frequency="1", **fields):
    return Hardware(bandwidth=Fraction(bandwidth), frequency=Fraction(frequency), **fields)


WIDE = {  # whose ticks 64 bits do not hold
    "frequency of 7 digits": Problem(convolution(64, 572), machine(frequency="0.7654321")),
    "bandwidth of 17 digits": Problem(convolution(64, 56), machine("21.333333333333332")),
    "one third": Problem(convolution(96, 27, 5, 2), Hardware(bandwidth=Fraction(64, 3) / 10**15)),
    "64 MiB": Problem(convolution(64, 224), machine("2.5123456789012", buffer_bytes=1 << 26)),
    "single-buffered": Problem(
        convolution(48, 60), machine("21.333333333333332", double_buffered=False, halo=Halo.REUSE)
    ),
    "large and awkward": Problem(product(10**6, 4096, 50257), machine("21.333333333333332")),
}
CASES = WIDE | {
    "bandwidth of 11 digits": Problem(convolution(64, 56), machine("25.123456789")),
    "product": Problem(product(12288, 12288, 12288)),
    "large product": Problem(product(10**6, 4096, 50257)),
    "narrow words": Problem(product(5_000, 5_000, 5_000), Hardware(bits=BitWidths(8, 8, 8, 32))),
}


def check(best, result):
    """A result of a problem against its optimum."""
    problem, bound, least = result.problem, result.lower_bound, best.lower_bound
    assert problem.is_feasible(result.cost)
    assert result.cost == problem.evaluate(result.mapping)
    if bound.latency_cycles is not None:
        assert 0 <= bound.latency_cycles <= least.latency_cycles
    if bound.traffic_bytes is not None:
        assert 0 <= bound.traffic_bytes <= result.cost.traffic_bytes


@pytest.mark.parametrize("name", WIDE)
def test_ticks_are_wide(name):
    assert Space(WIDE[name]).wide


@pytest.mark.parametrize("name", CASES)
def test_methods_agree(name):
    problem = CASES[name]
    best = solve(problem, "exhaustive")
    assert best.solution_status is SolutionStatus.OPTIMAL
    check(best, best)
    for method in METHODS:
        result = solve(problem, method)
        check(best, result)
        if result.solution_status is SolutionStatus.OPTIMAL:
            assert result.objective_value == best.objective_value
            assert result.cost.latency_cycles == best.cost.latency_cycles
        else:
            assert method != "exact"
            assert result.gap < 0.05


@pytest.mark.parametrize("kind", Kind)
def test_objectives_of_methods_agree(kind):
    problem = replace(CASES["bandwidth of 17 digits"], objective=Objective(kind))
    best = solve(problem, "exhaustive")
    exact = solve(problem, "exact")
    assert (exact.cost.latency_ticks, exact.cost.traffic_bits) == (
        best.cost.latency_ticks,
        best.cost.traffic_bits,
    )
    assert exact.lower_bound == best.lower_bound


@pytest.mark.parametrize("name", CASES)
def test_within_a_partition(name):
    hardware = CASES[name].hardware
    part = Partition.from_ratio((3, 3, 4), hardware.buffer_bits, hardware.bank_bits)
    problem = replace(CASES[name], partition=part)
    best = solve(problem, "static")
    check(best, best)
    assert best.objective_value >= solve(CASES[name], "exhaustive").objective_value
    exact = solve(problem, "exact")
    assert best.cost.latency_ticks == exact.cost.latency_ticks
    assert best.cost.traffic_bits == exact.cost.traffic_bits
    assert best.lower_bound == exact.lower_bound


@pytest.mark.parametrize("kind", Kind)
def test_the_best_partition_does_not_depend_on_how_the_bandwidth_is_written(kind):
    near, awkward = machine("21.3333"), machine("21.333333333333332")
    layers = (convolution(24, 28), convolution(16, 30, 5, 2))
    problems = [[(Problem(y, m, Objective(kind)), 2) for y in layers] for m in (near, awkward)]
    assert best_partition(problems[0]) == best_partition(problems[1])


@pytest.mark.parametrize("kind", [Kind.LATENCY, Kind.BALANCED])
def test_a_faster_memory_is_never_slower(kind):
    layer, least = convolution(64, 56), []
    for bandwidth in ("21.33333333", "21.333333333333332", "21.333333333333336", "21.34"):
        result = solve(Problem(layer, machine(bandwidth), Objective(kind)), "exhaustive")
        least.append(result.lower_bound.latency_cycles)
    assert least == sorted(least, reverse=True)
    assert least[0] - least[-1] < least[0] / 1000


def deconvolution(filters, channels, kernel, stride, size):
    return Deconvolution(
        "up", filters, channels, (TransposedAxis(size, kernel, stride, pad_lo=1, pad_hi=1),) * 2
    )


SHARED = {
    "17 digits": SharedProblem(deconvolution(32, 64, 4, 2, 60), machine("21.333333333333332")),
    "64 MiB": SharedProblem(
        deconvolution(32, 40, 4, 2, 24), machine("2.5123456789012", "0.7654321", buffer_bytes=1 << 26)
    ),
    "single-buffered": SharedProblem(
        deconvolution(24, 16, 3, 2, 40),
        machine("21.333333333333332", buffer_bytes=9999, double_buffered=False),
    ),
    "large": SharedProblem(deconvolution(512, 1024, 4, 2, 128), machine("25.123456789")),
}


SHARED_CASES = [(name, kind) for name in SHARED for kind in Kind if name != "large" or kind is Kind.LATENCY]


@pytest.mark.parametrize(("name", "kind"), SHARED_CASES)
def test_shared_tiles(name, kind):
    problem = replace(SHARED[name], objective=Objective(kind))
    assert SharedSpace(problem).wide
    best = solve_shared(problem, method="exhaustive")
    for method in ("exhaustive", *METHODS):
        result = best if method == "exhaustive" else solve_shared(problem, method=method)
        assert problem.is_feasible(result.cost)
        assert result.cost == problem.evaluate(result.mapping)
        assert 0 <= result.gap < 0.2
        if result.solution_status is best.solution_status is SolutionStatus.OPTIMAL:
            assert result.objective_value == best.objective_value
