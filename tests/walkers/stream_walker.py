"""A reference that runs each tile in inner steps where one group of it is cut into sub-tiles.

Goes on from the walkers of whole tiles; knows no closed form and shares no code with ``formulation``.
"""

from itertools import product
from math import prod

from tests.walkers.ports import PortWalk, one_tile
from tests.walkers.walker import cuts, span

STREAMED = {
    ("output", "co"): "weights",
    ("output", "sp"): "ifmap",
    ("weight", "co"): "ofmap",
    ("weight", "ci"): "ifmap",
    ("input", "sp"): "ofmap",
    ("input", "ci"): "weights",
}


def parts(outputs, size):
    """A range of places cut into ranges of at most ``size``."""
    return [range(outputs[0] + part[0], outputs[0] + part[-1] + 1) for part in cuts(len(outputs), size)]


class StreamWalk(PortWalk):
    """A walk in inner steps.

    Args:
        keeps: whether a sub-tile of weights or ifmap that is met again in the very next step is kept. It only
            is where a tile at the end is a single sub-tile. A machine that streams does not look for that.
    """

    def __init__(self, layer, hardware, mapping, keeps=False):
        tile, inner = mapping.tile, mapping.inner or mapping.tile
        self.keeps = keeps
        self.sizes = {
            "co": inner.out_channels,
            "ci": inner.in_channels,
            "sp": (inner.batch, *inner.spatial),
        }
        whole = {"co": tile.out_channels, "ci": tile.in_channels, "sp": (tile.batch, *tile.spatial)}
        differ = [name for name, size in self.sizes.items() if size != whole[name]]
        self.cut = differ[0] if differ else None
        self.streamed = STREAMED[str(mapping.stationary), self.cut] if self.cut else None
        axis = mapping.sliding_axis
        others = [d for d in range(len(whole["sp"])) if axis is None or d != axis + 1]
        uncut = all(self.sizes["sp"][d] == whole["sp"][d] for d in others)
        self.slides = axis is not None and self.cut == "sp" and uncut
        super().__init__(layer, hardware, mapping)

    def visit(self, co, ci, sp):
        if self.cut is None:
            super().visit(co, ci, sp)
            return
        steps = {"co": [co[1]], "ci": [ci[1]], "sp": [sp[1]]}
        if self.cut == "sp":
            each = [parts(dim, size) for dim, size in zip(sp[1], self.sizes["sp"], strict=True)]
            steps["sp"] = [list(dims) for dims in product(*each)]
        else:
            whole = {"co": co, "ci": ci}[self.cut][1]
            steps[self.cut] = parts(whole, self.sizes[self.cut])
        if not self.keeps and self.streamed == "weights":
            self.held["weights"] = None
        if not self.keeps and self.streamed == "ifmap" and not self.slides:
            self.held["ifmap"] = None
        for cos, cis, dims in product(steps["co"], steps["ci"], steps["sp"]):
            self.step(co, ci, sp, cos, cis, dims)

    def step(self, co, ci, sp, cos, cis, dims):
        taps = prod(a.kernel for a in self.layer.axes)
        if self.streamed == "weights":
            self.fetch_weights((cos, cis), len(cos) * len(cis) * taps)
        else:
            self.fetch_weights((co[1], ci[1]), len(co[1]) * len(ci[1]) * taps)
        if self.streamed == "ifmap":
            self.fetch_window(cis, dims)
        else:
            self.fetch_ifmap(ci[0], sp[0], len(ci[1]), sp[1])
        if self.streamed == "ofmap":
            self.open_ofmap((cos, tuple(dims)), len(cos) * prod(map(len, dims)))
        else:
            self.open_ofmap((co[1], tuple(sp[1])), len(co[1]) * prod(map(len, sp[1])))
        machine = self.hardware
        self.compute += self.array_cycles(len(cos), len(cis) * taps, prod(map(len, dims)))
        array = machine.dataflow, machine.rows, machine.cols
        words = one_tile(self.layer.axes, array, len(cos), len(cis), tuple(dims), cis[0] > 0)
        self.port_ifmap += words[0]
        self.port_weights += words[1]
        self.port_writes += words[2]
        self.port_reads += words[3]

    def fetch_window(self, cis, dims):
        """A sub-tile of the ifmap: what the window before it along the sliding axis has, is not fetched."""
        spans = [span(a, outputs) for a, outputs in zip(self.layer.axes, dims[1:], strict=True)]
        words = len(cis) * len(dims[0]) * prod(len(s) for s in spans)
        self.largest["ifmap"] = max(self.largest["ifmap"], words)
        held, axis = self.held["ifmap"], self.mapping.sliding_axis
        self.held["ifmap"] = cis, dims, spans
        if held is not None and held[:2] == (cis, dims):
            return
        if held is not None and self.slides and held[0] == cis:
            others = all(
                one == other
                for d, (one, other) in enumerate(zip(held[1], dims, strict=True))
                if d != axis + 1
            )
            if others and held[1][axis + 1].stop == dims[axis + 1].start:
                spans = [s - held[2][i] if i == axis else s for i, s in enumerate(spans)]
                words = len(cis) * len(dims[0]) * prod(len(s) for s in spans)
        self.ifmap += words
