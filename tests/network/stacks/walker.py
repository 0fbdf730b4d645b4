"""A reference that runs a fused stack step by step, with sets of positions, and counts.

Written from the model's words alone, on the nodes of a network: it shares no code with ``formulation``, and
of ``dnns`` it knows the fields of layers and axes.
"""

from itertools import product
from math import ceil, prod

from tests.walkers.ports import one_tile


def window(axis, outputs):
    """The positions of the contiguous span, in range, that a set of outputs needs along one axis."""
    if not outputs:
        return set()
    first, last = min(outputs), max(outputs)
    kind = type(axis).__name__
    if kind == "WholeAxis":
        return set(range(axis.in_size))
    if kind == "ScaledAxis":
        low, high = axis.interval(first, last + 1)
        return set(range(low, high))
    if kind == "Axis":
        low = first * axis.stride - axis.pad_lo
        high = last * axis.stride - axis.pad_lo + axis.dilation * (axis.kernel - 1)
        return set(range(max(0, low), min(axis.in_size - 1, high) + 1))
    parts = []
    for residue in range(axis.stride):
        mine = [y for y in range(first, last + 1) if y % axis.stride == residue]
        taps = taps_of(axis, residue)
        if mine and taps:
            low = (mine[0] + axis.pad_lo - axis.dilation * taps[-1]) // axis.stride
            high = (mine[-1] + axis.pad_lo - axis.dilation * taps[0]) // axis.stride
            parts.append(range(max(0, low), min(axis.in_size - 1, high) + 1))
    parts = [part for part in parts if len(part)]
    return hull(set().union(*parts))


def taps_of(axis, residue):
    return [t for t in range(axis.kernel) if (residue + axis.pad_lo - axis.dilation * t) % axis.stride == 0]


def hull(positions):
    return set(range(min(positions), max(positions) + 1)) if positions else set()


