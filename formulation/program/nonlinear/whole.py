"""Whole numbers of a Pyomo model, with which the integer formulas of ``formulation.cost`` can be called.

What these formulas ask of integers beyond sums and products gets variables and rows of its own: a quotient
that is rounded up, whether a number is above one, whether one of two such is. All are exact. So are the
values of a table by tile size: straight runs of it, with a binary for each where there are several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyomo.core.base import Any as Anything
from pyomo.core.base import Binary, ConcreteModel, Constraint, Integers, Reals, Var


class Whole:
    """A whole number of a model: ``scale * core + const``, from ``low`` to ``high``.

    Args:
        book: of the model.
        core: Pyomo's expression.
        low: the least value.
        high: the greatest value.
        scale: a factor.
        const: a number on top.
    """

    __slots__ = ("_several", "book", "const", "core", "high", "low", "scale")

    def __init__(self, book: Book, core: Any, low: int, high: int, scale: int = 1, const: int = 0) -> None:
        self.book, self.core, self.low, self.high = book, core, low, high
        self.scale, self.const = scale, const
        self._several: Whole | bool | None = None

    @property
    def value(self) -> Any:
        """Pyomo's expression."""
        return self._scaled + self.const if self.const else self._scaled

    @property
    def _scaled(self) -> Any:
        return self.core if self.scale == 1 else self.scale * self.core

    def __add__(self, other: Whole | int) -> Whole:
        if isinstance(other, Whole):
            core, scale, const = self._scaled + other._scaled, 1, self.const + other.const
            return Whole(self.book, core, self.low + other.low, self.high + other.high, scale, const)
        low, high = self.low + int(other), self.high + int(other)
        return Whole(self.book, self.core, low, high, self.scale, self.const + int(other))

    __radd__ = __add__

    def __neg__(self) -> Whole:
        return Whole(self.book, self.core, -self.high, -self.low, -self.scale, -self.const)

    def __sub__(self, other: Whole | int) -> Whole | int:
        return 0 if other is self else self + -other

    def __rsub__(self, other: int) -> Whole:
        return -self + other

    def __mul__(self, other: Whole | int) -> Whole | int:
        if not isinstance(other, Whole):
            factor = int(other)
            ends = [factor * self.low, factor * self.high]
            scale, const = factor * self.scale, factor * self.const
            return factor and Whole(self.book, self.core, min(ends), max(ends), scale, const)
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        if self.const or other.const:
            return Whole(self.book, self.value * other.value, min(ends), max(ends))
        scale = self.scale * other.scale
        return Whole(self.book, self.core * other.core, min(ends), max(ends), scale)

    __rmul__ = __mul__

    def __floordiv__(self, size: int) -> Whole | int:
        """Rounded down; of ``-x``, as ``formulation.cost`` rounds up, the negative of ``x`` rounded up."""
        return self if size == 1 else -self.book.rounded_up(-self, size)

    def __gt__(self, other: int) -> Whole | bool:
        """Whether a number is above one; no other comparison is asked for."""
        if other != 1 or self.low < 1:
            raise TypeError("only a count can be compared, with one")
        if self._several is None:
            self._several = self.high > 1 and (self.low > 1 or self.book.several(self))
        return self._several

    def __or__(self, other: Whole | bool) -> Whole | bool:
        if not isinstance(other, Whole):
            return other or self
        return self if other is self else self.book.either(self, other)

    __ror__ = __or__


@dataclass(frozen=True, slots=True)
class StraightRun:
    """A straight run of a table: ``base + slope * tile`` for ``first <= tile <= last``."""

    first: int
    last: int
    slope: int
    base: int


def runs(values: Sequence[int]) -> list[StraightRun]:
    """A table by tile size, from one on, as few straight runs, the first as long as it can be, and so on."""
    found, start = [], 0
    while start < len(values):
        stop = start + 1
        slope = values[stop] - values[start] if stop < len(values) else 0
        while stop < len(values) and values[stop] - values[stop - 1] == slope:
            stop += 1
        found.append(StraightRun(start + 1, stop, slope, values[start] - slope * (start + 1)))
        start = stop
    return found


