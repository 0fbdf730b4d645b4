"""What a network asks, layer by layer: each distinct problem once; and the report that the answers make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Fields
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeVar

from dnns.layer import Deconvolution, Layer, Network
from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.problem import Objective, Problem
from solvers.network.attempt import Failure
from solvers.network.parts import LayerReport, PartReport
from solvers.network.plan import Part, Planned, parts_of
from solvers.network.report import Report
from solvers.network.tasks import Task
from solvers.network.work import Method, combine_effort, combine_one, effort, failed, solve_one
from solvers.result import Result
from solvers.scenario import Scenario

if TYPE_CHECKING:
    from solvers.network.slack import Slack
    from solvers.shared.deconvolution import DeconvolutionResult

_O = TypeVar("_O", Layer, Deconvolution)


@dataclass(frozen=True, slots=True)
class Weighing:
    """Shared ifmap tiles against split, for all deconvolutions that are alike.

    Attributes:
        deconv: without a name and a count.
        hardware: the machine.
        objective: what is minimised.
        partition: the buffer's parts if they are given.
    """

    deconv: Deconvolution
    hardware: Hardware
    objective: Objective
    partition: Partition | None

    @property
    def parts(self) -> list[tuple[Problem, int]]:
        """The problems of the sub-convolutions with taps, each with its count."""
        return [
            (Problem(_bare(part.layer), self.hardware, self.objective, self.partition), part.count)
            for part in parts_of(self.deconv, Treatment.SPLIT)
            if part.layer is not None
        ]


Question = Problem | Weighing
if TYPE_CHECKING:
    Reply = Result | DeconvolutionResult | Failure


@dataclass(frozen=True, slots=True)
class Questions:
    """What a scenario asks of its network, layer by layer.

    Attributes:
        scenario: what is run.
        network: its network.
        plan: the network's layers, cut into parts.
        method: that solves every problem.
        objective: what is minimised, for parts that have no objective of their own.
        given: the partition that is fixed for all layers, None if each has its own.
        lost: layers that are not to be solved, and why.
        slack: how a tolerance over the network was shared out.
    """

    scenario: Scenario
    network: Network
    plan: tuple[Planned, ...]
    method: Method
    objective: Objective
    given: Partition | None = None
    lost: Fields[Layer, str] = field(default_factory=dict)
    slack: Slack | None = None

    def problem(self, part: Part, machine: Hardware) -> Problem:
        """The problem of a part with taps, named and counted alike for all that are the same."""
        assert part.layer is not None
        return Problem(_bare(part.layer), machine, part.objective or self.objective, self.given)

    def asked(self) -> dict[Question, str]:
        """The distinct ones, those that others need first; each with the name of the first that poses it."""
        found: dict[Question, str] = {}
        for question, name in self.in_turn():
            found.setdefault(question, name)
        return found

    def in_turn(self) -> Iterator[tuple[Question, str]]:
        """All of them, each with the name of who poses it: of all parts first, then about shared tiles."""
        for planned in self.plan:
            for part in planned.parts:
                if part.layer is not None:
                    yield self.problem(part, planned.machine), part.name
        for planned in self.plan:
            weighing = self._weighing(planned)
            if weighing is not None:
                yield weighing, planned.operator.name

    def _weighing(self, planned: Planned) -> Weighing | None:
        operator = planned.operator
        if self.scenario.treatment is not Treatment.COMBINE or not isinstance(operator, Deconvolution):
            return None
        return Weighing(_bare(operator), planned.machine, self.objective, self.given)

    def unasked(self, asked: Iterable[Question]) -> dict[Question, Reply]:
        """The answers to questions about layers that are lost: there is nothing to solve."""
        replies: dict[Question, Reply] = {}
        for question in asked if self.lost else ():
            if isinstance(question, Problem):
                if question.layer in self.lost:
                    replies[question] = failed(self.method, question, self.lost[question.layer])
            elif without := [p.layer for p, _ in question.parts if p.layer in self.lost]:
                replies[question] = Failure(self.lost[without[0]])
        return replies

    def report(self, replies: Fields[Question, Reply], seconds: float) -> Report:
        """The report of all answers."""
        layers = tuple(self._layer(planned, replies) for planned in self.plan)
        return Report(
            self.network.name,
            self.network,
            self.scenario,
            self.scenario.hardware.build(),
            self.objective,
            layers,
            seconds,
            self.given,
            self.slack,
        )

    def _layer(self, planned: Planned, replies: Fields[Question, Reply]) -> LayerReport:
        reports, machine = tuple(self._parts(planned, replies)), planned.machine
        treatment, shared, best, error = None, None, None, None
        if isinstance(planned.operator, Deconvolution):
            treatment, weighing = self.scenario.treatment, self._weighing(planned)
            answer = None if weighing is None else replies[weighing]
            assert not isinstance(answer, Result)
            if isinstance(answer, Failure):
                error = answer.text
            elif answer is not None:
                treatment, best = answer.choice, answer
                shared = best if treatment is Treatment.COMBINE else None
        return LayerReport(planned.node, machine, treatment, reports, shared, best, error)

    def _parts(self, planned: Planned, replies: Fields[Question, Reply]) -> Iterator[PartReport]:
        for part in planned.parts:
            result = None
            if part.layer is not None:
                answer = replies[self.problem(part, planned.machine)]
                assert isinstance(answer, Result)
                result = answer
            count = part.count * planned.operator.count
            yield PartReport(
                part.name, part.layer, count, part.ofmap_words, result, part.phases, planned.machine
            )


def task_for(method: Method, question: Question, name: str, places: Fields[Question, int]) -> Task:
    """How to answer a question, posed by the layer of this name; ``places`` has the tasks that it needs."""
    if isinstance(question, Problem):
        arguments = (method, question, name)
        fails = partial(failed, method, question)
        kin = question.layer, question.hardware.for_tables
        return Task(name, solve_one, arguments, fails, (), effort(question), kin)
    problems, counts = [p for p, _ in question.parts], tuple(count for _, count in question.parts)
    machine, objective, given = question.hardware, question.objective, question.partition
    setting = (method, question.deconv, name, machine, objective, given, counts)
    needs = tuple(places[problem] for problem in problems)
    akin = question.deconv, machine.for_tables
    return Task(name, combine_one, setting, Failure, needs, combine_effort(problems), akin)


def method_of(scenario: Scenario) -> Method:
    """A scenario's method and its options, as plain values."""
    options: dict[str, object] = {"time_limit": scenario.time_limit}
    if scenario.dump_models is not None:
        options["dump_models"] = scenario.folder / scenario.dump_models
    if scenario.search_method == "combined":
        options |= {"start": scenario.ratio_partition(), "exact_after": scenario.exact_after}
    if scenario.solves_programs:
        options["backend"] = scenario.backend
    if scenario.sieve != "prices":
        options["sieve"] = scenario.sieve
    if scenario.presolve != "full":
        options["presolve"] = scenario.presolve
    return Method(scenario.search_method, options)


@lru_cache(maxsize=1024)
def _bare(operator: _O) -> _O:
    return replace(operator, name="", op="conv", count=1)
