"""``python -m solvers.export``: what is written, what is told instead, and bad input in one line."""

import json

import pytest
import yaml

from solvers.export import TOOLS, main
from solvers.run import main as run

CONV = {"op": "conv", "out_channels": 8, "kernel": 3}
NETWORK = {
    "name": "odd",
    "input": [4, 14, 15],
    "layers": [
        {**CONV, "name": "a/1", "padding": 1},
        {"name": "A_1", "op": "conv", "out_channels": 8, "kernel": 1},
        {**CONV, "name": "wide", "dilation": 2},
        {**CONV, "name": "skew", "kernel": 2, "stride": [1, 2]},
        {"name": "up", "op": "deconv", "out_channels": 4, "kernel": 4, "stride": 2, "padding": 1},
    ],
}


def scheduled(folder, network, **fields):
    """The file of a result."""
    (folder / "net.yaml").write_text(yaml.safe_dump(network))
    (folder / "s.yaml").write_text(yaml.safe_dump({"network": "net.yaml", "objective": "traffic"} | fields))
    path = folder / "result.json"
    assert run([str(folder / "s.yaml"), "--quiet", "--outfile", str(path)]) in (0, 3)
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return scheduled(tmp_path_factory.mktemp("export"), NETWORK, hardware={"bufsize": 3000})


def export(path, tool, out, *options):
    return main([str(path), "--to", tool, "--out", str(out), *options])


def told(capsys):
    """What stands beside each layer in the table."""
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()[4:]]
    return {line[0]: line[2].strip() for line in lines if len(line) == 3}


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_same_result_gives_the_same_bytes(result, tool, tmp_path, capsys):
    tables = []
    for name in ("first", "again"):
        assert export(result, tool, tmp_path / name) == 0
        tables.append(told(capsys))
    assert tree(tmp_path / "first") == tree(tmp_path / "again")
    assert tables[0] == tables[1]
    assert len(tables[0]) == 5


def test_each_layer_has_a_folder_of_its_own_even_where_case_does_not_count(result, tmp_path, capsys):
    assert export(result, "zigzag", tmp_path, "--layer", "skew") == 0
    assert export(result, "scalesim", tmp_path) == 0
    table = told(capsys)
    assert (table["a/1"], table["A_1"]) == ("a_1/", "A_1-2/")
    assert {p.name for p in tmp_path.iterdir()} == {"a_1", "A_1-2", "skew", "words.csv"}
    assert {p.name for p in (tmp_path / "a_1").iterdir()} == {
        *("scale.cfg", "topology.csv", "layout.csv", "tiles.csv")
    }


@pytest.mark.parametrize(
    ("tool", "layer", "why"),
    [
        ("timeloop", "up", "sub-convolutions share each ifmap tile: no loop nest of one convolution; deconv"),
        ("timeloop", "a/1", "with padding stored its tiles take 3,152 bytes, the buffer has 3,000"),
        ("accelforge", "a/1", "15 outputs in tiles of 8: where a kernel or a stride acts, AccelForge takes"),
        ("zigzag", "A_1", "15 outputs in tiles of 8: ZigZag takes temporal tiles that divide"),
        ("scalesim", "wide", "dilation: SCALE-Sim has none"),
        ("scalesim", "skew", "strides 1 and 2: SCALE-Sim has one for both axes"),
    ],
)
def test_what_a_tool_cannot_express_is_told(result, tmp_path, capsys, tool, layer, why):
    assert export(result, tool, tmp_path / "out") == 0
    assert told(capsys)[layer].startswith(why)
    assert export(result, tool, tmp_path / "none", "--layer", layer) == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("layer", "fields", "tool", "why"),
    [
        (
            {"op": "deconv", "out_channels": 2, "kernel": 2, "stride": 3},
            {"deconvolution": "split"},
            "timeloop",
            "no tap reaches these outputs: they are only written",
        ),
        (
            {**CONV, "kernel": [2, 3, 3]},
            {},
            "scalesim",
            "three spatial axes: SCALE-Sim has two",
        ),
        (
            CONV,
            {"hardware": {"bit_width": {"weights": 8}}},
            "timeloop",
            "words of 8, 16 bits: a memory of Timeloop's has one width",
        ),
        (CONV, {"hardware": {"bufsize": 16}}, "zigzag", "it has no mapping, its smallest tile takes "),
        (CONV, {"network_level": "resident"}, "zigzag", "b on the chip: no loop nest of one layer alone"),
        (CONV, {"network_level": "fused"}, "timeloop", "it runs in "),
    ],
)
def test_more_of_what_has_no_loop_nest_is_told(tmp_path, capsys, layer, fields, tool, why):
    size = [4, 3, 8, 8] if layer.get("kernel") == [2, 3, 3] else [4, 8, 8]
    layers = [{**layer, "name": "b"}]
    if "network_level" in fields:
        layers.append({**CONV, "name": "c"})
    path = scheduled(tmp_path, {"name": "n", "input": size, "layers": layers}, **fields)
    export(path, tool, tmp_path / "out")
    assert [text for text in told(capsys).values() if text.startswith(why)]


