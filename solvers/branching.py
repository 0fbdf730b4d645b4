"""Tighter bounds by branching on tiles: the limiting model is split, its parts are bounded again.

A trip count is an integer, and few integers are the trips of any tile. Splitting the class whose bound is the
least at such a gap, and fitting the under-estimates to what is left, raises the bound; every part keeps at
least the bound of the whole. Best first: a part is solved only when it is the one that limits.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, log

import numpy as np

from formulation.relaxed_data import Aim, Relaxation, Variant
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
            if bounder.relaxation.is_empty(part, aim):
                bounds[part] = inf
            else:
                bounds[part] = max(least, price(bounder.aimed(part, aim), point))
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

    The dimension is the one that matters most: by how far its relaxed trips are from those of any tile, times
    the weight of the terms that they enter.
    """
    weight = _weights(point)
    best: tuple[float, str, list[tuple[int, int]]] | None = None
    for dim, extent in relaxation.extents.items():
        smallest, greatest = point.variant.tile_range(dim)
        if smallest == greatest:
            continue
        distance, cuts = _cuts(extent, smallest, greatest, point.trips[dim])
        if best is None or distance * weight[dim] > best[0]:
            best = distance * weight[dim], dim, cuts
    if best is None:
        return []
    return [point.variant.restricted(best[1], low, high) for low, high in best[2] if low <= high]


def _cuts(extent: int, smallest: int, greatest: int, trips: float) -> tuple[float, list[tuple[int, int]]]:
    """How far relaxed trips are from those of a tile in a range, and the range cut there.

    Between two trip counts, the cut is between their tiles. At the trips of a tile, these tiles become a part
    of their own; where they are all there are, the smallest of them does.
    """
    tile = np.arange(smallest, greatest + 1)
    counts = -(-extent // tile)
    near = int(np.argmin(abs(np.log(counts / trips))))
    if abs(log(counts[near] / trips)) > _INTEGRAL and counts[-1] < trips < counts[0]:
        last = int(tile[counts > trips].max())
        above, below = counts[counts > trips].min(), counts[counts < trips].max()
        return min(log(above / trips), log(trips / below)), [(smallest, last), (last + 1, greatest)]
    same = tile[counts == counts[near]]
    first, last = int(same[0]), int(same[-1])
    if len(same) == len(tile):
        return _INTEGRAL, [(smallest, smallest), (smallest + 1, greatest)]
    return _INTEGRAL, [(smallest, first - 1), (first, last), (last + 1, greatest)]


def _weights(point: Point) -> dict[str, float]:
    """What the terms that each dimension's trips enter contribute to the Lagrangian."""
    program, multipliers = point.program, np.maximum(point.multipliers, 0.0)
    size = (multipliers[program.row] * program.exponentials(point.x)) @ abs(program.power)
    size += multipliers @ abs(program.linear)
    return {d: float(size[program.position(f"log_trips[{d}]")]) for d in point.trips}
