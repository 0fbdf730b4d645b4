"""Cuts of a stack with the figures of every way to hold weights, and which tiles may be best of one cut."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.network.frontiers.front import Front
from formulation.network.stacks.cost import NO_SETUPS, Setups
from formulation.network.stacks.energy import array_bits, layer_work, spent
from formulation.network.stacks.search.blends import Blends
from formulation.network.stacks.search.fitting import Limits, WeightTiles, fitting
from formulation.network.stacks.space import Picks, StackSpace
from formulation.network.stacks.weights import WeightFigures
from formulation.pricing.objective import Measure
from formulation.pricing.price import Price
from formulation.space.counts import SAFE

Ports = tuple[Ints, Any]
"""Multiply-accumulates, and bits between buffer and array."""

_TRIES = 4  # rounds of good choices before all are gone through


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


class TiledCuts:
    """Cuts with the figures of every way to hold the weights of each layer."""

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
        limits = Limits(self._most_bits(int(self.macs[cut]), traffic) if self.array else None)
        room = self.search.room - int(self.maps[cut])
        if not self.set_up:
            return fitting(options, room, timed=self._timed, most=limits)
        if self.array and not self._timed:  # then what takes less time with the fewest bits at the array
            fewest = fitting([replace(x, setup=0 * x.setup) for x in options], room, timed=False, most=limits)
            if not fewest:
                return []
            self._enter(cut, fewest, traffic)
            own = [self.array[layer][cut, tile] for layer, tile in enumerate(fewest[0])]
            limits = Limits(int(sum(own)))
        if not self.search.space.hardware.double_buffered:  # times add up
            tick = self.search.space.hardware.tick
            options = [replace(x, time=x.time + tick.of(x.setup, 0), setup=0 * x.setup) for x in options]
        return self._nearest(cut, traffic, options, room, limits)

    def _nearest(
        self, cut: int, traffic: int, options: list[WeightTiles], room: int, limits: Limits
    ) -> list[list[int]]:
        """The same where transfers are set up: first a few good ones, so that few others are of interest."""
        known = None
        for _ in range(_TRIES):
            most, before = self._limits(cut, traffic, options, limits), known
            if most.time is None:
                break
            found = Blends.of(options, most.known(room))
            near = found.options()
            if near is None:
                return []
            picked = [[int(o.number[i]) for o, i in zip(options, row, strict=True)] for row in found.picks()]
            self._enter(cut, picked, traffic)
            options = [each.take(index) for each, index in zip(options, near, strict=True)]
            known = most.time
            if known == before:
                break
        most = self._limits(cut, traffic, options, limits)
        return fitting(self._alike(cut, traffic, options), room, timed=True, most=most)

    def _bases(self, cut: int, traffic: int) -> tuple[int, int]:
        """Ticks that the array and the transfers take whatever the tiles are."""
        hardware, (setups, first) = self.search.space.hardware, (int(x[cut]) for x in self.begun)
        edge = hardware.tick.of(first * hardware.transfer_cycles, int(self.ends[cut]))
        return edge if hardware.double_buffered else 0, hardware.tick.of(setups, traffic)

    def _limits(self, cut: int, traffic: int, options: list[WeightTiles], limits: Limits) -> Limits:
        """With what a latency below a known point's leaves the tiles."""
        most = self._most_latency(int(self.macs[cut]), traffic, options)
        if most is None:
            return limits
        begun, moved = self._bases(cut, traffic)
        if not self.search.space.hardware.double_buffered:
            return replace(limits, time=most - moved, setup=0)
        per_cycle = self.search.space.hardware.tick.per_cycle
        return replace(limits, time=most - begun, setup=(most - moved) // per_cycle)

    def _alike(self, cut: int, traffic: int, options: list[WeightTiles]) -> list[WeightTiles]:
        """Set-ups count as none where the array takes longer whatever the tiles are."""
        begun, moved = self._bases(cut, traffic)
        least = begun + sum(int(each.time.min()) for each in options)
        most = moved + self.search.space.hardware.tick.of(sum(int(each.setup.max()) for each in options), 0)
        return [replace(x, setup=0 * x.setup) for x in options] if most <= least else options

    def _enter(self, cut: int, choices: list[list[int]], traffic: int) -> None:
        """Enter choices of tiles that fit."""
        tiles = np.array(choices, dtype=np.int64).reshape(-1, len(self.search.layers))
        taken = sum(self.rooms[layer][cut, column] for layer, column in enumerate(tiles.T))
        tiles = tiles[self.maps[cut] + taken <= self.search.room]
        self._add(np.full(len(tiles), cut), list(tiles.T), np.full(len(tiles), traffic))

    def _most_latency(self, macs: int, traffic: int, options: list[WeightTiles]) -> int | None:
        """The most latency of interest [ticks]; None for no limit that is known."""
        front, rates = self.search.front, self.search.space.rates
        if rates is None or not self._timed:
            return front.latency_within(traffic)
        alone = isinstance(front.kind, Measure) and front.kind.quantity is not None
        if not alone or not rates.tick or not len(front):
            return None
        bits = sum(int(each.bits.min()) for each in options)
        return int((int(front.found.price.spent[0]) - rates.of(macs, bits, traffic, 0)) // rates.tick)

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
        search = self.search
        if not len(cut):
            return
        room, cycles, edge = self.maps[cut], 0 * traffic, self.ends[cut]
        setups, first = self.begun.take(cut)
        for layer, at in enumerate(picked):
            room = room + self.rooms[layer][cut, at]
            cycles = cycles + self.cycles[layer][cut, at]
            edge = edge + self.edges[layer][at]
            setups = setups + self.set_up[layer][cut, at] if self.set_up else setups
        ports = None
        if self.array:
            ports = self.macs[cut], sum(a[cut, at] for a, at in zip(self.array, picked, strict=True))
        choice = np.stack([self.rank[cut], *picked[::-1]])
        search.front.add(search.price(cycles, edge, traffic, ports, Setups(setups, first)), room, choice)


def streamed(figures: Any) -> Any:
    """Those of weights that are streamed; of weights that stay for good, which never are, their own."""
    return figures[..., 1:] if figures.shape[-1] > 1 else figures
