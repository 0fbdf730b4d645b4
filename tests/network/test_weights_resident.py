"""Trained weights that stay for good: programs against all that can be tried, and what bounds them."""

from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import product
from operator import add

import pytest
from hypothesis import assume, event, given, note
from hypothesis import strategies as st

from formulation.deconv import Treatment
from formulation.evaluation import work_of
from formulation.network.bounds import compulsory_bits, least_spent
from formulation.network.frontiers.front import posed, sought
from formulation.network.frontiers.frontier import frontier
from formulation.network.frontiers.growing import GrowingFrontier
from formulation.network.frontiers.space import MovedSpace
from formulation.network.graph import tensor_graph
from formulation.network.stacks.search.candidates import stack_of
from formulation.problem import Kind, Objective
from solvers.network.resident.choose import Chooser
from solvers.network.resident.growth import Growth
from solvers.network.resident.recipes import Making
from tests.network import reference, test_fused, test_residency
from tests.network.stacks.walker import Walk as StackWalk
from tests.network.test_residency import MEASURES, as_point, keys, machines, movements
from tests.strategies import BARE, examples, layers
from tests.walkers.ports import PortWalk
from tests.walkers.walker import Walk


def chosen(graph, machine, objective, longest=None, weights=None):
    """What is found, None if a layer does not fit or nothing does."""
    goal, kind = sought(objective, weights or ()), objective.kind
    growth = Growth(graph, Making(machine, Treatment.SPLIT, goal, None))
    blocks = growth.layers()
    if not all(any(state.points for state in block.states) for block in blocks):
        return growth, None
    if longest:
        cap = None
        if kind is Kind.BALANCED:
            fastest = Chooser(machine, graph.tensors, blocks, growth=growth).solve(Objective(Kind.LATENCY))
            cap = None if fastest is None else Objective(kind).cap(fastest.latency)
        blocks += growth.stacks(longest, blocks, frozenset(), cap)
    assert not growth.errors
    return growth, Chooser(machine, graph.tensors, blocks, growth=growth).solve(objective, weights)


def check_points(machine, graph, growth, found):
    """What is used costs what it says, fits, and no schedule moves less than is compulsory."""
    held = sum(growth.weights[w].bits for w in found.chosen.weights)
    for point in found.points:
        again = point.priced_again(machine)
        assert (again.need, again.latency, again.traffic) == (point.need, point.latency, point.traffic)
        assert point.need + held <= machine.buffer_bits
    first = found.stages[0]
    if first.measure.quantum or machine.transfer_setup:  # steps so small that a solver may not tell the last
        assert 0 <= first.total - first.bound <= 1e-8 * first.total
        assert all(stage.bound <= stage.total for stage in found.stages)
    else:
        assert all(stage.bound == stage.total for stage in found.stages)
    assert found.traffic >= compulsory_bits(graph, machine, for_good=True)
    assert found.energy(machine) >= least_spent(graph, machine, machine.quantum, for_good=True)


def shared(network, pair):
    """The same network, two layers of it with the same weights if they are alike."""
    convs = [node for node in network.nodes if node.layer is not None]
    first, second = (convs[i % len(convs)] for i in sorted(pair))
    plain = [replace(node.layer, name="") for node in (first, second)]
    if first is second or plain[0] != plain[1]:
        return network
    event("two layers share their weights")
    nodes = tuple(replace(n, twin=first.name) if n.name == second.name else n for n in network.nodes)
    return replace(network, nodes=nodes)


