"""What a result says and a replay does not find, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from solvers.schedules.simulation.pieces import Data, RunPiece
from solvers.schedules.simulation.run import SimulatedRun

TENSORS = ("ifmap", "ofmap", "weights")
WORDS = ("ifmap", "weights", "ofmap_write", "ofmap_read")
LOOPS = {
    "weight": ("in_channels", "outputs", "spatial"),
    "input": ("in_channels", "spatial", "outputs"),
    "output": ("outputs", "spatial", "in_channels"),
}
"""The loops of each order, outermost first, below the groups'; the batch goes before the spatial axes."""

Counted = Sequence[tuple[int, SimulatedRun, Fraction]]
"""How often a run happens, what it did, and its latency by the model."""


def piece_differences(piece: RunPiece, run: SimulatedRun, fixed: Data | None) -> Iterator[str]:
    """Numbers of one piece that are not what its run did.

    Args:
        piece: with what the result says.
        run: one of it.
        fixed: the parts of the buffer that all layers have [bytes], if they were fixed.
    """
    place = f"{piece.place}." if piece.place else ""
    said = _said_of_zeros(piece, run) if piece.nest is None else _said(piece, run)
    for field, found in said:
        yield from _difference(f"{place}{field}", _at(piece.data, field), found)
    if piece.nest is not None:
        given = fixed if piece.data["bound_scope"] == "partition" else None
        parts = piece.data["mapping"]["partition_bytes"]
        yield from _part_differences(f"{place}mapping.partition_bytes", parts, run, given)


def layer_differences(layer: Data, runs: Counted) -> Iterator[str]:
    """Sums of a layer that are not those of its runs; nothing if it has none for want of a mapping."""
    if layer["latency_cycles"] is not None:
        for field, found in _sums(runs):
            yield from _difference(field, layer[field], found)


def total_differences(totals: Data, layers: Sequence[tuple[Data, Counted]]) -> Iterator[str]:
    """Totals that are not the sums over the layers that have a latency."""
    runs = [run for layer, counted in layers if layer["latency_cycles"] is not None for run in counted]
    for field, found in _sums(runs):
        yield from _difference(f"totals.{field}", totals[field], found)


def _sums(runs: Counted) -> Iterator[tuple[str, Fraction]]:
    yield "macs", Fraction(sum(count * run.moved.macs for count, run, _ in runs))
    yield "latency_cycles", sum((count * latency for count, _, latency in runs), Fraction(0))
    yield "traffic_bytes", Fraction(sum(count * run.traffic_bits for count, run, _ in runs), 8)


def _said(piece: RunPiece, run: SimulatedRun) -> Iterator[tuple[str, Any]]:
    """What a result must say of a piece that has a mapping, by field."""
    assert piece.nest is not None
    mapping, trips = (
        piece.data["mapping"],
        {loop.name: loop.trips for loop in piece.nest.loops if not loop.streams},
    )
    outputs = "rounds" if "rounds" in mapping else "out_channels"
    for name, loop in {outputs: "outputs", "in_channels": "in_channels", "batch": "batch"}.items():
        yield f"mapping.trips.{name}", trips[loop]
    yield "mapping.trips.groups", trips["groups"]
    yield "mapping.trips.spatial", [trips[name] for name in piece.nest.axes]
    yield "mapping.loop_order", _loop_order(mapping, len(piece.nest.axes), outputs)
    if "rounds" in mapping:
        yield "mapping.rounds", trips["outputs"]
    yield from ((f"traffic.{name}", getattr(run.moved, name)) for name in WORDS)
    yield "compute_cycles", run.moved.cycles
    if piece.place:
        yield "latency_cycles", run.expected_cycles
        yield "traffic_bytes", Fraction(run.traffic_bits, 8)


def _said_of_zeros(piece: RunPiece, run: SimulatedRun) -> Iterator[tuple[str, Any]]:
    """What a result must say of zeros, where it says something of them by themselves."""
    if "traffic" in piece.data:
        yield from ((f"traffic.{name}", getattr(run.moved, name)) for name in WORDS)
        yield "compute_cycles", 0
        yield "latency_cycles", run.latency_cycles
        yield "traffic_bytes", Fraction(run.traffic_bits, 8)


def _loop_order(mapping: Data, axes: int, outputs: str) -> list[str]:
    """The loops of a mapping by the tensor that is moved least; the axis that slides goes last."""
    slide = mapping["sliding_axis"]
    spatial = sorted(range(axes), key=lambda axis: axis == slide)
    of = {
        "outputs": [outputs],
        "in_channels": ["in_channels"],
        "spatial": ["batch", *(f"spatial.{axis}" for axis in spatial)],
    }
    return ["groups", *(name for group in LOOPS[mapping["stationary"]] for name in of[group])]


def _part_differences(field: str, said: Data, run: SimulatedRun, given: Data | None) -> Iterator[str]:
    """What is wrong with the parts of the buffer: they are what the tiles take, or what was given."""
    for tensor, bits in run.part_bits.items():
        needed = Fraction(bits, 8)
        if given is None:
            yield from _difference(f"{field}.{tensor}", said[tensor], needed)
        elif said[tensor] != given[tensor]:
            yield f"{field}.{tensor}: the result has {said[tensor]}, its partition_bytes {given[tensor]}"
        elif needed > said[tensor]:
            yield f"{field}.{tensor}: the result has {said[tensor]}, the tiles take {_number(needed)}"
    whole, held = Fraction(run.machine.buffer_bits, 8), sum(said[tensor] for tensor in TENSORS)
    if held > whole:
        yield f"{field}: the parts take {held}, the buffer has {_number(whole)}"


def _difference(field: str, said: Any, found: Any) -> Iterator[str]:
    found = _number(found) if isinstance(found, Fraction) else found
    if said != found:
        yield f"{field}: the result has {said}, the replay {found}"


def _number(value: Fraction) -> int | float:
    """A number as results have it."""
    return value.numerator if value.denominator == 1 else float(value)


def _at(data: Data, field: str) -> Any:
    """A field by its path; None if the last of it is missing, as a tensor's words may be."""
    *path, last = field.split(".")
    found: Any = data
    for key in path:
        found = found[key]
    return found.get(last)
