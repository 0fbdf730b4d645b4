"""From a result's plain data to nests: shapes, placements, mappings; what does not fit together is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from solvers.schedules.execution.events import ZeroOutputs
from solvers.schedules.execution.nest import DramTensor, KernelAxis, NestCut, TileLoop, outputs_named

if TYPE_CHECKING:
    from solvers.network.data.mapping_fields import AxisData, GeometryData, PlacedAxisData

_ORDERS = {
    "weight": ("in_channels", "outputs", "spatial"),
    "input": ("in_channels", "spatial", "outputs"),
    "output": ("outputs", "spatial", "in_channels"),
}
_AXES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}
_BOUND = 1 << 40
_MOST_TRIPS = 1 << 24  # of one loop: what its tiles need is listed

Sizes = dict[str, tuple[int, int]]
"""Extent and tile size by loop."""


def require(good: bool, where: str, problem: str) -> None:
    """Raise a ValueError of a field's path and what is wrong with it unless all is well."""
    if not good:
        raise ValueError(where, problem)


def check_shape(shape: GeometryData, where: str) -> None:
    """Raise ValueError for a geometry that is none."""
    require(1 <= len(shape["axes"]) <= 3, f"{where}.axes", f"got {len(shape['axes'])}, must be 1 to 3")
    sizes: dict[str, Any] = {name: size for name, size in shape.items() if name != "axes"}
    for i, axis in enumerate(shape["axes"]):
        for name, size in axis.items():
            if name.startswith("pad_"):
                require(abs(int(str(size))) < _BOUND, f"{where}.axes.{i}.{name}", f"got {size}")
            elif name != "output_padding":
                sizes[f"axes.{i}.{name}"] = size
    for name, size in sizes.items():
        require(1 <= size < _BOUND, f"{where}.{name}", f"got {size}, must be from 1 to {_BOUND - 1}")


def check_numbers(numbers: Mapping[str, int] | None, names: Sequence[str], least: int, where: str) -> None:
    """Raise ValueError unless there is a number for each name, and none is too small."""
    for name in names:
        got = (numbers or {}).get(name)
        good = got is not None and got >= least
        require(good, f"{where}.{name}", f"got {got}, must be a whole number, at least {least}")


def tensors(
    shape: GeometryData, ifmap: GeometryData, groups: int, transposed: bool
) -> tuple[DramTensor, DramTensor, DramTensor]:
    """Ifmap, weights and ofmap of a layer as they lie in DRAM.

    Args:
        shape: of the layer.
        ifmap: whose ifmap is read: the layer's, or that with zeros inserted.
        groups: of the layer.
        transposed: whether it is a deconvolution.
    """
    axes = _AXES[len(shape["axes"])]
    batch, co, ci = shape["batch"], shape["out_channels"], shape["in_channels"]
    channels = (groups * ci, co) if transposed else (groups * co, ci)
    names = ("in_channels", "out_channels") if transposed else ("out_channels", "in_channels")
    return (
        DramTensor(
            "ifmap",
            ("batch", "in_channels", *axes),
            (batch, groups * ci, *(a["ifmap"] for a in ifmap["axes"])),
        ),
        DramTensor(
            "weights",
            (*names, *(f"kernel_{name}" for name in axes)),
            (*channels, *(axis["kernel"] for axis in shape["axes"])),
        ),
        DramTensor(
            "ofmap",
            ("batch", "out_channels", *axes),
            (batch, groups * co, *(a["ofmap"] for a in shape["axes"])),
        ),
    )


def plain_axis(axis: AxisData) -> KernelAxis:
    """An axis of a convolution."""
    return KernelAxis(
        axis["ifmap"], axis["ofmap"], axis["kernel"], axis["stride"], -axis["pad_before"], axis["dilation"]
    )


def mirrored_axis(axis: AxisData, layer: AxisData, placed: PlacedAxisData | None, where: str) -> KernelAxis:
    """An axis of a sub-convolution, whose taps are read in the order in which its deconvolution has them.

    Args:
        axis: of the sub-convolution, or of the convolution over the ifmap with zeros inserted.
        layer: of the deconvolution.
        placed: where it lies there; None for all of it.
        where: path of the placement.
    """
    taps = list(reversed(placed["taps"])) if placed else list(range(axis["kernel"]))
    first, step = (placed["first_output"], placed["output_step"]) if placed else (0, 1)
    apart = taps[1] - taps[0] if len(taps) > 1 else 1
    even = bool(taps) and apart > 0 and taps == list(range(taps[0], taps[0] + len(taps) * apart, apart))
    require(
        len(taps) == axis["kernel"] and even, f"{where}.taps", "must be as many as the kernel has, evenly"
    )
    require(taps[0] >= 0 and taps[-1] < layer["kernel"], f"{where}.taps", f"kernel has {layer['kernel']}")
    last = first + (axis["ofmap"] - 1) * step
    inside = first >= 0 and step >= 1 and last < layer["ofmap"]
    require(inside, f"{where}.first_output", f"outputs {first} to {last} are not among {layer['ofmap']}")
    dilation = axis["dilation"]
    return KernelAxis(
        axis["ifmap"],
        axis["ofmap"],
        axis["kernel"],
        axis["stride"],
        dilation * (axis["kernel"] - 1) - axis["pad_before"],
        -dilation,
        first,
        step,
        taps[0],
        apart,
    )


