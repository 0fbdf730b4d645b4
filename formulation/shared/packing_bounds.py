"""What a packing into R rounds costs at least: see ``formulation.shared.space`` for the setting.

Let L be the filters of a full pass, g the common divisor of the taps, and count round r's passes weighted
by taps as ``g*T_r``; its weights are at most ``min(P, L*g*T_r)``. That is concave in T_r, so for a given
sum of all T_r the rounds hold most if the T_r differ by at most one:

    no pass split: sum of T_r is  T = sum_j taps_j*ceil(Co/L) / g, so n rounds have v = ceil(T/R), others v-1:
        n*min(P, L*g*v) + (R-n)*min(P, L*g*(v-1)) >= Co*sum_j taps_j     gives P from below
    buffer allows at most P^:  y = floor(P^/(L*g)) whole units a round, and rounds with y+1 hold P^ at most:
        sum of T_r >= R*y + ceil((Co*sum_j taps_j - R*L*g*y) / (P^ - L*g*y))     gives the passes to be split

and the same for numbers of filters in place of weights, with ``taps = 1``, hence for Q.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from formulation.cost import Num, TensorBits, held_bits
from formulation.extents import Ints
from formulation.pricing.price import Price
from formulation.shared.space import FAR, SharedSpace, most_units
from formulation.shared.tiles import Tiles

#: Numbers of words of the fullest round that are looked at one by one.
MOST_NARROWED = 512


@dataclass(frozen=True, slots=True, eq=False)
class PackedBounds:
    """Bounds for choices of tile, input-channel tile and R; arrays of one length.

    Attributes:
        fits: where some packing might fit the buffer.
        whole: on the array's time with the edge if no pass is split [ticks]; huge where that cannot fit.
        split: the same if a pass is split.
        most: the largest P and Q that might fit.
        target: the least P and Q of packings that split no pass.
        ports: bits between buffer and array if no pass is split, and at least if one is; None where energy is
            not asked for.
        splits: where a pass must be split; None where energy is not asked for.
    """

    fits: Num
    whole: Num
    split: Num
    most: tuple[Num, Num]
    target: tuple[Num, Num]
    ports: tuple[Num, Num] | None = None
    splits: Num = None

    def take(self, index: Ints) -> PackedBounds:
        """The bounds at the given positions."""
        most, target = ((p[index], q[index]) for p, q in (self.most, self.target))
        bounds = PackedBounds(self.fits[index], self.whole[index], self.split[index], most, target)
        if self.ports is None:
            return bounds
        ports = self.ports[0][index], self.ports[1][index]
        return replace(bounds, ports=ports, splits=self.splits[index])

    @property
    def least_ports(self) -> Num:
        """Bits between buffer and array at least, where energy is asked for."""
        assert self.ports is not None
        return np.where(self.splits, self.ports[1], self.ports[0])

    def price(self, space: SharedSpace, bits: Num, setup: Num = 0) -> Price:
        """What packings cost at least, quantity by quantity, where any fits.

        Args:
            space: of the tiles.
            bits: of traffic.
            setup: of transfers [cycles].
        """
        latency = space.latency(self.least, bits, setup)
        if self.ports is None:
            return Price.of(latency, bits)
        time = latency if space.wide else np.where(self.fits, latency, 0)
        return space.price(time, bits, self.least_ports)._replace(latency=latency)

    @property
    def least(self) -> Num:
        """The lesser of the two bounds [ticks]."""
        return np.minimum(self.whole, self.split)


def packed_bounds(space: SharedSpace, tiles: Tiles, ci: Ints, rounds: Ints) -> PackedBounds:
    """The bounds, for tiles, positions of input-channel tiles, and numbers of rounds."""
    view = _PackedChoices(space, tiles, ci, rounds)
    compute = space.least_cycles(tiles, ci)
    p, q = view.least_words()
    most = view.most_words(p, q)
    fit = (p <= most[0]) & (q <= most[1]) & view.fits(p, q)
    p_whole, q_whole = view.whole_words(p, q)
    whole = view.ticks(compute, p_whole, q_whole)
    possible = fit & view.fits(p_whole, q_whole) & (rounds <= space.passes)
    forced = view.forced(most)
    split = view.ticks(compute + view.split_cycles(forced, most), p, q)
    far = space.array(np.full(rounds.shape, view.far), TensorBits(0, 0, 0))
    whole, split = np.where(possible, whole, far), np.where(fit, split, far)
    bounds = PackedBounds(fit, whole, split, most, (p_whole, q_whole))
    if space.energy is None:
        return bounds
    fewest = space.energy.array_bits(tiles, ci)
    more = fewest + view.split_cost(forced, most, space.energy.read_bits)
    return replace(bounds, ports=(fewest, more), splits=~possible)


def fullest_rounds(space: SharedSpace, tiles: Tiles, rounds: Ints) -> tuple[tuple[Num, Num], tuple[Num, Num]]:
    """P and Q of the fullest round at least: of any packing, and of those that split no pass.

    Args:
        space: the map space.
        tiles: a tile for each number of rounds.
        rounds: numbers of rounds.
    """
    view = _PackedChoices(space, tiles, np.zeros_like(rounds), rounds)
    least = view.least_words()
    return least, view.whole_words(*least)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What packings that split a pass cost at least, of some Q.

    Attributes:
        most: P that may fit beside it, and Q.
        split: the array's time with the edge [ticks].
        ports: bits between buffer and array; None where energy is not asked for.
    """

    most: tuple[int, int]
    split: int
    ports: int | None


