"""A reference that walks the tiled loop nest and counts what moves, tile by tile.

Written from the model's words alone: it shares no code with ``formulation``, knows no closed form, and holds
one tile of each tensor as the set of its coordinates along each dimension.
"""

from collections import Counter
from itertools import product
from math import ceil, prod

ORDERS = {"weight": "ci co sp", "input": "ci sp co", "output": "co sp ci"}


def cuts(extent, tile):
    return [range(start, min(extent, start + tile)) for start in range(0, extent, tile)]


def span(axis, outputs):
    """The contiguous in-range input positions from the first to the last that outputs need."""
    first = outputs[0] * axis.stride - axis.pad_lo
    last = outputs[-1] * axis.stride - axis.pad_lo + axis.dilation * (axis.kernel - 1)
    return frozenset(p for p in range(first, last + 1) if 0 <= p < axis.in_size)


class Walk:
    """Counts of one walk; words and cycles of all groups, tile sizes of one."""

    def __init__(self, layer, hardware, mapping):
        self.layer, self.hardware, self.mapping = layer, hardware, mapping
        self.ifmap = self.weights = self.writes = self.reads = self.compute = 0
        self.moves = Counter()  # transfers
        self.largest = {"ifmap": 0, "weights": 0, "ofmap": 0}
        self.held = {"ifmap": None, "weights": None, "ofmap": None}
        self.started = set()  # ofmap tiles that hold partial sums in DRAM or are resident
        self.walk()
        for name in ("ifmap", "weights", "writes", "reads", "compute"):
            setattr(self, name, layer.groups * getattr(self, name))
        self.moves = {name: layer.groups * count for name, count in self.moves.items()}
        self.transfers = sum(self.moves.values())

    def spatial_tiles(self):
        """Indices of the spatial and batch tiles in the order of the walk, the sliding axis innermost."""
        layer, tile = self.layer, self.mapping.tile
        dims = [cuts(layer.batch, tile.batch)]
        dims += [cuts(a.out, t) for a, t in zip(layer.axes, tile.spatial, strict=True)]
        order = list(range(len(dims)))
        if self.mapping.sliding_axis is not None:
            order.append(order.pop(self.mapping.sliding_axis + 1))
        for picked in product(*(range(len(dims[d])) for d in order)):
            index = [0] * len(dims)
            for d, i in zip(order, picked, strict=True):
                index[d] = i
            yield tuple(index), [dims[d][index[d]] for d in range(len(dims))]

    def walk(self):
        layer, tile = self.layer, self.mapping.tile
        loops = {
            "co": list(enumerate(cuts(layer.out_channels, tile.out_channels))),
            "ci": list(enumerate(cuts(layer.in_channels, tile.in_channels))),
            "sp": list(self.spatial_tiles()),
        }
        names = ORDERS[self.mapping.stationary].split()
        for picked in product(*(loops[name] for name in names)):
            step = dict(zip(names, picked, strict=True))
            self.visit(step["co"], step["ci"], step["sp"])
        self.writes += self.held["ofmap"][1]
        self.moves["writes"] += 1

    def visit(self, co, ci, sp):
        (co_i, cos), (ci_i, cis), (sp_i, dims) = co, ci, sp
        layer = self.layer
        taps = prod(a.kernel for a in layer.axes)
        pixels = prod(len(d) for d in dims)
        self.fetch_weights((co_i, ci_i), len(cos) * len(cis) * taps)
        self.fetch_ifmap(ci_i, sp_i, len(cis), dims)
        self.open_ofmap((co_i, sp_i), len(cos) * pixels)
        self.compute += self.array_cycles(len(cos), len(cis) * taps, pixels)

    def array_cycles(self, channels, reduction, pixels):
        hardware = self.hardware
        fill = hardware.rows + hardware.cols - 2 if hardware.fill == "exposed" else 0
        sides = {
            "output": (pixels, channels, reduction),
            "weight": (reduction, channels, pixels),
            "input": (reduction, pixels, channels),
        }
        on_rows, on_cols, stream = sides[hardware.dataflow]
        return ceil(on_rows / hardware.rows) * ceil(on_cols / hardware.cols) * (stream + fill)

    def fetch_weights(self, key, words):
        self.largest["weights"] = max(self.largest["weights"], words)
        if self.held["weights"] != key:
            self.weights += words
            self.moves["weights"] += 1
            self.held["weights"] = key

    def fetch_ifmap(self, ci_i, sp_i, channels, dims):
        spans = [span(a, outputs) for a, outputs in zip(self.layer.axes, dims[1:], strict=True)]
        words = channels * len(dims[0]) * prod(len(s) for s in spans)
        self.largest["ifmap"] = max(self.largest["ifmap"], words)
        held, axis = self.held["ifmap"], self.mapping.sliding_axis
        if held is not None and held[:2] == (ci_i, sp_i):
            return
        if held is not None and axis is not None and held[0] == ci_i:
            ahead = list(held[1])
            ahead[axis + 1] += 1
            if tuple(ahead) == sp_i:
                new = list(spans)
                new[axis] = spans[axis] - held[2][axis]
                words = channels * len(dims[0]) * prod(len(s) for s in new)
        self.ifmap += words
        self.moves["ifmap"] += 1
        self.held["ifmap"] = (ci_i, sp_i, spans)

    def open_ofmap(self, key, words):
        self.largest["ofmap"] = max(self.largest["ofmap"], words)
        held = self.held["ofmap"]
        if held is not None and held[0] == key:
            return
        if held is not None:
            self.writes += held[1]
            self.moves["writes"] += 1
        if key in self.started:
            self.reads += words
            self.moves["reads"] += 1
        self.started.add(key)
        self.held["ofmap"] = (key, words)
