"""The pieces of a result's layer that run one after another, as nests of loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from solvers.schedules.simulation.machine import Accelerator
from solvers.schedules.simulation.nest import IFMAP, Nest, NestLoop
from solvers.schedules.simulation.runs import StoredTensor
from solvers.schedules.simulation.tiles import (
    CutPiece,
    Runs,
    SpatialAxis,
    axis_pieces,
    channel_piece,
    channel_pieces,
    cut,
    cut_axis_pieces,
    cut_pieces,
    runs,
)

Data = Mapping[str, Any]
"""An object of a result's JSON."""


@dataclass(frozen=True, slots=True)
class RunPiece:
    """A piece of a layer.

    Attributes:
        name: of the part; of the layer if its parts share their ifmap tiles.
        place: where its numbers stand in the layer, such as ``parts[0]``; "" for the layer itself.
        data: that object.
        count: how often it runs.
        nest: its mapping; None for zeros, which are only written.
        zeros: words of these.
    """

    name: str
    place: str
    data: Data
    count: int
    nest: Nest | None
    zeros: int = 0


def pieces(layer: Data, machine: Accelerator) -> Iterator[RunPiece]:
    """The pieces of a layer that have a mapping, or need none."""
    if "mapping" in layer:
        yield from _shared_pieces(layer, machine)
        return
    for i, part in enumerate(layer["parts"]):
        place = f"parts[{i}]"
        if part["mapping"] is not None:
            shape = part["geometry"]
            size = part["mapping"]["tile"]["out_channels"]
            rounds = [(len(tile),) for tile in cut(shape["out_channels"], size)]
            extents = [axis["ofmap"] for axis in shape["axes"]]
            nest = _nest(part["mapping"], part["groups"], [shape], rounds, extents, machine)
            yield RunPiece(part["name"], place, part, part["count"], nest)
        elif part["geometry"] is None:
            zeros = _unreached(layer, part)
            yield RunPiece(part["name"], place, part, part["count"], None, zeros)


