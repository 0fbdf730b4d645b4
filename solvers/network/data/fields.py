"""Every field of a result: types against which the code that writes it is checked; its schema is theirs.

The fields' docstrings are the schema's descriptions. Cycles and bytes are integers where they are whole.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from solvers.network.data.mapping_fields import (
    GeometryData,
    MappingData,
    PlacementData,
    SharedMappingData,
    strict,
)
from solvers.result import PartitionData

Number = int | float
Words = dict[str, int]
"""Words by tensor."""
Status = Literal["optimal", "feasible", "none"]
Ending = Literal["optimal", "time_limit", "iteration_limit", "infeasible", "error"]


@strict
class RelaxationData(TypedDict):
    """What the convex relaxation proves by itself, before presolve, pricing and branching."""

    lower_bound: dict[str, Number | None]
    """As that of the proof, and never above it but by rounding."""
    gap: float | None
    """The gap that it would leave; null if nothing is proven."""
    latency_gap: float | None


@strict
class ProofData(TypedDict):
    """What is proven, and how the search ended."""

    lower_bound: dict[str, Number | None]
    """Proven: no mapping of the scope has less. For balanced, traffic is bounded among the mappings
    within the latency cap. Null where nothing is proven."""
    bound_scope: Literal["map_space", "partition"]
    """Of which mappings: all, or those within the given partition."""
    gap: float | None
    """(value - bound) / value of the objective's own quantity; null if no bound is proven."""
    latency_gap: float | None
    """The same for latency, against the bound on the least latency of all."""
    bound_from: dict[str, str]
    """What the bound of each step rests on, by what it minimises: ``free`` (compulsory traffic, roofline),
    ``enumeration``, ``sieve`` (before a program was made), ``program`` (a mixed-integer solver), ``presolve``
    (classes listed or bounded without a model), ``ipopt`` (multipliers of the relaxed models). Where
    sub-convolutions share tiles, of both ways, with ``+`` between."""
    relaxation: NotRequired[RelaxationData]
    """Of Constrained and Combined."""
    termination: Ending
    """Why the solver stopped; ``optimal`` if it solved what it set out to, be that a relaxation."""
    solution_status: Status
    """What is held."""
    seconds: float
    """Wall time."""


@strict
class EnergyData(TypedDict):
    """Energy of one run by what takes it [pJ]."""

    mac: Number
    """Multiply-accumulates."""
    static: Number
    """Whatever is done, over the latency."""
    sram: dict[str, Number]
    """Words into and out of the buffer, by tensor: at the array's side and at the DRAM's."""
    dram: dict[str, Number]
    """Words to and from the DRAM, by tensor."""


@strict
class PartData(ProofData):
    """One piece of a layer that is run by itself; numbers are for one run of it, groups included."""

    name: str
    """Of the layer; of a sub-convolution ``layer/0.1``, the phases on each axis."""
    groups: int
    """Independent convolutions, run one after another."""
    count: int
    """Identical pieces that run one after another."""
    geometry: GeometryData | None
    """What is run: of a naive deconvolution the convolution over its ifmap with zeros inserted; null for
    outputs that no tap reaches, which are only written."""
    phases: NotRequired[list[str]]
    """The sub-convolutions that it stands for."""
    placement: NotRequired[list[PlacementData]]
    """Where each of these lies in the deconvolution."""
    mapping: MappingData | None
    """Null if nothing fits, or nothing is chosen."""
    latency_cycles: Number | None
    compute_cycles: int | None
    """Cycles in which the array works."""
    traffic_bytes: Number | None
    traffic: Words | None
    """Words moved by tensor."""
    energy_pj: Number | None
    energy: EnergyData | None
    """The same by what takes it."""
    extras: NotRequired[dict[str, Any]]
    """What one method knows besides (model sizes, sensitivities, ...)."""
    error: NotRequired[str]
    """The internal error in place of an answer."""
    bytes_needed: NotRequired[Number | None]
    """Only where nothing fits: what the smallest tile takes."""


@strict
class KernelData(TypedDict):
    """A sub-convolution of a deconvolution whose tiles are shared; mapping and numbers stand on the layer."""

    name: str
    groups: int
    count: int
    geometry: GeometryData | None
    """Null if no tap reaches its outputs: they are zeros, only written."""
    placement: list[PlacementData]
    kernel: list[int]
    """Taps per axis."""
    out: list[int]
    """Output extents."""
    rounds: list[int]
    """Filters in each round, taken in order."""


