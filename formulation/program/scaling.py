"""Scaling of the mixed-integer program: the incumbent at ``SPAN`` on every axis, coefficients rounded down.

Within a variant each family of choices sums to ``variant[v]``; so the least coefficient of a family is taken
out of it and given to the variant, and the least over variants to a constant. Latency and traffic then start
near zero. Coefficients beyond any use are cut, and all are rounded down to a millionth of the largest in
their row: the program bounds the exact one from below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import pyomo.core as pyo

from formulation.price import Price
from formulation.program.coefficients import Keys, Terms, VariantTerms

#: Where the incumbent lies on the scaled axes of latency and traffic.
SPAN = 1000.0
#: Least span of an axis, relative to the incumbent: finer would show nothing but rounding.
FINEST = 1e-5
#: A value on the scaled axes, or multiple of a cap, that no mapping of interest reaches.
BEYOND = 10.0
#: Coefficients are rounded down to multiples of this fraction of the largest in their row.
GRAIN = 1e-6
#: Room for the solver's rounding on the scaled axes. Less than 1e-4 would be too small a bound for HiGHS.
ROUNDING = 1e-3


UNCAPPED = Price(None, None)


@dataclass(frozen=True, slots=True)
class ScoreCap:
    """A cap on a weighted sum.

    Attributes:
        weights: of one tick of latency, and of one bit of traffic.
        score: the greatest sum.
    """

    weights: Price
    score: float


@dataclass(frozen=True, slots=True)
class ProgramAim:
    """What a model minimises, and under which caps.

    Attributes:
        weights: of one tick of latency, and of one bit of traffic.
        incumbent: price of a known mapping; it sets the scale.
        caps: greatest latency and traffic; None for none.
        score_cap: on a weighted sum; None for none.
    """

    weights: Price
    incumbent: Price
    caps: Price = UNCAPPED
    score_cap: ScoreCap | None = None

    def needs(self, quantity: str) -> bool:
        """Whether a quantity has to be modelled."""
        weight, cap = getattr(self.weights, quantity), getattr(self.caps, quantity)
        return bool(weight) or cap is not None or self.score_cap is not None


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis of the model: ``value = floor + unit * scaled``."""

    floor: float
    unit: float

    def value(self, scaled: float) -> float:
        """A scaled value in the axis' own unit."""
        return self.floor + self.unit * scaled

    def scaled(self, value: float) -> float:
        """A value on the scaled axis."""
        return (value - self.floor) / self.unit


def scales(aim: ProgramAim, latency_floors: Sequence[int], traffic_floor: int) -> tuple[Scale, Scale]:
    """Axes of latency and traffic on which the incumbent, or its weighted sum, is at ``SPAN`` or below.

    Args:
        aim: has the incumbent.
        latency_floors: of all that bounds latency from below. The axis begins at the greatest, and is coarse
            enough for the least to be at ``-BEYOND * SPAN`` or above: coefficients stay moderate.
        traffic_floor: where the axis of traffic begins.
    """
    floors, weights = (max(latency_floors), traffic_floor), aim.weights
    spans = [max(best - low, best * FINEST, 1.0) for best, low in zip(aim.incumbent, floors, strict=True)]
    if all(weights):
        above = sum(w * (best - low) for w, best, low in zip(weights, aim.incumbent, floors, strict=True))
        whole = sum(w * best for w, best in zip(weights, aim.incumbent, strict=True))
        spans = [max(above, whole * FINEST) / weight for weight in weights]
    coarser = max(1.0, (floors[0] - min(latency_floors)) / BEYOND / spans[0])
    spans = [coarser * span for span in spans] if all(weights) else [coarser * spans[0], spans[1]]
    return Scale(floors[0], spans[0] / SPAN), Scale(traffic_floor, spans[1] / SPAN)


def shifted(variants: list[VariantTerms], terms: list[Terms]) -> tuple[Terms, int]:
    """The function with the least coefficient of each family moved to the variant, then to a constant."""
    merged: Terms = {}
    bases = []
    for variant_terms in terms:
        least: dict[str, int] = {}
        for (family, _), value in variant_terms.items():
            if family != "share":
                least[family] = min(value, least.get(family, value))
        merged |= {(f, key): value - least.get(f, 0) for (f, key), value in variant_terms.items()}
        bases.append(sum(least.values()))
    lowest = min(bases)
    for variant, base in zip(variants, bases, strict=True):
        merged["variant", (variant.name,)] = base - lowest
    return {key: value for key, value in merged.items() if value}, lowest


def rounded_sum(
    model: Any, terms: Mapping[tuple[str, Keys], float], unit: float, most: float = float("inf")
) -> Any:
    """The function in units, its coefficients cut at ``most`` and rounded down to a millionth of the largest.

    Args:
        model: has the variables.
        terms: the function.
        unit: what it is measured in.
        most: a value that is out of the question, so that it does not matter by how much it is exceeded.
    """
    values = {key: value / unit for key, value in terms.items() if value}
    values = {key: value if key[0] == "share" else min(value, most) for key, value in values.items()}
    grain = max(values.values(), default=1.0) * GRAIN
    rounded = ((key, floor(value / grain) * grain) for key, value in values.items())
    return pyo.quicksum(getattr(model, family)[key] * value for (family, key), value in rounded if value)


def scaled_cap(scale: Scale, cap: int | None) -> float | None:
    """A cap on a scaled axis, with room for rounding; what is returned is checked exactly."""
    return None if cap is None else max(0.0, scale.scaled(cap)) + ROUNDING


def beyond(cap: float | None) -> float:
    """A scaled value above whatever is of interest under a scaled cap."""
    return BEYOND * max(SPAN, cap or 0.0)