def kernels_of(layer, new):
    """The convolutions that one step runs, as axes with the outputs that it computes of each."""
    combinations = [((), ())]
    for axis, outputs in zip(layer.axes, new, strict=True):
        each = [(axis, tuple(sorted(outputs)))]
        if type(axis).__name__ != "Axis":
            each = []
            for residue in range(axis.stride):
                taps = taps_of(axis, residue)
                mine = tuple(y // axis.stride for y in sorted(outputs) if y % axis.stride == residue)
                if taps and mine:
                    each.append((Taps(axis, residue, taps), mine))
        combinations = [((*a, x), (*d, y)) for a, d in combinations for x, y in each]
    return [(axes, dims) for axes, dims in combinations if all(dims)]


class Taps:
    """One phase of a transposed axis as a convolution of stride one: output j is ``residue + j*stride``."""

    def __init__(self, axis, residue, taps):
        self.kernel, self.stride, self.dilation = len(taps), 1, 1
        self.in_size = axis.in_size
        places = [
            (residue + axis.pad_lo - axis.dilation * t) // axis.stride for t in sorted(taps, reverse=True)
        ]
        if len(places) > 1:
            self.dilation = places[1] - places[0]
        self.pad_lo = -places[0]

    def __eq__(self, other):
        return vars(self) == vars(other) if isinstance(other, Taps) else False

    def __hash__(self):
        return hash(tuple(vars(self).values()))


class Stack:
    """The layers ``first .. last`` of a network and what stands between them, as names and reads."""

    def __init__(self, network, first, last):
        self.network = network
        layers = [node for node in network.nodes if node.layer is not None]
        self.layers = layers[first : last + 1]
        self.host, self.order, self.value, self.extents = {}, {}, {}, {}
        for i, (name, shape) in enumerate(network.inputs):
            self.value[name], self.order[name], self.extents[name] = [name], i, shape[1:]
        self.reads = {}  # of what is made inside: (name, axes, held, channels)
        self.channels = {name: shape[0] for name, shape in network.inputs}
        self.readers = {}  # names of layers that read a name from the buffer or from DRAM
        at = -1
        for i, node in enumerate(network.nodes, 10_000):
            at += node.layer is not None
            if node.op == "concat":
                self.value[node.name] = [x for given in node.inputs for x in self.value[given]]
                continue
            self.value[node.name] = [node.name]
            self.extents[node.name], self.channels[node.name] = node.shape[1:], node.shape[0]
            self.order[node.name] = i
            self.enter(node, at, first, last)
        read = {given for node in network.nodes for given in node.inputs}
        ends = [node.name for node in network.nodes if node.name not in read]
        self.outputs = {name for end in ends for name in self.value[end]}

    def enter(self, node, at, first, last):
        names = [x for given in node.inputs for x in self.value[given]]
        if node.layer is not None:
            host, drained = at, None
        else:
            drained = max(names, key=self.order.get)
            host = self.host.get(drained, -1)
        self.host[node.name] = host
        for name in names:
            if name != drained:
                self.readers.setdefault(name, []).append(host)
        if first <= host <= last:
            if node.layer is not None:
                reads = [(name, node.layer.axes, True) for name in dict.fromkeys(names)]
            else:
                pairs = zip(node.inputs, node.windows, strict=True)
                each = [(x, w, x != drained) for given, w in pairs for x in self.value[given]]
                reads = [r for i, r in enumerate(each) if r not in each[:i]]
            self.reads[node.name] = reads

    def leaves(self, name, last):
        return name in self.outputs or any(reader > last for reader in self.readers.get(name, ()))


class Walk:
    """Runs a stack; ``pieces`` are rows of a band and widths of strips, ``tiles`` as in a schedule.

    With ``good`` all weights are there already, and what they take is not counted. Without ``ports`` nothing
    is known of energy.
    """

    def __init__(self, network, first, last, hardware, pieces, tiles, stays=(), good=False, ports=True):
        self.good, self.ported = good, ports
        self.stack, self.first, self.last = Stack(network, first, last), first, last
        self.hardware, self.tiles, self.stays = hardware, tiles, set(stays)
        self.batch = network.batch
        self.root = self.stack.layers[-1].name
        self.ahead = {self.root}
        for name in reversed(list(self.stack.reads)):
            if name in self.ahead:
                self.ahead |= {source for source, _, _ in self.stack.reads[name]}
        self.edges = [  # consumer, source, axes, held, instance of the source
            (name, source, axes, held, source if source in self.stack.reads else self.outside(name, source))
            for name, reads in self.stack.reads.items()
            for source, axes, held in reads
        ]
        layers = {node.name for node in self.stack.layers}
        self.maps = dict.fromkeys([key for *_, key in self.edges if key not in self.stack.reads])
        self.kind = {k: "source" if not isinstance(k, tuple) else "operand" for k in self.maps}
        self.maps |= dict.fromkeys(self.stack.reads)
        self.kind |= {n: "ofmap" if n in layers else "drained" for n in self.stack.reads}
        extents = self.stack.extents[self.root]
        self.plans = [self.plan(a, extents[a], pieces[a]) for a in range(len(extents))]
        self.count()

    def outside(self, reader, source):
        """Sources are one for all layers that read them; drain nodes read each for itself."""
        is_layer = any(node.name == reader for node in self.stack.layers)
        return source if is_layer else (reader, source)

    def name(self, key):
        return key[1] if isinstance(key, tuple) else key

    def must(self, key, axis):
        found = set()
        if key in self.stack.reads and self.stack.leaves(key, self.last):
            found |= set(range(self.stack.extents[key][axis]))
        for consumer, _, axes, _, source in self.edges:
            if source == key and consumer not in self.ahead:
                found |= window(axes[axis], self.must(consumer, axis))
        return hull(found)

    def plan(self, axis, extent, size):
        """For every map and piece: the positions that are new and those that are kept."""
        cut = [set(range(start, min(extent, start + size))) for start in range(0, extent, size)]
        plan = {self.root: [(piece, set()) for piece in cut]}
        self.follow(self.root, axis, plan, len(cut))
        for key in reversed(list(self.maps)):
            if key not in plan and (key in self.ahead or key not in self.stack.reads):
                plan[key] = self.pieces_of(key, axis, plan, len(cut))
                self.check(key, axis, plan, len(cut))
                self.follow(key, axis, plan, len(cut))
        return plan

    def needs(self, key, axis, plan, count, held_only):
        uses = [e for e in self.edges if e[4] == key and e[0] in plan and (e[3] or not held_only)]
        return [
            hull(set().union(*(window(axes[axis], plan[c][b][0]) for c, _, axes, _, _ in uses)))
            for b in range(count)
        ]

    def pieces_of(self, key, axis, plan, count):
        must = self.must(key, axis)
        needs = self.needs(key, axis, plan, count, False)
        held = self.needs(key, axis, plan, count, True)
        ends = [max(need, default=-1) for need in needs]
        closing = ends.index(max(ends))
        done, pieces = set(), []
        for b, need in enumerate(needs):
            before = max(done, default=-1)
            ahead = need if axis else set().union(*needs[b:])
            top = max(ends[b], before) if axis == 0 else ends[b]
            if b == closing:
                top = max(top, *must, -1)
            start = min(ahead, default=top + 1)
            if axis == 0:
                start = max(start, before + 1)
            skipped = [p for p in range(before + 1, start) if p in must]
            if skipped and (need or axis == 0 or b == closing):
                start = min(skipped)
            new = set(range(start, top + 1))
            kept = done & hull(set().union(*held[b:])) if axis == 0 else set()
            pieces.append((new, kept))
            done |= new
        assert must <= done
        return pieces

    def check(self, key, axis, plan, count):
        """All that a consumer needs is there: in the buffer, or computed by now and on its way out."""
        for b in range(count):
            new, kept = plan[key][b]
            computed = set().union(*(piece for piece, _ in plan[key][: b + 1]))
            for consumer, _, axes, held, source in self.edges:
                if source == key and consumer in plan:
                    need = window(axes[axis], plan[consumer][b][0])
                    assert need <= ((new | kept) if held else computed), (key, consumer, axis, b)
            if axis == 0 and b:
                assert not new & set().union(*(piece for piece, _ in plan[key][:b]))

    def follow(self, key, axis, plan, count):
        for consumer, _, axes, held, source in self.edges:
            if source != key or held or consumer in self.ahead:
                continue
            out = self.stack.extents[consumer][axis]
            done, pieces = 0, []
            for b in range(count):
                reached = max((max(p, default=-1) for p, _ in plan[key][: b + 1]), default=-1)
                final = max(max(p, default=-1) for p, _ in plan[key])
                full = 0
                while full < out and max(window(axes[axis], {full}), default=-1) <= reached:
                    full += 1
                full = out if reached == final else full
                pieces.append((set(range(done, max(done, full))), set()))
                done = max(done, full)
            plan[consumer] = pieces
            self.follow(consumer, axis, plan, count)

    def count(self):
        rows, *others = self.plans
        strips = [()]
        for plan in others:
            strips = [(*s, i) for s in strips for i in range(len(plan[self.root]))]
        self.fetched = self.compute = self.macs = self.array_bits = 0
        self.transfers = self.first = 0  # all of them, and those of the edge
        self.gone = {key: set() for key in self.stack.reads if self.goes(key)}
        self.moves = [0] * len(self.stack.layers)
        self.peak = dict.fromkeys(self.maps, 0)
        self.first_words = self.last_words = 0
        steps = [
            (image, strip, band)
            for image in range(self.batch)
            for strip in strips
            for band in range(len(rows[self.root]))
        ]
        for number, (image, strip, band) in enumerate(steps):
            for key in self.maps:
                if key not in rows:
                    continue
                new = [rows[key][band][0]] + [p[key][i][0] for p, i in zip(others, strip, strict=True)]
                kept = len(rows[key][band][1])
                self.step(key, new, kept, number == 0, number == len(steps) - 1)
                if key in self.gone:  # word by word, what no step before has written
                    words = set(product((image,), *map(sorted, new))) - self.gone[key]
                    self.gone[key] |= words
                    self.transfers += bool(words)
        for key, words in self.gone.items():
            assert len(words) == self.batch * prod(self.stack.extents[key])
        self.finish()

    def goes(self, key):
        """Whether the stack writes it to the DRAM."""
        stays = key in self.stays and key not in self.stack.outputs
        return self.stack.leaves(key, self.last) and not stays

    def step(self, key, new, kept, is_first, is_last):
        bits, copies = self.hardware.bits, self.hardware.copies
        columns = prod(len(n) for n in new[1:])
        channels = self.stack.channels[self.name(key)]
        made, held = channels * len(new[0]) * columns, channels * kept * columns
        stays = self.name(key) in self.stays
        room = 0
        if self.kind[key] in ("source", "operand"):
            width = bits.ifmap if self.kind[key] == "source" else bits.ofmap
            if not stays:
                self.fetched += made * width
                self.transfers += made > 0
                keeps = held if self.kind[key] == "source" else 0
                room = (keeps + copies * made) * width
                if is_first and self.kind[key] == "source":
                    self.first_words += made * width
                    self.first += made > 0
        else:
            layer = next((i for i, n in enumerate(self.stack.layers) if n.name == key), None)
            wide = bits.ofmap
            if layer is not None:
                self.array(layer, new)
                tile = self.tiles[layer]
                if tile and tile[1] < self.stack.layers[layer].layer.in_channels:
                    wide = bits.partial_sums
            if stays:
                room = made * (wide - bits.ofmap)
            elif key == self.root:
                room = copies * made * wide
            elif layer is not None or any(e[3] and e[4] == key for e in self.edges):
                room = held * bits.ofmap + made * wide
            if key == self.root and is_last:
                self.last_words = made * bits.ofmap
        self.peak[key] = max(self.peak[key], room)

    def array(self, number, new):
        """Cycles of one step of one layer on the array, and whether its weights move."""
        layer, hardware = self.stack.layers[number].layer, self.hardware
        if not all(new):
            return
        self.moves[number] += 1
        co, ci = self.tiles[number] or (layer.out_channels, layer.in_channels)
        cuts = [min(co, layer.out_channels - s) for s in range(0, layer.out_channels, co)]
        reduced = [min(ci, layer.in_channels - s) for s in range(0, layer.in_channels, ci)]
        fill = hardware.rows + hardware.cols - 2 if hardware.fill == "exposed" else 0
        for pixels, taps in self.kernels(layer, new):
            for c in cuts:
                for r in reduced:
                    sides = {
                        "output": (pixels, c, r * taps),
                        "weight": (r * taps, c, pixels),
                        "input": (r * taps, pixels, c),
                    }
                    on_rows, on_cols, stream = sides[hardware.dataflow]
                    passes = ceil(on_rows / hardware.rows) * ceil(on_cols / hardware.cols)
                    self.compute += layer.groups * passes * (stream + fill)
        if self.ported:
            self.ports(layer, new, cuts, reduced)

    def ports(self, layer, new, cuts, reduced):
        """What one step takes of the MACs, and moves between buffer and array, fold by fold."""
        hardware, width = self.hardware, self.hardware.bits
        array = hardware.dataflow, hardware.rows, hardware.cols
        for axes, dims in kernels_of(layer, new):
            taps, pixels = prod(axis.kernel for axis in axes), prod(map(len, dims))
            self.macs += layer.groups * layer.out_channels * layer.in_channels * taps * pixels
            final = layer.groups * layer.out_channels * pixels
            ifmap = weights = out = back = 0
            for c, (i, r) in product(cuts, enumerate(reduced)):
                words = one_tile(axes, array, c, r, (range(1), *dims), i > 0)
                ifmap, weights, out, back = (
                    a + layer.groups * b for a, b in zip((ifmap, weights, out, back), words, strict=True)
                )
            self.array_bits += ifmap * width.ifmap + weights * width.weights + final * width.ofmap
            self.array_bits += (out - final + back) * width.partial_sums

    def kernels(self, layer, new):
        """Pixels and taps of each kernel that runs in a step."""
        combinations = [(1, 1)]
        for axis, outputs in zip(layer.axes, new, strict=True):
            if type(axis).__name__ == "Axis":
                each = [(len(outputs), axis.kernel)]
            else:
                each = [
                    (len([y for y in outputs if y % axis.stride == r]), len(taps_of(axis, r)))
                    for r in range(axis.stride)
                ]
            combinations = [(p * q, t * u) for p, t in combinations for q, u in each]
        return [(p, t) for p, t in combinations if p and t]

    def weights(self, layer):
        """Taps of all kernels together, and of the largest."""
        taps = [t for _, t in self.kernels(layer, [set(range(a.out)) for a in layer.axes])]
        return sum(taps), max(taps, default=0)

    def tiles_of(self, layer, co, ci):
        """How many tiles of weights there are of all kernels and groups."""
        tiles = 0
        for _ in self.kernels(layer, [set(range(a.out)) for a in layer.axes]):
            tiles += len(range(0, layer.out_channels, co)) * len(range(0, layer.in_channels, ci))
        return layer.groups * tiles

    def finish(self):
        bits, hardware = self.hardware.bits, self.hardware
        bank = 8 * hardware.bank_bytes if hardware.bank_bytes else 1
        self.room = sum(ceil(room / bank) * bank for room in self.peak.values())
        self.traffic, edge = self.fetched, self.first_words
        for node, tile, moves in zip(self.stack.layers, self.tiles, self.moves, strict=True):
            layer = node.layer
            taps, largest = self.weights(layer)
            words = layer.groups * layer.out_channels * layer.in_channels * taps * bits.weights
            if self.good:
                assert tile is None
                continue
            one = words if tile is None else tile[0] * tile[1] * largest * bits.weights
            copies = 1 if tile is None else hardware.copies
            self.room += ceil(copies * one / bank) * bank
            self.traffic += words * (1 if tile is None else moves)
            self.first += words > 0
            self.transfers += moves * self.tiles_of(layer, *tile) if tile else words > 0
            edge += one
        leaving = False
        for key in self.stack.reads:
            if self.goes(key):
                words = self.batch * self.stack.channels[key] * prod(self.stack.extents[key])
                self.traffic += words * bits.ofmap
                leaving |= self.stack.host[key] == self.last
        edge += self.last_words if leaving else 0
        self.first += leaving
        setup = hardware.transfer_setup
        rate = hardware.bandwidth / hardware.frequency * 8
        if hardware.double_buffered:
            begun = self.compute + setup * self.first + edge / rate
            self.latency = max(begun, setup * self.transfers + self.traffic / rate)
        else:
            self.latency = self.compute + setup * self.transfers + self.traffic / rate
        each = hardware.energy
        self.energy = each.mac * self.macs + each.sram * self.array_bits
        self.energy += (
            each.sram + each.dram
        ) * self.traffic + each.static * self.latency / hardware.frequency
        if not self.ported:
            self.energy = None
