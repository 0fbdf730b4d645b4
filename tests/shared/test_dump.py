"""Programs of shared ifmap tiles as files: which there are, their names, and that others can solve them."""

import re
from dataclasses import replace

import highspy
import pytest

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution
from formulation.hardware import Hardware
from formulation.problem import Kind, Objective
from formulation.shared.problem import SharedProblem
from solvers.run import main
from solvers.shared.deconvolution import solve_split
from solvers.shared.methods import solve

UP = Deconvolution("up", 16, 24, (TransposedAxis(6, 4, 2, 1, 1, 1), TransposedAxis(7, 3, 2, 1, 1, 1, 1)))
MACHINE = Hardware(buffer_bytes=4000)
PROBLEM = SharedProblem(UP, MACHINE, Objective(Kind.TRAFFIC))
NETWORK = """
name: one
input: [24, 6, 7]
layers:
  - {name: block/up, op: deconv, out_channels: 16, kernel: [4, 3], stride: 2, padding: 1,
     output_padding: [0, 1]}
"""
SCENARIO = "network: one.yaml\nhardware: {bufsize: 4000}\ndeconvolution: combine\ndump_models: models\n"


def dumped(folder, method):
    """The dumped files of a run of the command line."""
    (folder / "one.yaml").write_text(NETWORK)
    scenario = folder / "scenario.yaml"
    scenario.write_text(f"{SCENARIO}search_method: {method}\n")
    assert main([str(scenario), "--quiet"]) == 0
    return {path.name for path in (folder / "models").iterdir()}


def test_constrained_leaves_a_model_of_each_class(tmp_path):
    names = {n for n in dumped(tmp_path, "constrained") if ".shared." in n and "integer" not in n}
    classes = ("weight", "input", "weight_partial", "input_partial", "output_partial")
    stages, endings = ("latency", "traffic"), ("nl", "row", "col", "txt")
    assert names == {f"block-up.shared.{c}.{s}.{e}" for c in classes for s in stages for e in endings}
    base = tmp_path / "models" / "block-up.shared.input_partial.traffic.nl"
    assert "log_trips[co]" in base.with_suffix(".col").read_text().split()
    assert "moved" in base.with_suffix(".row").read_text().split()
    text = base.with_suffix(".txt").read_text()
    assert text.startswith("block-up.shared, class input_partial, stage traffic\ndeconvolution 24 -> 16 ")
    assert "shared by 4 sub-kernels: co are their 64 filters" in text
    assert re.search(r"moved:\n +\S+ \* exp\(", text)


def test_exact_leaves_programs_beside_those_of_the_split_parts(tmp_path):
    names = dumped(tmp_path, "exact")
    assert {
        "block-up.shared.1-rounds4.sieved.lp",
        "block-up.shared.1-rounds4.sieved.mps",
        "block-up.shared.latency.lp",
        "block-up.shared.traffic.mps",
        "block-up.shared.integer.output.traffic.nl",
        "block-up-0.0.1-latency.sieved.lp",
        "block-up-0.0.latency.lp",
    } <= names


@pytest.mark.parametrize("ending", ["lp", "mps"])
def test_a_program_says_what_it_is_and_has_the_same_optimum_elsewhere(tmp_path, ending):
    """Read back, its optimum is the latency of the answer."""
    result = solve(PROBLEM, method="exact", dump_models=tmp_path, name="first")
    count = result.mapping.round_count
    file = tmp_path / f"first.shared.1-rounds{count}.sieved.{ending}"
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.readModel(str(file))
    solver.run()
    text = file.read_text()
    assert f"{count} rounds that move {float(result.cost.traffic_bytes):.12g} bytes" in text
    assert "sub-kernel 3: 1.1, 4 taps" in text
    tile = "x".join(map(str, result.mapping.spatial))
    assert f": {result.mapping.stationary} ci{result.mapping.in_channels} n1 {tile}\n" in text
    floor, unit = map(float, re.search(r"latency \[cycles\] = (\S+) \+ (\S+) \* latency", text).groups())
    least = floor + unit * solver.getInfo().objective_function_value
    assert least == pytest.approx(float(result.cost.latency_cycles))


def test_combined_leaves_the_programs_of_both_methods(tmp_path):
    line = replace(PROBLEM, deconv=replace(UP, axes=UP.axes[:1]))
    solve(line, method="combined", exact_after=True, dump_models=tmp_path)
    endings = {path.suffix for path in tmp_path.iterdir()}
    assert endings == {".nl", ".row", ".col", ".txt", ".lp", ".mps"}
    assert all(path.name.startswith("up.shared.") for path in tmp_path.iterdir())


def test_split_parts_are_dumped_under_names_of_their_own(tmp_path):
    deconv = replace(UP, axes=UP.axes[:1])
    solve_split(deconv, MACHINE, Objective(), method="constrained", dump_models=tmp_path, name="up")
    assert {path.name.split(".weight")[0] for path in tmp_path.glob("up-?.weight.traffic.nl")} == {
        "up-0",
        "up-1",
    }
