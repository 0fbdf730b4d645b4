"""Every network that ships: its totals as its comment claims, its source, its scenario."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dnns.layer import Deconvolution, Layer, Network
from dnns.reader import read_network
from dnns.yaml_reader.file import load_yaml

ROOT = Path(__file__).parents[2]
ZOO = sorted((ROOT / "dnns/networks").glob("*.yaml"))
TEXT = sorted((ROOT / "dnns/networks").glob("*.txt"))
EXPECTED = {
    "unet unet256 unet3d vnet flownetc flownets dispnet gcnet psmnet",
    "dcgan gan3d fcn8s enet vgg16 resnet50 mobilenetv2 bert_base",
}


def totals(network: Network) -> dict[str, int]:
    deconvolutions = [x for x in network.layers if isinstance(x, Deconvolution)]
    return {
        "conv_macs": sum(x.macs * x.count for x in network.layers if isinstance(x, Layer)),
        "deconv_macs_zero_inserted": sum(x.macs_zero_inserted * x.count for x in deconvolutions),
        "deconv_macs_by_phases": sum(x.macs * x.count for x in deconvolutions),
        "parameters": network.parameters,
    }


def test_all_of_the_zoo_is_there():
    assert {path.stem for path in ZOO} == set(" ".join(EXPECTED).split())
    assert [path.stem for path in TEXT] == ["GC_net", "PSMNet", "flowNetC", "flowNetS", "test", "test3d"]


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_totals_are_those_of_the_comment(path):
    comment = " ".join(re.findall(r"^#(.*)$", path.read_text(), re.MULTILINE))
    claimed = {
        name: int(number)
        for name, number in re.findall(r"(\w+) ([0-9][0-9_]*)(?=[,\s]|$)", comment.split("Totals:")[1])
    }
    assert claimed == totals(read_network(path))


@pytest.mark.parametrize("path", ZOO + TEXT, ids=lambda path: path.name)
def test_every_network_names_its_source(path):
    assert "# Source: " in path.read_text()


@pytest.mark.parametrize("name", [path.name for path in ZOO + TEXT])
def test_every_network_has_a_scenario_that_reads_it(name):
    scenarios = [load_yaml(path)[0] for path in (ROOT / "scenarios").glob("*.yaml")]
    mine = [s for s in scenarios if Path(s["network"]).name == name]
    assert mine or name == "unet.yaml"
    for scenario in mine:
        options = {key: scenario.get(key) for key in ("input", "input_3d")}
        assert read_network(ROOT / "scenarios" / scenario["network"], **options).layers


def shapes(name: str, **options) -> dict[str, tuple[int, ...]]:
    return {
        node.name: node.shape for node in read_network(ROOT / "dnns" / "networks" / name, **options).nodes
    }


def test_skip_connections_give_the_channels_of_the_definitions():
    flownet = {x.name: x for x in read_network(ROOT / "dnns/networks/flownetc.yaml").layers}
    assert flownet["refine4.deconv"].in_channels == 1026
    assert flownet["conv3_1"].in_channels == 473
    assert flownet["flow2"].in_channels == 194
    assert shapes("psmnet.yaml")["a.cat"] == (320, 64, 128)
    assert shapes("gcnet.yaml")["cost"] == (64, 96, 128, 256)
    assert shapes("resnet50.yaml")["stage3.rest.5.sum"] == (1024, 14, 14)


def test_depthwise_convolutions_have_one_channel_per_group():
    layers = {x.name: x for x in read_network(ROOT / "dnns/networks/mobilenetv2.yaml").layers}
    depthwise = layers["b4.3.body.depthwise"]
    assert (depthwise.groups, depthwise.in_channels, depthwise.out_channels) == (384, 1, 1)


def test_towers_that_share_weights_run_twice_and_count_once():
    network = read_network(ROOT / "dnns/networks/gcnet.yaml")
    towers = [[n for n in network.nodes if n.name.startswith(side)] for side in ("a.", "b.")]
    assert [n.shape for n in towers[0]] == [n.shape for n in towers[1]]
    assert sum(n.parameters for n in towers[0]) == 160_192
    assert sum(n.parameters for n in towers[1]) == 0


# 12 layers of 4 (L,768,768), 12 (L,64,L), 12 (L,L,64), (L,768,3072), (L,3072,768)
@pytest.mark.parametrize("length", [1, 128, 384, 512])
def test_bert_at_any_length(length):
    network = read_network(ROOT / "dnns/networks/bert_base.yaml", input=(768, length))
    attention = 2 * 12 * length * 64 * length
    assert network.macs == 12 * (4 * length * 768**2 + 2 * length * 768 * 3072 + attention)
    scores, context = (x for x in network.layers[:8] if x.op == "matmul")
    assert (scores.groups, scores.in_channels, scores.out_channels) == (12, 64, length)
    assert (context.groups, context.in_channels, context.out_channels) == (12, length, 64)


# Layer rows of the original tool, worked out by hand from its format.
@pytest.mark.parametrize(
    ("name", "options", "layers", "last"),
    [
        ("flowNetC.txt", {"input": (6, 576, 960)}, 14, (64, 144, 240)),
        ("flowNetS.txt", {"input": (6, 576, 960)}, 13, (64, 144, 240)),
        ("GC_net.txt", {"input": (3, 256, 512), "input_3d": (64, 96, 128, 256)}, 25, (32, 96, 128, 256)),
        ("PSMNet.txt", {"input": (3, 256, 512), "input_3d": (64, 48, 64, 128)}, 28, (32, 48, 64, 128)),
        ("test.txt", {"input": (3, 99, 98)}, 2, (128, 100, 98)),
        ("test3d.txt", {"input_3d": (64, 96, 288, 480)}, 18, (32, 96, 288, 480)),
    ],
)
def test_text_networks(name, options, layers, last):
    network = read_network(ROOT / "dnns" / "networks" / name, **options)
    assert (len(network.layers), network.nodes[-1].shape) == (layers, last)
