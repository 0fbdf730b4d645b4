"""The roofline with every layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from solvers.views.plots import style
from solvers.views.plots.numbered import Place, key, marks, number
from solvers.views.plots.picture import Picture
from solvers.views.plots.runs import Data, Machine, Run, machine, runs, unfit
from solvers.views.plots.text import named, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_WIDTH, _HEIGHT, _HEAD = 5.6, 4.8, 1.1  # of the axes with their labels, of title and axis [inches]
_LINE, _LETTER = 0.118, 0.056  # height of a line of the key and width of a letter [inches]
_FEWEST, _MOST = 32, 50  # lines of a column


def roofline(data: Data) -> Picture:
    """MACs per cycle against MACs per byte of DRAM traffic, with what the machine allows at most.

    Args:
        data: a result.
    """
    found = [run for run in runs(data) if run.macs and run.latency]
    columns = max(1, -(-len(found) // _MOST))
    lines = max(1, -(-len(found) // columns))
    longest = max((len(named(run.name)) for run in found), default=0)
    width = columns * (longest + 6) * _LETTER
    height = max(_HEIGHT, lines * _LINE + _HEAD)
    return Picture("roofline", (_WIDTH + width, height), partial(_draw, data, found, columns, width))


def _draw(
    data: Data, found: Sequence[Run], columns: int, width: float, figure: Figure | SubFigure
) -> tuple[Axes, ...]:
    ax, names = figure.subplots(1, 2, width_ratios=(_WIDTH, width))
    key(names, [run.name for run in found], columns, max(_FEWEST, -(-len(found) // columns)))
    about = machine(data)
    _limits(ax, about, found)
    missing = unfit(data)
    note = f"; no mapping: {len(missing)} of {len(data['layers'])}" if missing else ""
    style.title(figure, f"{named(data['network'])}: roofline{note}")
    _roof(ax, about)
    points = _points(ax, found)
    _plot(ax, points, about)
    style.legend_above(ax, 2)
    figure.figure.draw_without_rendering()  # where numbers have room depends on the layout
    number(ax, marks(ax, points))
    return (ax,)


def _intensity(run: Run) -> float:
    return run.macs / run.traffic if run.traffic else float("inf")


def _limits(ax: Axes, about: Machine, found: Sequence[Run]) -> None:
    ridge = about.peak / about.bytes_per_cycle
    known = [_intensity(run) for run in found if run.traffic]
    style.log_axis(ax, "x", [ridge / 4, ridge * 4, *known], 1.6)
    style.log_axis(ax, "y", [about.peak * 2, about.peak / 10, *(r.macs / r.latency for r in found)], 1.6)
    ax.set_xlabel("operational intensity [MACs per byte of DRAM traffic]")
    ax.set_ylabel("throughput [MACs per cycle]")


def _roof(ax: Axes, about: Machine) -> None:
    low, high = ax.get_xlim()
    slope, peak = about.bytes_per_cycle, about.peak
    ridge = peak / slope
    text = f"{about.rows} x {about.cols} array: {peak:,} MACs per cycle at {plain(about.frequency)} GHz"
    ax.plot([ridge, high], [peak, peak], color=style.BLACK, zorder=2, label=text)
    text = f"DRAM: {plain(about.bandwidth)} GB/s, {plain(slope)} bytes per cycle"
    ax.plot([low, ridge], [low * slope, peak], color=style.BLACK, linestyle="--", zorder=2, label=text)
    ax.axvline(ridge, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)


def _points(ax: Axes, found: Iterable[Run]) -> list[Place]:
    """Where the runs lie; those without traffic at the right edge."""
    right = float(ax.get_xlim()[1]) / 1.1
    return [(min(_intensity(run), right), run.macs / run.latency) for run in found]


def _plot(ax: Axes, points: Sequence[Place], about: Machine) -> None:
    ridge = about.peak / about.bytes_per_cycle
    kinds = (
        ("left of the ridge, where the DRAM limits", style.RED, "^", False),
        ("right of it, where the array limits", style.BLUE, "o", True),
    )
    for text, color, marker, beyond in kinds:
        some = [point for point in points if (point[0] >= ridge) is beyond]
        x, y = [x for x, _ in some], [y for _, y in some]
        ax.plot(x, y, marker, color=color, markeredgecolor="white", markeredgewidth=0.4, label=text, zorder=3)
