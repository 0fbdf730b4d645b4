"""Certificates with one field changed, and whether what they then claim is true."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from json import dumps, loads
from math import prod
from random import Random

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Deconvolution, Layer
from formulation.cost import Trips, transfers
from formulation.deconv import split, unique_layers
from formulation.hardware import BitWidths, Dataflow, Energy, Fill, Halo, Hardware
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.pricing.objective import CAP_TOLERANCE
from formulation.problem import Problem
from formulation.shared.problem import SharedMapping, SharedProblem, SubKernels
from solvers import check
from solvers.network.data.posed import PLAIN
from tests.conformance.reference import layer_runs, price
from tests.shared.test_cost import every_mapping

WORDS = ("weight", "input", "output", "latency", "traffic", "balanced", "reuse", "refetch", "exposed", "7/5")
WORDS += ("energy", "weighted", "conv", "deconv", "split", "combine")


def places(value, path=()):
    """Paths of all fields of a document."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))
    else:
        yield path


def told(model, way, box, prices, worth, point):
    """Multipliers as a certificate has them: prices of late ticks of the array, and of bits of the parts."""
    late, *rooms = prices
    every = [worth[0] + late, 0, *worth[1:], *rooms]

    def lagrangian(rows):
        return check.dot(every, model.costs(way, box, (), rows))

    def without(d, c):
        return [[x * ((i, j) != (d, c)) for j, x in enumerate(row)] for i, row in enumerate(point)]

    whole = lagrangian(point)
    slopes = [[whole - lagrangian(without(d, c)) for c in range(len(row))] for d, row in enumerate(point)]
    names = ("late", "bus", "ifmap", "ofmap", "weights")
    return {
        **dict(zip(names, map(str, (late, 0, *rooms)), strict=True)),
        "point": [" ".join(map(str, row)) for row in point],
        "coefficients": [" ".join(map(str, row)) for row in slopes],
    }


def corrupted(entry, random: Random, paths=None):
    """A copy of an entry with one field changed; what is not on the way to it is the same object.

    Half of the changes are to multipliers, if there are any.
    """
    paths = paths or list(places(entry))
    duals = [path for path in paths if "duals" in path]
    if duals and random.random() < 0.5:
        paths = duals
    return _changed(entry, random.choice(paths), random, in_tree=False)


