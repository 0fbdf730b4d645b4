"""The whole program of shared ifmap tiles: solved it is the optimum, fixed it is a mapping's price."""

import re
from dataclasses import replace
from fractions import Fraction

import highspy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution
from formulation.hardware import Fill, Hardware
from formulation.mapping import Stationary
from formulation.pricing.price import Price
from formulation.problem import Kind, Objective
from formulation.program.scaling import ProgramAim
from formulation.shared.problem import SharedMapping, SharedProblem
from formulation.shared.space import SharedSpace
from formulation.shared.whole.choices import shared_choices, whole_tiles
from formulation.shared.whole.model import build_shared
from formulation.space.space import CLASSES
from solvers.backends.deadline import TimeUp
from solvers.backends.linear import solve_milp
from solvers.backends.milp import SolverDisagreement
from solvers.result import BoundFrom, SolutionStatus, Termination
from solvers.shared import whole
from solvers.shared.methods import solve
from tests.shared.test_cost import every_mapping, price_of, small_problems
from tests.strategies import examples

#: Sub-kernels of two kinds and two shapes, of which the smaller clips the largest tile.
UP = Deconvolution("up", 3, 2, (TransposedAxis(3, 3, 2), TransposedAxis(2, 2, 2)))
MACHINE = Hardware(2, 2, 260)


@examples(10)
@given(small_problems())
def test_what_the_solver_proves_is_the_optimum(problem):
    best, result = solve(problem), solve(problem, method="exact", sieve="none")
    assert result.termination is best.termination
    if best.mapping is not None:
        assert result.solution_status is SolutionStatus.OPTIMAL
        assert price_of(problem, result.cost) == price_of(problem, best.cost)
        assert result.gap == pytest.approx(0, abs=1e-9)
        assert BoundFrom.SIEVE not in result.bound_from.values()


