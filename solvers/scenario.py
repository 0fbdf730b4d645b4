"""The scenario: which network on which machine, solved how. The only reader of scenario files."""

from __future__ import annotations

from collections.abc import Mapping as Fields
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from dnns.errors import InputError
from dnns.layer import Network
from dnns.reader import read_network
from dnns.yaml_reader.file import Locate, load_yaml
from dnns.yaml_reader.validation import StrictModel, input_error
from formulation.deconv import Treatment
from formulation.hardware import BitWidths, Dataflow, Fill, Halo, Hardware
from formulation.mapping import Partition
from formulation.problem import Kind, Objective
from solvers.backends import DEFAULT_MILP, MILP

Positive = Annotated[int, Field(ge=1, le=2**40)]
Real = Annotated[float, Field(gt=0, le=1e9)] | Annotated[int, Field(gt=0, le=10**9)]
Ratio = Annotated[float, Field(ge=0, le=1e9)] | Annotated[int, Field(ge=0, le=10**9)]
Bits = Annotated[int, Field(ge=1, le=1024)]
Shape = Annotated[tuple[Positive, ...], Field(strict=False, min_length=1, max_length=4)]


def exact(number: float | int) -> Fraction:
    """A decimal number as the rational it was written as: 25.6 is 128/5."""
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


class HardwareModel(StrictModel):
    """The machine."""

    sa_size: Positive | Annotated[tuple[Positive, Positive], Field(strict=False)] = 16
    """Side of the square array, or [rows, cols] [processing elements]."""
    bufsize: Positive = 1_572_864
    """SRAM buffer [bytes]."""
    memory_bandwidth: Real = 25.6
    """DRAM bandwidth [GB/s]."""
    bit_width: Bits | BitWidthsModel = 16
    """Word width of all tensors, or of each [bits]."""
    frequency: Real = 1.0
    """Clock of the array [GHz]."""
    double_buffered: bool = True
    """Whether transfers overlap with computation; each tile then takes its space twice."""
    halo: Literal["refetch", "reuse"] = "refetch"
    """Whether the controller slides its window along one axis."""
    fill: Literal["overlapped", "exposed"] = "overlapped"
    """Whether filling and draining the array costs cycles."""
    dataflow: Literal["output", "weight", "input"] = "output"
    """Which operand is stationary in the array."""
    bank_bytes: Positive | None = None
    """Granularity of the buffer's parts [bytes]; null for single bytes."""

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
        )

    def _bits(self) -> BitWidths:
        if isinstance(self.bit_width, int):
            return BitWidths.uniform(self.bit_width)
        w = self.bit_width
        return BitWidths(w.ifmap, w.weights, w.ofmap, w.partial_sums or w.ofmap)

    @model_validator(mode="after")
    def _consistent(self) -> HardwareModel:
        self.build()
        return self


class ObjectiveModel(StrictModel):
    """What is minimised."""

    kind: Literal["latency", "traffic", "balanced", "weighted"] = "balanced"
    """Latency, traffic, the least traffic near the least latency, or a weighted sum."""
    tolerance: Annotated[float, Field(ge=0, le=1e6)] | Annotated[int, Field(ge=0, le=10**6)] = 0.01
    """Balanced: how far above the least latency a mapping may be, relative."""
    latency: Ratio = 0.5
    """Weighted: weight of latency / roofline."""
    traffic: Ratio = 0.5
    """Weighted: weight of traffic / compulsory traffic."""

    def build(self) -> Objective:
        """The objective as the formulation sees it."""
        return Objective(Kind(self.kind), exact(self.tolerance), exact(self.latency), exact(self.traffic))

    @model_validator(mode="after")
    def _consistent(self) -> ObjectiveModel:
        self.build()
        return self


