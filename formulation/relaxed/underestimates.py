"""Convex functions below tables: what the relaxation uses where the exact formula is not convex.

A table gives, for the integer trip counts ``n`` of a dimension, a positive quantity ``y(n)``: words of the
input intervals, the longest interval, array cycles. The relaxation needs functions that are convex in
``log n`` after taking the logarithm, and at or below ``log y`` at *every* trip count. Two families serve:

* lines ``A + B * n**p`` with ``A, B >= 0`` and ``p`` 1 or -1 (the logarithm of a sum of exponentials of
  affine functions is convex), exact where the table itself is such a line, as it is away from borders;
* monomials ``C * n**s`` with any ``s`` (affine after the logarithm), for what falls where lines rise.

They are read off convex hulls of the points, so nothing is assumed about where the points come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.cost import group_cycles
from formulation.extents import Ints, channel_tiles, full_axis_table, trip_count
from formulation.hardware import Hardware
from formulation.mapping import Group
from formulation.pricing.cuts import least_fetched, least_largest
from formulation.space.tables import SpatialGrid

Floats = NDArray[np.float64]

LINES, MONOMIALS = 3, 2
"""Most lines and monomials of one under-estimate."""
_GRID = 1 << 14  # most spatial tiles of which a table is made
_SAFETY = 1e-12  # relative; a few hundred times what evaluating a line in floating point can lose
_CLOSE = 1e-6  # relative; a family is complete when no point lies further above it
_WORTH = 1e-3  # relative; what lines may miss before monomials are added


@dataclass(frozen=True, slots=True)
class Underestimate:
    """``y(n) >= max over k of A_k + B_k * n**power``, and of ``C_k * n**s_k``.

    Attributes:
        power: 1 or -1.
        lines: pairs ``(A, B)``, none negative.
        monomials: pairs ``(log C, s)``.
    """

    power: int
    lines: tuple[tuple[float, float], ...]
    monomials: tuple[tuple[float, float], ...] = ()

    def log(self, log_trips: float | Floats) -> Floats:
        """The logarithm of the under-estimate, a convex function of the logarithm of the trip count."""
        v = np.asarray(log_trips, dtype=np.float64)
        values = [np.log(a + b * np.exp(self.power * v)) for a, b in self.lines]
        values += [c + s * v for c, s in self.monomials]
        return np.asarray(np.maximum.reduce(values))

    def log_range(self, low: float, high: float) -> tuple[float, float]:
        """Bounds on ``log`` over an interval; a convex function is largest at an end of it.

        The least value is bounded family by family: each is monotone, so its least is at an end too.
        """
        ends = low, high
        each = [[log(a + b * exp(self.power * v)) for v in ends] for a, b in self.lines]
        each += [[c + s * v for v in ends] for c, s in self.monomials]
        return max(map(min, each)), max(map(max, each))


def underestimate(trips: Ints, values: Ints | Floats, power: int) -> Underestimate:
    """The under-estimate of a table.

    Args:
        trips: trip counts, in any order; the same count may occur more than once.
        values: the quantity at each, positive.
        power: whether the lines are in ``n`` (1) or in ``1/n`` (-1).
    """
    n, where = np.unique(trips, return_inverse=True)
    least = np.full(len(n), np.inf)
    np.minimum.at(least, where, values)
    x = n.astype(np.float64) ** power
    lines = _lines(x, least)
    fits = np.array([np.log(a + b * x) for a, b in lines])
    kept = _choose(fits, np.log(least), LINES)
    below = fits[kept].max(axis=0)
    monomials: tuple[tuple[float, float], ...] = ()
    if (np.log(least) - below).max() > _WORTH:
        slopes = _monomials(np.log(n), np.log(least))
        fits = np.maximum(np.array([c + s * np.log(n) for c, s in slopes]), below)
        monomials = tuple(slopes[i] for i in _choose(fits, np.log(least), MONOMIALS))
    return Underestimate(power, tuple(lines[i] for i in kept), monomials)


def _choose(fits: Floats, target: Floats, most: int) -> list[int]:
    """Rows of ``fits`` whose maximum comes closest to the target from below, greedily, worst point first."""
    chosen: list[int] = []
    below = np.full(len(target), -np.inf)
    while len(chosen) < most and (target - below).max() > _CLOSE:
        worst = np.maximum(fits, below)
        gaps = (target - worst).max(axis=1) + 1e-3 * (target - worst).mean(axis=1)
        best = int(np.argmin(gaps))
        if best in chosen:
            break
        chosen.append(best)
        below = worst[best]
    return chosen


def _hull(x: Floats, y: Floats) -> list[int]:
    """Positions of the lower convex hull of points, by ascending x."""
    hull: list[int] = []
    for i in np.argsort(x, kind="stable"):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(int(i))
    return hull


def _lines(x: Floats, y: Floats) -> list[tuple[float, float]]:
    """Lines ``A + B*x`` that touch the points from below, with ``A, B >= 0``.

    They are the hull's edges whose ends are not negative, the level line and the one through the origin.
    """
    hull = _hull(x, y)
    candidates = [(float(y.min()), 0.0), (0.0, float((y / x).min()))]
    for a, b in pairwise(hull):
        slope = (y[b] - y[a]) / (x[b] - x[a])
        if slope > 0 and y[a] - slope * x[a] > 0:
            candidates.append((float(y[a] - slope * x[a]), float(slope)))
    return [_lowered(a, b, x, y) for a, b in candidates]


def _lowered(a: float, b: float, x: Floats, y: Floats) -> tuple[float, float]:
    """The line made to lie below all points whatever its coefficients' rounding."""
    factor = min(1.0, float((y / (a + b * x)).min())) * (1 - _SAFETY)
    return a * factor, b * factor


