"""The YAML form of a network, field by field. ``docs/networks.md`` shows it in use."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dnns.windows import MAX_NODES, MAX_SIZE, MAX_WINDOW
from dnns.yaml_reader.validation import StrictModel

Name = Annotated[str, Field(pattern=r"^[\w/:-]+$", max_length=100)]
Reference = Annotated[str, Field(pattern=r"^[\w/:.-]+$", max_length=1000)]
Size = Annotated[int, Field(ge=1, le=MAX_SIZE)]
AxisCount = Annotated[int, Field(ge=0, le=3)]
Window = Annotated[int, Field(ge=1, le=MAX_WINDOW)]
Padding = Annotated[int, Field(ge=-MAX_SIZE, le=MAX_SIZE)]
PaddingPair = Annotated[list[Padding], Field(min_length=2, max_length=2)]
Shape = Annotated[list[Size], Field(min_length=1, max_length=4)]
PerAxis = Window | Annotated[list[Window], Field(min_length=1, max_length=3)]
PaddingPerAxis = Padding | Annotated[list[Padding | PaddingPair], Field(min_length=1, max_length=3)]

Value = int | bool | str | Annotated[list[int | list[int]], Field(max_length=8)]


class LayerModel(StrictModel):
    """What every layer has."""

    name: Name
    """Unique where it stands: in the network, or in its block."""
    inputs: Annotated[list[Reference], Field(min_length=1, max_length=200)] | None = None
    """Names of the layers it reads; default: the layer before."""


class WeightedModel(LayerModel):
    """A layer with weights."""

    out_channels: Size
    """Output channels."""
    bias: bool | None = None
    """Counts a bias per output channel as parameter; default: the network's ``defaults``."""
    norm: bool | None = None
    """Counts the scale and shift of a normalisation as parameters; default: the network's ``defaults``."""


class WindowedModel(WeightedModel):
    """A layer with weights that slides a window."""

    kernel: PerAxis
    """Taps, one number or one per axis."""
    stride: PerAxis = 1
    """One number or one per axis."""
    padding: PaddingPerAxis = 0
    """One number, one per axis, or ``[low, high]`` per axis; negative crops."""
    dilation: PerAxis = 1
    """One number or one per axis."""
    groups: Size = 1
    """Groups; as many as channels make it depthwise."""


class Conv(WindowedModel):
    """Convolution over one to three axes."""

    op: Literal["conv"]


class Deconv(WindowedModel):
    """Transposed convolution; ``docs/networks.md`` says how large its output is."""

    op: Literal["deconv"]
    output_padding: (
        Annotated[int, Field(ge=0, le=MAX_WINDOW)]
        | Annotated[list[Annotated[int, Field(ge=0, le=MAX_WINDOW)]], Field(min_length=1, max_length=3)]
    ) = 0
    """Outputs added at the end, one number or one per axis."""


class FullyConnected(WeightedModel):
    """Fully connected layer over its whole, flattened input."""

    op: Literal["fc"]
    per_position: bool = False
    """Apply the same weights at each position instead, over channels alone."""


class MatMul(LayerModel):
    """Product of two activations, ``[groups*K, M]`` and ``[groups*N, K]``, to ``[groups*N, M]``."""

    op: Literal["matmul"]
    groups: Size = 1
    """Independent products (attention heads) that the channels hold."""
    transpose: bool = False
    """The second input is ``[groups*K, N]``, as keys are in attention."""


class Pool(LayerModel):
    """Pooling of any kind."""

    op: Literal["pool"]
    kernel: PerAxis
    """One number or one per axis."""
    stride: PerAxis
    """One number or one per axis."""
    padding: PaddingPerAxis = 0
    """One number, one per axis, or ``[low, high]`` per axis."""
    dilation: PerAxis = 1
    """One number or one per axis."""
    ceil_mode: bool = False
    """Let a last window hang over the end."""


class GlobalPool(LayerModel):
    """Pooling over all positions, which leaves one."""

    op: Literal["global_pool"]


class Concat(LayerModel):
    """Concatenation along the channels."""

    op: Literal["concat"]


class Add(LayerModel):
    """Element-wise sum, or any other element-wise operator, of inputs of one shape."""

    op: Literal["add"]


class Norm(LayerModel):
    """Normalisation of its own: two parameters per channel."""

    op: Literal["norm"]


class SizedModel(LayerModel):
    """A layer that is told its output's positions."""

    size: Annotated[list[Size], Field(min_length=1, max_length=3)] | None = None
    """Output extent of each axis."""
    like: Reference | None = None
    """A layer whose output's positions to take."""


