"""The command line: what it prints, writes and refuses."""

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from solvers.run import deconvolution, main

ROOT = Path(__file__).parent.parent
TINY = """\
name: tiny
input: [3, 12, 10]
layers:
  - {name: a, op: conv, out_channels: 8, kernel: 3, padding: 1}
  - {name: up, op: deconv, out_channels: 4, kernel: 3, stride: 2, padding: 1, output_padding: 1}
  - {name: gaps, op: deconv, out_channels: 2, kernel: 2, stride: 3}
  - {name: head, op: fc, out_channels: 10}
"""


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("network: tiny.yaml\nhardware: {bufsize: 4096}\ndeconvolution: split\n")
    return scenario


def run(*args, **settings):
    """Exit code, standard output and standard error of the command in a process of its own."""
    command = [sys.executable, "-m", "solvers.run", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    return done.returncode, done.stdout, done.stderr


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k != "seconds"}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def result(scenario, *args):
    out = scenario.parent / "out.json"
    assert main([str(scenario), *args, "--quiet", "--outfile", str(out)]) == 0
    return json.loads(out.read_text())


def test_the_table_names_every_layer(tiny, capsys):
    assert main([str(tiny)]) == 0
    text = capsys.readouterr().out
    for word in ("tiny on 16 x 16", "up split", "written only", "head", "roofline", "compulsory"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 130


def test_json_has_the_documented_fields(tiny):
    data = result(tiny)
    assert data["network"] == "tiny"
    assert data["method"] == "exhaustive"
    assert data["complete"] is True
    assert [layer["name"] for layer in data["layers"]] == ["a", "up", "gaps", "head"]
    part = data["layers"][0]["parts"][0]
    assert {"tile", "stationary", "sliding_axis", "partition_bytes"} <= part["mapping"].keys()
    assert {"ifmap", "weights", "ofmap_write", "ofmap_read"} == part["traffic"].keys()
    assert part["termination"] == part["solution_status"] == "optimal"
    assert part["gap"] == 0
    assert part["bound_scope"] == "map_space"
    assert data["layers"][1]["deconvolution"] == "split"


def test_totals_are_the_sums_of_layers_and_parts(tiny):
    data = result(tiny)
    for quantity in ("latency_cycles", "traffic_bytes"):
        for layer in data["layers"]:
            parts = sum(part["count"] * part[quantity] for part in layer["parts"])
            assert layer[quantity] == pytest.approx(parts, rel=1e-12)
        layers = sum(layer[quantity] for layer in data["layers"])
        assert data["totals"][quantity] == pytest.approx(layers, rel=1e-12)
    assert data["totals"]["roofline_cycles"] <= data["totals"]["latency_cycles"]
    assert data["totals"]["compulsory_bytes"] <= data["totals"]["traffic_bytes"]


def test_phases_without_taps_only_write(tiny):
    parts = result(tiny)["layers"][2]["parts"]
    written = [part for part in parts if part["mapping"] is None]
    assert len(written) == 5  # of nine phases, those that a kernel of two misses on either axis
    for part in written:
        words = part["traffic"]["ofmap_write"]
        assert part["traffic_bytes"] == 2 * words > 0
        assert part["compute_cycles"] == 0
        assert part["latency_cycles"] == pytest.approx(2 * words / 25.6)


def test_a_combined_deconvolution_has_a_part_per_sub_kernel(tiny, capsys):
    data = result(tiny, "--combine", "--bufsize", "1000")
    assert main([str(tiny), "--combine", "--bufsize", "1000"]) == 0
    table = capsys.readouterr().out
    split = result(tiny, "--bufsize", "1000")
    ways = {layer["name"]: layer["deconvolution"] for layer in data["layers"]}
    assert ways["a"] is None
    shared = [layer for layer in data["layers"] if layer["deconvolution"] == "combine"]
    assert shared, "tiles are shared nowhere: choose another buffer"
    for layer in shared:
        assert "combine" in table
        assert sum(math.prod(part["out"]) for part in layer["parts"]) > 0
        filled = [part for part in layer["parts"] if part["rounds"]]
        channels = {"up": 4, "gaps": 2}[layer["name"]]
        assert all(sum(part["rounds"]) == channels for part in filled)
        assert all(len(part["rounds"]) == layer["mapping"]["rounds"] for part in filled)
        assert layer["gap"] == 0
    assert data["totals"]["traffic_bytes"] <= split["totals"]["traffic_bytes"]


def test_sensitivities_are_printed_and_add_up(tiny, capsys):
    options = ["--search_method", "Constrained", "--bufsize", "400", "--split", "--objective", "traffic"]
    assert main([str(tiny), *options, "--sensitivity"]) == 0
    assert "saved by a little more" in capsys.readouterr().out
    data = result(tiny, *options)
    parts = [part for layer in data["layers"] for part in layer["parts"] if part["mapping"]]
    values = [(part["count"], part["extras"]["sensitivity"]["bytes_per_kib"]) for part in parts]
    worth = sum(count * value for count, value in values if value is not None)
    assert data["totals"]["sensitivity"]["bytes_per_kib"] == pytest.approx(worth)
    assert worth > 0
    assert main([str(tiny), "--sensitivity"]) == 2
    assert "--sensitivity: exhaustive has no multipliers" in capsys.readouterr().err


def test_every_number_of_processes_gives_the_same_bytes(tiny):
    texts = []
    for jobs in ("1", "2", "3"):
        assert (
            main([str(tiny), "--combine", "--quiet", "--jobs", jobs, "--outfile", str(tiny.parent / jobs)])
            == 0
        )
        texts.append(json.dumps(without_times(json.loads((tiny.parent / jobs).read_text()))))
    assert texts[0] == texts[1] == texts[2]


def test_csv_has_a_row_per_part(tiny):
    out = tiny.parent / "out.csv"
    data = result(tiny, "--csv", str(out))
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == sum(len(layer["parts"]) for layer in data["layers"])
    assert rows[0]["mapping.tile.spatial"] == "x".join(
        map(str, data["layers"][0]["parts"][0]["mapping"]["tile"]["spatial"])
    )


def test_the_report_from_python_is_the_same(tiny):
    import solvers
    from solvers.scenario import read_scenario

    report = solvers.run_scenario(read_scenario(tiny))
    assert without_times(report.to_dict()) == without_times(result(tiny))
    frame = report.to_frame()
    assert list(frame["layer"])[:1] == ["a"]
    assert solvers.solve(report.layers[0].parts[0].result.problem, "Exhaustive").gap == 0


@pytest.mark.parametrize(
    ("split", "combine", "default", "expected"),
    [
        (None, None, "combine", "combine"),
        (True, None, "combine", "split"),
        (True, True, "naive", "combine"),
        (False, None, "combine", "naive"),
        (None, False, "combine", "split"),
        (None, True, "naive", "combine"),
        (False, False, "split", "naive"),
        (None, False, "naive", "naive"),
    ],
)
def test_split_and_combine_mean_what_they_say(split, combine, default, expected):
    assert deconvolution(split, combine, default) == expected


def test_options_of_the_original_tool_override_the_scenario(tiny):
    data = result(
        tiny,
        *("--dnnfile", str(ROOT / "dnns" / "test.txt"), "--ifmap", "24", "16", "3", "--split", "False"),
        *("--bufsize", "20000", "--memory-bandwidth", "12.8", "--sa_size", "8", "4", "--bit-width", "8"),
        *("--search_method", "STATIC", "--buffer_partition", "1", "1", "2", "--model_type", "2D"),
        *("--halo", "reuse", "--objective", "balanced", "--tolerance", "0.05", "--time-limit", "0"),
    )
    assert data["method"] == "static"
    assert data["objective"]["tolerance"] == 0.05
    machine = data["hardware"]
    assert (machine["sa_size"], machine["bufsize"], machine["bit_width"]) == ([8, 4], 20000, 8)
    assert data["partition_bytes"] == {"ifmap": 5000, "ofmap": 5000, "weights": 10000}
    assert {layer["deconvolution"] for layer in data["layers"]} == {None, "naive"}
    assert data["layers"][0]["parts"][0]["bound_scope"] == "partition"


BAD = [
    ("networkk: x.yaml", "networkk.*did you mean network"),
    ("hardware: {}", "network: missing"),
    ("network: none.yaml", "none.yaml.*No such file"),
    ("network: tiny.yaml\nhardware: {sa_size: 0}", "line 2, hardware.sa_size: got 0"),
    ("network: tiny.yaml\nhardware: {bufsize: big}", "hardware.bufsize: got 'big'"),
    ("network: tiny.yaml\nhardware: {bank_bytes: 99999999}", "bank_bytes is 99999999"),
    ("network: tiny.yaml\nhardware: {bit_width: {ofmap: 16, partial_sums: 8}}", "partial_sums is 8"),
    ("network: tiny.yaml\nsearch_method: Magic", "search_method: got 'Magic', allowed: 'static'"),
    ("network: tiny.yaml\nobjective: {kind: balanced, tolerance: -1}", "objective.tolerance: got -1"),
    ("network: tiny.yaml\nobjective: speed", "objective.kind: got 'speed'"),
    ("network: tiny.yaml\nobjective: {kind: weighted, latency: 0, traffic: 0}", "one of them above 0"),
    ("network: tiny.yaml\nbuffer_partition: [0, 0, 0]", "line 2, buffer_partition: .*one of them above 0"),
    ("network: tiny.yaml\nbuffer_partition: [1, 2]", "buffer_partition"),
    ("network: tiny.yaml\ndump_models: out", "dump_models"),
    ("network: tiny.yaml\ntime_limit: -3", "time_limit: got -3"),
    ("network: tiny.yaml\nsource: x", "unknown field 'source'"),
    ("network: [1", "is not YAML"),
    ("- 1", "must be a mapping"),
    ("network: tiny.yaml\ninput: [3, 12, 0]", "input.*got 0"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[text[-30:] for text, _ in BAD])
def test_bad_scenarios_get_one_line_and_exit_code_2(tiny, text, message, capsys):
    tiny.write_text(text)
    assert main([str(tiny)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert str(tiny.parent) in err
    assert re.search(message, err)


BAD_OPTIONS = [
    (["--sa_size", "0"], "--sa_size: got 0"),
    (["--buffer_partition", "1", "x", "1"], "--buffer_partition: got 1 x 1"),
    (["--combine", "--split", "False"], "--combine"),
    (["--jobs", "0"], "--jobs: got 0"),
    (["--outfile", "/no/such/folder/x"], "cannot be written"),
    (["--model_type", "3D"], "--model_type: is 3D"),
    (["--search_method", "magic"], "--search_method: got 'magic'"),
    (["--split", "perhaps"], "got 'perhaps', allowed: True or False"),
    (["--nonsense"], "unrecognized arguments: --nonsense"),
    (["--bufsize", "many"], "many"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=[o[0] for o, _ in BAD_OPTIONS])
def test_bad_options_get_one_line_and_exit_code_2(tiny, options, message):
    code, out, err = run(tiny, *options)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err


def test_symbolic_dimensions_of_an_onnx_network_are_set(tmp_path):
    from onnx import TensorProto, helper, save

    shape = ["images", 3, 8, 8]
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3])
    tensors = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("w", [4, 3, 3, 3]))
    ]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph([node], "g", tensors, [out]))
    save(model, tmp_path / "net.onnx")
    outfile = tmp_path / "out.json"
    options = ["--dnnfile", str(tmp_path / "net.onnx"), "--quiet", "--outfile", str(outfile)]
    assert main([*options, "--dim", "images=5"]) == 0
    assert json.loads(outfile.read_text())["totals"]["macs"] == 5 * 4 * 3 * 9 * 36
    assert main([*options, "--dim", "images"]) == 2


def test_no_scenario_and_no_network_says_what_to_give(capsys):
    assert main([]) == 2
    assert "--dnnfile" in capsys.readouterr().err


def test_a_layer_that_does_not_fit_is_named_and_the_others_reported(tiny, capsys):
    out = tiny.parent / "out.json"
    assert main([str(tiny), "--bufsize", "60", "--outfile", str(out)]) == 3
    text, err = capsys.readouterr()
    data = json.loads(out.read_text())
    assert data["complete"] is False
    assert "does not fit" in text
    assert (
        err.splitlines() == ["up/1.1: does not fit: its smallest tile needs 84 bytes, there are 80 bytes"]
        or err
    )
    unfit = [part for layer in data["layers"] for part in layer["parts"] if "bytes_needed" in part]
    assert [(p["name"], p["mapping"], p["latency_cycles"], p["bytes_needed"]) for p in unfit] == [
        ("a", None, None, 76)
    ]
    assert data["totals"]["latency_cycles"] > 0


def test_help_explains_every_option_with_its_unit(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for word in ("--bufsize", "[bytes]", "--memory-bandwidth", "[GB/s]", "--tolerance", "--jobs"):
        assert word in text
