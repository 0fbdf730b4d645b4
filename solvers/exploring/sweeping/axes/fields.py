"""The fields of a scenario that a sweep may go along, by their dotted paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from solvers.scenario import Scenario
from solvers.scenario.hardware import BitWidthsModel, EnergyModel, HardwareModel, ObjectiveModel
from solvers.scenario.presets import with_preset

FIXED = ("dump_models", "source")
"""What no sweep goes along: it writes no models."""
_PARTS: dict[str, type[BaseModel]] = {
    "hardware": HardwareModel,
    "hardware.energy": EnergyModel,
    "hardware.bit_width": BitWidthsModel,
    "objective": ObjectiveModel,
}
PRESET = "hardware.preset"


def paths() -> list[str]:
    """All of them; ``dims.NAME`` besides."""
    found = [name for name in Scenario.model_fields if name not in FIXED]
    return found + [f"{part}.{name}" for part, model in _PARTS.items() for name in model.model_fields]


def is_path(field: str) -> bool:
    """Whether a field may be an axis."""
    part, _, name = field.partition(".")
    return field in paths() or (part == "dims" and bool(name))


def overlap(one: str, other: str) -> bool:
    """Whether two fields set the same thing."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def nested(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted paths as nested fields.

    An inner field of a part replaces only itself in what the scenario has there, or in what the preset has
    if one is given.

    Args:
        base: the scenario as plain data.
        given: the values.
    """
    preset = {"hardware": with_preset({"preset": given[PRESET]})} if PRESET in given else {}
    known, fields = {**base, **preset}, dict[str, Any]()
    for path, value in sorted(given.items(), key=lambda item: item[0].count(".")):
        if path.startswith("dims."):  # a name may have dots of its own
            fields.setdefault("dims", {})[path.removeprefix("dims.")] = value
            continue
        *outer, name = path.split(".")
        inner, inside = fields, known
        for depth, part in enumerate(outer):
            has = inside.get(part)
            inside = has if isinstance(has, dict) else {}
            inner = inner.setdefault(part, dict(inside) if depth else {})
        inner[name] = value
    return fields
