"""A reference for a network whose tensors may stay on the chip: it executes, counts, and tries everything.

Written from the model's words alone. It shares no code with ``formulation`` (but for the machine);
layers are walked tile by tile (``tests.walkers.walker``), the buffer is a table of what is in it, and the
best choice is found by trying every set of tensors that stay beside every mapping of every layer.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, combinations, product
from math import prod

from formulation.mapping import Mapping, Stationary, Tile
from tests.walkers.ports import PortWalk
from tests.walkers.walker import Walk

VIEWS = {"concat", "flatten", "reshape", "norm"}


@dataclass
class Stored:
    """A tensor that somebody reads: its words, who makes it, who reads it last."""

    name: str
    words: int
    producer: int | None
    output: bool = False
    last: int = -1


@dataclass
class Step:
    """One layer: its sources with their channels, what it makes, what its drains read."""

    layer: object
    ifmap: list
    weights: str | None = None
    owner: str = ""  # of its trained weights: the first layer that has them
    emits: list = field(default_factory=list)
    reads: list = field(default_factory=list)


class Plan:
    """Who makes and who reads what in a network of layers, views and drains."""

    def __init__(self, network):
        self.batch = network.batch
        self.shapes = dict(network.inputs) | {n.name: n.shape for n in network.nodes}
        self.parts = {name: [name] for name, _ in network.inputs}  # tensors behind a name
        self.made = {name: (-1, -i) for i, (name, _) in enumerate(network.inputs)}  # layer, order
        self.steps, self.own, named = [], [], {}
        read = {source for node in network.nodes for source in node.inputs}
        for order, node in enumerate(network.nodes):
            if node.layer is not None:
                self.add_layer(node, order, named)
            elif node.op in VIEWS:
                self.parts[node.name] = [t for source in node.inputs for t in self.parts[source]]
            else:
                self.add_drain(node, order, named)
        for node in network.nodes:
            if node.name not in read:
                for tensor in self.parts[node.name]:
                    named.setdefault(tensor, []).append(None)
        outputs = {t for n in network.nodes if n.name not in read for t in self.parts[n.name]}
        self.stored = {}
        for name, readers in named.items():
            producer = self.made[name][0]
            words = self.batch * prod(self.shapes[name])
            own = None if producer < 0 else producer
            last = max([r for r in readers if r is not None] or [producer])
            self.stored[name] = Stored(name, words, own, name in outputs, max(last, producer))
            if own is not None:
                self.steps[own].emits.append(name)

    def add_layer(self, node, order, named):
        position = len(self.steps)
        operands = [self.parts[source] for source in node.inputs]
        step = Step(node.layer, operands[0])
        if len(operands) > 1:
            (step.weights,) = operands[1]
        else:
            step.owner = node.twin or node.name
        for tensor in chain(*operands):
            named.setdefault(tensor, []).append(position)
        self.steps.append(step)
        self.own.append(node.name)
        self.parts[node.name], self.made[node.name] = [node.name], (position, order)

    def add_drain(self, node, order, named):
        tensors = [t for source in node.inputs for t in self.parts[source]]
        last = max(tensors, key=self.made.__getitem__)
        position = self.made[last][0]
        for tensor in dict.fromkeys(tensors):
            if tensor != last and position >= 0:
                self.steps[position].reads.append(tensor)
                named.setdefault(tensor, []).append(position)
        self.parts[node.name], self.made[node.name] = [node.name], (position, order)

    def channels(self, tensors):
        return {t: self.shapes[t][0] for t in tensors}

    def movable(self):
        """Tensors that may stay."""
        return [name for name, tensor in self.stored.items() if tensor.producer is not None]

    def alive(self, position, stays):
        """Tensors in the buffer while a layer runs."""
        return [t for t in stays if self.stored[t].producer <= position <= self.stored[t].last]


def banks(hardware, bits):
    """Bits in whole banks."""
    unit = 8 * hardware.bank_bytes if hardware.bank_bytes else 1
    return -(-bits // unit) * unit


def room(hardware):
    unit = 8 * hardware.bank_bytes if hardware.bank_bytes else 1
    return hardware.buffer_bytes * 8 // unit * unit


def run_layer(plan, hardware, position, walk, stays, good=False):
    """What one layer takes [bits], and costs, from its walk.

    ``good`` says that its trained weights are there already; what they take is not counted here.

    Returns:
        Need, latency in cycles, traffic in bits, energy in pJ (None unless the walk counts at the ports).
    """
    step, width = plan.steps[position], hardware.bits
    layer, copies = step.layer, 2 if hardware.double_buffered else 1
    own = plan.own[position]
    trips_ci = -(-layer.in_channels // walk.mapping.tile.in_channels)
    final = layer.groups * layer.out_channels * layer.batch * prod(a.out for a in layer.axes)
    # memory
    in_place = own in stays
    held_width = width.partial_sums if trips_ci > 1 else width.ofmap
    sources = plan.channels(step.ifmap)
    there = sum(c for t, c in sources.items() if t in stays)
    all_stay, weights_stay = there == sum(sources.values()), good or step.weights in stays
    tiles = {
        "ifmap": 0 if all_stay else walk.largest["ifmap"] * width.ifmap,
        "weights": 0 if weights_stay else walk.largest["weights"] * width.weights,
        "ofmap": walk.largest["ofmap"] * held_width,
    }
    parts = dict(tiles, ofmap=0) if in_place else tiles
    need = sum(banks(hardware, copies * bits) for bits in parts.values())
    for tensor in plan.alive(position, stays):
        wide = held_width if tensor == own else width.ofmap
        need += banks(hardware, plan.stored[tensor].words * wide)
    # words
    words = sum(sources.values())
    bits = Fraction(walk.ifmap * width.ifmap * (words - there), words)
    bits += 0 if weights_stay else walk.weights * width.weights
    partial = 0 if in_place else (walk.writes - final) + walk.reads
    bits += partial * width.partial_sums
    written = [t for t in step.emits if t not in stays or plan.stored[t].output]
    bits += sum(plan.stored[t].words for t in written) * width.ofmap
    read = [t for t in step.reads if t not in stays]
    bits += sum(plan.stored[t].words for t in read) * width.ofmap
    # time
    ofmap_tiles = layer.groups * len(walk.started)
    moves = ofmap_tiles * (len(written) + len(read))
    moves += (0 if all_stay else walk.moves["ifmap"]) + (0 if weights_stay else walk.moves["weights"])
    moves += 0 if in_place else walk.moves["writes"] + walk.moves.get("reads", 0) - ofmap_tiles
    setup, first = hardware.transfer_setup, 2 - all_stay - weights_stay + bool(written or partial)
    per_cycle = 8 * hardware.bandwidth / hardware.frequency
    edge = tiles["ifmap"] + tiles["weights"] + (tiles["ofmap"] if written or partial else 0)
    transfer = bits / per_cycle + setup * moves
    if hardware.double_buffered:
        latency = max(walk.compute + setup * first + Fraction(edge) / per_cycle, transfer)
    else:
        latency = walk.compute + transfer
    return need, latency, bits, walk.energy(bits, latency) if isinstance(walk, PortWalk) else None


def every_mapping(layer, hardware):
    """All mappings of a small layer."""
    ranges = [layer.out_channels, layer.in_channels, layer.batch, *(a.out for a in layer.axes)]
    slides = range(len(layer.axes)) if hardware.halo == "reuse" else [None]
    for co, ci, batch, *spatial in product(*(range(1, n + 1) for n in ranges)):
        for which, slide in product(Stationary, slides):
            yield Mapping(Tile(co, ci, batch, tuple(spatial)), which, slide)


def subsets(names):
    """All of them."""
    return map(frozenset, chain.from_iterable(combinations(names, k) for k in range(len(names) + 1)))


def owned_bits(plan, hardware):
    """What each layer's trained weights take, whole banks, by their owner [bits]."""
    found = {}
    for step in plan.steps:
        if step.owner:
            layer = step.layer
            words = layer.groups * layer.out_channels * layer.in_channels * prod(a.kernel for a in layer.axes)
            found[step.owner] = banks(hardware, words * hardware.bits.weights)
    return found