def several_trips(problem):
    """Mappings of several trips in each group of loops: where the table of passes is the rule itself."""
    for mapping, cost in every_mapping(problem):
        grid = [-(-a.out // a.stride) for a in problem.deconv.axes]
        cut = any(t < n for t, n in zip(mapping.spatial, grid, strict=True))
        if cut and mapping.in_channels < problem.deconv.in_channels and mapping.round_count > 1:
            yield mapping, cost


@pytest.mark.parametrize("quantity", Price._fields)
@pytest.mark.parametrize("double", [True, False])
def test_a_fixed_mapping_costs_what_it_costs(quantity, double):
    kind = Kind.ENERGY if quantity == "spent" else Kind.BALANCED
    problem = SharedProblem(
        replace(UP, axes=UP.axes[:1]),
        replace(MACHINE, buffer_bytes=90, double_buffered=double),
        Objective(kind),
    )
    space = SharedSpace(problem)
    tiles, found = whole_tiles(space), list(several_trips(problem))
    most = Price.of(*(max(price_of(problem, cost)[i] for _, cost in found) for i in range(3)))
    weights = Price.of(*(float(quantity == name) for name in Price._fields))
    kept = 0
    for mapping, cost in found[:: len(found) // 15]:
        program = build_shared(space, tiles, ProgramAim(weights, most))
        start = program.start(mapping)
        for variable, value in start:
            variable.fix(value)
        solved = solve_milp(program.milp.model) if start else None
        if solved is not None and program.milp.model.variant[str(mapping.stationary)].value:
            assert solved.termination is Termination.OPTIMAL
            exact = program.milp.objective.scaled(getattr(problem.price(cost), quantity))
            assert -1e-6 <= exact - solved.objective <= program.milp.margin
            kept += 1
    assert kept >= 3


@examples(6)
@given(small_problems(), st.data())
def test_choices_lose_nothing(problem, data):
    """What a mapping takes of tile, input channels and rounds, or something as good, can be chosen."""
    if not problem.fits_at_all:
        return
    mapping, _ = data.draw(st.sampled_from(list(every_mapping(problem))))
    space = SharedSpace(problem)
    made = shared_choices(space, whole_tiles(space), space.filters * len(space.kernels.layers))
    loads = made.loads
    at = mapping.round_count - 1
    taps = [layer.taps for layer in space.kernels.layers]
    rounds = list(zip(*mapping.rounds, strict=True))
    assert loads.weights[at] <= max(sum(x * t for x, t in zip(r, taps, strict=True)) for r in rounds)
    for ratio, least in zip(made.ratios, loads.ofmap[:, at], strict=True):
        shape = {j: kind.shape for kind in space.kinds for j in kind.members}
        assert least <= max(sum(x * ratio[shape[j]] for j, x in enumerate(r)) for r in rounds)
    assert {v.whole for v in made.variants if v.which < 2} >= {
        mapping.in_channels == problem.deconv.in_channels
    }


@pytest.mark.parametrize(
    ("size", "rounds"),
    [(70, ((3,), (3,))), (88, ((3,), (3,))), (22, ((1, 1, 1, 0, 0, 0), (0, 0, 0, 1, 1, 1)))],
)
def test_what_all_in_one_round_and_each_in_its_own_go_with_fits_beside_them(size, rounds):
    """Of these both loads are known."""
    problem = SharedProblem(replace(UP, axes=UP.axes[:1]), replace(MACHINE, buffer_bytes=size))
    space, at = SharedSpace(problem), len(rounds[0]) - 1
    made = shared_choices(space, whole_tiles(space), space.filters * len(rounds))

    def fits(variant, ci, batch, *spatial):
        mapping = SharedMapping(ci, batch, spatial, rounds, CLASSES[variant.which])
        return problem.is_feasible(problem.evaluate(mapping))

    for variant in made.variants:
        among = np.flatnonzero((space.trips_ci == 1) == variant.whole)
        beside_tiles, beside_channels = (
            set(zip(*map(np.ndarray.tolist, pairs), strict=True)) for pairs in (variant.ok, variant.oi)
        )
        for row in set(variant.ok[1].tolist()):
            tile = (int(t) for t in space.grid.tiles(made.tiles.table.rank[row]))
            assert ((at, row) in beside_tiles) == fits(variant, int(space.ci[among].min()), *tile)
        if at:  # else what is told of channels is less than the load
            for ci in among.tolist():
                assert ((at, ci) in beside_channels) == fits(variant, int(space.ci[ci]), 1, 1)
    assert made.variants


def test_the_fewest_passes_are_those_of_some_packing():
    problem = SharedProblem(replace(UP, axes=UP.axes[:1]), replace(MACHINE, buffer_bytes=60))
    space = SharedSpace(problem)
    made = shared_choices(space, whole_tiles(space), space.filters * len(problem.kernels.layers))
    passes = [
        [sum(-(-x // space.limit) for j in kind.members for x in mapping.rounds[j]) for kind in space.kinds]
        for mapping, _ in every_mapping(problem)
    ]
    fixed, each = space.factors
    work = dict.fromkeys(range(len(space.shapes)), 0)
    for k, (kind, (low, most)) in enumerate(zip(space.kinds, made.passes_range(), strict=True)):
        assert low == min(p[k] for p in passes)
        assert most >= max(p[k] for p in passes)
        work[kind.shape] += int(space.ci_cycles[k].min()) * (len(kind.members) * fixed + each * low)
    assert [low for low, _ in made.work_range()] == list(work.values())


def test_a_solver_that_is_stopped_leaves_what_the_search_has_proven(monkeypatch):
    def late(*_, **__):
        raise TimeUp

    problem = SharedProblem(UP, MACHINE)
    monkeypatch.setattr(whole, "solve_milp", late)
    result = solve(problem, method="exact", sieve="none")
    assert result.solution_status is SolutionStatus.FEASIBLE
    assert set(result.bound_from.values()) == {BoundFrom.SIEVE}
    assert result.gap == 0


def lowered(space, tiles, aim, check):
    """The program without what a round may hold."""
    program = build_shared(space, tiles, aim, check)
    program.milp.model.held.deactivate()
    program.milp.model.at_least.deactivate()
    program.milp.model.unsplit.deactivate()
    for load in program.milp.model.fullest.values():
        load.setlb(0)
    return program


def test_a_program_that_is_too_low_is_noticed(monkeypatch):
    problem = SharedProblem(UP, MACHINE, Objective(Kind.LATENCY))
    monkeypatch.setattr("formulation.shared.whole.model.build_shared", lowered)
    with pytest.raises(SolverDisagreement, match="least latency"):
        solve(problem, method="exact", sieve="none")


def test_the_files_are_read_back_as_they_say(tmp_path):
    """Another reader of the file, no start: its optimum is that of the search, and its ones are a mapping."""
    problem = SharedProblem(UP, MACHINE)
    best = solve(problem, method="exact", dump_models=tmp_path, name="a")
    for step, known in (("latency", best.least_latency), ("traffic", best.cost.traffic_bits)):
        text = (tmp_path / f"a.shared.{step}.lp").read_text()
        assert text.startswith("\\ deconvolution 2 -> 3 channels, kernel 3x2, 3x2 -> 7x4")
        assert "item 0: sub-kernel 0.0, 2 taps, kind 0" in text
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.readModel(str(tmp_path / f"a.shared.{step}.lp"))
        solver.run()
        values = dict(zip(solver.getLp().col_names_, solver.getSolution().col_value, strict=True))
        floor, unit = map(float, re.search(rf"{step} \[\w+\] = (\S+) \+ (\S+) \*", text).groups())
        least = floor + unit * solver.getInfo().objective_function_value
        scale = problem.hardware.tick.per_cycle if step == "latency" else 8
        assert least * scale == pytest.approx(known, rel=1e-4)
        cost = problem.evaluate(read_back(values, len(problem.kernels.layers)))
        assert problem.is_feasible(cost)
        assert (cost.latency_ticks, cost.traffic_bits)[step == "traffic"] == known


def read_back(values, kernels):
    """The mapping of a solution, by the names of its variables."""
    ones = [name for name, value in values.items() if round(value) == 1]

    def chosen(family):
        (name,) = (n for n in ones if n.startswith(f"{family}("))
        return name[len(family) + 1 : -1]

    order = Stationary(chosen("variant").removesuffix("_whole"))
    rounds = int(chosen("out").rpartition("rounds")[2])
    batch, *spatial = map(int, chosen("tile").rpartition("_")[2].split("x"))
    filters = [[round(values[f"x({i}_{r})"]) for r in range(rounds)] for i in range(kernels)]
    filters = [c for c in zip(*filters, strict=True) if any(c)]
    ci = int(chosen("inp").rpartition("ci")[2])
    return SharedMapping(ci, batch, tuple(spatial), tuple(zip(*filters, strict=True)), order)


def test_what_was_solved_is_beside_the_whole(tmp_path):
    problem = SharedProblem(UP, MACHINE)
    solve(problem, method="exact", sieve="none", dump_models=tmp_path, name="a")
    names = {path.name for path in tmp_path.glob("*.lp")}
    assert {"a.shared.latency.lp", "a.shared.traffic.lp", "a.shared.1-latency.lp"} <= names
    assert not [name for name in names if "sieved" in name]


def test_a_sum_that_is_held_is_held_whatever_the_scale_of_its_quantities():
    axes = (TransposedAxis(10, kernel=1), TransposedAxis(2, kernel=3))
    machine = Hardware(3, 7, 4096, Fraction("7.77777777777777"), 2, fill=Fill.EXPOSED, bank_bytes=64)
    machine = replace(machine, energy=replace(machine.energy, static=Fraction(5)))
    third = Fraction(3, 10)
    score = Objective(Kind.WEIGHTED, latency_weight=third, traffic_weight=Fraction(2, 5), energy_weight=third)
    problem = SharedProblem(Deconvolution("d", 3, 1, axes, batch=3), machine, score)
    found = solve(problem, method="exact", sieve="none")
    assert found.cost == solve(problem).cost
    assert found.solution_status is SolutionStatus.OPTIMAL