def narrowed_bounds(
    space: SharedSpace, tile: Tiles, ci: int, rounds: int, spills: bool = False
) -> list[Narrowed]:
    """Bounds for one choice, for packings that split a pass: of each Q that they may have, one.

    What has Q words in its fullest round has passes for as many words at most in any, and a filter for each
    ``most pixels`` of them. The least of these is no less than the bound for all.

    Args:
        space: of the tile.
        tile: the tile.
        ci: position of the input-channel tile.
        rounds: their number.
        spills: as of ``SharedSpace.edge``.

    Returns:
        Of every Q that may fit; none if there are more than ``MOST_NARROWED``.
    """
    one = _PackedChoices(space, tile, np.array([ci]), np.array([rounds]))
    p, q = one.least_words()
    last = int(one.most_words(p, q)[1][0])
    unit = gcd(*(int(pixels) for pixels in tile.pixels[:, 0]))
    first = -(-int(q[0]) // unit) * unit
    if not 0 <= last - first < MOST_NARROWED * unit:
        return []
    words = np.arange(first, last + 1, unit)
    tiles, every = tile.take(np.zeros_like(words)), np.full_like(words, ci)
    view = _PackedChoices(space, tiles, every, np.full_like(words, rounds))
    few = min(layer.taps for layer in space.kernels.layers)
    weights = np.maximum(p[0], few * -(-words // view.most_pixels))
    most = view.most_words(weights, words)[0], words
    forced = view.forced(most)
    compute = space.least_cycles(tiles, every) + view.split_cycles(forced, most)
    ticks = space.array(compute, view.held(weights, words), spills)
    ports: list[int | None] = [None] * len(words)
    if space.energy is not None:
        bits = space.energy.array_bits(tiles, every)
        ports = (bits + view.split_cost(forced, most, space.energy.read_bits)).tolist()
    fit = view.fits(weights, words).tolist()
    most_p, most_q = (column.tolist() for column in most)
    return [Narrowed((most_p[i], most_q[i]), int(ticks[i]), ports[i]) for i in range(len(words)) if fit[i]]


def least_held(space: SharedSpace, tile: Tiles, ci: int, rounds: int) -> TensorBits:
    """What the tiles of one choice hold at least, of any packing [bits]."""
    view = _PackedChoices(space, tile, np.array([ci]), np.array([rounds]))
    held = view.held(*view.least_words())
    return TensorBits(*(int(bits[0]) for bits in (held.ifmap, held.ofmap, held.weights)))


class _PackedChoices:
    """One set of choices with what the bounds need of it."""

    def __init__(self, space: SharedSpace, tiles: Tiles, ci: Ints, rounds: Ints) -> None:
        self.space, self.tiles, self.ci, self.rounds = space, tiles, ci, rounds
        self.unit = held_bits(
            space.hardware, space.ci[ci] * tiles.table.largest, 1, space.ci[ci], space.trips_ci[ci]
        )
        self.filters = space.filters * len(space.kernels.layers)
        self.weights = space.filters * space.taps
        self.most_pixels, self.few_pixels = tiles.pixels.max(axis=0), tiles.pixels.min(axis=0)
        self.passes_each = -(-space.filters // space.limit)
        self.far = FAR if space.wide else FAR // space.hardware.tick.per_cycle

    def held(self, p: Num, q: Num) -> TensorBits:
        return TensorBits(self.unit.ifmap, q * self.unit.ofmap, p * self.unit.weights)

    def fits(self, p: Num, q: Num) -> Num:
        return self.space.feasible(self.held(p, q))

    def ticks(self, compute: Num, p: Num, q: Num) -> Num:
        return self.space.array(compute, self.held(p, q))

    def least_words(self) -> tuple[Num, Num]:
        """P and Q of the fullest round, at least."""
        step = self.space.tap_step
        p = np.maximum(step * -(-self.weights // (step * self.rounds)), self.space.problem.most_taps)
        even = self.few_pixels * -(-self.filters // self.rounds)
        q = np.maximum(even, -(-self.space.all_pixels(self.tiles) // self.rounds))
        return p, np.maximum(q, self.most_pixels)

    def most_words(self, p: Num, q: Num) -> tuple[Num, Num]:
        """P and Q that the buffer allows at most beside the least of the other, and no more than all."""
        total, parts = self.space.room()
        unit, every = self.space.parts(self.unit), self.space.all_pixels(self.tiles)
        free = total - unit.ifmap
        most_p = most_units(free - q * unit.ofmap, unit.weights, self.weights)
        most_q = most_units(free - p * unit.weights, unit.ofmap, every)
        if parts is not None:
            most_p = np.minimum(most_p, parts.weights // unit.weights)
            most_q = np.minimum(most_q, parts.ofmap // unit.ofmap)
        return most_p, most_q

    def whole_words(self, p: Num, q: Num) -> tuple[Num, Num]:
        """P and Q at least, if no pass is split."""
        size = -(-self.space.filters // self.passes_each)  # some pass of each sub-kernel has so many
        step = self.space.tap_step
        p_whole = step * self._even(self.space.taps * self.passes_each // step, self.weights // step)
        count = np.maximum(self._even(self.space.passes, self.filters), self._crowded())
        p_whole = np.maximum(p_whole, count * min(layer.taps for layer in self.space.kernels.layers))
        p = np.maximum(np.maximum(p, p_whole), size * self.space.problem.most_taps)
        return p, np.maximum(np.maximum(q, count * self.few_pixels), size * self.most_pixels)

    def _crowded(self) -> Num:
        """Filters of the fullest round: some round holds ``v = ceil(passes / R)`` passes.

        The other passes of a sub-kernel hold at most N or L filters, so a pass holds at least ``Co - (n-1)*
        min(N, L)`` (n passes of a sub-kernel; c of them in one round together no less than c times that),
        and N is at least v times that.
        """
        v, others = -(-self.space.passes // self.rounds), self.passes_each - 1
        filters, limit = self.space.filters, self.space.limit
        below = -(-v * filters // (1 + v * others))
        return np.where(below <= limit, below, v * (filters - others * limit))

    def _even(self, units: int, amount: int) -> Num:
        """Least load of the fullest round: ``units`` units of at most L each hold ``amount``."""
        v = -(-units // self.rounds)
        full = units - (v - 1) * self.rounds
        below = self.space.limit * (v - 1)
        rest = -(-(amount - (self.rounds - full) * below) // full)
        return np.where(amount <= self.rounds * below, -(-amount // self.rounds), rest)

    def forced(self, most: tuple[Num, Num]) -> tuple[Num, Num]:
        """How many more passes there are than without splitting any, counted by taps, and by number."""
        space, step = self.space, self.space.tap_step
        weighted = self._forced(most[0] // step, self.weights // step) - space.taps * self.passes_each // step
        counted = self._forced(most[1] // self.few_pixels, self.filters) - space.passes
        return np.maximum(weighted, 0), np.maximum(np.maximum(counted, self.rounds - space.passes), 1)

    def split_cycles(self, forced: tuple[Num, Num], most: tuple[Num, Num]) -> Num:
        """Cycles of the passes that must be split, at least one; huge where none can be."""
        if self.passes_each == self.space.filters:
            return np.full(self.rounds.shape, self.far)
        each = [self.space.pass_cost(k, self.tiles, self.ci)[1] for k in range(len(self.space.kinds))]
        return self.split_cost(forced, most, each)

    def split_cost(self, forced: tuple[Num, Num], most: tuple[Num, Num], each: Sequence[Num]) -> Num:
        """What the passes beyond the fewest cost, at least, if one of a kind's sub-kernels costs ``each``.

        Also where a pass of one sub-kernel alone would be more than the buffer's P or Q allow.
        """
        space, (weighted, counted) = self.space, forced
        dearest = np.minimum.reduce(
            [weighted * space.tap_step * e // k.layer.taps for e, k in zip(each, space.kinds, strict=True)]
        )
        narrow: Num = 0
        for kind, cost in zip(space.kinds, each, strict=True):
            pixels = self.tiles.pixels[kind.shape]
            held = np.minimum(np.minimum(most[0] // kind.layer.taps, most[1] // pixels), space.limit)
            passes = -(-space.filters // np.maximum(held, 1)) - self.passes_each
            narrow = narrow + len(kind.members) * passes * cost
        return np.maximum(np.maximum(counted * np.minimum.reduce(each), dearest), narrow)

    def _forced(self, most: Num, amount: int) -> Num:
        """Units that rounds of load at most ``most`` need to hold ``amount``; at most one for each."""
        limit = self.space.limit
        whole = most // limit
        short = amount - self.rounds * limit * whole
        beyond = most - limit * whole
        more = -(-short // np.maximum(beyond, 1))
        return np.where(short > 0, np.minimum(self.rounds * whole + more, amount), 0)
