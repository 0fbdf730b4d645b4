"""Linear functions of the mixed-integer program's variables, and the products that are made linear."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CHOICES = ("variant", "out", "inp", "tile", "ok", "ik")
"""Families of binaries, and of pairs of two of them; in a variant each sums to its own binary."""
SHARES = ("share", "turn", "fetch", "spill")
"""Families that disaggregate a product over the input channels: the array's cycles, set-ups of transfers, and
what moves in bursts of the ifmap and of partial sums."""

Keys = tuple[Any, ...]
Terms = dict[tuple[str, Keys], int]
"""A linear function: coefficients by (family of variables, index)."""


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """``left * right`` of two choices, as one variable for each that the left one may be.

    Attributes:
        name: family of its variables; one stands for ``right`` above its least, 0 if the left is not chosen.
        terms: the product, of binaries and of those variables.
        least: that of ``right`` beside each left choice, by the index of its binary.
        spread: by how much the greatest of ``right`` is above that.
        right: by the index of its binary.
        families: those of the left and of the right binaries.
    """

    name: str
    terms: Terms
    least: dict[Keys, int]
    spread: dict[Keys, int]
    right: dict[Keys, int]
    families: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Disaggregated:
    """A factor of the input channels times a function of output channels and tile, in a variant.

    Attributes:
        terms: the product; of its family of ``SHARES`` per unit of the function.
        above: by how much the function is above its least; empty if it needs no such variables.
        most: the greatest of that.
    """

    terms: Terms
    above: Terms
    most: int = 0


def times(terms: Terms, factor: int) -> Terms:
    """A multiple of a linear function."""
    return {key: factor * value for key, value in terms.items()} if factor else {}


def merge(terms: Iterable[Terms]) -> Terms:
    """The sum of linear functions."""
    merged: Terms = {}
    for part in terms:
        for key, value in part.items():
            merged[key] = merged.get(key, 0) + value
    return merged


def disaggregated(family: str, factor: Terms, function: Terms, most: int) -> Disaggregated:
    """A factor times a function of a variant.

    With ``z`` the sum of the least coefficients of the function's binaries, of which each family has one that
    is chosen, the product is ``factor * z`` and, of each share of what the function is above that, so many.

    Args:
        family: of ``SHARES``.
        factor: by the binary of an input-channel tile.
        function: of other choices.
        most: its greatest value.
    """
    factors = set(factor.values())
    if len(factors) == 1:
        return Disaggregated(times(function, factors.pop()), {})
    lows: dict[str, int] = {}
    for (name, _), value in function.items():
        if name in CHOICES:
            lows[name] = min(value, lows.get(name, value))
    least = sum(lows.values())
    terms = times(factor, least)
    if least == most:
        return Disaggregated(terms, {})
    shares = {(family, key): value for (_, key), value in factor.items() if value}
    above = {(name, key): value - lows.get(name, 0) for (name, key), value in function.items()}
    return Disaggregated(terms | shares, above, most - least)
