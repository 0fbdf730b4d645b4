"""Every method on shared ifmap tiles: exact agrees with exhaustive, and all bounds hold."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings

from dnns.axes import TransposedAxis
from dnns.errors import InputError
from dnns.layer import Deconvolution
from formulation.hardware import Halo, Hardware
from formulation.mapping import Partition
from formulation.problem import Kind, Objective
from formulation.shared.problem import SharedProblem
from solvers.backends.deadline import TimeUp
from solvers.result import SolutionStatus, Termination
from solvers.shared import exact
from solvers.shared.methods import solve
from tests.shared.test_cost import price_of, small_problems

#: Relative; HiGHS and IPOPT bounds are floating-point numbers.
CLOSE = 1e-8


def price(result):
    return result.cost.latency_ticks, result.cost.traffic_bits


def check(problem, best, result):
    """A result against the optimum."""
    assert problem.is_feasible(result.cost)
    assert result.cost == problem.evaluate(result.mapping)
    goal, bound = problem.objective.kind, result.lower_bound
    if bound.latency_cycles is not None:
        known = best.least_latency or best.cost.latency_ticks
        assert bound.latency_cycles <= problem.hardware.tick.cycles(known)
    if bound.traffic_bytes is not None and goal in (Kind.TRAFFIC, Kind.BALANCED):
        assert bound.traffic_bytes <= best.cost.traffic_bytes * (1 + Fraction(CLOSE))
    if bound.of("energy_pj") is not None:
        assert bound.of("energy_pj") <= best.objective_value * (1 + Fraction(CLOSE))
    if bound.score is not None:
        assert bound.score <= best.objective_value * (1 + Fraction(CLOSE))
    if result.gap is not None and goal is not Kind.BALANCED:
        assert result.gap >= -CLOSE


@settings(max_examples=20)
@given(small_problems())
def test_methods_agree_on_small_problems(problem):
    best = solve(problem)
    for method in ("exact", "constrained", "combined"):
        result = solve(problem, method=method)
        if best.mapping is None:
            assert result.termination is Termination.INFEASIBLE
            continue
        check(problem, best, result)
        if method == "exact":
            assert result.solution_status is SolutionStatus.OPTIMAL
            assert price_of(problem, result.cost) == price_of(problem, best.cost)


def test_a_program_that_does_not_begin_in_time_leaves_what_was_found(monkeypatch):
    def late(*_, **__):
        raise TimeUp

    problem = SharedProblem(LAYERS["2-D"], MACHINES["reference"], Objective(Kind.LATENCY))
    best = solve(problem)
    monkeypatch.setattr(exact, "solve_milp", late)
    result = solve(problem, method="exact")
    check(problem, best, result)
    assert result.extras["models"] >= 1
    assert result.solution_status is SolutionStatus.FEASIBLE
    assert result.termination is not Termination.OPTIMAL


def test_what_only_breaks_ties_has_little_time(monkeypatch):
    axes = (TransposedAxis(11, kernel=3, stride=3), TransposedAxis(3, kernel=3, stride=3))
    weighted = Objective(Kind.WEIGHTED, latency_weight=Fraction(3, 10), traffic_weight=Fraction(2, 5))
    machine = Hardware(6, 6, 1000, Fraction("7.77777777777777"), 2)
    problem = SharedProblem(Deconvolution("d", 8, 1, axes), machine, weighted)
    monkeypatch.setattr(exact, "_TIES", 0.0)  # minutes of packings, one for each number of rounds
    found = solve(problem, method="exact")
    assert found.extras["models"] == 0
    assert found.gap == 0
    assert found.objective_value == Fraction(7, 10)  # both at their bounds


def axes(count, size):
    return (TransposedAxis(size, 3, 2, pad_lo=1, pad_hi=1, output_padding=1),) * count


LAYERS = {
    "2-D": Deconvolution("d", 96, 64, axes(2, 16)),
    "3-D": Deconvolution("d", 32, 32, axes(3, 4)),
    "stride 8": Deconvolution("d", 21, 21, (TransposedAxis(6, 16, 8, pad_lo=4, pad_hi=4),) * 2),
    "ten columns, batch": Deconvolution("d", 37, 19, (TransposedAxis(30, 5, 2),), batch=3),
}
MACHINES = {
    "reference": Hardware(buffer_bytes=65536),
    "banks": Hardware(24, 24, 131072, bank_bytes=8192),
    "sliding": Hardware(8, 8, 32768, halo=Halo.REUSE),
}


PAIRS = [
    ("2-D", "reference"),
    ("2-D", "banks"),
    ("3-D", "reference"),
    ("stride 8", "banks"),
    ("ten columns, batch", "reference"),
    ("ten columns, batch", "sliding"),
]


@pytest.mark.parametrize(("layer", "machine"), PAIRS)
def test_methods_agree_on_layers(layer, machine):
    problem = SharedProblem(LAYERS[layer], MACHINES[machine])
    best = solve(problem)
    assert best.solution_status is SolutionStatus.OPTIMAL
    exact = solve(problem, method="exact", time_limit=4)
    check(problem, best, exact)
    assert exact.cost.traffic_bits == best.cost.traffic_bits
    for method in ("constrained", "combined"):
        check(problem, best, solve(problem, method=method))


def test_combined_is_no_worse_than_its_static_start():
    problem = SharedProblem(LAYERS["2-D"], MACHINES["reference"], Objective(Kind.TRAFFIC))
    result = solve(problem, method="combined")
    assert result.cost.traffic_bits <= result.extras["static_traffic_bits"]


def test_static_keeps_its_partition():
    machine = MACHINES["reference"]
    problem = SharedProblem(
        LAYERS["2-D"], machine, partition=Partition.from_ratio((3, 3, 4), machine.buffer_bits, 1)
    )
    result = solve(problem, method="static")
    assert result.bound_scope == "partition"
    assert all(n <= p for n, p in zip(result.cost.footprint.parts, problem.partition.parts, strict=True))
    assert solve(replace(problem, partition=None)).cost.traffic_bits <= result.cost.traffic_bits
    with pytest.raises(ValueError, match="partition"):
        solve(replace(problem, partition=None), method="static")


def test_an_unknown_method_is_named():
    with pytest.raises(InputError, match="guess"):
        solve(SharedProblem(LAYERS["2-D"]), method="guess")


def test_a_time_limit_leaves_a_bound():
    problem = SharedProblem(Deconvolution("d", 64, 64, axes(3, 40)))
    result = solve(problem, time_limit=0.0)
    assert result.mapping is not None
    assert result.lower_bound.traffic_bytes <= result.cost.traffic_bytes


def test_combined_goes_on_to_the_exact_method_if_asked():
    deconv = Deconvolution(
        "up", 24, 16, (TransposedAxis(6, 4, 2, 1, 1, 1), TransposedAxis(7, 3, 2, 1, 1, 1, 1))
    )
    problem = SharedProblem(deconv, Hardware(buffer_bytes=4000))
    best = solve(problem, method="exhaustive")
    after = solve(problem, method="combined", exact_after=True)
    assert after.method == "combined"
    assert after.solution_status is SolutionStatus.OPTIMAL
    assert (after.gap, after.cost.traffic_bits) == (0, best.cost.traffic_bits)
