"""The same to the byte, or beside weights that stay for good: every size at which the optimum changes.

The program of the largest size gives an optimum and what its solution takes. It is the optimum of every size
down to that, so the next program is that of one byte less, or of the next size that is asked for; and so on.
Frontiers grow where a program's answer needs it (``solvers.network.resident.growth``): each program is solved
with what bounds all rooms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from dnns.errors import InputError
from dnns.layer import Network
from formulation.network.frontiers.front import sought
from formulation.network.graph import tensor_graph
from formulation.problem import Kind, Objective
from solvers.network.plan import network_machine
from solvers.network.resident.choose import Chooser
from solvers.network.resident.growth import Growth
from solvers.network.resident.recipes import Making
from solvers.network.resident.sizing import Sized, Sizing, least_of, least_sums, sized, taken_bits
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
    sizes: Sequence[int] | None = None,
    network: Network | None = None,
    workers: Workers | None = None,
    notify: Notify | None = None,
) -> Sizing:
    """The optimum of every size from ``low`` to ``high`` [bytes], as the sizes from which on each holds.

    With ``sizes``, ascending from ``low`` to ``high``, that of each of these. Other arguments and errors as
    of ``sizing``.
    """
    network = scenario.read_network(network)
    machine = replace(network_machine(network, scenario), buffer_bytes=high)
    graph = tensor_graph(network)
    making = Making(machine, scenario.treatment, sought(Objective(target)), scenario.time_limit)
    for_good = scenario.weights_resident
    growth = Growth(graph, making, for_good=for_good, workers=workers, notify=notify)
    blocks = growth.layers()
    if not all(any(state.points for state in block.states) for block in blocks):
        raise InputError(network.name, "", f"some layer does not fit {high:,} bytes, nor less")
    if scenario.network_level == "fused":
        blocks += growth.stacks(scenario.longest_stack, blocks, frozenset(), None)
    if growth.errors:
        raise InputError(network.name, "", f"internal error: {next(iter(growth.errors.values()))}")
    points: list[Sized] = []
    size, programs = high, 0
    while size >= low:
        smaller = replace(machine, buffer_bytes=size)
        chooser = Chooser(
            smaller,
            graph.tensors,
            blocks,
            backend=scenario.backend,
            time_limit=scenario.time_limit,
            least=least_sums(graph, smaller, for_good),
            growth=growth,
        )
        choice, programs = chooser.solve(Objective(target)), programs + 1
        if choice is None:
            break
        blocks, taken = (
            list(chooser.blocks),
            taken_bits(smaller, graph, chooser.blocks, choice, growth.weights),
        )
        fewest = max(low, ceil(taken / 8))
        held = [fewest] if sizes is None else [n for n in reversed(sizes) if fewest <= n <= size]
        points += [sized(replace(machine, buffer_bytes=n), choice, taken, target) for n in held]
        size = fewest - 1 if sizes is None else max((n for n in sizes if n < fewest), default=0)
    least = least_of(graph, machine, target, for_good)
    return Sizing(network.name, target, tuple(points[::-1]), least, programs)
