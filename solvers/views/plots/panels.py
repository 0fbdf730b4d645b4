"""One large panel for the whole network, and a small one for each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from solvers.views.plots import style
from solvers.views.plots.picture import Picture
from solvers.views.plots.runs import Data
from solvers.views.plots.text import named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_COLUMNS, _WIDTH, _HEIGHT, _HEAD = 5, 1.75, 1.3, 0.8  # of small panels [inches]
_NAME = 26  # characters
_LARGE = (5.2, 3.6)  # [inches]

Panel = Callable[["Axes", Data], None]
"""Draws one thing, and sets limits and locators of its axes."""


def whole(name: str, data: Data, text: str, draw: Panel, axes: tuple[str, str]) -> Picture:
    """A picture of the total alone.

    Args:
        name: of the files.
        data: with ``network``, ``layers`` (a single one is told in the title) and ``total``.
        text: what is shown, for the title.
        draw: draws the total.
        axes: labels of x and y.
    """
    return Picture(name, _LARGE, partial(_whole, data, text, draw, axes))


def _whole(
    data: Data, text: str, draw: Panel, axes: tuple[str, str], figure: Figure | SubFigure
) -> tuple[Axes, ...]:
    ax = figure.subplots()
    draw(ax, data["total"])
    ax.set(xlabel=axes[0], ylabel=axes[1])
    of = [data["network"], *(layer["name"] for layer in data["layers"] if len(data["layers"]) == 1)]
    style.title(figure, f"{', '.join(map(named, of))}: {text}")
    style.legend_above(ax, 3)
    return (ax,)


def by_layer(name: str, data: Data, text: str, draw: Panel, axes: tuple[str, str]) -> Picture:
    """A picture with a small panel for each layer, in the network's order; arguments as of ``whole``."""
    count = max(len(data["layers"]), 1)
    columns = min(count, _COLUMNS)
    size = (max(columns * _WIDTH + 0.6, 4.0), -(-count // columns) * _HEIGHT + _HEAD)
    return Picture(name, size, partial(_by_layer, data, text, draw, axes))


def _by_layer(
    data: Data, text: str, draw: Panel, axes: tuple[str, str], figure: Figure | SubFigure
) -> tuple[Axes, ...]:
    layers = data["layers"]
    style.title(figure, f"{named(data['network'])}: {text}")
    figure.supxlabel(axes[0], fontsize=8)
    figure.supylabel(axes[1], fontsize=8)
    drawn = list(_grid(figure, len(layers)))
    for ax, layer in zip(drawn, layers, strict=True):
        draw(ax, layer)
        ax.set_title(named(layer["name"], _NAME), fontsize=6.5, weight="normal", pad=3)
        ax.tick_params(labelsize=5.5, pad=1.5, length=2)
    return tuple(drawn)


def _grid(figure: Figure | SubFigure, count: int) -> Iterator[Axes]:
    columns = min(max(count, 1), _COLUMNS)
    grid = figure.subplots(-(-max(count, 1) // columns), columns, squeeze=False)
    for place, ax in enumerate(grid.flat):
        if place < count:
            yield ax
        else:
            ax.axis("off")
