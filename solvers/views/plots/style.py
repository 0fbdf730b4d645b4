"""The one style of all pictures: colours, marks, axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import floor, log2, log10
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from solvers.views.plots.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Okabe and Ito's colours: apart for every kind of colour blindness, and of different lightness.
BLUE, ORANGE, GREEN, RED, SKY, YELLOW = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#F0E442"
BLACK, GREY, PALE = "#000000", "#767676", "#D0D0D0"
STRIPES, DOTS = "/////", "..."
"""Hatches, for print without colour."""
METHODS = {
    "static": (ORANGE, "s"),
    "constrained": (SKY, "^"),
    "exhaustive": (BLUE, "o"),
    "exact": (RED, "D"),
    "combined": (GREEN, "v"),
}
"""Colour and marker of each method."""
ROW = 0.165
"""Height of a row with a name [inches]."""
_FEW_OCTAVES = 2
_FEW, _MOST = 3, 9  # sizes at an axis


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style, whatever the user's own settings are."""
    from matplotlib import style

    with style.context(["default", str(Path(__file__).with_name("plots.mplstyle"))]):
        yield


def log_axis(ax: Axes, which: Literal["x", "y"], values: Sequence[float], margin: float = 1.25) -> None:
    """Make an axis logarithmic over the values above 0, with plain numbers at it.

    Args:
        ax: the axes.
        which: of their axes.
        values: what must be seen.
        margin: factor of room at both ends.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    seen = [value for value in values if value > 0] or [1.0]
    low, high = min(seen) / margin, max(seen) * margin
    ax.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = ax.xaxis if which == "x" else ax.yaxis
    decades = log10(high / low)
    steps = (1, 1.5, 2, 3, 4, 6, 8) if decades < 1 else (1, 2, 5) if decades < 3 else (1,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=20))
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_minor_formatter(NullFormatter())


def size_axis(ax: Axes, sizes: Sequence[float], *, few: bool = False) -> None:
    """Make the x axis one of buffer sizes [KiB]: powers of two, or plain numbers if there are few octaves.

    Args:
        ax: the axes.
        sizes: that must be seen [KiB].
        few: whether there is room for a few numbers only.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    low, high = min(sizes), max(sizes)
    most = _FEW if few else _MOST
    if log2(high / low) < _FEW_OCTAVES:
        room = (high - low or high) * 0.03
        ax.set_xlim(low - room, high + room)
        ax.xaxis.set_major_locator(MaxNLocator(most))
    else:
        ax.set_xscale("log", base=2)
        ax.set_xlim(low / 1.05, high * 1.05)
        first, last = floor(log2(low) + 0.999), floor(log2(high))
        step = -(-(last - first + 1) // most)
        ax.xaxis.set_major_locator(FixedLocator([2.0**power for power in range(first, last + 1, step)]))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(plain))


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Make the y axis one of named rows, the first on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    unnamed_rows(ax)


def unnamed_rows(ax: Axes) -> None:
    """Leave the names of rows to the axes beside these."""
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")


def legend_above(ax: Axes, columns: int) -> None:
    """A legend over the axes, where it covers nothing."""
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, columnspacing=1.2, handlelength=1.8)


def title(figure: Figure | SubFigure, text: str) -> None:
    """A line over everything, from the left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=9, weight="bold")
