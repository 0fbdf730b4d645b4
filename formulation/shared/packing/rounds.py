"""Filters of several sub-kernels packed into rounds.

Round r holds ``x[j,r]`` filters of sub-kernel j, ``sum_r x[j,r] = Co``. A filter of sub-kernel j takes
``taps_j`` weight words per input channel and ``pixels_j`` ofmap words. What a packing costs is

    sum_j pass_cost_j * sum_r ceil(x[j,r] / limit)  +  alpha * P  +  beta * Q
    P = max_r sum_j x[j,r] * taps_j,   Q = max_r sum_j x[j,r] * pixels_j

with ``limit`` filters to a pass of the array: passes, and what the largest tiles take at the edge. Where
(P, Q) fits the buffer the packing is allowed.

Packings are built by balancing whole passes over the rounds, by spreading filters evenly, or by filling
rounds one after another and splitting a pass only where what is left would not fit otherwise. Their
cost is compared with the lower bounds of ``formulation.shared.packing_bounds``; where those do not meet,
branch and bound over the rounds settles it (``best_packing``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np

from formulation.extents import Ints

Rounds = tuple[tuple[int, ...], ...]
Fits = Callable[[int, int], bool]
_SHIFTS = 400  # steps of the repair that evens out the rounds


@dataclass(frozen=True, slots=True)
class Items:
    """What is packed.

    Attributes:
        filters: of each sub-kernel, ``Co``.
        limit: filters to a pass.
        taps: of each sub-kernel.
        pixels: of each sub-kernel's tile, up to a common factor.
    """

    filters: int
    limit: int
    taps: tuple[int, ...]
    pixels: tuple[int, ...]

    @property
    def least_passes(self) -> int:
        """Passes of one sub-kernel if no pass is split: ``ceil(Co / limit)``."""
        return -(-self.filters // self.limit)


@dataclass(frozen=True, slots=True)
class Packing:
    """A packing with its quantities.

    Attributes:
        rounds: filters of each sub-kernel in each round.
        passes: passes of each sub-kernel.
        weights: P, the largest round's weights per input channel.
        ofmap: Q, the largest round's ofmap, in the unit of ``Items.pixels``.
    """

    rounds: Rounds
    passes: tuple[int, ...]
    weights: int
    ofmap: int


def packing_of(items: Items, x: Ints) -> Packing:
    """A packing from its matrix (sub-kernels by rounds); empty rounds are left out, larger ones first."""
    x = x[:, x.any(axis=0)]
    weights, ofmap = np.array(items.taps) @ x, np.array(items.pixels) @ x
    order = np.lexsort((*(-x[::-1]), -ofmap, -weights))
    passes = (-(-x // items.limit)).sum(axis=1)
    rounds = tuple(tuple(int(n) for n in row) for row in x[:, order])
    return Packing(rounds, tuple(int(p) for p in passes), int(weights.max()), int(ofmap.max()))


@lru_cache(maxsize=65536)
def balanced_packings(items: Items, count: int) -> tuple[Packing, ...]:
    """Packings into at most ``count`` rounds that do not depend on the buffer: few passes, then few words.

    Whole passes balanced, passes of even size balanced, and every sub-kernel spread over all rounds.
    """
    least = items.least_passes
    cuts = [_full(items), _even(items.filters, least)]
    more = min(items.filters, -(-count // len(items.taps)))
    for pieces in (2 * least, 4 * least, more, min(count, items.filters)):
        if least < pieces <= items.filters:
            cuts.append(_even(items.filters, pieces))
    found = {packing_of(items, _level(items, _balance(items, cut, count))) for cut in cuts}
    return tuple(sorted(found, key=lambda p: (sum(p.passes), p.weights, p.ofmap, p.rounds)))


def _full(items: Items) -> list[int]:
    rest = items.filters % items.limit
    return [items.limit] * (items.filters // items.limit) + ([rest] if rest else [])


def _even(filters: int, pieces: int) -> list[int]:
    size, more = divmod(filters, pieces)
    return [size + 1] * more + [size] * (pieces - more)


def _balance(items: Items, cut: Sequence[int], count: int) -> Ints:
    """Longest processing time first: each piece into the round that it fills least."""
    taps, pixels = np.array(items.taps), np.array(items.pixels)
    x = np.zeros((len(taps), count), dtype=np.int64)
    load = np.zeros((2, count))
    mean = items.filters * np.array([taps.sum(), pixels.sum()]) / count
    pieces = [(size, j) for size in cut for j in range(len(taps))]
    pieces.sort(key=lambda p: (-p[0] * (taps[p[1]] / mean[0] + pixels[p[1]] / mean[1]), p[1]))
    for size, j in pieces:
        step = size * np.array([taps[j], pixels[j]]) / mean
        filled = load + step[:, None]
        r = int(np.argmin(filled.max(axis=0) + 1e-3 * filled.sum(axis=0)))
        x[j, r] += size
        load[:, r] += step
    return x


def _level(items: Items, x: Ints) -> Ints:
    """Shift filters from the fullest round into unfinished passes of the same sub-kernel elsewhere."""
    weights = np.array([items.taps, items.pixels])
    mean = np.maximum(1, weights.sum(axis=1) * items.filters / x.shape[1])
    for _ in range(_SHIFTS):
        load = (weights @ x) / mean[:, None]
        top = load.max(axis=0)
        r = int(np.argmax(top))
        room = np.where(x > 0, -x % items.limit, 0)
        drop = (top[r] - top)[None, :] / (weights / mean[:, None]).max(axis=0)[:, None]
        amount = np.minimum(np.minimum(room, x[:, [r]]), np.floor(drop / 2).astype(np.int64))
        amount[:, r] = 0
        j, to = np.unravel_index(int(np.argmax(amount)), amount.shape)
        if amount[j, to] <= 0:
            break
        x[j, r] -= amount[j, to]
        x[j, to] += amount[j, to]
    return x


def fill_rounds(items: Items, count: int, most: tuple[int, int]) -> Iterator[Packing]:
    """Packings into at most ``count`` rounds of at most ``most = (P, Q)`` each, filled one after another."""
    for largest_first in (True, False):
        x = _fill(items, count, most, largest_first)
        if x is not None:
            yield packing_of(items, x)


def _fill(items: Items, count: int, most: tuple[int, int], largest_first: bool) -> Ints | None:
    kernels = range(len(items.taps))
    left = [items.filters] * len(items.taps)
    x = np.zeros((len(left), count), dtype=np.int64)
    for r in range(count):
        room = list(most)
        while any(left):
            fit = [j for j in kernels if left[j] and _most(items, j, room) >= min(left[j], items.limit)]
            if fit:
                j = max(fit, key=lambda j: (_urgency(items, j, left[j], largest_first), -j))
                size = min(left[j], items.limit)
            else:
                j = max((j for j in kernels if left[j]), key=lambda j: (_most(items, j, room), -j))
                size = min(left[j], _most(items, j, room))
                if size <= 0 or _whole_passes_fit(items, left, count - r - 1, most):
                    break
            x[j, r] += size
            left[j] -= size
            room[0] -= size * items.taps[j]
            room[1] -= size * items.pixels[j]
    return None if any(left) else x


def _most(items: Items, j: int, room: Sequence[int]) -> int:
    return min(room[0] // items.taps[j], room[1] // items.pixels[j])


def _urgency(items: Items, j: int, left: int, largest_first: bool) -> tuple[int, ...]:
    size = items.taps[j], items.pixels[j]
    return (*size, left) if largest_first else (left, *size)


def _whole_passes_fit(items: Items, left: Sequence[int], count: int, most: tuple[int, int]) -> bool:
    """Whether the remaining rounds might hold what is left without splitting a pass."""
    for words, room in ((items.taps, most[0]), (items.pixels, most[1])):
        step = gcd(*words) * items.limit
        need = sum(n * w for n, w in zip(left, words, strict=True))
        if need > count * (room // step * step):
            return False
    return True
