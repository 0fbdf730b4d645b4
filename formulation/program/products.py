"""Products of two choices in the mixed-integer program: one variable for each that the left one may be.

With ``one_j`` and ``two_i`` binaries of a variant, each of which sum to ``variant``, and ``r_i`` the right
factors, the right factor beside the left choice j is ``u_j``, 0 if j is not chosen:

    u_j = low_j * one_j + span_j * p_j,   0 <= p_j <= one_j,   sum_j u_j >= sum_i r_i * two_i

``low_j`` and ``low_j + span_j`` are the least and greatest ``r_i`` beside j. Where one j is chosen all others
are 0, so ``u_j >= r_i``, and ``left * right`` is ``sum_j left_j * u_j``: nothing that is paid or held falls
with ``u_j``, so it is ``r_i`` where that matters. A greatest with which a row would be beyond any use is cut:
what it leaves out is of no interest.

Factors are counted from the least of them, in their greatest common divisor: in whole numbers, or these by a
power of ten. Where they would span more than six orders of magnitude they are counted in a millionth of the
greatest, the left side rounded up and the right side down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, gcd
from typing import Any

import pyomo.core as pyo

from formulation.program.scaling import GRAIN, SPAN
from formulation.program.terms import ChoiceTerms, Keys, Product, Terms

Spans = dict[tuple[str, Keys], int]
"""By how much a factor may be above its least, by its variable."""


@dataclass(frozen=True, slots=True)
class FactorUnit:
    """What the factors of a product are counted in.

    Attributes:
        start: the least of them all.
        size: of a unit.
        exact: whether all are whole multiples of it above the start.
    """

    start: int
    size: int
    exact: bool


def spans_of(variants: Iterable[ChoiceTerms], limits: Iterable[tuple[Terms, float]]) -> Spans:
    """The greatest factor of each variable above its least that is of interest, at least 1.

    Args:
        variants: have the products.
        limits: rows, with what each may be at most before it is of no interest, in its own unit.
    """
    spans = {
        (product.name, key): spread
        for variant in variants
        for product in variant.products
        for key, spread in product.spread.items()
        if spread
    }
    for terms, most in limits:
        for key, coefficient in terms.items():
            if key in spans:
                spans[key] = min(spans[key], max(1, ceil(most / coefficient)))
    return spans


def unit_of(product: Product, spans: Spans) -> FactorUnit:
    """Whole multiples of the common divisor, or of a millionth of the range."""
    ends = [low + spans.get((product.name, key), 0) for key, low in product.least.items()]
    factors = [*product.least.values(), *product.right.values()]
    start, top = min(factors), max(ends)
    size = gcd(*(value - start for value in factors if value <= top)) or 1
    coarse = ceil((top - start) * GRAIN)
    return FactorUnit(start, max(size, coarse), size >= coarse)


def add_products(model: Any, variants: Iterable[ChoiceTerms], spans: Spans) -> dict[tuple[str, Keys], int]:
    """Variables and rows of all products.

    Args:
        model: has the binaries; gets the variables, by the names of the products, and the rows.
        variants: of the program.
        spans: of each variable; those of a unit that is no divisor of them are rounded up.

    Returns:
        By how much a product may be too low for each variable's left choice, in the right factor: 0 if exact.
    """
    linked = [(v, p) for v in variants for p in v.products if p.least and p.right]
    slack: dict[tuple[str, Keys], int] = {}
    for name in dict.fromkeys(p.name for _, p in linked):
        mine = [(v.name, p) for v, p in linked if p.name == name]
        keys = [key for _, p in mine for key in p.least if (name, key) in spans]
        setattr(model, name, pyo.Var(keys, bounds=(0, 1)))
        setattr(model, f"{name}_if", pyo.Constraint(keys))
        setattr(model, f"{name}_of", pyo.Constraint([v for v, _ in mine]))
        for variant, product in mine:
            unit = unit_of(product, spans)
            for key in product.least:
                if (name, key) in spans:
                    spans[name, key] = unit.size * -(-spans[name, key] // unit.size)
                slack[name, key] = 0 if unit.exact else 2 * unit.size
            _link(model, variant, product, unit, spans)
    return slack


def _link(model: Any, variant: str, product: Product, unit: FactorUnit, spans: Mapping[Any, int]) -> None:
    """A product's variables are at most their choices, and reach the right factor."""
    name, (one, two) = product.name, product.families
    owners, partners = getattr(model, one), getattr(model, two)
    variables, within = getattr(model, name), getattr(model, f"{name}_if")
    top = max(low + spans.get((name, key), 0) for key, low in product.least.items()) + 2 * unit.size
    right = {key: (min(value, top) - unit.start) // unit.size for key, value in product.right.items()}
    scale = min(1.0, SPAN / 10 ** len(str((top - unit.start) // unit.size)))
    left = []
    for key, low in product.least.items():
        left.append(-((unit.start - low) // unit.size) * scale * owners[key])
        if (name, key) in spans:
            left.append(spans[name, key] // unit.size * scale * variables[key])
            within[key] = variables[key] <= owners[key]
    reached = pyo.quicksum(value * scale * partners[key] for key, value in right.items() if value)
    getattr(model, f"{name}_of")[variant] = pyo.quicksum(left) >= reached
