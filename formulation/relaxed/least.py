"""What no mapping of a class can beat, without a model: all formulas at the least of what they grow with.

That is the fewest trips, and of the intervals' words and of the array's cycles the least that their
under-estimates allow over the trips of the class. No solver is needed, nor Pyomo.
"""

from __future__ import annotations

from math import exp

from formulation.cost import Trips, array_passes, array_traffic
from formulation.mapping import Group
from formulation.price import Price, energy_quanta
from formulation.relaxed.classes import Relaxation, Variant
from formulation.relaxed.structure import class_traffic

_SAFETY = 1 - 1e-9  # far below what rounding in the sums can add


def least_price(relaxation: Relaxation, variant: Variant) -> Price:
    """Each quantity at least, in the models' units; energy only where it is modelled."""
    layer, hardware = relaxation.problem.layer, relaxation.problem.hardware
    trips = Trips(*(exp(relaxation.log_trips_range(variant, group.value)[0]) for group in Group))
    fetched = relaxation.underestimates(variant)["fetched"]
    words = exp(
        sum(u.log_range(*relaxation.log_trips_range(variant, axis))[0] for axis, u in fetched.items())
    )
    one_pass = relaxation.stored * relaxation.extents["ci"] * relaxation.extents["batch"] * words
    bits = class_traffic(layer, variant.structure, one_pass, trips).bits(hardware)
    latency = max(1.0, relaxation.least_compute(variant))
    energy = _least_energy(relaxation, variant, trips, bits, latency) if variant.structure.summed else 0.0
    return Price(latency, max(1.0, bits / relaxation.compulsory_bits * _SAFETY), energy)


def _least_energy(
    relaxation: Relaxation, variant: Variant, trips: Trips, bits: float, latency: float
) -> float:
    """Of so many trips, bits moved and rooflines."""
    layer, hardware = relaxation.problem.layer, relaxation.problem.hardware
    apart = variant.structure.apart
    passes = {}
    for name, under in relaxation.underestimates(variant)["ports" if apart else "cycles"].items():
        least = exp(under.log_range(*relaxation.log_trips_range(variant, name))[0])
        group = Group(name)
        passes[name] = least if apart else array_passes(hardware, group, trips.of(group), least)
    array = array_traffic(layer, layer.ifmap_reads, Trips(**passes)).bits(hardware)
    ticks = latency * float(relaxation.least.latency)
    spent = energy_quanta(hardware, layer.macs, array, bits, ticks)
    return max(1.0, float(spent / relaxation.least.spent) * _SAFETY)
