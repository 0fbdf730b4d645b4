"""Compute cycles and words between buffer and array beside SCALE-Sim's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.environments import call
from benchmarks.peers.layers import SMALL, plain
from dnns.layer import Layer
from formulation.cost import fits
from formulation.evaluation import work_of
from formulation.hardware import Dataflow, Fill, Hardware
from formulation.mapping import Mapping, Stationary, Tile

ARRAYS = ((16, 16), (8, 24), (32, 8))
NAMES = {Dataflow.OUTPUT: "os", Dataflow.WEIGHT: "ws", Dataflow.INPUT: "is"}


@dataclass(frozen=True)
class Counts:
    """Of one layer in one tile.

    Attributes:
        cycles: of the array.
        ifmap: words from the buffer to the array.
        weights: words from the buffer to the array.
        ofmap: words from the array to the buffer, partial sums included.
        back: partial sums that come back.
    """

    cycles: int
    ifmap: int
    weights: int
    ofmap: int
    back: int = 0


def machine(rows: int, cols: int, dataflow: Dataflow) -> Hardware:
    """The reference machine with another array, whose fill is exposed."""
    return Hardware(rows, cols, dataflow=dataflow, fill=Fill.EXPOSED)


def ours(layer: Layer, hardware: Hardware) -> Counts:
    """By our model, the layer as one tile; raises ValueError if it does not fit the buffer."""
    tile = Tile(layer.out_channels, layer.in_channels, layer.batch, tuple(a.out for a in layer.axes))
    work = work_of(layer, hardware, Mapping(tile, Stationary.WEIGHT))
    held = work.tile
    if 2 * held.total > hardware.buffer_bits or not fits(hardware, None, held):
        raise ValueError(f"{layer.name} does not fit one tile")
    moved = work.array
    return Counts(work.compute, moved.ifmap, moved.weights, moved.ofmap_write, moved.ofmap_read)


def theirs(report: dict[str, int], layer: Layer, hardware: Hardware) -> Counts:
    """SCALE-Sim's report in our terms; ``docs/peers.md`` has the reasons.

    Its cycles are the number of the last one, counted from 0. On the output-stationary array it adds rows and
    columns to the ofmap words of every fold; on the others it adds rows to the cycles of every fold.
    """
    extra, load = 0, 0
    across = layer.pixels if hardware.dataflow is Dataflow.INPUT else layer.out_channels
    if hardware.dataflow is Dataflow.OUTPUT:
        folds = -(-layer.pixels // hardware.rows) * -(-across // hardware.cols)
        extra = folds * (hardware.rows + hardware.cols)
    else:
        folds = -(-layer.in_channels * layer.taps // hardware.rows) * -(-across // hardware.cols)
        load = folds * hardware.rows
    cycles = report["cycles"] + 1 - report["stalls"] - load
    return Counts(cycles, report["ifmap"], report["weights"], report["ofmap"] - extra)


def table(folder: Path) -> Iterator[str]:
    """The table, a row for a layer and a dataflow on the square array, and a line for the others."""
    heads = ("cycles", "ifmap words", "weights", "ofmap out")
    yield f"| layer | array | dataflow |{''.join(f' {head} | SCALE-Sim |' for head in heads)} back |\n"
    yield f"|---|---|---|{'---:|' * 9}\n"
    equal = total = 0
    for rows, cols in ARRAYS:
        for dataflow in Dataflow:
            hardware = machine(rows, cols, dataflow)
            task = {"rows": rows, "cols": cols, "dataflow": NAMES[dataflow], "layers": [*map(plain, SMALL)]}
            reports = call(folder, "scalesim", "run_scalesim", task)
            for layer, report in zip(SMALL, reports, strict=True):
                mine, other = ours(layer, hardware), theirs(report, layer, hardware)
                same = vars(mine) | {"back": 0} == vars(other)
                equal, total = equal + same, total + 1
                if (rows, cols) == ARRAYS[0] or not same:
                    yield row(layer, hardware, mine, other)
    yield f"\n{equal} of {total} are equal, on arrays of {sizes()}.\n"


def sizes() -> str:
    """The arrays in words."""
    return ", ".join(f"{rows} x {cols}" for rows, cols in ARRAYS)


def row(layer: Layer, hardware: Hardware, mine: Counts, other: Counts) -> str:
    """A line of the table."""
    pairs = ((vars(mine)[name], vars(other)[name]) for name in ("cycles", "ifmap", "weights", "ofmap"))
    cells = [f"{value:,}" for pair in pairs for value in pair] + [f"{mine.back:,}"]
    array = f"{hardware.rows} x {hardware.cols}"
    return f"| {layer.name} | {array} | {hardware.dataflow} | {' | '.join(cells)} |\n"