def _monomials(log_n: Floats, log_y: Floats) -> list[tuple[float, float]]:
    """The hull's edges in logarithms, as pairs ``(log C, s)``, lowered as lines are."""
    hull = _hull(log_n, log_y)
    slopes = [float((log_y[b] - log_y[a]) / (log_n[b] - log_n[a])) for a, b in pairwise(hull)]
    return [(float((log_y - s * log_n).min()) - _SAFETY, s) for s in slopes or [0.0]]


@dataclass(frozen=True, slots=True)
class AxisUnderestimates:
    """Input intervals of one axis as functions of its trip count; see ``extents.AxisTable``.

    Attributes:
        fetched: sum of the intervals' lengths.
        slid: the same where consecutive tiles fetch only what is new.
        largest: the longest interval, in ``1/n``: it falls with the trips.
    """

    fetched: Underestimate
    slid: Underestimate
    largest: Underestimate


_ONE = AxisUnderestimates(*[Underestimate(1, ((1.0, 0.0),))] * 3)


def always_fetches(axis: Axis) -> bool:
    """Whether every way to cut the axis fetches something.

    Some need no input: all taps in the padding, or single outputs that step over the input altogether.
    """
    return bool(full_axis_table(axis).fetched.all())


@lru_cache(maxsize=4096)
def axis_underestimates(axis: Axis, smallest: int, greatest: int) -> AxisUnderestimates:
    """Of an axis cut into tiles of ``smallest`` to ``greatest`` outputs.

    All are one where a way to cut the axis fetches nothing, as the model then has no ifmap at all.
    """
    if not always_fetches(axis):
        return _ONE
    table = full_axis_table(axis)
    at = slice(smallest - 1, greatest)
    trips = table.trips[at]
    return AxisUnderestimates(
        underestimate(trips, table.fetched[at], 1),
        underestimate(trips, table.slid[at], 1),
        underestimate(trips, table.largest[at], -1),
    )


@lru_cache(maxsize=4096)
def sub_axis_underestimates(axis: Axis, smallest: int, greatest: int) -> AxisUnderestimates:
    """Of sub-tiles of ``smallest`` to ``greatest`` outputs, in whatever tiles, by the fewest pieces of each.

    There are at least as many of a sub-tile as it would have trips as a tile, each with an interval; see
    ``formulation.pricing.cuts``. Nothing slides.
    """
    if not always_fetches(axis):
        return _ONE
    sub = np.arange(smallest, greatest + 1)
    pieces = trip_count(axis.out, sub)
    fetched = underestimate(pieces, least_fetched(axis)[pieces - 1], 1)
    largest = underestimate(pieces, np.maximum(least_largest(axis)[sub - 1], 1), -1)
    return AxisUnderestimates(fetched, fetched, largest)


@lru_cache(maxsize=4096)
def channel_cycles_underestimate(
    layer: Layer, hardware: Hardware, group: Group, smallest: int, greatest: int
) -> Underestimate:
    """A channel group's factor of the compute cycles, for tiles of ``smallest`` to ``greatest`` channels."""
    extent = layer.out_channels if group is Group.CO else layer.in_channels
    tile = np.arange(smallest, greatest + 1)
    trips = trip_count(extent, tile)
    cycles = group_cycles(layer, hardware, group, trips, channel_tiles(extent, tile, trips))
    return underestimate(trips, cycles, 1)


@lru_cache(maxsize=4096)
def spatial_cycles_underestimate(
    layer: Layer, hardware: Hardware, ranges: tuple[tuple[int, int], ...]
) -> Underestimate:
    """The spatial group's factor of the compute cycles, as a function of the product of the trips.

    From the table of all tiles where they are few.

    Args:
        layer: whose tiles.
        hardware: gives the array.
        ranges: smallest and greatest tile of the batch and of each axis.
    """
    if layer.pixels > _GRID:
        return pieces_cycles_underestimate(layer, hardware, Group.SP)
    trips, cycles = _spatial_cycles(layer, hardware)
    inside = tuple(slice(smallest - 1, greatest) for smallest, greatest in ranges)
    return underestimate(trips[inside].reshape(-1), cycles[inside].reshape(-1), 1)


def pieces_cycles_underestimate(layer: Layer, hardware: Hardware, group: Group) -> Underestimate:
    """A group's factor of the compute cycles by how many pieces it is run in, however they are cut.

    At least those of one piece, as rounding up is subadditive, and at least one per piece; where the group
    streams they are a line in the pieces, exactly. No more in fewer pieces.
    """
    extent = {Group.CO: layer.out_channels, Group.CI: layer.in_channels, Group.SP: layer.pixels}[group]
    one = int(group_cycles(layer, hardware, group, 1, [(1, extent)]))
    per_trip = int(group_cycles(layer, hardware, group, 2, [(1, extent)])) - one
    if per_trip:
        return Underestimate(1, ((float(one - per_trip), float(per_trip)),))
    return Underestimate(1, ((float(one), 0.0), (0.0, 1.0)))


@lru_cache(maxsize=64)
def _spatial_cycles(layer: Layer, hardware: Hardware) -> tuple[Ints, Ints]:
    """Trips and cycles of every tile, with one array dimension for the batch and for each axis."""
    grid = SpatialGrid(layer, hardware)
    table = grid.table([np.arange(n) for n in grid.shape])
    return table.trips.reshape(grid.shape), grid.cycles(table).reshape(grid.shape)


@lru_cache(maxsize=4096)
def least_product(extent: int, smallest: int, greatest: int) -> int:
    """The least ``n * tile`` for tiles of a range; at least the extent.

    So ``tile >= least_product / n``, exact where only one tile is left.
    """
    tile = np.arange(smallest, greatest + 1)
    return int((tile * trip_count(extent, tile)).min())
