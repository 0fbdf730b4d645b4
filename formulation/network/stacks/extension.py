"""Cuts of a stack that are still open: which weights are kept, and the tiles of the others.

Every set of kept weights is bounded with the others streamed in their smallest tiles and computed as fast as
in the fastest; where that is open, the tiles that take the least time within the room are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.network.frontiers.front import Front
from formulation.network.frontiers.frontier import promise
from formulation.network.stacks.cost import NO_SETUPS, Setups
from formulation.network.stacks.energy import array_bits, layer_work, spent
from formulation.network.stacks.fitting import WeightTiles, fitting
from formulation.network.stacks.space import Picks, StackSpace
from formulation.network.stacks.weights import WeightFigures
from formulation.pricing.objective import Measure
from formulation.pricing.price import Price
from formulation.space.counts import SAFE

Ports = tuple[Ints, Any]
"""Multiply-accumulates, and bits between buffer and array."""

_CLOSER = 1 << 12  # cuts with a set of kept weights that are bounded closer at once


class StackSearch:
    """What a search of one room looks at.

    Args:
        space: the stack beside a state of its tensors.
        front: of what has been found.
        room: bits.

    Attributes:
        kept: whether the weights of a layer are kept, layers x sets of layers.
    """

    def __init__(self, space: StackSpace, front: Front, room: int) -> None:
        self.space, self.front, self.room = space, front, room
        self.cuts, self.layers = space.cuts, range(len(space.weights))
        self.waits = [False] * len(self.layers)
        every = 1 << len(self.layers)
        sets = np.arange(every - 1 if space.stack.resident else 0, every)
        self.kept = (sets[None, :] >> np.arange(len(self.layers))[:, None]) & 1

    def price(
        self, cycles: Any, edge: Any, traffic: Ints, ports: Ports | None, setups: Setups = NO_SETUPS
    ) -> Price:
        """Latency, traffic and, if something is summed, what is spent, or bounds on them."""
        latency = self.cuts.latency(cycles, edge, traffic, setups)
        rates = self.space.rates
        taken = None if ports is None or rates is None else spent(rates, *ports, traffic, latency)
        return Price.of(latency, traffic, taken)


class StackExtension:
    """Cuts with every set of layers whose weights are kept, and the tiles of the others."""

    def __init__(self, search: StackSearch, rank: Ints) -> None:
        self.search, self.rank = search, rank
        space, cuts = search.space, search.cuts
        picks = space.picks(rank)
        self.maps = cuts.rooms(picks, search.waits)
        self.moved = cuts.moved(picks) + sum(held[0].moved for held in space.weights)
        first, last = cuts.first_and_last(picks)
        self.ends = first + last
        cycles, begin = cuts.setups(picks)
        self.begun = Setups(cycles, begin + space.moved_weights)  # but for cycles to set up weights
        self.set_up = list[Ints]()  # of each layer, cuts x choices, if transfers are set up
        self.again, self.rooms, self.cycles = [], [], []  # of each layer; the last two cuts x choices
        self.macs, self.array = 0 * self.maps, list[Ints]()  # the same of bits at the array, if asked for
        for layer, held in enumerate(space.figures):
            steps = cuts.steps(layer, picks)
            self.again.append(space.weights[layer][0].moved * (steps - 1))
            if space.hardware.transfer_cycles:
                times = np.where(np.arange(len(held.setup)) > 0, steps[:, None], 1)
                self.set_up.append(held.setup * times)
            self.rooms.append(self._rooms(layer, held, picks))
            passes = cuts.passes(layer, picks)
            if passes:
                cycles = np.stack(passes, axis=1) @ held.cycles
            else:
                cycles = np.zeros((len(rank), len(held.room)), dtype=np.int64)
            self.cycles.append(cycles)
            if space.rates is not None:
                work = layer_work(cuts, layer, picks, passes)
                self.macs = self.macs + work.macs.sum(axis=0)
                bits = array_bits(space.hardware, work, held)
                self.array.append(np.broadcast_to(bits, cycles.shape))
        self.edges = [held.edge for held in space.figures]

    def _rooms(self, layer: int, held: WeightFigures, picks: Picks) -> Ints:
        """What each choice takes, with what partial sums take more."""
        cuts, index = self.search.cuts, self.search.space.stack.ofmaps[layer]
        rooms = np.broadcast_to(held.room, (len(self.rank), len(held.room))).copy()
        if held.partial.any():
            wider = cuts.room(index, picks, True) - cuts.room(index, picks, False)
            rooms += wider[:, None] * held.partial
        return rooms

    def _sums(self, kept: Sequence[Ints], others: Sequence[Ints]) -> Ints:
        """For each cut and set the sum over the layers of a figure, another if its weights are kept."""
        gain = np.stack([k - o for k, o in zip(kept, others, strict=True)], axis=1)
        return np.asarray(np.sum(others, axis=0)[:, None] + gain @ self.search.kept)

    def run(self) -> None:
        """Bound every set, and settle what is open."""
        search, none = self.search, 0 * self.maps
        room = self._sums([r[:, 0] for r in self.rooms], [_streamed(r).min(axis=1) for r in self.rooms])
        room = room + self.maps[:, None]
        traffic = self.moved[:, None] + self._sums([none for _ in self.again], self.again)
        cycles = self._sums([c[:, 0] for c in self.cycles], [_streamed(c).min(axis=1) for c in self.cycles])
        edge = self._sums([none + e[0] for e in self.edges], [none + _streamed(e).min() for e in self.edges])
        edge = edge + self.ends[:, None]
        cut, chosen = np.nonzero(room <= search.room)
        traffic = traffic[cut, chosen]
        fewest = sum(a[cut, 0] for a in self.array)
        ports = (self.macs[cut], fewest) if self.array else None
        setups = NO_SETUPS
        if self.set_up:
            weights = self._sums(
                [s[:, 0] for s in self.set_up], [_streamed(s).min(axis=1) for s in self.set_up]
            )
            setups = Setups(self.begun.cycles[cut] + weights[cut, chosen], self.begun.first[cut])
        price = search.price(cycles[cut, chosen], edge[cut, chosen], traffic, ports, setups)
        at = np.flatnonzero(search.front.open(price))
        cut, chosen, traffic = cut[at], chosen[at], traffic[at]
        if len(at):
            self._settle(cut, chosen, traffic, price.take(at))

    def _settle(self, cut: Ints, chosen: Ints, traffic: Ints, bound: Price) -> None:
        """The best tile of every layer where all fit and that is certain; the best that fit elsewhere."""
        search, front = self.search, self.search.front
        if self.set_up:
            self._lightest(cut, chosen, traffic)
        picked, certain = [], np.ones(len(cut), dtype=bool)
        for layer in search.layers:
            best, sure = self._best(layer)
            picked.append(np.where(search.kept[layer, chosen] == 1, 0, best[cut]))
            certain &= (search.kept[layer, chosen] == 1) | sure[cut]
        room = self.maps[cut] + sum(r[cut, p] for r, p in zip(self.rooms, picked, strict=True))
        fits = room <= search.room
        self._add(cut[fits], [p[fits] for p in picked], traffic[fits])
        left = np.flatnonzero(~(fits & certain))
        left = left[front.open(bound.take(left))]
        if self.array:
            left = self._closer(cut, chosen, traffic, bound, left)
        for i in left:
            if front.open(bound.take(np.array([i])))[0]:
                for tiles in self._fitting(int(cut[i]), int(chosen[i]), int(traffic[i])):
                    self._add(cut[i : i + 1], [np.array([t]) for t in tiles], traffic[i : i + 1])

    def _lightest(self, cut: Ints, chosen: Ints, traffic: Ints) -> None:
        """Enter what sets up the fewest transfers, where it fits: it is as good as the fastest at times."""
        picked, room = [], self.maps[cut]
        for layer, (setups, ticks) in enumerate(zip(self.set_up, self._ticks, strict=True)):
            few, time = _streamed(setups), _streamed(ticks)
            best = 1 + np.argmin(
                np.where(few == few.min(axis=1, keepdims=True), time, time.max() + 1), axis=1
            )
            picked.append(np.where(self.search.kept[layer, chosen] == 1, 0, best[cut]))
            room = room + self.rooms[layer][cut, picked[-1]]
        fits = room <= self.search.room
        self._add(cut[fits], [p[fits] for p in picked], traffic[fits])

    def _closer(self, cut: Ints, chosen: Ints, traffic: Ints, bound: Price, left: Ints) -> Ints:
        """Those of some cuts and sets that are open by a closer bound, the most promising first.

        Of no layer can the tile take more than the least of the others leaves it.
        """
        search, found, order = self.search, [], []
        for some in np.array_split(left, 1 + len(left) // _CLOSER):
            at, kept = cut[some], search.kept[:, chosen[some]] == 1
            rooms = [
                np.where(k, r[at, 0], _streamed(r[at]).min(axis=1))
                for k, r in zip(kept, self.rooms, strict=True)
            ]
            spare, fewest = search.room - self.maps[at] - sum(rooms), 0 * at
            for layer, least in enumerate(rooms):
                array, taken = self.array[layer][at], self.rooms[layer][at]
                fits = taken <= (spare + least)[:, None]
                within = np.where(_streamed(fits), _streamed(array), SAFE).min(axis=1)
                fewest = fewest + np.where(kept[layer], array[:, 0], within)
            time = bound.latency[some]
            rates = search.space.rates
            assert rates is not None
            taken = spent(rates, self.macs[at], fewest, traffic[some], time)
            price = Price.of(time, traffic[some], taken)
            still = np.flatnonzero(search.front.open(price))
            found.append(some[still])
            order.append(promise([price], search.front.kind)[still])
        return np.concatenate(found)[np.argsort(np.concatenate(order), kind="stable")]

    def _best(self, layer: int) -> tuple[Ints, Any]:
        """For each cut the streamed tile that is best if it fits, and whether that is certain.

        The fastest one. Where bits at the array are summed, of those with the fewest bits at the array: no
        other is better, unless a faster one may be because time costs something. Nor is one that has more
        transfers than another certain.
        """
        ticks = _streamed(self._ticks[layer])
        if not self.array:
            best = np.argmin(ticks, axis=1)
            return 1 + best, self._light(layer, best)
        array = _streamed(self.array[layer])
        few = array == array.min(axis=1, keepdims=True)
        best = np.argmin(np.where(few, ticks, ticks.max() + 1), axis=1)
        fastest = ticks[np.arange(len(best)), best] == ticks.min(axis=1)
        return 1 + best, (fastest | (not self._timed)) & self._light(layer, best)

    def _light(self, layer: int, best: Ints) -> Any:
        """For each cut whether no streamed tile sets up fewer transfers than one of them."""
        if not self.set_up:
            return np.ones(len(best), dtype=bool)
        setups = _streamed(self.set_up[layer])
        return setups[np.arange(len(best)), best] == setups.min(axis=1)

    @property
    def _timed(self) -> bool:
        """Whether a tick costs something, where something is summed."""
        kind, rates = self.search.front.kind, self.search.space.rates
        return isinstance(kind, Measure) and bool(kind.weights.latency or (rates and rates.tick))

    @cached_property
    def _ticks(self) -> list[Any]:
        """For each layer the time of the array with each choice, without the other layers; cuts x choices."""
        hardware, tick, found = self.search.space.hardware, self.search.space.hardware.tick, []
        for cycles, edges in zip(self.cycles, self.edges, strict=True):
            edge = edges if hardware.double_buffered else 0 * edges
            if tick.of(int(cycles.max()), int(edge.max())) >= SAFE:
                found.append(tick.of(cycles.astype(object), edge.astype(object)))
            else:
                found.append(tick.of(cycles, edge))
        return found

    def _fitting(self, cut: int, chosen: int, traffic: int) -> list[list[int]]:
        """The tiles that may be best within the room: layer by layer, keeping what none beats.

        Best is what takes the least time; where those are summed, the fewest bits at the array and then
        the least time, or, if time costs something, whatever is not worse in both. Where transfers are set
        up, whatever is not worse in any of these and in the time of the set-ups.
        """
        options = []
        for layer in self.search.layers:
            ticks, rooms = self._ticks[layer][cut], self.rooms[layer][cut]
            array = self.array[layer][cut] if self.array else 0 * rooms
            some = np.arange(1) if self.search.kept[layer, chosen] else np.arange(1, len(rooms))
            setups = self.set_up[layer][cut] if self.set_up else 0 * rooms
            options.append(WeightTiles(rooms[some], array[some], ticks[some], some, some, setups[some]))
        most = self._most_bits(int(self.macs[cut]), traffic) if self.array else None
        timed, room = self._timed or bool(self.set_up), self.search.room - int(self.maps[cut])
        return fitting(options, room, timed=timed, most_bits=most)

    def _most_bits(self, macs: int, traffic: int) -> int | None:
        """Bits at the array with which the least sum so far is reached; None if that is not known."""
        front, rates = self.search.front, self.search.space.rates
        alone = isinstance(front.kind, Measure) and front.kind.quantity is not None
        if rates is None or not rates.port or not alone or not len(front):
            return None
        left = int(front.found.price.spent[0]) - rates.of(macs, 0, traffic, 0)
        return int(left // rates.port)

    def _add(self, cut: Ints, picked: list[Ints], traffic: Ints) -> None:
        """Enter schedules into the front."""
        search, space = self.search, self.search.space
        if not len(cut):
            return
        room, cycles, edge = self.maps[cut], 0 * traffic, self.ends[cut]
        setups, first = self.begun.take(cut)
        code, base = 0 * traffic, 1
        for layer, at in enumerate(picked):
            room = room + self.rooms[layer][cut, at]
            cycles = cycles + self.cycles[layer][cut, at]
            edge = edge + self.edges[layer][at]
            setups = setups + self.set_up[layer][cut, at] if self.set_up else setups
            code, base = code + base * at, base * len(space.weights[layer])
        ports = None
        if self.array:
            ports = self.macs[cut], sum(a[cut, at] for a, at in zip(self.array, picked, strict=True))
        choice = np.zeros((5, len(cut)), dtype=np.int64)
        choice[0], choice[1] = self.rank[cut], code
        search.front.add(search.price(cycles, edge, traffic, ports, Setups(setups, first)), room, choice)


def _streamed(figures: Any) -> Any:
    """Those of weights that are streamed; of weights that stay for good, which never are, their own."""
    return figures[..., 1:] if figures.shape[-1] > 1 else figures
