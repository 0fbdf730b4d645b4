"""The least traffic, latency or energy against the buffer's size: of every layer, and of the network.

Of each distinct problem the frontier of the whole map space is made once, for rooms of every size
(``formulation.network.frontiers.frontier``): the sizes at which its optimum changes, and the mapping that is
the optimum from there on. A layer's curve is the sum over its parts, the network's that over its layers,
which run one after another, each with the whole buffer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from dnns.layer import Network
from formulation.bounds import compulsory_bits, least_energy_pj, least_traffic_bits, roofline_ticks
from formulation.evaluation import evaluate
from formulation.hardware import Hardware
from formulation.network.frontiers.frontier import LayerWay, frontier
from formulation.network.frontiers.space import MovedSpace
from formulation.network.movement import alone
from formulation.pricing.price import Cost
from formulation.problem import Kind, Problem
from solvers.exploring.plan import part_problem, settled, splits, wanted_layers
from solvers.network.attempt import Failure
from solvers.network.parts import PartReport
from solvers.network.plan import Planned
from solvers.network.tasks import Notify, Task
from solvers.network.work import effort
from solvers.scenario import Scenario

if TYPE_CHECKING:
    from solvers.network.workers import Workers

Step = tuple[int, Fraction]
"""A size of the buffer [bytes], and the least value from there on."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What holds for any schedule of a layer, or of several.

    Attributes:
        compulsory: whatever the buffer's size.
        by_size: with a buffer of so many bytes.
    """

    compulsory: Fraction
    by_size: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """The optimum of every size of the buffer.

    Attributes:
        name: of the layer, or of the network.
        steps: ascending sizes, descending values; the first is the smallest size that was asked for, or that
            everything fits.
        bounds: for any schedule.
    """

    name: str
    steps: tuple[Step, ...]
    bounds: Bounds

    def at(self, size: int) -> Fraction | None:
        """The optimum of a size [bytes]; None if something does not fit."""
        held = [value for step, value in self.steps if step <= size]
        return held[-1] if held else None


@dataclass(frozen=True, slots=True)
class Curves:
    """What was found.

    Attributes:
        network: its name.
        target: what is least.
        hardware: the machine, with the largest buffer.
        sizes: that are looked at in tables [bytes], ascending.
        layers: their curves, in order, each with all its runs (``count``).
        total: of the network; None if some layer does not fit the largest buffer.
        unfit: layers that do not.
        split: whether deconvolutions are split though the scenario would let them share tiles.
    """

    network: str
    target: Kind
    hardware: Hardware
    sizes: tuple[int, ...]
    layers: tuple[Curve, ...]
    total: Curve | None
    unfit: tuple[str, ...]
    split: bool


def curves(
    scenario: Scenario,
    sizes: Sequence[int],
    target: Kind,
    *,
    layer: str | None = None,
    network: Network | None = None,
    workers: Workers | None = None,
    notify: Notify | None = None,
) -> Curves:
    """The curves of a network's layers and of their sum.

    Args:
        scenario: network and machine, its buffer aside.
        sizes: of the buffer [bytes], ascending; curves end at the last.
        target: latency, traffic or energy.
        layer: name of the only layer that is wanted; None for all.
        network: the scenario's network if it has been read already.
        workers: processes to use; the curves do not depend on them.
        notify: called after each frontier.

    Raises:
        InputError: if the network cannot be read, has no such layer, or a frontier fails.
    """
    network = scenario.read_network(network)
    wanted = wanted_layers(scenario.replace(bufsize=sizes[-1]), network, layer)
    made = _steps(wanted, target, workers, notify)
    found = [_curve(planned, target, sizes, made) for planned in wanted]
    known = [curve for curve in found if curve.steps]
    total = _total(network.name, known) if len(known) == len(found) else None
    unfit = tuple(curve.name for curve in found if not curve.steps)
    split = splits(scenario, wanted)
    machine = replace(scenario.hardware.build(), buffer_bytes=sizes[-1])
    return Curves(network.name, target, machine, tuple(sizes), tuple(known), total, unfit, split)


def _steps(
    plan: Sequence[Planned], target: Kind, workers: Workers | None, notify: Notify | None
) -> dict[Problem, list[Step]]:
    """Of each distinct problem."""
    names: dict[Problem, str] = {}
    for planned in plan:
        for part in planned.parts:
            if part.layer is not None:
                names.setdefault(part_problem(planned, part.layer, target), part.name)
    tasks = [Task(name, steps_of, (p,), Failure, (), effort(p)) for p, name in names.items()]
    return dict(zip(names, settled(tasks, workers, notify), strict=True))


def steps_of(problem: Problem) -> list[Step]:
    """The sizes at which the optimum of a problem changes, its buffer the largest; empty if nothing fits."""
    layer, machine, kind = problem.layer, problem.hardware, problem.objective.kind
    steps: list[Step] = []
    for point in sorted(frontier(MovedSpace(problem, alone(layer)), None, kind), key=lambda p: p.need):
        (way,) = point.ways
        assert isinstance(way, LayerWay)
        value = value_of(evaluate(layer, machine, way.mapping), machine, kind)
        if not steps or value < steps[-1][1]:
            steps.append((-(-point.need // 8), value))
    return steps


def value_of(cost: Cost | PartReport, machine: Hardware, target: Kind) -> Fraction:
    """What is drawn: cycles, bytes or pJ."""
    if target is Kind.ENERGY:
        value = cost.energy_pj(machine) if isinstance(cost, Cost) else cost.energy_pj
    else:
        value = cost.traffic_bytes if target is Kind.TRAFFIC else cost.latency_cycles
    assert value is not None
    return value


def _curve(planned: Planned, target: Kind, sizes: Sequence[int], made: dict[Problem, list[Step]]) -> Curve:
    """Of a layer: the sum over its parts, all its runs."""
    runs, parts = planned.operator.count, []
    for part in planned.parts:
        if part.layer is not None:
            steps = made[part_problem(planned, part.layer, target)]
        else:
            written = PartReport(part.name, None, 1, part.ofmap_words, None, (), planned.machine)
            steps = [(1, value_of(written, planned.machine, target))]
        parts.append([(size, runs * part.count * value) for size, value in steps])
    return Curve(planned.operator.name, _from(sizes[0], summed(parts)), _bounds(planned, target, sizes))


def summed(parts: Iterable[Sequence[Step]]) -> tuple[Step, ...]:
    """The sum of several descents, from the size on at which all are there; empty if one is."""
    parts = list(parts)
    if not all(parts):
        return ()
    first = max(steps[0][0] for steps in parts)
    falls: dict[int, Fraction] = {}
    total = Fraction(0)
    for steps in parts:
        total += next(value for size, value in reversed(steps) if size <= first)
        for (_, before), (size, after) in pairwise(steps):
            if size > first:
                falls[size] = falls.get(size, Fraction(0)) + before - after
    found = [(first, total)]
    for size in sorted(falls):
        total -= falls[size]
        found.append((size, total))
    return tuple(found)


def _from(size: int, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps from a size on."""
    below = [value for at, value in steps if at <= size]
    return (*((size, value) for value in below[-1:]), *(step for step in steps if step[0] > size))


