"""What the exported files say, read by rules of the tools themselves, is the mapping of the result."""

import configparser
import csv
import json
import re
from dataclasses import replace
from functools import cache
from itertools import product
from math import ceil, gcd, prod
from random import Random

import pytest
import yaml

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import Hardware
from formulation.mapping import Mapping, Stationary, Tile
from solvers.export import main
from solvers.network.data.geometry import geometry as shape_of
from solvers.run import main as run
from solvers.schedules.exports import accelforge, scalesim, timeloop, zigzag
from solvers.schedules.exports.nest import ExportNest
from tests.walkers.stream_walker import STREAMED

NETWORK = """\
name: mixed
batch: 2
input: [12, 18, 19]
layers:
  - {name: padded, op: conv, out_channels: 24, kernel: 3, padding: 1}
  - {name: strided, op: conv, out_channels: 20, kernel: [5, 3], stride: 2}
  - {name: apart, op: conv, out_channels: 20, kernel: 3, groups: 4, dilation: 2, padding: 2}
  - {name: point, op: conv, out_channels: 36, kernel: 1}
  - {name: up, op: deconv, out_channels: 6, kernel: 4, stride: 2, padding: 1}
  - {name: head, op: fc, out_channels: 10}
"""
SUMS = """\
name: sums
input: [96, 6, 6]
layers: [{name: sums, op: conv, out_channels: 64, kernel: 3}]
"""
CASES = {"tight": (NETWORK, 3000), "wide": (NETWORK, 9000), "sums": (SUMS, 256)}
OF = {"Weights": "GMCTRS", "Inputs": "GNCZPQTRS", "Outputs": "GNMZPQ"}
WORDS = {"Weights": ("weights",), "Inputs": ("ifmap_padded",), "Outputs": ("ofmap_write",)}
TAPS = {"Z": "T", "P": "R", "Q": "S"}
ZIGZAG = {"G": "G", "B": "N", "K": "M", "C": "C", "OY": "P", "OX": "Q", "FY": "R", "FX": "S"}


class Loader(yaml.SafeLoader):
    """Reads ``!Tag {...}`` as a pair of the tag and the mapping."""


