"""Units of the columns that people read."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from formulation.hardware import Hardware

_KIB_FROM = 2**17  # bytes


@dataclass(frozen=True, slots=True)
class Unit:
    """What the numbers of a column are divided by, and its name."""

    name: str
    size: int

    def __call__(self, value: Fraction | int | None) -> str:
        """A quantity in this unit, ``-`` if there is none."""
        return "-" if value is None else f"{float(value) / self.size:,.0f}"


def buffer_unit(machine: Hardware) -> Unit:
    """KiB, or bytes where the buffer is small, for quantities in bits."""
    return Unit("KiB", 8 * 1024) if machine.buffer_bytes >= _KIB_FROM else Unit("B", 8)


def percent(value: Fraction | float | None, digits: int = 0) -> str:
    """A share of one as per cent, ``-`` if there is none; never -0."""
    return "-" if value is None else f"{round(100 * float(value), digits) + 0.0:.{digits}f}"
