"""The arithmetic of ``benchmarks/peers``; the other tools themselves are not needed."""

import re
import sys
from pathlib import Path

import pytest

from benchmarks.peers.__main__ import PAGE, TABLES, renewed
from benchmarks.peers.environments import PEERS, checked, has, interpreter_of
from benchmarks.peers.layers import LAYERS, SMALL, padded, plain
from benchmarks.peers.mappers import without_first
from benchmarks.peers.mappings import divisor_tiles, largest_divisor, loops, nodes
from benchmarks.peers.simulated import ARRAYS, machine, ours, theirs
from dnns.errors import InputError
from formulation.hardware import Dataflow
from formulation.mapping import Mapping, Stationary, Tile
from tests.walkers.ports import PortWalk

REPORTED = {  # by scalesim 3.0.0 on an 8 x 16 array: number of the last cycle, then ifmap, weights, ofmap
    Dataflow.OUTPUT: (4699, 28224, 43200, 5904),
    Dataflow.WEIGHT: (4067, 28224, 1728, 42336),
    Dataflow.INPUT: (6317, 14112, 22464, 42336),
}


@pytest.mark.parametrize("dataflow", Dataflow)
def test_cycles_and_words_are_scale_sims(dataflow):
    cycles, ifmap, weights, ofmap = REPORTED[dataflow]
    report = {"cycles": cycles, "stalls": 0, "ifmap": ifmap, "weights": weights, "ofmap": ofmap}
    hardware = machine(8, 16, dataflow)
    mine, other = ours(SMALL[0], hardware), theirs(report, SMALL[0], hardware)
    assert vars(mine) | {"back": 0} == vars(other)


@pytest.mark.parametrize("dataflow", Dataflow)
@pytest.mark.parametrize("layer", [SMALL[0], SMALL[6], SMALL[8]], ids=lambda layer: layer.name)
def test_one_tile_is_counted_as_a_walk_of_the_array_counts(layer, dataflow):
    hardware = machine(*ARRAYS[1], dataflow)
    tile = Tile(layer.out_channels, layer.in_channels, 1, tuple(a.out for a in layer.axes))
    walk = PortWalk(layer, hardware, Mapping(tile, Stationary.WEIGHT))
    mine = ours(layer, hardware)
    counted = (walk.compute, walk.port_ifmap, walk.port_weights, walk.port_writes, walk.port_reads)
    assert tuple(vars(mine).values()) == counted


def test_every_simulated_layer_fits_one_tile_and_a_larger_one_is_refused():
    for layer in SMALL:
        assert ours(layer, machine(16, 16, Dataflow.OUTPUT)).cycles > 0
    with pytest.raises(ValueError, match="does not fit one tile"):
        ours(padded(LAYERS[2]), machine(16, 16, Dataflow.OUTPUT))


def test_padding_becomes_part_of_the_ifmap():
    assert plain(padded(LAYERS[0])) == {
        "name": LAYERS[0].name,
        "out_channels": 64,
        "in_channels": 6,
        "out": [288, 480],
        "kernel": [7, 7],
        "stride": [2, 2],
        "in": [581, 965],
    }
    assert plain(LAYERS[6])["in"] == [1, 1]
    assert [padded(layer).macs for layer in LAYERS] == [layer.macs for layer in LAYERS]


def test_tiles_are_reduced_to_divisors():
    assert [largest_divisor(56, most) for most in (1, 15, 27, 56)] == [1, 14, 14, 56]
    mapping = divisor_tiles(LAYERS[4], Mapping(Tile(100, 7, 1, (15, 55)), Stationary.INPUT))
    assert mapping.tile == Tile(100, 7, 1, (14, 28))
    assert divisor_tiles(LAYERS[4], mapping, channels=True).tile == Tile(64, 4, 1, (14, 28))


def test_a_tensor_is_stored_below_the_innermost_loop_that_it_depends_on():
    layer = padded(LAYERS[2])
    mapping = Mapping(Tile(64, 32, 1, (8, 120)), Stationary.OUTPUT)
    assert loops(layer, mapping) == [("m", 64), ("p", 8), ("c", 32)]
    assert [node[1:] for node in nodes(layer, mapping)] == [
        ("DRAM", ["T0", "W0", "T1"]),
        ("m", 64),
        ("p", 8),
        ("SRAM", ["T1"]),
        ("c", 32),
        ("SRAM", ["W0"]),
        ("SRAM", ["T0"]),
    ]


def test_an_ifmap_that_slides_is_stored_next_above_its_sliding_loop():
    layer = padded(LAYERS[2])
    mapping = Mapping(Tile(64, 256, 1, (8, 10)), Stationary.INPUT, sliding_axis=0)
    assert [node[1:] for node in nodes(layer, mapping)] == [
        ("DRAM", ["T0", "W0", "T1"]),
        ("q", 10),
        ("SRAM", ["T0"]),
        ("p", 8),
        ("m", 64),
        ("SRAM", ["W0"]),
        ("SRAM", ["T1"]),
    ]


def test_an_ifmap_whose_channels_change_inside_the_sliding_loop_does_not_slide():
    layer = padded(LAYERS[2])
    mapping = Mapping(Tile(64, 32, 1, (8, 120)), Stationary.OUTPUT, sliding_axis=0)
    assert nodes(layer, mapping)[-1] == ("store", "SRAM", ["T0"])
    assert nodes(layer, mapping)[-3] == ("loop", "c", 32)


def test_first_partial_sums_are_taken_off_once():
    layer = padded(LAYERS[5])
    outputs = layer.ofmap_words
    for reads, left in ((0, 0), (3 * outputs, 2 * outputs)):
        answer = {"total": 10 * outputs + reads, "words": {"O": {"data": {"rd_out_to_low": reads}}}}
        assert without_first(answer, layer) == 10 * outputs + left


def test_environments_are_outside_the_repository_and_of_a_python_that_will_do(tmp_path, capsys):
    with pytest.raises(InputError, match="lies in the repository"):
        checked(str(PAGE.parent))
    assert checked(str(tmp_path)) == tmp_path
    with pytest.raises(InputError, match="no_such_python is not there"):
        interpreter_of("no_such_python")
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho Python 3.9.1\n")
    old.chmod(0o755)
    if sys.platform != "win32":
        with pytest.raises(InputError, match=r"is Python 3\.9\.1, allowed"):
            interpreter_of(str(old))
    assert not has(tmp_path, "zigzag")
    assert capsys.readouterr().err.startswith("zigzag: missing; python -m benchmarks.peers.environments")


def test_the_page_has_every_table_and_names_every_version():
    page = PAGE.read_text()
    for name in TABLES:
        assert renewed(page, name, "nothing\n") != page
    for requirements in PEERS.values():
        assert requirements[0].replace("==", " ") in page


def test_scripts_of_the_peers_import_nothing_of_ours():
    for file in (Path(PAGE).parents[1] / "benchmarks" / "peers" / "inside").glob("*.py"):
        assert not re.search(
            r"^(from|import) (dnns|formulation|solvers|benchmarks)", file.read_text(), re.MULTILINE
        )
