"""Continuous relaxation, IPOPT, rounding: a feasible mapping, and a proven bound on all of them.

Per objective: a mapping by local search, which bounds what is still of interest; the relaxed models, whose
least bound holds for every mapping; from each model's point again a local search over integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Mapping as Fields
from fractions import Fraction
from math import ceil, floor, gcd, isfinite
from pathlib import Path
from time import monotonic

from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.mapping import Mapping
from formulation.presolve import NOTHING, Presolve
from formulation.problem import Kind, Problem
from formulation.relaxed_data import Aim, Relaxation, Variant
from formulation.space import Space
from solvers.bounding import SAFETY, Bounder, Stage
from solvers.branching import refine
from solvers.dump import dump
from solvers.goals import LATENCY_FIRST, Found, Goal, given, ranked, traffic_first, weighted
from solvers.result import LowerBound, Result, SolutionStatus, Termination
from solvers.rounding import Rounder
from solvers.sensitivity import sensitivity

_WORSE = 2.0  # how much worse than the incumbent a relaxed point may be; leaves the solver room
_SLACK = 1e-3  # relative; a bound that is this close to the least is not worth another solve
_TARGET = 0.01  # gap at which branching stops
_THOROUGH = 6  # points that a local search starts from where the gap stays wide


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
    run = _Run(problem, initial, deadline, max_iterations, branches)
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


class _Run:
    """One problem on its way: incumbents, stages done, why IPOPT stopped."""

    def __init__(
        self,
        problem: Problem,
        initial: Mapping | None,
        deadline: float | None,
        max_iterations: int,
        branches: int,
    ) -> None:
        self.problem = problem
        self.rounder = Rounder(Space(problem))
        goal = problem.objective
        timed = goal.kind is not Kind.TRAFFIC and (goal.kind is not Kind.WEIGHTED or goal.latency_weight > 0)
        self.bounder = Bounder(Relaxation(problem), timed, deadline, max_iterations)
        self.given = self._given(initial)
        self.branches = branches
        self.stages: dict[str, Stage] = {}
        self.proven: set[str] = set()  # stages whose best mapping is their optimum
        self.latencies: Fields[Variant, float] = {}
        self.best: Found

    def _given(self, initial: Mapping | None) -> list[Found]:
        if initial is None:
            return []
        cost = self.problem.evaluate(initial)
        return [given(initial, cost)] if self.problem.is_feasible(cost) else []

    def start(self, goal: Goal, known: Iterable[Found] = ()) -> Found:
        """An incumbent by local search from the best of the smallest tiles and the known mappings."""
        within = [k for k in (*self.given, *known) if goal.cap is None or k.latency <= goal.cap]
        seeds = [ranked(goal, k) for k in within]
        smallest = self.rounder.smallest(goal)
        if smallest is not None:
            seeds.append(smallest)
        return self.rounder.improve(goal, _least(seeds))

    def stage(self, name: str, goal: Goal, aim: Aim, measure: Callable[[Found], float]) -> Stage:
        """Bound one objective, round the points that this leaves, and branch while the gap is wide.

        Args:
            name: of the stage.
            goal: the order of mappings.
            aim: the objective and its caps.
            measure: the objective of a mapping, in the models' units.
        """
        self.bounder.start = self._trips()
        presolve = Presolve(self.rounder.space, aim)
        closed = presolve.start(self.bounder.variants, measure(self.best))
        stage = self.bounder.minimise(aim, measure(self.best), self.latencies, _SLACK, closed)
        if name == "latency":
            self.latencies = stage.bounds
        self._round(goal, stage, measure(self.best), 1)
        stage = refine(self.bounder, stage, presolve, measure(self.best), self.branches, _TARGET)
        self._choose(goal, stage, presolve)
        self._round(goal, stage, measure(self.best) * (1 - _TARGET), _THOROUGH)
        self.stages[name] = stage
        least = measure(self.best) * (1 + SAFETY)
        if stage.bound is not None and all(v in stage.priced or b >= least for v, b in stage.bounds.items()):
            self.proven.add(name)
        return stage

    def _choose(self, goal: Goal, stage: Stage, presolve: Presolve) -> None:
        """The best mapping of the classes that are priced, compared exactly."""
        for variant in filter(stage.priced.__contains__, stage.bounds):
            rest = presolve.lists.get(variant, NOTHING)
            found = self.rounder.listed(goal, rest.co, rest.ci, rest.sp, rest.cycles, self.best)
            self.best = found or self.best

    def _round(self, goal: Goal, stage: Stage, wanted: float, most: int) -> None:
        """Improve the best mapping from up to ``most`` relaxed points, unless the bound is as wanted."""
        if stage.bound is not None and wanted <= stage.bound * (1 + SAFETY):
            return
        rounded = [self.rounder.round(goal, point.trips) for point in stage.points]
        places = {f.mapping: f for f in rounded if f is not None and f.mapping != self.best.mapping}
        for found in sorted(places.values(), key=lambda f: f.keys)[:most]:
            self.best = _least([self.best, self.rounder.improve(goal, found)])

    def _trips(self) -> dict[str, float]:
        """Trip counts of the mapping given at first, or of the best one, by dimension."""
        tile = (self.given[0] if self.given else self.best).mapping.tile
        sizes = (tile.out_channels, tile.in_channels, tile.batch, *tile.spatial)
        extents = self.bounder.relaxation.extents
        return {d: float(-(-extents[d] // t)) for d, t in zip(extents, sizes, strict=True)}

    def rooflines(self, found: Found) -> float:
        """Latency in the models' unit."""
        cycles = found.latency / self.problem.hardware.tick.per_cycle
        return float(cycles) / self.bounder.relaxation.roofline_cycles

    def compulsories(self, found: Found) -> float:
        """Traffic in the models' unit."""
        return found.traffic / self.bounder.relaxation.compulsory_bits

    def most_traffic(self, latency_cap: float) -> float:
        """Traffic that can be moved within a latency, in the models' units."""
        relaxation, tick = self.bounder.relaxation, self.problem.hardware.tick
        cycles = relaxation.compulsory_bits * tick.per_bit / tick.per_cycle
        return latency_cap * relaxation.roofline_cycles / cycles * (1 + SAFETY)

    @property
    def iterations(self) -> int:
        """Of IPOPT, in all."""
        return sum(stage.iterations for stage in self.stages.values())

    @property
    def termination(self) -> Termination:
        """OPTIMAL if every model of every stage is resolved."""
        states = [s.termination for s in self.stages.values() if s.termination is not Termination.OPTIMAL]
        return states[0] if states else Termination.OPTIMAL

    def extras(self) -> dict[str, object]:
        """Sensitivities, and each model's bound per stage in the models' units, None if it is infinite."""
        return {
            "sensitivity": sensitivity(self.bounder, self.stages),
            "models": {name: _bounds(stage) for name, stage in self.stages.items()},
        }


def _bounds(stage: Stage) -> dict[str, float | None]:
    """The bound of each model, greatest first; None where it is infinite: no mapping there, or no bound."""
    ordered = sorted(stage.bounds.items(), key=lambda item: -item[1])
    return {variant.name: bound if isfinite(bound) else None for variant, bound in ordered}


def _least(found: list[Found]) -> Found:
    return min(found, key=lambda f: (f.keys, f.choice))


def _latency(run: _Run) -> LowerBound:
    run.best = run.start(LATENCY_FIRST)
    return LowerBound(latency_cycles=_latency_bound(run))


def _latency_bound(run: _Run) -> Fraction | None:
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


def _traffic(run: _Run) -> LowerBound:
    goal = traffic_first()
    run.best = run.start(goal)
    return LowerBound(traffic_bytes=_traffic_bound(run, goal, 1.0))


def _traffic_bound(run: _Run, goal: Goal, latency_cap: float) -> Fraction | None:
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


def _balanced(run: _Run) -> LowerBound:
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


def _weighted(run: _Run) -> LowerBound:
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


_OBJECTIVES: dict[Kind, Callable[[_Run], LowerBound]] = {
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
