"""A network on a machine: decompose, solve each distinct problem once, and add up.

Scenario -> network -> parts (deconvolutions decomposed) -> distinct problems -> results -> report.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from dnns.errors import InputError
from dnns.layer import Deconvolution, Layer, Network, Operator
from formulation.counts import TooLargeError, layer_counts
from formulation.deconv import Treatment, naive, split, unique_layers
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.problem import Objective, Problem
from formulation.shared.counts import shared_counts
from formulation.shared.problem import SharedProblem, SubKernels
from solvers.network.attempt import Failure
from solvers.network.parts import LayerReport, PartReport
from solvers.network.report import Report
from solvers.network.tasks import Notify, Task, run_tasks
from solvers.network.work import Method, combine_effort, combine_one, effort, failed, solve_one
from solvers.result import Result
from solvers.scenario import Scenario, read_scenario

if TYPE_CHECKING:
    from solvers.network.workers import Workers
    from solvers.shared.deconvolution import DeconvolutionResult

_O = TypeVar("_O", Layer, Deconvolution)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a layer that is solved by itself.

    Attributes:
        name: of the layer, with the phases of the first sub-convolution behind it.
        layer: the convolution, None for outputs that no tap reaches and that are only written.
        count: how many identical ones run one after another in one run of the layer.
        ofmap_words: outputs of one of them.
        phases: residues of each sub-convolution that the part stands for.
    """

    name: str
    layer: Layer | None
    count: int
    ofmap_words: int
    phases: tuple[str, ...] = ()


def parts_of(operator: Operator, treatment: Treatment) -> tuple[Part, ...]:
    """The pieces of a layer: itself, or a deconvolution zero-inserted or split."""
    if isinstance(operator, Layer):
        return (Part(operator.name, operator, 1, operator.ofmap_words),)
    if treatment is Treatment.NAIVE:
        return (Part(operator.name, naive(operator), 1, operator.ofmap_words),)
    subs = split(operator)
    parts = []
    for layer, alike in unique_layers(subs):
        parts.append(Part(layer.name, layer, len(alike), layer.ofmap_words, tuple(s.name for s in alike)))
    for sub in subs:
        if sub.layer is None:
            parts.append(Part(f"{operator.name}/{sub.name}", None, 1, sub.ofmap_words, (sub.name,)))
    return tuple(parts)


def run_scenario(
    scenario: Scenario | str | Path,
    *,
    network: Network | None = None,
    jobs: int = 1,
    notify: Notify | None = None,
    workers: Workers | None = None,
) -> Report:
    """Schedule a scenario's network.

    Args:
        scenario: what to run, or its file.
        network: the scenario's network if it has been read already.
        jobs: processes to use; the report does not depend on it, times aside.
        notify: called after each distinct problem.
        workers: processes that have been started already, in place of ``jobs``.

    Returns:
        What was found. A layer that the program fails on (an internal error, or its process killed twice) has
        a row that says so; the others stand.

    Raises:
        InputError: if the network cannot be read or the method is not available.
    """
    started = monotonic()
    if not isinstance(scenario, Scenario):
        scenario = read_scenario(scenario)
    with ExitStack() as stack:
        if workers is None and jobs > 1:
            from solvers.network.workers import Workers

            workers = stack.enter_context(Workers(jobs))
        prepare(workers, scenario)
        network = network or scenario.read_network()
        if not network.layers:
            raise InputError(
                scenario.folder / scenario.network, "", "has no layer with MACs, nothing to schedule"
            )
        return _run(scenario, network, started, workers, notify)


def prepare(workers: Workers | None, scenario: Scenario) -> None:
    """Have imported what a scenario's method needs.

    Raises:
        InputError: if a package is missing; with workers, when they are used.
    """
    method, combine = _method(scenario), scenario.treatment is Treatment.COMBINE
    if workers is None:
        method.load(combine)
    else:
        workers.prepare((method.load, (combine,)))


def _run(
    scenario: Scenario, network: Network, started: float, workers: Workers | None, notify: Notify | None
) -> Report:
    machine, objective = scenario.hardware.build(), scenario.objective.build()
    plan = [(layer, parts_of(layer, scenario.treatment)) for layer in network.layers]
    _check_counts(scenario, plan, machine)
    given, lost = _partition(scenario, plan, machine, objective, workers)
    setting = _Setting(scenario, machine, objective, given)
    solved = setting.solve(_distinct(plan, setting), lost, _shareable(network, scenario), workers, notify)
    layers = tuple(_layer_report(setting, layer, parts, *solved) for layer, parts in plan)
    return Report(network.name, scenario, machine, objective, layers, monotonic() - started, given)


