"""Property: a nest moves the words that the model counts, fits its parts, and computes the layer."""

import json

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from formulation.evaluation import evaluate
from formulation.mapping import Stationary
from formulation.shared.problem import SharedProblem
from solvers.execution.arithmetic import NumericMachine, direct
from solvers.execution.plan import read_layer
from solvers.methods import solve
from solvers.network.data.geometry import geometry, placement
from solvers.network.data.layers import traffic_dict
from solvers.network.data.mappings import mapping_dict, shared_mapping_dict
from solvers.scenario.hardware import HardwareModel
from tests import strategies
from tests.shared.test_execution import deconvolutions
from tests.shared.test_execution import mappings as shared_mappings


def layer_data(operator, hardware, **fields):
    bits = {name: getattr(hardware.bits, name) for name in ("ifmap", "weights", "ofmap", "partial_sums")}
    return {
        "name": "l",
        "op": operator.op,
        "deconvolution": None,
        "geometry": geometry(operator),
        "bits": bits,
    } | fields


def scheduled(operator, hardware, **fields):
    """A layer as it comes out of a result's JSON."""
    data = json.loads(json.dumps(layer_data(operator, hardware, **fields)))
    return read_layer(data, HardwareModel(double_buffered=hardware.double_buffered), "layers[0]")


def plain(layer, hardware, mapping, cost):
    part = {"name": "l", "groups": layer.groups, "count": 1, "geometry": geometry(layer)}
    part["mapping"] = mapping_dict(layer, mapping, cost.footprint)
    part["traffic"] = traffic_dict(cost.traffic)
    return scheduled(layer, hardware, parts=[part])


def shared(deconv, hardware, mapping, cost):
    subs = SharedProblem(deconv, hardware).kernels.subs
    rows = iter(mapping.rounds)
    parts = [
        {
            "name": f"l/{sub.name}",
            "groups": deconv.groups,
            "geometry": geometry(sub.layer) if sub.layer else None,
            "placement": [placement(deconv, sub)],
            "rounds": list(next(rows)) if sub.layer else [],
        }
        for sub in subs
    ]
    together = shared_mapping_dict(deconv, mapping, cost.footprint)
    traffic = traffic_dict(cost.traffic)
    return scheduled(
        deconv, hardware, deconvolution="combine", parts=parts, mapping=together, traffic=traffic, count=1
    )


def check(layer, transfers_first=True):
    """Run it on numbers, transfers as early or as late as they may."""
    random = np.random.default_rng(3)
    ifmap, weights = (random.integers(-9, 10, t.shape).astype(float) for t in layer.tensors[:2])
    ofmap = np.full(layer.tensors[2].shape, np.nan)
    (run,) = layer.runs
    for zeros in run.zeros:
        places = (
            slice(first, None, step // stride)
            for first, step, stride in zip(
                np.unravel_index(zeros.offset, ofmap.shape),
                zeros.strides,
                layer.tensors[2].strides,
                strict=True,
            )
        )
        ofmap[tuple(places)] = 0
    (nest,) = run.nests
    machine = NumericMachine(nest, run.parts, (ifmap, weights, ofmap), transfers_first=transfers_first)
    assert machine.run() == run.traffic
    assert np.array_equal(ofmap, direct(layer, ifmap, weights))


@given(st.data(), st.booleans())
def test_every_mapping_moves_what_the_model_counts_and_computes_the_layer(data, transfers_first):
    layer = data.draw(strategies.layers(most=7, channels=5))
    hardware = data.draw(strategies.hardware())
    mapping = data.draw(strategies.mappings(layer, hardware))
    check(plain(layer, hardware, mapping, evaluate(layer, hardware, mapping)), transfers_first)


@strategies.examples(30)
@given(strategies.problems())
def test_the_best_mapping_does(problem):
    result = solve(problem, "exhaustive")
    assume(result.mapping is not None)
    check(plain(problem.layer, problem.hardware, result.mapping, result.cost))


@strategies.examples(60)
@given(st.data(), st.booleans())
def test_shared_tiles_do(data, transfers_first):
    deconv = data.draw(deconvolutions())
    hardware = data.draw(strategies.hardware())
    mapping = data.draw(shared_mappings(deconv, hardware))
    slides = mapping.sliding_axis is not None and mapping.stationary is Stationary.OUTPUT
    assume(not slides or mapping.in_channels == deconv.in_channels)
    cost = SharedProblem(deconv, hardware).evaluate(mapping)
    check(shared(deconv, hardware, mapping, cost), transfers_first)
