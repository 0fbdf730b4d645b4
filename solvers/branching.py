"""Tighter bounds by branching on trip counts: the limiting model is split, its parts are bounded again.

A trip count is an integer, and few integers are the trips of any tile. Splitting the class whose bound is the
least at such a gap, and fitting the under-estimates to what is left, raises the bound; every part keeps at
least the bound of the whole. Best first: a part is solved only when it is the one that limits.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, log

import numpy as np

from formulation.relaxed_data import Aim, Relaxation, Variant
from formulation.underestimates import least_product, reachable_trips
from solvers.bounding import Bounder, Point, Stage, price
from solvers.result import Termination

_INTEGRAL = 1e-3  # relative distance at which a trip count is taken to be an integer


def refine(bounder: Bounder, stage: Stage, aim: Aim, incumbent: float, solves: int, target: float) -> Stage:
    """Raise the bound of a stage.

    Args:
        bounder: of the problem.
        stage: complete, of this aim.
        aim: the objective and its caps.
        incumbent: objective of a known mapping.
        solves: most models to solve.
        target: relative gap at which to stop.

    Returns:
        The stage with the parts of models instead of those that were split.
    """
    if stage.bound is None:
        return stage
    bounds, points = dict(stage.bounds), {p.variant: p for p in stage.points}
    before = bounder.iterations
    while solves > 0:
        limiting = min(bounds, key=lambda v: bounds[v])
        if bounds[limiting] >= incumbent * (1 - target):
            break
        point = points.get(limiting)
        if point is None:
            outcome = bounder.solve(limiting, bounder.aimed(limiting, aim), aim)
            solves -= 1
            if isinstance(outcome, Termination):
                break
            if outcome is None:
                bounds[limiting] = inf
                continue
            points[limiting] = outcome
            bounds[limiting] = max(bounds[limiting], outcome.bound)
            continue
        parts = split(bounder.relaxation, point)
        if not parts:
            break
        least = bounds.pop(limiting)
        for part in parts:
            fits = bounder.relaxation.fits(part)
            bounds[part] = max(least, price(bounder.aimed(part, aim), point)) if fits else inf
    bound = min([incumbent, *bounds.values()])
    return replace(
        stage,
        bound=max(bound, stage.bound),
        bounds=bounds,
        points=tuple(sorted((points[v] for v in points if v in bounds), key=lambda p: p.bound)),
        iterations=stage.iterations + bounder.iterations - before,
    )


def split(relaxation: Relaxation, point: Point) -> list[Variant]:
    """Parts of a class that leave out the relaxed trip count of one dimension; empty if none can be split.

    The dimension is the one whose relaxed trips are furthest from those of any tile. Where all are near, it is
    the one whose tile is under-estimated most, and the trips at hand become a part of their own.
    """
    best, widest = None, 0.0
    for dim, extent in relaxation.extents.items():
        low, high = point.variant.trips_range(dim)
        if low == high:
            continue
        trips = reachable_trips(extent)
        trips = trips[(trips >= low) & (trips <= high)]
        at = min(max(point.trips[dim], low), high)
        below, above = int(trips[trips <= at + 1e-9].max(initial=low)), int(trips[trips >= at].min(initial=high))
        distance = min(log(at / below), log(above / at)) if below < above else 0.0
        if distance < _INTEGRAL:
            near = int(trips[np.argmin(abs(trips - at))])
            missing = near * -(-extent // near) / least_product(extent, low, high)
            distance = _INTEGRAL * min(1.0, log(missing) + 1e-6)
            below = above = near
        if distance > widest:
            best, widest = (dim, below, above), distance
    if best is None:
        return []
    dim, below, above = best
    low, high = point.variant.trips_range(dim)
    pieces = [(low, below), (above, high)]
    if below == above:
        pieces = [(low, below - 1), (below, below), (below + 1, high)]
    parts = []
    for fewest, most in pieces:
        trips = reachable_trips(relaxation.extents[dim])
        trips = trips[(trips >= fewest) & (trips <= most)]
        if len(trips):
            parts.append(point.variant.restricted(dim, int(trips[0]), int(trips[-1])))
    return parts