@strict
class OperatorData(TypedDict):
    """What a layer is."""

    name: str
    op: str
    module: str | None
    """That the exporter says it belongs to."""
    reads: list[str]
    """The operators whose results it reads."""
    bits: dict[str, int]
    """Widths of its words."""
    macs: int
    """As scheduled, all runs: zeros count where they are multiplied."""
    geometry: GeometryData
    """The layer as the network has it."""
    deconvolution: Literal["naive", "split", "combine"] | None
    """How it is run, if it is one."""


@strict
class SolvedData(OperatorData):
    """What a layer is, and its numbers."""

    latency_cycles: Number | None
    """Sum over the parts with their counts."""
    traffic_bytes: Number | None
    energy_pj: Number | None
    compulsory_bytes: Number
    """No schedule moves less."""
    least_communication_bytes: Number
    """No schedule moves less with so small a buffer; may be below the compulsory."""


@strict
class LayerData(SolvedData):
    """A layer whose parts are run one after another."""

    parts: list[PartData]
    error: NotRequired[str]
    """The internal error in place of an answer."""


@strict
class SharedLayerData(SolvedData, ProofData):
    """A deconvolution whose sub-convolutions share ifmap tiles: mapping and proof are the layer's."""

    parts: list[KernelData]
    groups: int
    count: int
    mapping: SharedMappingData
    compute_cycles: int
    traffic: Words
    energy: EnergyData
    """Energy of the tiles that are shared, one run, by what takes it."""


@strict
class LeftOutData(TypedDict):
    """An operator that is not supported and was left out; no total counts it."""

    name: str
    op: str
    """With its domain."""
    reason: str
    module: str


@strict
class SubjectData(TypedDict):
    """What was run."""

    network: str
    """Its name."""
    network_file: str
    network_hash: str
    """Of what it computes (operators, shapes, widths), not of the file's text."""
    inputs: dict[str, list[int]]
    """Shapes without the batch, channels first."""
    dims: dict[str, int] | None
    """Sizes of symbolic dimensions."""
    batch: int
    left_out: list[LeftOutData]
    scenario: dict[str, Any]
    """Every field with its default, file names as whole paths."""
    version: str
    """Of this tool."""
    method: str
    objective: dict[str, Any]
    hardware: dict[str, Any]
    """As in the scenario."""
    versions: dict[str, str]
    """Of this tool and of the packages its numbers depend on."""
    complete: bool
    """False if a layer has no mapping; the totals then cover the others."""


@strict
class OfferData(TypedDict):
    """What a tolerance over the network allows."""

    tolerance: float
    latency_cap_cycles: Number
    latency_cycles: Number
    traffic_bytes: Number
    lower_bound: Number
    """Proven of the traffic of every schedule of these layers within the cap [bytes]."""
    gap: float
    termination: Ending


@strict
class SlackData(TypedDict):
    """A tolerance over the network: how it was shared out."""

    least_latency_cycles: Number
    """Least total latency of the layers concerned."""
    taken: OfferData
    """What the scenario's tolerance allows."""
    more: list[OfferData]
    """What more of it would allow."""
    outside: list[str]
    """Layers that keep the tolerance each for itself, and count in none of these totals."""
    seconds: float


@strict
class TotalsData(TypedDict):
    """Sums over the layers, and bounds for any schedule of the layers one by one."""

    macs: int
    latency_cycles: Number
    traffic_bytes: Number
    compulsory_bytes: Number
    least_traffic_bytes: Number
    """By layer the greater of compulsory traffic and least communication."""
    roofline_cycles: Number
    energy_pj: Number
    least_energy_pj: Number
    """No mapping takes less."""
    energy_delay_js: float
    """Energy times the time at the clock [J s]."""
    seconds: float
    slack: NotRequired[SlackData]
    """If the tolerance is over the network."""
    sensitivity: NotRequired[dict[str, float]]
    """What a little more buffer or bandwidth saves, by the relaxation."""


@strict
class LayersResult(SubjectData):
    """A network scheduled layer by layer."""

    layers: list[LayerData | SharedLayerData]
    """In the network's order."""
    totals: TotalsData
    backend: NotRequired[str]
    """Solver of the mixed-integer programs, if it is another than HiGHS."""
    partition_bytes: NotRequired[PartitionData]
    """The single partition, if one was fixed for all layers."""
