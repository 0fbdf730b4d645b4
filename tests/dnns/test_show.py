"""``python -m dnns.show``: figures, CSV, and one line for an error."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dnns.reader import read_network
from dnns.show import main
from dnns.terminal.listing import only_shaped, rows, scheduled

DNNS = Path(__file__).parents[2] / "dnns" / "networks"


def test_the_table_of_unet_holds_layers_and_totals(capsys):
    assert main([str(DNNS / "unet.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (first,) = (line.split() for line in lines if line.strip().startswith("d0a "))
    # 1 x 572 x 572 -> 64 x 570 x 570 by 3x3: MACs over twice the words of the three tensors
    ratio = 187_142_400 / (2 * (572**2 + 576 + 64 * 570**2))
    assert first[-5:] == ["187,142,400", "327,184", "576", "20,793,600", f"{ratio:.1f}"]
    (total,) = (line.split() for line in lines if line.strip().startswith("total "))
    assert total[1] == "150,428,424,448"
    text = "\n".join(lines)
    assert "scheduled: 23 layers, 150,428,424,448 MACs" in text
    assert "deconvolutions: 4, 5,631,377,408 MACs by phases as above, 22,525,509,632 zero-inserted" in text
    assert "parameters: 31,030,658 (62,061,316 bytes at 16 bit)" in text
    assert "only shaped: pool x4, crop x4, concat x4" in text
    assert "crop3" not in text


def test_all_lists_what_is_only_shaped(capsys):
    assert main([str(DNNS / "unet.yaml"), "--all"]) == 0
    (line,) = (x.split() for x in capsys.readouterr().out.splitlines() if x.strip().startswith("crop3 "))
    assert " ".join(line) == "crop3 crop 512 x 64 x 64 512 x 56 x 56"


def test_every_node_is_either_scheduled_or_only_shaped():
    network = read_network(DNNS / "psmnet.yaml")
    assert set(scheduled(network)) | set(only_shaped(network)) == set(network.nodes)
    assert [row.name for row in rows(network)] == [node.name for node in network.nodes]
    assert sum(row.macs * row.count for row in rows(network)) == network.macs


def test_csv_and_overrides(tmp_path, capsys):
    (tmp_path / "net.txt").write_text("8,3,3,2,False\n3,4,5\n7,3,3,3,1,True\n")
    arguments = [
        "--input",
        "3",
        "8",
        "8",
        "--input-3d",
        "2",
        "4",
        "4",
        "4",
        "--csv",
        str(tmp_path / "out.csv"),
    ]
    assert main([str(tmp_path / "net.txt"), *arguments, "--bits", "8"]) == 0
    assert "3 times" in capsys.readouterr().out
    with open(tmp_path / "out.csv", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [(r["name"], r["op"], r["count"], r["macs"], r["ifmap_shape"]) for r in read] == [
        ("layer1", "conv", "1", str(8 * 16 * 27), "3 x 8 x 8"),
        ("layer2", "fc", "3", "20", "4 x 1"),
        ("layer3", "deconv", "1", str(7 * 2 * (4 * 1 + 4 * 2) ** 3), "2 x 4 x 4 x 4"),
    ]
    assert float(read[0]["macs_per_byte"]) == 8 * 16 * 27 / (3 * 64 + 8 * 27 + 8 * 16)


def test_symbolic_dimensions(tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("MatMul", ["a", "b"], ["y"])
    inputs = [onnx.helper.make_tensor_value_info(n, 1, s) for n, s in (("a", ["m", "k"]), ("b", ["k", 5]))]
    result = onnx.helper.make_empty_tensor_value_info("y")
    graph = onnx.helper.make_graph([node], "products", inputs, [result])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "net.onnx")
    assert main([str(tmp_path / "net.onnx"), "--dim", "m=3", "--dim", "k=4"]) == 0
    assert "scheduled: 1 layers, 60 MACs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.yaml"], "nothing.yaml: cannot be read: No such file"),
        (
            [str(DNNS / "unet.yaml"), "--input", "1", "50", "50"],
            "unet.yaml: line 19, layers[9]: d3a: a window of 3 does not fit the padded input of 2",
        ),
        ([str(DNNS / "unet.yaml"), "--dim", "batch"], "--dim: got 'batch', allowed: NAME=SIZE"),
        ([str(DNNS / "unet.yaml"), "--dim", "batch=x"], "--dim: got 'batch=x'"),
        ([str(DNNS / "unet.yaml"), "--dim", "batch=1"], "symbolic dimensions are for ONNX"),
        ([str(DNNS / "unet.yaml"), "--bits", "0"], "--bits: got 0, allowed: 1 to 64"),
        ([str(DNNS / "unet.yaml"), "--csv", "no/such/folder.csv"], "cannot be written"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["a.txt", "--input", "x"], ["a.txt", "--nope"]])
def test_wrong_options_are_one_line_too(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
