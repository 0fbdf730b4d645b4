"""A DMA program written from a result's JSON alone: it moves tiles, computes, and counts the words that move.

It imports nothing of the project: what it needs beside the JSON would be missing in the JSON.
"""

from itertools import product
from math import prod

import numpy as np


def pieces(layer):
    """(mapping, traffic, sub-layers that run together with their filters of each round) of each run."""
    if "mapping" in layer:
        rows = [row for row in layer["parts"] if row["geometry"] is not None]
        yield layer["mapping"], layer["traffic"], [(row, row["placement"][0], row["rounds"]) for row in rows]
        return
    for part in layer["parts"]:
        if part["mapping"] is not None:
            size, channels = part["mapping"]["tile"]["out_channels"], part["geometry"]["out_channels"]
            rounds = [min(size, channels - start) for start in range(0, channels, size)]
            for place in part.get("placement", [None]):
                yield part["mapping"], part["traffic"], [(part, place, rounds)]


class Transfers:
    """One piece, run tile by tile; ``results`` are the ofmaps of its sub-layers, ``words`` what moved."""

    def __init__(self, mapping, rows, ifmap, weights):
        self.mapping, self.rows, self.ifmap, self.weights = mapping, rows, ifmap, weights
        self.words = dict.fromkeys(("ifmap", "weights", "ofmap_write", "ofmap_read"), 0)
        self.results = []
        for row, _, _ in rows:
            shape = row["geometry"]
            extents = [axis["ofmap"] for axis in shape["axes"]]
            groups = mapping["trips"]["groups"]
            self.results.append(np.zeros((groups, shape["batch"], shape["out_channels"], *extents), int))
        self.held = dict.fromkeys(("ifmap", "weights", "ofmap"))
        self.seen = set()
        self.run()

    def run(self):
        order, trips = self.mapping["loop_order"], self.mapping["trips"]
        counts = {name: trips[name] for name in trips if name != "spatial"}
        counts |= {f"spatial.{i}": n for i, n in enumerate(trips["spatial"])}
        assert sorted(order) == sorted(counts)
        for at in product(*(range(counts[name]) for name in order)):
            index = dict(zip(order, at, strict=True))
            index["outputs"] = index.pop("rounds", index.get("out_channels"))
            self.visit(index)
        self.words["ofmap_write"] += self.held["ofmap"][1]

    def tile(self, name, index, extent, size):
        return range(index[name] * size, min(extent, (index[name] + 1) * size))

    def outputs(self, row, index):
        """Ranges of the batch and of each axis of a sub-layer's ofmap in this tile."""
        shape, tile = row["geometry"], self.mapping["tile"]
        yield self.tile("batch", index, shape["batch"], tile["batch"])
        for i, (axis, size) in enumerate(zip(shape["axes"], tile["spatial"], strict=True)):
            yield self.tile(f"spatial.{i}", index, axis["ofmap"], size)

    def visit(self, index):
        axes = range(len(self.mapping["tile"]["spatial"]))
        place = (index["groups"], index["batch"], *(index[f"spatial.{i}"] for i in axes))
        shape = self.rows[0][0]["geometry"]
        channels = self.tile("in_channels", index, shape["in_channels"], self.mapping["tile"]["in_channels"])
        filters = [rounds[index["outputs"]] for _, _, rounds in self.rows]
        outputs = [list(self.outputs(row, index)) for row, _, _ in self.rows]
        taps = [prod(axis["kernel"] for axis in row["geometry"]["axes"]) for row, _, _ in self.rows]
        weights = len(channels) * sum(f * t for f, t in zip(filters, taps, strict=True))
        self.fetch("weights", (index["groups"], index["outputs"], index["in_channels"]), weights)
        hulls = [self.hull(i, [out[i + 1] for out in outputs]) for i in axes]
        self.slide((index["in_channels"], *place), hulls, len(channels) * len(outputs[0][0]))
        pixels = [prod(map(len, out)) for out in outputs]
        self.accumulate((index["outputs"], *place), sum(f * p for f, p in zip(filters, pixels, strict=True)))
        for k, (_, _, rounds) in enumerate(self.rows):
            first = sum(rounds[: index["outputs"]])
            self.compute(k, index["groups"], range(first, first + filters[k]), channels, outputs[k])

    def fetch(self, tensor, key, words):
        if self.held[tensor] != key:
            self.held[tensor] = key
            self.words[tensor] += words

    def hull(self, i, outputs):
        """The inputs from the first to the last that any sub-layer needs along an axis."""
        needs = []
        for (row, _, _), out in zip(self.rows, outputs, strict=True):
            axis = row["geometry"]["axes"][i]
            if out:
                first = out[0] * axis["stride"] - axis["pad_before"]
                last = out[-1] * axis["stride"] - axis["pad_before"] + axis["dilation"] * (axis["kernel"] - 1)
                needs.append(range(max(0, first), min(axis["ifmap"], last + 1)))
        needs = [need for need in needs if need]
        return set(range(min(n[0] for n in needs), max(n[-1] for n in needs) + 1)) if needs else set()

    def slide(self, key, hulls, rows):
        held, axis = self.held["ifmap"], self.mapping["sliding_axis"]
        if held is not None and held[0] == key:
            return
        new = list(hulls)
        if held is not None and axis is not None:
            ahead = list(held[0])
            ahead[3 + axis] += 1
            if tuple(ahead) == key:
                new[axis] = hulls[axis] - held[1][axis]
        self.words["ifmap"] += rows * prod(map(len, new))
        self.held["ifmap"] = (key, hulls)

    def accumulate(self, key, words):
        held = self.held["ofmap"]
        if held is not None and held[0] == key:
            return
        self.words["ofmap_write"] += held[1] if held is not None else 0
        self.words["ofmap_read"] += words if key in self.seen else 0
        self.seen.add(key)
        self.held["ofmap"] = (key, words)

    def compute(self, k, group, filters, channels, outputs):
        row, place, _ = self.rows[k]
        axes = row["geometry"]["axes"]
        images, *places = outputs
        for at in product(*places):
            for tap in product(*(range(axis["kernel"]) for axis in axes)):
                read = [
                    y * axis["stride"] - axis["pad_before"] + axis["dilation"] * t
                    for y, axis, t in zip(at, axes, tap, strict=True)
                ]
                if all(0 <= x < axis["ifmap"] for x, axis in zip(read, axes, strict=True)):
                    where = tap
                    if place is not None:
                        where = tuple(axis["taps"][t] for axis, t in zip(place["axes"], tap, strict=True))
                    for f, c, n in product(filters, channels, images):
                        x = self.ifmap[(group, n, c, *read)]
                        self.results[k][(group, n, f, *at)] += x * self.weights[(group, f, c, *where)]


def outputs_of(place):
    """Where a sub-convolution's ofmap lies in the deconvolution's."""
    if place is None:
        return (...,)
    where = (slice(axis["first_output"], None, axis["output_step"]) for axis in place["axes"])
    return ((slice(None),) * 3) + tuple(where)
