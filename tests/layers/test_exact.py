"""The mixed-integer program: agreement with exhaustive search, claims checked, models read elsewhere."""

import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import highspy
import numpy as np
import pytest
from hypothesis import given
from pyomo.repn.standard_repn import generate_standard_repn

from dnns.axes import Axis
from dnns.layer import Layer
from dnns.reader import read_network
from formulation.hardware import BitWidths, Dataflow, Fill, Halo, Hardware
from formulation.mapping import Partition
from formulation.pricing.price import Price
from formulation.problem import Kind, Objective, Problem
from formulation.program.candidates import candidates, undominated
from formulation.program.choices import sieved_choices
from formulation.program.model import build_milp
from formulation.program.scaling import ProgramAim
from formulation.space.space import CLASSES, Space
from formulation.space.tables import SpatialTable
from solvers.backends.linear import solve_milp
from solvers.layers import exact, exact_stage, exhaustive
from solvers.layers.exact import SolverDisagreement
from solvers.result import SolutionStatus, Termination
from tests import strategies
from tests.layers.test_exhaustive import every_mapping
from tests.readme import ROOT
from tests.strategies import examples

SMALL = Problem(
    Layer("small", 24, 20, (Axis(14, 3, 1, 1, 1, 1, 14), Axis(10, 3, 1, 1, 1, 1, 10))),
    Hardware(buffer_bytes=6000),
)


def assert_same(result, reference):
    assert result.termination is reference.termination
    if reference.cost is None:
        assert result.cost is None
        return
    assert result.cost.latency_ticks == reference.cost.latency_ticks
    assert result.cost.traffic_bits == reference.cost.traffic_bits
    assert result.solution_status is SolutionStatus.OPTIMAL
    assert result.gap == 0
    assert result.problem.is_feasible(result.cost)
    assert result.lower_bound == reference.lower_bound


@examples(60)
@given(strategies.problems(set_up=True, most=7, channels=8))
def test_equals_exhaustive(problem):
    assert_same(exact.solve(problem), exhaustive.solve(problem))


@examples(25)
@given(strategies.problems(set_up=True, most=3, channels=4, most_axes=2))
def test_the_unpruned_program_equals_exhaustive(problem):
    assert_same(exact.solve(problem, sieve="none"), exhaustive.solve(problem))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(("network", "shape"), [("flowNetC.txt", (6, 192, 320)), ("dcgan.yaml", None)])
def test_equals_exhaustive_on_networks(network, shape, kind):
    from formulation.deconv import Treatment
    from solvers.network.plan import parts_of

    for operator in read_network(ROOT / "dnns" / "networks" / network, input=shape).layers:
        for part in parts_of(operator, Treatment.SPLIT)[:2]:
            problem = Problem(part.layer, objective=Objective(kind))
            assert_same(exact.solve(problem), exhaustive.solve(problem))


@examples(60)
@given(strategies.problems(set_up=True, most=4, channels=4))
def test_sieves_lose_nothing(problem):
    """Every price that plain enumeration finds is reached, or beaten in both parts, by a candidate."""
    space = Space(problem)
    tiles = SpatialTable.join(list(space.grid.slabs()))
    if not problem.fits_at_all:
        return
    found = candidates(space, tiles, space.grid.cycles(tiles), lambda price: price.latency >= 0)
    front = {(cost.latency_ticks, cost.traffic_bits) for _, cost in every_mapping(problem)}
    for latency, traffic in front:
        assert ((found.price.latency <= latency) & (found.price.traffic <= traffic)).any()


def test_undominated_is_the_front():
    rng = np.random.default_rng(0)
    columns = rng.integers(1, 5, (7, 200))
    table = SpatialTable(np.arange(200), *columns[:3], np.zeros(200, dtype=int), *columns[3:5])
    cycles = columns[5]
    points = np.stack([cycles, table.trips, table.fetched, table.slid, table.largest, table.pixels], axis=1)
    kept = set(undominated(table, cycles).tolist())
    for i, point in enumerate(points):
        below = (points <= point).all(axis=1) & (points < point).any(axis=1)
        assert (i in kept) <= (not below.any())
        assert any((points[k] <= point).all() for k in kept)


