"""The integer nonlinear program: exact at every mapping; SCIP proves it equal to the exhaustive search."""

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyscipopt import Model

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import BitWidths, Dataflow, Fill, Halo, Hardware
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.pricing.objective import LATENCY, TRAFFIC, Measure
from formulation.problem import Kind, Objective, Problem
from formulation.program.nonlinear.model import build_nonlinear
from formulation.program.nonlinear.whole import runs
from solvers.backends.nonlinear import dump_nonlinear
from solvers.layers import constrained, exact, exhaustive
from tests import strategies

MACHINE = Hardware(rows=2, cols=2, buffer_bytes=300)
LAYER = Layer("a", 4, 3, (Axis(4, 3, 1, 1, 1, 1, 4), Axis(3, 3, 1, 1, 1, 1, 3)))
CASES = {  # machine; the layer's axes are clipped, have none of it, or strides beyond the kernel
    "plain": (MACHINE, LAYER),
    "halo reuse": (replace(MACHINE, halo=Halo.REUSE), LAYER),
    "single buffer": (replace(MACHINE, double_buffered=False, buffer_bytes=150), LAYER),
    "banks and widths": (replace(MACHINE, bank_bytes=32, bits=BitWidths(8, 8, 8, 32)), LAYER),
    "exposed": (replace(MACHINE, fill=Fill.EXPOSED, dataflow=Dataflow.WEIGHT), LAYER),
    "unclipped": (MACHINE, replace(LAYER, axes=(Axis(4, 3, 1, 1, 0, 0, 6), Axis(3, 1, 2, 1, 0, 0, 5)))),
    "wide padding": (MACHINE, replace(LAYER, axes=(Axis(7, 5, 1, 1, 3, 3, 5),), groups=2, batch=2)),
}


def least(path):
    """What SCIP proves of a file; None if it is infeasible.

    SCIP 10's presolve has called a model with a solution infeasible, one of some thousand: it is asked again.
    """
    for presolve in (True, False):
        scip = Model()
        scip.hideOutput()
        scip.readProblem(str(path))
        if not presolve:
            scip.setParam("presolving/maxrounds", 0)
        scip.optimize()
        if scip.getStatus() != "infeasible":
            assert scip.getStatus() == "optimal"
            assert scip.getDualbound() == pytest.approx(scip.getObjVal(), rel=1e-6)
            return scip.getObjVal()
    return None


def solved(folder, problem, stationary, measure, cap=None, fixed=None):
    """The least of a model, perhaps with its tiles given."""
    import pyomo.environ  # noqa: F401  (registers the writer)

    model = build_nonlinear(problem, stationary, measure, cap)
    for name, size in (fixed or {}).items():
        if hasattr(model, "tile") and name in model.tile:
            model.tile[name].setlb(size)
            model.tile[name].setub(size)
    path = folder / "model.nl"
    model.write(str(path), format="nl", io_options={"symbolic_solver_labels": True})
    return least(path)


def told(problem, mapping, measure, cap=None):
    """What a mapping costs; None if it does not fit."""
    cost = problem.evaluate(mapping)
    if not problem.is_feasible(cost) or (cap is not None and cost.latency_ticks > cap):
        return None
    return float(measure.told(problem.hardware, measure.exact(problem.price(cost))))


def slides(problem):
    """Where tiles may slide; nowhere is never better."""
    axes = range(len(problem.layer.axes)) if problem.hardware.halo is Halo.REUSE else ()
    return list(axes) or [None]


def best(problem, stationary, measure):
    """The least over all mappings of a loop order, one by one."""
    layer = problem.layer
    extents = (layer.out_channels, layer.in_channels, layer.batch, *(axis.out for axis in layer.axes))
    tiles = (Tile(*t[:3], t[3:]) for t in product(*(range(1, extent + 1) for extent in extents)))
    ways = (Mapping(tile, stationary, slide) for tile in tiles for slide in slides(problem))
    return min(cost for way in ways if (cost := told(problem, way, measure)) is not None)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_runs_are_the_table(values):
    found = runs(values)
    told = {t: run.base + run.slope * t for run in found for t in range(run.first, run.last + 1)}
    assert [told[t] for t in range(1, len(values) + 1)] == values
    assert sum(run.last - run.first + 1 for run in found) == len(values)


