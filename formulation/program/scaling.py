"""Scaling of the mixed-integer program: the incumbent at ``SPAN`` on every axis, coefficients rounded down.

Within a variant each family of choices sums to ``variant[v]``; so the least coefficient of a family is taken
out of it and given to the variant, and the least over variants to a constant. Latency and traffic then start
near zero. Coefficients beyond any use are cut, and all are rounded down to a millionth of the largest in
their row: the program bounds the exact one from below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log2
from typing import Any

import pyomo.core as pyo

from formulation.pricing.objective import Measure
from formulation.pricing.price import Price
from formulation.program.terms import CHOICES, ChoiceTerms, Keys, Terms

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


UNCAPPED = Price(None, None, None)


@dataclass(frozen=True, slots=True)
class ScoreCap:
    """A cap on a weighted sum.

    Attributes:
        weights: of one unit of each field of ``Price``.
        score: the greatest sum.
    """

    weights: Price
    score: float


@dataclass(frozen=True, slots=True)
class ProgramAim:
    """What a model minimises, and under which caps.

    Attributes:
        weights: of one unit of each field of ``Price``.
        incumbent: price of a known mapping; it sets the scale.
        caps: greatest of each quantity; None for none.
        score_cap: on a weighted sum; None for none.
    """

    weights: Price
    incumbent: Price
    caps: Price = UNCAPPED
    score_cap: ScoreCap | None = None

    @classmethod
    def of(cls, measures: Sequence[Measure], cap: int | None, incumbent: Price) -> ProgramAim:
        """The last of some measures, those before it held at a known mapping's.

        Args:
            measures: the most important first.
            cap: on latency [ticks]; None for none.
            incumbent: the known mapping's price.
        """
        caps, score_cap = [cap, None, None], None
        for before in measures[:-1]:
            value = before.exact(incumbent)
            if before.quantity is None:
                score_cap = ScoreCap(before.weights, float(value))
            else:
                caps[before.weights.index(1)] = int(value)
        return cls(
            weights=Price(*map(float, measures[-1].weights)),
            incumbent=incumbent,
            caps=Price(*caps),
            score_cap=score_cap,
        )

    def needs(self, quantity: str) -> bool:
        """Whether a quantity is minimised or capped."""
        scored = self.score_cap is not None and getattr(self.score_cap.weights, quantity)
        capped = getattr(self.caps, quantity) is not None
        return bool(getattr(self.weights, quantity) or capped or scored)


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


def scales(aim: ProgramAim, floors: Mapping[str, Sequence[int]], spent: int = 0) -> dict[str, Scale]:
    """Axes of the modelled quantities on which the incumbent, or its weighted sum, is at ``SPAN`` or below.

    Args:
        aim: has the incumbent.
        floors: of each quantity, all that bounds it from below. Its axis begins at the greatest, and is
            coarse enough for the least to be at ``-BEYOND * SPAN`` or above: coefficients stay moderate.
        spent: per unit of latency [quanta/tick]: what bounds a latency that is of no interest itself.
    """
    low = {name: max(values) for name, values in floors.items()}
    best = {name: getattr(aim.incumbent, name) for name in floors}
    span = {name: max(best[name] - low[name], best[name] * FINEST, 1.0) for name in floors}
    weights = {name: weight for name in floors if (weight := getattr(aim.weights, name))}
    if len(weights) > 1:
        above = sum(weight * (best[name] - low[name]) for name, weight in weights.items())
        whole = sum(weight * best[name] for name, weight in weights.items())
        span |= {name: max(above, whole * FINEST) / weight for name, weight in weights.items()}
    if aim.score_cap is not None:  # what is cut alone exceeds the cap
        scored = {name: weight for name in floors if (weight := getattr(aim.score_cap.weights, name))}
        above = sum(float(weight) * (best[name] - low[name]) for name, weight in scored.items())
        span |= {name: max(span[name], above / float(weight)) for name, weight in scored.items()}
    if spent and "latency" not in weights and aim.caps.latency is None:
        span["latency"] = span["spent"] / spent
    coarser = {name: max(1.0, (low[name] - min(floors[name])) / BEYOND / span[name]) for name in floors}
    together = max(coarser[name] for name in weights) if len(weights) > 1 else 1.0
    factor = {name: max(coarser[name], together if name in weights else 1.0) for name in floors}
    return {name: Scale(low[name], factor[name] * span[name] / SPAN) for name in floors}


def shifted(variants: list[ChoiceTerms], terms: list[Terms]) -> tuple[Terms, int]:
    """The function with the least coefficient of each family moved to the variant, then to a constant."""
    merged: Terms = {}
    bases = []
    for variant_terms in terms:
        least: dict[str, int] = {}
        for (family, _), value in variant_terms.items():
            if family in CHOICES:
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
    """The function in units, its coefficients cut at ``most`` and rounded down.

    They are multiples of the power of two next below a millionth of the largest, so what is short in binary
    stays.

    Args:
        model: has the variables.
        terms: the function.
        unit: what it is measured in.
        most: a value that is out of the question, so that it does not matter by how much it is exceeded.
    """
    values = {key: value / unit for key, value in terms.items() if value}
    values = {key: min(value, most) if key[0] in CHOICES else value for key, value in values.items()}
    grain = 2.0 ** floor(log2(max(values.values(), default=1.0) * GRAIN))
    rounded = ((key, floor(value / grain) * grain) for key, value in values.items())
    return pyo.quicksum(getattr(model, family)[key] * value for (family, key), value in rounded if value)


def scaled_cap(scale: Scale, cap: int | None) -> float | None:
    """A cap on a scaled axis, with room for rounding; what is returned is checked exactly."""
    return None if cap is None else max(0.0, scale.scaled(cap)) + ROUNDING


def beyond(cap: float | None) -> float:
    """A scaled value above whatever is of interest under a scaled cap."""
    return BEYOND * max(SPAN, cap or 0.0)
