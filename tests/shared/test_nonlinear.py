"""The integer nonlinear program of shared ifmap tiles: SCIP proves it equal to the exhaustive search."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formulation.mapping import Stationary
from formulation.pricing.objective import LATENCY, TRAFFIC, Measure
from formulation.shared.problem import SharedProblem
from formulation.shared.whole.nonlinear import build_shared_nonlinear
from solvers.shared import nonlinear
from solvers.shared.methods import solve
from tests.conformance.test_methods import DECONVOLUTIONS, ENERGETIC, EVERY_MACHINE, OBJECTIVES
from tests.formulation.test_nonlinear import least
from tests.shared.test_cost import every_mapping, small_problems
from tests.strategies import examples

STEPS = {"traffic": "traffic", "balanced": "traffic", "energy": "energy", "weighted": "score"}


@pytest.mark.parametrize("objective", STEPS)
@pytest.mark.parametrize(("layer", "machine"), [("1-D", "awkward, set-ups"), ("2-D", "plain")])
def test_the_dumped_files_have_the_optimum(tmp_path, layer, machine, objective):
    goal = (OBJECTIVES | ENERGETIC)[objective]
    problem = SharedProblem(DECONVOLUTIONS[layer], EVERY_MACHINE[machine], goal)
    solve(problem, method="exact", dump_models=tmp_path, name="a")
    step, best = STEPS[objective], solve(problem)
    found = [least(tmp_path / f"a.shared.integer.{s.value}.{step}.nl") for s in Stationary]
    told = float(best.objective_value)
    assert min(value for value in found if value is not None) == pytest.approx(told, rel=1e-6)


@examples(6)
@given(small_problems(), st.data())
def test_the_packing_of_given_tiles_is_the_best(tmp_path_factory, problem, data):
    """Tiles and loop order given: the rest follows, and has the least of all packings, or there is none."""
    measure = Measure.only(data.draw(st.sampled_from([LATENCY, TRAFFIC])))

    def place(pair):
        mapping = pair[0]
        return mapping.stationary.value, mapping.in_channels, mapping.batch, mapping.spatial

    pairs = sorted(every_mapping(problem), key=place)
    groups = {key: list(group) for key, group in groupby(pairs, place)}
    if not groups:
        return
    key = data.draw(st.sampled_from(sorted(groups)))
    order, ci, batch, spatial = key
    model = build_shared_nonlinear(problem, Stationary(order), measure)
    sizes = {"ci": ci, "batch": batch} | {f"axis{i}": size for i, size in enumerate(spatial)}
    for name, size in sizes.items():
        if hasattr(model, "tile") and name in model.tile:
            model.tile[name].setlb(size)
            model.tile[name].setub(size)
    path = tmp_path_factory.mktemp("nl") / "model.nl"
    import pyomo.environ  # noqa: F401  (registers the writer)

    model.write(str(path), format="nl", io_options={"symbolic_solver_labels": True})
    told = [measure.told(problem.hardware, measure.exact(problem.price(cost))) for _, cost in groups[key]]
    assert least(path) == pytest.approx(float(min(told)), rel=1e-6)


def test_the_text_is_a_page(tmp_path):
    problem = SharedProblem(DECONVOLUTIONS["1-D"], EVERY_MACHINE["plain"])
    solve(problem, method="constrained", dump_models=tmp_path, name="a")
    text = (tmp_path / "a.shared.integer.input.latency.txt").read_text()
    assert text.startswith("a.shared: least latency of all mappings in which the ifmap stays")
    assert "    packed[k0]: times[p0]*filters[k0_p0] + times[p1]*filters[k0_p1] " in text
    assert len(text.splitlines()) < 130


def test_what_is_beyond_any_use_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(nonlinear, "_LARGEST", 3)
    problem = SharedProblem(DECONVOLUTIONS["1-D"], EVERY_MACHINE["plain"])
    files = nonlinear.dump_nonlinear_shared(problem, [(Measure.only(LATENCY), None)], tmp_path, "a")
    assert [path.name for path in files] == ["a.integer.latency.txt"]
    assert "not written: 4 patterns of rounds with 2 sub-kernels each" in files[0].read_text()
