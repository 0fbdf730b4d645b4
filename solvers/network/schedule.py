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
from typing import TYPE_CHECKING, Any, TypeVar

from dnns.errors import InputError
from dnns.layer import Deconvolution, Layer, Network, Operator
from formulation.deconv import Treatment, naive, split, unique_layers
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.problem import Objective, Problem
from solvers.backends import milp_backend
from solvers.methods import solver
from solvers.network.report import LayerReport, PartReport, Report
from solvers.result import Result
from solvers.scenario import Scenario, read_scenario

if TYPE_CHECKING:
    from solvers.shared.deconvolution import DeconvolutionResult

_A = TypeVar("_A")
_T = TypeVar("_T")
_O = TypeVar("_O", Layer, Deconvolution)

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
    _available(scenario)
    machine, objective = scenario.hardware.build(), scenario.objective.build()
    if not network.layers:
        raise InputError(
            scenario.folder / scenario.network, "", "has no layer with MACs, nothing to schedule"
        )
    plan = [(layer, parts_of(layer, scenario.treatment)) for layer in network.layers]
    given = _partition(scenario, plan, machine, objective, jobs)
    setting = _Setting(scenario, machine, objective, given)
    problems = _distinct(plan, setting)
    shared = _shareable(network, scenario)
    progress = _Progress(notify, len(problems) + len(shared))
    results = dict(zip(problems, setting.solve(problems, jobs, progress), strict=True))
    combined = dict(zip(shared, setting.combine(shared, results, jobs, progress), strict=True))
    layers = tuple(_layer_report(setting, layer, parts, results, combined) for layer, parts in plan)
    return Report(network.name, scenario, machine, objective, layers, monotonic() - started, given)


def _available(scenario: Scenario) -> None:
    """Raise InputError, before work begins, if a package that the method needs is missing."""
    solver(scenario.search_method)
    if scenario.solves_programs:
        milp_backend(scenario.backend)


@dataclass(slots=True)
class _Progress:
    """Counts what is solved, and tells."""

    notify: Notify | None
    total: int
    done: int = 0

    def follow(self, names: Iterable[str], results: Iterable[_T]) -> Iterator[_T]:
        """The results as they come."""
        for name, result in zip(names, results, strict=True):
            self.done += 1
            if self.notify is not None:
                self.notify(self.done, self.total, name)
            yield result


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

    def solve(self, problems: dict[Problem, str], jobs: int, progress: _Progress) -> Iterator[Result]:
        """Results in the order of the problems."""
        work = partial(_solve_one, self.scenario.search_method, _options(self.scenario))
        return progress.follow(problems.values(), _mapped(work, list(problems.items()), jobs))

    def combine(
        self,
        deconvolutions: dict[Deconvolution, str],
        results: dict[Problem, Result],
        jobs: int,
        progress: _Progress,
    ) -> Iterator[DeconvolutionResult]:
        """The better of shared ifmap tiles and of the split results, in the order of the deconvolutions."""
        tasks = []
        for deconv, name in deconvolutions.items():
            parts = parts_of(deconv, Treatment.SPLIT)
            apart = [(results[self.problem(p.layer)], p.count) for p in parts if p.layer is not None]
            tasks.append((deconv, name, apart))
        work = partial(_combine_one, self, _options(self.scenario))
        return progress.follow(deconvolutions.values(), _mapped(work, tasks, jobs))


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


def _mapped(work: Callable[[_A], _T], tasks: Sequence[_A], jobs: int) -> Iterator[_T]:
    """The work done on every task, in their order."""
    if jobs > 1 and len(tasks) > 1:
        with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
            yield from pool.map(work, tasks)
    else:
        yield from map(work, tasks)


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
    jobs: int,
) -> Partition | None:
    """The partition that is fixed for all layers: given, or the best single one."""
    if not scenario.is_static or scenario.buffer_partition != "auto":
        return scenario.partition()
    from solvers.network.partition import best_partition

    free = _Setting(scenario, machine, objective, None)
    counts: dict[Problem, int] = {}
    for operator, parts in plan:
        for part in parts:
            if part.layer is not None:
                problem = free.problem(part.layer)
                counts[problem] = counts.get(problem, 0) + part.count * operator.count
    choose = None
    if scenario.search_method == "exact":
        from solvers.programs.partition import best_place_milp

        choose = partial(best_place_milp, backend=scenario.backend)
    return best_partition(list(counts.items()), jobs=jobs, choose=choose)


def _options(scenario: Scenario) -> dict[str, Any]:
    """The method's options, as plain values."""
    options: dict[str, Any] = {"time_limit": scenario.time_limit}
    if scenario.dump_models is not None:
        options["dump_models"] = scenario.folder / scenario.dump_models
    if scenario.search_method == "combined":
        options |= {"start": scenario.ratio_partition(), "exact_after": scenario.exact_after}
    if scenario.solves_programs:
        options["backend"] = scenario.backend
    return options


def _solve_one(method: str, options: dict[str, Any], work: tuple[Problem, str]) -> Result:
    """Solve one problem; models are dumped under the name of the layer that poses it."""
    problem, name = work
    extra = {"name": file_name(name)} if "dump_models" in options else {}
    return solver(method)(problem, **options, **extra)


def _combine_one(
    setting: _Setting,
    options: dict[str, Any],
    task: tuple[Deconvolution, str, list[tuple[Result, int]]],
) -> DeconvolutionResult:
    """Weigh shared ifmap tiles against the split results of one deconvolution."""
    from solvers.shared.deconvolution import combine

    deconv, name, apart = task
    extra: dict[str, Any] = {"name": file_name(name)} if "dump_models" in options else {}
    return combine(
        deconv,
        setting.machine,
        setting.objective,
        setting.given,
        method=setting.scenario.search_method,
        split_results=apart,
        **options,
        **extra,
    )


def file_name(name: str) -> str:
    """A layer's name as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def _layer_report(
    setting: _Setting,
    operator: Operator,
    parts: tuple[Part, ...],
    results: dict[Problem, Result],
    combined: dict[Deconvolution, DeconvolutionResult],
) -> LayerReport:
    reports = []
    for part in parts:
        result = None if part.layer is None else results[setting.problem(part.layer)]
        count = part.count * operator.count
        reports.append(
            PartReport(part.name, part.layer, count, part.ofmap_words, result, part.phases, setting.machine)
        )
    treatment, shared, best = None, None, None
    if isinstance(operator, Deconvolution):
        treatment = setting.scenario.treatment
        best = combined.get(_bare(operator))
        if best is not None:
            treatment, shared = best.choice, best if best.choice is Treatment.COMBINE else None
    return LayerReport(operator, setting.machine, treatment, tuple(reports), shared, best)
