"""A machine of a DMA engine, an array and a buffer of halves, event by event; no code is shared.

All steps are visited, tiles told apart by their coordinates. At each event the engine begins the transfer
at the head of its queue if that can begin, the array its next step if that can begin; then time goes on.
"""

from fractions import Fraction
from itertools import groupby, product
from math import ceil, prod

WIDE = {"weights": ("groups", "outputs", "in_channels"), "ifmap": ("groups", "in_channels", "sp")}
WIDE["ofmap"] = ("groups", "outputs", "sp")


def piece(size, extent, i):
    return range(i * size, min(extent, (i + 1) * size))


class Machine:
    """One run; ``latency``, ``compute``, ``words`` and ``largest`` (bits) are what it did.

    Args:
        mapping: of a result's JSON.
        kernels: geometry and filters of each round, of each kernel that shares the ifmap tiles.
        hardware: as the formulation has it.
        in_pieces: whether ofmap tiles that stay are written in pieces.
    """

    def __init__(self, mapping, kernels, hardware, in_pieces=False):
        self.mapping, self.kernels, self.hardware = mapping, kernels, hardware
        self.words = dict.fromkeys(("ifmap", "weights", "ofmap_write", "ofmap_read"), 0)
        self.largest = dict.fromkeys(("ifmap", "ofmap", "weights"), 0)
        self.steps = list(self.visit())
        self.compute = sum(step["cycles"] for step in self.steps)
        self.residencies = {tensor: self.stays(tensor) for tensor in WIDE}
        self.pieces = 1
        longest = {t: max(map(len, r)) for t, r in self.residencies.items()}
        self.longest = next((tensor for tensor, steps in longest.items() if steps > 1), None)
        if in_pieces and self.longest == "ofmap" and hardware.double_buffered:
            self.pieces = longest["ofmap"]
        self.queue = self.transfers()
        self.latency = self.run()

    def visit(self):
        trips, order = self.mapping["trips"], self.mapping["loop_order"]
        counts = {name: n for name, n in trips.items() if name != "spatial"}
        counts |= {f"spatial.{i}": n for i, n in enumerate(trips["spatial"])}
        before = None
        for at in product(*(range(counts[name]) for name in order)):
            index = dict(zip(order, at, strict=True))
            index["outputs"] = index.pop("rounds", index.get("out_channels"))
            index["sp"] = (index["batch"], *(index[f"spatial.{i}"] for i in range(len(trips["spatial"]))))
            before = self.step(index, before)
            yield before

    def step(self, index, before):
        tile, shape = self.mapping["tile"], self.kernels[0][0]
        channels = len(piece(tile["in_channels"], shape["in_channels"], index["in_channels"]))
        images = len(piece(tile["batch"], shape["batch"], index["batch"]))
        hulls, outputs = [], [[images] for _ in self.kernels]
        for i, size in enumerate(tile["spatial"]):
            reads = set()
            for k, (geometry, _) in enumerate(self.kernels):
                axis = geometry["axes"][i]
                made = piece(size, axis["ofmap"], index[f"spatial.{i}"])
                outputs[k].append(len(made))
                if len(made):
                    low = made[0] * axis["stride"] - axis["pad_before"]
                    high = (
                        made[-1] * axis["stride"]
                        - axis["pad_before"]
                        + axis["dilation"] * (axis["kernel"] - 1)
                    )
                    reads |= {x for x in range(low, high + 1) if 0 <= x < axis["ifmap"]}
            hulls.append(set(range(min(reads), max(reads) + 1)) if reads else set())
        filters = [rounds[index["outputs"]] for _, rounds in self.kernels]
        pixels = [prod(own) for own in outputs]
        taps = [prod(axis["kernel"] for axis in geometry["axes"]) for geometry, _ in self.kernels]
        keys = {tensor: tuple(index[name] for name in names) for tensor, names in WIDE.items()}
        new = list(hulls)
        slide = self.mapping["sliding_axis"]
        if before is not None and slide is not None:
            g, c, sp = keys["ifmap"]
            back = tuple(x - (d == slide + 1) for d, x in enumerate(sp))
            if before["keys"]["ifmap"] == (g, c, back):
                new[slide] = hulls[slide] - before["hulls"][slide]
        rows = channels * images
        return {
            "keys": keys,
            "hulls": hulls,
            "last": index["in_channels"] == self.mapping["trips"]["in_channels"] - 1,
            "held": {
                "ifmap": rows * prod(map(len, hulls)),
                "ofmap": sum(f * p for f, p in zip(filters, pixels, strict=True)),
                "weights": channels * sum(f * t for f, t in zip(filters, taps, strict=True)),
            },
            "fetched": rows * prod(map(len, new)),
            "cycles": sum(map(self.cycles, filters, pixels, [channels] * len(taps), taps)),
        }

    def cycles(self, filters, pixels, channels, taps):
        if 0 in (filters, pixels):
            return 0
        hardware, reduction = self.hardware, channels * taps
        fill = hardware.rows + hardware.cols - 2 if hardware.fill == "exposed" else 0
        down, across, stream = {
            "output": (pixels, filters, reduction),
            "weight": (reduction, filters, pixels),
            "input": (reduction, pixels, filters),
        }[hardware.dataflow]
        return ceil(down / hardware.rows) * ceil(across / hardware.cols) * (stream + fill)

    def stays(self, tensor):
        """The steps of each tile of a tensor, from when it comes until another one does."""
        keyed = groupby(range(len(self.steps)), key=lambda s: self.steps[s]["keys"][tensor])
        return [list(steps) for _, steps in keyed]

    def transfers(self):
        """The engine's queue: (tensor, tile, ticks, what must be over) in the order of need."""
        wanted = {s: {"weights": [], "ifmap": [], "ofmap": []} for s in range(len(self.steps) + 2)}
        widths, several = self.hardware.bits, self.mapping["trips"]["in_channels"] > 1
        halves = 2 if self.hardware.double_buffered else 1
        for tensor in ("weights", "ifmap"):
            width = getattr(widths, tensor)
            for r, steps in enumerate(self.residencies[tensor]):
                first = self.steps[steps[0]]
                words = first["fetched"] if tensor == "ifmap" else first["held"][tensor]
                self.words[tensor] += words
                self.hold(tensor, steps, width)
                free = self.residencies[tensor][r - halves][-1] if r >= halves else None
                wanted[steps[0]][tensor].append((tensor, r, Fraction(words * width), free))
        seen, residencies = set(), self.residencies["ofmap"]
        for r, steps in enumerate(residencies):
            words = self.steps[steps[0]]["held"]["ofmap"]
            self.hold("ofmap", steps, widths.partial_sums if several else widths.ofmap)
            width = widths.ofmap if self.steps[steps[-1]]["last"] else widths.partial_sums
            self.words["ofmap_write"] += words
            for at in self.writes_at(r, steps[-1]):
                wanted[at]["ofmap"].insert(0, ("write", r, Fraction(words * width, self.pieces), steps[-1]))
            key = self.steps[steps[0]]["keys"]["ofmap"]
            if key in seen:
                self.words["ofmap_read"] += words
                wanted[steps[0]]["ofmap"].append(("read", r, Fraction(words * widths.partial_sums), None))
            seen.add(key)
        order = {None: "owi", "weights": "woi", "ifmap": "iow", "ofmap": "wio"}[self.longest]
        names = {name[0]: name for name in ("weights", "ifmap", "ofmap")}
        return [
            (*transfer, s)
            for s in sorted(wanted)
            for initial in order
            for transfer in wanted[s][names[initial]]
        ]

    def writes_at(self, r, last):
        """The steps in whose part of the queue a tile is written, beyond the last one what comes after it."""
        if not self.hardware.double_buffered:
            return [last + 1]
        if r == len(self.residencies["ofmap"]) - 1:
            return [len(self.steps) + 1] * self.pieces
        return [last + 2] if self.pieces == 1 else self.residencies["ofmap"][r + 1]

    def hold(self, tensor, steps, width):
        words = max(self.steps[s]["held"][tensor] for s in steps)
        self.largest[tensor] = max(self.largest[tensor], words * width)

    def run(self):
        rate = 8 * self.hardware.bandwidth / self.hardware.frequency
        tile_of = {
            t: {s: r for r, steps in enumerate(rs) for s in steps} for t, rs in self.residencies.items()
        }
        halves = 2 if self.hardware.double_buffered else 1
        now, queue, step, engine, array, over = Fraction(0), list(self.queue), 0, None, None, set()
        left = {}
        for kind, r, *_ in queue:
            left[kind, r] = left.get((kind, r), 0) + 1
        while queue or engine or array or step < len(self.steps):
            if engine is None and queue:
                kind, r, bits, after, needed = queue[0]
                single = halves == 1 and needed > 0
                if (after is None or after in over) and (not single or needed - 1 in over):
                    setup = Fraction(self.hardware.transfer_setup, self.pieces if kind == "write" else 1)
                    engine = (now + setup + bits / rate, (kind, r))
                    queue.pop(0)
            if array is None and step < len(self.steps):
                needs = [(tensor, tile_of[tensor][step]) for tensor in ("weights", "ifmap")]
                tile = tile_of["ofmap"][step]
                needs += [("read", tile), ("write", tile - halves)]
                if not any(left.get(need, 0) for need in needs):
                    array = (now + self.steps[step]["cycles"], step)
                    step += 1
            assert engine or array, "nothing can begin"
            now = min(event[0] for event in (engine, array) if event)
            if engine and engine[0] == now:
                left[engine[1]] -= 1
                engine = None
            if array and array[0] == now:
                over.add(array[1])
                array = None
        return now