def fitting(plan, hardware, walks, owned):
    """For every set of tensors and of trained weights that stay, the prices of each layer that fit."""
    states = (False, True) if owned else (False,)
    for stays in subsets(plan.movable()):
        runs = [
            [{run_layer(plan, hardware, p, walk, stays, good) for walk in each} for good in states]
            for p, each in enumerate(walks)
        ]
        for good in subsets(owned):
            left = room(hardware) - sum(owned[owner] for owner in good)
            steps = zip(plan.steps, runs, strict=True)
            yield [{run[1:] for run in each[s.owner in good] if run[0] <= left} for s, each in steps]


def best(plan, hardware, kind, tolerance=Fraction(1, 100), weights=None, for_good=False):
    """The optimum by trying everything: (latency, traffic), exact, or None if nothing fits.

    Where energy counts (``energy``, or a third weight), energy is the third. With ``for_good`` every set of
    trained weights is tried, that are there from the inference before.
    """
    summed = kind == "energy" or len(weights or ()) > 2
    walk = PortWalk if summed else Walk
    walks = [[walk(s.layer, hardware, m) for m in every_mapping(s.layer, hardware)] for s in plan.steps]
    every = fitting(plan, hardware, walks, owned_bits(plan, hardware) if for_good else {})
    if summed:
        return best_sum(every, (0, 0, 1) if kind == "energy" else weights)
    fronts = []
    for layers in every:
        front = [(Fraction(0), Fraction(0))]
        for fits in layers:
            pairs = pareto({price[:2] for price in fits})
            front = pareto({(a + c, b + d) for a, b in front for c, d in pairs})
        fronts += front
    front = pareto(set(fronts))
    if not front:
        return None
    if kind == "traffic":
        return min(front, key=lambda p: (p[1], p[0]))
    if kind == "latency":
        return min(front)
    if kind == "weighted":
        return min(front, key=lambda p: (weights[0] * p[0] + weights[1] * p[1], *p))
    cap = min(front)[0] * (1 + tolerance) * (1 + Fraction(1, 10**12))
    return min((p for p in front if p[0] <= cap), key=lambda p: (p[1], p[0]))


def best_sum(every, weights):
    """The optimum of a weighted sum of latency, traffic and energy: the sum of the least of each layer.

    ``every`` has, for each choice of what stays, the prices of each layer that fit.
    """

    def key(price):
        return sum(w * x for w, x in zip(weights, price, strict=True)), *price

    found = []
    for layers in every:
        total = (Fraction(0),) * 3
        for fits in layers:
            if not fits:
                break
            total = tuple(a + b for a, b in zip(total, min(fits, key=key), strict=True))
        else:
            found.append(total)
    return min(found, key=key, default=None)


def pareto(points):
    """The points that no other one beats in both."""
    kept, least = [], None
    for latency, bits in sorted(points):
        if least is None or bits < least:
            kept.append((latency, bits))
            least = bits
    return kept
