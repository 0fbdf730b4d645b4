"""Deconvolutions that may share ifmap tiles, beside what stays: against all that can be tried."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import yaml
from hypothesis import assume, event, given, note
from hypothesis import strategies as st

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution
from dnns.reader import read_network
from formulation.deconv import Treatment, split
from formulation.hardware import Halo, Hardware
from formulation.mapping import Stationary
from formulation.network.frontiers.deconvolution import ZerosWay, shares
from formulation.network.frontiers.front import Stop, sought
from formulation.network.graph import tensor_graph
from formulation.network.movement import alone
from formulation.network.sharing import MovedSharedSpace, SharedWay
from formulation.problem import Kind, Objective
from formulation.shared.packing.search import Best
from formulation.shared.problem import SharedMapping, SharedProblem, SubKernels
from solvers.network.resident import sharing
from solvers.network.resident.choose import Chooser
from solvers.network.resident.points import Wanted, layer_blocks, points
from solvers.network.resident.sharing import SharedFrontiers
from solvers.shared import search
from solvers.shared.deconvolution import combine
from tests.network import reference
from tests.network.test_residency import MEASURES, as_point, keys, movements
from tests.shared.test_cost import packings, small_problems
from tests.strategies import BARE, examples, hardware
from tests.walkers.ports import PortWalk, shared_ports
from tests.walkers.shared_walker import Machine

ROOT = Path(__file__).parents[2]
MOST = 200  # mappings with shared tiles, of each deconvolution of a network


def shared_mappings(deconv, machine):
    """All mappings with shared ifmap tiles."""
    kernels = sum(sub.layer is not None for sub in split(deconv))
    rounds = [
        x
        for n in range(1, kernels * deconv.out_channels + 1)
        for x in packings(kernels, deconv.out_channels, n)
    ]
    grids = [-(-axis.out // axis.stride) for axis in deconv.axes]
    sizes = product(*(range(1, n + 1) for n in (deconv.in_channels, deconv.batch, *grids)))
    slides = range(len(grids)) if machine.halo is Halo.REUSE else [None]
    for (ci, batch, *spatial), slide, order, x in product(sizes, slides, Stationary, rounds):
        yield SharedMapping(ci, batch, tuple(spatial), x, order, slide)


@examples(20)
@given(
    problem=small_problems(set_up=False, holes=False),
    movement=movements(),
    kind=st.sampled_from((*BARE, *MEASURES)),
    data=st.data(),
)
def test_frontiers_hold_the_best_of_every_room(problem, movement, kind, data):
    machine, deconv = problem.hardware, problem.deconv
    deconv = replace(deconv, in_channels=3 * (1 + deconv.in_channels // 3))  # thirds are whole words
    assume(all(sub.layer is not None for sub in split(deconv)))  # the zeros' words are not theirs
    room = st.integers(0, machine.buffer_bits)
    rooms = data.draw(st.one_of(st.none(), st.lists(room, min_size=1, max_size=3, unique=True)))
    rooms = rooms and tuple(sorted(rooms, reverse=True))
    stop = Stop()
    asked = replace(movement, wider=0)
    mappings = list(shared_mappings(deconv, machine))
    assume(len(mappings) <= 5 * MOST)
    points = SharedFrontiers(deconv, machine, kind, stop, None).points(asked, rooms, 0)
    assert not stop.stopped
    plain, macs = SharedProblem(deconv, machine), SubKernels(deconv).macs
    costs = [as_point(machine, asked.cost(machine, macs, plain.work(m))) for m in mappings]
    for point in points:
        again = point.priced_again(machine)
        assert (again.need, again.latency, again.traffic) == (point.need, point.latency, point.traffic)
        assert kind not in MEASURES or again.spent(machine.quantum) == point.spent
    for size in rooms or sorted({c.need for c in costs if c.need <= machine.buffer_bits}):
        fit, held = ([x for x in some if x.need <= size] for some in (costs, points))
        if kind in MEASURES:
            assert min((keys(kind, p) for p in held), default=None) == min(
                (keys(kind, c) for c in fit), default=None
            )
            continue
        every, known = ({(x.latency, x.traffic) for x in some} for some in (fit, held))
        if kind is Kind.TRAFFIC:
            every, known = ({min(s, key=lambda c: c[::-1])} if s else set() for s in (every, known))
        elif kind is Kind.LATENCY:
            every, known = ({min(s)} if s else set() for s in (every, known))
        assert reference.pareto(known) == reference.pareto(every)


@examples(8)
@given(problem=small_problems(set_up=False, holes=False), movement=movements(), more=st.integers(0, 10**6))
def test_what_is_counted_is_no_less_than_any_mapping_has(problem, movement, more):
    """Of bits and of room; and a mapping spills where it reads partial sums back."""
    machine, deconv = problem.hardware, problem.deconv
    deconv = replace(deconv, in_channels=3 * (1 + deconv.in_channels // 3))
    assume(all(sub.layer is not None for sub in split(deconv)))
    plain, macs = SharedProblem(deconv, machine), SubKernels(deconv).macs
    space = MovedSharedSpace(plain, replace(movement, written=movement.written + more, read=more // 3))
    counted, (room, parts) = space._counts().bits, space.room()
    less = replace(space.movement, written=0, read=0)
    beside = [
        m.cost(machine, macs, plain.work(next(shared_mappings(deconv, machine)))).traffic
        for m in (space.movement, less)
    ]
    assert counted - MovedSharedSpace(plain, less)._counts().bits == beside[0] - beside[1]
    never = MovedSharedSpace(plain, replace(movement, wider=space.free + 1))
    assert (never.trips_ci == 1).all()  # no room for partial sums
    assert parts is None
    unwritten = MovedSharedSpace(plain, less)
    assert room * machine.copies <= space.free < (room + 1) * machine.copies
    mappings = list(shared_mappings(deconv, machine))
    for mapping in mappings[:: 1 + len(mappings) // 50]:
        work = plain.work(mapping)
        assert space.movement.cost(machine, macs, work).traffic <= counted
        table = space.grid.table([np.array([size - 1]) for size in (mapping.batch, *mapping.spatial)])
        rounds, trips = mapping.round_count, work.trips.ci
        spilt = space.spills(mapping.stationary, rounds, trips, table)
        assert spilt == (work.traffic.ofmap_read > 0)
        edge = unwritten.movement.edge(work.tile, work.traffic)
        assert unwritten.edge(work.tile, spilt) == edge
        assert unwritten.edge(work.tile).total <= edge.total  # what bounds have


@examples(12)
@given(
    problem=small_problems(set_up=False, holes=False),
    movement=movements(),
    kind=st.sampled_from((None, *MEASURES)),
)
def test_what_is_not_settled_is_bounded(problem, movement, kind):
    """Nothing is better than both the points that are known and the bounds beside them."""
    machine, deconv = problem.hardware, problem.deconv
    deconv = replace(deconv, in_channels=3 * (1 + deconv.in_channels // 3))
    assume(all(sub.layer is not None for sub in split(deconv)))
    asked, stop = replace(movement, wider=0), Stop()
    frontiers = SharedFrontiers(deconv, machine, kind, stop, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharing, "NODES", 0)
        patch.setattr(search, "best_packing", lambda *_, **__: Best(None, -1, False))
        every = [*frontiers.points(asked, (machine.buffer_bits,), 0), *frontiers.beside]
    assert not stop.stopped
    plain, macs = SharedProblem(deconv, machine), SubKernels(deconv).macs
    for mapping in shared_mappings(deconv, machine):
        cost = as_point(machine, asked.cost(machine, macs, plain.work(mapping)))
        if cost.need > machine.buffer_bits:
            continue
        below = [p for p in every if p.need <= cost.need]
        if kind is None:
            assert any(p.latency <= cost.latency and p.traffic <= cost.traffic for p in below)
        else:
            assert any(keys(kind, p)[0] <= keys(kind, cost)[0] for p in below)


HOLES = Deconvolution("holes", 2, 2, (TransposedAxis(2, 3, 2), TransposedAxis(2, 1, 2)))


def searched(kind, base, packed):
    """Points and bounds of a deconvolution with outputs that no tap reaches, each as told."""
    machine, asked = Hardware(2, 2, 100, Fraction(1, 3)), replace(alone(HOLES), read=7)
    frontiers = SharedFrontiers(HOLES, machine, kind, Stop(), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "best_packing", packed)
        found = frontiers.points(asked, (machine.buffer_bits, machine.buffer_bits // 2), base)
    return machine, asked, found, frontiers.beside


@pytest.mark.parametrize("kind", [None, *MEASURES])
def test_what_is_not_settled_stands_with_all_that_is_taken_beside_it(kind):
    """Bits that are taken throughout, and zeros; and a choice's traffic does not depend on its packing."""

    def unpacked(*_, **__):
        return Best(None, -1, False)

    machine, asked, _, bounds = searched(kind, 0, unpacked)
    assert bounds
    *_, above = searched(kind, 1000, unpacked)
    assert [(p.need + 1000, p.latency, p.traffic, p.spent) for p in bounds] == [
        (p.need, p.latency, p.traffic, p.spent) for p in above
    ]
    plain, macs = SharedProblem(HOLES, machine), SubKernels(HOLES).macs
    every = shares(HOLES, asked)
    own = [moved for layer, moved in every if layer is not None]
    rest = replace(asked, written=sum(m.written for m in own), read=sum(m.read for m in own))
    zeros = [ZerosWay(moved).cost(machine) for layer, moved in every if layer is None]
    costs = [rest.cost(machine, macs, plain.work(m)) for m in shared_mappings(HOLES, machine)]
    for bound in bounds:
        traffic = bound.traffic - sum(zero.traffic for zero in zeros)
        assert any(c.traffic == traffic and c.need >= bound.need for c in costs)
        assert bound.latency > sum(zero.latency for zero in zeros)
        assert bound.need > 0


