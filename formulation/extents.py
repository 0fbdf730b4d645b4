"""Trip counts and input intervals of one axis, for every tile size at once; how many tiles have which extent.

Everything here is a closed form over integer arrays: the sums run over arithmetic progressions, so a
table costs time proportional to the number of tile sizes, not of tiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnns.axes import Axis
from dnns.layer import Layer

Ints = NDArray[np.int64]


_PIECE = 1 << 15  # tile sizes looked at together


def trip_count(extent: int, tile: Ints) -> Ints:
    """Number of tiles: ``ceil(extent / tile)``."""
    return -(-extent // tile)


def edge_tile(extent: int, tile: Ints) -> Ints:
    """Extent of the last tile: what the full tiles before it leave."""
    return extent - (trip_count(extent, tile) - 1) * tile


def clamped_sum(start: int | Ints, step: Ints, count: Ints, top: int) -> Ints:
    """``sum over k < count of min(max(start + step*k, 0), top)``, elementwise; ``step >= 1``."""
    below = np.clip(-(start // step), 0, count)  # terms that are <= 0, or 0 either way
    within = np.clip((top - start) // step + 1, below, count)  # terms before this one are <= top
    terms = within - below
    series = terms * start + step * ((within - 1) * within - (below - 1) * below) // 2
    return np.asarray(series + (count - within) * top)


@dataclass(frozen=True, slots=True, eq=False)
class AxisTable:
    """One axis cut into tiles, for each tile size; all arrays have the tile sizes' shape.

    Attributes:
        tile: tile sizes [outputs].
        trips: number of tiles.
        edge: extent of the last tile [outputs].
        fetched: sum over tiles of the input interval's length [words].
        slid: the same if each tile fetches only what the one before it has not [words].
        largest: the longest interval [words].
    """

    tile: Ints
    trips: Ints
    edge: Ints
    fetched: Ints
    slid: Ints
    largest: Ints


def axis_table(axis: Axis, tile: Ints) -> AxisTable:
    """Sum and maximum of the input intervals of ``Axis.interval`` over the tiles of an axis.

    An interval ``[l, h)`` clipped to ``[0, in)`` has ``clamp(h) - clamp(l)`` words, ``clamp(x) =
    min(max(x, 0), in)``; the ends of full tile ``k`` are ``k*t*stride - pad_lo`` and ``((k+1)*t - 1)*stride
    - pad_lo + Ke``. Slid, overlapping intervals (``Ke >= stride``) telescope to the span of them all,
    and disjoint ones save nothing. Python's integers in an ``object`` array stay what they are.
    """
    trips, edge = trip_count(axis.out, tile), edge_tile(axis.out, tile)
    step = tile * axis.stride
    reach = axis.effective_kernel - axis.stride  # of one tile's interval into the next one's
    top = axis.in_size
    last_end = np.clip((axis.out - 1) * axis.stride - axis.pad_lo + axis.effective_kernel, 0, top)
    starts = clamped_sum(-axis.pad_lo, step, trips, top)
    ends = clamped_sum(step - axis.pad_lo + reach, step, trips - 1, top) + last_end
    fetched = ends - starts
    span = last_end - np.clip(-axis.pad_lo, 0, top)
    slid = np.full_like(fetched, span) if reach >= 0 else fetched
    return AxisTable(tile, trips, edge, fetched, slid, _largest(axis, step, trips))


def _largest(axis: Axis, step: Ints, trips: Ints) -> Ints:
    """The longest clipped interval.

    Over full tiles the length rises until the start passes 0 or the end passes ``in``, is level, then
    falls: its maximum is beside the first of these two points. The last tile is looked at as well.
    """
    reach, top = axis.effective_kernel - axis.stride, axis.in_size

    def length(k: Ints) -> Ints:
        start = k * step - axis.pad_lo
        stop = np.minimum(start + step, axis.out * axis.stride - axis.pad_lo) + reach
        return np.asarray(np.clip(stop, 0, top) - np.clip(start, 0, top))

    start_inside = -(-axis.pad_lo // step)
    end_outside = -(-(top + axis.pad_lo - reach) // step) - 1
    turn = np.minimum(start_inside, end_outside)
    beside = [np.clip(turn + d, 0, trips - 1) for d in (-1, 0, 1)]
    return np.asarray(np.maximum.reduce([length(k) for k in (*beside, trips - 1)]))


@lru_cache(maxsize=4096)
def full_axis_table(axis: Axis) -> AxisTable:
    """The table of every tile size ``1 .. out`` of an axis, made in pieces that stay in the cache."""
    starts = range(1, axis.out + 1, _PIECE)
    parts = [axis_table(axis, np.arange(n, min(n + _PIECE, axis.out + 1))) for n in starts]
    if len(parts) == 1:
        return parts[0]
    names = AxisTable.__slots__
    return AxisTable(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def channel_tiles(extent: int, tile: Any, trips: Any) -> list[tuple[Any, Any]]:
    """Pairs ``(how many tiles, channels)`` of a dimension without halo."""
    return [(trips - 1, tile), (1, extent - (trips - 1) * tile)]


def cut_tiles(extent: int, tile: Any, sub: Any) -> list[tuple[Any, Any]]:
    """Pairs ``(how many sub-tiles, extent)`` of a dimension whose tiles are cut into sub-tiles.

    All but the last of each tile have the full extent; the last ones take what is left of their tile.
    """
    trips, inside = -(-extent // tile), -(-tile // sub)
    edge = extent - (trips - 1) * tile
    last = -(-edge // sub)
    full = (trips - 1) * (inside - 1) + last - 1
    return [(full, sub), (trips - 1, tile - (inside - 1) * sub), (1, edge - (last - 1) * sub)]


def product_tiles(dims: Iterable[list[tuple[Any, Any]]]) -> list[tuple[Any, Any]]:
    """Pairs ``(how many tiles, pixels)`` over the product of dimensions, of such pairs of each."""
    kinds: list[tuple[Any, Any]] = [(1, 1)]
    for dim in dims:
        kinds = [(c * k, p * x) for c, p in kinds for k, x in dim]
    return kinds


def spatial_tiles(trips: list[Any], full: list[Any], edge: list[Any]) -> list[tuple[Any, Any]]:
    """Pairs ``(how many tiles, pixels)`` over the product of axes, each cut into full and edge tiles."""
    axes = zip(trips, full, edge, strict=True)
    return product_tiles(
        [(1, e)] if isinstance(n, int) and n == 1 else [(n - 1, t), (1, e)] for n, t, e in axes
    )


def batch_axis(layer: Layer) -> Axis:
    """The batch as an axis: no halo, tiled like any other."""
    return Axis(out=layer.batch, in_size=layer.batch)
