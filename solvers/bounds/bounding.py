"""Lower bounds over a whole map space: the least over its relaxed models, each priced by its multipliers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from math import inf
from time import monotonic

import numpy as np

from formulation.pricing.price import Price
from formulation.relaxed.classes import Aim, Relaxation, Variant
from formulation.relaxed.least import least_price
from formulation.relaxed.loading import load
from formulation.relaxed.model import build_relaxed
from formulation.relaxed.structure import SUB, Structure
from solvers.backends.nlp import nlp_backend
from solvers.backends.posynomial import Floats, Form, Program
from solvers.bounds.bounded import Bounded, SolvedModel
from solvers.bounds.dual import dual_bound, lowest
from solvers.result import Termination

SAFETY = 1e-9
"""Relative, taken off every bound: far above what rounding in the coefficients can add to it."""
_WIDER = 1.001  # capacity of the second try where the first finds no interior
_INTERIOR = 1e-4  # relative room that a cap leaves above the least relaxed latency
_PATIENCE = 60  # iterations after which a model with a hard cap is suspected to have no point
_START = 0.05  # how far epigraph variables start above their constraints


@lru_cache(maxsize=64)
def form(structure: Structure) -> Form:
    """The model of a structure with its derivatives' shape; made once, loaded with numbers per problem."""
    return Form(build_relaxed(structure))


class Bounder:
    """The relaxed models of one problem.

    Args:
        relaxation: of a feasible problem.
        timed: whether latency matters to the objective.
        deadline: by ``time.monotonic``; None for never.
        max_iterations: of IPOPT per model.

    Attributes:
        variants: the classes.
        start: trip counts to start from, by dimension.
        iterations: of IPOPT so far.
    """

    def __init__(
        self, relaxation: Relaxation, timed: bool, deadline: float | None, max_iterations: int
    ) -> None:
        self.relaxation = relaxation
        self.variants = tuple(relaxation.variants(timed))
        self.start: Mapping[str, float] = dict.fromkeys(relaxation.extents, 1.0)
        self.deadline, self.max_iterations = deadline, max_iterations
        self._programs: dict[Variant, Program] = {}
        self._points: dict[Variant, SolvedModel] = {}
        self.iterations = 0

    def program(self, variant: Variant, aim: Aim, capacity: float = 1.0) -> Program:
        """The numbers of one model."""
        found = form(variant.structure)
        load(self.relaxation, found.model, variant, aim)
        found.model.capacity.set_value(capacity)
        return found.program()

    def aimed(self, variant: Variant, aim: Aim) -> Program:
        """The numbers of one model, with an objective and its caps."""
        return _aimed(self.program(variant, aim), aim)

    def _whole(self, variant: Variant, aim: Aim) -> Program:
        """The same of a whole class, whose numbers are kept."""
        if variant not in self._programs:
            self._programs[variant] = self.program(variant, aim)
        return _aimed(self._programs[variant], aim)

    def minimise(
        self,
        aim: Aim,
        incumbent: float,
        known: Mapping[Variant, float] | None = None,
        later: Collection[Variant] = (),
    ) -> Bounded:
        """Bound an objective over all models.

        A model is solved unless it is closed by a bound: priced with the multipliers of models solved
        before, or by the roofline and compulsory traffic, or by what its least trips take, it is no
        better than the incumbent, or than what another model allows already.

        Args:
            aim: the objective and its caps; the latency cap may be one that cuts models off.
            incumbent: objective of a known mapping; no bound is above it.
            known: bounds on the models' latencies; a model whose bound exceeds the cap is infeasible.
            later: models that others are solved before, as these are likely to close them.
        """
        before = self.iterations
        bounds: dict[Variant, float] = {}
        solved: list[SolvedModel] = []
        status = Termination.OPTIMAL
        late = {v for v, least in (known or {}).items() if least * (1 - SAFETY) > aim.caps.latency}
        floor = sum(aim.weights)
        prices: dict[Variant, float] = {}
        for variant in self.variants:
            if variant in late or self.relaxation.is_empty(variant, aim):
                bounds[variant] = inf
            elif variant.structure.cut is not None and incumbent <= floor:
                bounds[variant] = floor  # of the classes of cuts, which are many, no model is made in vain
            else:
                prices[variant] = max(floor, _weighed(aim, least_price(self.relaxation, variant)))
        closed = [v for v in prices if prices[v] >= incumbent]
        bounds |= {v: prices[v] for v in closed}
        waiting = {v: self._whole(v, aim) for v in prices if v not in bounds}
        for variant, program in waiting.items():
            prices[variant] = max([prices[variant], *(price(program, p) for p in self._points.values())])
        while waiting:
            enough = min([incumbent, *bounds.values()])
            for variant, program in waiting.items():
                if solved and prices[variant] < enough:
                    prices[variant] = max(prices[variant], sharp_price(program, solved[-1]))
            variant = min(waiting, key=lambda v: (prices[v] < enough and v in later, prices[v]))
            program = waiting.pop(variant)
            if prices[variant] >= enough:
                bounds[variant] = prices[variant]
                continue
            outcome = self.solve(variant, program, aim)
            if outcome is None:
                bounds[variant] = inf
                continue
            if isinstance(outcome, Termination):
                status = outcome
                bounds[variant] = -inf
                continue
            solved.append(outcome)
            bounds[variant] = max(outcome.bound, prices[variant])
        self._points |= {p.variant: p for p in solved}
        solved.sort(key=lambda p: p.bound)
        complete = status is Termination.OPTIMAL
        bound = min([incumbent, *bounds.values()]) if complete else None
        return Bounded(aim, floor, bound, bounds, tuple(solved), self.iterations - before, status)

    def solve(self, variant: Variant, program: Program, aim: Aim) -> SolvedModel | Termination | None:
        """Solve one model; None if it is proven that no mapping of the class is within a hard latency cap."""
        start = self._starting_point(variant, program)
        if not aim.hard:
            return self._solve(variant, program, aim, start)
        outcome = self._attempt(variant, program, aim, start, min(self.max_iterations, _PATIENCE))
        if isinstance(outcome, SolvedModel) or outcome is Termination.TIME_LIMIT:
            return outcome
        return self._least_latency_first(variant, program, aim)

    def _solve(
        self, variant: Variant, program: Program, aim: Aim, start: Floats
    ) -> SolvedModel | Termination:
        """Solve one model; where that fails, once more with the capacity a little wider.

        A wider model is a relaxation of the narrow one, so that its bound holds as well; it has an interior.
        """
        outcome = self._attempt(variant, program, aim, start, self.max_iterations)
        if outcome in (Termination.INFEASIBLE, Termination.ERROR):
            wider = _aimed(self.program(variant, aim, _WIDER), aim)
            return self._attempt(variant, wider, aim, start, self.max_iterations)
        return outcome

    def _attempt(
        self, variant: Variant, program: Program, aim: Aim, start: Floats, most: int
    ) -> SolvedModel | Termination:
        """One run of IPOPT. Caps that only follow from the objective bound the dual's box, not the solver."""
        left = None if self.deadline is None else self.deadline - monotonic()
        if left is not None and left <= 0:
            return Termination.TIME_LIMIT
        found = nlp_backend().solve(_uncapped(program, aim), start, max_iterations=most, time_limit=left)
        self.iterations += found.iterations
        if found.termination is not Termination.OPTIMAL:
            return found.termination
        bound = dual_bound(program, found.x, found.multipliers)
        trips = {
            d: float(np.exp(found.x[program.position(f"log_trips[{d}]")])) for d in variant.structure.dims
        }
        return SolvedModel(variant, program, found.x, found.multipliers, bound, trips)

    def _least_latency_first(
        self, variant: Variant, program: Program, aim: Aim
    ) -> SolvedModel | Termination | None:
        """A model that seems to have no point within its latency cap: prove it, or widen the cap.

        Its least latency is bounded first. None if that is above the cap: no mapping of this class is within
        it. Otherwise the cap is moved a little above the least relaxed latency, so that there is an interior.
        """
        fastest = replace(aim, weights=Price(1.0, 0.0, 0.0), hard=False)
        start = self._starting_point(variant, program)
        quick = self._solve(variant, _aimed(program, fastest), fastest, start)
        if isinstance(quick, Termination):
            return quick
        if quick.bound * (1 - SAFETY) > aim.caps.latency:
            return None
        cap = max(aim.caps.latency, quick.value("latency") * (1 + _INTERIOR))
        wider = replace(aim, caps=aim.caps._replace(latency=cap))
        return self._solve(variant, _aimed(program, wider), wider, quick.x)

    def _starting_point(self, variant: Variant, program: Program) -> Floats:
        """The point at given trip counts, moved into the variant's ranges, a little inside."""
        trips = {}
        for dim in variant.structure.dims:
            low, high = variant.trips_range(dim)
            count = self.start[dim] if dim in self.start else self.start[dim.removeprefix(SUB)]
            trips[dim] = min(max(count, low), high)
        lifted = self.relaxation.lift(variant, trips, _START)
        x = np.array([lifted.get(name, 0.0) for name in program.names])
        for name in ("part[ifmap]", "part[ofmap]", "part[weights]"):
            x[program.position(name)] = 1 / 3
        for name in _modelled(program):
            at = program.position(name)
            x[at] = 0.5 * (program.low[at] + program.high[at])
        return x


