"""What a network needs of its buffer, from what ``python -m solvers.size --outfile`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from solvers.views.plots import style
from solvers.views.plots.curves import TARGETS
from solvers.views.plots.picture import Picture
from solvers.views.plots.runs import Data
from solvers.views.plots.text import HandyUnit, named, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_FIELDS = {
    "traffic": ("traffic_bytes", "bytes"),
    "latency": ("latency_cycles", "cycles"),
    "energy": ("energy_pj", "pJ"),
}


def sizing_picture(sizing: Data) -> Picture:
    """The least traffic, latency or energy of each size of the buffer, and what a KiB more is worth.

    Args:
        sizing: ``network``, ``target``, ``least`` and ``sizes``, ascending.
    """
    return Picture("sizing", (5.6, 5.0), partial(_draw, sizing))


def _draw(sizing: Data, figure: Figure | SubFigure) -> tuple[Axes, ...]:
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    field, basic = _FIELDS[sizing["target"]]
    text, _ = TARGETS[sizing["target"]]
    rows = sizing["sizes"]
    size = unit(basic, (row[field] for row in rows))
    _values(upper, sizing, field, size)
    upper.set_ylabel(f"{text} [{size.name}]")
    worth = _worth(rows, field)
    saved = unit(basic, (value for _, _, value in worth))
    for first, last, value in worth:
        lower.fill_between(
            [first, last], saved.of(value), color=style.SKY, edgecolor=style.BLUE, linewidth=0.6
        )
    lower.set_ylabel(f"a KiB saves [{saved.name}]")
    lower.set_ylim(bottom=0)
    style.size_axis(lower, [row["buffer_bytes"] / 1024 for row in rows])
    lower.set_xlabel("buffer [KiB]")
    style.title(figure, f"{named(sizing['network'])}: {text} of the network against buffer")
    style.legend_above(upper, 3)
    return (upper, lower)


def _values(ax: Axes, sizing: Data, field: str, size: HandyUnit) -> None:
    rows = sizing["sizes"]
    x, y = [row["buffer_bytes"] / 1024 for row in rows], [size.of(row[field]) for row in rows]
    ax.plot(x, y, drawstyle="steps-post", color=style.BLUE, zorder=2, label="least found")
    marks = (("proven", True, style.BLUE), ("not proven", False, "white"))
    for text, proven, color in marks:
        some = [(u, v) for u, v, row in zip(x, y, rows, strict=True) if row["optimal"] is proven]
        if some:
            u, v = [u for u, _ in some], [v for _, v in some]
            edge: dict[str, Any] = {
                "markeredgecolor": style.BLUE,
                "linestyle": "",
                "markersize": 3.5,
                "zorder": 3,
            }
            ax.plot(u, v, marker="o", color=color, label=text, **edge)
    below = "roofline" if sizing["target"] == "latency" else "any schedule"
    ax.axhline(size.of(sizing["least"]), color=style.BLACK, linestyle=":", linewidth=1.1, label=below)
    ax.set_ylim(bottom=0)


def _worth(rows: Sequence[Data], field: str) -> list[tuple[float, float, float]]:
    """From one step of the staircase to the next [KiB], and what a KiB saves on the way, on average."""
    steps = [rows[0]]
    for row in rows:
        if row[field] < steps[-1][field]:
            steps.append(row)
    found = []
    for one, other in pairwise(steps):
        first, last = one["buffer_bytes"] / 1024, other["buffer_bytes"] / 1024
        found.append((first, last, (one[field] - other[field]) / (last - first)))
    return found
