"""A nest moves the words that the model counts, fits its parts, and computes the layer from what it moved."""

import ast
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from formulation.mapping import Stationary
from solvers.methods import solve
from solvers.schedules.execution.arithmetic import NumericMachine, direct, run_numbers
from solvers.schedules.execution.events import DmaTransfer
from solvers.schedules.execution.reader import read_plan
from solvers.schedules.execution.steps import NestRun
from tests import strategies
from tests.commands.run.test_result_fields import convolved
from tests.execution.layers import NETWORKS, plain, shared
from tests.readme import ROOT
from tests.shared.test_execution import deconvolutions
from tests.shared.test_execution import mappings as shared_mappings


def run(layer, transfers_first):
    """A layer of one nest on numbers, its transfers as early or as late as they may be."""
    random = np.random.default_rng(3)
    ifmap, weights = (random.integers(-9, 10, tensor.shape).astype(float) for tensor in layer.tensors[:2])
    ofmap = np.full(layer.tensors[2].shape, np.nan)
    (scheduled,) = layer.runs
    (nest,) = scheduled.nests
    dram = ifmap, weights, ofmap
    machine = NumericMachine(nest, scheduled.parts, dram, transfers_first=transfers_first)
    assert machine.run() == scheduled.traffic
    unreached = np.isnan(ofmap)
    assert np.count_nonzero(unreached) == sum(zeros.words for zeros in scheduled.zeros)
    ofmap[unreached] = 0
    assert np.array_equal(ofmap, direct(layer, ifmap, weights))


@given(st.data(), st.booleans())
def test_every_mapping_moves_what_the_model_counts_and_computes_the_layer(data, transfers_first):
    layer = data.draw(strategies.layers(most=7, channels=5))
    hardware = data.draw(strategies.hardware())
    run(plain(layer, hardware, data.draw(strategies.mappings(layer, hardware))), transfers_first)


@strategies.examples(60)
@given(st.data(), st.booleans())
def test_so_do_inner_steps(data, transfers_first):
    layer = data.draw(strategies.layers(most=5, channels=5))
    hardware = replace(data.draw(strategies.hardware()), streaming=True)
    run(plain(layer, hardware, data.draw(strategies.streamed_mappings(layer, hardware))), transfers_first)


@strategies.examples(30)
@given(strategies.problems())
def test_so_does_the_best_mapping(problem):
    found = solve(problem, "exhaustive")
    assume(found.mapping is not None)
    run(plain(problem.layer, problem.hardware, found.mapping), True)


@strategies.examples(60)
@given(st.data(), st.booleans())
def test_so_do_shared_tiles(data, transfers_first):
    deconv, hardware = data.draw(deconvolutions()), data.draw(strategies.hardware())
    mapping = data.draw(shared_mappings(deconv, hardware))
    slides = mapping.sliding_axis is not None and mapping.stationary is Stationary.OUTPUT
    assume(not slides or mapping.in_channels == deconv.in_channels)  # nothing slides otherwise
    run(shared(deconv, hardware, mapping), transfers_first)


@pytest.mark.parametrize("treatment", ["naive", "split", "combine"])
@pytest.mark.parametrize("halo", ["refetch", "reuse"])
@pytest.mark.parametrize("shape", NETWORKS)
def test_whole_results_run(small, shape, halo, treatment):
    for layer in read_plan(small(shape, treatment, halo)).layers:
        found = run_numbers(layer, seed=1)
        assert (found.wrong, found.miscounted) == (0, ())
        assert all(scheduled.traffic for scheduled in layer.runs if scheduled.nests)
        assert found.outputs == np.prod(layer.tensors[2].shape)


@pytest.mark.parametrize("shape", NETWORKS)
def test_the_direct_computation_is_the_definition(small, shape):
    for layer in read_plan(small(shape)).layers:
        random, groups = np.random.default_rng(5), layer.groups
        ifmap, weights = (random.integers(-4, 5, tensor.shape) for tensor in layer.tensors[:2])
        made = direct(layer, ifmap.astype(float), weights.astype(float))
        apart = ifmap.reshape(len(ifmap), groups, -1, *ifmap.shape[2:]).swapaxes(0, 1)
        kernels = weights.reshape(groups, -1, *weights.shape[1:])
        if layer.transposed:
            kernels = kernels.swapaxes(1, 2)
        expected = convolved(layer.shape, apart, kernels, layer.transposed)
        assert np.array_equal(made, expected.swapaxes(0, 1).reshape(made.shape))


def test_a_wrong_transfer_shows(small, monkeypatch):
    layer = read_plan(small("[4, 6, 5]")).layers[0]
    assert run_numbers(layer, 0).good
    events = NestRun.events

    def without_one(self):
        return (e for e in events(self) if not (isinstance(e, DmaTransfer) and e.number == 3))

    monkeypatch.setattr(NestRun, "events", without_one)
    found = run_numbers(layer, 0)
    assert found.wrong or found.miscounted
    assert not found.good


def test_nothing_of_the_models_formulas_is_used():
    for path in (ROOT / "solvers" / "execution").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] == "formulation"], path
