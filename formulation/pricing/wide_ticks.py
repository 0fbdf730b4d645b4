"""Latencies whose ticks might not fit 64 bits: exact all the same, and nearly as fast.

A bandwidth of 21.333333333333332 GB/s makes a cycle 5,333,333,333,333,333 ticks, so that a latency of a
few thousand cycles is more than 64 bits hold. But every latency is the time of some array cycles and of the
transfer of some bits, and these two are small. They are what is kept:

    ticks = cycles * per_cycle + bits * per_bit

*Nothing wraps.* ``cycles`` and ``bits`` are sums that ``formulation.space.counts`` proves to be below 2**62;
they are never multiplied here as 64-bit integers. Products are either of floating point, which does not wrap,
or of Python's integers.

*Comparisons are exact.* The estimate ``cycles + bits * (per_bit / per_cycle)`` has five roundings (two
conversions, the rate, product, sum) of at most 2**-53 relative each, and no term is negative, so that it is
within 2**-50 of the latency in cycles. Two estimates that differ by more than 2**-48 of the greater (and
``_TINY``, for rates that floating point hardly holds) are therefore in the order of their latencies. All
others, usually few, are compared in Python's integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from formulation.hardware import Tick

_NEAR = 2.0**-48  # relative; estimates that differ by more are in the right order
_TINY = 1e-290  # absolute [cycles]

Ints = NDArray[np.int64]


class WideTicks(NDArrayOperatorsMixin):
    """Many latencies [ticks]: compared, picked from, joined and sorted like an array of integers.

    A single element is a Python integer. Whatever would lose exactness, arithmetic for one, is refused with
    a TypeError.

    Args:
        cycles: array cycles, not negative.
        bits: bits transferred, not negative; of a shape that broadcasts with that of ``cycles``.
        tick: the unit.
    """

    def __init__(self, cycles: Any, bits: Any, tick: Tick) -> None:
        pair = np.asarray(cycles, dtype=np.int64), np.asarray(bits, dtype=np.int64)
        self.cycles, self.bits = np.broadcast_arrays(*pair)
        self.tick = tick

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.cycles.shape

    def __len__(self) -> int:
        return len(self.cycles)

    def __getitem__(self, index: Any) -> Any:
        cycles, bits = self.cycles[index], self.bits[index]
        if np.ndim(cycles) == 0:
            return self.tick.of(int(cycles), int(bits))
        return WideTicks(cycles, bits, self.tick)

    def __int__(self) -> int:
        return self.item()

    def item(self) -> int:
        """The only element."""
        ticks: int = self.tick.of(self.cycles.item(), self.bits.item())
        return ticks

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError("wide ticks are no array of numbers; astype gives one")

    def estimate(self) -> NDArray[np.float64]:
        """In cycles, within 2**-50 relative."""
        return np.asarray(self.cycles + self.bits * (self.tick.per_bit / self.tick.per_cycle))

    def astype(self, kind: type) -> Any:
        """Ticks as Python's integers (``object``), or within 1e-14 in floating point."""
        if kind is object:
            return self.tick.of(self.cycles.astype(object), self.bits.astype(object))
        if not np.issubdtype(kind, np.floating):
            raise TypeError(f"ticks may be too wide for {kind}")
        return self.estimate().astype(kind) * float(self.tick.per_cycle)

    def after(self, bits: Any, cycles: Any = 0) -> WideTicks:
        """With the transfer of more bits after each, and more cycles."""
        return WideTicks(self.cycles + cycles, self.bits + bits, self.tick)

    def min(self) -> int:
        """The least element; ValueError if there is none."""
        estimate = self.estimate()
        near = estimate - estimate.min() <= _NEAR * estimate + _TINY
        least: int = min(self[near].astype(object).tolist())
        return least

    def ranks(self) -> Ints:
        """Integers in the same order, equal where the latencies are."""
        flat = self[...] if self.shape else WideTicks(self.cycles[None], self.bits[None], self.tick)
        estimate = flat.estimate().reshape(-1)
        order = np.argsort(estimate, kind="stable")
        ascending = estimate[order]
        apart = np.diff(ascending, prepend=-np.inf) > _NEAR * ascending + _TINY
        near = np.flatnonzero(~(apart & np.append(apart[1:], True)))  # next to one that is about as great
        exact = flat.astype(object).reshape(-1)[order[near]] if len(near) else []
        place = {ticks: i for i, ticks in enumerate(sorted(set(exact)))}
        rank = np.cumsum(apart) * (len(place) + 1)
        rank[near] += np.array([place[ticks] for ticks in exact], dtype=np.int64)
        ranks = np.empty_like(rank)
        ranks[order] = rank
        return ranks.reshape(self.shape)

    def _sign(self, other: Any) -> Ints:
        """The sign of the difference to other latencies, or to numbers of ticks."""
        if isinstance(other, WideTicks):
            theirs = other.estimate()
        else:
            ticks = np.asarray(other, dtype=object)
            theirs = np.asarray(ticks / self.tick.per_cycle, dtype=np.float64)
        mine, theirs = np.broadcast_arrays(self.estimate(), theirs)
        sign = np.sign(mine - theirs).astype(np.int64)
        near = np.abs(mine - theirs) <= _NEAR * np.maximum(np.abs(mine), np.abs(theirs)) + _TINY
        if near.any():
            exact = _picked(self, near) - _picked(other, near)
            sign[near] = (exact > 0).astype(np.int64) - (exact < 0)
        return sign

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or len(inputs) != 2:
            return NotImplemented
        one, other = inputs
        if ufunc in _ORDER:
            if isinstance(one, WideTicks):
                return _ORDER[ufunc](one._sign(other), 0)
            return _ORDER[ufunc](0, other._sign(one))
        if ufunc in _CHOICE and isinstance(one, WideTicks) and isinstance(other, WideTicks):
            return _where(_CHOICE[ufunc](one._sign(other), 0), one, other)
        return NotImplemented

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return _FUNCTIONS[function](*args, **options) if function in _FUNCTIONS else NotImplemented


def _picked(ticks: Any, mask: NDArray[np.bool_]) -> Any:
    """Python's integers where a mask is true, after broadcasting to its shape."""
    if isinstance(ticks, WideTicks):
        columns = (np.broadcast_to(column, mask.shape)[mask] for column in (ticks.cycles, ticks.bits))
        return ticks.tick.of(*(column.astype(object) for column in columns))
    return np.broadcast_to(np.asarray(ticks, dtype=object), mask.shape)[mask]


def _where(mask: Any, one: WideTicks, other: WideTicks) -> WideTicks:
    cycles, bits = np.where(mask, one.cycles, other.cycles), np.where(mask, one.bits, other.bits)
    return WideTicks(cycles, bits, one.tick)


def _concatenate(parts: Sequence[WideTicks]) -> WideTicks:
    cycles, bits = np.concatenate([p.cycles for p in parts]), np.concatenate([p.bits for p in parts])
    return WideTicks(cycles, bits, parts[0].tick)


def _lexsort(keys: Sequence[Any]) -> Any:
    return np.lexsort([key.ranks() if isinstance(key, WideTicks) else key for key in keys])


def _argsort(ticks: WideTicks, kind: Any = None) -> Any:
    return np.argsort(ticks.ranks(), kind=kind)


_ORDER: dict[Any, Any] = {
    u: u for u in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
}
_CHOICE: dict[Any, Any] = {np.minimum: np.less_equal, np.maximum: np.greater_equal}
_FUNCTIONS: dict[Any, Any] = {
    np.where: _where,
    np.concatenate: _concatenate,
    np.lexsort: _lexsort,
    np.argsort: _argsort,
}
