"""Machines by name, with their sources; ``presets.yaml`` has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dnns.yaml_reader.file import load_yaml

FILE = Path(__file__).with_name("presets.yaml")


@dataclass(frozen=True, slots=True)
class Preset:
    """A machine.

    Attributes:
        name: in a scenario.
        title: for people.
        source: of its figures.
        leaves_out: what one array, one buffer and one channel do not say of it.
        hardware: fields of a scenario's ``hardware``.
    """

    name: str
    title: str
    source: str
    leaves_out: str
    hardware: dict[str, Any]


@lru_cache(maxsize=1)
def presets() -> dict[str, Preset]:
    """All of them, by name."""
    data, _ = load_yaml(FILE)
    assert isinstance(data, dict)
    return {name: Preset(name, **fields) for name, fields in data.items()}


def with_preset(fields: Any) -> Any:
    """Fields of a machine on top of those of the preset that they name, if that is one."""
    named = fields.get("preset") if isinstance(fields, dict) else None
    found = presets().get(named) if isinstance(named, str) else None
    return fields if found is None else {**found.hardware, **fields}
