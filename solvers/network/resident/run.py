"""A network as one problem, from scenario to report."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING

from dnns.errors import InputError
from dnns.layer import Network
from formulation.hardware import Hardware
from formulation.network.bounds import compulsory_bits, least_spent, roofline_ticks
from formulation.network.frontiers.front import Sought, sought
from formulation.network.frontiers.frontier import Point
from formulation.network.graph import TensorGraph, tensor_graph
from formulation.network.program.blocks import Block, BlockState
from formulation.problem import Kind, Objective
from solvers.network.plan import network_machine
from solvers.network.resident.choose import Chooser
from solvers.network.resident.growth import Growth
from solvers.network.resident.outcome import Choice
from solvers.network.resident.points import layer_blocks
from solvers.network.resident.recipes import Making
from solvers.network.resident.report import NetworkReport
from solvers.network.resident.stack_points import stack_blocks, wanted_stacks
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
        InputError: if the network cannot be read, or has an operator without a rule.
    """
    started = monotonic()
    network = scenario.read_network(network)
    machine, objective = network_machine(network, scenario), scenario.objective.build()
    graph = tensor_graph(network)
    with ExitStack() as stack:
        if workers is None and jobs > 1:
            from solvers.network.workers import Workers

            workers = stack.enter_context(Workers(jobs))
        programs = _Programs(scenario, machine, graph, objective)
        blocks, errors = programs.layers(workers, notify)
        unfit = frozenset(b.first for b in blocks if not any(state.points for state in b.states))
        layers = [_stand_in(block) if block.first in unfit else block for block in blocks]
        stacks: list[Block] = []
        if scenario.network_level == "fused":
            stacks, failed = programs.stacks(layers, unfit, workers, notify)
            errors = failed | errors
        frontiers = monotonic() - started - programs.seconds
        apart = programs.solved([_alone(b) for b in layers])
        single = programs.solved([*layers, *(b for b in stacks if b.first == b.last)]) if stacks else None
        choice = programs.solved([*layers, *stacks], _name(network))
    if choice is None:
        raise InputError(scenario.network_file, "", "no choice of what stays leaves room for every layer")
    return NetworkReport(
        network.name,
        scenario,
        machine,
        objective,
        network,
        graph,
        (*layers, *stacks),
        choice,
        apart,
        single,
        unfit,
        errors,
        frontiers,
        monotonic() - started,
        () if programs.growth is None else programs.growth.weights,
    )


@dataclass
class _Programs:
    """The programs of a network, over whichever blocks.

    Attributes:
        seconds: that programs took before all frontiers were made.
        growth: what the blocks grow by, if weights may stay for good.
    """

    scenario: Scenario
    machine: Hardware
    graph: TensorGraph
    objective: Objective
    seconds: float = 0.0
    growth: Growth | None = None

    def layers(self, workers: Workers | None, notify: Notify | None) -> tuple[list[Block], dict[int, str]]:
        """A block for every layer, and internal errors by position."""
        scenario, kind = self.scenario, self.sought
        if scenario.weights_resident:
            making = Making(self.machine, scenario.treatment, kind, scenario.time_limit)
            self.growth = Growth(self.graph, making, workers=workers, notify=notify)
            return self.growth.layers(), self.growth.errors
        return layer_blocks(
            self.graph,
            self.machine,
            scenario.treatment,
            kind,
            time_limit=scenario.time_limit,
            workers=workers,
            notify=notify,
        )

    def stacks(
        self,
        layers: list[Block],
        unfit: frozenset[int],
        workers: Workers | None,
        notify: Notify | None,
    ) -> tuple[list[Block], dict[int, str]]:
        """The stacks that fit, and internal errors; for balanced, those within a cap that is known to hold.

        The least latency of layers by themselves is no less than that of all blocks, so its cap is none too
        tight.
        """
        started, cap = monotonic(), None
        if self.objective.capped:
            fastest = self.solved(layers, objective=replace(self.objective, kind=Kind.LATENCY))
            cap = None if fastest is None else self.objective.cap(fastest.latency)
        self.seconds = monotonic() - started
        if self.growth is not None:
            return self.growth.stacks(self.scenario.longest_stack, layers, unfit, cap), self.growth.errors
        longest = self.scenario.longest_stack
        wanted = wanted_stacks(self.graph, self.machine, longest, cap=cap, layers=layers, without=unfit)
        return stack_blocks(
            self.graph,
            self.machine,
            self.sought,
            wanted,
            time_limit=self.scenario.time_limit,
            workers=workers,
            notify=notify,
        )

    def least(self, blocks: list[Block]) -> tuple[int, int, int]:
        """What any schedule takes [ticks, bits, quanta]; nothing is known where a layer does not fit."""
        if any(_NOT_RUN in state.points for block in blocks for state in block.states):
            return 0, 0, 0
        graph, machine, for_good = self.graph, self.machine, self.growth is not None
        ticks = roofline_ticks(graph, machine, for_good)
        rates = self.objective.rates(machine)
        spent = 0 if rates is None else least_spent(graph, machine, rates, for_good)
        return ceil(ticks), compulsory_bits(graph, machine, for_good), ceil(spent)

    def solved(
        self, blocks: list[Block], name: str | None = None, objective: Objective | None = None
    ) -> Choice | None:
        """Solve the programs of some blocks; they are dumped if there is a name."""
        folder = self.scenario.dump_models
        dump = None if folder is None or name is None else (self.scenario.folder / folder, name)
        if not all(any(state.points for state in block.states) for block in blocks):
            return None
        chooser = Chooser(
            self.machine,
            self.graph.tensors,
            blocks,
            backend=self.scenario.backend,
            time_limit=self.scenario.time_limit,
            least=self.least(blocks),
            dump=dump,
            growth=self.growth,
        )
        return chooser.solve(objective or self.objective, self._weights())

    @property
    def sought(self) -> Sought:
        """What frontiers are made for."""
        return sought(self.objective, self._weights())

    def _weights(self) -> tuple[Fraction, ...]:
        """Weights of a tick, a bit and, if it counts, a quantum in the weighted objective: the network's."""
        aim, where = self.objective, (self.graph, self.machine, self.scenario.weights_resident)
        weights = (
            Fraction(aim.latency_weight) / roofline_ticks(*where),
            Fraction(aim.traffic_weight) / compulsory_bits(*where),
        )
        rates, (graph, machine, for_good) = aim.rates(self.machine), where
        if rates is None:
            return weights
        return (*weights, Fraction(aim.weights.spent) / least_spent(graph, machine, rates, for_good))


def _name(network: Network) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in network.name)


def _stand_in(block: Block) -> Block:
    """What costs nothing, whatever stays."""
    return replace(block, kinds=(), states=(BlockState((), (_NOT_RUN,)),))


def _alone(block: Block) -> Block:
    """A block if nothing stays."""
    return replace(block, states=tuple(state for state in block.states if not state.anything))