@pytest.mark.parametrize("double", [True, False])
def test_a_fixed_mapping_costs_what_the_cost_module_says(double):
    """Numeric twin: with its binaries fixed, the model has the mapping's latency and traffic."""
    problem = Problem(
        SMALL.layer, Hardware(buffer_bytes=6000, double_buffered=double), Objective(Kind.LATENCY)
    )
    space = Space(problem)
    tiles = SpatialTable.join(list(space.grid.slabs()))
    found = candidates(space, tiles, space.grid.cycles(tiles), lambda price: price.latency >= 0)
    several = (found.price.latency > 0) & (space.co.trips[found.co] > 1) & (space.ci.trips[found.ci] > 1)
    several &= found.tiles.trips[found.row] > 1  # where the table of the loop orders is the rule itself
    picked = np.random.default_rng(1).choice(np.flatnonzero(several), 12, replace=False)
    some = found.take(np.sort(picked))
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        for i in range(len(some)):
            milp = build_milp(
                space,
                sieved_choices(space, some),
                ProgramAim(Price.of(*weights), Price.of(*(int(values.max()) for values in some.price))),
            )
            place = CLASSES[some.which[i]], False, int(some.co[i]), int(some.ci[i]), int(some.row[i])
            for variable, value in milp.binaries(*place):
                variable.fix(value)
            solved = solve_milp(milp.model)
            assert solved.termination is Termination.OPTIMAL
            price = some.price.latency[i] if weights[0] else some.price.traffic[i]
            below = milp.objective.scaled(int(price)) - solved.objective
            assert -1e-6 <= below <= milp.margin
            assert milp.choice() == (place[0], *place[2:])


def test_a_single_price_that_is_left_beats_an_incumbent_that_ties_in_the_first_quantity():
    axes = Axis(192, 3, 1, 1, 1, 1, 192), Axis(384, 3, 1, 1, 1, 1, 384)
    problem = Problem(Layer("refine", 32, 97, axes), objective=Objective(Kind.LATENCY))
    assert_same(exact.solve(problem), exhaustive.solve(problem))


#: HiGHS never returned from a program of this layer when a bound of 1e-6 met coefficients of 4e6.
FLAT = Problem(
    Layer("flat", 2, 4, (Axis(3, 5, 3, 1, 3, 4, 4),)),
    Hardware(
        rows=3,
        cols=2,
        buffer_bytes=2185,
        bandwidth=Fraction(2),
        frequency=Fraction(7, 10),
        bits=BitWidths(8, 4, 4, 8),
        dataflow=Dataflow.WEIGHT,
        double_buffered=False,
    ),
)


def whole_space(problem):
    """All undominated mappings of a problem."""
    space = Space(problem)
    tiles = SpatialTable.join(list(space.grid.slabs()))
    return space, candidates(space, tiles, space.grid.cycles(tiles), lambda price: price.latency >= 0)


def test_a_tight_cap_meets_no_huge_coefficient():
    """With the least latency as the cap and the incumbent: small bounds and large coefficients stay apart."""
    space, found = whole_space(FLAT)
    latency = int(found.price.latency.min())
    traffic = int(found.price.traffic[found.price.latency == latency].min())
    aim = ProgramAim(Price.of(0.0, 1.0), Price.of(latency, traffic), Price(latency, None, None))
    milp = build_milp(space, sieved_choices(space, found), aim)
    largest = max(abs(c) for row in milp.model.works.values() for c in coefficients(row))
    assert largest <= 1e6
    assert milp.model.latency.ub >= 1e-4
    solved = solve_milp(milp.model, time_limit=20)
    assert solved.termination is Termination.OPTIMAL
    assert abs(milp.objective.scaled(traffic) - solved.objective) <= milp.margin


def coefficients(row):
    return generate_standard_repn(row.body).linear_coefs


@examples(40)
@given(strategies.problems(set_up=True, most=5, channels=5, most_axes=2))
def test_the_program_does_the_whole_proof(problem):
    """With bounds alone as a sieve HiGHS compares all prices; every start that it looks at is accepted."""
    result = exact.solve(problem, sieve="bounds")
    assert_same(result, exhaustive.solve(problem))
    assert False not in [solve["start_accepted"] for solve in result.extras.get("solves", [])]


def test_very_many_ties_do_not_make_a_large_program(monkeypatch):
    flat = Problem(
        Layer("out", 2, 64, (Axis(48, in_size=48), Axis(40, in_size=40))), Hardware(buffer_bytes=4000)
    )
    monkeypatch.setattr(exact, "_MANY", 10)
    result = exact.solve(flat)
    assert_same(result, exhaustive.solve(flat))
    assert max(solve["size"]["cols"] for solve in result.extras["solves"]) < 100


def test_what_compulsory_traffic_proves_needs_no_program_and_is_said_to_rest_on_it(tmp_path):
    problem = Problem(Layer("fc", 100, 256, (Axis(1, in_size=1),)))
    result = exact.solve(problem, dump_models=tmp_path)
    assert_same(result, exhaustive.solve(problem))
    assert result.bound_from == {"latency": "free", "traffic": "free"}
    assert result.extras["solves"] == []
    assert sorted(path.name for path in tmp_path.glob("*.lp")) == ["fc.latency.lp", "fc.traffic.lp"]
    whole = exact.solve(problem, sieve="bounds")
    assert whole.bound_from == {"latency": "program", "traffic": "program"}
    assert len(whole.extras["solves"]) > 1


