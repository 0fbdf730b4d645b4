"""Classes of mappings with shared ifmap tiles that hold few choices: priced one by one.

A choice is a tile, an input-channel tile and a number of rounds. Its price is the class's own traffic and the
bound of ``formulation.shared.packing_bounds`` on the array's time: no packing of the filters costs less.
"""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np

from formulation.cost import Num, Trips
from formulation.extents import Ints
from formulation.relaxed.classes import Aim, Variant
from formulation.relaxed.structure import class_setup, class_traffic
from formulation.shared.packing_bounds import packed_bounds
from formulation.shared.relaxed import SharedRelaxation
from formulation.space.tables import SpatialTable

_PRICED = 1 << 14  # most choices that are priced one by one
_WORSE = 1 + 1e-12  # how far above a cap a latency counts as beyond it: more than rounding makes of it


class SharedPresolve:
    """The classes of one shared problem under one objective.

    Args:
        relaxation: of the problem.
        aim: the objective and its caps.
    """

    def __init__(self, relaxation: SharedRelaxation, aim: Aim) -> None:
        self.relaxation, self.space, self.aim = relaxation, relaxation.space, aim

    def reduce(self, variant: Variant, incumbent: float) -> tuple[float | None, Variant]:
        """The least price of a class, infinite if it has none; None if it has too many. And the class."""
        return (self._least(variant) if self.is_short(variant) else None), variant

    def cut(self, whole: Variant, part: Variant) -> None:
        """Nothing is listed."""

    def is_short(self, variant: Variant) -> bool:
        """Whether the choices of a class are few enough to be priced one by one."""
        fewest, most = variant.trips_range("co")
        tiles = prod(greatest - smallest + 1 for smallest, greatest in variant.tiles[2:])
        return tiles * len(self._channels(variant)) * (most - fewest + 1) <= _PRICED

    def tiles(self, variant: Variant) -> SpatialTable:
        """The tiles of a class."""
        return self.space.grid.table([np.arange(least - 1, most) for least, most in variant.tiles[2:]])

    def _channels(self, variant: Variant) -> Ints:
        """Positions of the input-channel tiles; each matches all that have as many trips."""
        least, most = variant.trips_range("ci")
        return np.flatnonzero((least <= self.space.trips_ci) & (self.space.trips_ci <= most))

    def _least(self, variant: Variant) -> float:
        """The least price of all choices."""
        fewest, most = variant.trips_range("co")
        table, channels = self.tiles(variant), self._channels(variant)
        sizes = len(table), len(channels), most - fewest + 1
        row, ci, rounds = (i.reshape(-1) for i in np.indices(sizes))
        price = self._prices(variant, self.space.tiles(table).take(row), channels[ci], rounds + fewest)
        return float(np.min(price))

    def _prices(self, variant: Variant, tiles: Any, ci: Ints, rounds: Ints) -> Num:
        """The objective of each choice at least, infinite if none fits or is within the caps."""
        space, aim, table = self.space, self.aim, tiles.table
        bounds = packed_bounds(space, tiles, ci, rounds)
        words = table.fetched if variant.slide is None else table.slid
        trips = Trips(rounds, space.trips_ci[ci], table.trips)
        bits = class_traffic(space.kernels, variant.structure, 1.0 * words, trips).bits(space.hardware)
        price, inside = aim.weights.traffic / self.relaxation.compulsory_bits * bits, bounds.fits
        ticks: Num = 0.0
        if variant.structure.timed:
            setup = class_setup(space.hardware, space.kernels.groups, variant.structure, trips)
            ticks = space.latency(bounds.least.astype(float), bits, setup)
            latency = ticks / float(self.relaxation.least.latency)
            price = price + aim.weights.latency * latency
            inside = inside & (latency <= (aim.caps.latency * _WORSE if aim.hard else inf))
        if space.energy is not None:
            spent = space.energy.rates.of(space.energy.macs, 1.0 * bounds.least_ports, bits, ticks)
            price = price + aim.weights.spent / float(self.relaxation.least.spent) * spent
        return np.where(inside, price, inf)
