"""The values of an axis: a list, or a range with a step or a factor, exact in decimals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from dnns.errors import shown
from dnns.yaml_reader.validation import StrictModel
from solvers.scenario.hardware import exact
from solvers.scenario.quantities import bandwidth, frequency, size

MOST_VALUES = 10_000
"""Of one axis."""
_UNITS: dict[str, Callable[[Any], Any]] = {
    "hardware.bufsize": size,
    "hardware.bank_bytes": size,
    "hardware.memory_bandwidth": bandwidth,
    "hardware.frequency": frequency,
}
"""How a text with a unit is read, by field."""


class RangeModel(StrictModel):
    """Values from one number up to another."""

    first: Annotated[Any, Field(alias="from")]
    """The first value."""
    to: Any
    """The last value at most; it is one of them if a step or a factor hits it."""
    step: Any = None
    """What is added each time."""
    factor: Any = None
    """What is multiplied by each time."""


def values(field: str, span: RangeModel) -> list[int | float]:
    """The values of a range.

    Args:
        field: the scenario's field that has them; where it takes a unit (``64KiB``) the range does as well.
        span: the range.

    Raises:
        ValueError: if it is none, with what was got and what is allowed.
    """
    first, last = _number(field, "from", span.first), _number(field, "to", span.to)
    if (span.step is None) == (span.factor is None):
        raise ValueError("must have either a step or a factor")
    if first > last:
        raise ValueError(f"from {span.first} is above to {span.to}, allowed: at most that")
    if span.step is not None:
        step = _number(field, "step", span.step)
        if step <= 0:
            raise ValueError(f"step: got {span.step}, allowed: above 0")
        found = _steps(first, last, step)
    else:
        factor = _number("", "factor", span.factor)
        if factor <= 1 or first <= 0:
            raise ValueError(f"factor: got {span.factor} from {span.first}, allowed: above 1, from above 0")
        found = _factors(first, last, factor)
    listed: list[Fraction] = []
    for value in found:
        listed.append(value)
        if len(listed) > MOST_VALUES:
            raise ValueError(f"is more than {MOST_VALUES:,} values, the most that are allowed")
    return [int(value) if value.denominator == 1 else float(value) for value in listed]


def _steps(value: Fraction, last: Fraction, step: Fraction) -> Iterator[Fraction]:
    while value <= last:
        yield value
        value += step


def _factors(value: Fraction, last: Fraction, factor: Fraction) -> Iterator[Fraction]:
    while value <= last:
        yield value
        value *= factor


def _number(field: str, name: str, value: Any) -> Fraction:
    """A number as the rational that it was written as; raises ValueError if it is none."""
    given = value
    if isinstance(value, str) and field in _UNITS:
        try:
            value = _UNITS[field](value)
        except ValueError as error:
            raise ValueError(f"{name}: got {shown(given)}, allowed: {error}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError(f"{name}: got {shown(given)}, allowed: a number")
    return exact(value)
