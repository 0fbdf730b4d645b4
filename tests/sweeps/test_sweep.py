"""``python -m solvers.sweep``: every point is what a run of it finds, each problem is solved once."""

import json
from itertools import product

import duckdb
import pandas
import polars
import pyarrow.parquet as parquet
import pytest

from solvers.exploring.sweeping import problems
from solvers.exploring.sweeping.axes.file import read_sweep
from solvers.exploring.sweeping.kept.tables import LAYER, POINT
from solvers.exploring.sweeping.problems import Problems
from solvers.exploring.sweeping.progress import Lines
from solvers.network.tasks import Task
from solvers.run import main as run
from solvers.scenario import read_scenario
from solvers.sweep import main

TOTALS = ("latency_cycles", "traffic_bytes", "energy_pj", "compulsory_bytes", "roofline_cycles", "macs")


@pytest.fixture
def done(sweep):
    """The folder of a sweep that has been run."""
    folder = sweep.with_name("out")
    assert main([str(sweep), "--out", str(folder), "--quiet"]) == 3  # some layers do not fit
    return folder


def read(folder, name):
    return parquet.read_table(folder / f"{name}.parquet").to_pylist()


def test_every_point_is_what_a_run_finds(sweep, done):
    points, layers = read(done, "points"), read(done, "layers")
    steps = product([40, 2048], ["split", "combine"], [("4", "1"), ("2x8", "0.5")])
    out = sweep.with_name("out.json")
    for number, (size, way, (side, clock)) in enumerate(steps):
        point = points[number]
        axes = (size, way, side, float(clock))
        assert point["point"] == number
        assert (
            tuple(point[name] for name in list(point)[1:5])
            == axes
            == tuple(
                point[f]
                for f in ("hardware.bufsize", "deconvolution", "hardware.sa_size", "hardware.frequency")
            )
        )
        options = ["--bufsize", str(size), "--sa_size", *side.split("x"), "--frequency", clock]
        options += ["--combine"] if way == "combine" else []
        code = run([str(sweep.with_name("scenario.yaml")), *options, "--quiet", "--outfile", str(out)])
        data = json.loads(out.read_text())
        assert point["complete"] is data["complete"] is (code == 0) is (size == 2048)
        assert point["status"] == ("solved" if code == 0 else "does not fit")
        for name in TOTALS:
            assert point[name] == pytest.approx(data["totals"][name], rel=1e-15), name
        rows = [row for row in layers if row["point"] == number]
        assert {row["layer"] for row in rows} == {"a", "gaps"}
        if code == 0:
            assert point["optimal"]
            assert point["gap"] == 0
            for name in ("latency_cycles", "traffic_bytes", "energy_pj", "macs"):
                total = sum(row["count"] * (row[name] or 0) for row in rows)
                assert total == pytest.approx(point[name], rel=1e-12), name
            assert point["traffic_bytes_bound"] == pytest.approx(point["traffic_bytes"])
        else:
            assert "a needs 76 bytes" in point["reason"]
            assert any(row["bytes_needed"] == 76 and row["latency_cycles"] is None for row in rows)


def test_each_distinct_problem_is_solved_once(sweep, tmp_path, monkeypatch):
    solved = []
    real = problems.task_for

    def counted(method, question, name, places):
        task = real(method, question, name, places)

        def work(*arguments):
            solved.append(question)
            return task.work(*arguments)

        return Task(task.name, work, task.arguments, task.failed, task.needs, task.effort)

    monkeypatch.setattr(problems, "task_for", counted)
    assert main([str(sweep), "--out", str(tmp_path / "o"), "--quiet"]) == 3
    assert len(solved) == len(set(solved))
    asked = Problems(read_sweep(sweep))
    asked.pose()
    assert len(solved) == len(asked.tasks) < asked.posed
    solved.clear()
    assert main([str(sweep), "--out", str(tmp_path / "o"), "--quiet"]) == 3
    assert not solved


def test_pandas_polars_and_duckdb_read_the_tables(done):
    points, layers = done / "points.parquet", done / "layers.parquet"
    frame = pandas.read_parquet(points)
    assert list(frame["hardware.bufsize"]) == [40] * 4 + [2048] * 4
    assert str(frame["hardware.bufsize"].dtype) == "int64"
    assert frame["traffic_bytes"].dtype == "float64"
    several = polars.read_parquet(layers).filter(polars.col("point") == 4)
    assert several["tile_spatial"].dtype == polars.List(polars.Int64)
    total = (several["count"] * several["traffic_bytes"]).sum()
    assert total == frame["traffic_bytes"][4]
    query = f"select sum(count * traffic_bytes) from '{layers}' where point = 4"
    assert duckdb.sql(query).fetchall() == [(total,)]


