# ruff: noqa: E501
"""Options for the machine, quantities with units, what is hardly meant, and what would be ignored."""

import json
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import pytest

from dnns.errors import InputError
from solvers.run import main
from solvers.scenario import read_scenario
from solvers.scenario.model import build_scenario


def machine(scenario, *options):
    path = scenario.parent / "out.json"
    assert main([str(scenario), "--quiet", "--outfile", str(path), *options]) == 0
    return json.loads(path.read_text())["scenario"]["hardware"]


def test_every_field_of_the_machine_has_an_option(tiny):
    options = {
        "bufsize": ("64KiB", 65536),
        "memory_bandwidth": ("12800MB/s", 12.8),
        "frequency": ("700MHz", 0.7),
        "halo": ("reuse", "reuse"),
        "dataflow": ("weight", "weight"),
        "fill": ("exposed", "exposed"),
        "double_buffered": ("False", False),
        "bank_bytes": ("1KiB", 1024),
        "padding": ("counted", "counted"),
        "transfer_setup": ("70", 70),
    }
    words = [word for name, (text, _) in options.items() for word in (f"--{name}", text)]
    widths = {"ifmap": 8, "weights": 4, "ofmap": 8, "partial_sums": 32}
    words += ["--energy", "1", "2.5", "30", "0", "--preset", "gemmini"]
    hardware = machine(tiny, *words, "--sa_size", "4", "8", "--bit_width", "8", "4", "8", "32")
    assert hardware == {name: value for name, (_, value) in options.items()} | {
        "sa_size": [4, 8],
        "bit_width": widths,
        "energy": {"mac": 1, "sram": 2.5, "dram": 30, "static": 0},
        "preset": "gemmini",
    }


