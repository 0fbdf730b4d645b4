"""Bursts counted address by address: all that moves, tile by tile, and the runs that it makes.

Shares no code with ``formulation``. A tile is the addresses of its elements; a run is a piece of them without
a gap. As one descriptor serves all tiles of a tensor, a run does not go on from the end of a dimension that
the mapping cuts to its beginning, not even in a tile that happens to hold all of it.
"""

from functools import lru_cache
from itertools import product
from math import prod

from tests.walkers.walker import Walk, cuts, span


@lru_cache(maxsize=1 << 18)
def run_lengths(box, extents, cut):
    """Lengths of the runs of a box of elements.

    Args:
        box: positions along each dimension, outermost first.
        extents: stored.
        cut: whether the mapping has several tiles along it.
    """
    strides = [prod(extents[d + 1 :]) for d in range(len(extents))]
    places = sorted((sum(i * s for i, s in zip(at, strides, strict=True)), at) for at in product(*box))
    lengths = []
    before = None
    for address, at in places:
        goes_on = before is not None and address == before[0] + 1
        if goes_on:
            steps = next(d for d, (i, j) in enumerate(zip(at, before[1], strict=True)) if i != j)
            goes_on = not any(cut[steps + 1 :])  # those inside have ended, if only after one element
        if goes_on:
            lengths[-1] += 1
        else:
            lengths.append(1)
        before = address, at
    return lengths


class BurstWalk(Walk):
    """A walk that also counts bits across the pins (``bits``), of all groups."""

    def __init__(self, layer, hardware, mapping):
        tile = mapping.tile
        self.bits = {"ifmap": 0, "weights": 0, "ofmap": 0}
        self.cut = {"co": tile.out_channels < layer.out_channels, "ci": tile.in_channels < layer.in_channels}
        self.cut_axes = [t < a.out for t, a in zip(tile.spatial, layer.axes, strict=True)]
        self.seen = {}
        super().__init__(layer, hardware, mapping)
        self.bits = {name: layer.groups * bits for name, bits in self.bits.items()}

    def crossed(self, box, extents, cut, width):
        burst = 8 * self.hardware.burst_bytes
        lengths = run_lengths(tuple(map(tuple, box)), tuple(extents), tuple(cut))
        return sum(-(-n * width // burst) * burst for n in lengths)

    def map_bits(self, images, channels, count, cut, axes, sizes, width):
        """Of a tile of a feature map, its channels those of the first group."""
        layer = self.layer
        dims = list(zip(axes, sizes, self.cut_axes, strict=True))
        batch = images, layer.batch, len(images) < layer.batch
        inner = channels, layer.groups * count, cut
        ordered = [batch, inner, *dims] if self.hardware.layout == "NCHW" else [batch, *dims, inner]
        return self.crossed(*zip(*ordered, strict=True), width)

    def visit(self, co, ci, sp):
        self.step = co, ci, sp
        super().visit(co, ci, sp)
        self.seen.setdefault((co[0], sp[0]), set()).add(ci[0])

    def fetch_weights(self, key, words):
        before, layer = self.weights, self.layer
        super().fetch_weights(key, words)
        if self.weights > before:
            taps = range(prod(a.kernel for a in layer.axes))
            box, extents = (self.step[0][1], self.step[1][1], taps), (layer.out_channels, layer.in_channels)
            cut, width = (self.cut["co"], self.cut["ci"], False), self.hardware.bits.weights
            self.bits["weights"] += self.crossed(box, (*extents, len(taps)), cut, width)

    def fetch_ifmap(self, ci_i, sp_i, channels, dims):
        before, layer = self.ifmap, self.layer
        super().fetch_ifmap(ci_i, sp_i, channels, dims)
        if self.ifmap > before:
            axes = [sorted(span(a, o)) for a, o in zip(layer.axes, dims[1:], strict=True)]
            sizes, width = [a.in_size for a in layer.axes], self.hardware.bits.ifmap
            count, cut = layer.in_channels, self.cut["ci"]
            self.bits["ifmap"] += self.map_bits(dims[0], self.step[1][1], count, cut, axes, sizes, width)

    def open_ofmap(self, key, words):
        held, reads = self.held["ofmap"], self.reads
        super().open_ofmap(key, words)
        if held is not None and held is not self.held["ofmap"]:
            self.write(held[0])
        if self.reads > reads:
            self.bits["ofmap"] += self.ofmap_bits(key, self.hardware.bits.partial_sums)

    def walk(self):
        super().walk()
        self.write(self.held["ofmap"][0])

    def write(self, key):
        """A tile leaves; it is final once all input channels have been added."""
        width, layer = self.hardware.bits, self.layer
        final = len(self.seen[key]) == len(cuts(layer.in_channels, self.mapping.tile.in_channels))
        self.bits["ofmap"] += self.ofmap_bits(key, width.ofmap if final else width.partial_sums)

    def ofmap_bits(self, key, width):
        """Of a tile of the ofmap, by its place."""
        layer, tile = self.layer, self.mapping.tile
        co_i, (n_i, *places) = key
        channels = cuts(layer.out_channels, tile.out_channels)[co_i]
        pairs = zip(layer.axes, tile.spatial, places, strict=True)
        axes = [cuts(a.out, t)[i] for a, t, i in pairs]
        images = cuts(layer.batch, tile.batch)[n_i]
        sizes = [a.out for a in layer.axes]
        return self.map_bits(images, channels, layer.out_channels, self.cut["co"], axes, sizes, width)
