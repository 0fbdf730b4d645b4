"""The least traffic, latency or energy of a network against the size of its SRAM.

Frontiers are made once, for all sizes. The program of the largest size gives an optimum and what its
solution takes at most; every smaller size that still holds that solution has the same optimum, for what a
smaller buffer can do, a larger one can. So the next program is that of the largest size below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from dnns.errors import InputError
from dnns.layer import Network
from formulation.hardware import Hardware
from formulation.network.bounds import compulsory_bits, least_spent, roofline_ticks
from formulation.network.frontiers.front import sought
from formulation.network.graph import TensorGraph, tensor_graph
from formulation.network.movement import kept_bits
from formulation.network.program.blocks import Block
from formulation.network.weights import TrainedWeights
from formulation.problem import Kind, Objective
from solvers.network.plan import network_machine
from solvers.network.resident.choose import Chooser
from solvers.network.resident.outcome import Choice
from solvers.network.resident.points import layer_blocks
from solvers.network.resident.stack_points import stack_blocks, wanted_stacks
from solvers.network.tasks import Notify
from solvers.result import Termination
from solvers.scenario import Scenario

if TYPE_CHECKING:
    from solvers.network.workers import Workers


@dataclass(frozen=True, slots=True)
class Sized:
    """The optimum of one size.

    Attributes:
        buffer_bytes: the size.
        taken_bytes: what the solution takes of it at most; down to here, nothing changes.
        traffic_bytes: of the network.
        latency_cycles: of the network.
        energy_pj: of the network.
        lower_bound: proven, of the target [bytes, cycles or pJ].
        optimal: whether the target's value is proven to be the least.
    """

    buffer_bytes: int
    taken_bytes: Fraction
    traffic_bytes: Fraction
    latency_cycles: Fraction
    energy_pj: Fraction
    lower_bound: Fraction
    optimal: bool

    def value(self, target: Kind) -> Fraction:
        """The target's [bytes, cycles or pJ]."""
        if target is Kind.TRAFFIC:
            return self.traffic_bytes
        return self.latency_cycles if target is Kind.LATENCY else self.energy_pj


@dataclass(frozen=True, slots=True)
class Sizing:
    """What was found.

    Attributes:
        network: its name.
        target: what is least: latency, traffic or energy.
        points: of every size that was asked for and fits, ascending.
        least: of the target, whatever the size [bytes, cycles or pJ].
        programs: how many were solved.
    """

    network: str
    target: Kind
    points: tuple[Sized, ...]
    least: Fraction
    programs: int

    def value(self, point: Sized) -> Fraction:
        """The target's."""
        return point.value(self.target)

    @property
    def steps(self) -> tuple[Sized, ...]:
        """The sizes from which on the target is less than for all smaller ones."""
        found: list[Sized] = []
        for point in self.points:
            if not found or self.value(point) < self.value(found[-1]):
                found.append(point)
        return tuple(found)

    def reached(self, value: Fraction) -> Sized | None:
        """The smallest size that keeps a value of the target."""
        return next((point for point in self.points if self.value(point) <= value), None)


def sizing(
    scenario: Scenario,
    sizes: Sequence[int],
    target: Kind,
    *,
    network: Network | None = None,
    workers: Workers | None = None,
    notify: Notify | None = None,
) -> Sizing:
    """The optimum of every size of the SRAM.

    Args:
        scenario: network, machine (its buffer aside) and level: ``resident`` or ``fused``.
        sizes: of the buffer [bytes], ascending.
        target: latency, traffic or energy.
        network: the scenario's network if it has been read already.
        workers: processes to use; the points do not depend on them.
        notify: called after each frontier.

    Raises:
        InputError: if the network cannot be read, or no size holds every layer.
    """
    network = scenario.read_network(network)
    machine = replace(network_machine(network, scenario), buffer_bytes=sizes[-1])
    machines = [replace(machine, buffer_bytes=size) for size in sizes]
    smaller = sorted({machine.buffer_bits - m.buffer_bits for m in machines})
    graph = tensor_graph(network)
    blocks, errors = layer_blocks(
        graph,
        machine,
        scenario.treatment,
        sought(Objective(target)),
        smaller=smaller,
        time_limit=scenario.time_limit,
        workers=workers,
        notify=notify,
    )
    if scenario.network_level == "fused" and not errors:
        unfit = frozenset(b.first for b in blocks if not any(s.points for s in b.states))
        stacks, errors = stack_blocks(
            graph,
            machine,
            sought(Objective(target)),
            wanted_stacks(graph, machine, scenario.longest_stack, without=unfit, smaller=smaller),
            time_limit=scenario.time_limit,
            workers=workers,
            notify=notify,
        )
        blocks += stacks
    if errors:
        raise InputError(network.name, "", f"internal error: {next(iter(errors.values()))}")
    points, programs = _walk(scenario, graph, blocks, machines, target)
    if not points:
        raise InputError(network.name, "", f"some layer does not fit {sizes[-1]:,} bytes, nor less")
    return Sizing(network.name, target, tuple(points[::-1]), least_of(graph, machine, target), programs)


