"""What the whole program of shared ifmap tiles chooses from: rounds, input channels, tiles of the grid.

Nothing is left out but what fits nowhere and what another choice is as good as, whatever the packing: a tile
if another is at most as large in all that the price of a loop order has of tiles, for
each shape of sub-kernel, since every cost and every footprint is non-decreasing in each of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from formulation.cost import Num, held_bits
from formulation.extents import Ints
from formulation.mapping import Stationary
from formulation.program.candidates import Check
from formulation.program.choices import Pairs, VariantChoices, variant_columns
from formulation.shared.packing_bounds import fullest_rounds
from formulation.shared.space import SharedSpace
from formulation.shared.tiles import Tiles
from formulation.space.space import CLASSES
from formulation.space.tables import SpatialTable
from formulation.space.undominated import undominated


@dataclass(frozen=True, slots=True, eq=False)
class RoundLoads:
    """The fullest round's weights, and ofmap, of packings into so many rounds, at least.

    Attributes:
        weights: P, by the number of rounds less one.
        ofmap: Q, the same, in the unit of each ratio of pixels (ratios by rounds).
        whole_weights: P if no pass is split.
        whole_ofmap: Q if no pass is split.
    """

    weights: Ints
    ofmap: Ints
    whole_weights: Ints
    whole_ofmap: Ints


@dataclass(frozen=True, slots=True, eq=False)
class SharedChoices:
    """All choices of one problem.

    Attributes:
        space: the map space.
        tiles: tiles of the common grid that no other dominates.
        unit: common divisor of the pixels that a tile's shapes have, by tile.
        ratio: position in ``ratios`` of those pixels in that unit, by tile.
        ratios: distinct pixels of the shapes, in units (ratios by shapes).
        most_rounds: the greatest number of rounds; 1, 2, ... up to it are all there.
        loads: bounds on the fullest round.
        variants: loop orders, with whether all input channels are one tile, and what goes together in them.
    """

    space: SharedSpace
    tiles: Tiles
    unit: Ints
    ratio: Ints
    ratios: Ints
    most_rounds: int
    loads: RoundLoads
    variants: tuple[VariantChoices, ...]

    @property
    def least_ofmap(self) -> Ints:
        """Q at least, for each ratio of pixels."""
        return np.asarray(self.loads.ofmap.min(axis=1))

    def most_load(self, of: str, number: object) -> int:
        """The greatest that a number of the packing may be.

        Args:
            of: its family: ``fullest`` or ``work``.
            number: its index.
        """
        space = self.space
        if of == "work":
            return self.work_range()[int(str(number))][1]
        if number == "weights":
            return space.filters * space.taps
        ratio = self.ratios[int(str(number).rpartition("_")[2])]
        return int(space.filters * sum(len(kind.members) * ratio[kind.shape] for kind in space.kinds))

    def passes_range(self) -> list[tuple[int, int]]:
        """Passes of all sub-kernels of each kind, at least and at most.

        A sub-kernel needs most if all its rounds but one end with a pass of a single filter.
        """
        space = self.space
        fewest = -(-space.filters // space.limit)
        most = (space.filters + (space.limit - 1) * min(self.most_rounds, space.filters)) // space.limit
        most = max(fewest, min(space.filters, most))
        return [(len(kind.members) * fewest, len(kind.members) * most) for kind in space.kinds]

    def work_range(self) -> list[tuple[int, int]]:
        """L of each shape of sub-kernel, at least and at most."""
        space, (fixed, each) = self.space, self.space.factors
        found = [(0, 0)] * len(space.shapes)
        for cycles, kind, passes in zip(space.ci_cycles, space.kinds, self.passes_range(), strict=True):
            low, most = (len(kind.members) * fixed + each * n for n in passes)
            least, greatest = found[kind.shape]
            found[kind.shape] = least + int(cycles.min()) * low, greatest + int(cycles.max()) * most
        return found


def whole_tiles(space: SharedSpace, check: Check = bool) -> Tiles:
    """The tiles of the common grid that fit and that no other dominates in any loop order.

    Raises:
        ValueError: if transfers take bursts, which the programs do not count.
    """
    if space.hardware.burst_bytes:
        raise ValueError("whole programs of shared ifmap tiles do not count bursts")

    def front(table: SpatialTable) -> SpatialTable:
        check()
        tiles = space.tiles(table)
        tiles = tiles.take(np.flatnonzero(space.fewest_rounds(tiles, np.ones_like(table.rank), 1)[0]))
        own = tiles.table
        columns = [own.trips, own.fetched, own.slid, own.largest, *_by_shape(tiles)]
        return own.take(undominated(np.stack(columns))) if len(own) else own

    return space.tiles(front(SpatialTable.join([front(slab) for slab in space.grid.slabs()])))


def _by_shape(tiles: Tiles) -> list[Ints]:
    """What tiles have for each shape of sub-kernel."""
    return [*tiles.pixels, *tiles.cycles, *([] if tiles.moved is None else tiles.moved)]


def rounds_within(space: SharedSpace, tiles: Tiles, ticks: int | None) -> int:
    """The most rounds with which the array may be done in so many ticks; all there may be if that is None.

    A round has a pass at least, and every pass more than the fewest there are costs at least the cheapest.
    """
    every = space.filters * len(space.kernels.layers)
    if ticks is None:
        return every
    among = np.arange(len(space.ci))
    least, next_ = (space.roughest_cycles(tiles, among, space.passes + more) for more in (0, 1))
    left, each = ticks // space.hardware.tick.per_cycle - least, next_ - least
    more = np.where(left < 0, 0, np.where(each > 0, left // np.maximum(each, 1), every))
    return int(min(every, space.passes + more.max()))


def shared_choices(space: SharedSpace, tiles: Tiles, most_rounds: int, check: Check = bool) -> SharedChoices:
    """What the variants of the whole map space choose from.

    Args:
        space: the map space.
        tiles: as of ``whole_tiles``.
        most_rounds: the most that are looked at.
        check: called between pieces of work; what it raises ends it.
    """
    unit = np.gcd.reduce(tiles.pixels, axis=0)
    ratios, first, ratio = np.unique(tiles.pixels // unit, axis=1, return_index=True, return_inverse=True)
    loads = _loads(space, tiles.take(first), unit[first], most_rounds)
    made = SharedChoices(space, tiles, unit, ratio.reshape(-1), ratios.T, most_rounds, loads, ())
    variants: list[VariantChoices] = []
    for which, stationary in enumerate(CLASSES):
        for whole in (False, True):
            check()
            if not (whole and stationary is Stationary.OUTPUT):
                variants += _variant(made, which, whole)
    return SharedChoices(space, tiles, unit, made.ratio, made.ratios, most_rounds, loads, tuple(variants))


def _loads(space: SharedSpace, tiles: Tiles, unit: Ints, most_rounds: int) -> RoundLoads:
    """Bounds by rounds; one tile of each ratio of pixels is given."""
    rounds, found = np.arange(1, most_rounds + 1), []
    for at in range(len(unit)):
        every = np.full(most_rounds, at)
        (p, q), whole = fullest_rounds(space, tiles.take(every), rounds)
        p_whole, q_whole = (
            np.where(rounds <= space.passes, w, n) for w, n in zip(whole, (p, q), strict=True)
        )
        found.append((p, -(-q // unit[at]), p_whole, -(-q_whole // unit[at])))
    p, q, p_whole, q_whole = (np.stack(column) for column in zip(*found, strict=True))
    return RoundLoads(p[0], q, p_whole[0], q_whole)


def _variant(made: SharedChoices, which: int, whole: bool) -> Iterator[VariantChoices]:
    """The variant of all that fits and is not dominated in it; nothing if nothing fits."""
    space, tiles, stationary = made.space, made.tiles, CLASSES[which]
    ci = np.flatnonzero((space.trips_ci == 1) == whole)
    if not len(ci) or not len(tiles.table):
        return
    room = _Room(made, whole)
    fit = room.fits(made.loads.weights.min(), made.loads.ofmap.min(axis=1)[made.ratio], space.ci[ci].min())
    left = np.flatnonzero(fit)
    some = tiles.take(left)
    by_trips = space.energy is not None or space.hardware.transfer_cycles > 0
    columns = variant_columns(space.kernels, space.hardware, stationary, whole, some.table, by_trips)
    rows = left[undominated(np.stack([*columns, *_by_shape(some)]))] if len(left) else left
    if len(rows):
        yield VariantChoices(which, whole, tiles.table, tiles.cycles[0], *_pairs(room, ci, rows))


class _Room:
    """Whether tiles fit the buffer, in one variant."""

    def __init__(self, made: SharedChoices, whole: bool) -> None:
        self.made, self.trips = made, 1 if whole else 2

    def fits(self, weights: Num, ofmap: Num, ci: Num, rows: Ints | slice = slice(None)) -> Num:
        """Of P, of Q in the unit of a tile, of input channels, and positions of tiles; broadcast."""
        space, largest = self.made.space, self.made.tiles.table.largest[rows]
        pixels = ofmap * self.made.unit[rows]
        return space.feasible(held_bits(space.hardware, ci * largest, pixels, ci * weights, self.trips))


def _pairs(room: _Room, ci: Ints, rows: Ints) -> tuple[Pairs, Pairs, Pairs]:
    """What fits beside the least of the third choice: of rounds, input channels and tiles."""
    made, loads = room.made, room.made.loads
    channels, ratio = made.space.ci[ci], made.ratio[rows]
    least = loads.ofmap.min(axis=1)[ratio]
    ok = room.fits(loads.weights[:, None], loads.ofmap[ratio].T, channels.min(), rows).nonzero()
    ik = room.fits(loads.weights.min(), least, channels[:, None], rows).nonzero()
    held = held_bits(
        made.space.hardware,
        channels * made.tiles.table.largest[rows].min(),
        (least * made.unit[rows]).min(),
        channels * loads.weights[:, None],
        room.trips,
    )
    oi = np.broadcast_to(made.space.feasible(held), (made.most_rounds, len(ci))).nonzero()
    return (ok[0], rows[ok[1]]), (ci[ik[0]], rows[ik[1]]), (oi[0], ci[oi[1]])