def test_bursts_have_options(tiny):
    hardware = machine(tiny, "--burst_bytes", "32", "--layout", "NHWC", "--search_method", "exact")
    assert (hardware["burst_bytes"], hardware["layout"]) == (32, "NHWC")
    assert not {"streaming", "padding", "burst_bytes", "layout", "transfer_setup"} & set(machine(tiny))
    assert machine(tiny, "--streaming", "True")["streaming"] is True
    assert main([str(tiny), "--combine", "--burst_bytes", "32"]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--layout NHWC", "layout: NHWC, where nothing depends on it, allowed with: burst_bytes"),
        ("--burst_bytes 0", "--burst_bytes: got 0"),
        ("--burst_bytes 8 --halo reuse", "burst_bytes does not count the bursts of a sliding window"),
        ("--burst_bytes 8 --network_level resident", "got resident on a machine with burst_bytes"),
        ("--burst_bytes 8 --combine --search_method exact --sieve none", "sieve: none, whose programs of"),
        ("--burst_bytes 8 --tolerance_over network", "network, whose fronts do not count burst_bytes"),
        ("--burst_bytes 8 --search_method exact --dump_models x", "dump_models: the integer nonlinear"),
        ("--burst_bytes 8 --certificate c.json", "a machine with burst_bytes has no certificates"),
        ("--transfer_setup -1", "--transfer_setup: got -1"),
        ("--transfer_setup 2 --streaming True", "do not count sub-tiles, must go without streaming"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_one_line(tiny, capsys, options, message):
    assert main([str(tiny), *options.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["curve", "pareto"])
def test_frontiers_count_set_ups_and_refuse_bursts(tiny, capsys, command):
    from solvers import curve, pareto

    run = {"curve": curve.main, "pareto": pareto.main}[command]
    for field, code in (("transfer_setup", 0), ("burst_bytes", 2)):
        tiny.write_text(f"network: tiny.yaml\nhardware: {{{field}: 9}}\n")
        assert run([str(tiny), "--quiet"]) == code
    assert "hardware.burst_bytes: got bursts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("1536KiB", 1536 << 13),
        ("1.5MiB", 1536 << 13),
        ("1 MB", 8 * 10**6),
        (".5GiB", 1 << 32),
        (4096, 1 << 15),
    ],
)
def test_sizes_have_units_in_files_and_python_too(tiny, text, bits):
    fields = {"network": str(tiny.with_name("tiny.yaml")), "hardware": {"bufsize": text}}
    assert build_scenario(fields, {}, "").hardware.build().buffer_bits == bits
    tiny.write_text(f"network: tiny.yaml\nhardware: {{bufsize: {text}, memory_bandwidth: 800 MB/s}}\n")
    assert machine(tiny)["bufsize"] * 8 == bits
    assert machine(tiny)["memory_bandwidth"] == 0.8


def test_decimals_with_units_are_exact(tiny):
    fields = {"memory_bandwidth": "25.6GB/s", "frequency": "700MHz"}
    built = build_scenario({"network": "x.yaml", "hardware": fields}, {}, "").hardware.build()
    assert (built.bandwidth, built.frequency) == (Fraction("25.6"), Fraction("0.7"))


def test_any_field_can_be_set(tiny):
    options = (
        "--set",
        "hardware.bufsize=64KiB",
        "--set",
        "objective.tolerance=0.05",
        "--set",
        "search_method=Exact",
    )
    path = tiny.parent / "out.json"
    assert main([str(tiny), "--quiet", "--outfile", str(path), *options]) == 0
    data = json.loads(path.read_text())["scenario"]
    assert data["hardware"]["bufsize"] == 65536
    assert data["objective"]["tolerance"] == 0.05
    assert data["search_method"] == "exact"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frequency", "1000"], "--frequency: got 1000, allowed: 0.001 to 20 [GHz] (1000 MHz are 1"),
        (
            ["--frequency", "1e12"],
            "--frequency: got 1e+12, allowed: 0.001 to 20 [GHz] (1000 MHz are 1, or 1000MHz; 1e9 Hz",
        ),
        (
            ["--set", "hardware.frequency=1e9"],
            "--set hardware.frequency: got 1e+09, allowed: 0.001 to 20 [GHz]",
        ),
        (["--set", "hardware.foo=1"], "--set hardware.foo: unknown field 'foo', allowed: preset, sa_size, "),
        (["--set", "hardware=1"], "--set hardware: got 1, allowed: a mapping of fields"),
        (
            ["--set", "hardware.bit_width={ifmap: x}"],
            "--set hardware.bit_width.ifmap: got 'x', allowed: a whole number",
        ),
        (["--set", "objective.latency=x"], "--set objective.latency: got 'x', allowed: a number\n"),
        (["--set", "hardware.bufsize=["], "--set: line 2: is not YAML"),
        (
            ["--sa_size", "1", "2", "3"],
            "--sa_size: got [1, 2, 3], allowed: the side, or two numbers [rows, cols]",
        ),
        (
            ["--static", "--buffer_partition", "1", "2"],
            "--buffer_partition: got [1, 2], allowed: three ratios [ifmap, ofmap, weights], or auto",
        ),
        (["--dim", "x=0"], "--dim: got 0, allowed: at least 1"),
        (["--ifmap", "0", "1", "1"], "--ifmap: got 0, allowed: at least 1"),
        (["--time_limit", "-1"], "--time_limit: got -1, allowed: greater than 0"),
        (
            ["--tolerance", "5"],
            "--tolerance: got 5, allowed: 0 to 1 [of the least latency] (5 % are 0.05)",
        ),
        (
            ["--memory_bandwidth", "1e6"],
            "--memory_bandwidth: got 1e+06, allowed: 0.001 to 100000 [GB/s]",
        ),
        (["--sa_size", "16", "70000"], "--sa_size: got 70000, allowed: 1 to 65536"),
        (["--bufsize", "12 apples"], "--bufsize: got '12 apples', allowed: bytes, or a size such as 1536KiB"),
        (["--bufsize", "1.3B"], "--bufsize: got '1.3B', allowed: bytes, or a size such as 1536KiB"),
        (["--frequency", "1GB/s"], "--frequency: got '1GB/s', allowed: GHz, or a frequency such as 800MHz"),
        (["--bit_width", "8", "8"], "--bit_width: got 2 widths, allowed: one, or I W O P"),
        (["--set", "bufsize"], "--set: got 'bufsize', allowed: FIELD=VALUE or PART.FIELD=VALUE"),
        (["--set", "hardware.bufize=5"], "unknown field 'bufize'"),
        (
            ["--objective", "latency", "--tolerance", "0.1"],
            "--tolerance: the objective is latency, allowed: balanced",
        ),
        (
            ["--buffer_partition", "1", "1", "2"],
            "--buffer_partition: exhaustive gives each layer a partition of its",
        ),
        (
            ["--static", "--buffer_partition", "1", "0", "2"],
            "--buffer_partition: leaves the ofmap no byte of the buffer, and every layer needs room for it",
        ),
    ],
)
def test_what_is_hardly_meant_or_ignored_is_told(tiny, capsys, options, message):
    assert main([str(tiny), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_one_may_insist(tiny):
    assert machine(tiny, "--frequency", "1000", "--insist")["frequency"] == 1000
    tiny.write_text("network: tiny.yaml\ninsist: true\nobjective: {kind: balanced, tolerance: 5}\n")
    assert main([str(tiny), "--quiet"]) == 0


def test_a_scenario_with_other_fields_is_judged_as_a_file_is(tiny):
    scenario = read_scenario(tiny)
    other = scenario.replace(bufsize="1MiB", method="exact", tolerance=0.05, hardware={"halo": "reuse"})
    assert (other.hardware.bufsize, other.hardware.halo, other.search_method) == (1 << 20, "reuse", "exact")
    assert other.objective.tolerance == 0.05
    assert other.deconvolution == "split"
    assert other.network_file == scenario.network_file
    assert scenario.hardware.bufsize == 4096, "the first one is as it was"
    assert scenario.replace() == scenario


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bufsize": "x"}, "replace: bufsize: got 'x', allowed: bytes, or a size such as 1536KiB"),
        ({"method": "exacd"}, "replace: search_method: got 'exacd', allowed: "),
        ({"frequency": 1000}, "replace: frequency: got 1000, allowed: "),
        ({"weights": 3}, "replace: weights: unknown field 'weights', "),
    ],
)
def test_a_wrong_field_is_told(tiny, fields, message):
    with pytest.raises(InputError) as told:
        read_scenario(tiny).replace(**fields)
    assert message in str(told.value)
    assert "source" not in str(told.value)