@examples(15)
@given(
    data=test_residency.networks(),
    machine=machines(set_up=True),
    kind=st.sampled_from(BARE),
    pair=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_no_choice_is_better(tmp_path_factory, data, machine, kind, pair):
    network = shared(test_residency.read(tmp_path_factory, data), pair)
    graph, weights = tensor_graph(network), (Fraction(1, 7), Fraction(1, 3))
    cycle = machine.tick.per_cycle
    plan, scaled = reference.Plan(network), (weights[0] * cycle, weights[1])
    wanted = reference.best(plan, machine, kind, weights=scaled, for_good=True)
    growth, found = chosen(graph, machine, Objective(kind), weights=weights)
    if found is None:
        assert wanted is None
        return
    note(f"{data} {found.chosen}")
    event(f"{len(found.chosen.weights)} stay for good")
    assert wanted == (Fraction(found.latency, cycle), found.traffic)
    check_points(machine, graph, growth, found)


@examples(10)
@given(data=test_residency.networks(), machine=machines(set_up=True), weighted=st.booleans())
def test_no_choice_takes_less_energy(tmp_path_factory, data, machine, weighted):
    network = test_residency.read(tmp_path_factory, data)
    graph, tick, quantum = tensor_graph(network), machine.tick, machine.quantum
    objective, weights = Objective(Kind.ENERGY), None
    if weighted:
        objective = Objective(Kind.WEIGHTED, energy_weight=Fraction(1))
        weights = Fraction(1, 7), Fraction(1, 3), Fraction(1, 1000)
    per_unit = weights and (weights[0] * tick.per_cycle, weights[1], weights[2] * quantum.per_unit)
    plan = reference.Plan(network)
    wanted = reference.best(plan, machine, objective.kind, weights=per_unit, for_good=True)
    growth, found = chosen(graph, machine, objective, weights=weights)
    if found is None:
        assert wanted is None
        return
    note(f"{data} {found.chosen}")
    event(f"{len(found.chosen.weights)} stay for good")
    assert wanted == (tick.cycles(found.latency), found.traffic, quantum.told(found.energy(machine)))
    check_points(machine, graph, growth, found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("good")


class Everything:
    """All ways to run a network: what stays x weights that do for good x stacks x mappings."""

    def __init__(self, network, graph, machine, longest, summed=False):
        self.summed, walk, self.seen = summed, PortWalk if summed else Walk, {}
        self.network, self.machine, self.plan = network, machine, reference.Plan(network)
        self.owners = [step.owner for step in self.plan.steps]
        self.owned = reference.owned_bits(self.plan, machine)
        self.walks = [
            [walk(s.layer, machine, m) for m in reference.every_mapping(s.layer, machine)]
            for s in self.plan.steps
        ]
        count = len(self.owners)
        runs = [(a, b) for a in range(count) for b in range(a, min(count, a + longest))]
        stacked = [run for run in runs if stack_of(graph, *run) is not None]
        self.every = {run: test_fused.schedules(graph, *run) for run in stacked}
        most = test_fused.MOST // 4 if summed else test_fused.MOST  # walks that count at the ports take long
        assume(all(len(each) <= most for each in self.every.values()))
        self.runs = {*stacked, *((p, p) for p in range(count))}

    def ways(self, stays, run, good):
        """(need, latency, traffic, energy) of each way to run some layers; ``good``: their weights stay."""
        first, last = run
        if first == last:
            for walk in self.walks[first]:
                yield reference.run_layer(self.plan, self.machine, first, walk, stays, good)
        alive = {t for p in range(first, last + 1) for t in self.plan.alive(p, stays)}
        words = (self.plan.stored[t].words * self.machine.bits.ofmap for t in alive)
        kept = sum(reference.banks(self.machine, bits) for bits in words)
        for pieces, tiles in self.every.get(run, ()):
            if not good or not any(tiles):
                ports = self.summed
                walk = StackWalk(self.network, first, last, self.machine, pieces, tiles, stays, good, ports)
                yield walk.room + kept, walk.latency, walk.traffic, walk.energy

    def known(self, stays, run, good):
        """The same, looked at once for all that stays elsewhere."""
        alive = frozenset(t for p in range(run[0], run[1] + 1) for t in self.plan.alive(p, stays))
        key = alive, run, good
        if key not in self.seen:
            self.seen[key] = set(self.ways(alive, run, good))
        return self.seen[key]

    def fronts(self):
        """(latency, traffic) of whole networks; of energy the least, beside (latency, traffic)."""
        for stays in reference.subsets(self.plan.movable()):
            runs = [r for r in self.runs if r[0] == r[1] or not test_fused.inside(self.plan, r, stays)]
            ways = {(r, g): self.known(stays, r, g) for r, g in product(runs, (False, True))}
            for good in reference.subsets(self.owned):
                left = reference.room(self.machine) - sum(self.owned[owner] for owner in good)
                front = {}
                for run in runs:
                    whole = all(owner in good for owner in self.owners[run[0] : run[1] + 1])
                    each = ways[run, False] | (ways[run, True] if whole else set())
                    front[run] = self.front({way[1:] for way in each if way[0] <= left})
                for cover in test_fused.covers(len(self.owners), front.keys()):
                    total = [(Fraction(0),) * (3 if self.summed else 2)]
                    for run in cover:
                        total = self.front({tuple(map(add, a, b)) for a in total for b in front[run]})
                    yield from total

    def front(self, prices):
        """What nothing beats; under energy the least alone."""
        if self.summed:
            return sorted(prices, key=test_fused.thrift)[:1]
        return reference.pareto({price[:2] for price in prices})


@examples(8)
@given(
    data=st.data(),
    machine=test_fused.hardware(),
    kind=st.sampled_from((Kind.TRAFFIC, Kind.LATENCY, Kind.BALANCED, Kind.ENERGY)),
    longest=st.integers(1, 3),
)
def test_no_choice_of_stacks_is_better(folder, data, machine, kind, longest):
    network = data.draw(test_fused.networks(folder))
    size = data.draw(st.integers(8, 150))
    machine = replace(machine, buffer_bytes=size, bank_bytes=data.draw(st.sampled_from((None, 3))))
    graph = tensor_graph(network)
    summed = kind is Kind.ENERGY
    every = list(Everything(network, graph, machine, longest, summed).fronts())
    growth, found = chosen(graph, machine, Objective(kind), longest)
    if found is None:
        assert not every
        return
    cap = min(every)[0] * Fraction(101, 100) * (1 + Fraction(1, 10**12))
    wanted = {
        Kind.TRAFFIC: lambda: min(every, key=lambda p: p[::-1]),
        Kind.LATENCY: lambda: min(every),
        Kind.BALANCED: lambda: min((p for p in every if p[0] <= cap), key=lambda p: p[::-1]),
        Kind.ENERGY: lambda: min(every, key=test_fused.thrift),
    }[kind]()
    note(f"{found.chosen}")
    event(f"{len(found.chosen.weights)} stay for good")
    energy = (machine.quantum.told(found.energy(machine)),) if summed else ()
    assert wanted == (Fraction(found.latency, machine.tick.per_cycle), found.traffic, *energy)
    check_points(machine, graph, growth, found)


@examples(20)
@given(
    layer=layers(most=4, channels=4, most_axes=2),
    machine=machines(set_up=True),
    movement=movements(),
    kind=st.sampled_from((*BARE, *MEASURES)),
    rooms=st.lists(st.floats(0, 1), min_size=1, max_size=3),
)
def test_what_is_known_of_some_rooms_bounds_every_mapping(layer, machine, movement, kind, rooms):
    layer, growing = replace(layer, in_channels=3 * layer.in_channels), GrowingFrontier()
    for share in [1.0, *rooms]:  # the largest first, as what is left to a layer is never more
        room = int(share * machine.buffer_bits)
        growing.add([room], frontier(MovedSpace(posed(layer, machine, kind), movement), [room], kind), True)
    points = growing.relaxed()
    for told, real in zip(points, growing.points, strict=True):
        assert told.need <= real.need
    measured = {measure: partial(lambda m, p: [keys(m, p)], measure) for measure in MEASURES}
    of = {
        **measured,
        Kind.TRAFFIC: lambda p: [(p.traffic, p.latency)],
        Kind.LATENCY: lambda p: [(p.latency, p.traffic)],
    }.get(kind, lambda p: [p.latency, p.traffic])
    for mapping in reference.every_mapping(layer, machine):
        cost = as_point(machine, movement.cost(machine, layer.macs, work_of(layer, machine, mapping)))
        if cost.need <= machine.buffer_bits:
            within = [p for p in points if p.need <= cost.need]
            assert any(all(a <= b for a, b in zip(of(p), of(cost), strict=True)) for p in within)
