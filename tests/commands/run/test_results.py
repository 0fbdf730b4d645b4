# ruff: noqa: E501
"""Results: what they say of themselves, running them again, and words as wide as the network has them."""

import json
import re

import numpy as np
import pytest

from dnns import __version__
from dnns.identity import network_hash
from dnns.reader import read_network
from solvers import run_scenario
from solvers.network.data.notebook import html
from solvers.run import main
from solvers.scenario import Scenario, read_scenario
from tests.commands.run.test_run import result, without_times


def test_a_result_says_what_it_is_of(tiny):
    data = result(tiny, "--bufsize", "8192")
    network = read_network(tiny.parent / "tiny.yaml")
    assert data["network_file"] == str(tiny.parent / "tiny.yaml")
    assert data["network_hash"] == network_hash(network)
    assert re.fullmatch("sha256:[0-9a-f]{64}", data["network_hash"])
    assert (data["inputs"], data["batch"], data["dims"]) == ({"input": [3, 12, 10]}, 1, None)
    assert data["version"] == __version__
    assert data["left_out"] == []
    assert data["layers"][1]["reads"] == ["a"]
    assert set(data["scenario"]) == set(Scenario.model_fields) - {"source"}
    assert data["scenario"]["hardware"]["bufsize"] == 8192
    assert data["scenario"]["deconvolution"] == "split"
    assert data["hardware"]["bit_width"] == 16


def test_the_head_of_the_table_says_so_too(tiny, capsys):
    assert main([str(tiny)]) == 0
    digest = network_hash(read_network(tiny.parent / "tiny.yaml"))[7:19]
    head = capsys.readouterr().out.splitlines()[1]
    assert (
        head
        == f"tiny.yaml ({digest}), input 3 x 12 x 10 (C H W), batch 1; dnn-dataflow-optimizer {__version__}"
    )


def test_the_hash_is_of_the_network_not_of_its_file(tiny):
    file = tiny.parent / "tiny.yaml"
    before = network_hash(read_network(file))
    text = file.read_text()
    file.write_text("# a comment\n" + text.replace("name: tiny", "name: other"))
    assert network_hash(read_network(file)) == before
    file.write_text(text.replace("out_channels: 8", "out_channels: 9"))
    assert network_hash(read_network(file)) != before


@pytest.mark.parametrize("options", [[], ["--search_method", "static", "--combine"], ["--objective", "weighted", "--weights", "1", "2"]])  # fmt: skip
def test_a_result_runs_the_same_again(tiny, options, tmp_path_factory, monkeypatch):
    first = result(tiny, *options)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    saved = elsewhere / "saved.json"
    saved.write_text((tiny.parent / "out.json").read_text())
    monkeypatch.chdir(elsewhere)
    assert main(["saved.json", "--quiet", "--outfile", "again.json"]) == 0
    assert without_times(json.loads((elsewhere / "again.json").read_text())) == without_times(first)


def test_a_result_of_another_network_is_not_run_again(tiny, capsys):
    result(tiny)
    saved = tiny.parent / "out.json"
    file = tiny.parent / "tiny.yaml"
    file.write_text(file.read_text().replace("out_channels: 8", "out_channels: 9"))
    assert main([str(saved)]) == 2
    assert "tiny.yaml: is not what the result is of, its hash differs; --dnnfile" in capsys.readouterr().err
    assert main([str(saved), "--dnnfile", str(file), "--quiet"]) == 0


def test_the_network_is_also_looked_for_beside_the_result(tiny, tmp_path_factory):
    result(tiny)
    elsewhere = tmp_path_factory.mktemp("moved")
    for name in ("out.json", "tiny.yaml"):
        (tiny.parent / name).rename(elsewhere / name)
    assert read_scenario(elsewhere / "out.json").read_network().name == "tiny"