def test_a_wrong_ifmap_is_echoed_with_its_order(capsys):
    unet = Path(__file__).parents[3] / "dnns" / "networks" / "unet.yaml"
    assert main(["--dnnfile", str(unet), "--ifmap", "1", "572", "3"]) == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith("; --ifmap was read as W 1, H 572, C 3 (order: W H C)")
    assert said.count("\n") == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("hardware: {sa_size: [16]}", "hardware.sa_size: got [16], allowed: the side, or two numbers [rows, cols]"),
        ("hardware: {frequency: 1e9}", "hardware.frequency: got 1e+09, allowed: 0.001 to 20 [GHz]"),
        ("hardware: {frequency: 1e12}", "hardware.frequency: got 1e+12, allowed: 0.001 to 20 [GHz] (1000 MHz are 1,"),
        ("hardware: 3", "hardware: got 3, allowed: a mapping of fields"),
        ("buffer_partition: [1, 2]", "buffer_partition: got [1, 2], allowed: three ratios [ifmap, ofmap, weights], or auto"),
        ("buffer_partition: [1, 2, -1]", "buffer_partition[2]: got -1, allowed: at least 0"),
        ("objective: {latency: x}", "objective.latency: got 'x', allowed: a number"),
        ("static: 1", "static: got 1, allowed: true or false"),
        ("method: exact", "method: unknown field 'method', did you mean search_method?"),
    ],
)  # fmt: skip
def test_a_files_faults_are_told_with_their_line(tiny, capsys, fields, message):
    tiny.write_text(f"network: tiny.yaml\n{fields}\n")
    assert main([str(tiny)]) == 2
    assert capsys.readouterr().err.startswith(f"{tiny}: line 2, {message}")


def test_a_name_that_is_no_scenario_leads_to_those_that_are(capsys):
    assert main(["vgg"]) == 2
    assert (
        capsys.readouterr().err == "vgg: no such file; unknown bundled scenario 'vgg', did you mean vgg16?\n"
    )
    assert main(["--dnnfile", "vgg"]) == 2
    assert "the name of a bundled network (python -m dnns.show --list)" in capsys.readouterr().err


def test_bundled_networks_go_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--dnnfile", "vgg16", "--quiet", "--outfile", "r.json"]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["network_file"].endswith("networks/vgg16.yaml")
    assert main(["r.json", "--quiet"]) == 0
    (tmp_path / "s.yaml").write_text("network: vgg16\n")
    assert main(["s.yaml", "--quiet"]) == 0
    (tmp_path / "vgg16").write_text("not a network")
    assert main(["s.yaml", "--quiet"]) == 2, "a file of one's own comes first"
    assert "ending is ''" in capsys.readouterr().err