def _bounds(planned: Planned, target: Kind, sizes: Sequence[int]) -> Bounds:
    """What holds for any schedule, all runs of the layer."""
    layer, machine, runs = planned.operator, planned.machine, planned.operator.count
    if target is Kind.ENERGY:
        least = runs * least_energy_pj(layer, machine)
        return Bounds(least, tuple((size, least) for size in sizes))
    by_size = [least_traffic_bits(layer, replace(machine, buffer_bytes=size)) for size in sizes]
    compulsory = compulsory_bits(layer, machine)
    if target is Kind.TRAFFIC:
        values = [Fraction(runs * bits, 8) for bits in (compulsory, *by_size)]
    else:
        tick, roofline = machine.tick, Fraction(roofline_ticks(layer, machine))
        ticks = (max(roofline, Fraction(bits * tick.per_bit)) for bits in (compulsory, *by_size))
        values = [runs * t / tick.per_cycle for t in ticks]
    return Bounds(values[0], tuple(zip(sizes, values[1:], strict=True)))


def _total(name: str, layers: Sequence[Curve]) -> Curve:
    compulsory = sum((curve.bounds.compulsory for curve in layers), Fraction(0))
    columns = zip(*(curve.bounds.by_size for curve in layers), strict=True)
    by_size = tuple((column[0][0], sum((v for _, v in column), Fraction(0))) for column in columns)
    return Curve(name, summed(curve.steps for curve in layers), Bounds(compulsory, by_size))