def _check_counts(
    scenario: Scenario, plan: Sequence[tuple[Operator, tuple[Part, ...]]], machine: Hardware
) -> None:
    """Raise InputError, before work begins, if a layer is too large to be counted exactly."""
    layers = [(part.name, part.layer) for _, parts in plan for part in parts if part.layer is not None]
    shared = [y for y, _ in plan if isinstance(y, Deconvolution) and scenario.treatment is Treatment.COMBINE]
    try:
        for name, layer in layers:
            layer_counts(layer, machine).checked(name)
        for deconv in shared:
            if SubKernels(deconv).layers:
                shared_counts(SharedProblem(deconv, machine)).checked(deconv.name)
    except TooLargeError as error:
        raise InputError(scenario.folder / scenario.network, "", str(error)) from None


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all problems of a run have in common."""

    scenario: Scenario
    machine: Hardware
    objective: Objective
    given: Partition | None

    def problem(self, layer: Layer) -> Problem:
        """The problem of a layer, named and counted alike for all that are the same."""
        return Problem(_bare(layer), self.machine, self.objective, self.given)

    def solve(
        self,
        problems: dict[Problem, str],
        lost: dict[Layer, str],
        shared: dict[Deconvolution, str],
        workers: Workers | None,
        notify: Notify | None,
    ) -> tuple[dict[Problem, Result], dict[Deconvolution, DeconvolutionResult | Failure]]:
        """The results of all problems, and the better of shared ifmap tiles and split of deconvolutions.

        Args:
            problems: with the names of the layers that pose them.
            lost: layers that are not to be solved, and why.
            shared: deconvolutions that may share ifmap tiles, with their names.
            workers: processes to use.
            notify: called after each.
        """
        method = _method(self.scenario)
        results = {p: failed(method, p, lost[p.layer]) for p in problems if p.layer in lost}
        asked = [problem for problem in problems if problem not in results]
        places = {problem: place for place, problem in enumerate(asked)}
        tasks = [
            Task(problems[p], solve_one, (method, p, problems[p]), partial(failed, method, p), (), effort(p))
            for p in asked
        ]
        combined: dict[Deconvolution, DeconvolutionResult | Failure] = {}
        both = []
        for deconv, name in shared.items():
            without = [p.layer for p, _ in self._split(deconv) if p in results]
            if without:
                combined[deconv] = Failure(lost[without[0]])
            else:
                both.append(deconv)
                tasks.append(self._combination(method, deconv, name, places))
        outcomes = run_tasks(tasks, workers=workers, notify=notify)
        results |= dict(zip(asked, outcomes[: len(asked)], strict=True))
        return results, combined | dict(zip(both, outcomes[len(asked) :], strict=True))

    def _split(self, deconv: Deconvolution) -> list[tuple[Problem, int]]:
        """The problems of the sub-convolutions, each with its count."""
        parts = parts_of(deconv, Treatment.SPLIT)
        return [(self.problem(part.layer), part.count) for part in parts if part.layer is not None]

    def _combination(
        self, method: Method, deconv: Deconvolution, name: str, places: dict[Problem, int]
    ) -> Task:
        problems, counts = zip(*self._split(deconv), strict=True)
        setting = (method, deconv, name, self.machine, self.objective, self.given, counts)
        needs = tuple(places[problem] for problem in problems)
        return Task(name, combine_one, setting, Failure, needs, combine_effort(problems))


def _bare(operator: _O) -> _O:
    return replace(operator, name="", op="conv", count=1)


def _shareable(network: Network, scenario: Scenario) -> dict[Deconvolution, str]:
    """The distinct deconvolutions that may share ifmap tiles, each with the name of the first."""
    found: dict[Deconvolution, str] = {}
    if scenario.treatment is Treatment.COMBINE:
        for operator in network.layers:
            if isinstance(operator, Deconvolution):
                found.setdefault(_bare(operator), operator.name)
    return found


def _distinct(plan: Sequence[tuple[Operator, tuple[Part, ...]]], setting: _Setting) -> dict[Problem, str]:
    """The distinct problems in order, each with the name of the first part that poses it."""
    problems: dict[Problem, str] = {}
    for _, parts in plan:
        for part in parts:
            if part.layer is not None:
                problems.setdefault(setting.problem(part.layer), part.name)
    return problems


def _partition(
    scenario: Scenario,
    plan: Sequence[tuple[Operator, tuple[Part, ...]]],
    machine: Hardware,
    objective: Objective,
    workers: Workers | None,
) -> tuple[Partition | None, dict[Layer, str]]:
    """The partition that is fixed for all layers: given, or the best single one.

    With it the layers that could not be weighed for want of an answer, and why.
    """
    if not scenario.is_static or scenario.buffer_partition != "auto":
        return scenario.partition(), {}
    from solvers.network.partition import best_place, partition_table

    free = _Setting(scenario, machine, objective, None)
    counts: dict[Problem, int] = {}
    for operator, parts in plan:
        for part in parts:
            if part.layer is not None:
                problem = free.problem(part.layer)
                counts[problem] = counts.get(problem, 0) + part.count * operator.count
    table = partition_table(list(counts.items()), workers=workers)
    if scenario.search_method == "exact":
        from solvers.network.partition_program import best_place_milp

        place = best_place_milp(table, backend=scenario.backend)
    else:
        place = best_place(table)
    return table.partition(place), {p.layer: text for p, text in table.lost.items()}


def _method(scenario: Scenario) -> Method:
    """The method and its options, as plain values."""
    options: dict[str, object] = {"time_limit": scenario.time_limit}
    if scenario.dump_models is not None:
        options["dump_models"] = scenario.folder / scenario.dump_models
    if scenario.search_method == "combined":
        options |= {"start": scenario.ratio_partition(), "exact_after": scenario.exact_after}
    if scenario.solves_programs:
        options["backend"] = scenario.backend
    return Method(scenario.search_method, options)


def _layer_report(
    setting: _Setting,
    operator: Operator,
    parts: tuple[Part, ...],
    results: dict[Problem, Result],
    combined: dict[Deconvolution, DeconvolutionResult | Failure],
) -> LayerReport:
    reports = []
    for part in parts:
        result = None if part.layer is None else results[setting.problem(part.layer)]
        count = part.count * operator.count
        reports.append(
            PartReport(part.name, part.layer, count, part.ofmap_words, result, part.phases, setting.machine)
        )
    treatment, shared, best, error = None, None, None, None
    if isinstance(operator, Deconvolution):
        treatment = setting.scenario.treatment
        answer = combined.get(_bare(operator))
        if isinstance(answer, Failure):
            error = answer.text
        elif answer is not None:
            treatment, best = answer.choice, answer
            shared = best if treatment is Treatment.COMBINE else None
    return LayerReport(operator, setting.machine, treatment, tuple(reports), shared, best, error)