class Book:
    """Variables and rows of a model, by kind and index.

    Args:
        model: to which they are added.

    Attributes:
        label: under which quotients and binaries that formulas ask for get their names.
        tables: the number of straight runs of each table that has several.
    """

    def __init__(self, model: ConcreteModel) -> None:
        self.model = model
        self.label = ""
        self.tables: dict[str, int] = {}
        self._either: dict[frozenset[int], Whole] = {}
        self._count: dict[tuple[str, str], int] = {}

    def row(self, kind: str, index: str, relation: Any) -> None:
        """Add a row."""
        if not hasattr(self.model, kind):
            setattr(self.model, kind, Constraint(Anything))
        getattr(self.model, kind)[index] = relation

    def variable(self, kind: str, index: str, low: float | None, high: float | None, of: Any = Reals) -> Any:
        """Add a variable."""
        if not hasattr(self.model, kind):
            setattr(self.model, kind, Var(Anything, dense=False))
        found = getattr(self.model, kind)[index]
        found.domain = of
        found.setlb(low)
        found.setub(high)
        return found

    def whole(self, kind: str, index: str, low: int, high: int) -> Whole | int:
        """A whole number that is chosen; the number itself where there is no choice."""
        if low == high:
            return low
        return Whole(self, self.variable(kind, index, low, high, Integers), low, high)

    def binary(self, kind: str, index: str) -> Whole:
        """A choice of zero or one."""
        return Whole(self, self.variable(kind, index, 0, 1, Binary), 0, 1)

    def named(self, kind: str, index: str, value: Whole | int, least: int | None = None) -> Whole | int:
        """A variable that is equal to an expression, under a name of its own; a number stays what it is.

        Args:
            kind: of the variable.
            index: of the variable.
            value: the expression.
            least: a value that it is known to have at least.
        """
        if not isinstance(value, Whole):
            return value
        low = value.low if least is None else max(least, value.low)
        found = self.variable(kind, index, low, value.high)
        self.row(f"{kind}_is", index, found == value.value)
        return Whole(self, found, low, value.high)

    def rounded_up(self, value: Whole, size: int) -> Whole:
        """``ceil(value / size)``: the whole number ``q`` with ``value <= size * q <= value + size - 1``."""
        index = self._next("rounded")
        low, high = -(-value.low // size), -(-value.high // size)
        q = self.variable("rounded", index, low, high, Integers)
        self.row("rounded_low", index, value.value <= size * q)
        self.row("rounded_high", index, size * q <= value.value + (size - 1))
        return Whole(self, q, low, high)

    def several(self, value: Whole) -> Whole:
        """One if a count is above one, else zero."""
        index = self._next("several")
        found = self.binary("several", index)
        self.row("several_low", index, value.value >= 1 + found.core)
        self.row("several_high", index, value.value <= 1 + (value.high - 1) * found.core)
        return found

    def either(self, one: Whole, other: Whole) -> Whole:
        """One if one of two choices is."""
        key = frozenset((id(one), id(other)))
        if key not in self._either:
            index = self._next("either")
            found = self.binary("either", index)
            self.row("either_one", index, found.core >= one.value)
            self.row("either_other", index, found.core >= other.value)
            self.row("either_none", index, found.core <= one.value + other.value)
            self._either[key] = found
        return self._either[key]

    def table(self, name: str, index: str, tile: Whole | int, values: Sequence[int]) -> Whole | int:
        """The value of a table at a tile size: a straight line, or one of several runs, chosen by binaries.

        ``piece[k]`` says that the tile is in run ``k``, and ``within[k]`` is then the tile, else zero.
        """
        if not isinstance(tile, Whole):
            return values[tile - 1]
        found = runs(values)
        if len(found) == 1:
            return tile * found[0].slope + found[0].base
        self.tables[f"{name}[{index}]"] = len(found)
        total: Any = 0
        pieces, insides = [], []
        for k, run in enumerate(found):
            at = f"{name}_{index}_{k}"
            piece, inside = self.binary("piece", at).core, self.variable("within", at, 0, run.last, Integers)
            self.row("within_low", at, run.first * piece <= inside)
            self.row("within_high", at, inside <= run.last * piece)
            total += (run.slope * inside if run.slope else 0) + (run.base * piece if run.base else 0)
            pieces.append(piece)
            insides.append(inside)
        self.row("one_piece", f"{name}_{index}", sum(pieces) == 1)
        self.row("same_tile", f"{name}_{index}", sum(insides) == tile.value)
        return Whole(self, total, min(values), max(values))

    def _next(self, kind: str) -> str:
        """The present label, with a number where it has been used before."""
        count = self._count[kind, self.label] = self._count.get((kind, self.label), 0) + 1
        return self.label if count == 1 else f"{self.label}_{count}"
