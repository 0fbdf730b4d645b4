"""A network on a machine: decompose, solve each distinct problem once, and add up.

Scenario -> network -> parts (deconvolutions decomposed) -> distinct problems -> results -> report.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from dnns.errors import InputError
from dnns.layer import Deconvolution, Layer, Network
from formulation.deconv import Treatment
from formulation.mapping import Partition
from formulation.problem import Objective, Problem
from formulation.shared.counts import shared_counts
from formulation.shared.problem import SharedProblem, SubKernels
from formulation.space.counts import TooLargeError, layer_counts
from solvers.network.plan import Planned, plan_of
from solvers.network.questions import Questions, method_of, task_for
from solvers.network.report import Report
from solvers.network.tasks import Notify, run_tasks
from solvers.scenario import Scenario, read_scenario

if TYPE_CHECKING:
    from solvers.network.questions import Question, Reply
    from solvers.network.workers import Workers


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
        network = scenario.read_network(network)
        return _run(scenario, network, started, workers, notify)


def prepare(workers: Workers | None, scenario: Scenario) -> None:
    """Have imported what a scenario's method needs.

    Raises:
        InputError: if a package is missing; with workers, when they are used.
    """
    method, combine = method_of(scenario), scenario.treatment is Treatment.COMBINE
    if workers is None:
        method.load(combine)
    else:
        workers.prepare((method.load, (combine,)))


def _run(
    scenario: Scenario, network: Network, started: float, workers: Workers | None, notify: Notify | None
) -> Report:
    objective = scenario.objective.build()
    plan, slack = plan_of(network, scenario), None
    check_counts(scenario, plan)
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
    given, lost = _partition(scenario, network, plan, objective, workers)
    questions = Questions(scenario, network, plan, method_of(scenario), objective, given, lost, slack)
    replies = _answers(questions, workers, notify)
    return questions.report(replies, monotonic() - started)


def _answers(questions: Questions, workers: Workers | None, notify: Notify | None) -> dict[Question, Reply]:
    """The answers to all questions, each distinct one once."""
    asked = questions.asked()
    replies = questions.unasked(asked)
    opened = [question for question in asked if question not in replies]
    places = {question: place for place, question in enumerate(opened)}
    tasks = [task_for(questions.method, question, asked[question], places) for question in opened]
    outcomes = run_tasks(tasks, workers=workers, notify=notify)
    return replies | dict(zip(opened, outcomes, strict=True))


def check_counts(scenario: Scenario, plan: Sequence[Planned]) -> None:
    """Raise InputError, before work begins, if a layer is too large to be counted exactly."""
    combine, objective = scenario.treatment is Treatment.COMBINE, scenario.objective.build()
    summed = objective.spends is not None
    try:
        for planned in plan:
            for part in planned.parts:
                if part.layer is not None:
                    layer_counts(part.layer, planned.machine, summed=summed).checked(part.name)
            deconv = planned.operator
            if combine and isinstance(deconv, Deconvolution) and SubKernels(deconv).layers:
                shared_counts(SharedProblem(deconv, planned.machine, objective)).checked(deconv.name)
    except TooLargeError as error:
        raise InputError(scenario.network_file, "", str(error)) from None


def _partition(
    scenario: Scenario,
    network: Network,
    plan: tuple[Planned, ...],
    objective: Objective,
    workers: Workers | None,
) -> tuple[Partition | None, dict[Layer, str]]:
    """The partition that is fixed for all layers: given, or the best single one.

    With it the layers that could not be weighed for want of an answer, and why.
    """
    if not scenario.is_static or scenario.buffer_partition != "auto":
        return scenario.partition(), {}
    from solvers.network.partition import best_place, partition_table

    free = Questions(scenario, network, plan, method_of(scenario), objective)
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
