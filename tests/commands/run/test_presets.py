"""Machines by name: in a scenario, on the command line, from Python; every figure has its source."""

import json
import re

import pytest
import yaml

from dnns.errors import InputError
from formulation.hardware import Dataflow
from solvers.network.levels import run_scenario
from solvers.run import main
from solvers.scenario import read_scenario
from solvers.scenario.hardware import HardwareModel
from solvers.scenario.presets import FILE, presets

NAMES = ("asv", "eyeriss", "tpu_v1", "tpu_v4i_core", "nvdla_large", "gemmini", "ethos_u55", "mobile_npu")


def test_every_figure_says_where_it_is_from():
    lines = FILE.read_text().splitlines()
    figures = [line for line in lines if re.match(r"    \w+: ", line)]
    assert len(figures) == sum(len(preset.hardware) for preset in presets().values()) > 40
    assert all(re.search(r"  # \S+", line) for line in figures)
    assert all(preset.source and preset.leaves_out and preset.title for preset in presets().values())


def test_the_papers_machine_is_that_of_the_paper():
    machine = HardwareModel(preset="asv").build()
    assert (machine.rows, machine.cols, machine.buffer_bytes) == (24, 24, 3 << 19)
    assert (machine.bank_bytes, float(machine.bandwidth), machine.bits.ifmap) == (128 << 10, 25.6, 16)


@pytest.mark.parametrize("name", NAMES)
def test_every_machine_runs_a_network(name):
    assert set(NAMES) == set(presets())
    report = run_scenario(read_scenario("dcgan").replace(preset=name))
    assert report.complete
    assert report.total("energy_pj") >= report.least_energy_pj > 0


def test_given_fields_go_on_top(tmp_path, tiny):
    data = yaml.safe_load(tiny.read_text())
    tiny.write_text(yaml.safe_dump(data | {"hardware": {"preset": "gemmini", "bufsize": "1MiB"}}))
    machine = read_scenario(tiny).hardware.build()
    assert (machine.rows, machine.buffer_bytes, machine.dataflow) == (16, 1 << 20, Dataflow.WEIGHT)
    assert (machine.bits.ifmap, machine.bits.partial_sums) == (8, 32)


def test_an_option_takes_the_place_of_the_scenarios_machine(tiny, tmp_path, capsys):
    out = tmp_path / "out.json"
    command = [str(tiny), "--preset", "eyeriss", "--bufsize", "8KiB", "--outfile", str(out)]
    assert main(command) == 0
    assert "on eyeriss, changed: 12 x 14, 8,192 B, 0.48 GB/s, 0.2 GHz" in capsys.readouterr().out
    first = json.loads(out.read_text())
    assert first["hardware"]["preset"] == "eyeriss"
    other = tmp_path / "again.json"
    assert main([str(out), "--outfile", str(other)]) == 0  # a result runs again as it was
    again = json.loads(other.read_text())
    assert again["totals"] | {"seconds": 0} == first["totals"] | {"seconds": 0}


def test_a_name_that_is_none(tiny, capsys):
    assert main([str(tiny), "--preset", "eyeris"]) == 2
    assert capsys.readouterr().err == f"--preset: got 'eyeris', allowed: {', '.join(NAMES)}\n"
    with pytest.raises(InputError, match="preset: got 'x', allowed: asv, "):
        read_scenario(tiny).replace(preset="x")


def test_the_table_lists_all(capsys):
    assert main(["--presets"]) == 0
    text = capsys.readouterr().out
    for preset in presets().values():
        assert f" {preset.name} " in text
        assert preset.source in text
        assert preset.leaves_out in text