def test_a_bound_rests_on_the_program_only_if_that_held_something_better():
    found, pointwise, window = set(), Axis(56, in_size=56), Axis(56, 3, 1, 1, 1, 1, 56)
    for layer in (Layer("1x1", 64, 64, (pointwise,) * 2), Layer("3x3", 256, 256, (window,) * 2)):
        result = exact.solve(Problem(layer))
        for step, origin in result.bound_from.items():
            objectives = [s["objective"] for s in result.extras["solves"] if s["stage"].endswith(step)]
            assert bool(objectives) == (origin != "free")
            found.add(str(origin))
    assert found == {"free", "sieve", "program"}


def test_a_time_limit_returns_the_incumbent_with_a_true_gap():
    layer = Layer("l", 512, 512, (Axis(36, 3, 1, 1, 1, 1, 36), Axis(60, 3, 1, 1, 1, 1, 60)))
    result = exact.solve(Problem(layer), time_limit=0.0)
    best = exhaustive.solve(Problem(layer))
    assert result.termination is Termination.TIME_LIMIT
    assert result.solution_status is SolutionStatus.FEASIBLE
    assert result.lower_bound.latency_cycles <= best.lower_bound.latency_cycles
    assert 0 <= result.gap < 1
    assert result.cost.latency_ticks <= Problem(layer).objective.cap(result.cost.latency_ticks)


def test_a_known_mapping_is_the_start():
    best = exhaustive.solve(SMALL)
    result = exact.solve(SMALL, initial=best.mapping)
    assert_same(result, best)


def test_what_does_not_fit_is_infeasible():
    result = exact.solve(Problem(SMALL.layer, Hardware(buffer_bytes=75)))
    assert result.termination is Termination.INFEASIBLE
    assert result.mapping is None


def test_a_wrong_answer_is_an_error(monkeypatch):
    """If HiGHS claimed an objective that its mapping does not have, nobody would get that mapping."""

    def liar(model, **options):
        solved = solve_milp(model, **options)
        return replace(solved, objective=solved.objective - 100.0)

    monkeypatch.setattr(exact_stage, "solve_milp", liar)
    with pytest.raises(SolverDisagreement, match="latency"):
        exact.solve(SMALL)