def test_only_a_deadline_that_is_over_ends_the_search():
    machine, asked, found = Hardware(2, 2, 100), alone(HOLES), []
    for left in (None, 1000.0, -1.0):
        stop, deadline = Stop(), None if left is None else monotonic() + left
        points = SharedFrontiers(HOLES, machine, None, stop, deadline).points(asked, None, 0)
        found.append(({(p.need, p.latency, p.traffic) for p in points}, stop.stopped))
    free, ample, late = found
    assert free == ample
    assert (free[1], late[1]) == (False, True)


@pytest.mark.parametrize("kind", [None, *MEASURES])
def test_what_takes_nodes_is_settled_by_them(kind):
    real = search.best_packing

    def hard(*what, nodes, **more):
        return real(*what, nodes=nodes, **more) if nodes else Best(None, -1, False)

    _, _, points, bounds = searched(kind, 0, hard)
    _, _, known, beside = searched(kind, 0, real)
    assert not bounds
    assert not beside
    told = [{(p.need, p.latency, p.traffic) for p in some} for some in (points, known)]
    assert reference.pareto({p[1:] for p in told[0]}) == reference.pareto({p[1:] for p in told[1]})


class Counted:
    """What one sub-convolution, or all on shared tiles, moves and computes: counted by a walk."""

    def __init__(self, hardware, layers, walk, mapping, ports=None):
        self.layers, self.ports, self.spilt = layers, ports, mapping
        if isinstance(walk, Machine):
            counts, trips = walk.counts, -(-walk.deconv.in_channels // mapping.in_channels)
            words = counts["ifmap"], counts["weights"], counts["ofmap_write"], counts["ofmap_read"]
        else:
            trips = -(-walk.layer.in_channels // mapping.tile.in_channels)
            words = walk.ifmap, walk.weights, walk.writes, walk.reads
            self.ports = walk.port_ifmap, walk.port_weights, walk.port_writes, walk.port_reads
        self.ifmap, self.weights, writes, reads = words
        self.outputs = sum(layer.ofmap_words for layer in layers)
        self.partial, self.spilt = writes - self.outputs + reads, trips > 1
        self.largest, self.compute = walk.largest, walk.compute

    def price(self, hardware, share, in_place, written, read):
        """Bits that it takes, latency in cycles, traffic in bits, energy in pJ beside a state.

        Args:
            hardware: the machine.
            share: of the ifmap's words that come from the DRAM.
            in_place: whether the ofmap stays.
            written: words written besides partial sums.
            read: words that drain nodes read.
        """
        width, copies = hardware.bits, 2 if hardware.double_buffered else 1
        tiles = {
            "ifmap": self.largest["ifmap"] * width.ifmap if share else 0,
            "weights": self.largest["weights"] * width.weights,
            "ofmap": self.largest["ofmap"] * (width.partial_sums if self.spilt else width.ofmap),
        }
        parts = dict(tiles, ofmap=0) if in_place else tiles
        need = sum(reference.banks(hardware, copies * bits) for bits in parts.values())
        partial = 0 if in_place else self.partial
        bits = self.ifmap * share * width.ifmap + self.weights * width.weights
        bits += partial * width.partial_sums + (written + read) * width.ofmap
        edge = tiles["ifmap"] + tiles["weights"] + (tiles["ofmap"] if written or partial else 0)
        rate = 8 * hardware.bandwidth / hardware.frequency
        if hardware.double_buffered:
            latency = max(self.compute + Fraction(edge) / rate, bits / rate)
        else:
            latency = self.compute + bits / rate
        ifmap, weights, out, back = self.ports
        ports = ifmap * width.ifmap + weights * width.weights + self.outputs * width.ofmap
        ports += (out - self.outputs + back) * width.partial_sums
        macs = sum(layer.macs for layer in self.layers)
        return need, latency, Fraction(bits), spent(hardware, macs, ports, bits, latency)


def spent(hardware, macs, ports, bits, latency):
    each = hardware.energy
    moved = each.sram * (ports + bits) + each.dram * bits
    return each.mac * macs + moved + each.static * latency / hardware.frequency


class Tried:
    """Every way to run a deconvolution, walked once."""

    def __init__(self, deconv, hardware):
        self.deconv, self.hardware, self.subs = deconv, hardware, split(deconv)
        layers = [sub.layer for sub in self.subs if sub.layer is not None]
        self.parts = [
            [
                Counted(hardware, [sub.layer], PortWalk(sub.layer, hardware, m), m)
                for m in reference.every_mapping(sub.layer, hardware)
            ]
            for sub in self.subs
            if sub.layer is not None
        ]
        grid = deconv.batch, *(-(-axis.out // axis.stride) for axis in deconv.axes)
        shapes = [
            (deconv.groups, n, deconv.in_channels, *sizes)
            for n, sizes in (
                (deconv.batch, [a.in_size for a in deconv.axes]),
                (deconv.out_channels, [a.kernel for a in deconv.axes]),
            )
        ]
        ifmap, weights = np.zeros(shapes[0], int), np.zeros(shapes[1], int).swapaxes(1, 2)
        self.shared = [
            Counted(
                hardware,
                layers,
                Machine(deconv, hardware, m, ifmap, weights),
                m,
                shared_ports(layers, hardware, m, grid),
            )
            for m in (shared_mappings(deconv, hardware) if layers else ())
        ]

    def prices(self, share, in_place, written, read, left, wider):
        """(latency, traffic, energy) of every way that fits ``left`` bits; ``wider`` of partial sums."""
        done, shares = 0, []
        for sub in self.subs:
            before, done = done, done + sub.ofmap_words
            total = self.deconv.ofmap_words
            shares.append([words * done // total - words * before // total for words in (written, read)])
        zeros, own = [], []
        for sub, words in zip(self.subs, shares, strict=True):
            (zeros if sub.layer is None else own).append(words)
        rate = 8 * self.hardware.bandwidth / self.hardware.frequency
        base = (Fraction(0),) * 3
        for words in zeros:
            bits = sum(words) * self.hardware.bits.ofmap
            base = add(base, (bits / rate, bits, spent(self.hardware, 0, 0, bits, bits / rate)))
        for spilling in (False, True):
            room = left - (wider if in_place and spilling else 0)

            def fitting(ways, words, spilling=spilling, room=room):
                for way in ways:
                    if spilling or not in_place or not way.spilt:
                        need, *price = way.price(self.hardware, share, in_place, *words)
                        if need <= room:
                            yield tuple(price)

            sums = {base}
            for part, words in zip(self.parts, own, strict=True):
                sums = {add(a, b) for a in sums for b in thin(set(fitting(part, words)))}
            yield from sums
            for price in set(fitting(self.shared, [sum(c) for c in zip(*own, strict=True)])):
                yield add(base, price)


def add(one, other):
    return tuple(a + b for a, b in zip(one, other, strict=True))


def thin(prices):
    """Those that no other one beats in all three."""
    return [p for p in prices if not any(q != p and all(map(Fraction.__le__, q, p)) for q in prices)]


def optimum(network, hardware, kind):
    """The least (latency, traffic, energy) of everything that can be tried; None if nothing fits."""
    plan, found = reference.Plan(network), []
    tried = [
        Tried(s.layer, hardware)
        if isinstance(s.layer, Deconvolution)
        else [PortWalk(s.layer, hardware, m) for m in reference.every_mapping(s.layer, hardware)]
        for s in plan.steps
    ]
    for stays in reference.subsets(plan.movable()):
        totals = {(Fraction(0),) * 3}
        for position, ways in enumerate(tried):
            if isinstance(ways, Tried):
                prices = set(deconvolved(plan, hardware, position, ways, stays))
            else:
                runs = (reference.run_layer(plan, hardware, position, walk, stays) for walk in ways)
                prices = {run[1:] for run in runs if run[0] <= reference.room(hardware)}
            totals = set(thin({add(a, b) for a in totals for b in thin(prices)}))
        found += totals
    if kind is Kind.ENERGY:
        return min(found, key=lambda p: (p[2], *p[:2]), default=None)
    pairs = reference.pareto({p[:2] for p in found})
    if not pairs:
        return None
    if kind is Kind.BALANCED:
        cap = min(pairs)[0] * Fraction(101, 100) * (1 + Fraction(1, 10**12))
        pairs = [p for p in pairs if p[0] <= cap]
    return min(pairs, key=lambda p: p if kind is Kind.LATENCY else p[::-1])


def deconvolved(plan, hardware, position, tried, stays):
    """The prices of a deconvolution beside what stays."""
    step, own, width = plan.steps[position], plan.own[position], hardware.bits
    sources = plan.channels(step.ifmap)
    share = Fraction(sum(c for t, c in sources.items() if t not in stays), sum(sources.values()))
    written = sum(plan.stored[t].words for t in step.emits if t not in stays or plan.stored[t].output)
    read = sum(plan.stored[t].words for t in step.reads if t not in stays)
    sizes = [plan.stored[t].words for t in plan.alive(position, stays)]
    left = reference.room(hardware) - sum(reference.banks(hardware, n * width.ofmap) for n in sizes)
    wider = 0
    if own in stays:
        words = plan.stored[own].words
        narrow, wide = (reference.banks(hardware, words * w) for w in (width.ofmap, width.partial_sums))
        wider = wide - narrow
    return tried.prices(share, own in stays, written, read, left, wider)


@st.composite
def networks(draw):
    """A convolution, a deconvolution and what its result is for."""
    axes = draw(st.sampled_from((1, 1, 2)))
    size = draw(st.integers(1, 3 if axes == 1 else 2))
    up = {
        "name": "up",
        "op": "deconv",
        "out_channels": draw(st.integers(1, 2 if axes == 1 else 1)),
        "kernel": draw(st.integers(1, 4)),
        "stride": 2,
        "padding": draw(st.integers(0, 1)),
        "output_padding": draw(st.integers(0, 1)),
    }
    nodes = [{"name": "a", "op": "conv", "out_channels": draw(st.integers(1, 2)), "kernel": 1}, up]
    match draw(st.sampled_from(("", "pool", "conv", "skip"))):
        case "pool":
            nodes.append({"name": "p", "op": "pool", "kernel": 1, "stride": 1})
        case "conv":
            nodes.append({"name": "b", "op": "conv", "out_channels": 1, "kernel": 1})
        case "skip":
            nodes += [
                {"name": "p", "op": "pool", "kernel": 1, "stride": 1},
                {"name": "b", "op": "conv", "out_channels": up["out_channels"], "kernel": 1},
                {"name": "s", "op": "add", "inputs": ["p", "b"]},
            ]
    return {"name": "up", "input": [draw(st.integers(1, 2)), *[size] * axes], "layers": nodes}


KINDS = (Kind.TRAFFIC, Kind.LATENCY, Kind.BALANCED, Kind.ENERGY)


@examples(12)
@given(data=networks(), machine=hardware(), kind=st.sampled_from(KINDS), size=st.integers(4, 120))
def test_no_choice_is_better(tmp_path_factory, data, machine, kind, size):
    path = tmp_path_factory.getbasetemp() / "up.yaml"
    path.write_text(yaml.safe_dump(data))
    try:
        network = read_network(path)
    except ValueError:  # no outputs
        assume(False)
    deconv = network.layers[1]
    kernels = sum(sub.layer is not None for sub in split(deconv))
    assume(kernels * deconv.out_channels <= 4)
    machine = replace(machine, buffer_bytes=size, bank_bytes=None)
    assume(len(list(shared_mappings(deconv, machine))) <= MOST)
    graph, goal = tensor_graph(network), sought(Objective(kind))
    blocks, errors = layer_blocks(graph, machine, Treatment.COMBINE, goal)
    assert not errors
    found, wanted = None, optimum(network, machine, kind)
    if all(any(state.points for state in block.states) for block in blocks):
        found = Chooser(machine, graph.tensors, blocks).solve(Objective(kind))
    if found is None:
        assert wanted is None
        return
    note(f"{data} {found.chosen}")
    event("shared" if any(isinstance(w, SharedWay) for p in found.points for w in p.ways) else "split")
    energy = (machine.quantum.told(found.energy(machine)),) if kind is Kind.ENERGY else ()
    assert wanted == (machine.tick.cycles(found.latency), found.traffic, *energy)
    if kind is not Kind.ENERGY:  # whose steps a solver may not tell
        assert all(stage.bound == stage.total for stage in found.stages)


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        ("dcgan", 256, Kind.TRAFFIC),
        ("dcgan", 256, Kind.LATENCY),
        ("dcgan", 256, Kind.ENERGY),
        ("flownetc", 1024, Kind.TRAFFIC),
    ],
)
def test_what_is_best_by_itself_is_reached(name, size, kind):
    machine, goal = Hardware(buffer_bytes=size * 1024), sought(Objective(kind))
    network = read_network(ROOT / "dnns" / "networks" / f"{name}.yaml")
    ways = set()
    for deconv in (layer for layer in network.layers if isinstance(layer, Deconvolution)):
        wanted = Wanted(deconv, alone(deconv), (machine.buffer_bits,))
        made = points(machine, Treatment.COMBINE, goal, wanted, None)
        assert made.complete
        (point,) = made.points
        best = combine(deconv, machine, Objective(kind)).total
        assert point.price == best._replace(spent=best.spent if kind is Kind.ENERGY else 0)
        ways.add(type(point.ways[0]))
    assert SharedWay in ways


def test_a_front_has_the_balanced_optimum_of_a_layer_by_itself():
    machine, objective = Hardware(buffer_bytes=256 * 1024), Objective(Kind.BALANCED)
    network = read_network(ROOT / "dnns" / "networks" / "dcgan.yaml")
    for deconv in network.layers:
        if isinstance(deconv, Deconvolution):
            wanted = Wanted(deconv, alone(deconv), (machine.buffer_bits,))
            made = points(machine, Treatment.COMBINE, Kind.BALANCED, wanted, None)
            cap = objective.cap(min(point.latency for point in made.points))
            within = (p for p in made.points if p.latency <= cap)
            least = min((p.traffic, p.latency) for p in within)
            best = combine(deconv, machine, objective).total
            assert least <= (best.traffic, best.latency)  # split parts have no cap of their own here