def least_of(graph: TensorGraph, machine: Hardware, target: Kind, for_good: bool = False) -> Fraction:
    """What the target is at least [bytes, cycles or pJ]; ``for_good``: weights may stay for good."""
    if target is Kind.TRAFFIC:
        return Fraction(compulsory_bits(graph, machine, for_good), 8)
    if target is Kind.LATENCY:
        return Fraction(roofline_ticks(graph, machine, for_good)) / machine.tick.per_cycle
    return machine.quantum.told(least_spent(graph, machine, machine.quantum, for_good))


def least_sums(graph: TensorGraph, machine: Hardware, for_good: bool = False) -> tuple[int, int, int]:
    """What any schedule takes [ticks, bits, quanta]; ``for_good``: weights may stay for good."""
    ticks = roofline_ticks(graph, machine, for_good)
    energy = least_spent(graph, machine, machine.quantum, for_good)
    return ceil(ticks), compulsory_bits(graph, machine, for_good), ceil(energy)


def _walk(
    scenario: Scenario,
    graph: TensorGraph,
    blocks: Sequence[Block],
    machines: Sequence[Hardware],
    target: Kind,
) -> tuple[list[Sized], int]:
    """The points from the largest size down, and how many programs that took."""
    points: list[Sized] = []
    choice, taken, programs = None, 0, 0
    for machine in reversed(machines):
        if choice is None or machine.buffer_bits < taken:
            within = [_within(block, machine.buffer_bits) for block in blocks]
            within = [b for b in within if b.first == b.last or any(s.points for s in b.states)]
            if not all(any(s.points for s in b.states) for b in within):
                break
            chooser = Chooser(
                machine,
                graph.tensors,
                within,
                backend=scenario.backend,
                time_limit=scenario.time_limit,
                least=least_sums(graph, machine),
            )
            choice, programs = chooser.solve(Objective(target)), programs + 1
            if choice is None:
                break
            taken = taken_bits(machine, graph, within, choice)
        points.append(sized(machine, choice, taken, target))
    return points, programs


def _within(block: Block, bits: int) -> Block:
    """A block with those points alone that a buffer of so many bits may hold."""
    states = tuple(replace(s, points=tuple(p for p in s.points if p.need <= bits)) for s in block.states)
    return replace(block, states=states)


def taken_bits(
    machine: Hardware,
    graph: TensorGraph,
    blocks: Sequence[Block],
    choice: Choice,
    weights: Sequence[TrainedWeights] = (),
) -> int:
    """The most that a solution takes of the buffer [bits]; ``weights`` are those that may stay for good."""
    most, held = 0, sum(weights[w].bits for w in choice.chosen.weights)
    for (b, _, _), point in zip(choice.chosen.runs, choice.points, strict=True):
        kept = [t for t in choice.chosen.stays if any(graph.tensors[t].alive(p) for p in blocks[b].positions)]
        most = max(most, point.need + held + sum(kept_bits(machine, graph.tensors[t]) for t in kept))
    return most


def sized(machine: Hardware, choice: Choice, taken: int, target: Kind) -> Sized:
    """The optimum of a size, from its program's answer and what that takes [bits]."""
    tick, stage = machine.tick, choice.stages[0]
    bound = Fraction(stage.bound, 8)
    if target is not Kind.TRAFFIC:
        bound = (tick.cycles if target is Kind.LATENCY else machine.quantum.told)(stage.bound)
    return Sized(
        machine.buffer_bytes,
        Fraction(taken, 8),
        Fraction(choice.traffic, 8),
        tick.cycles(choice.latency),
        machine.quantum.told(choice.energy(machine)),
        bound,
        stage.total == stage.bound and stage.termination is Termination.OPTIMAL,
    )
