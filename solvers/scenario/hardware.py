"""The parts of a scenario: the machine, the objective, and the kinds of numbers in them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from dnns.yaml_reader.validation import StrictModel
from formulation.hardware import BitWidths, Dataflow, Energy, Fill, Halo, Hardware, Layout
from formulation.problem import Kind, Objective
from solvers.scenario.presets import presets, with_preset
from solvers.scenario.quantities import bandwidth, frequency, of_length, size

FROM_NETWORK: Literal["from network"] = "from network"
"""The word widths that the network itself carries."""

Positive = Annotated[int, Field(ge=1, le=2**40)]
Real = Annotated[float, Field(gt=0, le=1e9)] | Annotated[int, Field(gt=0, le=10**9)]
Size = Annotated[Positive, BeforeValidator(size)]
Bandwidth = Annotated[Real, BeforeValidator(bandwidth)]
Frequency = Annotated[Real, BeforeValidator(frequency)]
Ratio = Annotated[float, Field(ge=0, le=1e9)] | Annotated[int, Field(ge=0, le=10**9)]
Bits = Annotated[int, Field(ge=1, le=1024)]
Shape = Annotated[tuple[Positive, ...], Field(strict=False, min_length=1, max_length=4)]


@lru_cache(maxsize=4096)
def exact(number: float | int) -> Fraction:
    """A decimal number as the rational it was written as: 25.6 is 128/5.

    Of equal numbers it is one object, so that machines which have it are quickly compared.
    """
    return Fraction(repr(number))


class BitWidthsModel(StrictModel):
    """Bits of a word of each tensor."""

    ifmap: Bits = 16
    """Ifmap [bits]."""
    weights: Bits = 16
    """Weights [bits]."""
    ofmap: Bits = 16
    """Ofmap [bits]."""
    partial_sums: Bits | None = None
    """Ofmap words that are not final yet [bits]; the ofmap's width by default, and never narrower."""


class EnergyModel(StrictModel):
    """What the machine's parts take; 45 nm (Horowitz, ISSCC 2014) by default."""

    mac: Ratio = 0.825
    """A multiply-accumulate [pJ]."""
    sram: Ratio = 1.5625
    """A bit into the buffer or out of it [pJ/bit]."""
    dram: Real = 20.3125
    """A bit to or from the DRAM [pJ/bit]."""
    static: Ratio = 0
    """Power taken whatever is done [mW]."""

    def build(self) -> Energy:
        """As the formulation sees it."""
        return Energy(exact(self.mac), exact(self.sram), exact(self.dram), exact(self.static))


_UNTOLD = {"streaming": False, "padding": "clipped"}
_UNTOLD |= {"transfer_setup": 0, "burst_bytes": None, "layout": "NCHW"}
"""Fields that are left out of results while they have this value, with which nothing is different."""


