"""What the layers and maps of a fused stack take each: parts that add up to the whole of ``stacks.cost``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formulation.hardware import Hardware
from formulation.network.stacks.cost import Schedule, schedule_cuts
from formulation.network.stacks.stack import MapKind, Stack


@dataclass(frozen=True, slots=True)
class LayerShare:
    """One layer's part of what a schedule of a stack moves and computes; the parts add up to the whole.

    Attributes:
        compute_cycles: cycles in which the array works for it.
        weights: bits of weights.
        ifmap: bits of sources that it is the first to read.
        read: bits of operands of the drain nodes that it computes.
        written: bits of maps that it or its drain nodes make and that leave.
    """

    compute_cycles: int
    weights: int
    ifmap: int
    read: int
    written: int

    @property
    def traffic_bits(self) -> int:
        """All bits."""
        return self.weights + self.ifmap + self.read + self.written


def layer_shares(
    stack: Stack, hardware: Hardware, schedule: Schedule, stays: frozenset[int]
) -> tuple[LayerShare, ...]:
    """Each layer's part of what one schedule of a stack moves and computes; errors as of ``stack_cost``."""
    cuts, picks, weights = schedule_cuts(stack, hardware, schedule, stays)
    moved = {kind: [0] * len(weights) for kind in MapKind}
    written = [0] * len(weights)
    for index, made in enumerate(stack.maps):
        if made.layer is not None:
            written[made.layer] += cuts.written(index)
        else:
            readers = (m.layer for m in stack.maps for read in m.reads if read.map == index)
            first = min((layer for layer in readers if layer is not None), default=0)
            moved[made.kind][first] += int(cuts.fetched(index, picks)[0])
    return tuple(
        LayerShare(
            int(np.sum([c * p for c, p in zip(held.cycles, cuts.passes(at, picks), strict=True)])),
            int(held.moved * (1 if held.kept else cuts.steps(at, picks)[0])),
            moved[MapKind.SOURCE][at],
            moved[MapKind.OPERAND][at],
            written[at],
        )
        for at, held in enumerate(weights)
    )


def map_rooms(stack: Stack, hardware: Hardware, schedule: Schedule, stays: frozenset[int]) -> tuple[int, ...]:
    """What each map takes in the buffer by one schedule [bits]; errors as of ``stack_cost``."""
    cuts, picks, weights = schedule_cuts(stack, hardware, schedule, stays)
    waits = [
        made.kind is MapKind.OFMAP and made.layer is not None and weights[made.layer].partial
        for made in stack.maps
    ]
    return tuple(int(cuts.room(index, picks, wait)[0]) for index, wait in enumerate(waits))