class Crop(SizedModel):
    """Cut each axis down to a size."""

    op: Literal["crop"]

    @model_validator(mode="after")
    def _one_way(self) -> Crop:
        if (self.size is None) == (self.like is None):
            raise ValueError("needs one of size and like")
        return self


class Upsample(SizedModel):
    """Interpolation or unpooling: no MACs of its own."""

    op: Literal["upsample"]
    scale: PerAxis | None = None
    """Factor, one number or one per axis."""

    @model_validator(mode="after")
    def _one_way(self) -> Upsample:
        if [self.size, self.like, self.scale].count(None) != 2:
            raise ValueError("needs one of scale, size and like")
        return self


class Flatten(LayerModel):
    """All of the input as channels of one position."""

    op: Literal["flatten"]


class Reshape(LayerModel):
    """The same elements in another shape."""

    op: Literal["reshape"]
    size: Annotated[list[Size], Field(min_length=1, max_length=4)]
    """Output shape, channels first."""


class Widen(LayerModel):
    """Append channels of zeros."""

    op: Literal["widen"]
    out_channels: Size
    """Channels after it."""


class Correlation(LayerModel):
    """Dot products of two feature maps at a number of displacements; done outside the array."""

    op: Literal["correlation"]
    displacements: Size
    """Displacements, the output's channels."""


class CostVolume(LayerModel):
    """Two feature maps concatenated along the channels, at each of a number of disparities."""

    op: Literal["cost_volume"]
    disparities: Size
    """Disparities, the depth of the output."""


LayerSpec = Annotated[
    Conv
    | Deconv
    | FullyConnected
    | MatMul
    | Pool
    | GlobalPool
    | Concat
    | Add
    | Norm
    | Crop
    | Upsample
    | Flatten
    | Reshape
    | Widen
    | Correlation
    | CostVolume,
    Field(discriminator="op"),
]


class BlockUse(StrictModel):
    """A block put into the network, once or several times in a row."""

    name: Name
    """Prefix of its layers' names; as an input it stands for the block's last layer."""
    block: Name
    """Name of the block."""
    repeat: Annotated[int, Field(ge=1, le=MAX_NODES)] | None = None
    """Repetitions, each reading the one before; their layers are named ``name.1.layer``."""
    inputs: Annotated[list[Reference], Field(min_length=1, max_length=100)] | None = None
    """What the block's inputs are; default: the layer before."""
    parameters: Annotated[dict[str, Value], Field(alias="with", default_factory=dict)]
    """Values of the block's parameters."""
    shares: Name | None = None
    """An earlier use of the block whose weights this one runs with: its parameters count once."""


class BlockModel(StrictModel):
    """A pattern of layers with a name."""

    inputs: Annotated[list[Name], Field(min_length=1, max_length=100, default_factory=lambda: ["input"])]
    """Names that its layers call its inputs by."""
    parameters: Annotated[dict[str, Value | None], Field(default_factory=dict)]
    """Parameters with their defaults; null makes one required. Its layers write ``$parameter``."""
    layers: Annotated[list[dict[str, Any]], Field(min_length=1)]
    """Its layers; the last is its output."""


class Defaults(StrictModel):
    """What layers with weights count as parameters beside them, unless they say otherwise."""

    bias: bool = False
    """One bias per output channel."""
    norm: bool = False
    """Scale and shift of a normalisation per output channel."""


class NetworkModel(StrictModel):
    """A network file."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of the network."""
    batch: Size = 1
    """Images."""
    input: Shape | None = None
    """Shape of the only input, channels first, without the batch. Layers call it ``input``."""
    inputs: Annotated[dict[str, Shape], Field(min_length=1, max_length=100)] | None = None
    """Or several inputs, each with name and shape."""
    spatial_axes: Annotated[list[AxisCount], Field(min_length=1, max_length=4)] | None = None
    """Numbers of spatial axes that an input given in place of its own may have; default: its own number."""
    defaults: Defaults = Defaults()
    """Defaults for all layers."""
    blocks: Annotated[dict[str, BlockModel], Field(default_factory=dict)]
    """Patterns that repeat."""
    layers: Annotated[list[dict[str, Any]], Field(min_length=1)]
    """Layers and uses of blocks, each after what it reads."""

    @model_validator(mode="after")
    def _one_way(self) -> NetworkModel:
        if (self.input is None) == (self.inputs is None):
            raise ValueError("needs one of input and inputs")
        return self
