"""The JSON of a result, read and judged: what the simulation relies on is there and makes sense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dnns.errors import InputError, shown
from dnns.yaml_reader.file import FieldPath
from dnns.yaml_reader.validation import dotted, fault
from solvers.network.data.fields import LayersResult
from solvers.scenario.files import result_data
from solvers.scenario.hardware import HardwareModel
from solvers.schedules.simulation.pieces import Data

MOST_TILES = 1_000_000
"""Tiles of one dimension at most: each is looked at."""
SIZES = range(1, 2**40)

Fault = tuple[str, str]
"""A field's path, and what was got and what is allowed."""


def read_result(path: str | Path) -> Data:
    """The JSON that ``solvers.run`` writes of a network layer by layer.

    Raises:
        InputError: if it is none, is of the network as one problem, or has a field that makes no sense.
    """
    data, _ = result_data(path)
    check_result(data, path)
    return data


def check_result(data: Any, path: str | Path) -> None:
    """Raise InputError for what is no result of layers one by one; ``path`` is its file, for messages."""
    if not isinstance(data, dict) or not isinstance(data.get("scenario"), dict):
        raise InputError(path, "scenario", "missing: the file is no result of solvers.run")
    level = data["scenario"].get("network_level", "layers")
    if level != "layers":
        problem = f"is {shown(level)}, replay is for layers one by one, allowed: layers"
        raise InputError(path, "scenario.network_level", problem)
    _judge(partial(_fields().validate_python, strict=True), data, path, ())
    _judge(HardwareModel.model_validate, data["hardware"], path, ("hardware",))
    for i, layer in enumerate(data["layers"]):
        for field, problem in _layer_faults(layer, data["hardware"]["halo"] == "reuse"):
            raise InputError(path, f"layers[{i}].{field}", problem)


@cache
def _fields() -> TypeAdapter[LayersResult]:
    return TypeAdapter(LayersResult)


def _judge(validate: Callable[[Any], Any], data: Any, path: str | Path, prefix: FieldPath) -> None:
    try:
        validate(data)
    except ValidationError as error:
        place, _, problem = fault(error, data)
        raise InputError(path, dotted((*prefix, *place)), problem) from None


def _layer_faults(layer: Data, slides: bool) -> Iterator[Fault]:
    """Fields of a layer that no schedule can have."""
    for name in ("ifmap", "weights", "ofmap", "partial_sums"):
        yield from _sizes((f"bits.{name}", layer["bits"].get(name)))
    yield from _shape_faults("geometry", layer["geometry"])
    for i, part in enumerate(layer["parts"]):
        place, shape = f"parts[{i}]", part["geometry"]
        yield from _sizes((f"{place}.groups", part["groups"]), (f"{place}.count", part["count"]))
        if shape is not None:
            yield from _shape_faults(f"{place}.geometry", shape)
        elif "mapping" in part:
            yield from _placement_faults(f"{place}.placement", part.get("placement"), layer["geometry"])
        if part.get("mapping") is not None:
            extents = {"out_channels": shape["out_channels"], **_extents(shape)}
            axes = [axis["ofmap"] for axis in shape["axes"]]
            yield from _mapping_faults(f"{place}.mapping", part["mapping"], extents, axes, slides)
    if "mapping" in layer:
        yield from _shared_faults(layer, slides)


def _placement_faults(field: str, placement: Any, whole: Data) -> Iterator[Fault]:
    """What is wrong with the place of outputs that no tap reaches."""
    if not placement or len(placement[0]["axes"]) != len(whole["axes"]):
        yield field, "missing, or of other axes than the layer's; it is required where there is no geometry"
        return
    for i, (axis, of_layer) in enumerate(zip(placement[0]["axes"], whole["axes"], strict=True)):
        if not 0 <= axis["first_output"] < of_layer["ofmap"] or axis["output_step"] < 1:
            yield f"{field}[0].axes[{i}]", "got outputs outside the layer's, or a step below 1"