@pytest.mark.parametrize("measure", [LATENCY, TRAFFIC], ids=lambda quantity: quantity.name)
@pytest.mark.parametrize("name", CASES)
def test_each_loop_order_has_the_least_of_its_mappings(tmp_path, name, measure):
    machine, layer = CASES[name]
    problem, measure = Problem(layer, machine), Measure.only(measure)
    for stationary in Stationary:
        assert solved(tmp_path, problem, stationary, measure) == pytest.approx(
            best(problem, stationary, measure), rel=1e-6
        )


@strategies.examples(25)
@given(st.data())
def test_every_mapping_costs_what_it_costs(tmp_path_factory, data):
    """Tiles given, all else follows: any machine, layer, loop order and measure."""
    problem = data.draw(strategies.problems(set_up=True, most=6, channels=5, most_axes=2))
    mapping = data.draw(strategies.mappings(problem.layer, replace(problem.hardware, halo=Halo.REFETCH)))
    measure = data.draw(
        st.sampled_from([*(step.measures[0] for step in problem.steps), Measure.only(LATENCY)])
    )
    tile = mapping.tile
    sizes = {"co": tile.out_channels, "ci": tile.in_channels, "batch": tile.batch}
    sizes |= {f"axis{i}": size for i, size in enumerate(tile.spatial)}
    found = solved(tmp_path_factory.mktemp("nl"), problem, mapping.stationary, measure, fixed=sizes)
    ways = [told(problem, replace(mapping, sliding_axis=slide), measure) for slide in slides(problem)]
    expected = min((way for way in ways if way is not None), default=None)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-6))


@pytest.mark.parametrize("method", [exact, constrained], ids=lambda method: method.__name__)
def test_the_dumped_files_have_the_optimum_of_the_layer(tmp_path, method):
    """Balanced: the second step under the cap that the first has led to."""
    problem = Problem(LAYER, MACHINE)
    method.solve(problem, dump_models=tmp_path, name="first")
    proven = exhaustive.solve(problem)
    for step, value in (
        ("latency", proven.lower_bound.latency_cycles),
        ("traffic", proven.cost.traffic_bytes),
    ):
        found = [least(tmp_path / f"first.integer.{s.value}.{step}.nl") for s in Stationary]
        assert min(v for v in found if v is not None) == pytest.approx(float(value), rel=1e-6)


def test_a_given_partition_and_a_weighted_sum(tmp_path):
    parts = Partition.from_ratio([2, 1, 1], MACHINE.buffer_bits, 1)
    problem = Problem(LAYER, MACHINE, Objective(Kind.WEIGHTED), parts)
    (measure, *_), proven = problem.steps[-1].measures, exhaustive.solve(problem)
    found = [solved(tmp_path, problem, stationary, measure) for stationary in Stationary]
    assert min(found) == pytest.approx(float(proven.objective_value), rel=1e-6)


def test_the_text_says_the_problem_the_rows_and_where_a_table_is(tmp_path):
    steps = [(Measure.only(TRAFFIC), 4000 * MACHINE.tick.per_cycle)]
    texts = {p.name: p.read_text() for p in dump_nonlinear(Problem(LAYER, MACHINE), steps, tmp_path, "a")}
    assert set(texts) == {f"a.integer.{s.value}.traffic.txt" for s in Stationary}
    text = texts["a.integer.output.traffic.txt"]
    assert text.startswith("a: least traffic of all mappings in which the ofmap stays")
    assert "3 -> 4 channels, kernel 3x3, 4x3 -> 4x3" in text
    assert "    covers[co]: 4 <= trips[co]*tile[co]\n" in text
    told = r"longest\[axis0\]: borders clip the intervals: a table by tile size, [2-4] straight runs"
    assert re.search(told, text)
    assert "total[latency] <= 4000" in text
    assert max(map(len, text.splitlines())) < 250
    assert len(text.splitlines()) < 130
    clear = Problem(CASES["unclipped"][1], MACHINE)
    assert "a table by" not in dump_nonlinear(clear, steps, tmp_path, "b")[0].read_text()
