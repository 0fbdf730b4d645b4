"""Certificates with one field changed, and whether what they then claim is true."""

from copy import deepcopy
from fractions import Fraction
from functools import lru_cache
from json import dumps, loads

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import BitWidths, Dataflow, Fill, Halo, Hardware
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.objective import CAP_TOLERANCE
from formulation.problem import Problem
from tests.conformance.reference import layer_prices

WORDS = ("weight", "input", "output", "latency", "traffic", "balanced", "reuse", "refetch", "exposed", "7/5")


def places(value, path=()):
    """Paths of all fields of a document."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))
    else:
        yield path


def corrupted(entry, random):
    """A copy of an entry with one field changed."""
    changed = deepcopy(entry)
    path = random.choice(list(places(changed)))
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    old = holder[path[-1]]
    if len(path) > 2 and path[-2] == "trees":
        new = _tree(old, random)
    elif isinstance(old, bool):
        new = not old
    elif isinstance(old, int):
        new = random.choice((old + 1, old - 1, 2 * old, old // 2, random.randint(-2, 9), str(old), None, 1.5))
    elif isinstance(old, str) and random.random() < 0.7:
        new = _number(old, random)
    else:
        new = random.choice((*WORDS, None, 0, 1, {}, []))
    holder[path[-1]] = new
    return changed


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
        tokens[place] = random.choice("clmx")
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


@lru_cache(maxsize=4096)
def _prices(text):
    problem = problem_of(loads(text))
    return tuple(layer_prices(problem.layer, problem.hardware, problem.partition))


def problem_of(entry):
    """The layer, machine and partition of an entry."""
    layer, machine, parts = entry["layer"], entry["machine"], entry["partition"]
    axes = tuple(Axis(**{("in_size" if k == "in" else k): v for k, v in a.items()}) for a in layer["axes"])
    sizes = [layer[k] for k in ("out_channels", "in_channels")]
    return Problem(
        Layer("x", *sizes, axes, batch=layer["batch"], groups=layer["groups"]),
        Hardware(
            rows=machine["rows"],
            cols=machine["cols"],
            buffer_bytes=machine["buffer_bytes"],
            bandwidth=Fraction(machine["bandwidth"]),
            frequency=Fraction(machine["frequency"]),
            bits=BitWidths(**machine["bits"]),
            dataflow=Dataflow(machine["dataflow"]),
            bank_bytes=machine["bank_bytes"],
            double_buffered=machine["double_buffered"],
            halo=Halo(machine["halo"]),
            fill=Fill(machine["fill"]),
        ),
        partition=None if parts is None else Partition(**parts),
    )


def mapping_of(mapping):
    """A mapping of an entry."""
    tile = mapping["tile"]
    sizes = [tile[k] for k in ("out_channels", "in_channels", "batch")]
    return Mapping(
        Tile(*sizes, tuple(tile["spatial"])), Stationary(mapping["stationary"]), mapping["sliding_axis"]
    )


def is_true(entry):
    """Whether what an entry claims holds: its mappings fit, and no mapping contradicts a bound.

    Axes that no layer can have (their outputs need more than the padded input) count as true: they are no
    layer's, so nothing is claimed of one.
    """
    try:
        problem = problem_of(entry)
    except ValueError:
        return True
    prices = _prices(dumps({k: entry[k] for k in ("layer", "machine", "partition")}))
    tick, kind = problem.hardware.tick, entry["objective"]["kind"]

    def price(mapping):
        cost = problem.evaluate(mapping_of(mapping))
        return problem.is_feasible(cost), cost.latency_ticks, cost.traffic_bits

    fits, latency, traffic = price(entry["mapping"])
    value = Fraction(latency, tick.per_cycle) if kind == "latency" else Fraction(traffic, 8)
    bounds = [Fraction(claim["bound"]) for claim in entry["claims"]]
    if not fits or value != Fraction(entry["value"]):
        return False
    if kind == "balanced":
        fastest_fits, fastest, _ = price(entry["fastest"])
        cap = fastest * (1 + Fraction(entry["objective"]["tolerance"])) * (1 + CAP_TOLERANCE)
        if not fastest_fits or latency > cap or any(p[0] < bounds[0] for p in prices):
            return False
        prices = [p for p in prices if p[0] * tick.per_cycle <= cap]
    if kind == "latency":
        return all(p[0] >= bounds[-1] for p in prices)
    return all(Fraction(p[1], 8) >= bounds[-1] for p in prices)
