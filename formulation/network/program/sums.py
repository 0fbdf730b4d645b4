"""Sums of a program's binaries: over the points of a block, its states, and the blocks at a position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyomo.core as pyo

from formulation.network.program.blocks import Block
from formulation.network.program.choice import Key


class BlockSums:
    """Sums of the binaries of blocks and states."""

    def __init__(self, blocks: Sequence[Block], run: Mapping[Key, Any]) -> None:
        self.blocks, self.run = blocks, run
        self.runs: dict[tuple[int, int], list[Any]] = {}
        for key, variable in run.items():
            self.runs.setdefault(key[:2], []).append(variable)
        self.resident: dict[int, list[Any]] = {}  # by position, of states whose weights stay for good
        self.at: dict[int, list[int]] = {}
        for b, block in enumerate(blocks):
            good = [
                v for s, state in enumerate(block.states) if state.resident for v in self.runs.get((b, s), ())
            ]
            for position in block.positions:
                self.at.setdefault(position, []).append(b)
                self.resident.setdefault(position, []).extend(good)

    def states(self, b: int) -> list[tuple[tuple[int, ...], Any]]:
        """The states of a block that have points, each with its ``use``."""
        found = []
        for s, state in enumerate(self.blocks[b].states):
            if (b, s) in self.runs:
                found.append((state.stay, pyo.quicksum(self.runs[b, s])))
        return found

    def of(self, b: int) -> Any:
        """``use`` of a block."""
        return pyo.quicksum(use for _, use in self.states(b))

    def of_all(self, position: int) -> Any:
        """The sum over the blocks at a position."""
        return pyo.quicksum(self.of(b) for b in self.at[position])

    def name(self, position: int) -> str:
        """Of a layer: that of the shortest block that begins or ends with it."""
        blocks = [self.blocks[b] for b in self.at[position]]
        return min(blocks, key=lambda block: block.last - block.first).name
