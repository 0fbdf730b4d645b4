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


def broken(whole, size):
    return [whole[at : at + size] for at in range(0, len(whole), size)]


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
        tiles = {
            t: [[s for s in r if self.steps[s]["first"]] for r in rs] for t, rs in self.residencies.items()
        }
        longest = {t: max(map(len, r)) for t, r in tiles.items()}
        self.longest = next((tensor for tensor, steps in longest.items() if steps > 1), None)
        if self.longest is None and "streamed" in mapping:
            streamed = mapping["streamed"]["tensor"]
            self.longest = "weights" if streamed == "ifmap" else "ifmap"
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
            whole = self.ranges(index)
            for part in self.sub_tiles(whole):
                before = self.step(index, whole, part, before)
                yield before

    def ranges(self, index):
        """Input channels, images and outputs by axis of a tile, and filters of each kernel."""
        tile, shape = self.mapping["tile"], self.kernels[0][0]
        most = [max(geometry["axes"][i]["ofmap"] for geometry, _ in self.kernels) for i in self.axes]
        return {
            "in_channels": piece(tile["in_channels"], shape["in_channels"], index["in_channels"]),
            "batch": piece(tile["batch"], shape["batch"], index["batch"]),
            "spatial": [piece(tile["spatial"][i], most[i], index[f"spatial.{i}"]) for i in self.axes],
            "filters": [rounds[index["outputs"]] for _, rounds in self.kernels],
            "outputs": None,  # which of the tile's: all
        }

    @property
    def axes(self):
        return range(len(self.mapping["tile"]["spatial"]))

    def sub_tiles(self, whole):
        """The tile, or what it is cut into, the spatial axes one inside another."""
        if "streamed" not in self.mapping:
            return [whole]
        sub = self.mapping["streamed"]["sub_tile"]
        (filters,) = whole["filters"]
        outs = broken(range(filters), sub["out_channels"])
        dims = [broken(whole["in_channels"], sub["in_channels"]), broken(whole["batch"], sub["batch"])]
        dims += [broken(whole["spatial"][i], sub["spatial"][i]) for i in self.axes]
        return [
            {
                "outputs": own,
                "in_channels": channels,
                "batch": images,
                "spatial": list(outputs),
                "filters": [len(own)],
            }
            for own, channels, images, *outputs in product(outs, *dims)
        ]

    def hulls(self, ranges):
        """What is read along each axis."""
        found = []
        for i in self.axes:
            reads = set()
            for geometry, _ in self.kernels:
                axis = geometry["axes"][i]
                made = [y for y in ranges["spatial"][i] if y < axis["ofmap"]]
                if made:
                    low = made[0] * axis["stride"] - axis["pad_before"]
                    high = (
                        made[-1] * axis["stride"]
                        - axis["pad_before"]
                        + axis["dilation"] * (axis["kernel"] - 1)
                    )
                    reads |= {x for x in range(low, high + 1) if 0 <= x < axis["ifmap"]}
            found.append(set(range(min(reads), max(reads) + 1)) if reads else set())
        return found

    def pixels(self, ranges):
        """Of each kernel."""
        made = [
            [len([y for y in ranges["spatial"][i] if y < geometry["axes"][i]["ofmap"]]) for i in self.axes]
            for geometry, _ in self.kernels
        ]
        return [len(ranges["batch"]) * prod(own) for own in made]

    def step(self, index, whole, part, before):
        streamed = self.mapping.get("streamed", {"tensor": None})["tensor"]
        of = {tensor: part if tensor == streamed else whole for tensor in WIDE}
        hulls = self.hulls(of["ifmap"])
        taps = [prod(axis["kernel"] for axis in geometry["axes"]) for geometry, _ in self.kernels]
        keys = {tensor: tuple(index[name] for name in names) for tensor, names in WIDE.items()}
        drawn = of["ofmap"]
        made = keys["ofmap"], str([drawn[name] for name in ("outputs", "batch", "spatial")])
        if streamed:
            keys[streamed] += (object(),)  # another one in each step
        slide, new = self.mapping["sliding_axis"], list(hulls)
        if before is not None and slide is not None and self.follows(before, of["ifmap"], index, slide):
            new[slide] = hulls[slide] - before["hulls"][slide]
        rows = len(of["ifmap"]["in_channels"]) * len(of["ifmap"]["batch"])
        channels = len(part["in_channels"])
        weighed = of["weights"]
        return {
            "keys": keys,
            "made": made,
            "place": (index["groups"], of["ifmap"]),
            "hulls": hulls,
            "last": index["in_channels"] == self.mapping["trips"]["in_channels"] - 1,
            "first": part == self.sub_tiles(whole)[0],
            "held": {
                "ifmap": rows * prod(map(len, hulls)),
                "ofmap": sum(f * p for f, p in zip(drawn["filters"], self.pixels(drawn), strict=True)),
                "weights": len(weighed["in_channels"])
                * sum(f * t for f, t in zip(weighed["filters"], taps, strict=True)),
            },
            "fetched": rows * prod(map(len, new)),
            "cycles": sum(map(self.cycles, part["filters"], self.pixels(part), [channels] * len(taps), taps)),
        }

    def follows(self, before, ranges, index, slide):
        """Whether what is held of the ifmap is next to what was, along the axis that slides, and slides."""
        if self.mapping.get("streamed", {"tensor": None})["tensor"] == "ifmap":
            tile, sub = self.mapping["tile"], self.mapping["streamed"]["sub_tile"]
            cut = [i for i in self.axes if tile["spatial"][i] != sub["spatial"][i]]
            if cut != [slide] or any(tile[name] != sub[name] for name in ("batch", "in_channels")):
                return False
        groups, last = before["place"]
        here, there = (
            {**place, "spatial": list(place["spatial"]), "filters": None, "outputs": None}
            for place in (ranges, last)
        )
        now, then = (place["spatial"].pop(slide) for place in (here, there))
        return groups == index["groups"] and here == there and then.stop == now.start

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
        several |= "streamed" in self.mapping and (
            self.mapping["streamed"]["sub_tile"]["in_channels"] < self.mapping["tile"]["in_channels"]
        )
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
            key = self.steps[steps[0]]["made"]
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
        if self.pieces == 1:
            return [last + 2]
        return [s for s in self.residencies["ofmap"][r + 1] if self.steps[s]["first"]]

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
