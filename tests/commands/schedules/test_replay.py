"""``python -m solvers.replay``: results run as they say, and what was changed in them is named."""

import copy
import csv
import io
import json
import re

import pytest

import solvers
from solvers.cli.main import main as any_command
from solvers.replay import main, replay_result
from solvers.run import main as run

MACHINES = [
    "",
    "--halo reuse",
    "--double_buffered false --fill exposed",
    "--static --bank_bytes 64",
    "--search_method static --buffer_partition auto",
    "--combine --halo reuse",
    "--combine --static --fill exposed",
    "--split False --combine False",
    "--dataflow weight --objective latency",
    "--dataflow input --frequency 0.7 --objective traffic",
    "--objective energy",
    "--combine --transfer_setup 30",
    "--double_buffered false --transfer_setup 5",
    "--streaming true --halo reuse --bufsize 1500 --objective traffic",
    "--streaming true --padding counted --bufsize 1000 --double_buffered false --objective traffic",
    "--burst_bytes 64 --transfer_setup 20",
    "--burst_bytes 16 --layout NHWC --objective energy",
]


SOLVED = {}


@pytest.fixture
def result(tiny):
    """A function that gives the file of the tiny network's result with some options, solved once."""

    def made(*options):
        file = tiny.parent / "r.json"
        if options not in SOLVED:
            assert run([str(tiny), *options, "--quiet", "--outfile", str(file)]) == 0
            SOLVED[options] = file.read_text()
        file.write_text(SOLVED[options])
        return file

    return made


def changed(file, change):
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    return str(file)


