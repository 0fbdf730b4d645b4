"""The optimum with shared ifmap tiles by mixed-integer linear programming, with the solver's dual bound.

Bounds and built packings give an incumbent and sieve the choices of tiles, rounds and loop order without
loss. What may still be better is grouped by traffic and number of rounds; for each group the solver packs the
filters and chooses the tiles that take the least time. Every packing is priced again in integers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Fields
from functools import partial
from math import floor
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from formulation.pricing.price import Price
from formulation.program.candidates import Sieve
from formulation.shared.milp import PackingChoice, PackingMilp, Spending, build_packing_milp
from formulation.shared.packing.rounds import packing_of
from formulation.shared.problem import SharedMapping, SharedProblem
from formulation.shared.space import SharedSpace
from formulation.space.space import CLASSES
from formulation.words import deconvolution_words, machine_words
from solvers.backends.deadline import TimeUp
from solvers.backends.files import write
from solvers.backends.linear import solve_milp
from solvers.backends.registry import DEFAULT_MILP
from solvers.goals import Goal, Outcome
from solvers.result import BoundFrom, Termination
from solvers.shared.candidates import Candidate, SharedFound, packed_price, transfer_ticks
from solvers.shared.exhaustive import run
from solvers.shared.result import SharedResult
from solvers.shared.spent import Spent
from solvers.shared.whole import ProgramSearch, WholeSearch

_SAFETY = 1e-9  # relative; taken off the solver's dual bounds
_LARGEST = 16  # candidates of one model
_BRIEF = 1.0  # seconds of a model whose answer may not be needed
_BRIEFS = 5.0  # seconds of all of them in one step
_TIES = 3.0  # seconds of all models in one step that can improve only on what breaks ties


def solve(
    problem: SharedProblem,
    *,
    time_limit: float | None = None,
    backend: str = DEFAULT_MILP,
    sieve: Sieve | str = Sieve.PRICES,
    dump_models: Path | str | None = None,
    name: str | None = None,
    threads: int = 1,
    seed: int = 0,
    method: str = "exact",
) -> SharedResult:
    """The optimal mapping of a shared problem.

    Args:
        problem: what to solve.
        time_limit: as of ``shared_exhaustive.solve``, like ``method``.
        backend: the solver, one of ``solvers.backends.MILP``.
        sieve: with ``none`` the solver gets the whole programs of each step. The others leave the same: a
            choice of tiles has no price before its filters are packed, so it is left out by its bound.
        dump_models: folder for programs as ``.lp`` and ``.mps``; None for none. A step's whole program is
            ``<name>.shared.<quantity>``; ``<name>.shared.<number>-rounds<R>.sieved`` is what was solved.
        name: of the problem in their names; the deconvolution's if None.
        threads: of the solver.
        seed: of the solver.
        method: see there.
    """
    files = None if dump_models is None else (Path(dump_models), f"{name or problem.deconv.name}.shared")
    options = {"backend": backend, "threads": threads, "seed": seed}
    kind = WholeSearch if Sieve(sieve) is Sieve.NONE else ExactSearch
    return run(problem, partial(kind, files=files, options=options), time_limit, method)


class ExactSearch(ProgramSearch):
    """A search whose packings are settled by mixed-integer programs; arguments as of ``ProgramSearch``."""

    def __init__(
        self,
        space: SharedSpace,
        deadline: float | None = None,
        files: tuple[Path, str] | None = None,
        options: Fields[str, Any] | None = None,
    ) -> None:
        super().__init__(space, deadline, files, options)
        self.sieving, self.sieved = False, list[Candidate]()
        self.brief, self.spare = False, dict[str, float]()

    def minimise(
        self, goal: Goal, known: Sequence[SharedFound] = (), *, settle: bool = True
    ) -> Outcome[SharedMapping]:
        """As of ``SharedSearch.minimise``; unless it is to settle, models have little time."""
        self.brief, self.spare = not settle, {"briefs": _BRIEFS, "ties": _TIES}
        before = self.built
        quick = super().minimise(goal, known, settle=False)
        if quick.found is None and quick.proven:
            return quick
        self.sieving, self.sieved, self.open = True, [], []
        reached = self._best_first(goal, self.space.grid.slabs())
        self.sieving = False
        bounds = [b for b in (reached, self._prove(goal)) if b is not None]
        if self.best is None:
            return Outcome(None, min(bounds, default=None), not bounds)
        first = self.best.keys[0]
        bound = min([first, *bounds])
        self.programs.dump(goal, self.best.price)
        origin = BoundFrom.PROGRAM if self.built > before else BoundFrom.SIEVE
        return Outcome(self.best, bound, bound == first, origin)

    def _visit(self, goal: Goal, candidate: Candidate) -> None:
        if self.sieving:
            self.sieved.append(candidate)
        else:
            super()._visit(goal, candidate)

    def _better(self, keys: tuple[Any, ...], choice: tuple[int, ...]) -> bool:
        """While sieving, the incumbent's own choice is kept, to be proven."""
        return super()._better(keys, choice) or (
            self.sieving and self.best is not None and choice == self.best.choice
        )

    def _prove(self, goal: Goal) -> Any:
        """Solve the groups in the order of their bounds; returns a bound on what stays open."""
        groups: dict[tuple[Any, ...], list[Candidate]] = defaultdict(list)
        seen = set()
        for candidate in self.sieved:
            if candidate.choice not in seen:
                seen.add(candidate.choice)
                items = self.space.packing(candidate.tile, candidate.choice[2]).items
                groups[candidate.traffic, candidate.setup, candidate.choice[1], items].append(candidate)
        left = None
        for members in sorted(groups.values(), key=lambda g: min((c.keys, c.choice) for c in g)):
            members.sort(key=lambda c: (c.keys, c.choice))
            for start in range(0, len(members), _LARGEST):
                some = members[start : start + _LARGEST]
                mine = self.best is not None and any(c.choice == self.best.choice for c in some)
                if not mine and not any(self._better(c.keys, c.choice) for c in some):
                    continue
                bound = self._solve(goal, some)
                if bound is not None:
                    left = bound if left is None else min(left, bound)
        return left

    def _solve(self, goal: Goal, members: list[Candidate]) -> Any:
        """The models of one group; returns a bound on the goal's first quantity if it is not settled."""
        space, choices = self.space, list[PackingChoice]()
        transfer = transfer_ticks(space, members[0])
        for candidate in members:
            problem = space.packing(candidate.tile, candidate.choice[2])
            most = candidate.most[0], candidate.most[1] // problem.unit
            choices.append(PackingChoice(problem, most, max(min(candidate.bounds), transfer)))
        if not goal.measures[0].weights.spent:
            return self._solved(goal, members, choices)
        spent = Spent.of(space, goal.measures[0], members)
        left = self._solved(goal, members, choices, spent)
        if left is None and self.best is not None and any(self._better(c.keys, c.choice) for c in members):
            self._solved(
                goal, members, choices, spent.up_to(self.best.keys[0])
            )  # the least latency of equals
        return left

    def _solved(
        self, goal: Goal, members: list[Candidate], choices: list[PackingChoice], spent: Spent | None = None
    ) -> Any:
        """One model, if there is time for it; returns as ``_solve``."""
        count, space = members[0].choice[1], self.space
        spending = None if spent is None else spent.spending
        low = min(c.bound for c in choices) if spending is None else min(spending.bound)
        first = self._first(goal, low, members[0], spent)
        if first is None:
            return None
        kinds, limit = self._time(tied=self._ties(first, spent))
        if limit is not None and limit <= 0:
            return self._open(goal, low, members[0], Termination.TIME_LIMIT, spent)
        milp = build_packing_milp(choices, count, space.hardware, space.problem.partition, spending)
        self.built += 1
        if self.programs.files is not None:
            folder, stem = self.programs.files
            heading = self._heading(milp, members, spending)
            write(milp.model, heading, folder, f"{stem}.{self.built}-rounds{count}.sieved")
        start = self._start(milp, members)
        started = monotonic()
        try:
            solved = solve_milp(milp.model, time_limit=limit, start=start, **self.options)
        except TimeUp:  # before the solver had begun
            return self._open(goal, low, members[0], Termination.TIME_LIMIT, spent)
        seconds = monotonic() - started
        for kind in kinds:
            self.spare[kind] -= seconds
        self.log.add(f"{self.built}-rounds{count}-{goal.measures[0].name}", solved, seconds)
        if solved.termination is Termination.INFEASIBLE:
            return None
        if solved.objective is not None:
            chosen, x = milp.solution()
            self._take(goal, members[chosen], choices[chosen], x)
        least = low
        if solved.bound is not None:
            least = max(least, floor(milp.told(solved.bound) * (1 - _SAFETY)))
        return self._open(goal, least, members[0], solved.termination, spent)

    def _heading(
        self, milp: PackingMilp, members: list[Candidate], spending: Spending | None
    ) -> Iterator[str]:
        """What a program is of, and what its indices and numbers stand for."""
        problem, tick = self.space.problem, self.space.hardware.tick.per_cycle
        count, traffic = members[0].choice[1], members[0].traffic
        yield deconvolution_words(problem.deconv)
        yield from machine_words(problem.hardware)
        yield f"objective: {problem.objective.title}"
        if spending is None or spending.most is not None:
            yield f"least latency of {count} rounds that move {traffic / 8:.12g} bytes"
            yield f"latency [cycles] = {milp.floor / tick:.12g} + {milp.unit / tick:.12g} * latency"
        else:
            yield f"least energy, or sum with it, of {count} rounds that move {traffic / 8:.12g} bytes"
        yield "x(j,r), y(j,r): filters, and passes, of sub-kernel j in round r; z(c): candidate c is chosen"
        yield "an optimum read back: the candidate whose z is 1 has the tile, x has the filters of each round"
        for j, layer in enumerate(self.space.kernels.layers):
            yield f"sub-kernel {j}: {layer.name.rpartition('/')[2]}, {layer.taps} taps"
        for c, candidate in enumerate(members):
            which, _, ci, rank = candidate.choice
            mapping = self.space.mapping(CLASSES[which], ci, rank, ((),), candidate.tile)
            sizes = "x".join(map(str, mapping.spatial))
            yield f"candidate {c}: {mapping.stationary} ci{mapping.in_channels} n{mapping.batch} {sizes}"

    def _start(self, milp: PackingMilp, members: list[Candidate]) -> list[tuple[Any, float]]:
        """The incumbent, if it is one of the members."""
        for c, candidate in enumerate(members):
            if self.best is not None and candidate.choice == self.best.choice:
                items = self.space.packing(candidate.tile, candidate.choice[2]).items
                return milp.start(c, packing_of(items, np.array(self.best.mapping.rounds)))
        return []

    def _take(self, goal: Goal, candidate: Candidate, choice: PackingChoice, x: np.ndarray[Any, Any]) -> None:
        """Price a packing in integers and keep it if it is the best."""
        which, _, ci, rank = candidate.choice
        packing = packing_of(choice.packing.items, x)
        if len(packing.rounds[0]) != candidate.choice[1] or not choice.packing.fits(
            packing.weights, packing.ofmap
        ):
            raise AssertionError("the solver returned a packing that does not fit")
        price = packed_price(self.space, candidate, choice.packing, packing)
        mapping = self.space.mapping(CLASSES[which], ci, rank, packing.rounds, candidate.tile)
        self._offer(goal, candidate.choice, mapping, price)

    def _open(
        self, goal: Goal, least: int, alike: Candidate, termination: Termination, spent: Spent | None
    ) -> Any:
        """A bound on the first quantity if a group may hold something better than the incumbent."""
        first = self._first(goal, least, alike, spent)
        if first is None:
            return None
        if self.best is None or first < self.best.keys[0]:
            close = self.best is not None and termination is Termination.OPTIMAL and self._same(first)
            return None if close else first
        return None

    def _first(self, goal: Goal, least: int, alike: Candidate, spent: Spent | None) -> Any:
        """The first quantity where the array takes, or is spent, so much; None if that is above the cap."""
        if spent is not None:
            return spent.first(least)
        latency = int(self.space.latency(least, alike.traffic, alike.setup))
        price = Price.of(latency, alike.traffic)
        return goal.values(price)[0] if goal.allows(price) else None

    def _ties(self, first: Any, spent: Spent | None) -> bool:
        """Whether a group whose first quantity is no less than this can improve only on what breaks ties."""
        capped = spent is not None and spent.spending.most is not None
        return capped or (self.best is not None and bool(first >= self.best.keys[0]))

    def _time(self, *, tied: bool) -> tuple[list[str], float | None]:
        """Whose time a model takes, and how much of it it has [s]; None for no limit."""
        kinds = ["briefs"] * self.brief + ["ties"] * tied
        limits = [self.spare[kind] for kind in kinds] + [_BRIEF] * self.brief
        if self.deadline is not None:
            limits.append(max(0.0, self.deadline - monotonic()))
        return kinds, min(limits, default=None)

    def _same(self, key: Any) -> bool:
        """Whether a bound equals the incumbent but for the solver's rounding."""
        assert self.best is not None
        return bool(float(key) >= float(self.best.keys[0]) * (1 - 10 * _SAFETY) - 1)