def _shared_pieces(layer: Data, machine: Accelerator) -> Iterator[RunPiece]:
    """The sub-convolutions that share ifmap tiles as one piece, and those that no tap reaches."""
    kernels = [part for part in layer["parts"] if part["geometry"] is not None]
    rounds = list(zip(*(kernel["rounds"] for kernel in kernels), strict=True))
    shapes = [kernel["geometry"] for kernel in kernels]
    extents = [-(-axis["ofmap"] // axis["stride"]) for axis in layer["geometry"]["axes"]]
    nest = _nest(layer["mapping"], layer["groups"], shapes, rounds, extents, machine)
    yield RunPiece(layer["name"], "", layer, layer["count"], nest)
    for i, part in enumerate(layer["parts"]):
        if part["geometry"] is None:
            words = layer["groups"] * _outputs(layer) * prod(part["out"])
            yield RunPiece(part["name"], f"parts[{i}]", part, part["count"], None, words)


def _unreached(layer: Data, part: Data) -> int:
    """Words of the outputs of all groups of a sub-convolution that no tap reaches.

    Its outputs on an axis are those of the deconvolution from its first on, as far apart as it says.
    """
    axes = zip(part["placement"][0]["axes"], layer["geometry"]["axes"], strict=True)
    extents = [len(range(a["first_output"], whole["ofmap"], a["output_step"])) for a, whole in axes]
    groups = max(int(other["groups"]) for other in layer["parts"])  # such a part does not say
    return groups * _outputs(layer) * prod(extents)


def _outputs(layer: Data) -> int:
    return int(layer["geometry"]["batch"] * layer["geometry"]["out_channels"])


def _nest(
    mapping: Data,
    groups: int,
    shapes: Sequence[Data],
    rounds: Sequence[tuple[int, ...]],
    extents: Sequence[int],
    machine: Accelerator,
) -> Nest:
    """The loops of a mapping.

    Args:
        mapping: the result's.
        groups: of the layer.
        shapes: of the kernels that share its ifmap tiles, or of the one that there is.
        rounds: filters of each kernel, one tile of output channels or one round after another.
        extents: outputs along each spatial axis that the tiles cut.
        machine: that runs it.
    """
    tile, shape = mapping["tile"], shapes[0]
    loops: dict[str, Runs[Any]] = {
        "groups": ((groups, None),),
        "outputs": runs(rounds),
        "in_channels": channel_pieces(shape["in_channels"], tile["in_channels"]),
        "batch": runs(map(len, cut(shape["batch"], tile["batch"]))),
    }
    for i, (extent, size) in enumerate(zip(extents, tile["spatial"], strict=True)):
        axes = [_axis(kernel["axes"][i]) for kernel in shapes]
        loops[f"spatial.{i}"] = axis_pieces(axes, extent, size)
    names = [_LOOP_NAMES.get(name, name) for name in mapping["loop_order"]]
    taps = tuple(prod(axis["kernel"] for axis in kernel["axes"]) for kernel in shapes)
    slide = mapping["sliding_axis"]
    sliding = None if slide is None else f"spatial.{slide}"
    stored = _stored([NestLoop(name, loops[name]) for name in names], groups, shapes, mapping, machine)
    streamed = mapping.get("streamed")
    inner = {} if streamed is None else _cut_loops(shape, tile, streamed["sub_tile"])
    if streamed is not None and streamed["tensor"] == IFMAP and [*inner] != [sliding]:
        sliding = None
    nest = [NestLoop(name, inner.get(name, loops[name])) for name in names]
    for name in names:
        if name in inner and streamed is not None:
            nest.append(NestLoop(name, inner[name][0][1].parts, streamed["tensor"]))
    return Nest(machine, tuple(nest), taps, sliding, stored)


def _cut_loops(shape: Data, tile: Data, sub: Data) -> dict[str, Runs[CutPiece]]:
    """The tiles of the dimensions that are cut into sub-tiles, by loop.

    Args:
        shape: of the layer.
        tile: extents of a tile.
        sub: the same of a sub-tile.
    """
    channels = shape["in_channels"]
    kinds: dict[str, Callable[[range], Any]] = {
        "out_channels": lambda part: (len(part),),
        "in_channels": lambda part: channel_piece(channels, part),
        "batch": len,
    }
    loops = {
        _LOOP_NAMES.get(name, name): cut_pieces(shape[name], tile[name], sub[name], kind)
        for name, kind in kinds.items()
        if sub[name] < tile[name]
    }
    for i, (size, part) in enumerate(zip(tile["spatial"], sub["spatial"], strict=True)):
        if part < size:
            loops[f"spatial.{i}"] = cut_axis_pieces(_axis(shape["axes"][i]), size, part)
    return loops


def _stored(
    nest: Sequence[NestLoop], groups: int, shapes: Sequence[Data], mapping: Data, machine: Accelerator
) -> dict[str, tuple[StoredTensor, ...]]:
    """How the tensors lie in the DRAM, those of each kernel by themselves; nothing where only words matter.

    Where filters are in several rounds, no run goes on from one of them to the next.
    """
    if machine.burst_bits == 1:
        return {}
    shape, size = shapes[0], mapping["tile"]["spatial"]
    trips = {loop.name: loop.trips for loop in nest}
    axes = tuple(f"spatial.{i}" for i in range(len(size)))
    whole = {name for name, count in trips.items() if count == 1 and name != "groups"}
    whole |= {"groups"} if groups == 1 else set()
    if "rounds" not in mapping["loop_order"] or trips["outputs"] == 1:
        whole |= {"filter"}
    elif shape["out_channels"] == 1:  # one filter of each kernel, whichever round has it
        whole |= {"filter", "outputs"}
    short = set()  # axes of which the ifmap's tiles leave something out
    for loop in nest:
        if loop.name in axes and loop.trips == 1:
            ((_, tile),) = loop.runs
            if tile.inputs < shape["axes"][axes.index(loop.name)]["ifmap"]:
                short.add(loop.name)

    def of_map(channels: Sequence[str], whole: set[str]) -> StoredTensor:
        beside = "groups", *channels
        inner = (*axes, *beside) if machine.channels_last else (*beside, *axes)
        return StoredTensor(("batch", *inner), frozenset(whole))

    def made(kernel: Data) -> set[str]:
        """With the axes that a tile has all outputs of."""
        pairs = zip(axes, kernel["axes"], size, strict=True)
        return whole | {name for name, axis, most in pairs if axis["ofmap"] <= most}

    weights = StoredTensor(("outputs", "filter", "in_channels"), frozenset(whole))
    return {
        "weights": (weights,) * len(shapes),
        "ifmap": (of_map(["in_channels"], whole - short),),
        "ofmap": tuple(of_map(["outputs", "filter"], made(kernel)) for kernel in shapes),
    }


_LOOP_NAMES = {"out_channels": "outputs", "rounds": "outputs"}


def _axis(data: Data) -> SpatialAxis:
    names = ("ifmap", "ofmap", "kernel", "stride", "dilation", "pad_before")
    return SpatialAxis(*(data[name] for name in names))