def zeros(name: str, ofmap: DramTensor, placed: Sequence[PlacedAxisData]) -> ZeroOutputs:
    """Outputs of a deconvolution that no tap reaches."""
    sides = zip(placed, ofmap.shape[2:], strict=True)
    outputs = tuple(range(axis["first_output"], extent, axis["output_step"]) for axis, extent in sides)
    pairs = list(zip(outputs, ofmap.strides[2:], strict=True))
    return ZeroOutputs(
        name,
        outputs,
        sum(places.start * stride for places, stride in pairs),
        (*ofmap.shape[:2], *map(len, outputs)),
        (*ofmap.strides[:2], *(places.step * stride for places, stride in pairs)),
    )


def loops(mapping: Any, sizes: Sizes, outputs: str, where: str) -> tuple[TileLoop, ...]:
    """The loops of a mapping, outermost first; raises ValueError unless its fields fit together.

    Args:
        mapping: plain data.
        sizes: extent and tile size of each loop by its name.
        outputs: name of the loop over output channels.
        where: path of the mapping.
    """
    axes = [name for name in sizes if name.startswith("spatial.")]
    slide, stationary = mapping["sliding_axis"], mapping["stationary"]
    require(slide is None or 0 <= slide < len(axes), f"{where}.sliding_axis", f"got {slide}")
    if slide is not None:
        axes.append(axes.pop(slide))
    of = {"outputs": [outputs], "in_channels": ["in_channels"], "spatial": ["batch", *axes]}
    order = ["groups", *(name for group in _ORDERS[stationary] for name in of[group])]
    got = mapping["loop_order"]
    problem = f"got {' '.join(got)[:200]}, {stationary} stationary is {' '.join(order)}"
    require(got == order, f"{where}.loop_order", problem)
    trips = {name: n for name, n in mapping["trips"].items() if name != "spatial"}
    trips |= {f"spatial.{axis}": n for axis, n in enumerate(mapping["trips"]["spatial"])}
    for name, (extent, size) in sizes.items():
        inside = 1 <= size <= extent
        require(inside, f"{where}.tile.{name}", f"got {size}, must be from 1 to {extent}")
        tiles = -(-extent // size)
        require(
            trips.get(name) == tiles, f"{where}.trips.{name}", f"got {trips.get(name)}, there are {tiles}"
        )
    return tuple(TileLoop(name, trips[name], *sizes[name]) for name in order)


def spatial_sizes(extents: Sequence[int], tile: Sequence[int], where: str) -> Sizes:
    """Extents and tile sizes of the spatial loops."""
    require(len(tile) == len(extents), f"{where}.tile.spatial", f"got {len(tile)} axes, of {len(extents)}")
    return {f"spatial.{i}": pair for i, pair in enumerate(zip(extents, tile, strict=True))}


_STREAMED: dict[tuple[str, str], Literal["ifmap", "ofmap", "weights"]] = {
    ("output", "outputs"): "weights",
    ("output", "spatial"): "ifmap",
    ("weight", "outputs"): "ofmap",
    ("weight", "in_channels"): "ifmap",
    ("input", "spatial"): "ofmap",
    ("input", "in_channels"): "weights",
}


def inner_steps(mapping: Any, order: tuple[TileLoop, ...], where: str) -> NestCut | None:
    """How each tile is cut; raises ValueError unless its fields fit together, None if it is run at once.

    Args:
        mapping: plain data.
        order: its loops.
        where: path of the mapping.
    """
    if "streamed" not in mapping:
        return None
    sub, where = mapping["streamed"]["sub_tile"], f"{where}.streamed"
    got, axes = len(sub["spatial"]), sum(loop.name.startswith("spatial.") for loop in order)
    require(got == axes, f"{where}.sub_tile.spatial", f"got {got} axes, of {axes}")
    parts = {name: size for name, size in sub.items() if name != "spatial"}
    parts |= {f"spatial.{i}": size for i, size in enumerate(sub["spatial"])}
    sizes: dict[str, int] = {}
    for loop in order:
        part = parts.get(loop.name, loop.size)
        inside = 1 <= part <= loop.size
        require(inside, f"{where}.sub_tile.{loop.name}", f"got {part}, must be from 1 to {loop.size}")
        sizes |= {outputs_named(loop.name): part} if part < loop.size else {}
    groups = {name if name in ("outputs", "in_channels") else "spatial" for name in sizes}
    tensor = _STREAMED.get((mapping["stationary"], "".join(groups)))
    problem = f"got {mapping['streamed']['tensor']}, what the sub-tiles cut streams {tensor or 'nothing'}"
    if tensor is None or tensor != mapping["streamed"]["tensor"]:
        raise ValueError(f"{where}.tensor", problem)
    return NestCut(tensor, sizes)


def sliding(mapping: Any, order: tuple[TileLoop, ...], cut: NestCut | None = None) -> int | None:
    """The axis along which consecutive tiles share slices, or sub-tiles of the ifmap, if they do."""
    axis = mapping["sliding_axis"]
    if cut is not None and cut.tensor == "ifmap":
        return axis if [*cut.sizes] == [f"spatial.{axis}"] else None
    trips = {loop.name: loop.trips for loop in order}
    if axis is None or trips[f"spatial.{axis}"] == 1:
        return None
    return None if mapping["stationary"] == "output" and trips["in_channels"] > 1 else int(axis)
