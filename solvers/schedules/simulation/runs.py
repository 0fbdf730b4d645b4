"""How a tensor lies in the DRAM, and the bits that a tile of it moves in whole bursts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in the DRAM, as the tiles of a mapping cut it.

    Attributes:
        order: dimensions, outermost first.
        whole: those that every tile holds all of, as stored.
    """

    order: tuple[str, ...]
    whole: frozenset[str]

    def bits(self, lengths: Mapping[str, int], width: int, burst: int) -> int:
        """Bits of a tile: its words, gone through from the innermost dimension, in runs of whole bursts.

        A run goes on over the dimensions that the tile holds whole, and ends with the first that it does not.

        Args:
            lengths: of the tile, by dimension; a dimension that is not there has one.
            width: of a word.
            burst: bits; 1 where words are all that moves.
        """
        run, outside = width, list(self.order)
        while outside:
            name = outside.pop()
            run *= lengths.get(name, 1)
            if name not in self.whole:
                break
        return prod(lengths.get(name, 1) for name in outside) * ((run + burst - 1) // burst) * burst
