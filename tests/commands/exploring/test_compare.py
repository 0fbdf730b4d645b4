"""Methods side by side: what the table shows, what scripts read, what is refused."""

import csv
import io
import json
import re
from fractions import Fraction

import pytest
from rich.console import Console

from formulation.problem import Kind, Objective
from solvers.cli.comparison import compare, write_csv
from solvers.cli.comparison_rows import MethodAnswer
from solvers.cli.ranking import TOTAL, rank
from solvers.cli.tables.comparison import print_comparison
from solvers.compare import chosen_methods, main
from solvers.methods import METHODS
from solvers.network.schedule import run_scenario
from solvers.scenario import build_scenario

TINY = """\
name: tiny
input: [3, 12, 10]
layers:
  - {name: a, op: conv, out_channels: 8, kernel: 3, padding: 1}
  - {name: again, op: conv, out_channels: 8, kernel: 3, padding: 1}
  - {name: up, op: deconv, out_channels: 4, kernel: 3, stride: 2, padding: 1, output_padding: 1}
  - {name: gaps, op: deconv, out_channels: 2, kernel: 2, stride: 3}
"""
QUICK = ("static", "exhaustive")


@pytest.fixture
def scenario(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)

    def build(**fields):
        fields = {"network": "tiny.yaml", "hardware": {"bufsize": 2048}, **fields}
        return build_scenario(fields, {}, str(tmp_path / "scenario.yaml"))

    return build


