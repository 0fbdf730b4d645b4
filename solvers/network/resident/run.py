"""A network as one problem, from scenario to report."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from time import monotonic
from typing import TYPE_CHECKING

from dnns.errors import InputError
from dnns.layer import Network
from formulation.hardware import Hardware
from formulation.network.blocks import Block, BlockState
from formulation.network.bounds import compulsory_bits, roofline_ticks
from formulation.network.frontier import Point
from formulation.network.graph import TensorGraph, tensor_graph
from formulation.problem import Objective
from solvers.network.plan import network_machine
from solvers.network.resident.choose import Choice, Chooser
from solvers.network.resident.points import layer_blocks
from solvers.network.resident.report import NetworkReport
from solvers.network.tasks import Notify
from solvers.scenario import Scenario

if TYPE_CHECKING:
    from solvers.network.workers import Workers

_NOT_RUN = Point(0, 0, 0, ())
"""In the place of a layer that does not fit."""


def run_network(
    scenario: Scenario,
    *,
    network: Network | None = None,
    jobs: int = 1,
    notify: Notify | None = None,
    workers: Workers | None = None,
) -> NetworkReport:
    """Schedule a scenario's network as one problem.

    Args:
        scenario: what to run; its ``network_level`` is beyond ``layers``.
        network: the scenario's network if it has been read already.
        jobs: processes to use; the report does not depend on it, times aside.
        notify: called after each frontier.
        workers: processes that have been started already, in place of ``jobs``.

    Raises:
        InputError: if the network cannot be read, has an operator without a rule, or the scenario asks for
            what only holds layer by layer.
    """
    started = monotonic()
    _check(scenario)
    network = network or scenario.read_network()
    if not network.layers:
        raise InputError(scenario.network_file, "", "has no layer with MACs, nothing to schedule")
    machine, objective = network_machine(network, scenario), scenario.objective.build()
    graph = tensor_graph(network)
    with ExitStack() as stack:
        if workers is None and jobs > 1:
            from solvers.network.workers import Workers

            workers = stack.enter_context(Workers(jobs))
        blocks, errors = layer_blocks(
            graph, machine, scenario.treatment, objective.kind, workers=workers, notify=notify
        )
    frontiers = monotonic() - started
    unfit = frozenset(b.first for b in blocks if not any(state.points for state in b.states))
    fitting = [_stand_in(block) if block.first in unfit else block for block in blocks]
    weights = _weights(graph, machine, objective)
    apart = _solved(scenario, machine, graph, [_alone(b) for b in fitting], objective, weights, None)
    choice = _solved(scenario, machine, graph, fitting, objective, weights, _name(network))
    if choice is None:
        raise InputError(scenario.network_file, "", "no choice of what stays leaves room for every layer")
    return NetworkReport(
        network.name,
        scenario,
        machine,
        objective,
        network,
        graph,
        tuple(fitting),
        choice,
        apart,
        unfit,
        errors,
        frontiers,
        monotonic() - started,
    )


def _check(scenario: Scenario) -> None:
    """Raise InputError for what only holds layer by layer."""
    level, field = scenario.network_level, "network_level"
    if level == "fused":
        raise InputError(
            scenario.source, field, "got fused, which is not there yet, allowed: layers, resident"
        )
    if scenario.is_static:
        problem = f"got {level} with a given partition (static), allowed: a free one, or layers"
        raise InputError(scenario.source, field, problem)
    if scenario.search_method not in ("exhaustive", "exact"):
        problem = f"got {level} with {scenario.search_method}, allowed with: exhaustive, exact"
        raise InputError(scenario.source, field, problem)


def _solved(
    scenario: Scenario,
    machine: Hardware,
    graph: TensorGraph,
    blocks: list[Block],
    objective: Objective,
    weights: tuple[Fraction, Fraction],
    name: str | None,
) -> Choice | None:
    """Solve the programs of some blocks; they are dumped if there is a name."""
    folder = scenario.dump_models
    dump = None if folder is None or name is None else (scenario.folder / folder, name)
    if not all(any(state.points for state in block.states) for block in blocks):
        return None
    chooser = Chooser(
        machine,
        graph.tensors,
        blocks,
        backend=scenario.backend,
        time_limit=scenario.time_limit,
        dump=dump,
    )
    return chooser.solve(objective, weights)


def _name(network: Network) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in network.name)


def _stand_in(block: Block) -> Block:
    """What costs nothing, whatever stays."""
    return replace(block, kinds=(), states=(BlockState((), (_NOT_RUN,)),))


def _alone(block: Block) -> Block:
    """A block if nothing stays."""
    return replace(block, states=tuple(state for state in block.states if not any(state.stay)))


def _weights(graph: TensorGraph, machine: Hardware, objective: Objective) -> tuple[Fraction, Fraction]:
    """Weights of a tick and of a bit in the weighted objective: the network's."""
    return (
        Fraction(objective.latency_weight) / roofline_ticks(graph, machine),
        Fraction(objective.traffic_weight) / compulsory_bits(graph, machine),
    )