def _modelled(program: Program) -> list[str]:
    """The quantities that it has."""
    return [name for name in Price._fields if name in program.names]


def _aimed(program: Program, aim: Aim) -> Program:
    """A program with another objective and other caps."""
    cost, high = np.zeros_like(program.cost), program.high.copy()
    for name, weight, cap in aim.terms(program.names):
        at = program.position(name)
        cost[at], high[at] = weight, cap
    return replace(program, cost=cost, high=high)


def _uncapped(program: Program, aim: Aim) -> Program:
    """A program without the caps that only say what is of interest."""
    high = program.high.copy()
    for name in _modelled(program):
        if name != "latency" or not aim.hard:
            high[program.position(name)] = inf
    return replace(program, high=high)


def _weighed(aim: Aim, price: Price) -> float:
    """A price by the weights of an aim."""
    return float(sum(weight * value for weight, value in zip(aim.weights, price, strict=True)))


def price(program: Program, point: SolvedModel) -> float:
    """A bound on one model from the multipliers of another: any that are not negative give one."""
    return dual_bound(program, *_carried(program, point))


def sharp_price(program: Program, point: SolvedModel) -> float:
    """The same, linearised where that bounds the most: ten times the work, a tenth of a solve."""
    x, weights = _carried(program, point)
    return dual_bound(program, lowest(program, x, weights), weights)


def _carried(program: Program, point: SolvedModel) -> tuple[Floats, Floats]:
    """Another model's solution and multipliers, for the variables and constraints of the same names."""
    multiplier = dict(zip(point.program.rows, point.multipliers, strict=True))
    weights = np.array([multiplier.get(row, 0.0) for row in program.rows])
    x = point.x
    if program.names != point.program.names:  # one of them has sub-tiles that the other has not
        values = dict(zip(point.program.names, x, strict=True))
        x = np.array([values.get(name, values[name.replace(SUB, "")]) for name in program.names])
    return x, weights
