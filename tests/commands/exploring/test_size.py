"""``python -m solvers.size``: each size is what a run of that size finds; bad input in one line."""

import csv
import json
from importlib import import_module
from itertools import pairwise

import pytest
import yaml

import solvers
from solvers.scenario.model import build_scenario
from solvers.size import main, sizes
from tests.commands.run.test_network_level import scenario  # noqa: F401

SIZES = [2048, 4096, 6144, 7000]


def totals(path, size, level, target):
    fields = {
        "network": str(path.parent / "net.yaml"),
        "hardware": {"bufsize": size},
        "network_level": level,
        "objective": target,
    }
    return solvers.run_scenario(build_scenario(fields, {}, "")).to_dict()["totals"]


NAMES = {"traffic": "traffic_bytes", "latency": "latency_cycles", "energy": "energy_pj"}


@pytest.mark.parametrize(
    ("level", "target"), [("fused", "traffic"), ("resident", "latency"), ("resident", "energy")]
)
def test_every_size_is_what_a_run_finds(scenario, level, target):  # noqa: F811
    out, lines = scenario.parent / "size.json", scenario.parent / "size.csv"
    options = ["--sram", "2K:7000", "--step", "2K", "--target", target, "--network_level", level, "--quiet"]
    assert main([str(scenario), *options, "--outfile", str(out), "--csv", str(lines)]) == 0
    data = json.loads(out.read_text())
    assert [row["buffer_bytes"] for row in data["sizes"]] == SIZES
    name = NAMES[target]
    for row in data["sizes"]:
        assert row["taken_bytes"] <= row["buffer_bytes"]
        assert row["lower_bound"] == pytest.approx(row[name], rel=1e-8 if target == "energy" else 0)
        assert row["optimal"] or target == "energy"  # whose last step a solver may not tell
        assert row[name] == totals(scenario, row["buffer_bytes"], level, target)[name]
    assert data["programs"] <= len(SIZES)
    assert len({row[name] for row in data["sizes"]}) > 1
    assert [int(row["buffer_bytes"]) for row in csv.DictReader(lines.read_text().splitlines())] == SIZES


@pytest.mark.parametrize(("level", "target"), [("fused", "traffic"), ("resident", "latency")])
def test_exact_sizes_are_where_the_optimum_changes(scenario, level, target):  # noqa: F811
    """Against every size in bytes."""
    ends, out = (1180, 1450), scenario.parent / "size.json"
    options = ["--sram", "1180:1450", "--target", target, "--network_level", level, "--quiet"]
    assert main([str(scenario), *options, "--step", "exact", "--outfile", str(out)]) == 0
    exact = json.loads(out.read_text())["sizes"]
    name = NAMES[target]
    assert len({row[name] for row in exact}) > 1  # a test of nothing otherwise
    assert all(row["optimal"] and row["taken_bytes"] <= row["buffer_bytes"] for row in exact)
    assert main([str(scenario), *options, "--step", "1", "--outfile", str(out)]) == 0
    every = json.loads(out.read_text())["sizes"]
    assert [row["buffer_bytes"] for row in every] == list(range(ends[0], ends[1] + 1))
    for row in every:
        holds = [e for e in exact if e["buffer_bytes"] <= row["buffer_bytes"]]
        assert holds[-1][name] == row[name]


def test_sizes_beside_weights_that_stay_for_good(scenario):  # noqa: F811
    """What a run of each size finds; and, to the byte, where the optimum changes."""
    target, data = "traffic", yaml.safe_load(scenario.read_text()) | {"weights_resident": True}
    scenario.write_text(yaml.safe_dump(data))
    out, options = scenario.parent / "size.json", ["--target", target, "--quiet"]
    assert main([str(scenario), "--sram", "2K:7000", "--step", "2K", *options, "--outfile", str(out)]) == 0
    rows = json.loads(out.read_text())["sizes"]
    assert [row["buffer_bytes"] for row in rows] == SIZES
    for row in rows:
        fields = data | {"network": str(scenario.parent / "net.yaml"), "objective": target}
        found = build_scenario(fields | {"hardware": {"bufsize": row["buffer_bytes"]}}, {}, "")
        assert row[NAMES[target]] == solvers.run_scenario(found).to_dict()["totals"][NAMES[target]]
        assert row["taken_bytes"] <= row["buffer_bytes"]
    assert len({row[NAMES[target]] for row in rows}) > 1
    ends = ["--sram", "6900:7000", "--step", "exact", *options, "--outfile", str(out)]
    assert main([str(scenario), *ends]) == 0
    exact = json.loads(out.read_text())["sizes"]
    assert exact[-1][NAMES[target]] == rows[-1][NAMES[target]]
    assert all(one[NAMES[target]] >= other[NAMES[target]] for one, other in pairwise(exact))


def test_the_table_has_the_steps_and_says_what_is_reached(scenario, capsys):  # noqa: F811
    assert main([str(scenario), "--sram", "2K:8K", "--step", "3K", "--reach", "40000"]) == 0
    text = capsys.readouterr().out
    assert "least traffic from each size of the SRAM on" in text
    assert "40,000 bytes: from " in text
    assert main([str(scenario), "--sram", "2K:8K", "--step", "3K", "--reach", "10"]) == 0
    assert "10 bytes: more than that" in capsys.readouterr().out


def test_both_ends_are_looked_at():
    assert sizes("1K:4K", "2K") == [1024, 3072, 4096]
    assert sizes("5:5", "1M") == [5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sram", "1K"], "--sram: got '1K', allowed: FROM:TO"),
        (["--sram", "4K:1K"], "--sram: got 4K:1K, the first size must not be above the second"),
        (["--sram", "x:4K"], "--sram: got 'x', allowed: bytes, or a number with K or M"),
        (["--step", "0"], "--step: got '0', allowed: bytes"),
        (["--sram", "1:4M", "--step", "1"], "--step: got 1, that is 4,194,304 sizes, at most 4,096"),
        (["--sram", "2:5", "--step", "1"], "some layer does not fit 5 bytes, nor less"),
        (["--sram", "2:5", "--step", "exact"], "some layer does not fit 5 bytes, nor less"),
        (["--jobs", "0"], "--jobs: got 0, must be at least 1"),
    ],
)
def test_bad_input_is_one_line(scenario, capsys, options, message):  # noqa: F811
    assert main([str(scenario), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("machine", "level", "message"),
    [
        ({"streaming": True}, "resident", "streaming: true, with the network as one problem, allowed"),
        ({"burst_bytes": 64}, "fused", "network_level: got fused on a machine with burst_bytes"),
        ({"burst_bytes": 64}, "resident", "network_level: got resident on a machine with burst_bytes"),
    ],
)
def test_a_machine_that_sizes_do_not_know_is_refused(scenario, capsys, machine, level, message):  # noqa: F811
    data = yaml.safe_load(scenario.read_text()) | {"network_level": "layers"}
    scenario.write_text(yaml.safe_dump(data | {"hardware": {**data["hardware"], **machine}}))
    assert main([str(scenario), "--sram", "2K:4K", "--network_level", level]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "size", "curve", "pareto", "compare"])
def test_a_network_without_macs_is_one_line(tmp_path, capsys, command):
    (tmp_path / "pool.yaml").write_text(
        "{name: p, input: [3, 8, 8], layers: [{name: a, op: pool, kernel: 2, stride: 2}]}"
    )
    file = tmp_path / "s.yaml"
    file.write_text("network: pool.yaml\n")
    assert import_module(f"solvers.{command}").main([str(file), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "pool.yaml: has no layer with MACs, nothing to schedule" in error
    assert error.count("\n") == 1
