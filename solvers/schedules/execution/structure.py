"""A nest as a person writes it: loops of one trip are left out, each tensor moves where it changes.

A tile changes in the innermost of the loops that it depends on. Its fetch stands at the beginning of that
loop's body; an ofmap tile is written at the end of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from solvers.schedules.execution.buffer import PartName
from solvers.schedules.execution.nest import LoopNest, TileLoop, outputs_named

_INDEPENDENT: dict[PartName, tuple[str, ...]] = {
    "ifmap": ("outputs",),
    "weights": ("batch", "spatial.0", "spatial.1", "spatial.2"),
    "ofmap": ("in_channels",),
}


@dataclass(frozen=True, slots=True)
class NestStructure:
    """Loops, and in how many of them each tensor's moves stand.

    Attributes:
        loops: those of more than one trip, outermost first.
        depth: by tensor, how many of these loops its moves are in.
        spills: whether ofmap tiles leave the buffer before all input channels were added, and come back.
    """

    loops: tuple[TileLoop, ...]
    depth: dict[PartName, int]
    spills: bool


def structure(nest: LoopNest) -> NestStructure:
    """The structure of a nest."""
    loops = tuple(loop for loop in nest.loops if loop.trips > 1)
    names = [outputs_named(loop.name) for loop in loops]
    depth: dict[PartName, int] = {
        part: max((i + 1 for i, name in enumerate(names) if name not in others), default=0)
        for part, others in _INDEPENDENT.items()
    }
    streamed = nest.cut is not None and nest.cut.tensor == "ofmap"
    spills = "in_channels" in names and (streamed or names.index("in_channels") < depth["ofmap"])
    return NestStructure(loops, depth, spills)