def test_units_are_in_the_schema(done):
    for name, columns in (("points", POINT), ("layers", LAYER)):
        form = parquet.read_schema(done / f"{name}.parquet")
        for column in columns:
            told = form.field(column.name).metadata or {}
            assert told.get(b"unit", b"").decode() == column.unit
    form = parquet.read_schema(done / "points.parquet")
    assert form.field("hardware.bufsize").metadata[b"unit"] == b"bytes"
    assert form.field("latency_cycles").metadata[b"unit"] == b"cycles"
    assert len(form.metadata[b"sweep"]) == 64


def test_the_table_has_every_point_and_why_one_is_not_solved(sweep, tmp_path, capsys):
    assert main([str(sweep), "--out", str(tmp_path / "o")]) == 3
    text, err = capsys.readouterr()
    assert text.startswith("sweep.yaml: 8 points (4 solved, 4 does not fit), 12 distinct problems of 20\n")
    assert text.count(" does not fit\n") + text.count(" does not fit \n") == 4
    assert "point 0: does not fit: a needs 76 bytes" in text
    assert not err
    again = main([str(sweep), "--out", str(tmp_path / "o")])
    assert (again, capsys.readouterr()) == (3, (text, ""))


def test_many_points_are_told_by_axis(tiny, tmp_path, capsys):
    file = tiny.with_name("many.yaml")
    tiny.with_name("tiny.yaml").write_text(
        "name: one\ninput: [4]\nlayers: [{name: fc, op: fc, out_channels: 3}]\n"
    )
    file.write_text(
        "scenario: scenario.yaml\naxes:\n  hardware.bufsize: {from: 2KiB, to: 3KiB, step: 32}\n"
        "  objective.kind: [traffic, latency]\n"
    )
    assert main([str(file), "--out", str(tmp_path / "o")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "66 points (66 solved)" in lines[0]
    (line,) = [line for line in lines if " traffic " in line and "objective.kind" in line]
    assert line.split()[:4] == ["objective.kind", "traffic", "33", "33"]


WHOLE = """\
scenario: scenario.yaml
axes:
  objective.tolerance: [0.2]
pairs:
  - network_level: [layers, layers, resident]
    static: [true, false, false]
    buffer_partition: [auto, auto, auto]
    objective.tolerance_over: [layer, network, layer]
"""


def test_points_that_are_one_problem_are_solved_as_such(tiny, tmp_path):
    file = tiny.with_name("whole.yaml")
    file.write_text(WHOLE)
    layers = "[{name: a, op: conv, out_channels: 4, kernel: 3}, {name: b, op: fc, out_channels: 3}]"
    tiny.with_name("tiny.yaml").write_text(f"name: two\ninput: [2, 8, 8]\nlayers: {layers}\n")
    folder, out = tmp_path / "o", tmp_path / "out.json"
    assert main([str(file), "--out", str(folder), "--quiet"]) == 0
    for point in read(folder, "points"):
        level, static = point["network_level"], point["static"]
        options = ["--network_level", level, "--tolerance", str(point["objective.tolerance"])]
        options += ["--static", "--buffer_partition", "auto"] if static else []
        options += ["--tolerance_over", point["objective.tolerance_over"], "--quiet", "--outfile", str(out)]
        assert run([str(tiny), *options]) == 0
        totals = json.loads(out.read_text())["totals"]
        for name in ("latency_cycles", "traffic_bytes", "compulsory_bytes"):
            assert point[name] == pytest.approx(totals[name], rel=1e-15)
        assert point["complete"]
    assert len({point["traffic_bytes"] for point in read(folder, "points")}) == 2  # resident saves


def test_networks_are_an_axis_relative_to_the_sweep(tiny, tmp_path):
    other = tiny.parent / "nets"
    other.mkdir()
    text = tiny.with_name("tiny.yaml").read_text().replace("name: tiny", "name: other")
    (other / "other.yaml").write_text(text.replace("out_channels: 8", "out_channels: 9"))
    (other / "sweep.yaml").write_text(
        "scenario: ../scenario.yaml\naxes: {network: [other.yaml, ../tiny.yaml, dcgan]}\n"
    )
    read = read_sweep(other / "sweep.yaml")
    names = [point.scenario.read_network().name for point in read.points()]
    assert names == ["other", "tiny", "dcgan"]


def test_presets_and_inner_fields_are_axes(tiny):
    file = tiny.with_name("presets.yaml")
    file.write_text(
        "scenario: scenario.yaml\n"
        "axes: {hardware.preset: [eyeriss, tpu_v1], hardware.energy.dram: [5], hardware.bufsize: [1MiB]}\n"
    )
    for point in read_sweep(file).points():
        name = point.given["hardware.preset"]
        energy = read_scenario(tiny, {"hardware": {"preset": name}}).hardware.energy
        machine = point.scenario.hardware
        assert machine.energy == energy.model_copy(update={"dram": 5})
        assert (machine.bufsize, machine.preset) == (1 << 20, name)


@pytest.mark.parametrize("name", ["stereo_sram_bandwidth", "resnet50_array", "resnet50_buffer"])
def test_the_sweeps_that_come_with_the_project_can_be_posed(name):
    from tests.test_imports import ROOT

    asked = Problems(read_sweep(ROOT / "scenarios" / "sweeps" / f"{name}.yaml"))
    asked.pose()
    assert 300 < len(asked.tasks) <= asked.posed


def test_a_time_limit_is_a_reason(tiny, tmp_path, capsys):
    file, folder = tiny.with_name("sweep.yaml"), tmp_path / "o"
    tiny.with_name("tiny.yaml").write_text(
        "name: one\ninput: [64, 56, 56]\nlayers: [{name: c, op: conv, out_channels: 96, kernel: 3}]\n"
    )
    file.write_text("scenario: scenario.yaml\naxes: {time_limit: [0.000001, null]}\n")
    assert main([str(file), "--out", str(folder)]) == 0
    limited, free = read(folder, "points")
    assert (limited["status"], limited["reason"], limited["optimal"]) == ("time limit", "c", False)
    assert (free["status"], free["reason"], free["optimal"]) == ("solved", None, True)
    assert free["time_limit"] is None
    assert "point 0: time limit: c" in capsys.readouterr().out


def test_every_method_s_answers_are_kept_whole(sweep, tmp_path):
    file, folder, out = sweep.with_name("methods.yaml"), tmp_path / "o", tmp_path / "out.json"
    methods = ["static", "constrained", "exhaustive", "exact", "combined"]
    file.write_text(
        f"scenario: scenario.yaml\naxes:\n  search_method: [{', '.join(methods)}]\n"
        "  deconvolution: [combine]\n  objective: [{kind: weighted, latency: 1}]\n"
    )
    assert main([str(file), "--out", str(folder), "--quiet"]) == 0
    layers = read(folder, "layers")
    for point, method in zip(read(folder, "points"), methods, strict=True):
        options = ["--search_method", method, "--combine", "--objective", "weighted", "--weights", "1", "0.5"]
        assert run([str(sweep.with_name("scenario.yaml")), *options, "--quiet", "--outfile", str(out)]) == 0
        data = json.loads(out.read_text())
        for name in TOTALS:
            assert point[name] == pytest.approx(data["totals"][name], rel=1e-15), (method, name)
        (first,) = [row for row in layers if row["point"] == point["point"] and row["layer"] == "a"]
        part = data["layers"][0]["parts"][0]
        tile = part["mapping"]["tile"]
        assert first["tile_spatial"] == tile["spatial"]
        assert [first[f"tile_{n}"] for n in ("out_channels", "in_channels")] == [
            tile[n] for n in ("out_channels", "in_channels")
        ]
        for name in ("gap", "latency_gap", "bound_scope", "termination", "solution_status"):
            assert first[name] == part[name], (method, name)
        for name in ("latency_cycles", "traffic_bytes"):
            assert first[f"{name}_bound"] == part["lower_bound"][name]


def test_progress_is_a_line_now_and_then(capsys):
    now = [0.0]
    lines = Lines("problems", lambda: now[0])
    for done in range(0, 2001, 10):
        lines(done, 20_000)
        now[0] += 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 6
    assert told[0] == "300 of 20,000 problems, 10.0 a second, 32:50 left"


def test_heat_maps_and_a_page(sweep):
    pictures, page = sweep.with_name("pictures"), sweep.with_name("sweep.html")
    options = ["--out", str(sweep.with_name("out")), "--quiet"]
    assert main([str(sweep), *options, "--plots", str(pictures), "--report", str(page)]) == 3
    names = {file.name for file in pictures.glob("*.svg")}
    quantities, choices = ("latency_cycles", "traffic_bytes"), range(1, 5)  # deconvolution x array
    assert names == {f"{quantity}-{n}.svg" for quantity in quantities for n in choices}
    assert "sweep: split, 2x8" in (pictures / "traffic_bytes-2.svg").read_text()
    assert "hardware.bufsize" in page.read_text()
