"""What mappings of a class cost by the class's own formulas, from columns of their tiles.

Each formula is non-decreasing in every column. A mapping that moves less in its loop order is priced in
another class as well.
"""

from __future__ import annotations

from math import inf
from sys import float_info

import numpy as np
from numpy.typing import NDArray

from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.cost import (
    Num,
    TensorBits,
    Trips,
    array_passes,
    fits,
    footprint,
    tile_bits,
)
from formulation.mapping import Group
from formulation.pricing.bursts import Runs
from formulation.pricing.price import LayerRates, latency_ticks
from formulation.relaxed.classes import Aim, Variant
from formulation.relaxed.lists import Channels
from formulation.relaxed.runs import class_bits
from formulation.relaxed.structure import class_setup, class_traffic
from formulation.space.space import Space
from formulation.space.tables import SpatialTable

Floats = NDArray[np.float64]

_WORSE = 1 + 1e-12  # how far above the known mapping a price counts as worse: more than rounding makes of it


class ClassPrices:
    """Prices of the classes of one problem under one objective.

    Args:
        space: the problem's map space.
        aim: the objective and its caps.
    """

    def __init__(self, space: Space, aim: Aim) -> None:
        self.space, self.aim = space, aim
        problem = space.problem
        self._roofline = float(roofline_ticks(problem.layer, problem.hardware))
        self._compulsory = compulsory_bits(problem.layer, problem.hardware)
        self._least_sum = float(problem.least.spent)
        rates = problem.rates
        self._rates = None if rates is None else LayerRates.of(problem.hardware, problem.layer, rates)

    def _price(
        self,
        variant: Variant,
        co: Channels,
        ci: Channels,
        sp: SpatialTable,
        sp_cycles: Num,
        once: Runs | None = None,
    ) -> Floats:
        """By the class's own formulas, of ``once`` or of words; infinite beyond the caps; all broadcasts."""
        problem, structure, aim = self.space.problem, variant.structure, self.aim
        layer, hardware = problem.layer, problem.hardware
        held = self._held(variant, co, ci, sp)
        trips = Trips(co.trips, ci.trips, sp.trips)
        if once is None:
            words = sp.slid if self._slides(variant) else sp.fetched
            bits = class_traffic(layer, structure, 1.0 * words, trips).bits(hardware)
        else:
            bits = class_bits(layer.groups, structure, trips, once)
        price = aim.weights.traffic / self._compulsory * bits
        inside = fits(hardware, problem.partition, footprint(hardware, held))
        latency: Num = 0.0
        if structure.timed:
            compute = 1.0 * layer.groups * co.cycles * ci.cycles * sp_cycles
            tile = TensorBits(1.0 * held.total, 0, 0)
            setup = class_setup(hardware, layer.groups, structure, trips)
            latency = latency_ticks(hardware, compute, bits, tile, setup) / self._roofline
            price = price + aim.weights.latency * latency
            inside = inside & (latency <= (limit(aim.caps.latency) if aim.hard else inf))
        if structure.summed:
            price = price + aim.weights.spent * self._spent(co, ci, sp, sp_cycles, bits, latency)
        return np.where(inside, price, inf)

    def _held(self, variant: Variant, co: Channels, ci: Channels, sp: SpatialTable) -> TensorBits:
        """Bits of the largest tiles."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        trips_ci = variant.structure.trips.ci
        return tile_bits(layer, hardware, co.tile, ci.tile, sp.largest, sp.pixels, trips_ci)

    def _slides(self, variant: Variant) -> bool:
        """Whether the ifmap slides from tile to tile."""
        return variant.slide is not None

    def _spent(
        self, co: Channels, ci: Channels, sp: SpatialTable, sp_cycles: Num, bits: Num, latency: Num
    ) -> Num:
        """What is summed, in the least of any mapping, of traffic in bits and latency in rooflines."""
        hardware, rates = self.space.problem.hardware, self._rates
        assert rates is not None
        pieces, cycles = Trips(co.pieces, ci.pieces, sp.computed), Trips(co.cycles, ci.cycles, sp_cycles)
        passes = Trips(*(1.0 * array_passes(hardware, g, pieces.of(g), cycles.of(g)) for g in Group))
        return rates.quanta(passes, bits, latency * self._roofline) / self._least_sum


def limit(incumbent: float) -> float:
    """What a price is compared with: a little above the known one, and finite."""
    return min(incumbent * _WORSE, float_info.max)