class Scenario(StrictModel):
    """A scenario; file names are relative to the folder of its file.

    ``source`` is the file it was read from, for messages and relative names.
    """

    network: str
    """Network file: .yaml, .txt or .onnx."""
    input: Shape | None = None
    """Input shape in place of the network's own, channels first: C, (D,) H, W."""
    input_3d: Shape | None = None
    """[C, D, H, W], for text networks that turn from 2-D to 3-D."""
    dims: dict[str, Positive] | None = None
    """Sizes of an ONNX network's symbolic dimensions, by name."""
    hardware: HardwareModel = HardwareModel()
    """The machine."""
    search_method: Literal["static", "constrained", "exhaustive", "exact", "combined"] = "exhaustive"
    """How each layer is solved."""
    static: bool = False
    """Whether ``buffer_partition`` is fixed for all layers; always so with the method Static."""
    buffer_partition: Annotated[tuple[Ratio, Ratio, Ratio], Field(strict=False)] | Literal["auto"] = (3, 3, 4)
    """The buffer's parts as a ratio I O W, or auto for the best single one."""
    objective: ObjectiveModel = ObjectiveModel()
    """What is minimised."""
    network_level: Literal["layers", "resident", "fused"] = "layers"
    """Layer by layer; or the network as one problem, in which feature maps stay on the chip, or in which
    runs of layers are fused besides."""
    deconvolution: Literal["naive", "split", "combine"] = "combine"
    """How deconvolutions are run."""
    time_limit: Real | None = 60
    """Seconds per sub-problem; null for none."""
    exact_after: bool = False
    """Combined: whether the mixed-integer program goes on from the best mapping, to a proof."""
    backend: str = DEFAULT_MILP
    """Solver of the mixed-integer programs: one of ``solvers.backends.MILP``."""
    dump_models: str | None = None
    """Folder for the models' .lp and .nl files."""
    source: str = ""

    @field_validator("search_method", "deconvolution", "backend", "network_level", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("backend")
    @classmethod
    def _known_backend(cls, value: str) -> str:
        if value not in MILP:
            raise ValueError(", ".join(MILP))
        return value

    @field_validator("buffer_partition")
    @classmethod
    def _some_part(cls, value: Any) -> Any:
        if value != "auto" and not any(value):
            raise ValueError("three ratios, one of them above 0")
        return value

    @field_validator("objective", mode="before")
    @classmethod
    def _kind_alone(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        programs = self.network_level != "layers"
        if self.dump_models is not None and not programs and self.search_method in ("static", "exhaustive"):
            raise ValueError(
                f"dump_models with constrained, exact or combined; {self.search_method} builds no model"
            )
        if self.exact_after and self.search_method != "combined":
            raise ValueError(f"exact_after with combined; {self.search_method} has nothing to go on from")
        if self.backend != DEFAULT_MILP and not self.solves_programs:
            raise ValueError(
                f"backend with exact, or combined with exact_after; {self.search_method} solves no program"
            )
        return self

    @property
    def solves_programs(self) -> bool:
        """Whether mixed-integer programs are solved."""
        return self.search_method == "exact" or self.exact_after or self.network_level != "layers"

    @property
    def is_static(self) -> bool:
        """Whether the partition is fixed for all layers."""
        return self.static or self.search_method == "static"

    @property
    def folder(self) -> Path:
        """Where relative file names start."""
        return Path(self.source).parent

    @property
    def treatment(self) -> Treatment:
        """How deconvolutions are run."""
        return Treatment(self.deconvolution)

    def partition(self) -> Partition | None:
        """The fixed partition given as a ratio; None if each layer chooses its own or ``auto`` does."""
        if not self.is_static or self.buffer_partition == "auto":
            return None
        return self.ratio_partition()

    def ratio_partition(self) -> Partition | None:
        """The partition of ``buffer_partition``, also where it is only a start; None for ``auto``."""
        if self.buffer_partition == "auto":
            return None
        machine = self.hardware.build()
        ratio = [exact(part) for part in self.buffer_partition]
        return Partition.from_ratio(ratio, machine.buffer_bits, machine.bank_bits)

    def read_network(self) -> Network:
        """The network; raises InputError for whatever is wrong with its file."""
        file = self.folder / self.network
        return read_network(file, input=self.input, input_3d=self.input_3d, dims=self.dims)


def read_scenario(path: str | Path, overrides: Fields[str, Any] | None = None) -> Scenario:
    """Read a scenario file.

    Args:
        path: the YAML file.
        overrides: fields that replace the file's, as nested plain data; an inner field of ``hardware`` or
            ``objective`` replaces only itself.

    Raises:
        InputError: naming file, line, field, what was got and what is allowed.
    """
    data, locate = load_yaml(path)
    if not isinstance(data, dict):
        raise InputError(path, "", "must be a mapping of fields, such as network: FILE")
    if "source" in data:
        raise InputError(path, f"line {locate(('source',))}", "unknown field 'source'")
    return build_scenario(data, overrides or {}, path, locate)


def build_scenario(
    data: Fields[str, Any], overrides: Fields[str, Any], source: str | Path, locate: Locate | None = None
) -> Scenario:
    """A scenario from plain data and what overrides it; errors name the option where that is at fault."""
    given = {**data, "source": str(source)}
    if isinstance(given.get("objective"), str):
        given["objective"] = {"kind": given["objective"]}
    # The file is judged by itself first, so that its faults are told with its lines.
    if locate is not None:
        _validate(given, source, locate)
    for key, value in overrides.items():
        inner = given.get(key) or {}
        given[key] = {**inner, **value} if isinstance(value, dict) and isinstance(inner, dict) else value
    return _validate(given, source, locate, from_options=bool(overrides))


def _validate(
    data: Fields[str, Any], source: str | Path, locate: Locate | None, from_options: bool = False
) -> Scenario:
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        problem = input_error(error, source, data, locate or (lambda path: 0))
        if locate is not None and not from_options:
            raise problem from None
        option = problem.where.rpartition(", ")[2].rpartition(".")[2]
        raise InputError(f"--{option}", "", problem.problem) from None
