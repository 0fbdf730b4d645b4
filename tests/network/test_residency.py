"""What stays on the chip: frontiers against all mappings, the program against all that can be tried."""

from dataclasses import replace
from fractions import Fraction
from math import ceil

from hypothesis import given, note
from hypothesis import strategies as st

from dnns.reader import read_network
from formulation.deconv import Treatment
from formulation.evaluation import work_of
from formulation.network.bounds import least_spent
from formulation.network.frontiers.front import Pair, posed, sought
from formulation.network.frontiers.frontier import Point, frontier
from formulation.network.frontiers.space import MovedSpace
from formulation.network.graph import tensor_graph
from formulation.network.movement import Movement
from formulation.pricing.objective import ENERGY, Measure
from formulation.pricing.price import Price
from formulation.problem import Kind, Objective
from solvers import run_scenario
from solvers.network.resident.choose import Chooser
from solvers.network.resident.points import layer_blocks
from solvers.network.resident.run import run_network
from solvers.scenario import read_scenario
from tests.network import reference
from tests.strategies import BARE, examples, hardware, layers

COLUMNS = ("need", "latency", "traffic")
ENERGIES = Pair(ENERGY)
MEASURES = (Measure.only(ENERGY), Measure(Price(Fraction(1, 7), Fraction(0), Fraction(2, 3))))


def conv(name, inputs, channels, kernel=1, stride=1, groups=1):
    return {
        "name": name,
        "op": "conv",
        "inputs": [inputs],
        "out_channels": channels,
        "kernel": kernel,
        "stride": stride,
        "padding": kernel // 2,
        "groups": groups,
    }


@st.composite
def networks(draw):
    """A few tiny layers with what may lie between them; shapes stay equal along a branch."""
    channels = draw(st.integers(1, 3))
    size = draw(st.integers(1, 3))
    nodes, shapes = [], {"input": (draw(st.integers(1, 3)), size, size)}
    for i in range(draw(st.integers(2, 3))):
        source = draw(st.sampled_from(list(shapes)[-2:]))
        depthwise = shapes[source][0] == channels and draw(st.booleans())
        name = f"c{i}"
        nodes.append(
            conv(name, source, channels, draw(st.sampled_from((1, 3))), 1, channels * depthwise or 1)
        )
        shapes[name] = (channels, *shapes[source][1:])
        match draw(st.sampled_from(("", "pool", "add", "concat", "flatten"))):
            case "pool" if shapes[name][1] > 1:
                nodes.append({"name": f"p{i}", "op": "pool", "inputs": [name], "kernel": 2, "stride": 1})
                shapes[f"p{i}"] = (channels, *(n - 1 for n in shapes[name][1:]))
            case ("add" | "concat") as op:
                others = [n for n in shapes if n != name and shapes[n] == shapes[name]]
                if others:
                    pair = [draw(st.sampled_from(others)), name]
                    nodes.append({"name": f"j{i}", "op": op, "inputs": pair})
                    shapes[f"j{i}"] = (channels * (1 + (op == "concat")), *shapes[name][1:])
            case "flatten":
                nodes.append({"name": f"f{i}", "op": "fc", "inputs": [name], "out_channels": 2})
                shapes = {k: v for k, v in shapes.items() if k != name} | {name: shapes[name]}
    batch = draw(st.sampled_from((1, 1, 2)))
    return {"name": "random", "batch": batch, "input": list(shapes["input"]), "layers": nodes}


@st.composite
def machines(draw, set_up=False):
    machine = draw(hardware(set_up=set_up))
    return replace(
        machine, buffer_bytes=draw(st.integers(4, 200)), bank_bytes=draw(st.sampled_from((None, 3)))
    )


def read(tmp_path_factory, data):
    import yaml

    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_text(yaml.safe_dump(data))
    return read_network(path)


@examples(25)
@given(data=networks(), machine=machines(set_up=True), kind=st.sampled_from(BARE))
def test_no_choice_is_better(tmp_path_factory, data, machine, kind):
    network = read(tmp_path_factory, data)
    graph = tensor_graph(network)
    weights = Fraction(1, 7), Fraction(1, 3)
    plan = reference.Plan(network)
    cycle = machine.tick.per_cycle
    wanted = reference.best(plan, machine, kind, weights=(weights[0] * cycle, weights[1]))
    blocks, _ = layer_blocks(graph, machine, Treatment.SPLIT, kind)
    found = None
    if all(any(state.points for state in block.states) for block in blocks):
        found = Chooser(machine, graph.tensors, blocks).solve(Objective(kind), weights)
    if found is None:
        assert wanted is None
        return
    note(f"{data} {found.chosen}")
    assert wanted == (Fraction(found.latency, cycle), found.traffic)
    finest = 1e-8 if machine.transfer_setup else 0  # a tick may be finer than the solver resolves
    assert all(s.bound <= s.total and s.total - s.bound <= finest * s.total for s in found.stages)
    for point in found.points:
        again = point.priced_again(machine)
        assert (again.need, again.latency, again.traffic) == (point.need, point.latency, point.traffic)


