"""The command line: what it refuses, and what does not fit."""

import json
import re

import pytest

from solvers.run import main

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


HUGE = [
    ("fc", 600_000, 16, "conv is too large: .* bits of traffic"),
    ("fc", 1 << 24, 16, "conv is too large: .* elements of a dimension"),
    ("deconv", 9_000_000, 1024, "conv.* is too large: .* bits"),
]


@pytest.mark.parametrize(("op", "channels", "bits", "message"), HUGE)
def test_layers_that_cannot_be_counted_are_named(tiny, op, channels, bits, message, capsys):
    layer = f"{{name: conv, op: {op}, out_channels: {channels}"
    layer += "}" if op == "fc" else ", kernel: 4, stride: 2}"
    tiny.with_name("tiny.yaml").write_text(f"name: h\ninput: [600000, 4000]\nlayers:\n  - {layer}\n")
    if op == "fc":
        tiny.with_name("tiny.yaml").write_text(
            f"name: h\ninput: [600000]\nbatch: 600000\nlayers:\n  - {layer}\n"
        )
    machine = f"insist: true\nhardware: {{bit_width: {bits}}}\n"
    tiny.write_text(f"network: tiny.yaml\ndeconvolution: combine\n{machine}")
    assert main([str(tiny)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
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
    (["--weights", "1", "0"], "--weights: the objective is balanced"),
    (["--objective", "weighted", "--weights", "0", "0"], "--weights: got 0 0"),
    (["--objective", "weighted", "--weights", "1", "nan"], "--weights: got 1 nan"),
    (["--objective", "weighted", "--weights", "1", "1", "1", "1"], "--weights: got 1 1 1 1, allowed: two or"),
    (["--energy", "1", "1", "0", "0"], "--energy: got 0"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=[o[0] for o, _ in BAD_OPTIONS])
def test_bad_options_get_one_line_and_exit_code_2(tiny, options, message, capsys):
    try:
        code = main([str(tiny), *options])
    except SystemExit as stop:  # as argparse ends
        code = stop.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err


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
    assert err.splitlines() == ["a: does not fit: its smallest tile needs 76 bytes, there are 60 bytes"]
    unfit = [part for layer in data["layers"] for part in layer["parts"] if "bytes_needed" in part]
    assert [(p["name"], p["mapping"], p["latency_cycles"], p["bytes_needed"]) for p in unfit] == [
        ("a", None, None, 76)
    ]
    assert data["totals"]["latency_cycles"] > 0
