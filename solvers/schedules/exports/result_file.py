"""The parts of a result of ``solvers.run`` with their mappings, or why there is none to export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PositiveInt, ValidationError

from dnns.errors import InputError
from dnns.layer import Layer
from dnns.yaml_reader.validation import dotted, fault
from formulation.hardware import BitWidths
from formulation.mapping import Mapping, Stationary, Tile
from solvers.network.data.geometry import axis_of
from solvers.network.data.mapping_fields import GeometryData, MappingData, TileData
from solvers.scenario.files import result_data
from solvers.scenario.hardware import BitWidthsModel, HardwareModel
from solvers.schedules.exports.nest import ExportNest

_SHARED = (
    "sub-convolutions share each ifmap tile: no loop nest of one convolution; deconvolution: split has some"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A part of a layer.

    Attributes:
        layer: name of the layer.
        name: of the part.
        runs: how often it runs.
        nest: its loop nest, None if there is none.
        obstacle: why not, None if there is one.
    """

    layer: str
    name: str
    runs: int
    nest: ExportNest | None
    obstacle: str | None


class _Fields(BaseModel):
    """Fields that matter here; a result has more."""

    model_config = ConfigDict(frozen=True)


class _Part(_Fields):
    name: str
    groups: PositiveInt
    count: PositiveInt
    geometry: GeometryData | None
    mapping: MappingData | None = None
    traffic: dict[str, int] | None = None
    bytes_needed: float | None = None
    error: str | None = None
    rounds: list[int] | None = None


class _Layer(_Fields):
    name: str
    bits: BitWidthsModel
    parts: list[_Part]
    stack: str | None = None
    on_chip: list[str] = []
    stays: list[str] = []


def _sides(machine: Any) -> Any:
    """A machine with the two sides of its array as a pair, which JSON has as a list."""
    if isinstance(machine, dict) and isinstance(machine.get("sa_size"), list):
        return {**machine, "sa_size": tuple(machine["sa_size"])}
    return machine


class _Result(_Fields):
    network: str
    hardware: Annotated[HardwareModel, BeforeValidator(_sides)]
    layers: list[_Layer]


def read_subjects(path: str | Path) -> tuple[str, list[Subject]]:
    """The network's name, and every part of its layers in order.

    Raises:
        InputError: if the file is no result, or its numbers do not fit together.
    """
    data, _ = result_data(path)
    try:
        result = _Result.model_validate(data, strict=True)
    except ValidationError as error:
        field, _, problem = fault(error, data)
        raise InputError(path, dotted(field), problem) from None
    return result.network, list(_subjects(result, path))


def _subjects(result: _Result, path: str | Path) -> Iterator[Subject]:
    for i, layer in enumerate(result.layers):
        if any(part.rounds is not None for part in layer.parts):
            yield Subject(layer.name, layer.name, 1, None, _SHARED)
            continue
        for j, part in enumerate(layer.parts):
            obstacle = _obstacle(layer, part)
            nest = None if obstacle else _nest(result, layer, part, path, f"layers[{i}].parts[{j}]")
            yield Subject(layer.name, part.name, part.count, nest, obstacle)


def _obstacle(layer: _Layer, part: _Part) -> str | None:
    """Why a part has no loop nest between DRAM and buffer, None if it has."""
    if layer.stack is not None:
        return f"it runs in {layer.stack}, band by band: no loop nest of one layer"
    if layer.on_chip or layer.stays:
        return f"{', '.join((*layer.on_chip, *layer.stays))} on the chip: no loop nest of one layer alone"
    if part.geometry is None:
        return "no tap reaches these outputs: they are only written"
    if part.mapping is None:
        needed = f", its smallest tile takes {part.bytes_needed:,.0f} bytes" if part.bytes_needed else ""
        return part.error or f"it has no mapping{needed}"
    return None


def _nest(result: _Result, layer: _Layer, part: _Part, path: str | Path, where: str) -> ExportNest:
    geometry, mapping = part.geometry, part.mapping
    assert geometry is not None
    assert mapping is not None
    bits = layer.bits
    widths = BitWidths(bits.ifmap, bits.weights, bits.ofmap, bits.partial_sums or bits.ofmap)
    inner = _tile(mapping["streamed"]["sub_tile"]) if "streamed" in mapping else None
    try:
        nest = ExportNest(
            Layer(
                part.name,
                geometry["out_channels"],
                geometry["in_channels"],
                tuple(axis_of(axis) for axis in geometry["axes"]),
                geometry["batch"],
                part.groups,
            ),
            replace(result.hardware.build(), bits=widths),
            Mapping(
                _tile(mapping["tile"]), Stationary(mapping["stationary"]), mapping["sliding_axis"], inner
            ),
        )
        words = nest.words
    except ValueError as error:
        raise InputError(path, where, f"does not fit together: {error}") from None
    given = part.traffic or {}
    for name in words.__slots__:
        if given.get(name) != getattr(words, name):
            problem = f"got {given.get(name)} words, the mapping moves {getattr(words, name)}"
            raise InputError(path, f"{where}.traffic.{name}", problem)
    return nest


def _tile(tile: TileData) -> Tile:
    return Tile(tile["out_channels"], tile["in_channels"], tile["batch"], tuple(tile["spatial"]))
