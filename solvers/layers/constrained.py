"""Continuous relaxation, IPOPT, rounding: a feasible mapping, and a proven bound on all of them.

Per objective: a mapping by local search, which bounds what is still of interest; the relaxed models, whose
least bound holds for every mapping; from each model's point again a local search over integers.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor, gcd
from pathlib import Path
from time import monotonic

from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.mapping import Mapping
from formulation.problem import Kind, Problem
from formulation.relaxed.classes import Aim
from solvers.bounds.bounding import SAFETY
from solvers.bounds.files import dump
from solvers.goals import LATENCY_FIRST, Found, Goal, traffic_first, weighted
from solvers.layers.constrained_run import Run
from solvers.result import LowerBound, Result, SolutionStatus, Termination

_WORSE = 2.0  # how much worse than the incumbent a relaxed point may be; leaves the solver room


def solve(
    problem: Problem,
    *,
    initial: Mapping | None = None,
    time_limit: float | None = None,
    max_iterations: int = 300,
    branches: int = 30,
    dump_models: Path | str | None = None,
    name: str | None = None,
    method: str = "constrained",
) -> Result:
    """A good mapping with a proven lower bound.

    Args:
        problem: what to solve.
        initial: a known mapping: IPOPT's starting point; if it is feasible, the result is never worse.
        time_limit: wall time [s]; a model that is not solved by then leaves no bound.
        max_iterations: of IPOPT per model.
        branches: most models to solve beyond one per class, to narrow a gap of more than 1 %.
        dump_models: folder for the models' files; None for none.
        name: of the problem in their names; the layer's if None.
        method: the name under which the result is reported.

    Returns:
        A feasible mapping; its status is OPTIMAL only where the bound proves it. ``INFEASIBLE`` if not even
        the smallest tile fits. ``extras`` holds ``sensitivity`` and ``models``, the bound of each class.
    """
    started = monotonic()
    if not problem.fits_at_all:
        return Result(problem, method, Termination.INFEASIBLE, SolutionStatus.NONE)
    deadline = None if time_limit is None else started + time_limit
    run = Run(problem, initial, deadline, max_iterations, branches)
    bound = _OBJECTIVES[problem.objective.kind](run)
    if dump_models is not None:
        dump(run.bounder, run.stages, Path(dump_models), name or problem.layer.name)
    found = run.best
    proven = run.termination is Termination.OPTIMAL and _is_proven(problem, found, bound)
    return Result(
        problem,
        method,
        run.termination,
        SolutionStatus.OPTIMAL if proven else SolutionStatus.FEASIBLE,
        found.mapping,
        problem.evaluate(found.mapping),
        bound,
        monotonic() - started,
        run.iterations,
        extras=run.extras(),
    )


def _latency(run: Run) -> LowerBound:
    run.best = run.start(LATENCY_FIRST)
    return LowerBound(latency_cycles=_latency_bound(run))


def _latency_bound(run: Run) -> Fraction | None:
    """Bound the least latency of all mappings, and leave the fastest that is found in ``run.best``."""
    value = run.rooflines(run.best)
    cap = _WORSE * value
    aim = Aim(1.0, 0.0, cap, run.most_traffic(cap))
    stage = run.stage("latency", LATENCY_FIRST, aim, run.rooflines)
    if "latency" in run.proven:
        return run.problem.hardware.tick.cycles(run.best.latency)
    problem = run.problem
    least = roofline_ticks(problem.layer, problem.hardware)
    if stage.bound is None:
        return None
    ticks = max(ceil(least), ceil(Fraction(stage.bound) * (1 - Fraction(SAFETY)) * least))
    return problem.hardware.tick.cycles(min(ticks, run.best.latency))


def _traffic(run: Run) -> LowerBound:
    goal = traffic_first()
    run.best = run.start(goal)
    return LowerBound(traffic_bytes=_traffic_bound(run, goal, 1.0))


def _traffic_bound(run: Run, goal: Goal, latency_cap: float) -> Fraction | None:
    """Bound the least traffic within a cap, and leave the best mapping that is found in ``run.best``."""
    value = run.compulsories(run.best)
    aim = Aim(0.0, 1.0, latency_cap, _WORSE * value, hard=True)
    stage = run.stage("traffic", goal, aim, run.compulsories)
    if "traffic" in run.proven:
        return Fraction(run.best.traffic, 8)
    least = compulsory_bits(run.problem.layer, run.problem.hardware)
    if stage.bound is None:
        return None
    widths = run.problem.hardware.bits
    unit = gcd(widths.ifmap, widths.weights, widths.ofmap, 2 * widths.partial_sums)
    bits = max(Fraction(least), Fraction(stage.bound) * (1 - Fraction(SAFETY)) * least)
    return Fraction(min(unit * ceil(bits / unit), run.best.traffic), 8)


def _balanced(run: Run) -> LowerBound:
    """The latency bound; then the traffic bound within the cap of the fastest mapping known.

    That cap is at least the true one, so the bound holds for all mappings within the true cap.
    """
    run.best = run.start(LATENCY_FIRST)
    latency = _latency_bound(run)
    fastest = run.best
    goal = traffic_first(run.problem.objective.cap(fastest.latency))
    run.best = run.start(goal, [fastest])
    ticks = float(roofline_ticks(run.problem.layer, run.problem.hardware))
    traffic = _traffic_bound(run, goal, (goal.cap or 0) / ticks * (1 + SAFETY))
    if run.best.latency < fastest.latency:  # found while looking for something else: the cap is lower now
        run.best = run.start(traffic_first(run.problem.objective.cap(run.best.latency)), [run.best])
    return LowerBound(latency, traffic)


def _weighted(run: Run) -> LowerBound:
    goal = weighted(run.problem)
    run.best = run.start(goal)
    objective = run.problem.objective
    per_latency, per_traffic = float(objective.latency_weight), float(objective.traffic_weight)

    def score(found: Found) -> float:
        return per_latency * run.rooflines(found) + per_traffic * run.compulsories(found)

    value = score(run.best)
    cap = _WORSE * value / per_latency if per_latency else 1.0  # latency is not modelled then
    most = _WORSE * value / per_traffic if per_traffic else run.most_traffic(cap)
    stage = run.stage("score", goal, Aim(per_latency, per_traffic, cap, most), score)
    if stage.bound is None:
        return LowerBound()
    reached = run.problem.score(run.best.latency, run.best.traffic)
    if "score" in run.proven:
        return LowerBound(score=reached)
    floor = objective.latency_weight + objective.traffic_weight
    return LowerBound(score=min(max(floor, Fraction(stage.bound) * (1 - Fraction(SAFETY))), reached))


_OBJECTIVES: dict[Kind, Callable[[Run], LowerBound]] = {
    Kind.LATENCY: _latency,
    Kind.TRAFFIC: _traffic,
    Kind.BALANCED: _balanced,
    Kind.WEIGHTED: _weighted,
}


def _is_proven(problem: Problem, found: Found, bound: LowerBound) -> bool:
    """Whether the bound equals what the mapping reaches; for balanced, within a cap that is certain."""
    latency, traffic = problem.hardware.tick.cycles(found.latency), Fraction(found.traffic, 8)
    match problem.objective.kind:
        case Kind.LATENCY:
            return bound.latency_cycles == latency
        case Kind.TRAFFIC:
            return bound.traffic_bytes == traffic
        case Kind.WEIGHTED:
            return bound.score == problem.score(found.latency, found.traffic)
    if bound.latency_cycles is None or bound.traffic_bytes != traffic:
        return False
    least = floor(Fraction(bound.latency_cycles) * problem.hardware.tick.per_cycle)
    return found.latency <= problem.objective.cap(least)
