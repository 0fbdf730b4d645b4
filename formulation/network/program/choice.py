"""What a program of a network is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from formulation.network.program.blocks import TotalMeasure

Key = tuple[int, int, int]
"""Block, state, point."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A solution.

    Attributes:
        stays: indices of the tensors that stay.
        runs: block and state and point of each block that is used, in the layers' order.
        weights: positions, in the program's list, of the trained weights that stay for good.
    """

    stays: frozenset[int]
    runs: tuple[Key, ...]
    weights: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class NetworkAim:
    """What a program minimises.

    Attributes:
        measure: what is minimised.
        caps: greatest totals of other measures.
        known: total of a known solution, None for none.
        refused: solutions that the solver's rounding let through and exact arithmetic did not.
        thin: points of each state that are let in at most, for a first solution; 0 for all.
        start: a known solution, whose points are let in.
    """

    measure: TotalMeasure
    caps: tuple[tuple[TotalMeasure, int], ...] = ()
    known: int | None = None
    refused: tuple[Chosen, ...] = ()
    thin: int = 0
    start: Chosen | None = None
