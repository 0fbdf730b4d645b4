"""What pictures of one result show, taken from its plain data (``docs/results.md``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Machine:
    """What a roofline is made of.

    Attributes:
        rows: of the array.
        cols: of the array.
        bandwidth: of the DRAM [GB/s].
        frequency: of the array [GHz].
        buffer_bytes: SRAM.
    """

    rows: int
    cols: int
    bandwidth: float
    frequency: float
    buffer_bytes: int

    @property
    def peak(self) -> int:
        """MACs per cycle."""
        return self.rows * self.cols

    @property
    def bytes_per_cycle(self) -> float:
        """DRAM bytes per cycle."""
        return self.bandwidth / self.frequency


def machine(data: Data) -> Machine:
    """The machine of a result."""
    fields = data["hardware"]
    side = fields["sa_size"]
    rows, cols = (side, side) if isinstance(side, int) else side
    bandwidth, frequency = float(fields["memory_bandwidth"]), float(fields["frequency"])
    return Machine(rows, cols, bandwidth, frequency, fields["bufsize"])


@dataclass(frozen=True, slots=True)
class Run:
    """A layer, or a stack of layers that run together; all its occurrences.

    Attributes:
        name: of the layer or the stack.
        macs: as scheduled.
        latency: [cycles].
        compute: cycles in which the array works.
        traffic: [bytes].
        compulsory: bytes that any schedule moves; None where that is not known by layer.
        latency_bound: proven [cycles], None if not.
        traffic_bound: proven [bytes], None if not.
    """

    name: str
    macs: int
    latency: float
    compute: float
    traffic: float
    compulsory: float | None = None
    latency_bound: float | None = None
    traffic_bound: float | None = None


def runs(data: Data) -> list[Run]:
    """The layers of a result that have a mapping, and its stacks in the place of their layers, in order."""
    stacks = {stack["name"]: stack for stack in data.get("stacks", ())}
    found: list[Run] = []
    for layer in data["layers"]:
        name = layer.get("stack")
        if name is not None:
            if stack := stacks.pop(name, None):
                found.append(_stack(stack, data["layers"]))
        elif layer["latency_cycles"] is not None:
            found.append(_layer(layer))
    return found


def unfit(data: Data) -> list[str]:
    """Names of the layers that have no mapping."""
    alone = (layer for layer in data["layers"] if layer.get("stack") is None)
    return [layer["name"] for layer in alone if layer["latency_cycles"] is None]


def _layer(layer: Data) -> Run:
    shared = "mapping" in layer
    pieces = [layer] if shared else layer["parts"]
    return Run(
        layer["name"],
        layer["macs"],
        float(layer["latency_cycles"]),
        sum(piece["count"] * float(piece.get("compute_cycles") or 0) for piece in pieces),
        float(layer["traffic_bytes"]),
        layer.get("compulsory_bytes"),
        _bound(pieces, "latency_cycles"),
        _bound(pieces, "traffic_bytes"),
    )


def _bound(pieces: Iterable[Data], quantity: str) -> float | None:
    """Sum of what is proven; what nothing is decided about is its own bound. None if some piece has none."""
    bounds = [
        (piece["count"], piece[quantity] if piece["mapping"] is None else piece["lower_bound"][quantity])
        for piece in pieces
        if piece["mapping"] is None or "lower_bound" in piece
    ]
    if not bounds or any(bound is None for _, bound in bounds):
        return None
    return float(sum(count * bound for count, bound in bounds))


def _stack(stack: Data, layers: Iterable[Data]) -> Run:
    inside = set(stack["layers"])
    macs = sum(layer["macs"] for layer in layers if layer["name"] in inside)
    name = stack["name"]
    numbers = (stack[key] for key in ("latency_cycles", "compute_cycles", "traffic_bytes"))
    return Run(name, macs, *map(float, numbers))


@dataclass(frozen=True, slots=True)
class Share:
    """What one piece takes of the buffer [bytes].

    Attributes:
        name: of the layer, the sub-convolution or the stack.
        count: identical ones.
        ifmap: I.
        ofmap: O.
        weights: W.
        held: what stays there for later layers.
    """

    name: str
    count: int
    ifmap: float
    ofmap: float
    weights: float
    held: float = 0


def shares(data: Data) -> list[Share]:
    """What each piece of a result that has a mapping takes of the buffer, in order."""
    stacks = {stack["name"]: stack for stack in data.get("stacks", ())}
    found: list[Share] = []
    for layer in data["layers"]:
        name = layer.get("stack")
        if name is None:
            found += _shares(layer)
        elif stack := stacks.pop(name, None):
            found.append(_stack_share(stack, [one for one in data["layers"] if one.get("stack") == name]))
    return found


def _shares(layer: Data) -> Iterator[Share]:
    held = float(layer.get("held_bytes", 0))
    for piece in [layer] if "mapping" in layer else layer["parts"]:
        if piece["mapping"] is not None:
            parts = piece["mapping"]["partition_bytes"]
            i, o, w = (float(parts[tensor]) for tensor in ("ifmap", "ofmap", "weights"))
            yield Share(piece["name"], piece["count"], i, o, w, held)


def _stack_share(stack: Data, layers: list[Data]) -> Share:
    """Maps that come from the DRAM count as ifmap, those that the stack makes as ofmap."""
    read = sum(float(m["bytes"]) for m in stack["buffer"] if m["kind"] in ("source", "operand"))
    made = sum(float(m["bytes"]) for m in stack["buffer"] if m["kind"] in ("ofmap", "drained"))
    weights = sum(float(part["weights"]["bytes"]) for layer in layers for part in layer["parts"])
    held = max(float(layer["held_bytes"]) for layer in layers)
    return Share(stack["name"], 1, read, made, weights, held)
