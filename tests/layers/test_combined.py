"""Combined: never worse than its static starts, with a bound that holds; then exact from there."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import Hardware
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.problem import Kind, Objective, Problem
from solvers import solve
from solvers.layers import combined, exhaustive, static
from solvers.result import BoundScope, SolutionStatus, Termination, free_bound
from solvers.run import main
from tests import strategies

LAYER = Layer("l", 48, 40, (Axis(30, 3, 1, 1, 1, 1, 30), Axis(20, 3, 1, 1, 1, 1, 20)))
SMALL = Hardware(buffer_bytes=24 * 1024)
GIVEN = Partition.from_ratio((5, 1, 2), SMALL.buffer_bits, SMALL.bank_bits)


def check_bounds(result, best):
    """Bounds hold for the optimum, and the answer is no better than it."""
    bound, cost = result.lower_bound, best.cost
    kind = result.problem.objective.kind
    if bound.latency_cycles is not None:
        least = best.lower_bound.latency_cycles if kind is Kind.BALANCED else cost.latency_cycles
        assert bound.latency_cycles <= least
    if bound.traffic_bytes is not None:
        assert bound.traffic_bytes <= cost.traffic_bytes
    if bound.score is not None:
        assert bound.score <= best.objective_value
    if result.solution_status is SolutionStatus.OPTIMAL:
        assert result.objective_value == best.objective_value


def no_worse(result, start, least):
    """Whether a result is no worse than a start under the objective, ``least`` the least latency known."""
    problem, one, two = result.problem, result.cost, start.cost
    kind = problem.objective.kind
    if kind is Kind.LATENCY:
        return one.latency_ticks <= two.latency_ticks
    if kind is not Kind.BALANCED:
        return result.objective_value <= start.objective_value
    cap = problem.objective.cap(least)
    return one.latency_ticks <= cap and (
        one.traffic_bits <= two.traffic_bits
        or two.latency_ticks > problem.objective.cap(min(least, one.latency_ticks))
        or result.objective_value <= start.objective_value
    )


@settings(max_examples=settings.default.max_examples // 4)
@given(strategies.problems(set_up=True, most=5, channels=5, most_axes=2))
def test_never_worse_than_any_static_start(problem):
    start = Partition.from_ratio((3, 3, 4), problem.hardware.buffer_bits, problem.hardware.bank_bits)
    result = combined.solve(problem, start=start)
    best = exhaustive.solve(problem)
    assert result.method == "combined"
    if best.cost is None:
        assert result.termination is Termination.INFEASIBLE
        return
    assert problem.is_feasible(result.cost)
    check_bounds(result, best)
    parts = combined.starting_partitions(problem, start)
    starts = [static.solve(replace(problem, partition=part)) for part in parts]
    fastest = [
        exhaustive.solve(replace(s.problem, objective=Objective(Kind.LATENCY))).cost.latency_ticks
        for s in starts
    ]
    for one in starts:
        assert no_worse(result, one, min(fastest))


@pytest.mark.parametrize("kind", Kind)
def test_goes_on_to_the_exact_optimum(kind):
    problem = Problem(LAYER, SMALL, Objective(kind))
    result = combined.solve(problem, start=GIVEN, exact_after=True, compare_start=True)
    best = exhaustive.solve(problem)
    assert result.solution_status is SolutionStatus.OPTIMAL
    assert result.objective_value == best.objective_value
    assert result.gap == pytest.approx(0, abs=1e-9)
    record = result.extras["exact"]
    assert {"start_accepted", "iterations", "nodes", "seconds", "without_start"} <= set(record)
    assert {"starts", "start", "sensitivity", "solves"} <= set(result.extras)


def test_starts_are_the_given_partition_the_middle_and_the_corners():
    problem = Problem(LAYER, SMALL)
    parts = combined.starting_partitions(problem, GIVEN)
    need = problem.smallest_need()
    assert parts[0] == GIVEN
    assert parts[1] == Partition.from_ratio((1, 1, 1), SMALL.buffer_bits, 1)
    for part, tensor in zip(parts[2:], ("ifmap", "ofmap", "weights"), strict=True):
        others = {"ifmap", "ofmap", "weights"} - {tensor}
        assert all(getattr(part, t) == getattr(need, t) for t in others)
        assert part.total == SMALL.buffer_bits
    assert len(combined.starting_partitions(problem, parts[1])) == 4


def test_a_given_partition_is_the_only_start():
    problem = Problem(LAYER, SMALL, partition=GIVEN)
    assert combined.starting_partitions(problem, None) == (GIVEN,)
    result = combined.solve(problem)
    assert result.bound_scope is BoundScope.PARTITION
    assert result.cost.traffic_bits == static.solve(problem).cost.traffic_bits
    assert result.gap == 0


def test_a_known_mapping_is_used():
    problem = Problem(LAYER, SMALL, Objective(Kind.TRAFFIC))
    best = exhaustive.solve(problem).mapping
    assert combined.solve(problem, initial=best).cost == problem.evaluate(best)
    useless = Mapping(Tile(48, 40, 1, (30, 20)), Stationary.WEIGHT)
    assert combined.solve(problem, initial=useless).cost is not None


def test_a_time_limit_leaves_a_static_mapping():
    result = combined.solve(Problem(LAYER, SMALL, Objective(tolerance=Fraction(0))), time_limit=0.0)
    assert result.cost is not None
    assert result.solution_status is SolutionStatus.FEASIBLE


def test_what_does_not_fit_is_said():
    result = combined.solve(Problem(LAYER, Hardware(buffer_bytes=30)))
    assert result.termination is Termination.INFEASIBLE


def test_the_command_line_goes_on_to_the_exact_program(tmp_path):
    (tmp_path / "net.yaml").write_text(
        "name: net\ninput: [8, 20, 20]\nlayers:\n"
        "  - {name: a, op: conv, out_channels: 24, kernel: 3, padding: 1}\n"
    )
    out = tmp_path / "out.json"
    options = ["--bufsize", "4096", "--search-method", "Combined", "--exact-after", "--quiet"]
    files = ["--dnnfile", str(tmp_path / "net.yaml"), "--outfile", str(out)]
    assert main([*options, *files]) == 0
    (part,) = json.loads(out.read_text())["layers"][0]["parts"]
    assert part["termination"] == "optimal"
    assert part["gap"] == 0
    assert part["extras"]["exact"]["nodes"] >= 0


def test_only_combined_goes_on(tmp_path, capsys):
    assert main(["--dnnfile", "net.txt", "--exact-after"]) == 2
    assert "exact_after" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["exhaustive", "exact", "constrained", "combined"])
def test_every_answer_at_a_limit_has_a_bound(method):
    axes = (Axis(64, 3, 1, 1, 1, 1, 64),) * 3
    result = solve(Problem(Layer("cube", 64, 64, axes, batch=16)), method=method, time_limit=1e-4)
    assert result.termination == "time_limit"
    assert result.gap is not None
    assert set(result.bound_from) == {"latency", "traffic"}
    assert result.lower_bound.traffic_bytes >= free_bound(result.problem).traffic_bytes


def test_starts_that_there_is_no_time_for_are_left_out():
    problem = Problem(Layer("a", 64, 64, (Axis(64, 3, 1, 1, 1, 1, 64),) * 3, batch=16))
    result = solve(problem, method="combined", time_limit=1e-4)
    assert len(result.extras["starts"]) == 1
    assert problem.is_feasible(result.cost)
