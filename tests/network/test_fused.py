"""Layers, stacks and what stays, chosen together: against everything that can be tried, and real numbers."""

from dataclasses import replace
from fractions import Fraction
from itertools import chain, combinations, product
from operator import add
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, event, given, note
from hypothesis import strategies as st

from dnns.errors import InputError
from dnns.reader import read_network
from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.network.frontiers.front import sought
from formulation.network.graph import tensor_graph
from formulation.network.stacks.search.candidates import stack_of
from formulation.problem import Kind, Objective
from solvers.network.resident.choose import Chooser
from solvers.network.resident.points import layer_blocks
from solvers.network.resident.stack_points import stack_blocks, wanted_stacks
from tests.network import reference
from tests.network.stacks.walker import Walk as StackWalk
from tests.strategies import examples, hardware
from tests.walkers.ports import PortWalk
from tests.walkers.walker import Walk

ROOT = Path(__file__).parents[2]
MOST = 400  # schedules of a stack


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fused")


@st.composite
def networks(draw, folder):
    """Two or three convolutions on small maps, with pools, skips and concatenations between them."""
    nodes, names = [], ["input"]
    for i in range(draw(st.integers(2, 3))):
        kernel = draw(st.sampled_from((1, 3)))
        source = names[-1] if draw(st.integers(0, 4)) else draw(st.sampled_from(names))
        layer = {"name": f"l{i}", "op": "conv", "inputs": [source], "out_channels": draw(st.integers(1, 2))}
        nodes.append(layer | {"kernel": kernel, "padding": kernel // 2})
        names.append(f"l{i}")
        extra = draw(st.sampled_from(("none", "none", "pool", "add", "concat")))
        if extra == "pool":
            nodes.append({"name": f"n{i}", "op": "pool", "kernel": 2, "stride": 2, "inputs": names[-1:]})
        elif extra != "none":
            pair = [draw(st.sampled_from(names[:-1])), names[-1]]
            nodes.append({"name": f"n{i}", "op": extra, "inputs": pair})
        if extra != "none":
            names.append(f"n{i}")
    size = [draw(st.integers(2, 4)) for _ in range(draw(st.integers(1, 2)))]
    path = folder / "net.yaml"
    data = {"name": "net", "batch": draw(st.sampled_from((1, 1, 2))), "input": [2, *size], "layers": nodes}
    path.write_text(yaml.safe_dump(data))
    try:
        return read_network(path)
    except InputError:  # pieces that do not fit together
        assume(False)


def schedules(graph, first, last):
    """Every cut of a stack, with every choice for the weights of each layer."""
    uses = graph.layers[first : last + 1]
    tiles = [
        [None, *product(range(1, u.layer.out_channels + 1), range(1, u.layer.in_channels + 1))] for u in uses
    ]
    cuts = product(*(range(1, axis.out + 1) for axis in uses[-1].layer.axes))
    return list(product(cuts, product(*tiles)))


def covers(count, runs):
    """Every way to cut the layers into runs."""
    if count == 0:
        yield ()
    for first in range(count):
        if (first, count - 1) in runs:
            for before in covers(first, runs):
                yield (*before, (first, count - 1))


def ways(plan, network, graph, machine, stays, run, walks, every, ports):
    """(latency, traffic, energy) of each way to run some layers beside what stays."""
    first, last = run
    if first == last:
        for walk in walks[first]:
            need, *price = reference.run_layer(plan, machine, first, walk, stays)
            if need <= reference.room(machine):
                yield tuple(price)
    if run not in every:
        return
    alive = {t for p in range(first, last + 1) for t in plan.alive(p, stays)}
    width = machine.bits.ofmap
    kept = sum(reference.banks(machine, plan.stored[t].words * width) for t in alive)
    for pieces, tiles in every[run]:
        walk = StackWalk(network, first, last, machine, pieces, tiles, stays, ports=ports)
        if walk.room + kept <= reference.room(machine):
            yield walk.latency, walk.traffic, walk.energy


def inside(plan, run, stays):
    """Whether something stays that nobody outside the run names: a stack never does that."""
    stored = (plan.stored[t] for t in stays)
    return any(run[0] <= s.producer and s.last <= run[1] and not s.output for s in stored)


def thrift(price):
    """Energy, then latency, then traffic."""
    return price[2] if price[2] is not None else 0, *price[:2]


def best(network, graph, machine, kind, longest):
    """The optimum by trying everything: (latency, traffic), for energy that as well; None if nothing fits."""
    plan, summed = reference.Plan(network), kind is Kind.ENERGY
    walk = PortWalk if summed else Walk
    walks = [
        [walk(s.layer, machine, m) for m in reference.every_mapping(s.layer, machine)] for s in plan.steps
    ]
    count, every = len(plan.steps), {}
    for first in range(count):
        for last in range(first, min(count, first + longest)):
            if stack_of(graph, first, last) is not None:
                every[first, last] = schedules(graph, first, last)
    assume(all(len(each) <= MOST for each in every.values()))
    event(f"{sum(first < last for first, last in every)} stacks of several layers")
    runs, found = {*every, *((p, p) for p in range(count))}, []
    names = plan.movable()
    for stays in map(set, chain.from_iterable(combinations(names, k) for k in range(len(names) + 1))):
        front = {}
        for run in runs:
            if run[0] == run[1] or not inside(plan, run, stays):
                prices = set(ways(plan, network, graph, machine, stays, run, walks, every, summed))
                least = sorted(prices, key=thrift)[:1]
                front[run] = least if summed else reference.pareto({price[:2] for price in prices})
        for cover in covers(count, front.keys()):
            total = [(Fraction(0),) * (3 if summed else 2)]
            for run in cover:
                sums = {tuple(map(add, a, b)) for a in total for b in front[run]}
                total = list(sums) if summed else reference.pareto(sums)
            found += total
    if not found:
        return None
    if summed:
        return min(found, key=thrift)
    cap = min(found)[0] * Fraction(101, 100) * (1 + Fraction(1, 10**12))
    return {
        Kind.TRAFFIC: lambda: min(found, key=lambda p: p[::-1]),
        Kind.LATENCY: lambda: min(found),
        Kind.BALANCED: lambda: min((p for p in found if p[0] <= cap), key=lambda p: p[::-1]),
    }[kind]()


@examples(15)
@given(
    data=st.data(),
    machine=hardware(set_up=True),
    kind=st.sampled_from((Kind.TRAFFIC, Kind.LATENCY, Kind.BALANCED, Kind.ENERGY, Kind.ENERGY)),
    longest=st.integers(1, 3),
)
def test_no_choice_is_better(folder, data, machine, kind, longest):
    network = data.draw(networks(folder))
    size = data.draw(st.integers(8, 150))
    machine = replace(machine, buffer_bytes=size, bank_bytes=data.draw(st.sampled_from((None, 3))))
    graph = tensor_graph(network)
    wanted, goal = best(network, graph, machine, kind, longest), sought(Objective(kind))
    layers, _ = layer_blocks(graph, machine, Treatment.SPLIT, goal)
    if not all(any(state.points for state in block.states) for block in layers):
        assert wanted is None
        return
    cap = None
    if kind is Kind.BALANCED:
        fastest = Chooser(machine, graph.tensors, layers).solve(Objective(Kind.LATENCY))
        cap = None if fastest is None else Objective(kind).cap(fastest.latency)
    stacks, errors = stack_blocks(
        graph, machine, goal, wanted_stacks(graph, machine, longest, cap=cap, layers=layers)
    )
    assert not errors
    found = Chooser(machine, graph.tensors, [*layers, *stacks]).solve(Objective(kind))
    if found is None:
        assert wanted is None
        return
    note(f"{found.chosen}")
    energy = (machine.quantum.told(found.energy(machine)),) if kind is Kind.ENERGY else ()
    assert wanted == (Fraction(found.latency, machine.tick.per_cycle), found.traffic, *energy)
    for point in found.points:
        again = point.priced_again(machine)
        assert (again.need, again.latency, again.traffic) == (point.need, point.latency, point.traffic)


def chain_optimum(machine, graph, blocks, kind):
    """The optimum of a chain by a dynamic program over layers run so far, and whether their result stays."""
    count = 1 + max(block.last for block in blocks)
    feeds = {}  # the tensor between a layer and the next
    for use in graph.layers[1:]:
        (feeds[use.position],) = (source.tensor for source in use.ifmap)
    fronts = {(0, False): [(0, 0)]}
    for end in range(1, count + 1):
        reached = {}
        for block in (block for block in blocks if block.last == end - 1):
            for state in block.states:
                stays = {t for kind, n in zip(block.kinds, state.stay, strict=True) for t in kind[:n]}
                before, after = feeds.get(block.first) in stays, feeds.get(end) in stays
                outputs = {t for t in stays if graph.tensors[t].is_output}  # made in place, and written
                assert stays - outputs <= {feeds.get(block.first), feeds.get(end)}
                kept = sum(
                    reference.banks(machine, graph.tensors[t].words * machine.bits.ofmap) for t in stays
                )
                points = [p for p in state.points if p.need + kept <= reference.room(machine)]
                reached.setdefault(after, set()).update(
                    (a + p.latency, b + p.traffic)
                    for a, b in fronts.get((block.first, before), [])
                    for p in points
                )
        fronts |= {(end, after): reference.pareto(pairs) for after, pairs in reached.items()}
    front = fronts[count, False]
    cap = Objective(Kind.BALANCED).cap(min(front)[0])
    return min((p for p in front if kind is Kind.TRAFFIC or p[0] <= cap), key=lambda p: p[::-1])


@pytest.mark.parametrize(
    ("name", "kind"), [("dcgan", Kind.BALANCED), ("vgg16", Kind.TRAFFIC), ("gan3d", Kind.TRAFFIC)]
)
def test_a_dynamic_program_agrees_on_chains(name, kind):
    graph = tensor_graph(read_network(ROOT / "dnns" / "networks" / f"{name}.yaml"))
    machine = Hardware(buffer_bytes=256 * 1024)
    layers, _ = layer_blocks(graph, machine, Treatment.SPLIT, kind)
    stacks, _ = stack_blocks(graph, machine, kind, wanted_stacks(graph, machine, 4))
    found = Chooser(machine, graph.tensors, [*layers, *stacks]).solve(Objective(kind))
    assert (found.latency, found.traffic) == chain_optimum(machine, graph, [*layers, *stacks], kind)
    assert stacks
