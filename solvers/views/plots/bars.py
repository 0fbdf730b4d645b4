"""Bars by layer: what takes the buffer, the cycles and the traffic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from solvers.views.plots import style
from solvers.views.plots.picture import Picture
from solvers.views.plots.runs import Data, Run, machine, runs, shares, unfit
from solvers.views.plots.text import HandyUnit, named, plain, times, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_PARTS = (
    ("ifmap", "I: ifmap", style.BLUE, ""),
    ("ofmap", "O: ofmap", style.ORANGE, style.STRIPES),
    ("weights", "W: weights", style.YELLOW, style.DOTS),
    ("held", "stays for later layers", style.PALE, ""),
)
_HEAD = 1.0  # title, legend, axis [inches]


def parts(data: Data) -> Picture:
    """What ifmap, ofmap and weights take of the buffer, piece by piece, as stacked bars.

    Args:
        data: a result.
    """
    rows = len(shares(data))
    return Picture("parts", (6.6, _HEAD + max(rows, 4) * style.ROW), partial(_draw_parts, data))


def _draw_parts(data: Data, figure: Figure | SubFigure) -> tuple[Axes, ...]:
    pieces, total = shares(data), machine(data).buffer_bytes / 1024
    ax = figure.subplots()
    ends = [0.0] * len(pieces)
    for field, text, color, hatch in _PARTS:
        sizes = [getattr(piece, field) / 1024 for piece in pieces]
        if any(sizes) or field != "held":
            _bars(ax, sizes, ends, text, color, hatch)
            ends = [end + size for end, size in zip(ends, sizes, strict=True)]
    ax.axvline(total, color=style.BLACK, linewidth=1, label=f"buffer: {plain(total)} KiB")
    style.name_rows(ax, [times(piece.name, piece.count) for piece in pieces])
    ax.set_xlim(0, total * 1.02)
    ax.set_xlabel("buffer taken, both halves of what is double-buffered [KiB]")
    _titled(figure, [ax], data, "parts of the buffer")
    return (ax,)


def layers(data: Data) -> Picture:
    """Cycles and DRAM traffic of every layer, beside what is proven and what is compulsory.

    Args:
        data: a result.
    """
    rows = len(runs(data))
    return Picture("layers", (7.6, _HEAD + max(rows, 4) * style.ROW), partial(_draw_layers, data))


def _draw_layers(data: Data, figure: Figure | SubFigure) -> tuple[Axes, ...]:
    found = runs(data)
    left, right = figure.subplots(1, 2, sharey=True)
    _latency(left, found, unit("cycles", (run.latency for run in found)))
    _traffic(right, found, unit("bytes", (run.traffic for run in found)))
    style.name_rows(left, [named(run.name) for run in found])
    style.unnamed_rows(right)
    _titled(figure, [left, right], data, "cycles and traffic of its layers")
    return (left, right)


def _latency(ax: Axes, found: Sequence[Run], cycles: HandyUnit) -> None:
    work = [cycles.of(min(run.compute, run.latency)) for run in found]
    wait = [cycles.of(run.latency) - done for run, done in zip(found, work, strict=True)]
    _bars(ax, work, [0.0] * len(found), "the array works", style.BLUE, "")
    _bars(ax, wait, work, "it waits", style.SKY, style.STRIPES)
    _bounds(ax, [None if run.latency_bound is None else cycles.of(run.latency_bound) for run in found])
    ax.set_xlabel(f"latency [{cycles.name}]")


def _traffic(ax: Axes, found: Sequence[Run], size: HandyUnit) -> None:
    known = any(run.compulsory is not None for run in found)
    least = [size.of(min(run.compulsory or 0, run.traffic)) for run in found]
    more = [size.of(run.traffic) - moved for run, moved in zip(found, least, strict=True)]
    if known:
        _bars(ax, least, [0.0] * len(found), "compulsory", style.RED, "")
    _bars(ax, more, least, "beyond it" if known else "moved", style.ORANGE, style.STRIPES)
    _bounds(ax, [None if run.traffic_bound is None else size.of(run.traffic_bound) for run in found])
    ax.set_xlabel(f"DRAM traffic [{size.name}]")


def _bars(
    ax: Axes, sizes: Sequence[float], starts: Sequence[float], text: str, color: str, hatch: str
) -> None:
    edge = style.GREY if color in (style.PALE, style.YELLOW) else "white"
    ax.barh(range(len(sizes)), sizes, 0.74, starts, label=text, color=color, hatch=hatch, edgecolor=edge)


def _bounds(ax: Axes, bounds: Sequence[float | None]) -> None:
    known = [(row, bound) for row, bound in enumerate(bounds) if bound is not None]
    if known:
        y, x = zip(*known, strict=True)
        ax.scatter(x, y, s=26, marker="|", color=style.BLACK, linewidths=1.1, label="proven bound", zorder=3)


def _titled(figure: Figure | SubFigure, axes: Iterable[Axes], data: Data, what: str) -> None:
    """A title, each panel's legend above it, and a line on layers without a mapping."""
    missing = unfit(data)
    note = f"; no mapping: {len(missing)} of {len(data['layers'])}" if missing else ""
    style.title(figure, f"{named(data['network'])}: {what}{note}")
    for ax in axes:
        style.legend_above(ax, 4)