def test_another_version_is_told(tiny, capsys):
    result(tiny)
    saved = tiny.parent / "out.json"
    saved.write_text(saved.read_text().replace(f'"version": "{__version__}"', '"version": "0.0.1"', 1))
    assert main([str(saved), "--quiet"]) == 0
    assert f"note: made by version 0.0.1, this is {__version__}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: is not JSON"),
        ("[]", "scenario: missing: the file is no result of solvers.run"),
        ("{}", "scenario: missing"),
        ('{"scenario": 3}', "scenario: missing"),
        ('{\n"scenario": {"network": "x.yaml", "nonsense": 1}}', "line 2, nonsense: unknown field"),
        ("[" * 10**5, "is not"),
    ],
)
def test_what_is_no_result_is_told(tmp_path, capsys, text, message):
    path = tmp_path / "r.json"
    path.write_text(text)
    assert main([str(path)]) == 2
    assert message in capsys.readouterr().err


def quantised(path, foo=False):
    """A network of three layers: two with words of 8 bits, one left in floats."""
    pytest.importorskip("onnx")
    from tests.dnns.onnx_models import MS, model, zeros
    from tests.dnns.test_onnx_widths import WEIGHTS, qdq

    nodes = [*qdq("x", "a"), WEIGHTS, ("Conv", "a v", "c", {}), *qdq("c", "d"), ("Conv", "d v", "e", {}),
             *qdq("e", "f"), ("Conv", "f wf", "y", {}), *(("Foo", "y", "foo", {}, MS) for _ in range(foo))]  # fmt: skip
    weights = [
        zeros("s", ()),
        zeros("z", (), np.uint8),
        zeros("zi", (), np.int8),
        zeros("w", (4, 4, 3, 3), np.int8),
    ]
    weights.append(zeros("wf", (6, 4, 1, 1)))
    proto = model(nodes, [("x", (1, 4, 12, 12))], weights, outputs=["foo" if foo else "y"])
    path.write_bytes(proto.SerializeToString())


def test_a_quantised_network_runs_at_its_own_widths(tmp_path, capsys):
    net, out = tmp_path / "net.onnx", tmp_path / "out.json"
    quantised(net)
    assert main(["--dnnfile", str(net), "--outfile", str(out)]) == 0
    table = capsys.readouterr().out
    data = json.loads(out.read_text())
    bits = [tuple(layer["bits"].values()) for layer in data["layers"]]
    assert bits == [(8, 8, 8, 32), (8, 8, 8, 32), (8, 32, 32, 32)]
    assert data["hardware"]["bit_width"] == "from network"
    # each word of a layer moves at least once, at its own width
    for layer, widths, words in zip(
        data["layers"], bits, ((576, 144, 400), (400, 144, 256), (256, 24, 384)), strict=True
    ):
        assert layer["compulsory_bytes"] == sum(w * n for w, n in zip(widths, words, strict=False)) / 8
    assert "bits of each layer from the network" in table
    assert table.count("8/8/8/32") == 2
    assert table.count("8/32/32/32") == 1


def test_a_given_width_overrides_the_networks(tmp_path, capsys):
    net, out = tmp_path / "net.onnx", tmp_path / "out.json"
    quantised(net)
    assert main(["--dnnfile", str(net), "--bit_width", "16", "--outfile", str(out)]) == 0
    data = json.loads(out.read_text())
    assert {tuple(layer["bits"].values()) for layer in data["layers"]} == {(16, 16, 16, 16)}
    assert data["hardware"]["bit_width"] == 16
    assert "1 GHz, 16 bit, given; the network carries its own" in capsys.readouterr().out


def test_bundled_scenarios_run_a_quantised_network_at_its_own_widths(tmp_path):
    net, out = tmp_path / "net.onnx", tmp_path / "out.json"
    quantised(net)
    assert main(["vgg16", "--dnnfile", str(net), "--quiet", "--outfile", str(out)]) == 0
    assert json.loads(out.read_text())["layers"][0]["bits"]["ifmap"] == 8


def test_one_partition_for_layers_of_different_widths(tmp_path):
    net, out = tmp_path / "net.onnx", tmp_path / "out.json"
    quantised(net)
    options = ["--search_method", "static", "--buffer_partition", "auto", "--bufsize", "20000"]
    assert main(["--dnnfile", str(net), *options, "--outfile", str(out), "--quiet"]) == 0
    assert sum(json.loads(out.read_text())["partition_bytes"].values()) <= 20000


