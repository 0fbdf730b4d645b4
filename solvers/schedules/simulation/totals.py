"""What steps move, compute and hold, added up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from solvers.schedules.simulation.clock import OfmapTile
from solvers.schedules.simulation.machine import Accelerator
from solvers.schedules.simulation.nest import TileStep


@dataclass(frozen=True, slots=True)
class MovedTotals:
    """Sums over steps; words that are written count when they go to the engine.

    Attributes:
        steps: how many.
        ifmap: words fetched.
        weights: words fetched.
        ofmap_write: words written.
        ofmap_read: words of partial sums read back.
        final: words written that are final.
        cycles: of the array.
        macs: multiply-accumulates.
        transfers: of tiles, in and out.
        bits: between DRAM and buffer.
    """

    steps: int = 0
    ifmap: int = 0
    weights: int = 0
    ofmap_write: int = 0
    ofmap_read: int = 0
    final: int = 0
    cycles: int = 0
    macs: int = 0
    transfers: int = 0
    bits: int = 0

    @classmethod
    def of(cls, step: TileStep, written: OfmapTile | None) -> Self:
        """Of one step, and of the ofmap tile in its queue."""
        fetched = step.ifmap, step.weights, step.partial
        ifmap, weights, partial = (words or 0 for words in fetched)
        transfers = sum(words is not None for words in fetched)
        crossing = step.bits.ifmap, step.bits.weights, step.bits.partial
        bits = sum(each for each, words in zip(crossing, fetched, strict=True) if words is not None)
        moved = cls(1, ifmap, weights, 0, partial, 0, step.cycles, step.macs, transfers, bits)
        return moved if written is None else moved + cls.of_written(written)

    @classmethod
    def of_written(cls, tile: OfmapTile) -> Self:
        """Of an ofmap tile that is written."""
        final = tile.words if tile.final else 0
        return cls(ofmap_write=tile.words, final=final, transfers=1, bits=tile.bits)

    def __add__(self, other: Self) -> Self:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return type(self)(*(one + two for one, two in pairs))

    def times(self, count: int) -> Self:
        """Of so many like these."""
        return type(self)(*(count * getattr(self, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class LargestTiles:
    """Bits of the largest tile of each tensor.

    Attributes:
        ifmap: of the input.
        ofmap: of the output; of its partial sums if it ever has some.
        weights: of the weights.
    """

    ifmap: int = 0
    ofmap: int = 0
    weights: int = 0

    @classmethod
    def of(cls, step: TileStep, machine: Accelerator) -> Self:
        """Of one step."""
        width = machine.widths
        ifmap, ofmap, weights = step.held
        sums = width.partial_sums if step.partial_sums else width.ofmap
        return cls(ifmap * width.ifmap, ofmap * sums, weights * width.weights)

    def __or__(self, other: Self) -> Self:
        return type(self)(
            max(self.ifmap, other.ifmap), max(self.ofmap, other.ofmap), max(self.weights, other.weights)
        )