def test_an_input_of_other_channels_is_noted(tmp_path, capsys):
    assert main(["--dnnfile", "mobilenetv2", "--ifmap", "3", "224", "224", "--quiet"]) == 0
    note = "mobilenetv2: note: the input has 224 channels (of [224, 224, 3]), the network's own has 3\n"
    assert capsys.readouterr().err == note
    assert main(["--dnnfile", "mobilenetv2", "--ifmap", "192", "192", "3", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


NET = "name: n\ninput: [6, 12, 14]\nlayers:\n- {name: a, op: conv, out_channels: 40, kernel: 3, padding: 1}\n"


@pytest.fixture
def padded(tmp_path):
    """A layer with padding, on a machine that streams."""
    (tmp_path / "net.yaml").write_text(NET)
    path = tmp_path / "scenario.yaml"
    path.write_text("network: net.yaml\nobjective: traffic\nhardware: {bufsize: 2048, streaming: true}\n")
    return path


def result_of(path, *options):
    out = path.parent / "out.json"
    assert main([str(path), "--quiet", "--outfile", str(out), *options]) == 0
    return json.loads(out.read_text())


def test_a_streamed_tile_is_in_the_result_and_in_the_table(padded, capsys):
    cut = result_of(padded)
    mapping = cut["layers"][0]["parts"][0]["mapping"]
    assert mapping["streamed"]["tensor"] in ("ifmap", "weights", "ofmap")
    sub, tile = mapping["streamed"]["sub_tile"], mapping["tile"]
    assert (
        sum(sub[name] != tile[name] for name in ("out_channels", "in_channels"))
        + ((sub["batch"], sub["spatial"]) != (tile["batch"], tile["spatial"]))
        == 1
    )
    assert main([str(padded)]) == 0
    assert f", {mapping['streamed']['tensor']} by " in " ".join(capsys.readouterr().out.split())
    whole = result_of(padded, "--streaming", "False")
    assert "streamed" not in whole["layers"][0]["parts"][0]["mapping"]
    found = [[data["totals"][name] for name in ("traffic_bytes", "latency_cycles")] for data in (cut, whole)]
    assert found[0] < found[1]


def test_a_sweep_keeps_sub_tiles(padded):
    from solvers.exploring.sweeping.kept.codec import _mapping, _mapping_of
    from solvers.layers.exhaustive import solve
    from tests.layers.test_streaming import CONV2, small

    mapping = solve(small(CONV2, 64)).mapping
    assert mapping.inner is not None
    assert _mapping_of(json.loads(json.dumps(_mapping(mapping)))) == mapping


def test_padding_that_is_counted_is_data(padded):
    clipped, counted = (
        result_of(padded, "--padding", kind, "--bufsize", "1MiB", "--streaming", "False")
        for kind in ("clipped", "counted")
    )
    words = [data["layers"][0]["parts"][0]["traffic"]["ifmap"] for data in (clipped, counted)]
    assert words == [6 * 12 * 14, 6 * 14 * 16]


@pytest.mark.parametrize("method", ["constrained", "combined"])
def test_the_relaxation_streams_too(padded, method):
    """The same words, proven, as the search over every cut."""
    found, searched = result_of(padded, "--search_method", method), result_of(padded)
    assert found["totals"]["traffic_bytes"] == searched["totals"]["traffic_bytes"]
    (part,) = found["layers"][0]["parts"]
    assert part["gap"] == 0
    assert part["solution_status"] == "optimal"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--search_method", "exact", "--sieve", "none"], "streaming: true, with sieve or dump_models"),
        (["--network_level", "fused"], "streaming: true, with the network as one problem"),
        (["--static", "--buffer_partition", "auto"], "streaming: true, with buffer_partition auto"),
        (["--objective", "balanced", "--tolerance_over", "network"], "streaming: true, with tolerance_over"),
        (
            ["--streaming", "False", "--padding", "counted", "--network_level", "resident"],
            "padding: counted, with the network as one problem",
        ),
    ],
)
def test_what_cannot_stream_or_count_padding_says_so(padded, capsys, options, text):
    assert main([str(padded), *options]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "options", "text"),
    [
        ("show", ["--format", "c"], "its tiles run in inner steps of sub-tiles, which are not written in C"),
        ("export", ["--to", "timeloop"], "its tiles run in inner steps of sub-tiles: a memory of Timeloop"),
    ],
)
def test_what_reads_results_with_sub_tiles_says_so(padded, capsys, command, options, text):
    result_of(padded)
    out = [*options, "--out", str(padded.parent)] if command == "export" else options
    import_module(f"solvers.{command}").main([str(padded.parent / "out.json"), *out])
    said = capsys.readouterr()
    assert text in said.out + said.err


def test_curves_are_of_whole_tiles(padded, capsys):
    from solvers.curve import main as curve

    assert curve([str(padded)]) == 2
    assert "hardware.streaming: got true, curves and fronts are of whole tiles" in capsys.readouterr().err
