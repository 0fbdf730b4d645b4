"""Quantities with units, as people write them (``1536KiB``, ``25.6 GB/s``), and what is plausible."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pydantic import BeforeValidator

_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z/]*)\s*")
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_GHZ = {"GHZ": Fraction(1), "MHZ": Fraction(1, 1000), "KHZ": Fraction(1, 10**6), "HZ": Fraction(1, 10**9)}


def _parsed(value: Any, units: dict[str, Any], allowed: str) -> Any:
    """A text with a unit as a rational number; anything but a text as it is."""
    if not isinstance(value, str):
        return value
    match = _NUMBER.fullmatch(value[:80])
    if match is None or match[2].upper() not in units:
        raise ValueError(allowed)
    return Fraction(match[1]) * units[match[2].upper()]


def size(value: Any) -> Any:
    """Bytes of a size such as ``1.5MiB``; raises ValueError unless they are whole."""
    allowed = "bytes, or a size such as 1536KiB"
    number = _parsed(value, _BYTES, allowed)
    if isinstance(number, Fraction):
        if number.denominator != 1:
            raise ValueError(allowed)
        return int(number)
    return number


def bandwidth(value: Any) -> Any:
    """GB/s of a bandwidth such as ``800MB/s``."""
    units = {f"{name}/S": Fraction(scale, 10**9) for name, scale in _BYTES.items()}
    return _decimal(_parsed(value, units, "GB/s, or a bandwidth such as 25.6GB/s"))


def frequency(value: Any) -> Any:
    """GHz of a frequency such as ``800MHz``."""
    return _decimal(_parsed(value, _GHZ, "GHz, or a frequency such as 800MHz"))


def _decimal(value: Any) -> Any:
    return float(value) if isinstance(value, Fraction) else value


@dataclass(frozen=True, slots=True)
class Plausible:
    """What a field may be without insisting.

    Attributes:
        field: its path in a scenario.
        least: the smallest value.
        most: the largest.
        unit: of both.
        hint: what is likely meant beyond.
    """

    field: str
    least: float
    most: float
    unit: str
    hint: str

    def problem(self, number: float) -> str:
        """What is wrong with a number that is outside."""
        return f"got {number:g}, allowed: {self.least:g} to {self.most:g} [{self.unit}] ({self.hint})"


_PLAUSIBLE = (
    Plausible("hardware.frequency", 0.001, 20, "GHz", "1000 MHz are 1, or 1000MHz; 1e9 Hz are 1, or 1GHz"),
    Plausible("hardware.memory_bandwidth", 0.001, 100_000, "GB/s", "25600 MB/s are 25.6, or 25600MB/s"),
    Plausible("hardware.bufsize", 1, 1 << 34, "bytes", "KiB are written 1536KiB"),
    Plausible("hardware.sa_size", 1, 65_536, "processing elements", "it is the side of the array"),
    Plausible("hardware.bit_width", 1, 128, "bits", "bytes are not meant"),
    Plausible("objective.tolerance", 0, 1, "of the least latency", "5 % are 0.05"),
)


def plausible_fields() -> tuple[Plausible, ...]:
    """The fields that have a range outside of which nobody means what they say."""
    return _PLAUSIBLE


def plausible(field: str) -> Plausible | None:
    """The range of a field, if it has one."""
    return next((one for one in _PLAUSIBLE if one.field == field), None)


def of_length(count: int, allowed: str) -> BeforeValidator:
    """A check that a list has so many items; anything but a list passes.

    Args:
        count: how many.
        allowed: what may stand there, in words.
    """

    def check(value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) != count:
            raise ValueError(allowed)
        return value

    return BeforeValidator(check)