def test_an_optimum_that_highs_loses_is_found_with_presolve(monkeypatch):
    """HiGHS's proof is held against the candidates: a wrong proof costs a second solve, not the answer."""
    asked = []

    def forgetful(model, presolve, **options):
        asked.append(presolve)
        solved = solve_milp(model, presolve=presolve, **options)
        return solved if presolve else replace(solved, objective=solved.objective + 100.0)

    monkeypatch.setattr(exact_stage, "solve_milp", forgetful)
    assert_same(exact.solve(SMALL), exhaustive.solve(SMALL))
    assert asked == [False, True] * (len(asked) // 2)


def test_presolve_is_what_is_asked_for():
    """Off means off: of a program that presolve solves, the simplex method then sees something."""
    space, found = whole_space(SMALL)
    price = found.price
    milp = build_milp(
        space,
        sieved_choices(space, found),
        ProgramAim(Price.of(1.0, 0.0), Price.of(*(int(values.max()) for values in price))),
    )
    off, on = (solve_milp(milp.model, presolve=presolve) for presolve in (False, True))
    assert off.iterations != on.iterations
    assert off.objective == pytest.approx(on.objective, abs=1e-6)
    assert off.presolved == on.presolved


def test_whole_banks_keep_their_optimum():
    """HiGHS 1.15.1 with presolve lost it when the parts were integer variables."""
    axes = Axis(3, 1, 3, 2, 3, 3, 1), Axis(3, 1, 3, 1, 0, -1, 9)
    machine = Hardware(
        rows=5,
        cols=2,
        buffer_bytes=374,
        bandwidth=Fraction(2),
        bits=BitWidths(16, 4, 16, 32),
        bank_bytes=41,
        double_buffered=False,
        halo=Halo.REUSE,
        fill=Fill.EXPOSED,
    )
    problem = Problem(Layer("banks", 7, 8, axes, batch=3), machine)
    result = exact.solve(problem, sieve="bounds")
    assert_same(result, exhaustive.solve(problem))
    stages = [solve["stage"].partition("-")[2] for solve in result.extras["solves"]]
    assert all(one != other for one, other in pairwise(stages))  # none was solved twice


def test_an_array_far_below_the_transfers_is_measured_from_its_own_floor():
    """The least latency is the transfers'; what the array takes beyond it begins far below."""
    axes = Axis(4, 4, 4, 1, 2, 1, 13), Axis(1, 2, 2, 2, 4, -1, 1)
    machine = Hardware(
        rows=5,
        cols=5,
        buffer_bytes=459,
        bandwidth=Fraction(1, 2),
        frequency=Fraction(7, 10),
        bank_bytes=51,
        fill=Fill.EXPOSED,
    )
    part = Partition(ifmap=1632, ofmap=1224, weights=816)
    problem = Problem(Layer("slow", 5, 3, axes, batch=2), machine, Objective(Kind.TRAFFIC), part)
    assert_same(exact.solve(problem), exhaustive.solve(problem))


def test_parts_of_a_given_partition_are_kept():
    part = Partition.from_ratio([1, 2, 1], SMALL.hardware.buffer_bits, 1)
    problem = Problem(SMALL.layer, SMALL.hardware, Objective(), part)
    assert_same(exact.solve(problem), exhaustive.solve(problem))


@pytest.mark.parametrize("sieve", ["prices", "none"])
def test_coefficients_stay_within_six_orders_of_magnitude(tmp_path, sieve):
    """In every row; of the sieved program, which is what is solved, in the whole matrix."""
    exact.solve(SMALL, dump_models=tmp_path, name="small", sieve=sieve)
    for file in sorted(tmp_path.glob("*.lp")):
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.readModel(str(file))
        matrix = solver.getLp().a_matrix_
        values, rows = np.abs(matrix.value_), np.array(matrix.index_)
        groups = [np.zeros_like(rows)] if sieve == "prices" else [rows]
        for group in groups:
            for row in np.unique(group):
                some = values[group == row]
                assert some.max() / some[some > 0].min() < 2e6


@pytest.mark.parametrize("ending", ["lp", "mps"])
def test_dumped_models_have_the_same_optimum_elsewhere(tmp_path, ending):
    """SCIP reads what was dumped and agrees with HiGHS."""
    from pyscipopt import Model

    problem = Problem(SMALL.layer, SMALL.hardware, Objective(Kind.TRAFFIC))
    result = exact.solve(problem, dump_models=tmp_path, name="small", sieve="none")
    assert {f.name for f in tmp_path.iterdir()} >= {"small.1-traffic.lp", "small.1-traffic.mps"}
    file = str(tmp_path / f"small.1-traffic.{ending}")
    scip, highs = Model(), highspy.Highs()
    scip.hideOutput()
    scip.readProblem(file)
    scip.optimize()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.readModel(file)
    highs.run()
    assert scip.getStatus() == "optimal"
    assert scip.getObjVal() == pytest.approx(highs.getInfo().objective_function_value, rel=1e-6)
    assert scip.getObjVal() == pytest.approx(result.extras["solves"][0]["objective"], rel=1e-6)
    floor, unit = re.search(r"traffic \[bytes\] = (\S+) \+ (\S+) \* traffic", Path(file).read_text()).groups()
    assert float(floor) + float(unit) * scip.getObjVal() == pytest.approx(float(result.cost.traffic_bytes))
    solution = scip.getBestSol()
    chosen = [v.name for v in scip.getVars() if v.vtype() == "BINARY" and solution[v] > 0.5]
    assert len(chosen) == 4
    assert any(f"co{result.mapping.tile.out_channels}" in name for name in chosen)


def test_the_whole_program_is_dumped_whatever_was_solved(tmp_path):
    """HiGHS finds the optimum in it without any incumbent; what was solved is beside it, and says so."""
    result = exact.solve(SMALL, dump_models=tmp_path, name="small")
    stems = {f.stem for f in tmp_path.iterdir()}
    assert {"small.latency", "small.traffic", "small.1-latency.sieved"} <= stems
    sizes = {}
    for stem in ("small.latency", "small.1-latency.sieved", "small.traffic"):
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.readModel(str(tmp_path / f"{stem}.lp"))
        sizes[stem] = highs.getNumCol()
        highs.run()
        best = highs.getInfo().objective_function_value
    assert sizes["small.latency"] > 5 * sizes["small.1-latency.sieved"]
    text = (tmp_path / "small.traffic.lp").read_text()
    floor, unit = re.search(r"traffic \[bytes\] = (\S+) \+ (\S+) \* traffic", text).groups()
    assert float(floor) + float(unit) * best == pytest.approx(float(result.cost.traffic_bytes), rel=1e-5)
    head = text.splitlines()[0]
    assert head.startswith(
        "\\ 20 -> 24 channels, kernel 3x3, 14x10 -> 14x10, stride 1x1, dilation 1x1, padding 1+1x1+1"
    )


def test_scaled_axes_are_exact_at_the_incumbent():
    from formulation.program.scaling import Scale

    scale = Scale(10**12, 3.5)
    assert scale.value(scale.scaled(10**12 + 7)) == 10**12 + 7
    assert Fraction(scale.value(0.0)) == 10**12
