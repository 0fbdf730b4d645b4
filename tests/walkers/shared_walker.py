"""A machine that runs a combined deconvolution on real numbers, round by round, and counts what moves.

Written from the definition of the transposed convolution (output ``y = x*stride + dilation*t - pad_lo``) and
the model's words; it shares no code with ``formulation``. DRAM holds whole tensors, SRAM one tile of each:
computing reads nothing else.
"""

from itertools import product
from math import ceil, prod

import numpy as np

ORDERS = {"weight": ("ci", "co", "sp"), "input": ("ci", "sp", "co"), "output": ("co", "sp", "ci")}


def cuts(extent, tile):
    return [range(start, min(extent, start + tile)) for start in range(0, extent, tile)]


def taps_of(axis, residue):
    """The taps that reach the outputs of one residue."""
    shift = residue + axis.pad_lo
    return [t for t in range(axis.kernel) if (shift - axis.dilation * t) % axis.stride == 0]


def inputs_of(axis, residue, outputs):
    """The contiguous in-range inputs from the first to the last that outputs of a phase see."""
    seen = [
        (residue + axis.stride * m + axis.pad_lo - axis.dilation * t) // axis.stride
        for m in outputs
        for t in taps_of(axis, residue)
    ]
    return [x for x in range(min(seen), max(seen) + 1) if 0 <= x < axis.in_size] if seen else []


