"""Integers run through a network layer by layer, and through a fused stack step by step.

Layers see nothing but what the buffers hold: a source's rows come from DRAM when they are new, a map's rows
are gone when they are neither kept nor new. Only what is drained on its way out is remembered by the drain,
whose state is outside the buffer. It shares no code with ``formulation``.
"""

from itertools import product
from math import prod

import numpy as np

from tests.network.stacks.walker import Walk, window


def taps_at(axis, output):
    """Pairs (tap, input) of one output along one axis, those in range."""
    if type(axis).__name__ == "Axis":
        pairs = ((t, output * axis.stride - axis.pad_lo + axis.dilation * t) for t in range(axis.kernel))
    else:
        shifts = ((t, output + axis.pad_lo - axis.dilation * t) for t in range(axis.kernel))
        pairs = ((t, shift // axis.stride) for t, shift in shifts if shift % axis.stride == 0)
    return [(t, p) for t, p in pairs if 0 <= p < axis.in_size]


def convolved(layer, weights, at, inputs):
    """All output channels at one position; ``inputs`` gives all input channels at a position."""
    total = np.zeros((layer.groups, layer.out_channels), dtype=np.int64)
    for pairs in product(*(taps_at(axis, y) for axis, y in zip(layer.axes, at, strict=True))):
        taps, where = zip(*pairs, strict=True) if pairs else ((), ())
        words = inputs(where).reshape(layer.groups, layer.in_channels)
        total += np.einsum("goi,gi->go", weights[(..., *taps)], words)
    return total.reshape(-1)


def drained(node, windows, at, operands):
    """All channels of a node without MACs at one position: the most of a window, summed over operands."""
    found = []
    for axes, operand in zip(windows, operands, strict=True):
        spans = [sorted(window(axis, {y})) for axis, y in zip(axes, at, strict=True)]
        words = [operand(where) for where in product(*spans)]
        found.append(np.max(words, axis=0) if words else 0)
    assert node.op == "add" or len(found) == 1
    return sum(found)


def weights_of(network, draw):
    """Weights of every layer: groups x out x in x taps."""
    return {
        node.name: draw((node.layer.groups, node.layer.out_channels, node.layer.in_channels, *kernel(node)))
        for node in network.nodes
        if node.layer is not None
    }


def kernel(node):
    return tuple(axis.kernel for axis in node.layer.axes)


def layer_by_layer(network, inputs, weights):
    """Every node's values for one image: channels x extents."""
    values = dict(inputs)
    for node in network.nodes:
        given = [values[name] for name in node.inputs]
        if node.op == "concat":
            values[node.name] = np.concatenate(given)
            continue
        made = np.zeros(node.shape, dtype=np.int64)
        for at in product(*map(range, node.shape[1:])):
            if node.layer is not None:
                made[(..., *at)] = convolved(
                    node.layer, weights[node.name], at, lambda p, given=given: given[0][(..., *p)]
                )
            else:
                reads = [lambda p, v=v: v[(..., *p)] for v in given]
                made[(..., *at)] = drained(node, node.windows, at, reads)
        values[node.name] = made
    return values


class Run(Walk):
    """A walk of a stack that computes; afterwards ``written`` has what left it, by name and position."""

    def __init__(self, *arguments, values, weights):
        self.values, self.weights_given = values, weights
        self.buffer, self.done, self.written = {}, {}, {}
        self.node = {}
        super().__init__(*arguments)

    def count(self):
        self.node = {node.name: node for node in self.stack.network.nodes}
        self.done = {key: {} for key in self.maps}
        rows, *others = self.plans
        for strip in product(*(range(len(plan[self.root])) for plan in others)):
            self.buffer = {key: {} for key in self.maps}
            for band in range(len(rows[self.root])):
                for key in self.maps:
                    if key in rows:
                        columns = [plan[key][i][0] for plan, i in zip(others, strip, strict=True)]
                        self.compute_step(key, rows[key][band], columns)

    def compute_step(self, key, band, columns):
        new, kept = band
        held = self.buffer[key]
        for at in [at for at in held if at[0] not in kept]:
            del held[at]
        for at in product(sorted(new), *map(sorted, columns)):
            held[at] = self.made(key, at)
            self.done[key][at] = held[at]
            if key in self.stack.reads and self.stack.leaves(key, self.last):
                self.written.setdefault((key, at), held[at])
                assert (self.written[key, at] == held[at]).all()

    def made(self, key, at):
        name = self.name(key)
        if key not in self.stack.reads:
            return self.values[name][(..., *at)]
        node, edges = self.node[name], [e for e in self.edges if e[0] == key]
        if node.layer is not None:
            sources = [self.buffer[e[4]] for e in edges]
            return convolved(
                node.layer,
                self.weights_given[name],
                at,
                lambda p: np.concatenate([source[p] for source in sources]),
            )
        reads = [(self.buffer if held else self.done)[source].__getitem__ for _, _, _, held, source in edges]
        return drained(node, [axes for _, _, axes, _, _ in edges], at, reads)


def positions(network, name):
    """How many a map has."""
    return prod(next(node.shape for node in network.nodes if node.name == name)[1:])