class HardwareModel(StrictModel):
    """The machine."""

    preset: str | None = None
    """A machine by name, one of ``solvers.scenario.presets``: the other fields where they are not given."""

    sa_size: Annotated[
        Positive | Annotated[tuple[Positive, Positive], Field(strict=False)],
        of_length(2, "the side, or two numbers [rows, cols]"),
    ] = 16
    """Side of the square array, or [rows, cols] [processing elements]."""
    bufsize: Size = 1_572_864
    """SRAM buffer [bytes, or with a unit: 1536KiB]."""
    memory_bandwidth: Bandwidth = 25.6
    """DRAM bandwidth [GB/s, or with a unit: 25.6GB/s]."""
    bit_width: Literal["from network"] | Bits | BitWidthsModel = FROM_NETWORK
    """Word width of all tensors, or of each [bits]; by default each layer's own if the network carries
    widths, otherwise 16."""
    frequency: Frequency = 1.0
    """Clock of the array [GHz, or with a unit: 800MHz]."""
    double_buffered: bool = True
    """Whether transfers overlap with computation; each tile then takes its space twice."""
    halo: Literal["refetch", "reuse"] = "refetch"
    """Whether the controller slides its window along one axis."""
    fill: Literal["overlapped", "exposed"] = "overlapped"
    """Whether filling and draining the array costs cycles."""
    dataflow: Literal["output", "weight", "input"] = "output"
    """Which operand is stationary in the array."""
    bank_bytes: Size | None = None
    """Granularity of the buffer's parts [bytes, or with a unit: 32KiB]; null for single bytes."""
    energy: EnergyModel = EnergyModel()
    """What its parts take."""
    streaming: bool = False
    """Whether a tile may run in inner steps, of which one tensor is held in part."""
    padding: Literal["clipped", "counted"] = "clipped"
    """Whether zeros of the padding are fetched and stored like other words."""
    transfer_setup: Annotated[int, Field(ge=0, le=10**6)] = 0
    """To set a transfer between DRAM and buffer up [cycles]; 0 if that takes no time."""
    burst_bytes: Annotated[int, Field(ge=1, le=2**20)] | None = None
    """Bursts of which each contiguous run that is transferred takes whole ones [bytes]; null for none."""
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """How feature maps lie in the DRAM, which says what is contiguous; with burst_bytes alone."""

    def build(self) -> Hardware:
        """The machine as the formulation sees it; raises ValueError where fields do not fit together."""
        side = self.sa_size
        rows, cols = (side, side) if isinstance(side, int) else side
        return Hardware(
            rows=rows,
            cols=cols,
            buffer_bytes=self.bufsize,
            bandwidth=exact(self.memory_bandwidth),
            frequency=exact(self.frequency),
            bits=self._bits(),
            dataflow=Dataflow(self.dataflow),
            bank_bytes=self.bank_bytes,
            double_buffered=self.double_buffered,
            halo=Halo(self.halo),
            fill=Fill(self.fill),
            energy=self.energy.build(),
            streaming=self.streaming,
            transfer_setup=self.transfer_setup,
            burst_bytes=self.burst_bytes,
            layout=Layout(self.layout),
        )

    def refused(self, programs: bool, auto: bool, over: str, whole: bool) -> Iterator[str]:
        """What the machine asks for that the rest of a scenario cannot do.

        Args:
            programs: whether the network is one problem.
            auto: whether one partition is sought for all layers.
            over: what the tolerance is over.
            whole: whether mixed-integer programs are to hold the whole map space, or are to be written.
        """
        if programs and self.padding != "clipped":
            yield "padding: counted, with the network as one problem, allowed with: network_level layers"
        if not self.streaming:
            return
        if programs:
            yield "streaming: true, with the network as one problem, allowed with: network_level layers"
        if whole:
            allowed = "sieve prices, dump_models where no program is solved"
            yield f"streaming: true, with sieve or dump_models, allowed: {allowed}"
        if auto:
            yield "streaming: true, with buffer_partition auto, allowed with: three ratios, or a free one"
        if over == "network":
            yield "streaming: true, with tolerance_over network, allowed with: layer"

    @property
    def told_preset(self) -> str:
        """The preset's name before the fields of a machine, ``""`` if it has none."""
        if self.preset is None:
            return ""
        changed = HardwareModel(preset=self.preset).build() != self.build()
        return f"{self.preset}{', changed' if changed else ''}: "

    def _bits(self) -> BitWidths:
        if self.bit_width == FROM_NETWORK:
            return BitWidths()
        if isinstance(self.bit_width, int):
            return BitWidths.uniform(self.bit_width)
        w = self.bit_width
        return BitWidths(w.ifmap, w.weights, w.ofmap, w.partial_sums or w.ofmap)

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = fields(self)
        return {name: told[name] for name in told if name not in _UNTOLD or told[name] != _UNTOLD[name]}

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        told = super().__repr_args__()
        return ((name, value) for name, value in told if name not in _UNTOLD or value != _UNTOLD[name])

    @model_validator(mode="before")
    @classmethod
    def _on_top_of_the_preset(cls, fields: Any) -> Any:
        return with_preset(fields)

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, name: str | None) -> str | None:
        if name is not None and name not in presets():
            raise ValueError(", ".join(presets()))
        return name

    @model_validator(mode="after")
    def _consistent(self) -> HardwareModel:
        if self.layout != "NCHW" and self.burst_bytes is None:
            raise ValueError(f"layout: {self.layout}, where nothing depends on it, allowed with: burst_bytes")
        self.build()
        return self


class ObjectiveModel(StrictModel):
    """What is minimised."""

    kind: Literal["latency", "traffic", "balanced", "energy", "weighted"] = "balanced"
    """Latency, traffic, the least traffic near the least latency, energy, or a weighted sum."""
    tolerance: Annotated[float, Field(ge=0, le=1e6)] | Annotated[int, Field(ge=0, le=10**6)] = 0.01
    """Balanced: how far above the least latency a mapping may be, relative."""
    tolerance_over: Literal["layer", "network"] = "layer"
    """Balanced: whether each layer keeps the tolerance by itself, or only the network as a whole."""
    latency: Ratio = 0.5
    """Weighted: weight of latency / roofline."""
    traffic: Ratio = 0.5
    """Weighted: weight of traffic / compulsory traffic."""
    energy: Ratio = 0
    """Weighted: weight of energy / the least energy."""

    def build(self) -> Objective:
        """The objective as the formulation sees it."""
        weights = exact(self.latency), exact(self.traffic), exact(self.energy)
        return Objective(Kind(self.kind), exact(self.tolerance), *weights)

    @model_validator(mode="after")
    def _consistent(self) -> ObjectiveModel:
        if self.tolerance_over == "network" and self.kind != "balanced":
            raise ValueError(f"tolerance_over: the objective is {self.kind}, allowed with: balanced")
        self.build()
        return self