class Machine:
    """One run; ``ofmap`` is the result, the other attributes are counts of words and cycles."""

    def __init__(self, deconv, hardware, mapping, ifmap, weights):
        self.deconv, self.hardware, self.mapping = deconv, hardware, mapping
        self.ifmap_dram, self.weights_dram = ifmap, weights
        sizes = [a.out for a in deconv.axes]
        self.ofmap = np.full((deconv.groups, deconv.batch, deconv.out_channels, *sizes), -(10**9))
        residues = list(product(*(range(min(a.stride, a.out)) for a in deconv.axes)))
        reached = [all(taps_of(a, r) for a, r in zip(deconv.axes, rs, strict=True)) for rs in residues]
        self.kernels = [rs for rs, ok in zip(residues, reached, strict=True) if ok]
        self.counts = dict.fromkeys(("ifmap", "weights", "ofmap_write", "ofmap_read"), 0)
        self.largest = dict.fromkeys(("ifmap", "weights", "ofmap"), 0)
        self.compute = self.transfers = 0
        for group in range(deconv.groups):
            self.run(group)
        for rs, ok in zip(residues, reached, strict=True):
            if not ok:  # outside the rounds
                self.ofmap[(slice(None),) * 3 + self.places(rs)] = 0

    def places(self, residues):
        return tuple(slice(r, a.out, a.stride) for r, a in zip(residues, self.deconv.axes, strict=True))

    def spatial(self):
        """Tiles in the order of the walk: index and ranges of the batch and of each axis of the grid."""
        deconv, mapping = self.deconv, self.mapping
        dims = [cuts(deconv.batch, mapping.batch)]
        grid = [ceil(a.out / a.stride) for a in deconv.axes]
        dims += [cuts(n, t) for n, t in zip(grid, mapping.spatial, strict=True)]
        order = list(range(len(dims)))
        if mapping.sliding_axis is not None:
            order.append(order.pop(mapping.sliding_axis + 1))
        for picked in product(*(range(len(dims[d])) for d in order)):
            index = tuple(i for _, i in sorted(zip(order, picked, strict=True)))
            yield index, [dim[i] for dim, i in zip(dims, index, strict=True)]

    def rounds(self):
        """Filters of each sub-kernel in each round."""
        ends = [0] * len(self.kernels)
        for column in zip(*self.mapping.rounds, strict=True):
            held = [range(end, end + n) for end, n in zip(ends, column, strict=True)]
            ends = [h.stop for h in held]
            yield held

    def run(self, group):
        self.group, self.held, self.started = group, {}, {}
        loops = {
            "ci": list(enumerate(cuts(self.deconv.in_channels, self.mapping.in_channels))),
            "co": list(enumerate(self.rounds())),
            "sp": list(self.spatial()),
        }
        names = ORDERS[self.mapping.stationary]
        for picked in product(*(loops[name] for name in names)):
            step = dict(zip(names, picked, strict=True))
            self.visit(step["ci"], step["co"], step["sp"])
        self.write_back()

    def outputs(self, rs, dims):
        """The tile clipped to a sub-kernel's own outputs."""
        own = [range(r, a.out, a.stride) for r, a in zip(rs, self.deconv.axes, strict=True)]
        return [[m for m in d if m < len(o)] for d, o in zip(dims[1:], own, strict=True)]

    def visit(self, ci, co, sp):
        self.load_ifmap(ci, sp)
        self.load_weights(ci, co)
        self.open_ofmap(co, sp)
        for j, filters in enumerate(co[1]):
            outputs = self.outputs(self.kernels[j], sp[1])
            pixels = len(sp[1][0]) * prod(len(o) for o in outputs)
            if filters and pixels:
                self.multiply(j, filters, outputs)
                self.tick(pixels, len(filters), len(ci[1]), self.kernels[j])

    def load_ifmap(self, ci, sp):
        """One hull for all sub-kernels."""
        (ci_i, channels), (sp_i, dims) = ci, sp
        held = self.held.get("ifmap")
        if held and held["key"] == (ci_i, sp_i):
            return
        hulls = []
        for d, axis in enumerate(self.deconv.axes):
            residues = {rs[d] for rs in self.kernels}
            own = {r: [m for m in dims[d + 1] if r + axis.stride * m < axis.out] for r in residues}
            seen = sorted({x for r in residues if own[r] for x in inputs_of(axis, r, own[r])})
            hulls.append(range(seen[0], seen[-1] + 1) if seen else range(0))
        words = len(channels) * len(dims[0]) * prod(len(h) for h in hulls)
        self.largest["ifmap"] = max(self.largest["ifmap"], words)
        new, axis = list(hulls), self.mapping.sliding_axis
        if held and axis is not None and held["key"][0] == ci_i:
            ahead = list(held["key"][1])
            ahead[axis + 1] += 1
            if tuple(ahead) == sp_i:
                new[axis] = set(hulls[axis]) - set(held["hulls"][axis])
        self.transfers += 1
        self.counts["ifmap"] += len(channels) * len(dims[0]) * prod(len(h) for h in new)
        tile = self.ifmap_dram[self.group][np.ix_(dims[0], channels, *hulls)]
        self.held["ifmap"] = {"key": (ci_i, sp_i), "hulls": hulls, "tile": tile.copy()}

    def load_weights(self, ci, co):
        key = ci[0], co[0]
        held = self.held.get("weights")
        if held and held["key"] == key:
            return
        tiles, words = {}, 0
        for j, filters in enumerate(co[1]):
            taps = [taps_of(a, r) for a, r in zip(self.deconv.axes, self.kernels[j], strict=True)]
            tiles[j] = self.weights_dram[self.group][np.ix_(ci[1], filters, *taps)].copy()
            words += tiles[j].size
        self.largest["weights"] = max(self.largest["weights"], words)
        self.counts["weights"] += words
        self.transfers += 1
        self.held["weights"] = {"key": key, "tiles": tiles}

    def open_ofmap(self, co, sp):
        key = co[0], sp[0]
        held = self.held.get("ofmap")
        if held and held["key"] == key:
            return
        self.write_back()
        places, tiles, words = {}, {}, 0
        for j, filters in enumerate(co[1]):
            ys = [
                [r + a.stride * m for m in o]
                for r, a, o in zip(
                    self.kernels[j], self.deconv.axes, self.outputs(self.kernels[j], sp[1]), strict=True
                )
            ]
            places[j] = np.ix_(sp[1][0], filters, *ys)
            shape = (len(sp[1][0]), len(filters), *(len(y) for y in ys))
            tiles[j] = (
                self.ofmap[self.group][places[j]].copy() if key in self.started else np.zeros(shape, int)
            )
            words += prod(shape)
        if key in self.started:
            self.counts["ofmap_read"] += words
            self.transfers += 1
        self.started[key] = True
        self.largest["ofmap"] = max(self.largest["ofmap"], words)
        self.held["ofmap"] = {"key": key, "places": places, "tiles": tiles, "words": words}

    def write_back(self):
        held = self.held.pop("ofmap", None)
        if held:
            self.counts["ofmap_write"] += held["words"]
            self.transfers += 1
            for j, tile in held["tiles"].items():
                self.ofmap[self.group][held["places"][j]] = tile

    def multiply(self, j, filters, outputs):
        """Every output of the tile, every tap, from the tiles held."""
        ifmap, kernel = self.held["ifmap"], self.held["weights"]["tiles"][j]
        result = self.held["ofmap"]["tiles"][j]
        taps = [
            list(enumerate(taps_of(a, r))) for a, r in zip(self.deconv.axes, self.kernels[j], strict=True)
        ]
        for place in product(*(list(enumerate(o)) for o in outputs)):
            for picked in product(*taps):
                at = []
                for d, axis in enumerate(self.deconv.axes):
                    y = self.kernels[j][d] + axis.stride * place[d][1]
                    x = (y + axis.pad_lo - axis.dilation * picked[d][1]) // axis.stride
                    at.append(x - ifmap["hulls"][d].start if 0 <= x < axis.in_size else None)
                if None not in at:
                    pixel = ifmap["tile"][(slice(None), slice(None), *at)]
                    weight = kernel[(slice(None), slice(None), *(i for i, _ in picked))]
                    result[(slice(None), slice(None), *(i for i, _ in place))] += pixel @ weight

    def tick(self, pixels, filters, channels, rs):
        hardware = self.hardware
        taps = prod(len(taps_of(a, r)) for a, r in zip(self.deconv.axes, rs, strict=True))
        fill = hardware.rows + hardware.cols - 2 if hardware.fill == "exposed" else 0
        on_rows, on_cols, stream = {
            "output": (pixels, filters, channels * taps),
            "weight": (channels * taps, filters, pixels),
            "input": (channels * taps, pixels, filters),
        }[hardware.dataflow]
        self.compute += ceil(on_rows / hardware.rows) * ceil(on_cols / hardware.cols) * (stream + fill)