@pytest.mark.parametrize("options", MACHINES)
def test_every_number_is_the_results(result, options, capsys):
    file = result(*options.split())
    assert main([str(file), "--writes", "pieces"]) == 0
    assert main([str(file)]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert out.count("all as the result says") == 2
    every, skipped = replay_result(file, every_step=True), replay_result(json.loads(file.read_text()))
    assert every == skipped
    said = json.loads(file.read_text())["totals"]["latency_cycles"]
    assert float(skipped.model_cycles) == said
    assert ("streaming" in options) == ('"streamed"' in file.read_text())
    if "--double_buffered" in options:
        assert skipped.simulated_cycles == skipped.model_cycles


SPECIAL = """name: net
input: [4, 6, 5, 4]
batch: 3
layers:
  - {name: v, op: conv, out_channels: 6, kernel: 3, padding: 1, groups: 2, dilation: [1, 2, 1]}
  - {name: up, op: deconv, out_channels: 5, kernel: [2, 3, 4], stride: [3, 2, 2]}
  - {name: odd, op: deconv, inputs: [v], out_channels: 6, kernel: 1, stride: 2, padding: 1, groups: 2}
"""


@pytest.mark.parametrize("treatment", ["naive", "split", "combine"])
def test_widths_batches_groups_volumes_and_zeros(tmp_path, treatment):
    (tmp_path / "net.yaml").write_text(SPECIAL)
    widths = "{ifmap: 8, weights: 4, ofmap: 16, partial_sums: 32}"
    text = f"network: net.yaml\nhardware: {{bufsize: 300, sa_size: [3, 5], bit_width: {widths}}}\n"
    (tmp_path / "s.yaml").write_text(f"{text}deconvolution: {treatment}\n")
    out = str(tmp_path / "r.json")
    assert run([str(tmp_path / "s.yaml"), "--quiet", "--outfile", out]) == 0
    assert main([out]) == 0
    found = replay_result(out)
    assert found.layers[0].parts[0].run.moved.ofmap_read > 0  # partial sums spill
    assert any(part.zeros for layer in found.layers for part in layer.parts) == (treatment != "naive")


def test_the_table_and_the_csv_have_both_latencies(result, capsys):
    file = result("--combine")
    assert main([str(file), "--layer", "up", "--layer", "gaps", "--csv", "-"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["layer"] for row in rows} == {"up", "gaps"}
    layers = {layer["name"]: layer for layer in json.loads(file.read_text())["layers"]}
    for name in ("up", "gaps"):
        own = [row for row in rows if row["layer"] == name]
        total = sum(int(row["count"]) * float(row["latency_cycles"]) for row in own)
        assert total == pytest.approx(layers[name]["latency_cycles"], rel=1e-12)
    for row in rows:
        assert float(row["ratio"]) == float(row["simulated_cycles"]) / float(row["latency_cycles"])
        parts = ("compute_cycles", "first_cycles", "waiting_cycles", "last_cycles")
        assert float(row["simulated_cycles"]) == pytest.approx(sum(float(row[part]) for part in parts))
    assert main([str(file), "--layer", "a"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[5:6]] == ["a"]
    assert "simulated" in out
    assert main([str(file), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_installed_command_has_it(result, capsys):
    assert any_command(["replay", str(result())]) == 0
    assert "all as the result says" in capsys.readouterr().out


def part(data):
    return data["layers"][0]["parts"][0]


CORRUPTED = {
    "a: parts[0].traffic.ifmap": lambda d: part(d)["traffic"].update(ifmap=1),
    "a: parts[0].traffic.weights": lambda d: part(d)["traffic"].update(weights=0),
    "a: parts[0].traffic.ofmap_write": lambda d: part(d)["traffic"].update(ofmap_write=7),
    "a: parts[0].traffic.ofmap_read": lambda d: part(d)["traffic"].update(ofmap_read=9),
    "a: parts[0].traffic.ifmap: the result has None": lambda d: part(d)["traffic"].pop("ifmap"),
    "a: parts[0].mapping.partition_bytes.weights: the result has inf": lambda d: part(d)["mapping"][
        "partition_bytes"
    ].update(weights=float("inf")),
    "a: parts[0].compute_cycles": lambda d: part(d).update(compute_cycles=5),
    "a: parts[0].latency_cycles": lambda d: part(d).update(latency_cycles=5.5),
    "a: parts[0].traffic_bytes": lambda d: part(d).update(traffic_bytes=5),
    "a: parts[0].mapping.trips.out_channels": lambda d: part(d)["mapping"]["trips"].update(out_channels=9),
    "a: parts[0].mapping.trips.spatial": lambda d: part(d)["mapping"]["trips"].update(spatial=[1, 99]),
    "a: parts[0].mapping.partition_bytes.ifmap": lambda d: part(d)["mapping"]["partition_bytes"].update(
        ifmap=2
    ),
    "a: parts[0].mapping.partition_bytes: the parts take": lambda d: part(d)["mapping"][
        "partition_bytes"
    ].update(ofmap=10**6),
    "a: parts[0].mapping.loop_order": lambda d: part(d)["mapping"]["loop_order"].reverse(),
    "a: macs": lambda d: d["layers"][0].update(macs=1),
    "a: latency_cycles": lambda d: part(d).update(count=2),
    "gaps: parts[0].compute_cycles": lambda d: d["layers"][2]["parts"][0].update(compute_cycles=1),
    "totals.traffic_bytes": lambda d: d["totals"].update(traffic_bytes=1),
    "totals.latency_cycles": lambda d: d["totals"].update(latency_cycles=1),
}


@pytest.mark.parametrize("told", CORRUPTED)
def test_what_was_changed_is_named(result, told, capsys):
    file = changed(result(), CORRUPTED[told])
    assert main([file, "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert any(line.startswith(told) for line in err.splitlines())
    if "the parts take" not in told:
        assert ": the result has " in err


@pytest.mark.parametrize("sizes", ["tile", "geometry"])
def test_another_schedule_moves_other_words(result, sizes, capsys):
    def change(data):
        mapping, shape = part(data)["mapping"], part(data)["geometry"]
        if sizes == "tile":
            mapping["tile"]["spatial"][0] = 1 if mapping["tile"]["spatial"][0] > 1 else 2
        else:
            shape["axes"][0]["pad_before"] += 1

    assert main([changed(result(), change)]) == 1
    out, err = capsys.readouterr()
    assert f"{len(err.splitlines())} numbers differ from the result's" in out
    assert "a: parts[0].mapping.partition_bytes.ifmap: the result has " in err


def test_a_given_partition_is_not_what_the_tiles_take(result, capsys):
    file = result("--static")
    data = json.loads(file.read_text())
    given, place = copy.deepcopy(data["partition_bytes"]), part(data)["mapping"]["partition_bytes"]
    assert place == given
    file.write_text(json.dumps(data | {"partition_bytes": {**given, "ofmap": given["ofmap"] + 1}}))
    assert main([str(file)]) == 1
    text = f"a: parts[0].mapping.partition_bytes.ofmap: the result has {given['ofmap']}"
    assert text in capsys.readouterr().err


def test_rounds_that_are_shared_are_counted(result, capsys):
    file = result("--combine", "--objective", "traffic")
    shared = [i for i, layer in enumerate(json.loads(file.read_text())["layers"]) if "mapping" in layer]
    name = json.loads(file.read_text())["layers"][shared[0]]["name"]
    assert main([str(file)]) == 0

    def change(data):
        data["layers"][shared[0]]["traffic"]["weights"] += 1

    assert main([changed(file, change)]) == 1
    assert capsys.readouterr().err.startswith(f"{name}: traffic.weights: the result has ")


def first(data):
    return data["layers"][0]


def zeros(data):
    """Outputs of ``gaps`` that no tap reaches."""
    return next(part for part in data["layers"][2]["parts"] if part["geometry"] is None)


BAD = {
    "is not JSON": lambda text: text[:-5],
    "scenario: missing": lambda text: "{}",
    "layers[0].parts[0].mapping.tile.out_channels: got 0, allowed: from 1 to 8": lambda d: part(d)["mapping"][
        "tile"
    ].update(out_channels=0),
    "layers[0].parts[0].mapping.tile.spatial[1]: got 99, allowed: from 1 to 10": lambda d: part(d)["mapping"][
        "tile"
    ].update(spatial=[1, 99]),
    "layers[0].parts[0].mapping.tile.spatial: got 1 sizes, the layer has 2 axes": lambda d: part(d)[
        "mapping"
    ]["tile"].update(spatial=[1]),
    "layers[0].parts[0].mapping.loop_order: got ['groups'], allowed: each of": lambda d: part(d)[
        "mapping"
    ].update(loop_order=["groups"]),
    "layers[0].parts[0].mapping.sliding_axis: got 0, allowed: null": lambda d: part(d)["mapping"].update(
        sliding_axis=0
    ),
    "layers[0].parts[0].geometry.axes[0].kernel: got 0, allowed": lambda d: part(d)["geometry"]["axes"][
        0
    ].update(kernel=0),
    "more than 1,000,000 tiles": lambda d: (
        part(d)["geometry"].update(batch=10**9),
        part(d)["mapping"]["tile"].update(batch=1),
    ),
    "layers[0].bits.ifmap: got -1": lambda d: first(d)["bits"].update(ifmap=-1),
    "layers[0].bits.weights: got None": lambda d: first(d)["bits"].pop("weights"),
    "layers[0].parts[0].compute_cycles: got 'x'": lambda d: part(d).update(compute_cycles="x"),
    "hardware.sa_size: got 0": lambda d: d["hardware"].update(sa_size=0),
    "layers[2].parts[1].placement[0].axes[0]: got outputs outside the layer's": lambda d: zeros(d)[
        "placement"
    ][0]["axes"][0].update(first_output=-1),
    "layers[2].parts[1].placement: missing": lambda d: zeros(d).pop("placement"),
    "layers[0].macs: missing": lambda d: first(d).pop("macs"),
}


@pytest.mark.parametrize("told", BAD)
def test_bad_input_is_one_line(result, told, capsys):
    file = result()
    if told in ("is not JSON", "scenario: missing"):
        file.write_text(BAD[told](file.read_text()))
    else:
        changed(file, BAD[told])
    assert main([str(file)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith(f"{file}: ")
    assert told in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["none.json"], "none.json: cannot be read: No such file"),
        (["RESULT", "--layer", "b"], "--layer: unknown layer 'b', allowed: a, up, gaps, head"),
        (["RESULT", "--csv", "RESULT"], "--csv: RESULT is an input of this run"),
        (["RESULT", "--writes", "x"], "invalid choice: 'x'"),
    ],
)
def test_bad_options_are_one_line(result, options, told, capsys):
    file = str(result())
    arguments = [option.replace("RESULT", file) for option in options]
    try:
        code = main(arguments)
    except SystemExit as error:  # as of every command, by argparse
        code = error.code
    assert code == 2
    err = capsys.readouterr().err
    assert told.replace("RESULT", file) in err
    assert len(err.splitlines()) == 1


def test_the_network_as_one_problem_is_not_replayed(tiny, capsys):
    out = str(tiny.parent / "r.json")
    assert run([str(tiny), "--network_level", "resident", "--quiet", "--outfile", out]) == 0
    assert main([out]) == 2
    told = f"{out}: scenario.network_level: is 'resident', replay is for layers one by one, allowed: layers\n"
    assert capsys.readouterr().err == told


def test_a_layer_without_a_mapping_is_told(tiny, capsys):
    out = str(tiny.parent / "r.json")
    assert run([str(tiny), "--bufsize", "60", "--quiet", "--outfile", out]) == 3
    capsys.readouterr()
    assert main([out]) == 3
    assert "a: has no mapping, it is not replayed\n" in capsys.readouterr().err


def test_from_python(tiny):
    report = solvers.run_scenario(solvers.scenario.read_scenario(tiny))
    found = replay_result(report.to_dict(), ["a"])
    assert [layer.name for layer in found.layers] == ["a"]
    assert found.differences == ()
    assert found.layers[0].parts[0].run.moved.macs == report.layers[0].macs


def test_a_shipped_network_in_the_time_of_the_model(tmp_path):
    out = str(tmp_path / "r.json")
    assert run(["dcgan", "--quiet", "--outfile", out]) == 0
    found = replay_result(out)
    assert not found.differences
    assert 1 <= found.simulated_cycles / found.model_cycles < 1.05


def test_numbers_are_run_as_well(result, capsys):
    file = result()
    names = [layer["name"] for layer in json.loads(file.read_text())["layers"]]
    assert main([str(file), "--numbers", "--seed", "2"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name}: " in out for name in names)
    assert main([str(file), "--numbers", "--layer", names[0], "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(file), "--seed", "2"]) == 2
    assert capsys.readouterr().err == "--seed: got 2, allowed: at least 0, with --numbers\n"


def test_numbers_that_differ_are_a_failure(result, monkeypatch, capsys):
    from solvers.schedules.execution import numbers

    class Wrong:
        good, told = False, ("differs",)

    monkeypatch.setattr(numbers, "run_numbers", lambda layer, seed: Wrong)
    assert main([str(result()), "--numbers", "--quiet"]) == 1
    assert "differs" in capsys.readouterr().out


STREAMS = ["--streaming", "true", "--halo", "reuse", "--bufsize", "1500", "--objective", "traffic"]
MAPPING = r"layers\[\d\]\.parts\[\d\]\.mapping\.streamed\."
BAD_STREAMS = {
    r"sub_tile\.out_channels: got 0, allowed: from 1": lambda s: s["sub_tile"].update(out_channels=0),
    r"sub_tile\.spatial: got 1 sizes": lambda s: s["sub_tile"].update(spatial=[1]),
    r"sub_tile: got .*, allowed: smaller than the tile in one of ": lambda s: s["sub_tile"].update(
        s["sub_tile"], out_channels=1, in_channels=1, spatial=[1, 1]
    ),
    r"tensor: got \'.*\', such sub-tiles stream ": lambda s: s.update(
        tensor="ifmap" if s["tensor"] == "weights" else "weights"
    ),
}


def streamed_in(data):
    """What the first mapping that is cut streams."""
    mappings = (part["mapping"] for layer in data["layers"] for part in layer["parts"] if "mapping" in part)
    return next(mapping["streamed"] for mapping in mappings if mapping and "streamed" in mapping)


@pytest.mark.parametrize("told", BAD_STREAMS)
def test_sub_tiles_that_are_none_are_one_line(result, told, capsys):
    file = result(*STREAMS)
    assert main([changed(file, lambda data: BAD_STREAMS[told](streamed_in(data)))]) == 2
    err = capsys.readouterr().err
    assert re.search(MAPPING + told, err), err
    assert err.count("\n") == 1


def test_other_sub_tiles_are_named(result, capsys):
    def smaller(data):
        found = streamed_in(data)
        assert (found["tensor"], found["sub_tile"]["out_channels"]) == ("ofmap", 4)
        found["sub_tile"]["out_channels"] = 3

    assert main([changed(result(*STREAMS), smaller)]) == 1
    err = capsys.readouterr().err
    assert "mapping.partition_bytes.ofmap: " in err
    assert "traffic" not in err  # the same words, in more sub-tiles