@pytest.fixture
def file(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    path = tmp_path / "scenario.yaml"
    path.write_text("network: tiny.yaml\nhardware: {bufsize: 2048}\ndeconvolution: split\n")
    return path


def test_all_methods_on_the_same_problems(scenario):
    rows = compare(scenario(deconvolution="split")).to_rows()
    by_problem = {}
    for row in rows:
        by_problem.setdefault((row["layer"], row["part"]), {})[row["method"]] = row
    assert len(by_problem) == 2 + 4 + 1 + 1  # layers, phases of up, alike phases of gaps, total
    for methods in by_problem.values():
        assert tuple(methods) == METHODS
        assert methods["exact"]["objective"] == methods["exhaustive"]["objective"]
        assert methods["exact"]["ratio"] == 1
        assert methods["exact"]["gap"] == 0
        assert methods["exhaustive"]["solution_status"] == "optimal"
        assert methods["static"]["bound_scope"] == "partition"
        for row in methods.values():
            assert row["ratio"] >= 1 or not row["within_cap"]
            assert row["lower_bound"] <= row["objective"]
    assert by_problem["a", ""]["exact"]["model.size.rows"] > 0
    assert by_problem["a", ""]["constrained"]["iterations"] >= 0


@pytest.mark.parametrize("treatment", ["naive", "split", "combine"])
@pytest.mark.parametrize("kind", Kind)
def test_totals_are_those_of_the_reports(scenario, kind, treatment):
    given = scenario(deconvolution=treatment, objective=kind.value)
    comparison = compare(given, QUICK)
    totals = {row.method: row.answer for row in comparison.rows if row.answer.layer == TOTAL}
    for method in QUICK:
        report = run_scenario(given.model_copy(update={"search_method": method}))
        total = totals[method]
        assert total.latency == report.total("latency_cycles")
        assert total.traffic == report.total("traffic_bytes")
        assert total.bound == total.objective or method == "static"
        if kind is not Kind.WEIGHTED:
            quantity = {Kind.LATENCY: "latency_cycles", Kind.ENERGY: "energy_pj"}.get(kind, "traffic_bytes")
            assert total.objective == report.total(quantity)


@pytest.mark.parametrize("width", [120, 80, 60])
@pytest.mark.parametrize("kind", Kind)
def test_the_table_is_never_wider_than_the_console_nor_cut(scenario, kind, width):
    out = io.StringIO()
    comparison = compare(scenario(objective=kind.value), QUICK)
    print_comparison(comparison, Console(file=out, width=width, no_color=True), verbose=True)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in ("static", "exhaustive", "again", "gaps", "total", "optimal*", "ratio"):
        assert word in text
    assert ("bound" in text.partition("again")[0]) == (width == 120)


def test_files_for_scripts(file, tmp_path, capsys):
    data, sheet = tmp_path / "c.json", tmp_path / "c.csv"
    command = [str(file), str(file), "--methods", "static,exact", "combined", "--verbose"]
    assert main([*command, "--json", str(data), "--csv", str(sheet)]) == 0
    out = capsys.readouterr().out
    assert "presolved" in out
    assert max(map(len, out.splitlines())) <= 120
    comparisons = json.loads(data.read_text())
    assert len(comparisons) == 2
    assert comparisons[0]["methods"] == ["static", "exact", "combined"]
    assert [row["method"] for row in comparisons[0]["totals"]] == ["static", "exact", "combined"]
    exact = next(row for row in comparisons[0]["rows"] if row["method"] == "exact")
    assert {"rows", "cols", "nonzeros"} == set(exact["models"][0]["presolved"])
    with sheet.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * (len(comparisons[0]["rows"]) + 3)
    assert {row["network"] for row in rows} == {"tiny"}
    assert main([str(file), "--methods", "static", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_the_relaxation_by_itself_has_a_column(scenario):
    """Of the methods that have one; what a scenario says of one method does not disturb the others."""
    given = scenario(search_method="constrained", presolve="none")
    comparison = compare(given, ("exhaustive", "constrained", "exact"))
    for row in comparison.to_rows():
        assert (row["relaxation_bound"] is not None) == (row["method"] == "constrained")
        if row["method"] == "constrained":
            assert row["relaxation_gap"] >= row["gap"] - 1e-9
            assert row["relaxation_bound"] <= row["lower_bound"] * (1 + 1e-9)
    assert comparison.reports["exact"].complete
    out = io.StringIO()
    print_comparison(comparison, Console(file=out, width=160, no_color=True))
    assert re.search(r"gap +relaxed +time", out.getvalue())


def test_a_data_frame(scenario):
    pd = pytest.importorskip("pandas")
    comparison = compare(scenario(), QUICK)
    frame = comparison.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == len(comparison.rows)
    assert {"layer", "method", "objective", "ratio", "gap", "seconds"} <= set(frame)


def test_processes_do_not_change_the_rows(scenario):
    def rows(jobs):
        return [{**row, "seconds": 0} for row in compare(scenario(), QUICK, jobs=jobs).to_rows()]

    assert rows(1) == rows(2)


def answer(latency, traffic, status="feasible", least=None):
    return MethodAnswer(
        "l", "", "", 1, Fraction(latency), Fraction(traffic), Fraction(traffic), None, least, "map_space",
        "optimal", status, 0.0,
    )  # fmt: skip


def test_traffic_above_the_latency_cap_is_not_the_best_known():
    objective = Objective(Kind.BALANCED, Fraction(1, 10))
    rows = list(rank(objective, ("x", "y", "z"), (answer(120, 50), answer(110, 80), answer(100, 90))))
    assert [row.within_cap for row in rows] == [False, True, True]
    assert [row.ratio for row in rows] == [50 / 80, 1, 90 / 80]
    fastest = answer(109, 85, "optimal", Fraction(99))  # proven: some mapping takes 99
    rows = list(rank(objective, ("x", "y"), (answer(110, 80), fastest)))
    assert [row.within_cap for row in rows] == [False, False]
    assert all(row.within_cap for row in rank(Objective(Kind.TRAFFIC), "xy", (answer(1, 9), answer(9, 1))))


def test_a_layer_that_does_not_fit_is_left_out_of_the_totals(file, capsys):
    assert main([str(file), "--methods", "static,exhaustive"]) == 0
    file.write_text(
        "network: tiny.yaml\nhardware: {bufsize: 150}\nbuffer_partition: [1, 20, 20]\ndeconvolution: split\n"
    )
    capsys.readouterr()
    assert main([str(file), "--methods", "static,exhaustive"]) == 3
    captured = capsys.readouterr()
    assert "does not fit" in captured.out
    assert "totals cover what every method has solved" in captured.out
    assert re.search(r"tiny, static: a: does not fit: .* bytes", captured.err)
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "magic"], "--methods: got 'magic', allowed: static, "),
        (["--methods", ","], "--methods: names none"),
        (["--jobs", "0"], "--jobs: got 0"),
        (["--time-limit", "-1", "--methods", "static"], "--time_limit"),
        (["--csv", "/nowhere/c.csv", "--methods", "static"], "/nowhere/c.csv: cannot be written"),
    ],
)
def test_bad_options_get_one_line_and_exit_code_2(file, options, message, capsys):
    assert main([str(file), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bad_scenarios_get_one_line_and_exit_code_2(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_methods_are_named_in_any_way():
    assert chosen_methods(["Static,EXACT", "static"]) == ["static", "exact"]


def test_csv_of_nothing_proven_has_empty_cells(scenario):
    stream = io.StringIO()
    write_csv([compare(scenario(time_limit=None), ("exhaustive",))], stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert rows[0]["iterations"] == ""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            "network_level: resident",
            "network_level: got resident, methods are compared for layers one by one,",
        ),
        ("network_level: fused", "network_level: got fused, methods are compared for layers one by one,"),
        (
            "weights_resident: true",
            "weights_resident: got true with network_level layers, where nothing stays,",
        ),
    ],
)
def test_a_network_as_one_problem_is_refused_in_one_line(file, fields, message, capsys):
    file.write_text(file.read_text() + fields + "\n")
    assert main([str(file)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{file}: {message} allowed")
    assert error.count("\n") == 1
