"""The optimum by mixed-integer linear programming, with HiGHS's dual bound.

Each quantity of the objective is minimised in turn, those before it capped at their optimum. Before each
solve an incumbent (local search) sieves the candidates without loss; after it the mapping is priced
again in integers and must reproduce HiGHS's objective.

HiGHS's tolerances and the rounding of coefficients hide nothing: it proves that no mapping is better by more
than they allow, and the candidates that close to its answer are compared in integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from math import floor
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from formulation.candidates import Candidates, candidates
from formulation.mapping import Mapping
from formulation.milp import SPAN, Aim, Milp, build_milp
from formulation.problem import Kind, Problem
from formulation.space import CLASSES, Price, Space
from formulation.tables import SpatialTable
from solvers.highs import Solved, solve_milp
from solvers.result import LowerBound, Result, SolutionStatus, Termination
from solvers.rounding import Rounder
from solvers.search import LATENCY_FIRST, Found, Goal, Search, given, ranked, traffic_first, weighted

_MANY = 1000  # candidates; of more, only those that are better than the incumbent enter the program


class SolverDisagreement(RuntimeError):
    """HiGHS's objective is not what the mapping it returned costs."""


@dataclass(slots=True)
class _Log:
    """What was asked of HiGHS, for ``Result.extras``."""

    solves: list[dict[str, Any]] = field(default_factory=list)
    nodes: int = 0
    iterations: int = 0

    def add(self, stage: str, solved: Solved) -> None:
        self.nodes += solved.nodes
        self.iterations += solved.iterations
        self.solves.append(
            {
                "stage": stage,
                "size": asdict(solved.size),
                "presolved": asdict(solved.presolved),
                "nodes": solved.nodes,
                "iterations": solved.iterations,
                "start_accepted": solved.start_accepted,
                "objective": solved.objective,
            }
        )


@dataclass(frozen=True, slots=True)
class _Key:
    """One quantity of an objective: ``latency_weight * ticks + traffic_weight * bits``."""

    name: str
    latency: Fraction
    traffic: Fraction

    def value(self, found: Found) -> Fraction:
        """The quantity, exactly."""
        return self.exact(found.latency, found.traffic)

    def exact(self, latency: int, traffic: int) -> Fraction:
        """The quantity of a latency [ticks] and a traffic [bits]."""
        return self.latency * latency + self.traffic * traffic

    def of(self, price: Price) -> Any:
        """The quantity of many prices, in floating point."""
        return float(self.latency) * price.latency.astype(float) + float(self.traffic) * price.traffic.astype(
            float
        )


_LATENCY = _Key("latency", Fraction(1), Fraction(0))
_TRAFFIC = _Key("traffic", Fraction(0), Fraction(1))


@dataclass(frozen=True, slots=True)
class _Ended:
    """The end of the solves for a goal: the best mapping, a bound on its first key, whether it is proven."""

    best: Found
    bound: Fraction
    proven: bool


def solve(
    problem: Problem,
    *,
    initial: Mapping | None = None,
    time_limit: float | None = None,
    threads: int = 1,
    seed: int = 0,
    prune: bool = True,
    dump_models: Path | str | None = None,
    name: str | None = None,
) -> Result:
    """The optimal mapping, proven by HiGHS.

    Args:
        problem: what to solve.
        initial: a known mapping: an incumbent, and HiGHS's start. The result is never worse.
        time_limit: seconds, after which the incumbent is returned with its true gap.
        threads: of HiGHS.
        seed: of HiGHS.
        prune: whether an incumbent sieves the candidates first; without, the program holds every undominated
            mapping, which only small layers allow.
        dump_models: folder for the programs as ``.lp`` and ``.mps``; None for none.
        name: of the problem in their names; the layer's if None.

    Returns:
        The optimum; ``INFEASIBLE`` if not even the smallest tile fits. ``extras["solves"]`` has the size of
        each program before and after presolve, its nodes and iterations, and whether HiGHS took the start.

    Raises:
        SolverDisagreement: if a mapping does not cost what HiGHS said.
    """
    started = monotonic()
    if not problem.fits_at_all:
        return Result(problem, "exact", Termination.INFEASIBLE, SolutionStatus.NONE)
    deadline = None if time_limit is None else started + time_limit
    files = None if dump_models is None else (Path(dump_models), name or problem.layer.name)
    run = _Run(problem, deadline, {"threads": threads, "seed": seed}, prune, files)
    ended, bound = run.solve(initial)
    return Result(
        problem,
        "exact",
        Termination.OPTIMAL if ended.proven else Termination.TIME_LIMIT,
        SolutionStatus.OPTIMAL if ended.proven else SolutionStatus.FEASIBLE,
        ended.best.mapping,
        problem.evaluate(ended.best.mapping),
        bound,
        monotonic() - started,
        run.log.iterations,
        run.log.nodes,
        extras={"solves": run.log.solves},
    )