def test_the_network_as_one_problem_asks_for_one_width(tmp_path, capsys):
    net = tmp_path / "net.onnx"
    quantised(net)
    assert main(["--dnnfile", str(net), "--network_level", "resident"]) == 2
    assert "bit_width: got from network, but they differ between layers" in capsys.readouterr().err


def test_what_is_left_out_stands_in_table_and_json(tmp_path, capsys):
    net, out = tmp_path / "net.onnx", tmp_path / "out.json"
    quantised(net, foo=True)
    assert main(["--dnnfile", str(net)]) == 2
    assert "(com.microsoft.Foo): the operator is not supported" in capsys.readouterr().err
    assert main(["--dnnfile", str(net), "--skip-unsupported", "--outfile", str(out)]) == 0
    table = capsys.readouterr().out
    assert "left out, as not supported; no total counts it: 1 operator" in table
    (gone,) = json.loads(out.read_text())["left_out"]
    assert gone["op"] == "com.microsoft.Foo"
    assert f"{gone['name']} (com.microsoft.Foo): the operator is not supported" in table


def test_layers_are_called_by_their_modules(tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    net, out = tmp_path / "net.onnx", tmp_path / "out.json"
    quantised(net)
    proto = onnx.load(net)
    proto.ir_version = 10
    convs = [node for node in proto.graph.node if node.op_type == "Conv"]
    for node, module in zip(convs, ("stem.conv", "head", "head"), strict=True):
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr(["", module, "conv2d"]))
    onnx.save(proto, net)
    assert main(["--dnnfile", str(net), "--outfile", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [node.name for node in convs]
    assert any(line.strip().startswith("stem.conv ") for line in lines)
    assert any(line.strip().startswith(f"head {names[1]} ") for line in lines)
    assert [layer["module"] for layer in json.loads(out.read_text())["layers"]] == [
        "stem.conv",
        "head",
        "head",
    ]


def test_a_report_shows_itself_in_a_line_and_as_a_table(tiny):
    scenario = read_scenario(tiny)
    for level, kind in (("layers", "Report"), ("resident", "NetworkReport")):
        report = run_scenario(scenario.replace(network_level=level))
        totals = report.to_dict()["totals"]
        assert repr(report).startswith(f"<{kind} {report.network}: exhaustive, balanced, ")
        assert f"{totals['traffic_bytes']:,} bytes>" in repr(report)
        table = report._repr_html_()
        layers = table.partition("</table>")[2]
        assert layers.count("<tr>") == 1 + len(list(report.rows()))
        for bound in ("roofline_cycles", "compulsory_bytes"):
            assert f"<td>{totals[bound]:,.6g}</td>" in table or f"<td>{int(totals[bound]):,}</td>" in table
        assert f"<td>{report.to_dict()['layers'][0]['name']}</td>" in table


def test_names_in_a_notebook_stay_text():
    name = "<script>alert(1)</script>"
    totals = {"macs": 1, "seconds": 0.0, "latency_cycles": 12, "roofline_cycles": 8}
    table = html(name, {"totals": totals}, [{"layer": name, "latency_cycles": 1234.0, "gap": None}])
    assert "<td>1.500</td>" in table
    assert name not in table
    assert table.count("&lt;script&gt;") == 2
    assert "<td>1,234</td>" in table


def test_a_result_shows_itself_in_three_lines(tiny):
    result = run_scenario(read_scenario(tiny)).layers[0].parts[0].result
    assert repr(result).startswith("<Result layer: exhaustive, optimal, optimal\n  ")
    assert repr(result).endswith(" bytes, gap 0.00 %>")
    assert repr(result).count("\n") == 2


def test_the_parts_of_an_answer_show_themselves_in_a_few_lines(tiny):
    scenario = read_scenario(tiny).replace(deconvolution="combine")
    report = run_scenario(scenario)
    layer = report.layers[-1]
    shown = [scenario, scenario.read_network(), layer, layer.parts[0], scenario.hardware]
    shown += [one.weighed for one in report.layers if one.weighed]
    for value in shown:
        assert len(repr(value)) < 300, repr(value)
    assert repr(read_scenario("vgg16")) == "Scenario(network='../dnns/networks/vgg16.yaml')"
    assert repr(scenario.read_network()).startswith("<Network tiny: input 3 x 12 x 10; ")
