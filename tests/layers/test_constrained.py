"""The constrained method: rigorous bounds, feasible and good mappings, sensitivities, limits."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.constrained import problems
from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import BitWidths, Dataflow, Fill, Halo, Hardware
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.pricing.price import Price
from formulation.problem import Kind, Objective, Problem
from formulation.relaxed import presolve
from formulation.relaxed.classes import Aim
from formulation.relaxed.layers import LayerRelaxation
from solvers.backends import ipopt
from solvers.bounds.bounding import Bounder
from solvers.bounds.sensitivity import sensitivity
from solvers.layers import constrained, exhaustive
from solvers.result import SolutionStatus, Termination, free_bound
from tests import strategies
from tests.layers.test_exhaustive import CASES, KINDS, case_problem

LAYER = Layer("conv", 64, 48, (Axis(56, 3, 1, 1, 1, 1, 56), Axis(60, 5, 2, 1, 2, 2, 120)))
SCENARIOS = Path(__file__).parents[2] / "scenarios"
SMALL = Hardware(buffer_bytes=65_536)
FIELDS = ("latency_cycles", "traffic_bytes", "score")


def optimum(problem, best):
    """What each bound must not exceed."""
    exact = dict.fromkeys(FIELDS, best.objective_value)
    if problem.objective.kind is Kind.BALANCED:
        exact["latency_cycles"] = best.lower_bound.latency_cycles
    return exact


def check(problem, ours, best):
    """Everything that must hold of a result beside the proven optimum."""
    assert problem.is_feasible(ours.cost)
    assert ours.cost == problem.evaluate(ours.mapping)
    assert ours.termination is Termination.OPTIMAL
    exact = optimum(problem, best)
    for name in FIELDS:
        bound = getattr(ours.lower_bound, name)
        assert bound is None or bound <= exact[name], name
    assert ours.gap is not None
    assert ours.gap >= 0
    if ours.solution_status is SolutionStatus.OPTIMAL:
        assert ours.objective_value == best.objective_value
        assert ours.gap == 0


HELP = {"all": "full", "lists": "full", "models": "none"}


@pytest.fixture
def without_lists(monkeypatch):
    """Relaxed models alone, as for layers with too many tiles."""
    monkeypatch.setattr(presolve, "_TILES", -1)


@given(strategies.problems(set_up=True, most=8, channels=8), st.sampled_from(sorted(HELP)))
def test_bound_is_never_above_the_optimum(problem, of):
    """With all means or without some; thousands with ``--hypothesis-profile thorough``."""
    with pytest.MonkeyPatch.context() as patch:
        if of == "lists":
            patch.setattr(presolve, "_PRICED", 0)
        ours = constrained.solve(problem, presolve=HELP[of])
    best = exhaustive.solve(problem)
    if best.cost is None:
        assert ours.termination is Termination.INFEASIBLE
        assert ours.mapping is None
        return
    check(problem, ours, best)
    for claim, bound in ours.relaxed.proven.items():
        assert bound <= optimum(problem, best).get(claim, best.objective_value), claim
        assert bound <= ours.lower_bound.of(claim), claim
    if HELP[of] == "none":
        assert set(ours.bound_from.values()) <= {"ipopt", "free", "presolve"}
    assert set(ours.extras["sensitivity"]) == {
        f"{quantity}_per_{unit}" for quantity in ("cycles", "bytes", "score") for unit in ("kib", "gbps")
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_published_cases_within_a_tenth_of_the_optimum(case, kind):
    problem = case_problem(case, KINDS[kind])
    ours, best = constrained.solve(problem), exhaustive.solve(problem)
    check(problem, ours, best)
    assert ours.objective_value <= best.objective_value * Fraction(11, 10)


FEATURES = {
    "reuse": {"halo": Halo.REUSE},
    "single": {"double_buffered": False},
    "exposed": {"fill": Fill.EXPOSED},
    "banks": {"bank_bytes": 4096},
    "widths": {"bits": BitWidths(8, 8, 8, 32)},
    "weight": {"dataflow": Dataflow.WEIGHT},
    "input": {"dataflow": Dataflow.INPUT},
}


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_and_objective(feature, kind):
    problem = Problem(LAYER, replace(SMALL, **FEATURES[feature]), Objective(kind))
    ours, best = constrained.solve(problem), exhaustive.solve(problem)
    check(problem, ours, best)
    assert ours.objective_value <= best.objective_value * Fraction(101, 100)
    assert ours.gap < 0.01


def test_a_given_partition_bounds_its_own_mappings():
    part = Partition.from_ratio([3, 3, 4], SMALL.buffer_bits, 1)
    problem = Problem(LAYER, SMALL, Objective(Kind.TRAFFIC), part)
    ours, best = constrained.solve(problem), exhaustive.solve(problem)
    check(problem, ours, best)
    assert ours.lower_bound.traffic_bytes > exhaustive.solve(replace(problem, partition=None)).objective_value


@pytest.mark.parametrize("kind", list(Kind))
def test_never_worse_than_the_initial_mapping(kind):
    problem = Problem(LAYER, SMALL, Objective(kind))
    best = exhaustive.solve(problem)
    ours = constrained.solve(problem, initial=best.mapping)
    check(problem, ours, best)
    assert ours.objective_value == best.objective_value


def test_an_initial_mapping_that_does_not_fit_is_only_a_start():
    problem = Problem(LAYER, SMALL)
    initial = Mapping(Tile(64, 48, 1, (56, 60)), Stationary.WEIGHT)
    check(problem, constrained.solve(problem, initial=initial), exhaustive.solve(problem))


def test_what_does_not_fit_is_said_before_ipopt_is_called(monkeypatch):
    monkeypatch.setattr(ipopt.Ipopt, "solve", None)
    ours = constrained.solve(Problem(LAYER, Hardware(buffer_bytes=50)))
    assert ours.termination is Termination.INFEASIBLE
    assert ours.solution_status is SolutionStatus.NONE
    assert ours.gap is None


@pytest.mark.parametrize(
    ("options", "termination"),
    [
        ({"max_iterations": 1, "presolve": "none"}, Termination.ITERATION_LIMIT),
        ({"time_limit": 0.0}, Termination.TIME_LIMIT),
    ],
)
def test_a_limit_leaves_a_mapping_with_the_bound_that_is_free(options, termination):
    problem = Problem(LAYER, SMALL)
    ours = constrained.solve(problem, **options)
    assert ours.termination is termination
    assert ours.solution_status is SolutionStatus.FEASIBLE
    assert problem.is_feasible(ours.cost)
    assert ours.lower_bound == free_bound(problem)
    assert set(ours.bound_from.values()) == {"free"}


@pytest.mark.usefixtures("without_lists")
def test_a_failed_solve_never_yields_a_bound(monkeypatch):
    real = ipopt.Ipopt.solve

    def failing(self, program, start, **options):
        return replace(real(self, program, start, **options), termination=Termination.ERROR)

    monkeypatch.setattr(ipopt.Ipopt, "solve", failing)
    ours = constrained.solve(Problem(LAYER, SMALL))
    assert ours.termination is Termination.ERROR
    assert ours.lower_bound == free_bound(ours.problem)
    assert set(ours.bound_from.values()) == {"free"}


def test_the_same_twice():
    problem = Problem(LAYER, SMALL)
    first, second = constrained.solve(problem), constrained.solve(problem)
    assert replace(first, seconds=0) == replace(second, seconds=0)


@pytest.mark.usefixtures("without_lists")
def test_branching_narrows_the_gap_and_keeps_the_mapping():
    problem = Problem(LAYER, SMALL, Objective(Kind.TRAFFIC))
    plain, narrow = constrained.solve(problem, branches=0), constrained.solve(problem, branches=40)
    assert narrow.gap < plain.gap
    assert narrow.gap < 0.02


def test_what_the_models_prove_by_themselves_does_not_depend_on_the_presolve():
    """The presolve closes the gap of a layer; the relaxation is solved all the same."""
    problem = Problem(LAYER, SMALL, Objective(Kind.TRAFFIC))
    helped, alone = constrained.solve(problem), constrained.solve(problem, presolve="none", branches=0)
    assert helped.relaxed == alone.relaxed
    assert alone.relaxed.traffic_bytes == alone.lower_bound.traffic_bytes
    assert alone.bound_from["traffic"] == "ipopt"
    assert helped.gap < helped.relaxed_gap(problem.steps[-1].measures[0])


def test_a_model_that_fails_is_of_no_matter_where_the_presolve_has_closed_its_class(monkeypatch):
    real = ipopt.Ipopt.solve
    best = constrained.solve(Problem(LAYER, SMALL))

    def failing(self, program, start, **options):
        return replace(real(self, program, start, **options), termination=Termination.ERROR)

    monkeypatch.setattr(ipopt.Ipopt, "solve", failing)
    monkeypatch.setattr(presolve.Presolve, "start", lambda self, variants, incumbent: tuple(variants))
    ours = constrained.solve(Problem(LAYER, SMALL), initial=best.mapping)
    assert ours.termination is Termination.OPTIMAL
    assert not ours.relaxed.proven


@pytest.mark.parametrize("name", ["enet", "unet3d", "resnet50"])
def test_what_the_array_leaves_within_the_cap_is_priced(name):
    """Layers whose relaxation cannot tell a tiling that fills the array from one that does not."""
    for problem in list(problems(SCENARIOS / f"{name}.yaml", Kind.BALANCED))[::4]:
        ours, best = constrained.solve(problem), exhaustive.solve(problem)
        check(problem, ours, best)
        assert ours.gap == 0


def least(problem, aim):
    """The relaxed optimum over all models, and what is known beside it."""
    bounder = Bounder(LayerRelaxation(problem), True, None, 300)
    bounder.start = dict.fromkeys(bounder.relaxation.extents, 2.0)
    return bounder, bounder.minimise(aim, inf)


SLOW = replace(SMALL, bandwidth=Fraction(3, 2))
SENSITIVE = {  # machine, whether the latency is capped, stage, key
    "traffic, buffer": (SMALL, False, "traffic", "bytes_per_kib"),
    "traffic, bandwidth": (SMALL, True, "traffic", "bytes_per_gbps"),
    "latency, buffer": (SLOW, False, "latency", "cycles_per_kib"),
    "latency, bandwidth": (SLOW, False, "latency", "cycles_per_gbps"),
    "latency, one buffer": (replace(SLOW, double_buffered=False), False, "latency", "cycles_per_gbps"),
}


def relaxed_optimum(machine, aim, cap_cycles, stage_name):
    """Bound in cycles or bytes, and the sensitivities."""
    bounder, _ = least(Problem(LAYER, machine), aim)
    roofline = bounder.relaxation.roofline_cycles
    stage = bounder.minimise(replace(aim, caps=aim.caps._replace(latency=cap_cycles / roofline)), inf)
    unit = roofline if stage_name == "latency" else bounder.relaxation.compulsory_bits / 8
    return stage.bound * unit, sensitivity(bounder, {stage_name: stage})


@pytest.mark.parametrize("name", SENSITIVE)
def test_sensitivities_are_those_of_solving_again(name):
    machine, capped, stage_name, key = SENSITIVE[name]
    cap = 1e12
    if capped:
        fastest, _ = relaxed_optimum(machine, Aim(Price.of(1.0, 0.0), Price.of(100.0, 100.0)), 1e9, "latency")
        cap = 1.002 * fastest
    aim = Aim(
        Price.of(float(stage_name == "latency"), float(stage_name == "traffic")), Price.of(cap, 100.0), capped
    )
    _, found = relaxed_optimum(machine, aim, cap, stage_name)
    values = []
    for sign in (1, -1):
        if key.endswith("kib"):
            moved, step = replace(machine, buffer_bytes=machine.buffer_bytes + sign * 1024), 2.0
        else:
            moved = replace(machine, bandwidth=machine.bandwidth * (1 + Fraction(sign, 1000)))
            step = float(machine.bandwidth) / 500
        values.append(relaxed_optimum(moved, aim, cap, stage_name)[0])
    assert found[key] == pytest.approx((values[1] - values[0]) / step, rel=0.03)
    assert found[key] > 0


def test_a_solver_that_is_not_installed_is_named_in_one_line():
    code = (
        "import sys; sys.modules['cyipopt'] = None\n"
        "from dnns.errors import InputError\n"
        "from solvers.methods import solver\n"
        "try:\n    solver('constrained')\nexcept InputError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert "cyipopt-wheels" in done.stdout


def test_models_are_dumped_on_request(tmp_path):
    constrained.solve(Problem(LAYER, SMALL), dump_models=tmp_path, name="first")
    assert {path.suffix for path in tmp_path.iterdir()} == {".nl", ".row", ".col", ".txt"}
    assert all(path.name.startswith("first.") for path in tmp_path.iterdir())
