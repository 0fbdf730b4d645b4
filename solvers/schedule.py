"""A network on a machine: decompose, solve each distinct problem once, and add up.

Scenario -> network -> parts (deconvolutions decomposed) -> distinct problems -> results -> report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any

from dnns.errors import InputError
from dnns.layer import Deconvolution, Layer, Network, Operator
from formulation.deconv import Treatment, naive, split, unique_layers
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.problem import Objective, Problem
from solvers.methods import solver
from solvers.report import LayerReport, PartReport, Report
from solvers.result import Result
from solvers.scenario import Scenario, read_scenario

Notify = Callable[[int, int, str], None]
"""Progress: problems solved, problems in all, name of the last one."""


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
) -> Report:
    """Schedule a scenario's network.

    Args:
        scenario: what to run, or its file.
        network: the scenario's network if it has been read already.
        jobs: processes to use; the report does not depend on it, times aside.
        notify: called after each distinct problem.

    Raises:
        InputError: if the network cannot be read or the method is not available.
    """
    started = monotonic()
    if not isinstance(scenario, Scenario):
        scenario = read_scenario(scenario)
    network = network or scenario.read_network()
    machine, objective = scenario.hardware.build(), scenario.objective.build()
    if not network.layers:
        raise InputError(
            scenario.folder / scenario.network, "", "has no layer with MACs, nothing to schedule"
        )
    plan = [(layer, parts_of(layer, scenario.treatment)) for layer in network.layers]
    given = _partition(scenario, plan, machine, objective)
    problems = _distinct(plan, machine, objective, given)
    results = dict(zip(problems, _solve_all(scenario, problems, jobs, notify), strict=True))
    layers = tuple(
        _layer_report(scenario, layer, parts, results, machine, objective, given) for layer, parts in plan
    )
    return Report(network.name, scenario, machine, objective, layers, monotonic() - started, given)


def _problem(layer: Layer, machine: Hardware, objective: Objective, given: Partition | None) -> Problem:
    """The problem of a layer, named and counted alike for all that are the same."""
    return Problem(replace(layer, name="", op="conv", count=1), machine, objective, given)


def _distinct(
    plan: Sequence[tuple[Operator, tuple[Part, ...]]],
    machine: Hardware,
    objective: Objective,
    given: Partition | None,
) -> dict[Problem, str]:
    """The distinct problems in order, each with the name of the first part that poses it."""
    problems: dict[Problem, str] = {}
    for _, parts in plan:
        for part in parts:
            if part.layer is not None:
                problems.setdefault(_problem(part.layer, machine, objective, given), part.name)
    return problems


def _partition(
    scenario: Scenario,
    plan: Sequence[tuple[Operator, tuple[Part, ...]]],
    machine: Hardware,
    objective: Objective,
) -> Partition | None:
    """The partition that is fixed for all layers: given, or the best single one."""
    if not scenario.is_static or scenario.buffer_partition != "auto":
        return scenario.partition()
    from solvers.partition import best_partition

    counts: dict[Problem, int] = {}
    for operator, parts in plan:
        for part in parts:
            if part.layer is not None:
                problem = _problem(part.layer, machine, objective, None)
                counts[problem] = counts.get(problem, 0) + part.count * operator.count
    return best_partition(list(counts.items()))


def _solve_all(
    scenario: Scenario, problems: dict[Problem, str], jobs: int, notify: Notify | None
) -> Iterator[Result]:
    """Results in the order of the problems."""
    solver(scenario.search_method)  # a missing package is told before work begins
    work = partial(_solve_one, scenario.search_method, _options(scenario))
    if jobs > 1 and len(problems) > 1:
        with ProcessPoolExecutor(min(jobs, len(problems)), mp_context=get_context("spawn")) as pool:
            yield from _noted(pool.map(work, problems.items()), list(problems.values()), notify)
        return
    yield from _noted(map(work, problems.items()), list(problems.values()), notify)


def _noted(results: Iterable[Result], names: list[str], notify: Notify | None) -> Iterator[Result]:
    for done, (result, name) in enumerate(zip(results, names, strict=True), 1):
        if notify is not None:
            notify(done, len(names), name)
        yield result


def _options(scenario: Scenario) -> dict[str, Any]:
    """The method's options, as plain values."""
    options: dict[str, Any] = {"time_limit": scenario.time_limit}
    if scenario.dump_models is not None:
        options["dump_models"] = scenario.folder / scenario.dump_models
    if scenario.search_method == "combined":
        options["start"] = scenario.ratio_partition()
    return options


def _solve_one(method: str, options: dict[str, Any], work: tuple[Problem, str]) -> Result:
    """Solve one problem; models are dumped under the name of the layer that poses it."""
    problem, name = work
    extra = {"name": file_name(name)} if "dump_models" in options else {}
    return solver(method)(problem, **options, **extra)


def file_name(name: str) -> str:
    """A layer's name as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def _layer_report(
    scenario: Scenario,
    operator: Operator,
    parts: tuple[Part, ...],
    results: dict[Problem, Result],
    machine: Hardware,
    objective: Objective,
    given: Partition | None,
) -> LayerReport:
    treatment = scenario.treatment if isinstance(operator, Deconvolution) else None
    reports = []
    for part in parts:
        result = None if part.layer is None else results[_problem(part.layer, machine, objective, given)]
        count = part.count * operator.count
        reports.append(
            PartReport(part.name, part.layer, count, part.ofmap_words, result, part.phases, machine)
        )
    return LayerReport(operator, machine, treatment, tuple(reports))
