"""What no mapping of a class can beat, without a model: all formulas at the least of what they grow with.

That is the fewest trips, and of the intervals' words and of the array's cycles the least that their
under-estimates allow over the trips of the class. No solver is needed, nor Pyomo.
"""

from __future__ import annotations

from math import exp

from formulation.cost import Trips, array_passes, array_traffic
from formulation.mapping import Group
from formulation.pricing.price import Price
from formulation.relaxed.classes import Relaxation, Variant
from formulation.relaxed.structure import class_traffic

_SAFETY = 1 - 1e-9  # far below what rounding in the sums can add


def least_price(relaxation: Relaxation, variant: Variant) -> Price:
    """Each quantity at least, in the models' units; what is spent only where it is modelled."""
    body, hardware = relaxation.body, relaxation.problem.hardware
    trips = Trips(*(_fewest(relaxation, variant, group) for group in Group))
    fetched = relaxation.underestimates(variant)["fetched"]
    ranges = {axis: relaxation.log_trips_range(variant, axis, "fetched") for axis in fetched}
    words = exp(sum(under.log_range(*ranges[axis])[0] for axis, under in fetched.items()))
    one_pass = relaxation.stored * relaxation.extents["ci"] * relaxation.extents["batch"] * words
    bits = class_traffic(body, variant.structure, one_pass, trips).bits(hardware)
    latency = max(1.0, relaxation.least_compute(variant))
    spent = _least_spent(relaxation, variant, trips, bits, latency) if variant.structure.summed else 0.0
    return Price(latency, max(1.0, bits / relaxation.compulsory_bits * _SAFETY), spent)


def _fewest(relaxation: Relaxation, variant: Variant, group: Group) -> float:
    """Trips of a group of loops."""
    dims = variant.structure.of_group(group.value)
    return exp(sum(relaxation.log_trips_range(variant, dim)[0] for dim in dims))


def _least_spent(
    relaxation: Relaxation, variant: Variant, trips: Trips, bits: float, latency: float
) -> float:
    """Of so many trips, bits moved and rooflines."""
    body, hardware = relaxation.body, relaxation.problem.hardware
    apart = variant.structure.apart
    passes = {}
    kind = "ports" if apart else "cycles"
    for name, under in relaxation.underestimates(variant)[kind].items():
        least = exp(under.log_range(*relaxation.log_trips_range(variant, name, kind))[0])
        group = Group(name)
        passes[name] = least if apart else array_passes(hardware, group, trips.of(group), least)
    array = array_traffic(body, body.ifmap_reads, Trips(**passes)).bits(hardware)
    ticks = latency * float(relaxation.least.latency)
    assert relaxation.rates is not None
    spent = relaxation.rates.of(body.macs, array, bits, ticks)
    return max(1.0, float(spent / relaxation.least.spent) * _SAFETY)
