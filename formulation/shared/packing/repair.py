"""A packing moved towards target loads: filters shifted and exchanged between rounds, passes kept."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from formulation.extents import Ints
from formulation.shared.packing.rounds import Items, Packing, packing_of

_AMOUNTS = (1, 2, 4, 8, 16)  # filters moved at once, besides all of a round
_STEPS = 200
_EXCHANGES = 24  # sub-kernels up to which exchanges are looked at, not just shifts


@lru_cache(maxsize=16384)
def repaired(items: Items, packing: Packing, aim: tuple[int, int]) -> Packing:
    """The packing with less load above ``aim = (P, Q)``, if moves are found that split no more passes.

    Each step takes the round furthest above the aim that some move helps: filters of one sub-kernel go to
    another round, in exchange for filters of another sub-kernel or none.
    """
    x = np.array(packing.rounds, dtype=np.int64)
    words = np.array([items.taps, items.pixels], dtype=np.int64)
    scale = np.maximum(1, words.sum(axis=1) * items.filters / x.shape[1])
    for _ in range(_STEPS):
        excess = _excess(words @ x, aim, scale)
        for r in np.argsort(-excess, kind="stable"):
            if excess[r] <= 0:
                return packing_of(items, x)
            move = _best_move(items, x, words, aim, scale, int(r))
            if move is not None:
                (j, amount), (k, back), to = move
                x[j, r] -= amount
                x[j, to] += amount
                x[k, to] -= back
                x[k, r] += back
                break
        else:
            break
    return packing_of(items, x)


def _excess(load: Ints, aim: tuple[int, int], scale: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Ints:
    """How far loads (2 by anything) are above the aim, in shares of a mean round."""
    over_p, over_q = np.maximum(load[0] - aim[0], 0), np.maximum(load[1] - aim[1], 0)
    return np.asarray(over_p / scale[0] + over_q / scale[1])


Move = tuple[tuple[int, int], tuple[int, int], int]


def _best_move(
    items: Items,
    x: Ints,
    words: Ints,
    aim: tuple[int, int],
    scale: np.ndarray[tuple[int], np.dtype[np.float64]],
    r: int,
) -> Move | None:
    """The move out of round r that lowers the excess of both rounds most, None if none does."""
    load = words @ x
    exchanges = len(items.taps) <= _EXCHANGES
    j, amount = _amounts(x[:, r])
    best: tuple[float, Move] | None = None
    for to in range(x.shape[1]):
        if to == r:
            continue
        k, back = _amounts(x[:, to]) if exchanges else (np.zeros(0, np.int64), np.zeros(0, np.int64))
        k, back = np.r_[0, k], np.r_[0, back]
        change = words[:, j, None] * amount[:, None] - words[:, None, k] * back
        before = float(_excess(load[:, [r, to]], aim, scale).sum())
        after = _excess(load[:, r, None, None] - change, aim, scale)
        after = after + _excess(load[:, to, None, None] + change, aim, scale)
        paid = _paid(items, x, r, to, j, amount)[:, None] + _paid(items, x, to, r, k, back)
        allowed = (paid <= 0) & ((j[:, None] != k) | (back == 0))
        gain = np.where(allowed, before - after, 0)
        at = np.unravel_index(int(np.argmax(gain)), gain.shape)
        if gain[at] > 1e-9 and (best is None or gain[at] > best[0]):
            a, b = int(at[0]), int(at[1])
            best = float(gain[at]), ((int(j[a]), int(amount[a])), (int(k[b]), int(back[b])), to)
    return None if best is None else best[1]


def _amounts(held: Ints) -> tuple[Ints, Ints]:
    """Sub-kernels of a round, each with the amounts that may leave it."""
    pairs = [(j, a) for j, n in enumerate(held) if n for a in dict.fromkeys((*_AMOUNTS, int(n))) if a <= n]
    return np.array([j for j, _ in pairs]), np.array([a for _, a in pairs])


def _paid(items: Items, x: Ints, source: int, to: int, j: Ints, amount: Ints) -> Ints:
    """Passes, weighted by taps, that moving so many filters costs."""

    def passes(n: Ints) -> Ints:
        return np.asarray(-(-n // items.limit))

    now, there = x[j, source], x[j, to]
    change = passes(now - amount) - passes(now) + passes(there + amount) - passes(there)
    return np.asarray(change * np.array(items.taps)[j])
