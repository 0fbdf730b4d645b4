"""A result says everything: its JSON is enough to write the DMA program, and it keeps to its schema."""

import csv
import io
import json
from itertools import product

import jsonschema
import numpy as np
import pytest

from solvers.network.levels import run_scenario
from solvers.run import main
from solvers.scenario import Scenario, read_scenario
from solvers.scenario.bundled import names
from tests.commands.schedules.dma import Transfers, outputs_of, pieces
from tests.readme import ROOT

SCHEMA = json.loads((ROOT / "docs" / "result.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
LAYERS = {
    "conv": "op: conv, out_channels: 7, kernel: [3, 2], stride: [2, 1], padding: 1, dilation: [1, 2]",
    "groups": "op: conv, out_channels: 4, kernel: 3, groups: 2",
    "deconv": "op: deconv, out_channels: 6, kernel: 3, stride: 2, padding: 1, output_padding: 1",
    "dilated": "op: deconv, out_channels: 4, kernel: [4, 3], stride: [3, 2], dilation: [2, 1]",
    "unreached": "op: deconv, out_channels: 5, kernel: [2, 3], stride: [3, 2]",
    "line": "op: conv, out_channels: 9, kernel: 4, stride: 2",
    "volume": "op: deconv, out_channels: 3, kernel: [2, 3, 4], stride: 2",
}
INPUTS = {"line": "[5, 30]", "volume": "[2, 2, 3, 2]"}


def network(folder, layer):
    shape = INPUTS.get(layer, "[4, 5, 4]")
    text = f"name: net\ninput: {shape}\nbatch: 2\nlayers:\n- {{name: a, {LAYERS[layer]}}}\n"
    (folder / "net.yaml").write_text(text)


def solved(folder, layer, **fields):
    network(folder, layer)
    hardware = {"bufsize": 400, "sa_size": 4, "halo": fields.pop("halo", "refetch")}
    scenario = Scenario.model_validate(
        {"network": "net.yaml", "hardware": hardware, "objective": {"kind": "traffic"}, **fields}
        | {"source": str(folder / "scenario.yaml")}
    )
    return json.loads(json.dumps(run_scenario(scenario).to_dict()))["layers"][0]


def tensors(shape, groups, rng):
    """Ifmap and weights of a geometry."""
    n, c, f = shape["batch"], shape["in_channels"], shape["out_channels"]
    ifmap = rng.integers(-4, 5, (groups, n, c, *(axis["ifmap"] for axis in shape["axes"])))
    return ifmap, rng.integers(-4, 5, (groups, f, c, *(axis["kernel"] for axis in shape["axes"])))


def convolved(shape, ifmap, weights, transposed):
    """The layer by its definition, element by element."""
    axes = shape["axes"]
    groups, n = ifmap.shape[:2]
    out = np.zeros((groups, n, shape["out_channels"], *(axis["ofmap"] for axis in axes)), int)
    ends = [axis["ifmap" if transposed else "ofmap"] for axis in axes]
    for at in product(*map(range, ends)):
        for tap in product(*(range(axis["kernel"]) for axis in axes)):
            other = tuple(
                x * axis["stride"] - axis["pad_before"] + axis["dilation"] * t
                for x, axis, t in zip(at, axes, tap, strict=True)
            )
            x, y = (at, other) if transposed else (other, at)
            sizes = [axis["ofmap" if transposed else "ifmap"] for axis in axes]
            if all(0 <= i < size for i, size in zip(other, sizes, strict=True)):
                read = ifmap[(slice(None),) * 3 + x]
                out[(slice(None),) * 3 + y] += np.einsum("gnc,gfc->gnf", read, weights[(..., *tap)])
    return out


@pytest.mark.parametrize("halo", ["refetch", "reuse"])
@pytest.mark.parametrize("treatment", ["split", "combine"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_json_is_enough_to_run_a_layer(tmp_path, name, treatment, halo):
    layer = solved(tmp_path, name, deconvolution=treatment, halo=halo)
    transposed = layer["op"] == "deconv"
    shape = layer["geometry"]
    groups = layer["parts"][0]["groups"]
    ifmap, weights = tensors(shape, groups, np.random.default_rng(7))
    expected = convolved(shape, ifmap, weights, transposed)
    made = np.zeros_like(expected)
    for mapping, traffic, rows in pieces(layer):
        ran = Transfers(mapping, rows, ifmap, weights)
        assert ran.words == traffic
        for (_, place, _), result in zip(rows, ran.results, strict=True):
            made[outputs_of(place)] = result
    assert (made == expected).all()


def test_the_csv_has_a_column_for_each_dimension_of_the_tile(tmp_path):
    network(tmp_path, "volume")
    fields = {"network": "net.yaml", "deconvolution": "split", "source": str(tmp_path / "scenario.yaml")}
    scenario = Scenario.model_validate(fields)
    report, stream = run_scenario(scenario), io.StringIO()
    report.write_csv(stream)
    lines = list(csv.DictReader(io.StringIO(stream.getvalue())))
    parts = [part for layer in report.to_dict()["layers"] for part in layer["parts"]]
    assert len(lines) == len(parts) > 1
    for line, part in zip(lines, parts, strict=True):
        tile = part["mapping"]["tile"]
        shown = [int(line[f"mapping.tile.spatial.{axis}"]) for axis in range(3)]
        assert (int(line["mapping.tile.out_channels"]), shown) == (tile["out_channels"], tile["spatial"])
        assert line["mapping.loop_order"].split() == part["mapping"]["loop_order"]


def test_the_schema_is_the_published_one(capsys):
    assert main(["--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
    VALIDATOR.check_schema(SCHEMA)


@pytest.mark.parametrize("name", names())
def test_every_scenarios_result_keeps_to_the_schema(name):
    data = json.loads(json.dumps(run_scenario(read_scenario(name)).to_dict()))
    VALIDATOR.validate(data)
    wrong = json.loads(json.dumps(data))
    wrong["layers"][0]["parts"][0]["nonsense"] = 1
    assert not VALIDATOR.is_valid(wrong)


@pytest.mark.parametrize(
    "fields",
    [
        {"network_level": "resident"},
        {"network_level": "fused", "longest_stack": 2},
        {"network_level": "fused", "longest_stack": 2, "weights_resident": True},
    ],
)
def test_the_result_of_a_network_as_one_problem_does_too(tiny, fields):
    report = run_scenario(read_scenario(tiny).replace(**fields))
    VALIDATOR.validate(json.loads(json.dumps(report.to_dict())))


@pytest.mark.parametrize(
    "fields",
    [
        {"bufsize": 128},
        {"time_limit": 1e-6, "search_method": "exact"},
        {"search_method": "combined"},
        {"search_method": "constrained", "presolve": "none", "deconvolution": "split"},
        {"static": True},
    ],
)
def test_results_that_lack_something_do_too(fields):
    scenario = read_scenario("dcgan").replace(**fields)
    VALIDATOR.validate(json.loads(json.dumps(run_scenario(scenario).to_dict())))
