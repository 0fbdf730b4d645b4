"""Results of small networks, each made once."""

import json

import pytest

from solvers.run import main
from tests.execution.layers import NETWORKS


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    """Makes the file that a run of some layers writes, each on the network's input."""
    made = {}

    def make(shape, **fields):
        key = json.dumps([shape, fields])
        if key not in made:
            folder = tmp_path_factory.mktemp("result")
            layers = NETWORKS[shape]
            lines = [f"  - {{name: l{i}, inputs: [input], {text}}}" for i, text in enumerate(layers)]
            network = "\n".join([f"name: net\ninput: {shape}\nbatch: 2\nlayers:", *lines])
            (folder / "net.yaml").write_text(f"{network}\n")
            (folder / "s.yaml").write_text(json.dumps({"network": "net.yaml"} | fields))
            options = [str(folder / "s.yaml"), "--quiet", "--outfile", str(folder / "result.json")]
            assert main(options) == 0
            made[key] = folder / "result.json"
        return made[key]

    return make


@pytest.fixture(scope="session")
def small(result):
    """The same on a small machine, whose tiles spill and slide."""

    def make(shape, treatment="split", halo="refetch"):
        hardware = {"bufsize": 400, "sa_size": 4, "halo": halo, "double_buffered": halo == "refetch"}
        return result(shape, hardware=hardware, objective="traffic", deconvolution=treatment)

    return make
