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
from dnns.layer import Deconvolution, Layer, Network
from formulation.counts import TooLargeError, layer_counts
from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.problem import Objective, Problem
from formulation.shared.counts import shared_counts
from formulation.shared.problem import SharedProblem, SubKernels
from solvers.network.attempt import Failure
from solvers.network.parts import LayerReport, PartReport
from solvers.network.plan import Part, Planned, parts_of, plan_of
from solvers.network.report import Report
from solvers.network.tasks import Notify, Task, run_tasks
from solvers.network.work import Method, combine_effort, combine_one, effort, failed, solve_one
from solvers.result import Result
from solvers.scenario import Scenario, read_scenario

if TYPE_CHECKING:
    from solvers.network.workers import Workers
    from solvers.shared.deconvolution import DeconvolutionResult

_O = TypeVar("_O", Layer, Deconvolution)
_Shared = tuple[Deconvolution, Hardware]


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
            raise InputError(scenario.network_file, "", "has no layer with MACs, nothing to schedule")
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
    plan, slack = plan_of(network, scenario), None
    _check_counts(scenario, plan)
    if scenario.sieve != "prices" and _shareable(plan, scenario):
        problem = "shared ifmap tiles have no such sieve, allowed with deconvolution: naive, split"
        raise InputError(scenario.source or "scenario", "sieve", problem)
    if scenario.objective.tolerance_over == "network":
        from solvers.network.slack import Programs, shared_out

        programs = Programs(scenario.backend, scenario.time_limit)
        combine = scenario.treatment is Treatment.COMBINE
        if combine and all(isinstance(planned.operator, Deconvolution) for planned in plan):
            problem = (
                "network, but all layers are deconvolutions that may share tiles, and keep it each by itself"
            )
            raise InputError(
                scenario.source, "tolerance_over", f"{problem}; deconvolution: split brings them in"
            )
        plan, slack = shared_out(plan, objective, programs, combine=combine, workers=workers, notify=notify)
    given, lost = _partition(scenario, plan, objective, workers)
    setting = _Setting(scenario, objective, given)
    solved = setting.solve(_distinct(plan, setting), lost, _shareable(plan, scenario), workers, notify)
    layers = tuple(_layer_report(setting, planned, *solved) for planned in plan)
    seconds = monotonic() - started
    return Report(network.name, network, scenario, machine, objective, layers, seconds, given, slack)


def _check_counts(scenario: Scenario, plan: Sequence[Planned]) -> None:
    """Raise InputError, before work begins, if a layer is too large to be counted exactly."""
    combine = scenario.treatment is Treatment.COMBINE
    try:
        for planned in plan:
            for part in planned.parts:
                if part.layer is not None:
                    layer_counts(part.layer, planned.machine).checked(part.name)
            deconv = planned.operator
            if combine and isinstance(deconv, Deconvolution) and SubKernels(deconv).layers:
                shared_counts(SharedProblem(deconv, planned.machine)).checked(deconv.name)
    except TooLargeError as error:
        raise InputError(scenario.network_file, "", str(error)) from None


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all problems of a run have in common."""

    scenario: Scenario
    objective: Objective
    given: Partition | None

    def problem(self, part: Part, machine: Hardware) -> Problem:
        """The problem of a part with taps, named and counted alike for all that are the same."""
        assert part.layer is not None
        return Problem(_bare(part.layer), machine, part.objective or self.objective, self.given)

    def solve(
        self,
        problems: dict[Problem, str],
        lost: dict[Layer, str],
        shared: dict[_Shared, str],
        workers: Workers | None,
        notify: Notify | None,
    ) -> tuple[dict[Problem, Result], dict[_Shared, DeconvolutionResult | Failure]]:
        """The results of all problems, and the better of shared ifmap tiles and split of deconvolutions.

        Args:
            problems: with the names of the layers that pose them.
            lost: layers that are not to be solved, and why.
            shared: deconvolutions that may share ifmap tiles, with their machines and names.
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
        combined: dict[_Shared, DeconvolutionResult | Failure] = {}
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

    def _split(self, deconv: _Shared) -> list[tuple[Problem, int]]:
        """The problems of the sub-convolutions, each with its count."""
        parts, machine = parts_of(deconv[0], Treatment.SPLIT), deconv[1]
        return [(self.problem(part, machine), part.count) for part in parts if part.layer is not None]

    def _combination(self, method: Method, deconv: _Shared, name: str, places: dict[Problem, int]) -> Task:
        problems, counts = zip(*self._split(deconv), strict=True)
        setting = (method, deconv[0], name, deconv[1], self.objective, self.given, counts)
        needs = tuple(places[problem] for problem in problems)
        return Task(name, combine_one, setting, Failure, needs, combine_effort(problems))


def _bare(operator: _O) -> _O:
    return replace(operator, name="", op="conv", count=1)


def _shareable(plan: Sequence[Planned], scenario: Scenario) -> dict[_Shared, str]:
    """The distinct deconvolutions that may share ifmap tiles, each with the name of the first."""
    found: dict[_Shared, str] = {}
    if scenario.treatment is Treatment.COMBINE:
        for planned in plan:
            if isinstance(planned.operator, Deconvolution):
                found.setdefault((_bare(planned.operator), planned.machine), planned.operator.name)
    return found


def _distinct(plan: Sequence[Planned], setting: _Setting) -> dict[Problem, str]:
    """The distinct problems in order, each with the name of the first part that poses it."""
    problems: dict[Problem, str] = {}
    for planned in plan:
        for part in planned.parts:
            if part.layer is not None:
                problems.setdefault(setting.problem(part, planned.machine), part.name)
    return problems


def _partition(
    scenario: Scenario,
    plan: Sequence[Planned],
    objective: Objective,
    workers: Workers | None,
) -> tuple[Partition | None, dict[Layer, str]]:
    """The partition that is fixed for all layers: given, or the best single one.

    With it the layers that could not be weighed for want of an answer, and why.
    """
    if not scenario.is_static or scenario.buffer_partition != "auto":
        return scenario.partition(), {}
    from solvers.network.partition import best_place, partition_table

    free = _Setting(scenario, objective, None)
    counts: dict[Problem, int] = {}
    for planned in plan:
        for part in planned.parts:
            if part.layer is not None:
                problem = free.problem(part, planned.machine)
                counts[problem] = counts.get(problem, 0) + part.count * planned.operator.count
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
    if scenario.sieve != "prices":
        options["sieve"] = scenario.sieve
    if scenario.presolve != "full":
        options["presolve"] = scenario.presolve
    return Method(scenario.search_method, options)


def _layer_report(
    setting: _Setting,
    planned: Planned,
    results: dict[Problem, Result],
    combined: dict[_Shared, DeconvolutionResult | Failure],
) -> LayerReport:
    operator, machine, reports = planned.operator, planned.machine, []
    for part in planned.parts:
        result = None if part.layer is None else results[setting.problem(part, machine)]
        count = part.count * operator.count
        reports.append(
            PartReport(part.name, part.layer, count, part.ofmap_words, result, part.phases, machine)
        )
    treatment, shared, best, error = None, None, None, None
    if isinstance(operator, Deconvolution):
        treatment = setting.scenario.treatment
        answer = combined.get((_bare(operator), machine))
        if isinstance(answer, Failure):
            error = answer.text
        elif answer is not None:
            treatment, best = answer.choice, answer
            shared = best if treatment is Treatment.COMBINE else None
    return LayerReport(planned.node, machine, treatment, tuple(reports), shared, best, error)
