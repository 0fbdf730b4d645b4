"""Fields of results that say what is run and how: shapes, places, tiles, loops, the buffer's parts."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from solvers.result import PartitionData

strict = with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
strict(PartitionData)


@strict
class AxisData(TypedDict):
    """One spatial axis: sizes, and padding [elements]. Padding below 0 leaves out what is there."""

    ifmap: int
    """Extent of the stored ifmap."""
    ofmap: int
    """Extent of the ofmap."""
    kernel: int
    """Taps."""
    stride: int
    """Convolution: output y reads inputs y*stride - pad_before + dilation*tap. Deconvolution: input x goes to
    outputs x*stride - pad_before + dilation*tap."""
    dilation: int
    """Distance of neighbouring taps."""
    pad_before: int
    """Padding at the beginning; of a deconvolution, outputs cut there."""
    pad_after: int
    """The same at the end."""
    output_padding: NotRequired[int]
    """Deconvolution: outputs added at the end."""


@strict
class GeometryData(TypedDict):
    """The shape of a layer, of one group."""

    out_channels: int
    """Output channels of a group."""
    in_channels: int
    """Input channels of a group."""
    batch: int
    """Images."""
    axes: list[AxisData]
    """Spatial axes, outermost first; a matrix product has its rows here."""


@strict
class PlacedAxisData(TypedDict):
    """One axis of a sub-convolution in its deconvolution."""

    first_output: int
    """Output of the deconvolution that is output 0 here."""
    output_step: int
    """Distance of neighbouring outputs in the deconvolution's ofmap."""
    taps: list[int]
    """Which tap of the deconvolution's kernel each tap here is."""


@strict
class PlacementData(TypedDict):
    """Where a sub-convolution lies in its deconvolution."""

    phase: str
    """Residues of its outputs modulo the stride, such as 0.1."""
    axes: list[PlacedAxisData]
    """Axis by axis."""


@strict
class TileData(TypedDict):
    """Extents of a tile [elements]; the last of a dimension may be smaller."""

    out_channels: int
    in_channels: int
    batch: int
    spatial: list[int]
    """Of the ofmap, in the order of the geometry's axes."""


@strict
class TripsData(TypedDict):
    """How many tiles there are along each dimension."""

    groups: int
    out_channels: int
    in_channels: int
    batch: int
    spatial: list[int]


Class = Literal["weight", "input", "output"]


@strict
class StreamedData(TypedDict):
    """A tile that runs in inner steps, each of a sub-tile."""

    tensor: Literal["ifmap", "weights", "ofmap"]
    """Of which only a sub-tile is held; of the others the whole tile."""
    sub_tile: TileData
    """Smaller than the tile in output channels, in input channels, or in batch and spatial axes."""


@strict
class ChoicesData(TypedDict):
    """What a mapping chooses."""

    tile: TileData
    stationary: Class
    """The tensor that is moved least."""
    sliding_axis: int | None
    """Index into ``spatial`` of the axis along which only what is new is fetched; null if there is none."""
    streamed: NotRequired[StreamedData]
    """What is held in part; missing where a whole tile of every tensor is held."""
    partition_bytes: PartitionData
    """The given parts of the buffer, or what the mapping takes of it."""


@strict
class MappingData(ChoicesData):
    """A mapping, with what follows for the layer."""

    trips: TripsData
    loop_order: list[str]
    """The loops over tiles, outermost first; ``spatial.0`` is the first axis."""


@strict
class SharedTileData(TypedDict):
    """Extents of a tile that sub-convolutions share, on the grid of their outputs [elements]."""

    in_channels: int
    batch: int
    spatial: list[int]


@strict
class SharedTripsData(TypedDict):
    """How many of them there are; a round of filters is what a tile of output channels is elsewhere."""

    groups: int
    rounds: int
    in_channels: int
    batch: int
    spatial: list[int]


@strict
class SharedMappingData(TypedDict):
    """A mapping of sub-convolutions that share ifmap tiles; each makes its own outputs in a tile."""

    tile: SharedTileData
    trips: SharedTripsData
    loop_order: list[str]
    """As of any mapping, rounds in place of output channels."""
    rounds: int
    stationary: Class
    sliding_axis: int | None
    partition_bytes: PartitionData
