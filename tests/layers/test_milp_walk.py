"""The program that docs/milp.md walks through is the one that is written, and reads back as it says."""

import re
from pathlib import Path

import highspy
import pytest

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import Hardware
from formulation.problem import Problem
from solvers.layers import exact

TEXT = (Path(__file__).parents[2] / "docs" / "milp.md").read_text()
WALK = TEXT.partition("## A program, line by line")[2].partition("\n## ")[0]
PROBLEM = Problem(Layer("a", 6, 4, (Axis(4, 3, 1, 1, 0, 0, 6),) * 2), Hardware(2, 2, 512))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    exact.solve(PROBLEM, dump_models=folder, name="a")
    return folder


def test_what_is_quoted_is_in_the_file(folder):
    text = (folder / "a.traffic.lp").read_text()
    scales = re.findall(r"^\\ .*= .*$", WALK, re.MULTILINE)
    assert len(scales) == 2
    for line in scales:
        assert f"{line}\n" in text
    names = set(re.findall(r"\b(?:variant|out|inp|tile|window|pixels|part)\([a-z_0-9]+\)", WALK))
    assert len(names) > 10
    for name in names:
        assert f" {name}\n" in text
    assert "+70.3125 inp(weight_ci1)\n" in text
    assert "+210.9375 window(weight_ci1)\n" in text
    row = (
        text.partition("c_u_pixels_of(input_whole)_:\n")[2]
        .partition("\n<= 0")[0]
        .replace("3.0", "3")
        .split("\n")
    )
    assert [term.replace("1 ", "") for term in row] == [
        "+tile(input_whole_1x2x1)",
        "+3 tile(input_whole_1x2x2)",
        "-3 pixels(input_whole_co1)",
        "-pixels(input_whole_co2)",
    ]
    rows = {row for row in re.findall(r"^\| `(\w+)", WALK, re.MULTILINE) if row != "min"}
    assert len(rows) >= 8
    for row in rows:
        assert re.search(rf"^c_\w_{row}[_(]", text, re.MULTILINE)


def test_the_optimum_reads_back_as_is_said(folder):
    """The binaries that are one, and the traffic that the scale makes of the objective."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.readModel(str(folder / "a.traffic.lp"))
    solver.run()
    values = zip(solver.getLp().col_names_, solver.getSolution().col_value, strict=True)
    kinds = ("variant", "out", "inp", "tile")
    ones = {name for name, value in values if round(value) == 1 and name.startswith(kinds)}
    said = WALK.rpartition("The four binaries")[2]
    assert ones == set(re.findall(r"`((?:variant|out|inp|tile)\([^`]+\))`", said))
    floor, unit = map(float, re.search(r"traffic \[bytes\] = (\S+) \+ (\S+) \*", WALK).groups())
    least = floor + unit * solver.getInfo().objective_function_value
    assert least == pytest.approx(float(exact.solve(PROBLEM).cost.traffic_bytes))
