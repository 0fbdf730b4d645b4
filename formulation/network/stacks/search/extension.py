"""Cuts of a stack that are still open: which weights are kept, and the tiles of the others.

Every set of kept weights is bounded with the others streamed in their smallest tiles and computed as fast as
in the fastest; where that is open, the tiles that take the least time within the room are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from formulation.extents import Ints
from formulation.network.frontiers.frontier import promise
from formulation.network.stacks.cost import NO_SETUPS, Setups
from formulation.network.stacks.energy import spent
from formulation.network.stacks.search.tiled import TiledCuts, streamed
from formulation.pricing.price import Price
from formulation.space.counts import SAFE

_CLOSER = 1 << 12  # cuts with a set of kept weights that are bounded closer at once


class StackExtension(TiledCuts):
    """Cuts with every set of layers whose weights are kept, and the tiles of the others."""

    def _sums(self, kept: Sequence[Ints], others: Sequence[Ints]) -> Ints:
        """For each cut and set the sum over the layers of a figure, another if its weights are kept."""
        gain = np.stack([k - o for k, o in zip(kept, others, strict=True)], axis=1)
        return np.asarray(np.sum(others, axis=0)[:, None] + gain @ self.search.kept)

    def run(self) -> None:
        """Bound every set, and settle what is open."""
        search, none = self.search, 0 * self.maps
        room = self._sums([r[:, 0] for r in self.rooms], [streamed(r).min(axis=1) for r in self.rooms])
        room = room + self.maps[:, None]
        traffic = self.moved[:, None] + self._sums([none for _ in self.again], self.again)
        cycles = self._sums([c[:, 0] for c in self.cycles], [streamed(c).min(axis=1) for c in self.cycles])
        edge = self._sums([none + e[0] for e in self.edges], [none + streamed(e).min() for e in self.edges])
        edge = edge + self.ends[:, None]
        cut, chosen = np.nonzero(room <= search.room)
        traffic = traffic[cut, chosen]
        fewest = sum(a[cut, 0] for a in self.array)
        ports = (self.macs[cut], fewest) if self.array else None
        setups = NO_SETUPS
        if self.set_up:
            weights = self._sums(
                [s[:, 0] for s in self.set_up], [streamed(s).min(axis=1) for s in self.set_up]
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
            self._ends_of(cut, chosen, traffic)
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
                at, moved = int(cut[i]), int(traffic[i])
                self._enter(at, self._fitting(at, int(chosen[i]), moved), moved)

    def _ends_of(self, cut: Ints, chosen: Ints, traffic: Ints) -> None:
        """Enter what sets up the fewest transfers, and the smallest tiles, where they fit.

        The first is as good as any where transfers take longest, and of the others some fits always.
        """
        for figures in (self.set_up, self.rooms):
            picked, room = [], self.maps[cut]
            for layer, (figure, ticks) in enumerate(zip(figures, self._ticks, strict=True)):
                few, time = streamed(figure), streamed(ticks)
                most = time.max() + 1
                best = 1 + np.argmin(np.where(few == few.min(axis=1, keepdims=True), time, most), axis=1)
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
                np.where(k, r[at, 0], streamed(r[at]).min(axis=1))
                for k, r in zip(kept, self.rooms, strict=True)
            ]
            spare, fewest = search.room - self.maps[at] - sum(rooms), 0 * at
            for layer, least in enumerate(rooms):
                array, taken = self.array[layer][at], self.rooms[layer][at]
                fits = taken <= (spare + least)[:, None]
                within = np.where(streamed(fits), streamed(array), SAFE).min(axis=1)
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
        ticks = streamed(self._ticks[layer])
        if not self.array:
            best = np.argmin(ticks, axis=1)
            return 1 + best, self._light(layer, best)
        array = streamed(self.array[layer])
        few = array == array.min(axis=1, keepdims=True)
        best = np.argmin(np.where(few, ticks, ticks.max() + 1), axis=1)
        fastest = ticks[np.arange(len(best)), best] == ticks.min(axis=1)
        return 1 + best, (fastest | (not self._timed)) & self._light(layer, best)

    def _light(self, layer: int, best: Ints) -> Any:
        """For each cut whether no streamed tile sets up fewer transfers than one of them."""
        if not self.set_up:
            return np.ones(len(best), dtype=bool)
        setups = streamed(self.set_up[layer])
        return setups[np.arange(len(best)), best] == setups.min(axis=1)
