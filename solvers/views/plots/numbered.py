"""Numbers beside points that lie close together, and the names that they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import cos, pi, sin
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from solvers.views.plots import style
from solvers.views.plots.text import named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE, _LETTER, _LINE = 6.5, 0.6, 1.15  # of a number [points]; width and height of a letter in its size
_POINT = 3.5  # half of a point's side [points]
_NEAREST, _FARTHEST, _STEP, _DIRECTIONS = 5.0, 75.0, 4.0, 16  # of a number from its point [points]
_LED = 9.0  # from here on a line leads to the point [points]
_WRAPPED = 14  # letters

Place = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What lies on one point.

    Attributes:
        numbers: of the names, ascending.
        at: the point, as the axes have it.
    """

    numbers: tuple[int, ...]
    at: Place

    @property
    def text(self) -> str:
        """The numbers, neighbours joined: ``3, 5-7``."""
        chains = groupby(enumerate(self.numbers), lambda pair: pair[1] - pair[0])
        spans = [[number for _, number in chain] for _, chain in chains]
        words = [str(s[0]) if len(s) == 1 else f"{s[0]}-{s[-1]}" for s in spans]
        return "\n".join(wrap(", ".join(words), _WRAPPED))


def marks(ax: Axes, points: Sequence[Place]) -> list[Mark]:
    """Points, numbered from 1; those that cannot be told apart as one, in the order of their first."""
    scale = 72 / ax.figure.dpi
    found: list[tuple[list[int], Place, Place]] = []
    for number, point in enumerate(points, 1):
        x, y = ax.transData.transform(point) * scale
        near = (numbers for numbers, _, (u, v) in found if abs(u - x) < _POINT and abs(v - y) < _POINT)
        numbers = next(near, None)
        if numbers is None:
            found.append(([number], point, (x, y)))
        else:
            numbers.append(number)
    return [Mark(tuple(numbers), point) for numbers, point, _ in found]


def number(ax: Axes, some: Sequence[Mark]) -> None:
    """Write each mark's numbers where they cover neither a point nor each other, as near as there is room.

    The layout of the axes must be done.
    """
    scale = 72 / ax.figure.dpi
    places = [tuple(ax.transData.transform(mark.at) * scale) for mark in some]
    x0, y0, x1, y1 = ax.get_window_extent().extents
    edges = (x0 * scale, y0 * scale, x1 * scale, y1 * scale)
    taken: list[Box] = [(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in places]
    for mark, (x, y) in zip(some, places, strict=True):
        lines = mark.text.splitlines()
        half = max(map(len, lines)) * _SIZE * _LETTER / 2, len(lines) * _SIZE * _LINE / 2
        box, away = min(_around(x, y, *half), key=lambda tried: _cost(tried, taken, edges))
        taken.append(box)
        offset = ((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y)
        lead = {"arrowstyle": "-", "linewidth": 0.4, "color": style.GREY, "shrinkA": 0, "shrinkB": 2}
        ax.annotate(
            mark.text,
            mark.at,
            offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_SIZE,
            linespacing=1.0,
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.2},
            arrowprops=lead if away >= _LED else None,
            zorder=4,
        ).set_in_layout(False)


def _around(x: float, y: float, half_width: float, half_height: float) -> Iterator[tuple[Box, float]]:
    """Boxes around a point, and how far away their edges are, nearest first."""
    away = _NEAREST
    while away < _FARTHEST:
        for turn in range(_DIRECTIONS):
            angle = pi / 4 + 2 * pi * turn / _DIRECTIONS
            u, v = x + (away + half_width) * cos(angle), y + (away + half_height) * sin(angle)
            yield (u - half_width, v - half_height, u + half_width, v + half_height), away
        away += _STEP


def _cost(tried: tuple[Box, float], taken: Sequence[Box], edges: Box) -> tuple[float, float]:
    """What a box covers of others and of what lies outside the axes; then how far away it is."""
    box, away = tried
    outside = max(0, edges[0] - box[0], edges[1] - box[1], box[2] - edges[2], box[3] - edges[3])
    return outside * 100 + sum(_overlap(box, other) for other in taken), away


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def key(ax: Axes, names: Sequence[str], columns: int, lines: int) -> None:
    """Fill empty axes with the names and their numbers, column by column.

    Args:
        ax: nothing else is in it.
        names: number 1 first.
        columns: how many.
        lines: of a column at most.
    """
    ax.axis("off")
    looks: dict[str, Any] = {"va": "center", "fontsize": _SIZE, "transform": ax.transAxes}
    gap = 0.06 / columns
    for place, name in enumerate(names):
        column, line = divmod(place, lines)
        x, y = (column + 0.1) / columns, 1 - (line + 0.5) / lines
        ax.text(x, y, f"{place + 1}", ha="right", **looks).set_in_layout(False)
        ax.text(x + gap, y, named(name), **looks).set_in_layout(False)
