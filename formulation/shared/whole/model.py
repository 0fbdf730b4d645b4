"""The whole problem of shared ifmap tiles as one mixed-integer linear program: nothing is sieved.

It is the program of a layer (``formulation.program.model``) with numbers of rounds in the place of tiles of
output channels, what packs the filters into them (``rounds``), and what of a packing stands beside the
choices of tiles (``loads``). So traffic, set-ups, buffer, latency, sums and scaling are those of a layer.

A known mapping sets the scale, and no more: rounds with which the array alone takes longer than ten times the
known latency's distance from the least there is are left out with all else that is beyond that (``BEYOND``).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.program.candidates import Check
from formulation.program.model import Milp, program_over
from formulation.program.products import Spans
from formulation.program.scaling import BEYOND, ProgramAim
from formulation.program.terms import ChoiceTerms
from formulation.shared.problem import SharedMapping
from formulation.shared.space import SharedSpace
from formulation.shared.tiles import Tiles
from formulation.shared.whole.choices import SharedChoices, rounds_within, shared_choices
from formulation.shared.whole.coefficients import shared_terms
from formulation.shared.whole.rounds import RoundRows, packed_items
from formulation.space.space import CLASSES


@dataclass(frozen=True, slots=True)
class SharedMilp:
    """The program with what is needed to read its solution.

    Attributes:
        milp: the program.
        made: what it chooses from.
        items: kind and sub-kernels of each item that is packed.
    """

    milp: Milp
    made: SharedChoices
    items: list[tuple[int, tuple[int, ...]]]

    def choice(self) -> tuple[int, int, int]:
        """Positions of the loop order, of the input-channel tile and of the tile in the model's solution."""
        stationary, _, ci, row = self.milp.choice()
        return CLASSES.index(stationary), ci, row

    def packed(self) -> Ints:
        """The filters of the model's solution (sub-kernels by rounds); rounds may be empty."""
        space, x = self.made.space, self.milp.model.x
        filters = np.zeros((len(space.kernels.layers), self.made.most_rounds), np.int64)
        for i, (_, members) in enumerate(self.items):
            row = np.array([round(x[i, r].value) for r in range(self.made.most_rounds)])
            stop = np.cumsum(row)
            for place, j in enumerate(members):  # one after another, as they are alike
                below, above = place * space.filters, (place + 1) * space.filters
                filters[j] = np.clip(stop, below, above) - np.clip(stop - row, below, above)
        return filters

    def start(self, mapping: SharedMapping) -> list[tuple[Any, float]]:
        """Values of the whole variables for a mapping, as a start; empty if the program does not have it."""
        space, table = self.made.space, self.made.tiles.table
        rank = np.ravel_multi_index([t - 1 for t in (mapping.batch, *mapping.spatial)], space.grid.shape)
        rows, ci = np.flatnonzero(table.rank == rank), np.flatnonzero(space.ci == mapping.in_channels)
        if mapping.round_count > self.made.most_rounds or not len(rows) or not len(ci):
            return []
        place = mapping.round_count - 1, int(ci[0]), int(rows[0])
        whole = bool(space.trips_ci[ci[0]] == 1)
        stationary = self.milp.cheapest(whole, *place)
        if stationary is None:
            return []
        return [*self.milp.binaries(stationary, whole, *place), *self._filters(mapping)]

    def _filters(self, mapping: SharedMapping) -> list[tuple[Any, float]]:
        """Filters and passes of a mapping."""
        model, space = self.milp.model, self.made.space
        x = np.zeros((len(space.kernels.layers), self.made.most_rounds), np.int64)
        x[:, : mapping.round_count] = np.array(mapping.rounds)
        values: list[tuple[Any, float]] = []
        for i, (_, members) in enumerate(self.items):
            for r in range(self.made.most_rounds):
                filters = int(x[list(members), r].sum())
                values.append((model.x[i, r], filters))
                if hasattr(model, "y"):
                    values.append((model.y[i, r], -(-filters // space.limit)))
        return values


def build_shared(space: SharedSpace, tiles: Tiles, aim: ProgramAim, check: Check = bool) -> SharedMilp:
    """The program of all mappings with shared tiles; the module's text says what it is made of.

    Args:
        space: the map space.
        tiles: as of ``choices.whole_tiles``.
        aim: objective and caps.
        check: called between pieces of work; what it raises ends it.
    """
    timed = aim.needs("latency") or aim.needs("spent")
    made = shared_choices(space, tiles, rounds_within(space, tiles, _most_ticks(space, tiles, aim)), check)
    variants = shared_terms(made)
    rows = RoundRows(made, variants, timed)

    def packed(model: Any, spans: Spans) -> None:
        rows.add(model, spans)

    every: list[ChoiceTerms] = list(variants)
    milp = program_over(every, space.hardware, space.problem.partition, aim, check, packed)
    return SharedMilp(milp, made, packed_items(space, timed))


def _most_ticks(space: SharedSpace, tiles: Tiles, aim: ProgramAim) -> int | None:
    """The longest that the array may take in a mapping of any interest; None if that is not known.

    What is minimised is at most its least, of words that move once and the array alone, and ten times the
    known mapping's distance from that.
    """
    if aim.caps.latency is not None:
        return int(aim.caps.latency)
    if not aim.weights.latency or aim.needs("spent"):
        return None
    cycles = int(space.roughest_cycles(tiles, np.arange(len(space.ci))).min())
    width, kernels = space.hardware.bits, space.kernels
    moved = kernels.weight_words * width.weights + kernels.ofmap_words * width.ofmap
    least = cycles * space.hardware.tick.per_cycle
    above = aim.weights.latency * (aim.incumbent.latency - least)
    above += aim.weights.traffic * (aim.incumbent.traffic - moved)
    return int(least + floor(BEYOND * above / aim.weights.latency) + 1)
