"""Tighter bounds by branching on tiles: the limiting model is split, its parts are bounded again.

A trip count is an integer, and few integers are the trips of any tile. Splitting the class whose bound is the
least at such a gap, and fitting the under-estimates to what is left, raises the bound; every part keeps at
least the bound of the whole. Best first: a part is solved only when it is the one that limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, log
from typing import Protocol

import numpy as np

from formulation.extents import Ints
from formulation.relaxed.classes import Aim, Relaxation, Variant
from solvers.bounds.bounded import Bounded, SolvedModel
from solvers.bounds.bounding import SAFETY, Bounder, price
from solvers.result import Termination

_INTEGRAL = 1e-3  # relative distance at which a trip count is taken to be an integer


class Presolving(StrEnum):
    """What helps the models to prove their bounds."""

    FULL = "full"  # what is left of each class is listed, and priced where it is little
    NONE = "none"  # nothing but branching


class Lists(Protocol):
    """What is left of the classes of a problem under an objective; see ``formulation.relaxed.presolve``."""

    @property
    def aim(self) -> Aim:
        """The objective and its caps."""

    def reduce(self, variant: Variant, incumbent: float) -> tuple[float | None, Variant]:
        """The least objective of a class if it is priced; the class, or what is left of it."""

    def cut(self, whole: Variant, part: Variant) -> None:
        """List a part of a class."""


@dataclass(frozen=True, slots=True)
class Unlisted:
    """No presolve: nothing is listed of any class, so that what is proven is proven by models alone.

    Attributes:
        aim: the objective and its caps.
    """

    aim: Aim

    def reduce(self, variant: Variant, incumbent: float) -> tuple[None, Variant]:
        """The class as it is."""
        return None, variant

    def cut(self, whole: Variant, part: Variant) -> None:
        """Nothing is listed."""


def refine(
    bounder: Bounder, stage: Bounded, presolve: Lists, incumbent: float, solves: int, target: float
) -> Bounded:
    """Raise the bound of a stage.

    Args:
        bounder: of the problem.
        stage: complete, of the presolve's aim.
        presolve: lists what is left of the classes.
        incumbent: objective of a known mapping.
        solves: most models to solve.
        target: relative gap at which to stop solving models.

    Returns:
        The stage with the parts of models instead of those that were split.
    """
    if stage.bound is None:
        return stage
    before = bounder.iterations
    tree = _Tree(bounder, presolve, stage)
    while (limiting := tree.limiting) is not None:
        reach = min([incumbent, *(tree.bounds[v] for v in tree.exact)])
        if tree.bounds[limiting] >= reach * (1 + SAFETY):
            break
        if tree.is_free(limiting, incumbent) or tree.model(limiting) or tree.reduce(limiting, incumbent):
            continue
        if tree.bounds[limiting] >= reach * (1 - target):
            break
        if limiting in tree.points:
            if not tree.split(limiting):
                break
            continue
        if solves <= 0 or not tree.solve(limiting):
            break
        solves -= 1
    bounds = {v: min(b, incumbent) if v in tree.exact else b for v, b in tree.bounds.items()}
    return replace(
        stage,
        bound=max(stage.bound, min([incumbent, *bounds.values()])),
        bounds=bounds,
        points=tuple(sorted(tree.points.values(), key=lambda p: (bounds[p.variant], p.bound))),
        iterations=stage.iterations + bounder.iterations - before,
        priced=frozenset(tree.exact),
    )


class _Tree:
    """The open parts of all classes.

    Attributes:
        bounds: of each part.
        points: of those parts that are solved.
        exact: parts whose bound is their least objective.
    """

    def __init__(self, bounder: Bounder, presolve: Lists, stage: Bounded) -> None:
        self.bounder, self.presolve, self.floor = bounder, presolve, stage.floor
        self.bounds = dict(stage.bounds)
        self.points = {p.variant: p for p in stage.points}
        self.exact: set[Variant] = set()
        self._reduced: set[Variant] = set()
        self._unsolved = set(self.bounds) - set(self.points)
        self._nearby: dict[Variant, SolvedModel] = {}

    @property
    def limiting(self) -> Variant | None:
        """The part whose bound is the least, of those that are not priced; None if all are."""
        left = [v for v in self.bounds if v not in self.exact]
        return min(left, key=lambda v: self.bounds[v], default=None)

    def reduce(self, variant: Variant, incumbent: float) -> bool:
        """Presolve a part, once; whether that changed its bound or its ranges."""
        if variant in self._reduced:
            return False
        self._reduced.add(variant)
        least, cut = self.presolve.reduce(variant, incumbent)
        if least is None and self.bounder.relaxation.is_empty(cut, self.presolve.aim):
            least = inf
        if least is not None:
            self.exact.add(variant)
            self._raise(variant, least)
            return True
        if cut == variant and variant in self.points:
            return False
        near = self.points.pop(variant, None) or self._nearby.get(variant)
        self.bounds[cut] = self.bounds.pop(variant)
        self._reduced.add(cut)
        if near is not None:
            self._nearby[cut] = near
            self._raise(cut, price(self.bounder.aimed(cut, self.presolve.aim), near))
        return True

    def split(self, variant: Variant) -> bool:
        """Replace a solved part by parts of it; false if it cannot be split."""
        point = self.points[variant]
        parts = split(self.bounder.relaxation, point)
        if not parts:
            return False
        del self.points[variant]
        bound = self.bounds.pop(variant)
        for part in parts:
            self.presolve.cut(variant, part)
            self.bounds[part], self._nearby[part] = bound, point
        return True

    def is_free(self, variant: Variant, incumbent: float) -> bool:
        """Whether a class of a cut need not be listed: compulsory traffic, or the roofline, proves enough."""
        if variant.structure.cut is None or incumbent > self.floor:
            return False
        self.exact.add(variant)
        return True

    def model(self, variant: Variant) -> bool:
        """Solve the model of a class of a cut that was closed without: sooner done than listing what is left.

        Returns:
            Whether that was still to be done.
        """
        if variant.structure.cut is None or variant not in self._unsolved:
            return False
        self._unsolved.remove(variant)
        return self.solve(variant)

    def solve(self, variant: Variant) -> bool:
        """Solve the model of a part; false if that fails."""
        aim = self.presolve.aim
        outcome = self.bounder.solve(variant, self.bounder.aimed(variant, aim), aim)
        if isinstance(outcome, Termination):
            return False
        if outcome is None:
            self.bounds[variant] = inf
            return True
        self.points[variant] = outcome
        self._raise(variant, outcome.bound)
        return True

    def _raise(self, variant: Variant, bound: float) -> None:
        self.bounds[variant] = max(self.bounds[variant], bound)


def split(relaxation: Relaxation, point: SolvedModel) -> list[Variant]:
    """Parts of a class that leave out the relaxed trip count of one dimension; empty if none can be split.

    The dimension is the one that matters most: by how far its relaxed trips are from those of any tile, times
    the weight of the terms that they enter.
    """
    weight = _weights(point)
    best: tuple[float, str, list[tuple[int, int]]] | None = None
    for dim in point.variant.structure.dims:
        counts = relaxation.counts(point.variant, dim)
        if len(counts) == 1:
            continue
        distance, cuts = _cuts(counts, point.trips[dim])
        if best is None or distance * weight[dim] > best[0]:
            best = distance * weight[dim], dim, cuts
    if best is None:
        return []
    return [relaxation.part(point.variant, best[1], *ends) for ends in best[2] if ends[0] <= ends[1]]


def _cuts(counts: Ints, trips: float) -> tuple[float, list[tuple[int, int]]]:
    """How far relaxed trips are from those of a tile in a range, and the range cut there, as positions.

    Between two trip counts, the cut is between their tiles. At the trips of a tile, these tiles become a part
    of their own; where they are all there are, the smallest of them does.
    """
    end = len(counts) - 1
    near = int(np.argmin(abs(np.log(counts / trips))))
    if abs(log(counts[near] / trips)) > _INTEGRAL and counts[-1] < trips < counts[0]:
        last = int(np.count_nonzero(counts > trips)) - 1
        return min(log(counts[last] / trips), log(trips / counts[last + 1])), [(0, last), (last + 1, end)]
    same = np.flatnonzero(counts == counts[near])
    first, last = int(same[0]), int(same[-1])
    if len(same) == len(counts):
        return _INTEGRAL, [(0, 0), (1, end)]
    return _INTEGRAL, [(0, first - 1), (first, last), (last + 1, end)]


def _weights(point: SolvedModel) -> dict[str, float]:
    """What the terms that each dimension's trips enter contribute to the Lagrangian."""
    program, multipliers = point.program, np.maximum(point.multipliers, 0.0)
    size = (multipliers[program.row] * program.exponentials(point.x)) @ abs(program.power)
    size += multipliers @ abs(program.linear)
    return {d: float(size[program.position(f"log_trips[{d}]")]) for d in point.trips}
