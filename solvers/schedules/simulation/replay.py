"""A result replayed: every layer's mappings run, and what differs from what the result says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from solvers.scenario.hardware import HardwareModel
from solvers.schedules.simulation.differences import layer_differences, piece_differences, total_differences
from solvers.schedules.simulation.machine import Accelerator
from solvers.schedules.simulation.nest import Nest
from solvers.schedules.simulation.pieces import Data, RunPiece, pieces
from solvers.schedules.simulation.run import SimulatedRun, run_nest, run_writing

Runner = Callable[[Nest], SimulatedRun]


@dataclass(frozen=True, slots=True)
class ReplayedPart:
    """A piece of a layer.

    Attributes:
        name: of the part; of the layer if its parts share their ifmap tiles.
        count: how often it runs.
        run: what one run did.
        zeros: whether it is only written.
    """

    name: str
    count: int
    run: SimulatedRun
    zeros: bool

    @property
    def model_cycles(self) -> Fraction:
        """Latency of one run by the model."""
        return self.run.latency_cycles if self.zeros else self.run.expected_cycles

    @property
    def ratio(self) -> float:
        """Simulated latency over the model's."""
        return float(self.run.latency_cycles / self.model_cycles)


@dataclass(frozen=True, slots=True)
class ReplayedLayer:
    """A layer, its parts one after another.

    Attributes:
        name: of the layer.
        parts: that have a mapping, or need none.
        unmapped: names of the others.
        differences: a line for each number of the result that the replay does not have.
    """

    name: str
    parts: tuple[ReplayedPart, ...]
    unmapped: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def model_cycles(self) -> Fraction:
        """Latency by the model, all runs."""
        return sum((part.count * part.model_cycles for part in self.parts), Fraction(0))

    @property
    def simulated_cycles(self) -> Fraction:
        """Latency of the simulated machine, all runs."""
        return sum((part.count * part.run.latency_cycles for part in self.parts), Fraction(0))


@dataclass(frozen=True, slots=True)
class Replay:
    """A result's layers one after another.

    Attributes:
        network: its name.
        layers: those that were asked for.
        differences: of all layers, and of the totals if all layers were asked for.
    """

    network: str
    layers: tuple[ReplayedLayer, ...]
    differences: tuple[str, ...]

    @property
    def model_cycles(self) -> Fraction:
        """Latency by the model."""
        return sum((layer.model_cycles for layer in self.layers), Fraction(0))

    @property
    def simulated_cycles(self) -> Fraction:
        """Latency of the simulated machine."""
        return sum((layer.simulated_cycles for layer in self.layers), Fraction(0))

    @property
    def unmapped(self) -> Iterator[str]:
        """Names of parts that have no mapping."""
        return (name for layer in self.layers for name in layer.unmapped)


def replay_data(
    data: Data, names: Iterable[str] | None = None, *, in_pieces: bool = False, every_step: bool = False
) -> Replay:
    """Replay a result that was read by ``result_file.read_result``.

    Args:
        data: the result.
        names: of the layers; None for all.
        in_pieces: whether ofmap tiles that stay are written piece by piece.
        every_step: whether to skip nothing, which takes longer and gives the same.
    """
    machine = HardwareModel.model_validate(data["hardware"])
    wanted = None if names is None else set(names)
    chosen = [layer for layer in data["layers"] if wanted is None or layer["name"] in wanted]
    run = partial(run_nest, in_pieces=in_pieces, every_step=every_step)
    layers = tuple(_layer(layer, machine, data, run) for layer in chosen)
    differences = [line for layer in layers for line in layer.differences]
    if wanted is None:
        pairs = [(layer, _runs(replayed.parts)) for layer, replayed in zip(chosen, layers, strict=True)]
        differences += total_differences(data["totals"], pairs)
    return Replay(data["network"], layers, tuple(differences))


def _layer(layer: Data, machine: HardwareModel, data: Data, run: Runner) -> ReplayedLayer:
    accelerator = Accelerator.of(machine, layer["bits"])
    parts: list[ReplayedPart] = []
    lines: list[str] = []
    for piece in pieces(layer, accelerator):
        part = _part(piece, accelerator, run)
        parts.append(part)
        lines += piece_differences(piece, part.run, data.get("partition_bytes"))
    lines += layer_differences(layer, _runs(parts))
    told = tuple(f"{layer['name']}: {line}" for line in lines)
    return ReplayedLayer(layer["name"], tuple(parts), tuple(_unmapped(layer)), told)


def _part(piece: RunPiece, machine: Accelerator, run: Runner) -> ReplayedPart:
    if piece.nest is None:
        return ReplayedPart(piece.name, piece.count, run_writing(machine, piece.zeros), True)
    return ReplayedPart(piece.name, piece.count, run(piece.nest), False)


def _unmapped(layer: Data) -> Iterator[str]:
    if "mapping" not in layer:
        unmapped = (p for p in layer["parts"] if p["mapping"] is None and p["geometry"] is not None)
        yield from (part["name"] for part in unmapped)


def _runs(parts: Iterable[ReplayedPart]) -> list[tuple[int, SimulatedRun, Fraction]]:
    return [(part.count, part.run, part.model_cycles) for part in parts]
