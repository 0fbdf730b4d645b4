"""``python -m solvers.curve``: each size is what a run of that size finds; bad input in one line."""

import csv
import json

import pytest
import yaml

import solvers
import solvers.pareto
from solvers.curve import main, sizes
from solvers.scenario.model import build_scenario
from tests.commands.run.test_network_level import scenario  # noqa: F401

NAMES = {"traffic": "traffic_bytes", "latency": "latency_cycles", "energy": "energy_pj"}
HARDWARE = {"transfer_setup": 3, "bank_bytes": 32, "halo": "reuse", "energy": {"static": 3}}


@pytest.fixture
def wide(scenario):  # noqa: F811
    """A machine whose bandwidth makes ticks that 64 bits do not hold."""
    data = yaml.safe_load(scenario.read_text()) | {"network_level": "layers"}
    data["hardware"] = {**HARDWARE, "memory_bandwidth": 21.333333333333332}
    scenario.write_text(yaml.safe_dump(data))
    return scenario


def curve(path, *options):
    out = path.parent / "curve.json"
    assert main([str(path), "--quiet", "--outfile", str(out), *options]) == 0
    return json.loads(out.read_text())


def run(path, size, target, deconvolution):
    hardware = yaml.safe_load(path.read_text())["hardware"] | {"bufsize": size}
    fields = {
        "network": str(path.parent / "net.yaml"),
        "hardware": hardware,
        "objective": target,
        "deconvolution": deconvolution,
    }
    return solvers.run_scenario(build_scenario(fields, {}, "")).to_dict()


def at(points, size):
    return [point["value"] for point in points if point["buffer_bytes"] <= size][-1]


@pytest.mark.parametrize("target", NAMES)
def test_every_size_is_what_a_run_finds(wide, target):
    data = curve(wide, "--target", target, "--sram", "64:8K", "--sizes", "4")
    assert (data["target"], data["deconvolution"]) == (target, "split")
    steps = [point["buffer_bytes"] for point in data["total"]["points"]]
    assert steps == sorted(set(steps))
    assert len(steps) > 10
    for size in (*steps[:: len(steps) // 4], *(s - 1 for s in steps[5 :: len(steps) // 3])):
        found = run(wide, size, target, "split")
        assert at(data["total"]["points"], size) == found["totals"][NAMES[target]]
        for layer, there in zip(data["layers"], found["layers"], strict=True):
            value = at(layer["points"], size)
            assert value == pytest.approx(there[NAMES[target]], rel=1e-15)
    small = run(wide, steps[0] - 1, target, "split")
    assert not small["complete"]


def test_bounds_hold_for_the_layers_and_their_sum(wide):
    lines = wide.parent / "curve.csv"
    data = curve(wide, "--sram", "1K:8K", "--sizes", "4", "--csv", str(lines))
    assert [point["buffer_bytes"] for point in data["total"]["bound"]] == [1024, 2048, 4096, 8192]
    for line in (*data["layers"], data["total"]):
        for point in line["bound"]:
            assert line["compulsory"] <= point["value"] <= at(line["points"], point["buffer_bytes"])
    assert data["total"]["compulsory"] == run(wide, 8192, "traffic", "split")["totals"]["compulsory_bytes"]
    rows = list(csv.DictReader(lines.read_text().splitlines()))
    assert len(rows) == 4 * (len(data["layers"]) + 1)
    total = [row for row in rows if not row["layer"]]
    assert [float(row["value"]) for row in total] == [
        at(data["total"]["points"], 1024 << i) for i in range(4)
    ]


def test_one_layer_and_zero_insertion(wide, capsys):
    text = wide.read_text()
    wide.write_text(text + "deconvolution: naive\n")
    data = curve(wide, "--layer", "up", "--sram", "1K:8K")
    assert data["deconvolution"] is None
    assert [layer["name"] for layer in data["layers"]] == ["up"]
    (layer,) = [y for y in run(wide, 4096, "traffic", "naive")["layers"] if y["name"] == "up"]
    assert at(data["layers"][0]["points"], 4096) == layer["traffic_bytes"]
    assert main([str(wide), "--layer", "up", "--sram", "1K:8K", "--sizes", "4"]) == 0
    shown = capsys.readouterr().out
    assert "net, up: least traffic of every size of the SRAM" in shown
    assert "8 " in shown


def test_the_same_with_two_processes(wide):
    options = ("--target", "latency", "--sram", "1K:8K")
    assert curve(wide, *options) == curve(wide, *options, "--jobs", "2")


def test_what_does_not_fit_is_named(wide, capsys):
    assert main([str(wide), "--sram", "64:128", "--sizes", "2"]) == 3
    printed = capsys.readouterr()
    assert "does not fit 128 bytes" in printed.err
    assert "No sum" in printed.out


def test_pictures_and_a_page(wide):
    pictures, page = wide.parent / "pictures", wide.parent / "curve.html"
    options = ("--target", "energy", "--sram", "1K:8K", "--plots", str(pictures), "--report", str(page))
    data = curve(wide, *options)
    assert data["total"]["points"][0]["buffer_bytes"] == 1024
    files = {file.name for file in pictures.iterdir()}
    assert files == {f"curve{which}.{form}" for which in ("", "_layers") for form in ("png", "svg")}
    assert "energy" in (pictures / "curve.svg").read_text()
    assert "energy against the size of the buffer" in page.read_text()


def test_sizes_are_in_a_ratio():
    assert sizes("32K:128K", 5) == [32768, 46341, 65536, 92682, 131072]
    assert sizes("5:5", 2) == [5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sram", "4K"], "--sram: got '4K', allowed: FROM:TO"),
        (["--sram", "4K:1K"], "must not be above the second"),
        (["--sizes", "1"], "--sizes: got 1, allowed: 2 to 4,096"),
        (["--layer", "q"], "--layer: got q, allowed: a, up, b, c"),
    ],
)
def test_bad_input_in_one_line(wide, capsys, options, message):
    assert main([str(wide), *options]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", [main, solvers.pareto.main])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network_level": "fused"}, "network_level: got fused, curves and fronts are of layers one by one,"),
        ({"weights_resident": True}, "weights_resident: got true with network_level layers,"),
    ],
)
def test_a_network_as_one_problem_is_refused(wide, capsys, command, fields, message):
    wide.write_text(yaml.safe_dump(yaml.safe_load(wide.read_text()) | fields))
    assert command([str(wide)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{wide}: {message}")
    assert "allowed" in err
    assert err.count("\n") == 1


def test_a_given_partition_is_refused(wide, capsys):
    wide.write_text(wide.read_text() + "search_method: static\n")
    assert main([str(wide)]) == 2
    assert "given partition" in capsys.readouterr().err
