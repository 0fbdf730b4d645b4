"""Relaxed models as files: readable, with the caps they were solved under, same optimum elsewhere."""

import re

import pytest

from dnns.layer import Axis, Layer
from formulation.hardware import Halo, Hardware
from formulation.problem import Kind, Objective, Problem
from solvers.layers import constrained

LAYER = Layer("conv", 48, 24, (Axis(20, 3, 1, 1, 1, 1, 20), Axis(28, 5, 2, 1, 2, 2, 56)))
MACHINE = Hardware(buffer_bytes=20_000)
CLASSES = ("weight", "input", "weight_partial", "input_partial", "output_partial")


def texts(problem, folder, **options):
    """The texts of the dumped models by name."""
    constrained.solve(problem, dump_models=folder, **options)
    found = (path for path in sorted(folder.glob("*.txt")) if ".integer." not in path.name)
    return {path.name: path.read_text() for path in found}


def number(text, before):
    """The number that follows some words; None if there is none."""
    found = re.search(rf"^{before}:? (-?[\d.e+-]+)", text, re.MULTILINE)
    return None if found is None else float(found[1])


def test_each_class_and_stage_has_its_files_with_readable_names(tmp_path):
    found = texts(Problem(LAYER, MACHINE), tmp_path / "models", name="block 1/conv")
    stages = ("latency", "traffic")
    assert set(found) == {f"block_1_conv.{c}.{s}.txt" for c in CLASSES for s in stages}
    for name, text in found.items():
        base = str(tmp_path / "models" / name.removesuffix("txt"))
        with open(f"{base}col") as columns, open(f"{base}row") as rows:
            assert "log_trips[co]" in columns.read().split()
            assert "moved" in rows.read().split()
        assert "exp(-log_trips[ci]" in text
        assert text.startswith("block 1/conv, class ")


def test_a_class_that_slides_has_a_model_of_each_axis(tmp_path):
    problem = Problem(LAYER, Hardware(halo=Halo.REUSE), Objective(Kind.TRAFFIC))
    found = texts(problem, tmp_path)
    assert "conv.weight_slide0.traffic.txt" in found
    assert len(found) == 9


def test_the_cap_is_that_of_the_fastest_mapping_known(tmp_path):
    problem = Problem(LAYER, MACHINE)
    least = problem.objective.cap(constrained.solve(problem).lower_bound.latency_cycles)
    for name, text in texts(problem, tmp_path).items():
        cap = re.search(r"latency cap: \S+ \((\S+) cycles\)", text)
        assert (cap is not None) == ("traffic" in name)
        assert cap is None or float(cap[1]) >= least - 1
        assert (number(text, r"    0 <= latency <=") is None) == (cap is None)


def test_a_cut_has_a_model_with_the_sizes_of_its_sub_tiles(tmp_path):
    """Nothing that SCIP finds in one of them is below what its text says."""
    from pyscipopt import Model

    problem = Problem(LAYER, Hardware(buffer_bytes=20_000, streaming=True), Objective(Kind.TRAFFIC))
    found = texts(problem, tmp_path)
    assert {f"conv.{c}.traffic.txt" for c in CLASSES} < set(found)
    text = found["conv.output_cut_sp_partial.traffic.txt"]
    assert "log_trips[axis0] - log_trips[sub_axis0]" in re.sub(r"-?1 \* ", "", text)
    assert "log_trips[sub_d]" in text
    assert not list(tmp_path.glob("*.integer.*"))
    scip = Model()
    scip.hideOutput()
    scip.readProblem(str(tmp_path / "conv.output_cut_sp_partial.traffic.nl"))
    scip.setParam("limits/gap", 1e-3)
    scip.optimize()
    assert scip.getObjVal() == pytest.approx(number(text, "least"), rel=2e-3)


@pytest.mark.parametrize("kind", [Kind.BALANCED, Kind.TRAFFIC, Kind.WEIGHTED])
def test_another_solver_finds_the_same_optimum(tmp_path, kind):
    """SCIP reads the files on its own."""
    from pyscipopt import Model

    statuses = set()
    for name, text in texts(Problem(LAYER, MACHINE, Objective(kind)), tmp_path).items():
        scip = Model()
        scip.hideOutput()
        scip.readProblem(str(tmp_path / name.replace(".txt", ".nl")))
        scip.setParam("limits/gap", 1e-3)
        scip.optimize()
        least = number(text, "least")
        statuses.add(scip.getStatus())
        if least is None:
            assert "nothing is within the cap" in text
            assert scip.getStatus() == "infeasible"
            continue
        assert scip.getDualbound() * (1 - 1e-4) <= least
        assert scip.getObjVal() * (1 + 1e-4) >= least >= scip.getObjVal() * (1 - 2e-3)
        assert number(text, "    traffic =") or number(text, "    latency =")
    assert statuses <= {"gaplimit", "optimal", "infeasible"}


def test_where_the_time_was_up_the_models_are_there_and_nothing_is_said_to_be_proven(tmp_path):
    found = texts(Problem(LAYER, MACHINE), tmp_path, time_limit=1e-6)
    assert len(found) == 2 * len(CLASSES)
    assert not any("proven of the class" in text for text in found.values())
