"""Methods side by side, from what ``python -m solvers.compare --json`` writes of one scenario."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from solvers.views.plots import style
from solvers.views.plots.picture import Picture
from solvers.views.plots.runs import Data
from solvers.views.plots.text import named, times, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_ROW, _HEAD = 0.28, 1.1  # of a problem; title, legend, axis [inches]
_BAND = 0.8  # of a row, over which the methods are spread
_LEAST_GAP = 0.01  # percent, below which the axis is linear


def comparison_pictures(data: Data) -> tuple[Picture, Picture]:
    """Both pictures of a comparison, as ``--plots`` writes them."""
    return methods(data), gaps(data)


def methods(data: Data) -> Picture:
    """Cycles and DRAM traffic of every problem by each method.

    Args:
        data: a comparison.
    """
    height = _HEAD + max(len(_problems(data)), 3) * _ROW
    return Picture("methods", (7.6, height), partial(_draw_methods, data))


def gaps(data: Data) -> Picture:
    """The proven gap and the time of every problem by each method, and both in total.

    Args:
        data: a comparison.
    """
    width = max(6.0, 1.4 + 1.3 * len(data["methods"]))
    return Picture("gaps", (width, 3.4), partial(_draw_gaps, data))


def _problems(data: Data) -> list[Data]:
    """The rows of the first method: one for each problem, in order."""
    return [row for row in data["rows"] if row["method"] == data["methods"][0]]


def _of(data: Data, method: str) -> list[Data]:
    return [row for row in data["rows"] if row["method"] == method]


def _draw_methods(data: Data, figure: Figure | SubFigure) -> tuple[Axes, ...]:
    left, right = figure.subplots(1, 2, sharey=True)
    problems = _problems(data)
    quantities = (("latency_cycles", "cycles", "latency"), ("traffic_bytes", "bytes", "DRAM traffic"))
    for ax, (field, basic, text) in zip((left, right), quantities, strict=True):
        known = [row[field] for row in data["rows"] if row[field] is not None]
        scale = unit(basic, known)
        for method, shift in _shifts(data["methods"]):
            rows = list(enumerate(_of(data, method)))
            x = [scale.of(row[field]) for _, row in rows if row[field] is not None]
            y = [place + shift for place, row in rows if row[field] is not None]
            color, marker = style.METHODS[method]
            ax.plot(x, y, marker, color=color, label=method, markersize=3)
        style.log_axis(ax, "x", [scale.of(value) for value in known])
        ax.set_xlabel(f"{text} of one occurrence [{scale.name}]")
        _stripes(ax, len(problems))
    style.name_rows(left, [times(row["part"] or row["layer"], row["count"]) for row in problems])
    style.unnamed_rows(right)
    style.title(figure, f"{named(data['network'])}: cycles and traffic by method")
    style.legend_above(left, 3)
    return (left, right)


def _shifts(names: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Where in a row each method has its place."""
    for place, name in enumerate(names):
        yield name, _BAND * ((place + 0.5) / len(names) - 0.5)


def _stripes(ax: Axes, rows: int) -> None:
    """Every other row on a darker ground."""
    for row in range(0, rows, 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#f3f3f3", linewidth=0, zorder=0)


def _draw_gaps(data: Data, figure: Figure | SubFigure) -> tuple[Axes, ...]:
    left, right = figure.subplots(1, 2)
    totals = {row["method"]: row for row in data["totals"]}
    for place, method in enumerate(data["methods"]):
        rows, total = _of(data, method), totals[method]
        proven = [100 * row["gap"] for row in rows if row["gap"] is not None]
        _strip(left, place, method, proven)
        _strip(right, place, method, [row["seconds"] for row in rows])
        if total["gap"] is not None:
            _total(left, place, 100 * total["gap"], f"{100 * total['gap']:.2g} %")
        _total(right, place, total["seconds"], f"{total['seconds']:.3g} s")
    _gap_axis(left, [100 * row["gap"] for row in (*data["rows"], *data["totals"]) if row["gap"] is not None])
    seconds = [row["seconds"] for row in (*data["rows"], *data["totals"])]
    style.log_axis(right, "y", seconds, 2)
    right.set_ylabel("time [s]")
    within = {row["method"] for row in data["totals"] if row["bound_scope"] == "partition"}
    for ax in (left, right):
        names = [f"{m}*" if m in within and ax is left else m for m in data["methods"]]
        ax.set_xticks(range(len(names)), names)
        ax.set_xlim(-0.5, len(names) - 0.5)
        ax.grid(visible=False, axis="x")
        ax.tick_params(axis="x", length=0)
    if within:
        left.set_xlabel("* within its partition only")
    style.title(
        figure, f"{named(data['network'])}: gap and time by method; a point a problem, a line the whole"
    )
    return (left, right)


def _strip(ax: Axes, place: int, method: str, values: Sequence[float]) -> None:
    """Points of one method, side by side in their order."""
    count = max(len(values) - 1, 1)
    x = [place - 0.25 + 0.5 * index / count for index in range(len(values))]
    color, marker = style.METHODS[method]
    ax.plot(x, values, marker, color=color, markersize=3, alpha=0.8, markeredgewidth=0)


def _total(ax: Axes, place: int, value: float, text: str) -> None:
    """A line, with a text on it."""
    ax.plot([place - 0.32, place + 0.32], [value, value], color=style.BLACK, linewidth=1.2)
    ax.annotate(text, (place, value), (0, 3), textcoords="offset points", ha="center", fontsize=6.5)


def _gap_axis(ax: Axes, values: Sequence[float]) -> None:
    """Percent: linear near 0, which most gaps are, logarithmic beyond."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    from solvers.views.plots.text import plain

    most = max(values, default=0)
    ax.set_yscale("symlog", linthresh=_LEAST_GAP, linscale=0.5)
    ax.set_ylim(-_LEAST_GAP / 3, max(most * 2, 0.1))
    ax.yaxis.set_major_locator(FixedLocator([0, 0.01, 0.1, 1, 10, 100]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(plain))
    ax.set_ylabel("proven gap [%]")