def _shared_faults(layer: Data, slides: bool) -> Iterator[Fault]:
    """The same where sub-convolutions share ifmap tiles."""
    yield from _sizes(("groups", layer["groups"]), ("count", layer["count"]))
    whole, kernels = layer["geometry"], [part for part in layer["parts"] if part["geometry"] is not None]
    if not kernels:
        yield "parts", "none has taps, one at least is needed"
    axes = [-(-axis["ofmap"] // axis["stride"]) for axis in whole["axes"]]
    yield from _mapping_faults("mapping", layer["mapping"], _extents(whole), axes, slides)
    for i, part in enumerate(layer["parts"]):
        filters, shape = part["rounds"], part["geometry"]
        yield from _sizes(*((f"parts[{i}].out[{k}]", size) for k, size in enumerate(part["out"])))
        if shape is None:
            continue
        if min(filters, default=-1) < 0 or sum(filters) != whole["out_channels"]:
            problem = f"got {shown(filters)}, allowed: filters that add up to {whole['out_channels']}"
            yield f"parts[{i}].rounds", problem
        if len(filters) != len(kernels[0]["rounds"]):
            yield f"parts[{i}].rounds", f"got {len(filters)} rounds, another part has other ones"
        if len(shape["axes"]) != len(axes) or _extents(shape) != _extents(whole):
            yield f"parts[{i}].geometry", "does not belong to the layer's geometry"


def _extents(shape: Data) -> dict[str, int]:
    return {name: shape[name] for name in ("in_channels", "batch")}


def _shape_faults(place: str, shape: Data) -> Iterator[Fault]:
    channels = ("out_channels", "in_channels", "batch")
    yield from _sizes(*((f"{place}.{name}", shape[name]) for name in channels))
    if not 1 <= len(shape["axes"]) <= 3:
        yield f"{place}.axes", f"got {len(shape['axes'])}, allowed: one to three"
    for i, axis in enumerate(shape["axes"]):
        names = ("ifmap", "ofmap", "kernel", "stride", "dilation")
        yield from _sizes(*((f"{place}.axes[{i}].{name}", axis[name]) for name in names))


def _mapping_faults(
    place: str, mapping: Data, extents: dict[str, int], axes: list[int], slides: bool
) -> Iterator[Fault]:
    """Tiles out of range, and loops that are not those of the layer."""
    tile, slide = mapping["tile"], mapping["sliding_axis"]
    if len(tile["spatial"]) != len(axes):
        yield f"{place}.tile.spatial", f"got {len(tile['spatial'])} sizes, the layer has {len(axes)} axes"
        return
    sizes = [(f"{place}.tile.{name}", tile[name], extent) for name, extent in extents.items()]
    spatial = zip(tile["spatial"], axes, strict=True)
    sizes += [(f"{place}.tile.spatial[{i}]", size, extent) for i, (size, extent) in enumerate(spatial)]
    for field, size, extent in sizes:
        if not 1 <= size <= extent:
            yield field, f"got {size}, allowed: from 1 to {extent}"
        elif extent > MOST_TILES * size:
            yield field, f"got {size}, that is more than {MOST_TILES:,} tiles"
    if "streamed" in mapping:
        yield from _streamed_faults(f"{place}.streamed", mapping, extents, axes)
    outputs = "rounds" if "rounds" in mapping else "out_channels"
    loops = ["groups", "batch", "in_channels", outputs, *(f"spatial.{i}" for i in range(len(axes)))]
    if sorted(mapping["loop_order"]) != sorted(loops):
        yield (
            f"{place}.loop_order",
            f"got {shown(mapping['loop_order'])}, allowed: each of {', '.join(loops)}",
        )
    if slide is not None and not (slides and 0 <= slide < len(axes)):
        yield f"{place}.sliding_axis", f"got {slide}, allowed: null, or an axis if halo is reuse"


_STREAMED = {
    ("output", "out_channels"): "weights",
    ("output", "spatial"): "ifmap",
    ("weight", "out_channels"): "ofmap",
    ("weight", "in_channels"): "ifmap",
    ("input", "spatial"): "ofmap",
    ("input", "in_channels"): "weights",
}
"""The tensor that is held in part, by the loop order and by what is cut; the innermost loops never are."""


def _streamed_faults(place: str, mapping: Data, extents: dict[str, int], axes: list[int]) -> Iterator[Fault]:
    """Sub-tiles that are no part of their tile, or whose tensor is not the one that the cut streams."""
    tile, sub, tensor = mapping["tile"], mapping["streamed"]["sub_tile"], mapping["streamed"]["tensor"]
    if len(sub["spatial"]) != len(axes):
        yield f"{place}.sub_tile.spatial", f"got {len(sub['spatial'])} sizes, the layer has {len(axes)} axes"
        return
    sizes = [(name, sub[name], tile[name], extent) for name, extent in extents.items()]
    spatial = zip(sub["spatial"], tile["spatial"], axes, strict=True)
    sizes += [(f"spatial[{i}]", *each) for i, each in enumerate(spatial)]
    cut = {
        name.partition("[")[0].replace("batch", "spatial") for name, part, whole, _ in sizes if part != whole
    }
    for name, part, whole, extent in sizes:
        if not 1 <= part <= whole:
            yield f"{place}.sub_tile.{name}", f"got {part}, allowed: from 1 to the tile's {whole}"
        elif extent > MOST_TILES * part:
            yield f"{place}.sub_tile.{name}", f"got {part}, that is more than {MOST_TILES:,} sub-tiles"
    allowed = {group: name for (order, group), name in _STREAMED.items() if order == mapping["stationary"]}
    if len(cut) != 1 or not cut <= allowed.keys():
        told = " or ".join(sorted(allowed))
        yield f"{place}.sub_tile", f"got {shown(sub)}, allowed: smaller than the tile in one of {told}"
    elif tensor != (streams := allowed[cut.pop()]):
        yield f"{place}.tensor", f"got {shown(tensor)}, such sub-tiles stream {streams}"


def _sizes(*fields: tuple[str, Any]) -> Iterator[Fault]:
    for field, size in fields:
        if not (isinstance(size, int) and size in SIZES):
            yield field, f"got {shown(size)}, allowed: a whole number above 0"
