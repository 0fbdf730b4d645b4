"""Fields of the result of a network as one problem; the others stand in ``solvers.network.data.fields``."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from solvers.network.data.fields import Ending, KernelData, Number, OperatorData, Status, SubjectData, Words
from solvers.network.data.mapping_fields import (
    GeometryData,
    MappingData,
    PlacementData,
    SharedMappingData,
    strict,
)


@strict
class ChannelTileData(TypedDict):
    """A tile of weights."""

    out_channels: int
    in_channels: int


@strict
class HeldWeightsData(TypedDict):
    """Weights of a layer in a stack."""

    kept: bool
    """Whether they stay for the whole stack."""
    tile: ChannelTileData | None
    """In which they are streamed, if not."""
    bytes: Number
    """What they take of the buffer."""


@strict
class PieceData(TypedDict):
    """A layer, a sub-convolution, or a layer's share of a stack."""

    name: str
    groups: int
    count: int
    geometry: GeometryData | None
    """What is run; null for outputs that no tap reaches."""
    placement: NotRequired[list[PlacementData]]
    """Where a sub-convolution lies in its deconvolution."""
    mapping: MappingData | None
    """Null in a stack, and where nothing is chosen."""
    weights: NotRequired[HeldWeightsData]
    """In a stack."""
    compute_cycles: NotRequired[int]
    traffic: NotRequired[Words]
    """Words by tensor; ``drain_read`` is what drain nodes read besides what they drain."""
    latency_cycles: Number | None
    """Null in a stack, which has one for all its layers."""
    traffic_bytes: Number | None
    energy_pj: Number | None
    """Null in a stack, likewise."""


@strict
class OperandsData(OperatorData):
    """A layer, with where its operands are."""

    stack: str | None
    """Name of the stack that it is in."""
    on_chip: list[str]
    """Tensors that it reads and that stay."""
    stays: list[str]
    """Tensors that it makes and that stay."""
    held_bytes: Number
    """What stays takes of the buffer while it runs."""


@strict
class PlacedLayerData(OperandsData):
    """A layer, its pieces, and their sums."""

    parts: list[PieceData | KernelData]
    latency_cycles: Number | None
    traffic_bytes: Number | None
    energy_pj: Number | None
    """Null in a stack."""
    groups: NotRequired[int]
    count: NotRequired[int]
    mapping: NotRequired[SharedMappingData]
    """Where sub-convolutions share ifmap tiles, as are the numbers beside it."""
    compute_cycles: NotRequired[int]
    traffic: NotRequired[Words]
    """Words by tensor of those that share, as of a piece."""
    bytes_needed: NotRequired[Number | None]
    """Only where nothing fits: what the smallest tile takes."""


@strict
class RoomData(TypedDict):
    """A map of a stack in the buffer."""

    map: str
    kind: str
    """``source``, ``operand`` of a drain node, ``ofmap`` or ``drained``."""
    bytes: Number


@strict
class StackData(TypedDict):
    """A stack of layers, run band by band."""

    name: str
    layers: list[str]
    band_rows: int
    """Rows of the last map in a band."""
    strip_sizes: list[int]
    """The same on the further axes."""
    bands: int
    strips: list[int]
    """How many, per further axis."""
    buffer: list[RoomData]
    """What each map takes."""
    buffer_bytes: Number
    """Weights included."""
    compute_cycles: int
    latency_cycles: Number
    traffic_bytes: Number
    energy_pj: Number


# A word of Python's is a field here.
StayingData = TypedDict(
    "StayingData", {"name": str, "bytes": Number, "from": str, "to": str, "written": bool}
)
StayingData.__doc__ = "A tensor that stays: from which layer to which, and whether it is written as well."
strict(StayingData)


@strict
class StayingWeightsData(TypedDict):
    """Trained weights that stay for good: the layers that have them, and what they take."""

    layers: list[str]
    bytes: Number


@strict
class NetworkTotalsData(TypedDict):
    """Sums over the network, and what is proven for every choice of this map space."""

    macs: int
    latency_cycles: Number
    traffic_bytes: Number
    latency_cycles_layers: Number | None
    """The same objective if nothing stays and nothing is fused."""
    traffic_bytes_layers: Number | None
    latency_cycles_single: Number | None
    """Fused: if no stack has more than one layer."""
    traffic_bytes_single: Number | None
    energy_pj: Number
    energy_pj_layers: Number | None
    energy_pj_single: Number | None
    least_energy_pj: Number
    """For any schedule of the network."""
    energy_delay_js: float
    """Energy times the time at the clock [J s]."""
    compulsory_bytes: Number
    """For any schedule of the network."""
    roofline_cycles: Number
    lower_bound: dict[str, Number | None]
    gap: float | None
    latency_gap: float | None
    termination: Ending
    solution_status: Status
    frontier_seconds: float
    """Making the frontiers."""
    program_seconds: float
    """Solving the programs."""
    seconds: float


@strict
class NetworkResult(SubjectData):
    """A network scheduled as one problem."""

    network_level: Literal["resident", "fused"]
    backend: str
    """Solver of the mixed-integer programs."""
    longest_stack: NotRequired[int]
    """Layers of a stack at most; what is proven is so for these."""
    layers: list[PlacedLayerData]
    stacks: list[StackData]
    tensors: list[StayingData]
    """What stays."""
    weights: NotRequired[list[StayingWeightsData]]
    """With ``weights_resident``: trained weights that stay for good."""
    totals: NetworkTotalsData