class _Run:
    """One problem on its way."""

    def __init__(
        self,
        problem: Problem,
        deadline: float | None,
        options: dict[str, int],
        prune: bool,
        files: tuple[Path, str] | None,
    ) -> None:
        self.problem, self.deadline = problem, deadline
        self.options, self.prune, self.files = (
            options,
            prune,
            files,
        )
        self.space = Space(problem)
        self.search, self.rounder, self.log = Search(self.space), Rounder(self.space), _Log()

    def solve(self, initial: Mapping | None) -> tuple[_Ended, LowerBound]:
        """The solves that the objective asks for."""
        known = []
        if initial is not None:
            cost = self.problem.evaluate(initial)
            known = [given(initial, cost)] if self.problem.is_feasible(cost) else []
        tick = self.problem.hardware.tick
        match self.problem.objective.kind:
            case Kind.LATENCY:
                ended = self.minimise(LATENCY_FIRST, (_LATENCY, _TRAFFIC), known)
                return ended, LowerBound(latency_cycles=tick.cycles(floor(ended.bound)))
            case Kind.TRAFFIC:
                ended = self.minimise(traffic_first(), (_TRAFFIC, _LATENCY), known)
                return ended, LowerBound(traffic_bytes=ended.bound / 8)
            case Kind.WEIGHTED:
                keys = _Key("score", *self.problem.score_weights), _LATENCY, _TRAFFIC
                ended = self.minimise(weighted(self.problem), keys, known)
                return ended, LowerBound(score=ended.bound)
        fastest = self.minimise(LATENCY_FIRST, (_LATENCY,), known)
        cap = self.problem.objective.cap(fastest.best.latency)
        ended = self.minimise(traffic_first(cap), (_TRAFFIC, _LATENCY), [*known, fastest.best])
        bound = LowerBound(tick.cycles(floor(fastest.bound)), ended.bound / 8)
        return _Ended(ended.best, ended.bound, ended.proven and fastest.proven), bound

    def minimise(self, goal: Goal, keys: Sequence[_Key], known: Sequence[Found]) -> _Ended:
        """One quantity after the other, each among the mappings that are optimal in those before."""
        best = self._incumbent(goal, known)
        found = self._candidates(goal, keys[0], best)
        bound, proven = keys[0].value(best), True
        for i, key in enumerate(keys):
            if i and len(np.unique(np.stack([found.price.latency, found.price.traffic]), axis=1).T) <= 1:
                break  # nothing is left to decide
            few, best = self._few(goal, keys[: i + 1], found, best)
            best, low, done = self._solve_key(goal, keys[: i + 1], few, best)
            bound, proven = (low, done) if i == 0 else (bound, proven and done)
            if not done:
                break
            found = found.take(self._no_worse(key, found.price, best))
        return _Ended(best, bound, proven)

    def _incumbent(self, goal: Goal, known: Sequence[Found]) -> Found:
        """The best of what is known and of a local search from it and from the smallest tiles."""
        seeds = [ranked(goal, k) for k in known if goal.cap is None or k.latency <= goal.cap]
        smallest = self.rounder.smallest(goal)
        if smallest is not None:
            seeds.append(smallest)
        best = min(seeds, key=lambda seed: (seed.keys, seed.choice))
        return self.rounder.improve(goal, best)

    def _candidates(self, goal: Goal, key: _Key, best: Found) -> Candidates:
        """What the incumbent leaves."""
        if not self.prune:
            tiles = SpatialTable.join(list(self.space.grid.slabs()))
            cycles = self.space.grid.cycles(tiles)
            return candidates(self.space, tiles, cycles, self._wanted(goal, key, None))
        tiles, cycles = self.search.survivors(goal, best)
        return candidates(self.space, tiles, cycles, self._wanted(goal, key, best))

    def _few(
        self, goal: Goal, keys: Sequence[_Key], found: Candidates, best: Found
    ) -> tuple[Candidates, Found]:
        """Of very many candidates those that are better than the incumbent, and one that is as good."""
        if len(found) <= _MANY or not self.prune:
            return found, best
        better = keys[-1].of(found.price) < float(keys[-1].value(best))
        if better.sum() > _MANY:
            best = self._nearest(goal, keys, found, best)
            better = keys[-1].of(found.price) < float(keys[-1].value(best))
        # One that is as good, in all loop orders: the program's table of them holds for the best of these.
        one = np.flatnonzero(~better & self._no_worse(keys[-1], found.price, best))[:1]
        alike = (found.co == found.co[one]) & (found.ci == found.ci[one]) & (found.row == found.row[one])
        return found.take(better | (alike if len(one) else False)), best

    def _wanted(self, goal: Goal, key: _Key, best: Found | None) -> Callable[[Price], Any]:
        def wanted(price: Price) -> Any:
            within = np.full(price.latency.shape, True) if goal.cap is None else price.latency <= goal.cap
            return within if best is None else within & self._no_worse(key, price, best)

        return wanted

    @staticmethod
    def _no_worse(key: _Key, price: Price, best: Found) -> Any:
        """Where a quantity is not above the incumbent's; to rounding where it is no integer."""
        if key is _LATENCY:
            return price.latency <= best.latency
        if key is _TRAFFIC:
            return price.traffic <= best.traffic
        return key.of(price) <= float(key.value(best)) * (1 + 1e-12)

    def _solve_key(
        self, goal: Goal, keys: Sequence[_Key], found: Candidates, best: Found
    ) -> tuple[Found, Fraction, bool]:
        """Minimise the last of the keys; returns the best mapping, a bound, and whether it is optimal."""
        key, before = keys[-1], {k.name: k for k in keys[:-1]}
        aim = Aim(
            latency=float(key.latency),
            traffic=float(key.traffic),
            incumbent=(best.latency, best.traffic),
            latency_cap=best.latency if "latency" in before else goal.cap,
            traffic_cap=best.traffic if "traffic" in before else None,
        )
        milp = build_milp(self.space, found, aim)
        stage = f"{len(self.log.solves) + 1}-{key.name}"
        self._dump(milp, stage)
        return self._highs(goal, keys, found, best, milp, stage)

    def _highs(
        self, goal: Goal, keys: Sequence[_Key], found: Candidates, best: Found, milp: Milp, stage: str
    ) -> tuple[Found, Fraction, bool]:
        """Solve until the answer is within all caps exactly, and price it."""
        key, least = keys[-1], Fraction(float(keys[-1].of(found.price).min()))
        while True:
            left = None if self.deadline is None else max(0.0, self.deadline - monotonic())
            solved = solve_milp(
                milp.model, time_limit=left, start=self._start(milp, found, best), **self.options
            )
            self.log.add(stage, solved)
            if solved.termination is Termination.INFEASIBLE:
                return best, key.value(best), True
            if solved.termination not in (Termination.OPTIMAL, Termination.TIME_LIMIT):
                raise SolverDisagreement(
                    f"HiGHS stopped with {solved.termination} on a program with a solution"
                )
            done = solved.termination is Termination.OPTIMAL
            if solved.objective is not None:
                answer = self._priced(goal, milp, found)
                if not self._allowed(goal, keys[:-1], answer, best):
                    self._forbid(milp, found, answer)
                    continue
                self._check(key, answer, milp, solved.objective, done)
                best = min(best, answer, key=lambda f: ([k.value(f) for k in keys], f.choice))
            if done:
                return (settled := self._nearest(goal, keys, found, best)), key.value(settled), True
            low = (
                least
                if solved.bound is None
                else max(least, Fraction(milp.objective.value(solved.bound - milp.margin)))
            )
            return best, min(low, key.value(best)), False

    def _nearest(self, goal: Goal, keys: Sequence[_Key], found: Candidates, best: Found) -> Found:
        """The best of the candidates that the last key does not tell from ``best``, in integers."""
        near = np.flatnonzero(self._no_worse(keys[-1], found.price, best))
        near = near[[self._allowed_price(goal, keys[:-1], found.price, int(i), best) for i in near]]
        prices = {(int(found.price.latency[i]), int(found.price.traffic[i])) for i in near}
        if not prices:
            return best
        latency, bits = min(prices, key=lambda p: ([k.exact(*p) for k in keys], p))
        if [k.exact(latency, bits) for k in keys] >= [k.value(best) for k in keys]:
            return best
        at = next(i for i in near if (found.price.latency[i], found.price.traffic[i]) == (latency, bits))
        return self._found(goal, found, int(at))

    def _found(self, goal: Goal, found: Candidates, at: int) -> Found:
        choice = (
            int(found.which[at]),
            int(found.co[at]),
            int(found.ci[at]),
            int(found.tiles.rank[found.row[at]]),
        )
        slide = int(found.tiles.slide[found.row[at]])
        mapping = self.space.mapping(CLASSES[choice[0]], *choice[1:], slide)
        bare = Found((), choice, mapping, int(found.price.latency[at]), int(found.price.traffic[at]))
        return ranked(goal, bare)

    def _allowed_price(self, goal: Goal, before: Sequence[_Key], price: Price, at: int, best: Found) -> bool:
        latency, traffic = int(price.latency[at]), int(price.traffic[at])
        within = goal.cap is None or latency <= goal.cap
        return within and all(k.exact(latency, traffic) <= k.value(best) for k in before)

    def _allowed(self, goal: Goal, before: Sequence[_Key], answer: Found, best: Found) -> bool:
        """Whether a mapping keeps, exactly, to the buffer, the cap, and the optimum of the keys before."""
        fits = self.problem.is_feasible(self.problem.evaluate(answer.mapping))
        within = goal.cap is None or answer.latency <= goal.cap
        return fits and within and all(k.value(answer) <= k.value(best) for k in before)

    def _priced(self, goal: Goal, milp: Milp, found: Candidates) -> Found:
        """The mapping of a solution, priced in integers."""
        stationary, co, ci, row = milp.choice()
        rank, slide = int(found.tiles.rank[row]), int(found.tiles.slide[row])
        mapping = self.space.mapping(stationary, co, ci, rank, slide)
        bare = given(mapping, self.problem.evaluate(mapping))
        choice = CLASSES.index(stationary), co, ci, rank
        return ranked(goal, Found((), choice, mapping, bare.latency, bare.traffic))

    @staticmethod
    def _check(key: _Key, answer: Found, milp: Milp, objective: float, done: bool) -> None:
        """The mapping must cost what HiGHS says: no more ever, and no less once that is optimal."""
        scaled = milp.objective.scaled(float(key.value(answer)))
        over = objective <= SPAN + milp.margin and scaled > objective + milp.margin
        if over or (done and scaled < objective - milp.margin):
            text = (
                f"HiGHS's {key.name} is {milp.objective.value(objective)}, the mapping's {key.value(answer)}"
            )
            raise SolverDisagreement(f"{text}: {answer.mapping}")

    def _place(self, found: Candidates, choice: tuple[int, int, int, int]) -> tuple[Any, ...] | None:
        """A choice as the model knows it, None if its tile is no candidate."""
        row = np.flatnonzero(found.tiles.rank == choice[3])
        if choice[0] >= len(CLASSES) or not len(row):
            return None
        whole = bool(self.space.ci.trips[choice[2]] == 1)
        return CLASSES[choice[0]], whole, choice[1], choice[2], int(row[0])

    def _start(self, milp: Milp, found: Candidates, best: Found) -> list[tuple[Any, int]]:
        place = self._place(found, best.choice)
        values = milp.binaries(*place) if place else []
        return values if sum(one for _, one in values) == 4 else []  # variant, output, input channels, tile

    def _forbid(self, milp: Milp, found: Candidates, answer: Found) -> None:
        place = self._place(found, answer.choice)
        assert place is not None
        milp.forbid(*place)

    def _dump(self, milp: Milp, stage: str) -> None:
        if self.files is None:
            return
        folder, name = self.files
        folder.mkdir(parents=True, exist_ok=True)
        for ending in ("lp", "mps"):
            file = str(folder / f"{name}.{stage}.{ending}")
            milp.model.write(file, io_options={"symbolic_solver_labels": True})
