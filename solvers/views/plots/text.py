"""Names and numbers as pictures show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 40
"""Characters of a name at most; of a longer one the middle is left out."""
_LEFT_OUT = ".."
_POWERS = {
    "bytes": ("bytes", "kB", "MB", "GB", "TB"),
    "cycles": ("cycles", "kcycles", "Mcycles", "Gcycles", "Tcycles"),
    "pJ": ("pJ", "nJ", "uJ", "mJ", "J"),
}

Value = int | float | Fraction


def named(name: str, longest: int = LONGEST) -> str:
    """A name as matplotlib takes it: on one line, not too long, and a dollar sign begins no formula."""
    text = "".join(c if c.isprintable() else "?" for c in name)
    if len(text) > longest:
        tail = (longest - len(_LEFT_OUT)) // 2
        text = text[: longest - len(_LEFT_OUT) - tail] + _LEFT_OUT + text[-tail:]
    return text.replace("$", r"\$")


def times(name: str, count: int) -> str:
    """A name, and how often it occurs."""
    return f"{named(name)} x{count}" if count > 1 else named(name)


def plain(value: float, _: object = None) -> str:
    """A number as an axis shows it, without powers of ten."""
    return f"{value:,.10g}"


@dataclass(frozen=True, slots=True)
class HandyUnit:
    """A unit in which numbers are of handy size.

    Attributes:
        name: such as ``MB``.
        size: how many of the basic unit it is.
    """

    name: str
    size: float = 1

    def of(self, value: Value) -> float:
        """A value of the basic unit in this one."""
        return float(value) / self.size


def unit(basic: str, values: Iterable[Value | None]) -> HandyUnit:
    """The largest unit in which the greatest value is at least 1.

    Args:
        basic: ``bytes``, ``cycles``, ``pJ``, or one that stays as it is.
        values: in the basic unit; None is passed over.
    """
    most = max((abs(float(value)) for value in values if value is not None), default=0)
    names = _POWERS.get(basic, (basic,))
    power = max((p for p in range(len(names)) if most >= 1000**p), default=0)
    return HandyUnit(names[power], 1000**power)
