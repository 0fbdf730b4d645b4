"""What the variants of the mixed-integer program choose from: what a sieve has left, or the whole map space.

In one loop order not every column of a tile matters. With all trips above one (the table of passes, which is
never below the walk and has the same minimum over the orders):

    WEIGHT   traffic = weights +       n_co * ifmap + (n_ci) ofmap
    INPUT    traffic = n_sp * weights + ifmap       + (n_ci) ofmap
    OUTPUT   traffic = n_sp * weights + n_co * ifmap + ofmap

So a tile is left out, in one order, if another is at most as large in the columns that the order's price has:

    output channels   size, cycles; trips in WEIGHT and OUTPUT
    input channels    size, cycles; trips in WEIGHT and INPUT
    spatial tiles     window, pixels, cycles; in WEIGHT the words, in INPUT words + n_sp * weights, in OUTPUT
                      words and trips

Footprints and edges grow with sizes, compute with cycles, and sums, with trips as well, which are then in
all of them; so with set-ups of transfers. Where runs take whole bursts, nothing is left out here but what
``formulation.space`` leaves out. Where all input channels are one tile OUTPUT is left out: INPUT has the same
tiles, cycles and passes at the array, and moves the ifmap once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulation.cost import Num, Tensors, ifmap_pass_words, tile_bits
from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.mapping import Stationary
from formulation.program.candidates import Candidates, Check
from formulation.space.space import CLASSES, Space
from formulation.space.tables import ChannelTable, SpatialTable
from formulation.space.undominated import undominated, undominated_tiles

Pairs = tuple[Ints, Ints]
"""Positions of two choices that are made together, as many of the one as of the other."""


@dataclass(frozen=True, slots=True, eq=False)
class VariantChoices:
    """A loop order, whether all input channels are one tile, and what goes together in it.

    Attributes:
        which: position of the loop order in ``CLASSES``.
        whole: whether all input channels are one tile.
        tiles: spatial tiles.
        cycles: their cycle factors.
        ok: positions in the space's table of output channels, and in ``tiles``.
        ik: the same of input channels and tiles.
        oi: of output and input channels.
    """

    which: int
    whole: bool
    tiles: SpatialTable
    cycles: Ints
    ok: Pairs
    ik: Pairs
    oi: Pairs


def sieved_choices(space: Space, found: Candidates) -> list[VariantChoices]:
    """The variants of what a sieve has left, in a fixed order."""
    whole = space.ci.trips[found.ci] == 1
    keys = sorted({(int(c), bool(w)) for c, w in zip(found.which, whole, strict=True)})
    variants = []
    for which, one in keys:
        part = found.take((found.which == which) & (whole == one))
        pairs = (_unique(part.co, part.row), _unique(part.ci, part.row), _unique(part.co, part.ci))
        variants.append(VariantChoices(which, one, part.tiles, part.cycles, *pairs))
    return variants


def whole_choices(space: Space, check: Check = bool) -> list[VariantChoices]:
    """The variants of the whole map space; no mapping is known to them.

    Args:
        space: the map space.
        check: called between pieces of work; what it raises ends it.
    """

    def fits(tiles: SpatialTable) -> NDArray[np.bool_]:
        check()
        return np.asarray(space.most_out_channels(tiles) >= 1)

    tiles, cycles = undominated_tiles(space.grid, fits)
    variants: list[VariantChoices] = []
    for which, stationary in enumerate(CLASSES):
        for whole in (False, True):
            if whole and stationary is Stationary.OUTPUT:
                continue
            check()
            variants += _variant(space, which, whole, tiles, cycles)
    return variants


def _variant(
    space: Space, which: int, whole: bool, tiles: SpatialTable, cycles: Ints
) -> Iterator[VariantChoices]:
    """The variant of all that fits and is not dominated in it; nothing if nothing fits."""
    stationary = CLASSES[which]
    everything, bursts = _by_trips(space), space.problem.hardware.burst_bytes is not None
    co = _channels(space.co, everything or stationary is not Stationary.INPUT)
    inputs = np.flatnonzero((space.ci.trips == 1) == whole)
    ci = inputs[_channels(space.ci, everything or stationary is not Stationary.OUTPUT, inputs)]
    if bursts:
        co, ci = np.arange(len(space.co.tile)), inputs
    if not len(ci):
        return
    least = space.co.tile[co].min(), space.ci.tile[ci].min()
    left = np.flatnonzero(_fits(space, whole, *least, tiles.largest, tiles.pixels))
    layer, hardware = space.problem.layer, space.problem.hardware
    columns = variant_columns(layer, hardware, stationary, whole, tiles.take(left), everything)
    columns += [tiles.pixels[left], cycles[left]]
    rows = left[undominated(np.stack(columns))] if len(left) and not bursts else left
    if len(rows):
        yield VariantChoices(which, whole, tiles, cycles, *_pairs(space, whole, co, ci, rows, tiles))


def _by_trips(space: Space) -> bool:
    """Whether trips cost something in every loop order."""
    return space.summed or space.problem.hardware.transfer_cycles > 0


def _channels(table: ChannelTable, with_trips: bool, at: Ints | None = None) -> Ints:
    """Positions, among those given, of the channel tiles that no other dominates."""
    columns = [table.tile, table.cycles, *([table.trips] if with_trips else [])]
    return undominated(np.stack([c if at is None else c[at] for c in columns]))


def variant_columns(
    tensors: Tensors,
    hardware: Hardware,
    stationary: Stationary,
    whole: bool,
    tiles: SpatialTable,
    by_trips: bool,
) -> list[Ints]:
    """What a loop order's price has of spatial tiles, their pixels and cycle factors aside.

    Args:
        tensors: give the groups, and the words of weights.
        hardware: the machine.
        stationary: the loop order.
        whole: whether all input channels are one tile.
        tiles: the tiles.
        by_trips: whether trips cost something in every loop order.
    """
    words = ifmap_pass_words(stationary, 1 if whole else 2, tiles.fetched, tiles.slid)
    columns = [words, tiles.largest]
    if stationary is Stationary.INPUT:
        moved = tensors.groups * words * hardware.bits.ifmap
        columns[0] = moved + tiles.trips * (tensors.weight_words * hardware.bits.weights)
    if by_trips or stationary is Stationary.OUTPUT:
        columns.append(tiles.trips)
    return columns


def _pairs(
    space: Space, whole: bool, co: Ints, ci: Ints, rows: Ints, tiles: SpatialTable
) -> tuple[Pairs, Pairs, Pairs]:
    """What fits beside the least of the third choice: pairs ``ok``, ``ik`` and ``oi``."""
    out, inp = space.co.tile[co], space.ci.tile[ci]
    largest, pixels = tiles.largest[rows], tiles.pixels[rows]
    ok = _fits(space, whole, out[:, None], inp.min(), largest, pixels).nonzero()
    ik = _fits(space, whole, out.min(), inp[:, None], largest, pixels).nonzero()
    oi = _fits(space, whole, out[:, None], inp, largest.min(), pixels.min()).nonzero()
    return (co[ok[0]], rows[ok[1]]), (ci[ik[0]], rows[ik[1]]), (co[oi[0]], ci[oi[1]])


def _fits(space: Space, whole: bool, co: Num, ci: Num, largest: Num, pixels: Num) -> Num:
    """Whether tiles fit the buffer; arguments broadcast."""
    layer, hardware = space.problem.layer, space.problem.hardware
    return space.feasible(tile_bits(layer, hardware, co, ci, largest, pixels, 1 if whole else 2))


def _unique(first: Ints, second: Ints) -> Pairs:
    pairs = np.unique(np.stack([first, second]), axis=1)
    return pairs[0], pairs[1]
