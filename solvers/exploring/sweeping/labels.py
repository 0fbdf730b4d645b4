"""The axes as columns: what a point has on each, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from solvers.exploring.sweeping.axes.file import SweepPoint, said
from solvers.exploring.sweeping.kept.tables import Column

_UNITS = {
    "hardware.bufsize": "bytes",
    "hardware.bank_bytes": "bytes",
    "hardware.memory_bandwidth": "GB/s",
    "hardware.frequency": "GHz",
    "hardware.sa_size": "processing elements",
    "hardware.bit_width": "bits",
    "hardware.energy.mac": "pJ",
    "hardware.energy.sram": "pJ/bit",
    "hardware.energy.dram": "pJ/bit",
    "hardware.energy.static": "mW",
    "time_limit": "s",
}
_AS_GIVEN = ("network", "hardware", "objective", "dims")
_SCALAR = (bool, int, float, str)


def labels(point: SweepPoint) -> dict[str, Any]:
    """A point's value on each axis: as the scenario has it (65536, not 64KiB); lists as one word."""
    return {field: _label(field, value, point) for field, value in point.given.items()}


def _label(field: str, given: Any, point: SweepPoint) -> Any:
    if field in _AS_GIVEN or field.startswith("dims."):
        return given if given is None or isinstance(given, _SCALAR) else said(given)
    value = attrgetter(field)(point.scenario)
    if value is None or isinstance(value, _SCALAR):
        return value
    return said(list(value) if isinstance(value, tuple) else given)


def axis_columns(kinds: Mapping[str, Iterable[type]]) -> tuple[Column, ...]:
    """A column for each axis, by the types of its values over all points."""
    return tuple(
        Column(field, _kind(set(found)), _UNITS.get(field, ""), "axis") for field, found in kinds.items()
    )


def _kind(found: set[type]) -> str:
    found = found - {type(None)}
    if found == {bool}:
        return "bool"
    if found == {int}:
        return "int"
    return "float" if found and found <= {int, float} else "text"


def fitting(values: Mapping[str, Any], columns: Iterable[Column]) -> dict[str, Any]:
    """Values as their columns take them."""
    return {
        column.name: said(values[column.name])
        if column.kind == "text" and values[column.name] is not None
        else values[column.name]
        for column in columns
    }