def _changed(value, path, random, in_tree):
    if path:
        holder = dict(value) if isinstance(value, dict) else list(value)
        holder[path[0]] = _changed(value[path[0]], path[1:], random, path[0] == "trees" or in_tree)
        return holder
    if in_tree:
        return _tree(value, random)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        wrong = (value + 1, value - 1, 2 * value, value // 2, random.randint(-2, 9), str(value), None, "1.5")
        return random.choice(wrong)
    if isinstance(value, str) and random.random() < 0.7:
        numbers = value.split()
        place = random.randrange(len(numbers))
        return " ".join([*numbers[:place], str(_number(numbers[place], random)), *numbers[place + 1 :]])
    return random.choice((*WORDS, None, 0, 1, {}, []))


def _number(old, random):
    try:
        value = Fraction(old)
    except ValueError:
        return random.choice(WORDS)
    factor = random.choice((Fraction(2), Fraction(1, 2), Fraction(101, 100), Fraction(99, 100), Fraction(-1)))
    return str(random.choice((value + 1, value - 1, value * factor, value + Fraction(1, 9))))


def _tree(old, random):
    tokens, place = old.split(), random.randrange(len(old.split()))
    kind = random.randrange(5)
    if kind == 0:
        tokens[place] = random.choice(("c", "l", "m", "x", "d0", "d1", "d2"))
    elif kind == 1:
        tokens[place] = f"{random.randint(0, 5)}:{random.randint(0, 6)}"
    elif kind == 2:
        del tokens[place]
    elif kind == 3:
        tokens.insert(place, random.choice(tokens))
    else:
        other = random.randrange(len(tokens))
        tokens[place], tokens[other] = tokens[other], tokens[place]
    return " ".join(tokens)


def operator_of(entry):
    """The layer or deconvolution of an entry; raises ValueError if it is none."""
    layer, kind = entry["layer"], Axis if entry["layer"]["op"] == "conv" else TransposedAxis
    axes = []
    for a in layer["axes"]:
        sizes = {("in_size" if k == "in" else k): v for k, v in a.items()}
        if kind is Axis:  # what no output needs may be padded
            span = (a["out"] - 1) * a["stride"] + a["dilation"] * (a["kernel"] - 1) + 1
            sizes["pad_hi"] = span - a["in"] - a["pad_lo"]
        axes.append(kind(**sizes))
    sizes = [layer[k] for k in ("out_channels", "in_channels")]
    made = Layer if kind is Axis else Deconvolution
    return made("x", *sizes, tuple(axes), batch=layer["batch"], groups=layer["groups"])


def machine_of(entry):
    """The machine of an entry."""
    machine = entry["machine"]
    return Hardware(
        **{k: machine[k] for k in PLAIN},
        bandwidth=Fraction(machine["bandwidth"]),
        frequency=Fraction(machine["frequency"]),
        bits=BitWidths(**machine["bits"]),
        dataflow=Dataflow(machine["dataflow"]),
        halo=Halo(machine["halo"]),
        fill=Fill(machine["fill"]),
        energy=Energy(**{k: Fraction(v) for k, v in machine["energy"].items()}),
    )


@cache
def _posed(text):
    entry = loads(text)
    parts = entry["partition"]
    operator, machine = operator_of(entry), machine_of(entry)
    return operator, machine, None if parts is None else Partition(**parts)


@cache
def _prices(operator, machine, partition, summed):
    """Latency [cycles], traffic [bytes] and energy [pJ] of every mapping that fits.

    What mappings move and compute is counted once for machines that differ in nothing that it depends on.
    """
    kept = ("rows", "cols", "dataflow", "halo", "fill", *(("bits", "energy") if summed else ()))
    plain = Hardware(**{name: getattr(machine, name) for name in kept})
    runs = (
        layer_runs(operator, plain, summed) if isinstance(operator, Layer) else _shared_runs(operator, plain)
    )
    if summed and not isinstance(operator, Layer):
        runs = {(*run[:5], _apart(operator, machine, run[5])) for run in runs}
    elif not summed:
        runs = {(*run[:5], None) for run in runs}
    found = {price(machine, partition, *run) for run in runs} - {None}
    return {(latency, Fraction(bits, 8), energy or 0) for latency, bits, energy in found}


@cache
def _shared_runs(deconv, machine):
    """Words, largest tiles, cycles, ofmap words, whether there are partial sums, words at the array."""
    machine = replace(machine, bits=BitWidths.uniform(1), double_buffered=False, buffer_bytes=10**9)
    problem, found = SharedProblem(deconv, machine), set()
    for mapping, cost in every_mapping(problem):
        words: tuple[int | None, ...] = tuple(
            getattr(cost.traffic, name) for name in ("ifmap", "weights", "ofmap_write", "ofmap_read")
        )
        partial = mapping.in_channels < deconv.in_channels
        ofmap = problem.kernels.ofmap_words
        extents = (deconv.batch, *(-(-a.out // a.stride) for a in deconv.axes))
        sizes = zip(extents, (mapping.batch, *mapping.spatial), strict=True)
        cuts = prod(-(-extent // size) for extent, size in sizes)
        trips = Trips(mapping.round_count, -(-deconv.in_channels // mapping.in_channels), cuts)
        words += transfers(deconv.groups, mapping.stationary, trips).total, None
        found.add((words, cost.footprint.parts, cost.compute_cycles, ofmap, partial, cost.array))
    return frozenset(found)


def _apart(deconv, machine, array):
    """Energy of the multiply-accumulates and of the array's ports."""
    macs = sum(layer.macs for layer in SubKernels(deconv).layers)
    return machine.energy.mac * macs + machine.energy.sram * array.bits(machine)


def _told(machine, cost):
    return cost.latency_cycles, cost.traffic_bytes, cost.energy_pj(machine)


def _mapping(operator, mapping):
    """A mapping of an entry."""
    order, tile = Stationary(mapping["stationary"]), mapping["tile"]
    slide = mapping["slide"] - 1 if mapping["slide"] else None
    if isinstance(operator, Layer):
        return Mapping(Tile(*tile[:3], tuple(tile[3:])), order, slide)
    rounds = tuple(tuple(row) for row in mapping["rounds"])
    return SharedMapping(tile[0], tile[1], tuple(tile[2:]), rounds, order, slide)


class _False(Exception):
    pass


def _require(holds):
    if not holds:
        raise _False


def _claims(entry, objective, operator, machine, partition, rival=None, aside=(0, 0, 0)):
    """Price of a mapping, last bound, least latency, cap; raises _False if a claim is not true."""
    posed = (Problem if isinstance(operator, Layer) else SharedProblem)(
        operator, machine, partition=partition
    )

    def priced(mapping):
        if mapping is None:
            return None
        cost = posed.evaluate(_mapping(operator, mapping))
        _require(posed.is_feasible(cost))
        return _told(machine, cost)

    weights = _weights(objective)
    prices = _prices(operator, machine, partition, bool(weights[2]))
    bounds = [Fraction(claim["bound"]) for claim in entry["claims"]]
    least, cap = None, None
    if "tolerance" in objective:
        fastest = priced(entry["fastest"])
        known = [latency for latency in (fastest and fastest[0], rival) if latency is not None]
        least = min(known)
        cap = (least + aside[0]) * (1 + Fraction(objective["tolerance"])) * (1 + CAP_TOLERANCE) - aside[0]
        _require(all(p[0] >= bounds[0] for p in prices))
        prices = [p for p in prices if p[0] <= cap]
    _require(all(_score(weights, p) >= bounds[-1] for p in prices))
    return priced(entry["mapping"]), bounds[-1], least, cap


def _weights(objective):
    return tuple(Fraction(objective["weights"][k]) for k in ("cycle", "byte", "pj"))


def _score(weights, price):
    return sum(w * p for w, p in zip(weights, price, strict=True))


def is_true(entry):
    """Whether what an entry claims holds: its mappings fit, and no mapping contradicts a bound.

    What is no layer or machine counts as true: nothing is claimed of one.
    """
    return _is_true(dumps(_without_trees(entry)))


def _without_trees(value):
    if isinstance(value, dict):
        return {k: _without_trees(v) for k, v in value.items() if k not in ("trees", "duals")}
    return [_without_trees(v) for v in value] if isinstance(value, list) else value


@cache
def _is_true(text):
    entry = loads(text)
    try:
        posed = dumps({k: entry[k] for k in ("layer", "machine", "partition")})
        operator, machine, partition = _posed(posed)
    except ValueError:
        return True
    try:
        return _holds(entry, operator, machine, partition)
    except _False:
        return False


def _holds(entry, operator, machine, partition):
    objective = entry["objective"]
    weights, value = _weights(objective), Fraction(entry["value"])
    if isinstance(operator, Layer):
        found, bound, _, cap = _claims(entry, objective, operator, machine, partition)
    else:
        bits = SubKernels(operator).zero_words * machine.bits.ofmap
        late = machine.tick.cycles(SubKernels(operator).zero_ticks(machine))
        aside = late, Fraction(bits, 8), 0
        written = machine.energy.sram + machine.energy.dram
        aside = (*aside[:2], written * bits + machine.energy.static / machine.frequency * aside[0])
        kernels = [(layer, len(same)) for layer, same in unique_layers(split(operator))]
        apart, total = [0, 0, 0], 0
        rival = 0
        for part, (layer, count) in zip(entry["parts"], kernels, strict=True):
            costs, bound, least, _ = _claims(part, objective, layer, machine, partition)
            apart = [a + count * p for a, p in zip(apart, costs, strict=True)]
            total, rival = total + count * bound, rival + count * (least or 0)
        way, bound, _, cap = _claims(entry["shared"], objective, operator, machine, partition, rival, aside)
        found = apart if entry["choice"] == "split" else way
        found = [f + a for f, a in zip(found, aside, strict=True)]
        bound, cap = min(bound, total) + _score(weights, aside), None if cap is None else cap + aside[0]
    late = cap is not None and found[0] > cap
    return not late and value == _score(weights, found) and bound <= value
