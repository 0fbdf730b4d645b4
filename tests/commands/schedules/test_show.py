"""``python -m solvers.show``: what it prints, what it refuses, and what it cannot show."""

import json
import re
import shutil

import pytest

from solvers.run import main as run
from solvers.show import main
from tests.readme import ROOT

DOC = (ROOT / "docs" / "schedules.md").read_text()


@pytest.fixture(scope="module")
def documented(tmp_path_factory):
    """The result of the network and the scenario that the documentation shows."""
    folder = tmp_path_factory.mktemp("small")
    network, scenario = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)
    (folder / "small.yaml").write_text(network)
    (folder / "scenario.yaml").write_text(scenario)
    assert run([str(folder / "scenario.yaml"), "--quiet", "--outfile", str(folder / "result.json")]) == 0
    return folder / "result.json"


def changed(file, folder, change):
    """A result with something else in it."""
    data = json.loads(file.read_text())
    change(data)
    (folder / "changed.json").write_text(json.dumps(data))
    return str(folder / "changed.json")


def test_the_documentation_shows_what_is_printed(documented, capsys):
    assert main([str(documented), "--layer", "conv"]) == 0
    shown = re.search(r"<!-- output of: python -m solvers.show .*? -->\n```\n(.*?)```", DOC, re.DOTALL)[1]
    assert capsys.readouterr().out == shown


def test_the_documentation_shows_inner_steps(documented, tmp_path, capsys):
    scenario, out = documented.parent / "scenario.yaml", tmp_path / "cut.json"
    options = ["--streaming", "true", "--bufsize", "600", "--quiet", "--outfile", str(out)]
    assert run([str(scenario), *options]) == 0
    assert main([str(out), "--layer", "conv"]) == 0
    shown = re.search(r"<!-- inner steps -->\n```\n(.*?)```", DOC, re.DOTALL)[1]
    assert capsys.readouterr().out.endswith(shown)