def test_a_window_that_slides_is_for_timeloop_alone(tmp_path, capsys):
    network = {"name": "n", "input": [2, 18, 18], "layers": [{**CONV, "name": "b", "out_channels": 2}]}
    path = scheduled(tmp_path, network, hardware={"bufsize": 900, "halo": "reuse"})
    for tool, code in (("timeloop", 0), ("accelforge", 1), ("zigzag", 1)):
        assert export(path, tool, tmp_path / tool) == code
        assert ("the window slides" in told(capsys)["b"]) == bool(code)
        assert (tmp_path / tool).exists() == (not code)


@pytest.mark.parametrize("tool", TOOLS)
def test_an_array_with_two_sides_is_exported(tmp_path, capsys, tool):
    layers = [{"name": "a", "op": "conv", "out_channels": 4, "kernel": 3}]
    network = {"name": "net", "input": [3, 8, 8], "layers": layers}
    path = scheduled(tmp_path, network, hardware={"sa_size": [4, 2], "bufsize": 4096})
    assert export(path, tool, tmp_path / "out") == 0


def test_one_part_of_a_layer_can_be_chosen(tmp_path, capsys):
    network = {"name": "n", "input": [2, 6, 6], "layers": [{**NETWORK["layers"][4]}]}
    path = scheduled(tmp_path, network, deconvolution="split")
    for layer, count in (("up", 4), ("up/1.0", 1)):
        assert export(path, "timeloop", tmp_path / "out", "--layer", layer) == 0
        assert len(told(capsys)) == count


def broken(data, edit):
    edit(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.pop("layers"), "layers: missing, it is required"),
        (lambda d: d["layers"][0].pop("bits"), "layers[0].bits: missing, it is required"),
        (
            lambda d: d["layers"][1]["parts"][0]["mapping"]["tile"].update(batch="1"),
            "layers[1].parts[0].mapping.tile.batch: got '1', allowed: a whole number",
        ),
        (
            lambda d: d["layers"][1]["parts"][0]["mapping"]["tile"].update(batch=7),
            "layers[1].parts[0]: does not fit together: ",
        ),
        (
            lambda d: d["layers"][0]["parts"][0]["traffic"].update(ifmap=1),
            "layers[0].parts[0].traffic.ifmap: got 1 words, the mapping moves ",
        ),
        (
            lambda d: d["hardware"].update(sa_size=0),
            "hardware.sa_size: got 0, allowed: at least 1",
        ),
    ],
)
def test_a_result_with_a_fault_is_one_line(result, tmp_path, capsys, edit, message):
    path = tmp_path / "bad.json"
    path.write_text(broken(json.loads(result.read_text()), edit))
    assert export(path, "timeloop", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: is not JSON"),
        ("[]", "scenario: missing: the file is no result of solvers.run"),
        ("[" * 100_000, "is not the JSON of a result: nested too deep"),
    ],
)
def test_no_result_at_all_is_one_line(tmp_path, capsys, text, message):
    (tmp_path / "r.json").write_text(text)
    assert export(tmp_path / "r.json", "zigzag", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_options_that_do_not_fit_are_one_line(result, tmp_path, capsys):
    assert export(result, "zigzag", tmp_path / "out", "--layer", "wied") == 2
    assert "--layer: " in (error := capsys.readouterr().err)
    assert "unknown layer 'wied', did you mean wide?" in error
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert export(result, "zigzag", out) == 2
        assert capsys.readouterr().err.startswith("--out: ")
    with pytest.raises(SystemExit, match="2"):
        export(result, "maestro", tmp_path / "out")
    assert "invalid choice: 'maestro'" in capsys.readouterr().err
