"""The heat maps of a sweep: a quantity over two of its axes, one picture for each choice of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from solvers.views.plots.heat import heat_map
from solvers.views.plots.picture import Picture

Row = Mapping[str, Any]

QUANTITIES = ("latency_cycles", "traffic_bytes")


def points_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``points.parquet``."""
    from solvers.exploring.sweeping.kept.tables import arrow

    arrow()
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(folder / "points.parquet").to_pylist()
    return rows


def sweep_pictures(name: str, axes: Sequence[str], rows: Sequence[Row]) -> Iterator[Picture]:
    """The heat maps of a sweep; none unless two axes have several values.

    The two axes with the most numbers are drawn, of equals the first ones.

    Args:
        name: of the sweep, for the title.
        axes: its columns in the rows.
        rows: of its points.
    """
    values = {axis: {str(row[axis]): row[axis] for row in rows} for axis in axes}
    several = [axis for axis in axes if len(values[axis]) > 1]
    drawn = sorted(several, key=lambda axis: -_numbers(values[axis]))[:2]
    if len(drawn) < 2:
        return
    x, y = sorted(drawn, key=axes.index)
    others = [axis for axis in several if axis not in drawn]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[axis] for axis in others), []).append(row)
    for number, (chosen, group) in enumerate(groups.items(), start=1):
        said = ", ".join(_short(value) for value in chosen)
        for quantity in QUANTITIES:
            title = f"{name}: {said}" if said else name
            file = f"{quantity}-{number}" if len(groups) > 1 else quantity
            yield heat_map(group, x, y, quantity, title=title, name=file)


def _numbers(values: Mapping[str, Any]) -> int:
    """How many of the values are numbers."""
    return sum(isinstance(value, int | float) for value in values.values())


def _short(value: Any) -> str:
    """A file by its name, anything else as it is."""
    return Path(value).stem if isinstance(value, str) and "/" in value else str(value)
