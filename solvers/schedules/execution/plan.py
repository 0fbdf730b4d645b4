"""What a result says to run, layer by layer: runs of nests, with the buffer's parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from solvers.network.data.mapping_fields import GeometryData
from solvers.scenario.hardware import HardwareModel
from solvers.schedules.execution.buffer import BufferPart
from solvers.schedules.execution.events import ZeroOutputs
from solvers.schedules.execution.nest import DramTensor, LoopNest

_NO_INNER_STEPS = "its tiles run in inner steps of sub-tiles, which are not written in C"


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A part of a layer: nests that are alike but for where they lie, one after another.

    Attributes:
        name: of the part.
        nests: what runs; of a split deconvolution one for each sub-convolution that the part stands for.
        zeros: outputs that are only written.
        parts: of the buffer; none if nothing is computed.
        mapping: as the result has it; None likewise.
        traffic: words of one nest that the result claims; None where it claims none.
        repeats: how often each nest runs, on tensors of its own.
    """

    name: str
    nests: tuple[LoopNest, ...]
    zeros: tuple[ZeroOutputs, ...]
    parts: tuple[BufferPart, ...]
    mapping: dict[str, Any] | None
    traffic: dict[str, int] | None
    repeats: int


@dataclass(frozen=True, slots=True)
class ScheduledLayer:
    """A layer and how it runs.

    Attributes:
        name: of the layer.
        op: its operator.
        treatment: of a deconvolution: ``naive``, ``split`` or ``combine``; None for others.
        shape: its geometry, of one group.
        groups: independent ones, one after another.
        macs: multiply-accumulates of one run, by its geometry; taps on padding and zeros count.
        bits: widths of its words.
        tensors: in DRAM; the ifmap of a naive deconvolution has its zeros inserted.
        runs: its parts, one after another.
        unshown: why there are none; "" if there are.
        note: what the runs do not show; "" if they show all.
    """

    name: str
    op: str
    treatment: str | None
    shape: GeometryData
    groups: int
    macs: int
    bits: dict[str, int]
    tensors: tuple[DramTensor, DramTensor, DramTensor]
    runs: tuple[ScheduledRun, ...]
    unshown: str = ""
    note: str = ""

    @property
    def not_in_c(self) -> str:
        """Why there are no loops in C; "" if there are."""
        cut = any(nest.cut for run in self.runs for nest in run.nests)
        return self.unshown or (_NO_INNER_STEPS if cut else "")

    @property
    def transposed(self) -> bool:
        """Whether it is a deconvolution."""
        return self.op == "deconv"


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What a result says to run.

    Attributes:
        network: its name.
        machine: the machine.
        layers: in order.
    """

    network: str
    machine: HardwareModel
    layers: tuple[ScheduledLayer, ...]
