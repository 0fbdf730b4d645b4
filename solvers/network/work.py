"""What is done for each distinct problem, here or in a process of its own; and how long it may take."""

from __future__ import annotations

from collections.abc import Mapping as Fields
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from math import isqrt, prod
from typing import TYPE_CHECKING, Any

from dnns.layer import Deconvolution, Layer
from formulation.bounds import compulsory_bits
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.problem import Objective, Problem
from solvers.backends.registry import MILP, load
from solvers.methods import solver
from solvers.result import Result, SolutionStatus, Termination

if TYPE_CHECKING:
    from solvers.shared.deconvolution import DeconvolutionResult


@dataclass(frozen=True, slots=True)
class Method:
    """How every problem of a run is solved.

    Attributes:
        name: of the method, lower case.
        options: for it, plain values.
    """

    name: str
    options: Fields[str, Any] = field(default_factory=dict)

    def __reduce__(self) -> tuple[type[Method], tuple[str, Fields[str, Any]]]:
        """In few bytes, as it goes to another process with each problem."""
        return Method, (self.name, self.options)

    def load(self, combine: bool) -> None:
        """Import what it needs, also for deconvolutions that share ifmap tiles if they do.

        Raises:
            InputError: if a package is missing.
        """
        solver(self.name)
        if "backend" in self.options:
            load(MILP, self.options["backend"])
        if combine:
            import_module("solvers.shared.deconvolution")
            import_module("solvers.shared.methods").solver(self.name)

    def named(self, name: str) -> dict[str, Any]:
        """The options for one problem: models are dumped under the name of the layer that poses it."""
        extra = {"name": file_name(name)} if "dump_models" in self.options else {}
        return {**self.options, **extra}


def solve_one(method: Method, problem: Problem, name: str) -> Result:
    """Solve one problem, posed by the layer of this name."""
    return solver(method.name)(problem, **method.named(name))


def failed(method: Method, problem: Problem, text: str) -> Result:
    """What stands in place of a result after an internal error."""
    return Result(problem, method.name, Termination.ERROR, SolutionStatus.NONE, extras={"error": text})


def combine_one(
    method: Method,
    deconv: Deconvolution,
    name: str,
    machine: Hardware,
    objective: Objective,
    partition: Partition | None,
    counts: tuple[int, ...],
    *apart: Result,
) -> DeconvolutionResult:
    """Weigh shared ifmap tiles against the split results of one deconvolution, each with its count."""
    from solvers.shared.deconvolution import combine

    parts = list(zip(apart, counts, strict=True))
    options = method.named(name)
    return combine(deconv, machine, objective, partition, method=method.name, split_results=parts, **options)


def file_name(name: str) -> str:
    """A layer's name as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


_SHARED_EFFORT = 10.0  # of shared ifmap tiles, against all sub-convolutions by themselves


def effort(problem: Problem) -> float:
    """How long a problem takes, roughly, to begin the long ones first: tiles to choose from, and how tight.

    The methods have least to leave out where the DRAM, not the array, bounds the latency.
    """
    layer, machine = problem.layer, problem.hardware
    (tiles, macs), tick = _tiles_and_macs(layer), machine.tick
    memory = compulsory_bits(layer, machine) * tick.per_bit
    compute = macs * tick.per_cycle / (machine.rows * machine.cols)
    return tiles * float(min(1, memory / compute))


def combine_effort(parts: Sequence[Problem]) -> float:
    """The same for weighing shared ifmap tiles, once its parts are solved."""
    return _SHARED_EFFORT * sum(effort(part) for part in parts)


@lru_cache(maxsize=1024)
def _tiles_and_macs(layer: Layer) -> tuple[int, int]:
    """Tiles to choose from, roughly, and multiply-accumulates."""
    extents = (layer.out_channels, layer.in_channels, layer.batch, *(axis.out for axis in layer.axes))
    return prod(_trip_counts(extent) for extent in extents), layer.macs


def _trip_counts(extent: int) -> int:
    """How many different numbers of tiles an extent can be cut into, roughly."""
    return 2 * isqrt(extent)