Loader.add_multi_constructor("!", lambda loader, tag, node: (tag, loader.construct_mapping(node, deep=True)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """For each part that a tool's files were written for: its row of words.csv, its fields, its folder."""
    folder = tmp_path_factory.mktemp("export")
    for name, (network, size) in CASES.items():
        (folder / f"{name}.net.yaml").write_text(network)
        fields = {"network": f"{name}.net.yaml", "hardware": {"bufsize": size}, "objective": "traffic"}
        scenario = folder / f"{name}.yaml"
        scenario.write_text(yaml.safe_dump(fields | {"deconvolution": "split"}))
        assert run([str(scenario), "--quiet", "--outfile", str(folder / f"{name}.json")]) == 0

    @cache
    def of(tool):
        found = []
        for name in CASES:
            out, result = folder / tool / name, folder / f"{name}.json"
            assert main([str(result), "--to", tool, "--out", str(out)]) == 0
            data = json.loads(result.read_text())
            parts = {part["name"]: part for layer in data["layers"] for part in layer["parts"]}
            for row in csv.DictReader((out / "words.csv").read_text().splitlines()):
                found.append((row, parts[row["layer"]], out / row["folder"]))
        return found

    return of


def load(path):
    return yaml.load(path.read_text(), Loader)


def geometry(part):
    """Extents, and per output axis stride and dilation, by our letters."""
    shape, names = part["geometry"], "PQ"[-len(part["geometry"]["axes"]) :]
    extents = {"M": shape["out_channels"], "C": shape["in_channels"], "N": shape["batch"]}
    extents |= {"G": part["groups"]} if part["groups"] > 1 else {}
    for name, axis in zip(names, shape["axes"], strict=True):
        extents |= {name: axis["ofmap"], TAPS[name]: axis["kernel"]}
    steps = {n: (a["stride"], a["dilation"]) for n, a in zip(names, shape["axes"], strict=True)}
    return extents, steps


def trips(part):
    """The loops over tiles of a result, outermost first: letter and trips."""
    mapping, names = part["mapping"], "PQ"[-len(part["geometry"]["axes"]) :]
    letters = {"groups": "G", "out_channels": "M", "in_channels": "C", "batch": "N"}
    loops = []
    for loop in mapping["loop_order"]:
        if loop.startswith("spatial."):
            axis = int(loop.removeprefix("spatial."))
            loops.append((names[axis], mapping["trips"]["spatial"][axis]))
        else:
            loops.append((letters[loop], mapping["trips"][loop]))
    return [(name, n) for name, n in loops if n > 1]


def words(tensor, size, steps):
    """Words of a tile with these extents."""
    if tensor != "Inputs":
        return prod(size[name] for name in OF[tensor] if name in size)
    span = {
        name: (size[name] - 1) * stride + dilation * (size[TAPS[name]] - 1) + 1
        for name, (stride, dilation) in steps.items()
    }
    return prod(span.get(name, size[name]) for name in "GNCPQ" if name in size)


def moved(tensor, loops, extents, steps):
    """Words that a loop nest moves, if the tensor's tile is taken anew whenever a loop above it advances.

    Args:
        tensor: whose.
        loops: those above, outermost first: letter and tile.
        extents: of the layer.
        steps: stride and dilation by axis.
    """
    sizes = [[min(t, extents[n] - start) for start in range(0, extents[n], t)] for n, t in loops]
    return sum(
        words(tensor, extents | {n: size for (n, _), size in zip(loops, chosen, strict=True)}, steps)
        for chosen in product(*sizes)
    )


def test_timeloop_has_the_loops_with_their_remainders(exported):
    for _, part, path in exported("timeloop"):
        extents, steps = geometry(part)
        problem = load(path / "problem.yaml")["problem"]
        assert set(problem["shape"]["dimensions"]) == set(extents)
        instance = problem["instance"]
        assert {name: instance[name] for name in extents} == extents
        assert {n: (instance[f"{n}stride"], instance[f"{n}dilation"]) for n in steps} == steps
        levels = load(path / "mapping.yaml")["mapping"]
        assert [level["target"] for level in levels] == ["DRAM", "buffer"]
        covered = dict.fromkeys(extents, 0)
        factors = []
        for level in levels:
            text = ",".join(level["factors"])  # as Timeloop's front end hands them on
            read = re.findall(r"([A-Za-z]+)\s*=*\s*([0-9]+)(?:,([0-9]+))?", text)
            assert [name for name, _, _ in read] == problem["shape"]["dimensions"]
            assert sorted(level["permutation"]) == sorted(extents)
            for name, whole, rest in read:
                covered[name] = covered[name] * int(whole) + int(rest or whole) - 1
            factors.append({name: int(whole) for name, whole, _ in read})
        assert {name: last + 1 for name, last in covered.items()} == extents
        outer = [(name, factors[0][name]) for name in reversed(levels[0]["permutation"])]
        assert [(name, n) for name, n in outer if n > 1] == trips(part)


def test_timeloop_reads_each_word_where_it_lies(exported):
    for _, _, path in exported("timeloop"):
        shape = load(path / "problem.yaml")["problem"]["shape"]
        spaces = {space["name"]: space["projection"] for space in shape["data_spaces"]}
        for name, projection in spaces.items():
            used = {term[0] for coordinate in projection for term in coordinate}
            assert used == set(shape["dimensions"]) & set(OF[name])
        sums = [coordinate for coordinate in spaces["Inputs"] if len(coordinate) > 1]
        assert sums == [
            [[n, f"{n}stride"], [TAPS[n], f"{n}dilation"]] for n in "PQ" if n in shape["dimensions"]
        ]


def test_accelforge_keeps_each_tensor_where_it_moves_the_claimed_words(exported):
    for row, part, path in exported("accelforge"):
        extents, steps = geometry(part)
        shape = load(path / "workload.yaml")["workload"]["iteration_space_shape"]
        for rank, text in shape.items():
            assert text == f"0 <= {rank} < {extents[rank.upper()]}"
        nodes = load(path / "mapping.yaml")["mapping"]["nodes"]
        loops, kept = [], {}
        for tag, node in nodes:
            if tag == "Temporal":
                loops.append((node["rank_variable"].upper(), node["tile_shape"]))
            elif tag == "Storage" and node["component"] == "Buffer":
                kept |= {tensor: list(loops) for tensor in node["tensors"]}
        assert {name: tile for name, tile in loops if name.lower() in shape} == dict.fromkeys(
            [rank.upper() for rank in shape], 1
        )
        for tensor, (title,) in WORDS.items():
            assert moved(tensor, kept[tensor], extents, steps) == int(row[title])
        assert int(row["ofmap_read"]) == part["traffic"]["ofmap_read"]


def divisor(random, extent):
    return random.choice([size for size in range(1, extent + 1) if extent % size == 0])


def cut_nests(count):
    """Nests of tiles that divide and are cut by any group, without padding."""
    random = Random(5)
    while count:
        axes = []
        for out in random.choices((4, 6, 8), k=2):
            kernel, stride = random.randint(1, 3), random.randint(1, 2)
            axes.append(Axis(out, kernel, stride, 1, 0, 0, (out - 1) * stride + kernel))
        layer = Layer("x", random.choice((4, 6)), random.choice((4, 6)), tuple(axes))
        extents = layer.out_channels, layer.in_channels, *(a.out for a in axes)
        co, ci, *spatial = (divisor(random, extent) for extent in extents)
        tile, order, group = Tile(co, ci, 1, tuple(spatial)), *random.choice(list(STREAMED))
        parts = {
            "co": {"out_channels": divisor(random, co)},
            "ci": {"in_channels": divisor(random, ci)},
            "sp": {"spatial": tuple(divisor(random, size) for size in spatial)},
        }
        inner = replace(tile, **parts[group])
        if inner != tile:
            count -= 1
            machine = Hardware(streaming=True, double_buffered=False)
            yield ExportNest(layer, machine, Mapping(tile, Stationary(order), None, inner))


def test_accelforge_holds_a_sub_tile_of_what_is_streamed():
    for nest in cut_nests(40):
        assert accelforge.obstacle(nest) is None
        nodes = yaml.load(accelforge.files(nest)["mapping.yaml"], Loader)["mapping"]["nodes"]
        extents, steps = geometry({"geometry": shape_of(nest.layer), "groups": 1})
        size, times, found = dict(extents), 1, {}
        for tag, node in nodes:
            if tag == "Temporal":
                name, tile = node["rank_variable"].upper(), node["tile_shape"]
                times, size[name] = times * (size[name] // tile), tile
            elif tag == "Storage" and node["component"] == "Buffer":
                for tensor in node["tensors"]:
                    found[tensor] = times * words(tensor, size, steps), words(tensor, size, steps)
        traffic = nest.words
        moved_words = [found[tensor][0] for tensor in ("Weights", "Inputs", "Outputs")]
        assert moved_words == [traffic.weights, traffic.ifmap, traffic.ofmap_write]
        assert 16 * sum(held for _, held in found.values()) == nest.cost.footprint.total
        for tool in (timeloop, zigzag, scalesim):
            assert "inner steps" in tool.obstacle(nest)


def test_zigzag_gets_the_mapping_back_from_its_memories(exported):
    for row, part, path in exported("zigzag"):
        extents, steps = geometry(part)
        workload = load(path / "workload.yaml")[0]
        sizes = dict(zip((ZIGZAG[n] for n in workload["loop_dims"]), workload["loop_sizes"], strict=True))
        assert sizes == extents
        loops = [(ZIGZAG[n], factor) for n, factor in load(path / "mapping.yaml")[0]["temporal_ordering"]]
        assert min(factor for _, factor in loops) > 1  # a loop of one trip is an error to ZigZag
        assert {n: prod(f for m, f in loops if m == n) for n in extents} == extents
        memories = load(path / "accelerator.yaml")["memories"]
        for tensor, memory in (("Weights", "weights"), ("Inputs", "ifmap"), ("Outputs", "ofmap")):
            held, room = dict.fromkeys(extents, 1), memories[f"buffer_{memory}"]["size"]
            inside = 0
            for name, factor in loops:
                more = held | {name: held[name] * factor}
                if zigzag_words(tensor, more, steps) * 16 > room:
                    break
                held, inside = more, inside + 1
            fetches = prod(factor for _, factor in loops[inside:])
            assert words(tensor, held, steps) * fetches == int(row[WORDS[tensor][0]])


def zigzag_words(tensor, size, steps):
    """Distinct words of a tile by ZigZag's formula."""
    if tensor != "Inputs":
        return words(tensor, size, steps)
    count = prod(size[name] for name in "GNC" if name in size)
    for name, (stride, dilation) in steps.items():
        common = gcd(stride, dilation)
        a, b, sa, sb = size[name], size[TAPS[name]], stride // common, dilation // common
        count *= a * b - max(0, b - sa) * (a - sb)
    return count


def test_zigzag_indexes_inputs_by_positions(exported):
    equations = {part["name"]: load(path / "workload.yaml")[0] for _, part, path in exported("zigzag")}
    head = equations["head"]
    assert head["equation"] == "O[b][k][ox]+=W[k][c][fx]*I[b][c][ix]"
    assert head["dimension_relations"] == ["ix=1*ox+1*fx"]


def test_the_tiles_of_scalesim_are_all_of_the_layer(exported):
    for row, part, path in exported("scalesim"):
        extents, _ = geometry(part)
        tiles = list(csv.DictReader((path / "tiles.csv").read_text().splitlines()))
        lines = (path / "topology.csv").read_text().splitlines()[1:]
        assert all(line.endswith(",") for line in lines)  # SCALE-Sim drops what is behind the last comma
        rows = [line.split(",")[:-1] for line in lines]
        assert [tile["Layer name"] for tile in tiles] == [line[0] for line in rows]
        macs = cycles = 0
        for tile, (_, height, width, down, across, channels, filters, stride) in zip(
            tiles, rows, strict=True
        ):
            window, runs = int(down) * int(across) * int(channels), int(tile["runs"])
            pixels = prod((int(n) - int(k)) // int(stride) + 1 for n, k in ((height, down), (width, across)))
            macs += runs * pixels * window * int(filters)
            cycles += runs * ceil(pixels / 16) * ceil(int(filters) / 16) * window
        assert macs == prod(extents.values())
        assert cycles == int(row["compute_cycles"]) == part["compute_cycles"]
        config = configparser.ConfigParser()
        config.read(path / "scale.cfg")
        array = config["architecture_presets"]
        assert (array["ArrayHeight"], array["ArrayWidth"], array["Dataflow"]) == ("16", "16", "os")


def test_words_are_those_of_the_result(exported):
    for row, part, _ in exported("timeloop"):
        for name in ("weights", "ifmap", "ofmap_write", "ofmap_read"):
            assert int(row[name]) == part["traffic"][name]
        assert int(row["ifmap_padded"]) >= int(row["ifmap"])


@pytest.mark.parametrize(("tool", "least"), [("timeloop", 18), ("accelforge", 15), ("zigzag", 14)])
def test_there_is_something_of_everything(exported, tool, least):
    found = exported(tool)
    assert len(found) >= least
    assert [row for row, _, _ in found if int(row["ofmap_read"])]  # partial sums go and come
    assert [row for row, _, _ in found if row["ifmap"] != row["ifmap_padded"]]
    point = [part["mapping"]["tile"]["out_channels"] for row, part, _ in found if row["layer"] == "point"]
    assert (36 % min(point) > 0) == (tool != "zigzag")  # a smaller last tile