def test_inner_steps_are_run_and_told(documented, tmp_path, capsys):
    """The same on a smaller network, of which there are fewer."""
    (tmp_path / "small.yaml").write_text(
        "name: small\ninput: [3, 10, 10]\n"
        "layers: [{name: conv, op: conv, out_channels: 6, kernel: 3, padding: 1}]\n"
    )
    scenario = shutil.copy(documented.parent / "scenario.yaml", tmp_path)
    options = ["--streaming", "true", "--bufsize", "150", "--quiet", "--outfile", str(tmp_path / "cut.json")]
    assert run([scenario, *options]) == 0
    assert main([options[-1], "--numbers"]) == 0
    assert capsys.readouterr().out.count("equals the direct computation") == 1
    assert main([options[-1], "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (cut,) = (line["inner"] for line in lines if "run" in line)
    assert cut == {"tensor": "ofmap", "sub_tile": {"out_channels": 1}}
    tiles = [line["tile"]["out_channels"] for line in lines if "compute" in line]
    assert all(stop - start == 1 for start, stop in tiles)
    assert len(tiles) == 3 * 3 * 4 * 10 * 2
    assert all("inside" in line for line in lines if "compute" in line)


def test_the_python_example_runs(documented, capsys):
    code = re.search(r"```python\n(.*?)```", DOC, re.DOTALL)[1].replace("RESULT.json", str(documented))
    exec(compile(code, "schedules.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("DmaTransfer(number=1, tensor='weights', into_buffer=True")
    assert sum(line.startswith("TileCompute(") for line in lines) == 2 * 3 * 8 * 30


def test_the_dma_program_is_whole(documented, capsys):
    assert main([str(documented), "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["program"] == "dnn-dataflow-dma 1"
    assert [line["layer"] for line in lines if "layer" in line] == ["conv", "up"]
    kinds = [next(iter(line)) for line in lines]
    assert set(kinds) == {"program", "layer", "run", "transfer", "compute"}
    words = dict.fromkeys(("ifmap", "weights", "ofmap_write", "ofmap_read"), 0)
    for at, line in enumerate(lines):
        if "run" in line:
            header, words = line, dict.fromkeys(words, 0)
        if "transfer" in line:
            way = {"in": "read", "out": "write"}[line["direction"]]
            name = f"ofmap_{way}" if line["tensor"] == "ofmap" else line["tensor"]
            size = 1
            for n, (first, end) in zip(line["shape"], line["tile"].values(), strict=True):
                assert n == end - first
                size *= n
            words[name] += size
            part = header["buffer"][line["tensor"]]
            last = line["word"] + sum(
                (n - 1) * step for n, step in zip(line["shape"], line["word_strides"], strict=True)
            )
            assert 0 <= line["word"] <= last < part["copies"] * part["copy_words"]
        if at + 1 == len(lines) or "run" in lines[at + 1] or "layer" in lines[at + 1]:
            assert "transfer" not in line or words == header["traffic"]
    assert words == header["traffic"]


def test_fetches_run_ahead_if_double_buffered(documented, capsys):
    assert main([str(documented), "--format", "json", "--layer", "conv"]) == 0
    computed = waited = 0
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        computed = line.get("compute", computed)
        if line.get("direction") == "in" and computed:
            assert line["after"] < computed
            waited += line["after"] == computed - 1
    assert waited


def test_the_same_bytes_come_out_each_time(documented, capsys):
    for options in (["--format", "c"], ["--format", "json"], ["--numbers", "--seed", "3"]):
        outputs = []
        for _ in range(2):
            assert main([str(documented), "--layer", "conv", *options]) == 0
            outputs.append(capsys.readouterr())
        assert outputs[0] == outputs[1]
        assert not outputs[0].err


def test_numbers_tell_what_they_find(documented, tmp_path, capsys):
    assert main([str(documented), "--numbers"]) == 0
    assert capsys.readouterr().out == (
        "conv: equals the direct computation, 21,600 outputs; 131,616 words moved\n"
        "up: equals the direct computation, 36,000 outputs; 198,048 words moved\n"
    )
    assert main([str(documented), "--numbers", "--limit", "3000000", "--layer", "conv"]) == 0
    assert capsys.readouterr().out == "conv: not run: 3,110,400 MACs, more than 3,000,000\n"

    def miscount(data):
        data["layers"][0]["parts"][0]["traffic"]["weights"] += 1

    assert main([changed(documented, tmp_path, miscount), "--numbers", "--layer", "conv"]) == 1
    assert "'weights': 3457" in capsys.readouterr().out.splitlines()[1]


def as_one_problem(folder, level, bytes_):
    """The file of a network as one problem."""
    layers = "".join(f"  - {{name: {name}, {fields}}}\n" for name, fields in CHAIN.items())
    (folder / "net.yaml").write_text(f"name: net\ninput: [4, 12, 10]\nlayers:\n{layers}")
    hardware = f"hardware: {{bufsize: {bytes_}, sa_size: 4}}"
    lines = ["network: net.yaml", hardware, "objective: traffic", f"network_level: {level}"]
    (folder / "s.yaml").write_text("\n".join(lines))
    assert run([str(folder / "s.yaml"), "--quiet", "--outfile", str(folder / "r.json")]) == 0
    return str(folder / "r.json")


CHAIN = {
    "a": "op: conv, out_channels: 8, kernel: 3, padding: 1",
    "pool": "op: pool, kernel: 2, stride: 2",
    "b": "op: conv, out_channels: 8, kernel: 3, padding: 1",
    "up": "op: deconv, out_channels: 4, kernel: 4, stride: 2, padding: 1",
    "c": "op: conv, out_channels: 4, kernel: 3, padding: 1",
}


def test_of_a_network_as_one_problem_layers_by_themselves_are_shown(tmp_path, capsys):
    file = as_one_problem(tmp_path, "resident", 600)
    assert main([file, "--numbers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [f"{name}: not run: works on what stays on the chip: b" for name in ("b", "up")]
    assert ["equals the direct computation" in line for line in lines] == [True, False, False, True]
    assert main([file]) == 0
    text = capsys.readouterr().out
    assert text.count("note: the ofmap is drained through other operators, which are not shown") == 1
    assert text.count("  compute ofmap") == text.count("\n  words   ") + 1 == 2
    data = json.loads((tmp_path / "r.json").read_text())
    data["layers"][3]["parts"][0]["traffic"]["weights"] += 1
    (tmp_path / "r.json").write_text(json.dumps(data))
    assert main([file, "--numbers"]) == 1


def test_what_a_network_as_one_problem_keeps_is_not_shown(tmp_path, capsys):
    file = as_one_problem(tmp_path, "fused", 1000)
    assert main([file]) == 0
    assert capsys.readouterr().out.count("  not shown: in the stack ") == 2
    assert main([file, "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [("layer" in line, "not_shown" in line) for line in lines] == [(True, True)] * 4
    assert main([file, "--format", "c"]) == 2
    assert "none that can be shown as C" in capsys.readouterr().err


def test_a_layer_that_does_not_fit_is_told(tmp_path, capsys):
    file = str(tmp_path / "r.json")
    assert run(["dcgan", "--bufsize", "60", "--quiet", "--outfile", file]) == 3
    capsys.readouterr()
    assert main([file]) == 0
    assert "not shown: no mapping fits" in capsys.readouterr().out


def stale(data):
    data["layers"][0]["parts"][0]["mapping"]["loop_order"].reverse()


def too_large(data):
    data["layers"][0]["parts"][0]["mapping"]["tile"]["spatial"][0] = 31


def untyped(data):
    data["layers"][0]["parts"][0]["mapping"]["tile"]["batch"] = "1"


def narrow(data):
    data["layers"][0]["parts"][0]["mapping"]["partition_bytes"]["ofmap"] = 127


def miscounted(data):
    data["layers"][0]["parts"][0]["mapping"]["trips"]["spatial"][1] = 7


def astray(data):
    data["layers"][1]["parts"][0]["placement"][0]["axes"][0]["first_output"] = 2


def untapped(data):
    data["layers"][1]["parts"][0]["placement"][0]["axes"][1]["taps"] = [3, 4]


def other(data):
    data["layers"][0]["geometry"]["axes"][0]["ofmap"] = 29


def widthless(data):
    del data["layers"][0]["bits"]["ofmap"]


def wordless(data):
    data["layers"][0]["parts"][0]["traffic"] = {}


def empty(data):
    del data["layers"]


WRONG = [
    (
        stale,
        r"layers\[0\]\.parts\[0\]\.mapping\.loop_order: got spatial.0 .* weight stationary is groups in_ch",
    ),
    (too_large, r"mapping\.tile\.spatial\.0: got 31, must be from 1 to 30"),
    (untyped, r"layers\[0\]\.parts\[0\]\.mapping\.tile\.batch: got '1', allowed: a whole number"),
    (narrow, r"mapping\.partition_bytes\.ofmap: has 127 bytes, 2 tiles take 128"),
    (miscounted, r"mapping\.trips\.spatial\.1: got 7, there are 8"),
    (astray, r"placement\.first_output: outputs 2 to 60 are not among 60"),
    (untapped, r"placement\.taps: must be as many as the kernel has, evenly"),
    (other, r"placement: the ofmap is not the layer's"),
    (widthless, r"layers\[0\]\.bits\.ofmap: got None, must be a whole number, at least 1"),
    (wordless, r"layers\[0\]\.parts\[0\]\.traffic\.ifmap: got None, must be a whole number, at least 0"),
    (empty, "layers: missing"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[change.__name__ for change, _ in WRONG])
def test_a_result_that_does_not_fit_together_gets_one_line(documented, tmp_path, capsys, change, message):
    file = changed(documented, tmp_path, change)
    assert main([file]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith(f"{file}: ")
    assert re.search(message, err)


BAD = [
    (["--layer", "cnv"], "--layer: unknown layer 'cnv', did you mean conv?"),
    (["--seed", "3"], "--seed: is of --numbers, which is not given"),
    (["--limit", "3"], "--limit: is of --numbers, which is not given"),
    (["--numbers", "--seed", "-1"], "--seed: got -1, must be at least 0"),
    (["--numbers", "--format", "c"], "--format: is of what is shown, --numbers runs it"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[" ".join(options) for options, _ in BAD])
def test_bad_options_get_one_line(documented, capsys, options, message):
    assert main([str(documented), *options]) == 2
    assert capsys.readouterr().err == f"{message}\n"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"scenario": {}}', '{"scenario": {}, "layers": 3}'])
def test_what_is_no_result_gets_one_line(tmp_path, capsys, text):
    (tmp_path / "r.json").write_text(text)
    assert main([str(tmp_path / "r.json")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


BAD_CUTS = {
    "sub_tile.out_channels: got 0, must be from 1 to 3": lambda s: s["sub_tile"].update(out_channels=0),
    "sub_tile.spatial: got 1 axes, of 2": lambda s: s["sub_tile"].update(spatial=[1]),
    "tensor: got weights, what the sub-tiles cut streams ifmap": lambda s: s.update(tensor="weights"),
    "tensor: got ifmap, what the sub-tiles cut streams nothing": lambda s: s["sub_tile"].update(
        out_channels=1
    ),
}


def test_sub_tiles_that_are_none_are_one_line(documented, tmp_path, capsys):
    scenario, out = documented.parent / "scenario.yaml", tmp_path / "cut.json"
    options = ["--streaming", "true", "--bufsize", "600", "--quiet", "--outfile", str(out)]
    assert run([str(scenario), *options]) == 0
    for told, change in BAD_CUTS.items():
        file = changed(
            out, tmp_path, lambda d, c=change: c(d["layers"][0]["parts"][0]["mapping"]["streamed"])
        )
        assert main([file]) == 2
        assert capsys.readouterr().err == f"{file}: layers[0].parts[0].mapping.streamed.{told}\n"
