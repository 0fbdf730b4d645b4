"""The command line: what it prints, writes and refuses."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from solvers.cli.overrides import deconvolution
from solvers.run import main

ROOT = Path(__file__).parents[3]


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
    spatial = data["layers"][0]["parts"][0]["mapping"]["tile"]["spatial"]
    assert [int(rows[0][f"mapping.tile.spatial.{axis}"]) for axis in range(2)] == spatial


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
        *(
            "--dnnfile",
            str(ROOT / "dnns" / "networks" / "test.txt"),
            "--ifmap",
            "24",
            "16",
            "3",
            "--split",
            "False",
        ),
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


def test_help_explains_every_option_with_its_unit(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for word in ("--bufsize", "[bytes]", "--memory-bandwidth", "[GB/s]", "--tolerance", "--jobs"):
        assert word in text


def test_no_byte_depends_on_the_order_of_sets(tiny):
    texts = set()
    for seed in "12":
        out = tiny.parent / f"{seed}.json"
        methods = ("--search_method", "Combined", "--exact-after")  # all but the exhaustive one
        options = ("--combine", *methods, "--quiet", "--outfile", out)
        assert run(tiny, *options, env={**os.environ, "PYTHONHASHSEED": seed}) == (0, "", "")
        texts.add(re.sub(r'"seconds": [\d.e-]+', "", out.read_text()))
    assert len(texts) == 1


def test_a_sieve_changes_what_is_solved_not_what_is_found(tiny):
    plain = result(tiny, "--search_method", "exact")
    sieved = result(tiny, "--search_method", "exact", "--sieve", "bounds")
    assert [y["traffic_bytes"] for y in sieved["layers"]] == [y["traffic_bytes"] for y in plain["layers"]]
    assert sieved["scenario"]["sieve"] == "bounds"


def test_a_sieve_that_would_do_nothing_is_refused(tiny, capsys):
    assert main([str(tiny), "--search_method", "static", "--sieve", "none"]) == 2
    assert "sieve: nothing else has that sieve" in capsys.readouterr().err


def test_a_sieve_is_for_shared_ifmap_tiles_as_well(tiny):
    plain, whole = (
        result(tiny, "--search_method", "exact", "--combine", *sieve) for sieve in ((), ("--sieve", "none"))
    )
    assert [y["traffic_bytes"] for y in whole["layers"]] == [y["traffic_bytes"] for y in plain["layers"]]
    assert whole["scenario"]["sieve"] == "none"


def test_whole_programs_are_larger(tmp_path):
    (tmp_path / "net.yaml").write_text(
        "name: n\ninput: [4, 6, 6]\nlayers:\n- {name: a, op: conv, out_channels: 6, kernel: 3}\n"
    )
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("network: net.yaml\nhardware: {sa_size: 2, bufsize: 512}\nsearch_method: exact\n")
    whole, sieved = (result(scenario, "--sieve", sieve) for sieve in ("none", "prices"))
    assert whole["layers"][0]["traffic_bytes"] == sieved["layers"][0]["traffic_bytes"]
    sizes = [data["layers"][0]["parts"][0]["extras"]["solves"][0]["size"]["cols"] for data in (whole, sieved)]
    assert sizes[0] > 5 * sizes[1]


def test_without_presolve_the_models_stand_alone(tiny):
    """The bounds rest on the models, and none is below what the relaxation says by itself."""
    for options in ((), ("--combine",)):
        data = result(tiny, "--search_method", "constrained", "--presolve", "none", *options)
        assert data["scenario"]["presolve"] == "none"
        parts = [
            part for layer in data["layers"] for part in (layer, *layer["parts"]) if "relaxation" in part
        ]
        assert parts
        for part in parts:
            for claim, low in part["relaxation"]["lower_bound"].items():
                assert low is None or low <= part["lower_bound"][claim] * (1 + 1e-9)
            assert part["relaxation"]["gap"] >= part["gap"] - 1e-9
            assert set("+".join(part["bound_from"].values()).split("+")) <= {"ipopt", "free", "presolve"}


def test_a_presolve_that_would_do_nothing_is_refused(tiny, capsys):
    for options in (("--search_method", "exact"), (), ("--network_level", "resident")):
        assert main([str(tiny), *options, "--presolve", "none"]) == 2
        err = capsys.readouterr().err
        assert "presolve: nothing else has that presolve, allowed with: constrained, layer by layer" in err
        assert err.count("\n") == 1
    assert main([str(tiny), "--search_method", "constrained", "--presolve", "some"]) == 2
    assert "got 'some', allowed: " in capsys.readouterr().err


def test_what_the_relaxation_proves_by_itself_is_printed_if_wanted(tiny, capsys):
    assert main([str(tiny), "--search_method", "constrained", "--verbose"]) == 0
    text = capsys.readouterr().out
    data = result(tiny, "--search_method", "constrained")
    part = data["layers"][0]["parts"][0]
    told = f"{part['relaxation']['lower_bound']['traffic_bytes']:,.0f}"
    assert re.search(rf" +traffic +\w+ +{told} +{100 * part['relaxation']['gap']:.2f} ", text)
    assert "relaxed bound" in text


def test_a_bundled_scenario_by_name_unless_there_is_such_a_file(tmp_path, monkeypatch, capsys):
    from solvers.scenario.bundled import SCENARIOS, located, names

    monkeypatch.chdir(tmp_path)
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == names()
    assert located("dcgan") == SCENARIOS / "dcgan.yaml"
    assert [located(name) for name in ("dcgan.yaml", "asv/dcgan", "nothing", "..")] == [
        "dcgan.yaml",
        "asv/dcgan",
        "nothing",
        "..",
    ]
    (tmp_path / "dcgan").write_text("network: nowhere.yaml\n")
    assert located("dcgan") == "dcgan"


def test_what_bounds_rest_on_is_printed_if_wanted(tiny, capsys):
    assert main([str(tiny), "--search_method", "exact", "--verbose"]) == 0
    text = capsys.readouterr().out
    data = result(tiny, "--search_method", "exact")
    origins = [
        origin for layer in data["layers"] for part in layer["parts"] if part["mapping"]
        for origin in part["bound_from"].values()
    ]  # fmt: skip
    summary = dict(
        reversed(item.split()) for item in text.splitlines()[-1].removeprefix("bounds: ").split(", ")
    )
    assert {name: int(count) for name, count in summary.items()} == {
        o: origins.count(o) for o in set(origins)
    }
    assert "rests on" in text
    assert re.search(r"a +latency +(sieve|program) +\d+ x \d+ +\d+ x \d+ +\d+ +\d\.\d\d ", text)
    assert "in solver s" in text
    solve = data["layers"][0]["parts"][0]["extras"]["solves"][0]
    assert {"size", "presolved", "nodes", "seconds"} <= set(solve)


def test_verbose_is_of_layers_one_by_one(tiny, capsys):
    assert main([str(tiny), "--verbose", "--network_level", "resident"]) == 2
    assert "--verbose: tells of layers one by one" in capsys.readouterr().err
