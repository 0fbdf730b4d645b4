"""The same to the byte: every size of the SRAM at which the optimum of a network changes.

The program of the largest size gives an optimum and what its solution takes. It is the optimum of every size
down to that, so the next program is that of one byte less; and so on. Frontiers grow where a program's answer
needs it (``solvers.network.resident.growth``): each program is solved with what bounds all rooms.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from dnns.errors import InputError
from dnns.layer import Network
from formulation.network.bounds import compulsory_bits, roofline_ticks
from formulation.network.graph import tensor_graph
from formulation.problem import Kind, Objective
from solvers.network.plan import network_machine
from solvers.network.resident.choose import Chooser
from solvers.network.resident.growth import Growth
from solvers.network.resident.recipes import Making
from solvers.network.resident.sizing import Sized, Sizing, least_of, sized, taken_bits
from solvers.network.tasks import Notify
from solvers.scenario import Scenario

if TYPE_CHECKING:
    from solvers.network.workers import Workers


def exact_sizing(
    scenario: Scenario,
    low: int,
    high: int,
    target: Kind,
    *,
    network: Network | None = None,
    workers: Workers | None = None,
    notify: Notify | None = None,
) -> Sizing:
    """The optimum of every size from ``low`` to ``high`` [bytes], as the sizes from which on each holds.

    Other arguments and errors as of ``sizing``.
    """
    network = network or scenario.read_network()
    machine = replace(network_machine(network, scenario), buffer_bytes=high)
    graph = tensor_graph(network)
    making = Making(machine, scenario.treatment, target, scenario.time_limit)
    growth = Growth(graph, making, for_good=False, workers=workers, notify=notify)
    blocks = growth.layers()
    if not all(any(state.points for state in block.states) for block in blocks):
        raise InputError(network.name, "", f"some layer does not fit {high:,} bytes, nor less")
    if scenario.network_level == "fused":
        blocks += growth.stacks(scenario.longest_stack, blocks, frozenset(), None)
    if growth.errors:
        raise InputError(network.name, "", f"internal error: {next(iter(growth.errors.values()))}")
    points: list[Sized] = []
    size, programs = high, 0
    least = ceil(roofline_ticks(graph, machine)), compulsory_bits(graph, machine), 0
    while size >= low:
        smaller = replace(machine, buffer_bytes=size)
        chooser = Chooser(
            smaller,
            graph.tensors,
            blocks,
            backend=scenario.backend,
            time_limit=scenario.time_limit,
            least=least,
            growth=growth,
        )
        choice, programs = chooser.solve(Objective(target)), programs + 1
        if choice is None:
            break
        blocks, taken = list(chooser.blocks), taken_bits(smaller, graph, chooser.blocks, choice)
        size = max(low, ceil(taken / 8))
        points.append(sized(replace(machine, buffer_bytes=size), choice, taken, target))
        size -= 1
    return Sizing(network.name, target, tuple(points[::-1]), least_of(graph, machine, target), programs)
