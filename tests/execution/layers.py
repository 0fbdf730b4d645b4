"""Layers with a mapping as they come out of a result's JSON, made without a solver; and small networks."""

import json

from formulation.evaluation import evaluate
from formulation.shared.problem import SharedProblem
from solvers.network.data.geometry import geometry, placement
from solvers.network.data.layers import traffic_dict
from solvers.network.data.mappings import mapping_dict, shared_mapping_dict
from solvers.scenario.hardware import HardwareModel
from solvers.schedules.execution.reader import read_layer

#: Layers by their network's input: padding, stride, dilation by axis, groups, deconvolutions of all kinds.
NETWORKS = {
    "[4, 6, 5]": (
        "op: conv, out_channels: 7, kernel: [3, 2], stride: [2, 1], dilation: [1, 2], "
        "padding: [[2, 0], [0, 1]]",
        "op: conv, out_channels: 8, kernel: 3, groups: 2, padding: 1",
        "op: conv, out_channels: 4, kernel: 1, stride: 3, groups: 4",
        "op: deconv, out_channels: 6, kernel: 3, stride: 2, padding: 1, output_padding: 1",
        "op: deconv, out_channels: 4, kernel: [4, 3], stride: [3, 2], dilation: [2, 1], groups: 2",
        "op: deconv, out_channels: 5, kernel: [2, 3], stride: [3, 2]",
    ),
    "[5, 30]": (
        "op: conv, out_channels: 9, kernel: 4, stride: 2",
        "op: deconv, out_channels: 3, kernel: 5, stride: 2, dilation: 3, padding: 2",
        "op: fc, out_channels: 11",
    ),
    "[2, 3, 4, 3]": (
        "op: conv, out_channels: 5, kernel: [2, 3, 2], stride: [1, 2, 1], padding: 1",
        "op: deconv, out_channels: 3, kernel: [2, 3, 4], stride: 2",
    ),
}


def scheduled(operator, hardware, **fields):
    """A layer of a result's JSON."""
    data = {"name": operator.name, "op": operator.op, "deconvolution": None, "geometry": geometry(operator)}
    data |= {"bits": hardware.bits.to_dict()} | fields
    machine = HardwareModel(double_buffered=hardware.double_buffered)
    return read_layer(json.loads(json.dumps(data)), machine, "layers[0]")


def plain(layer, hardware, mapping):
    """A convolution, run with a mapping."""
    cost = evaluate(layer, hardware, mapping)
    part = {"name": layer.name, "groups": layer.groups, "count": 1, "geometry": geometry(layer)}
    part |= {"mapping": mapping_dict(layer, mapping, cost.footprint), "traffic": traffic_dict(cost.traffic)}
    return scheduled(layer, hardware, parts=[part])


def shared(deconv, hardware, mapping):
    """A deconvolution whose sub-convolutions share tiles, run with a mapping."""
    problem, rows = SharedProblem(deconv, hardware), iter(mapping.rounds)
    cost = problem.evaluate(mapping)
    parts = [
        {
            "name": f"{deconv.name}/{sub.name}",
            "groups": deconv.groups,
            "geometry": geometry(sub.layer) if sub.layer else None,
            "placement": [placement(deconv, sub)],
            "rounds": list(next(rows)) if sub.layer else [],
        }
        for sub in problem.kernels.subs
    ]
    fields = {"mapping": shared_mapping_dict(deconv, mapping, cost.footprint), "count": 1, "parts": parts}
    return scheduled(deconv, hardware, deconvolution="combine", traffic=traffic_dict(cost.traffic), **fields)
