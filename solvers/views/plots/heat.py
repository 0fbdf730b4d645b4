"""Heat maps of a sweep: one quantity over two of its axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite, log10
from typing import TYPE_CHECKING, Any

from dnns.errors import InputError
from solvers.views.plots import style
from solvers.views.plots.picture import Picture
from solvers.views.plots.text import HandyUnit, named, plain, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_CELL, _SIDE = (0.62, 0.34), (2.2, 1.2)  # of a cell, and of what is around them all [inches]
_WRITTEN = 400  # cells at most whose values are written
_DECADES = 1.5  # beyond which colours are logarithmic
_BASIC = {"bytes": "bytes", "cycles": "cycles", "pj": "pJ"}
"""Units by the last word of a column's name."""
_KNOWN = {
    "bufsize": ("buffer", "bytes"),
    "memory_bandwidth": ("DRAM bandwidth", "GB/s"),
    "frequency": ("clock", "GHz"),
    "traffic_bytes": ("DRAM traffic", "bytes"),
    "latency_cycles": ("latency", "cycles"),
    "energy_pj": ("energy", "pJ"),
    "energy_delay_js": ("energy times delay", "J s"),
    "seconds": ("time", "s"),
    "sa_size": ("side of the array", "elements"),
}
"""What columns are, and their units."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of a sweep as it is shown.

    Attributes:
        column: its name in the rows.
        text: what it is, without its unit; None for the column's name.
        unit: its unit; None for the one that the name says, ``""`` for none.
    """

    column: str
    text: str | None = None
    unit: str | None = None

    @property
    def known(self) -> tuple[str, str]:
        """What the column is, and the unit of the values in the rows, as far as its name says."""
        last = self.column.rpartition(".")[2]
        return _KNOWN.get(last) or (last.replace("_", " "), _BASIC.get(last.rpartition("_")[2], ""))

    @property
    def basic(self) -> str:
        """The unit of the values in the rows."""
        return self.known[1] if self.unit is None else self.unit

    def label(self, shown: str) -> str:
        """The text of an axis with a unit."""
        text = named(self.text or self.known[0])
        return f"{text} [{named(shown)}]" if shown else text


def heat_map(
    rows: Iterable[Mapping[str, Any]],
    x: str | Shown,
    y: str | Shown,
    value: str | Shown,
    *,
    title: str = "",
    name: str = "heat",
) -> Picture:
    """One quantity over two axes of a sweep, a cell for each pair of their values.

    Args:
        rows: of the sweep, one per point; None or NaN for a value that there is not.
        x: column of the horizontal axis.
        y: column of the vertical axis.
        value: column of the quantity, numbers.
        title: stands above it.
        name: of the files.

    Raises:
        InputError: for a column that there is not, no rows, or two values for one cell.
    """
    across, down, told = (q if isinstance(q, Shown) else Shown(q) for q in (x, y, value))
    known = list(rows)
    for column in (across.column, down.column, told.column):
        if not known or not any(column in row for row in known):
            raise InputError(name, column, "there is no such column in the rows, or there are no rows")
    cells: dict[tuple[Any, Any], float | None] = {}
    for row in known:
        at = (_plain(row[across.column]), _plain(row[down.column]))
        if at in cells:
            raise InputError(
                name, f"{at[0]}, {at[1]}", "two rows of one cell, allowed: one; choose the others"
            )
        number = row[told.column]
        cells[at] = None if number is None or not isfinite(number) else float(number)
    columns, lines = _ordered(at[0] for at in cells), _ordered(at[1] for at in cells)
    size = (max(_SIDE[0] + _CELL[0] * len(columns), 4.0), max(_SIDE[1] + _CELL[1] * len(lines), 2.4))
    draw = partial(_draw, cells, columns, lines, (across, down, told), title)
    return Picture(name, size, draw)


def _plain(value: Any) -> Any:
    """A value that can be a key: lists become text."""
    return value if isinstance(value, str | int | float) else str(value)


def _ordered(values: Iterable[Any]) -> list[Any]:
    """Each value once: numbers ascending, others in the order in which they come."""
    once = list(dict.fromkeys(values))
    return sorted(once) if all(isinstance(value, int | float) for value in once) else once


def _draw(
    cells: Mapping[tuple[Any, Any], float | None],
    columns: Sequence[Any],
    lines: Sequence[Any],
    quantities: tuple[Shown, Shown, Shown],
    title: str,
    figure: Figure | SubFigure,
) -> tuple[Axes, ...]:
    across, down, told = quantities
    ax = figure.subplots()
    known = [number for number in cells.values() if number is not None]
    size = unit(told.basic, known)
    values = [[cells.get((column, line)) for column in columns] for line in lines]
    table = [[float("nan") if v is None else size.of(v) for v in row] for row in values]
    shades = _shades([size.of(number) for number in known])
    image = ax.imshow(table, cmap="cividis", norm=shades, aspect="auto", origin="lower")
    _write(ax, table, shades)
    _scale(ax, "x", across, columns)
    _scale(ax, "y", down, lines)
    bar = figure.colorbar(image, ax=ax, pad=0.02)
    bar.set_label(told.label(size.name))
    ax.grid(visible=False)
    ax.set_facecolor("white")
    ax.tick_params(length=0)
    if title:
        style.title(figure, named(title, 80))
    return (ax,)


def _shades(values: Sequence[float]) -> Any:
    """From value to colour: logarithmic where values differ by much."""
    from matplotlib.colors import LogNorm, Normalize

    low, high = min(values, default=0), max(values, default=1)
    if low > 0 and log10(high / low) > _DECADES:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1)


def _write(ax: Axes, table: Sequence[Sequence[float]], shades: Any) -> None:
    """Write each value into its cell, dark on light; cross out a cell without one."""
    written = sum(map(len, table)) <= _WRITTEN
    for line, row in enumerate(table):
        for column, value in enumerate(row):
            if not isfinite(value):
                ax.plot(column, line, "x", color=style.GREY, markersize=5)
            elif written:
                color = "black" if shades(value) > 0.5 else "white"
                ax.text(column, line, f"{value:,.3g}", ha="center", va="center", fontsize=6.5, color=color)


def _scale(ax: Axes, which: str, quantity: Shown, values: Sequence[Any]) -> None:
    """Name the columns or lines by their values; bytes as KiB where they are whole."""
    shown = HandyUnit(quantity.basic)
    numbers = all(isinstance(value, int | float) for value in values)
    if numbers and shown.name == "bytes" and all(value % 1024 == 0 for value in values):
        shown = HandyUnit("KiB", 1024)
    names = [plain(shown.of(value)) if numbers else named(str(value)) for value in values]
    ax.set(**{f"{which}ticks": range(len(names)), f"{which}label": quantity.label(shown.name)})
    ax.set(**{f"{which}ticklabels": names})
    if which == "x" and max(map(len, names)) > 8:
        ax.tick_params(axis="x", labelrotation=30)