@examples(12)
@given(data=networks(), machine=machines(set_up=True), weighted=st.booleans())
def test_no_choice_takes_less_energy(tmp_path_factory, data, machine, weighted):
    network = read(tmp_path_factory, data)
    graph, tick, quantum = tensor_graph(network), machine.tick, machine.quantum
    objective, weights = Objective(Kind.ENERGY), None
    if weighted:
        objective = Objective(Kind.WEIGHTED, energy_weight=Fraction(1))
        weights = Fraction(1, 7), Fraction(1, 3), Fraction(1, 1000)
    plan = reference.Plan(network)
    per_unit = weights and (weights[0] * tick.per_cycle, weights[1], weights[2] * quantum.per_unit)
    wanted = reference.best(plan, machine, objective.kind, weights=per_unit)
    blocks, _ = layer_blocks(graph, machine, Treatment.SPLIT, sought(objective, weights or ()))
    found = None
    if all(any(state.points for state in block.states) for block in blocks):
        least = (0, 0, ceil(least_spent(graph, machine, quantum)))
        found = Chooser(machine, graph.tensors, blocks, least=least).solve(objective, weights)
    if found is None:
        assert wanted is None
        return
    note(f"{data} {found.chosen}")
    energy = found.energy(machine)
    assert energy == sum(point.spent for point in found.points)
    assert energy >= least[2]
    assert wanted == (tick.cycles(found.latency), found.traffic, quantum.told(energy))
    first = found.stages[0]
    assert first.bound <= first.total
    assert first.total - first.bound <= 1e-8 * first.total


@st.composite
def movements(draw):
    share = st.sampled_from(((1, 1), (1, 0), (3, 1), (3, 2)))
    in_place = draw(st.booleans())
    wider = draw(st.integers(0, 200)) if in_place else 0
    besides = draw(st.integers(0, 50)), draw(st.integers(0, 9))
    return Movement(draw(share), draw(share), in_place, *besides, wider, draw(st.integers(0, 3)))


def keys(measure, cost):
    """What a point is compared by under a measure."""
    return measure.exact(cost.price), cost.latency, cost.traffic


def as_point(machine, cost):
    """What something takes and costs, energy as what is spent."""
    return Point(cost.need, cost.latency, cost.traffic, (), spent=cost.spent(machine.quantum))


def every(layer, machine, movement):
    """What every mapping takes and costs."""
    costs = [
        movement.cost(machine, layer.macs, work_of(layer, machine, mapping))
        for mapping in reference.every_mapping(layer, machine)
    ]
    return [as_point(machine, cost) for cost in costs]


@examples(30)
@given(
    layer=layers(most=4, channels=4, most_axes=2),
    machine=machines(set_up=True),
    movement=movements(),
    kind=st.sampled_from((*BARE, *MEASURES, ENERGIES)),
    data=st.data(),
)
def test_frontiers_hold_the_best_of_every_room(layer, machine, movement, kind, data):
    layer = replace(layer, in_channels=3 * layer.in_channels)  # thirds of the ifmap are whole words
    room = st.integers(0, machine.buffer_bits)
    rooms = data.draw(st.one_of(st.none(), st.lists(room, min_size=1, max_size=3, unique=True)))
    rooms = rooms and tuple(sorted(rooms, reverse=True))
    points = frontier(MovedSpace(posed(layer, machine, kind), movement), rooms, kind)
    costs = every(layer, machine, movement)
    for point in points:
        again = point.priced_again(machine)
        assert all(getattr(again, column) == getattr(point, column) for column in COLUMNS)
        assert kind not in (*MEASURES, ENERGIES) or again.spent(machine.quantum) == point.spent
    for size in rooms or sorted({c.need for c in costs if c.need <= machine.buffer_bits}):
        if kind in MEASURES:
            fit, held = ([x for x in some if x.need <= size] for some in (costs, points))
            assert min((keys(kind, p) for p in held), default=None) == min(
                (keys(kind, c) for c in fit), default=None
            )
            continue
        other = "energy" if kind is ENERGIES else "traffic"
        pairs, held = (
            {(x.latency, getattr(x, other)) for x in some if x.need <= size} for some in (costs, points)
        )
        if kind is Kind.TRAFFIC:
            pairs, held = ({min(s, key=lambda c: c[::-1])} if s else set() for s in (pairs, held))
        elif kind is Kind.LATENCY:
            pairs, held = ({min(s)} if s else set() for s in (pairs, held))
        assert reference.pareto(held) == reference.pareto(pairs)


def test_set_ups_of_deconvolutions_are_those_of_their_parts_where_nothing_stays():
    changes = {"deconvolution": "split", "transfer_setup": 100, "objective": {"kind": "latency"}}
    scenario = read_scenario("dcgan").replace(**changes)
    wanted = run_scenario(scenario).to_dict()["totals"]
    found = run_network(scenario.replace(network_level="resident")).to_dict()["totals"]
    assert found["latency_cycles_layers"] == wanted["latency_cycles"]
    assert found["traffic_bytes_layers"] == wanted["traffic_bytes"]
    assert found["latency_cycles"] < wanted["latency_cycles"]
