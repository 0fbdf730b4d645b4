"""``python -m solvers.export``: what is written, what is told instead, and bad input in one line."""

import pytest
import yaml

from solvers.export import TOOLS, main
from solvers.run import main as run

NETWORK = {
    "name": "odd",
    "input": [4, 14, 15],
    "layers": [
        {"name": "a/1", "op": "conv", "out_channels": 8, "kernel": 3, "padding": 1},
        {"name": "A_1", "op": "conv", "out_channels": 8, "kernel": 1},
        {"name": "wide", "op": "conv", "out_channels": 8, "kernel": 3, "dilation": 2},
        {"name": "skew", "op": "conv", "out_channels": 8, "kernel": 2, "stride": [1, 2]},
        {"name": "up", "op": "deconv", "out_channels": 4, "kernel": 4, "stride": 2, "padding": 1},
        {"name": "gaps", "op": "deconv", "out_channels": 2, "kernel": 2, "stride": 3},
    ],
}


def scheduled(folder, network=None, **fields):
    """The file of a result."""
    (folder / "net.yaml").write_text(yaml.safe_dump(network or NETWORK))
    scenario = {"network": "net.yaml", "hardware": {"bufsize": 4096}, "search_method": "exhaustive"}
    (folder / "s.yaml").write_text(yaml.safe_dump(scenario | fields))
    path = folder / "result.json"
    run([str(folder / "s.yaml"), "--quiet", "--outfile", str(path)])
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return scheduled(tmp_path_factory.mktemp("export"), objective="traffic")


def told(capsys):
    """What stands beside each layer in the table."""
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()[4:]]
    return {line[0]: line[2].strip() for line in lines if len(line) == 3}


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_same_result_gives_the_same_bytes(result, tool, tmp_path, capsys):
    texts = []
    for name in ("one", "two"):
        assert main([str(result), "--to", tool, "--out", str(tmp_path / name)]) == 0
        texts.append(capsys.readouterr().out.replace(name, ""))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert texts[0] == texts[1]


def test_each_layer_has_a_folder_of_its_own_even_where_case_does_not_count(result, tmp_path, capsys):
    assert main([str(result), "--to", "timeloop", "--out", str(tmp_path)]) == 0
    assert told(capsys)["A_1"] == "A_1-2/"
    assert {path.name for path in tmp_path.iterdir()} >= {"a_1", "A_1-2", "words.csv"}
    assert {path.name for path in (tmp_path / "a_1").iterdir()} == {
        *("arch.yaml", "mapping.yaml", "problem.yaml")
    }


@pytest.mark.parametrize(
    ("tool", "layer", "why"),
    [
        ("timeloop", "up", "its sub-convolutions share the ifmap tile"),
        ("timeloop", "gaps/0.2", "no tap reaches these outputs: they are only written"),
        ("accelforge", "a/1", "14 outputs in tiles of 12: where a kernel or a stride acts"),
        ("zigzag", "wide", "14 outputs in tiles of "),
        ("scalesim", "wide", "dilation: SCALE-Sim has none"),
        ("scalesim", "skew", "strides 1 and 2: SCALE-Sim has one for both axes"),
    ],
)
def test_what_a_tool_cannot_express_is_told(tmp_path, capsys, tool, layer, why):
    path = scheduled(tmp_path, hardware={"bufsize": 3000}, objective="traffic")
    main([str(path), "--to", tool, "--out", str(tmp_path / "out")])
    table = told(capsys)
    print(table)
    assert table[layer].startswith(why)


def test_a_window_that_slides_is_for_timeloop_alone(tmp_path, capsys):
    network = {"name": "n", "input": [2, 16, 16], "layers": [{**NETWORK["layers"][0], "out_channels": 2}]}
    hardware = {"bufsize": 400, "halo": "reuse"}
    path = scheduled(tmp_path, network, hardware=hardware, objective="traffic")
    for tool, code in (("timeloop", 0), ("accelforge", 1), ("zigzag", 1)):
        assert main([str(path), "--to", tool, "--out", str(tmp_path / tool)]) == code
        assert ("the window slides" in told(capsys)["a/1"]) == bool(code)
        assert (tmp_path / tool).exists() == (not code)
