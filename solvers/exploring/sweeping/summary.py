"""What a sweep found, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dnns.terminal.tables import fitted, put
from solvers.exploring.sweeping.axes.file import said
from solvers.exploring.sweeping.kept.rows import SOLVED

if TYPE_CHECKING:
    from rich.console import Console

    from dnns.terminal.tables import Title

MOST_ROWS = 64
"""Points up to which each has a row; beyond, each value of an axis has one."""
_MOST_REASONS = 8
_NUMBERS = ("latency_cycles", "traffic_bytes", "energy_pj")
_UNITS = {"latency_cycles": 1e3, "traffic_bytes": 1e3, "energy_pj": 1e6}


@dataclass(slots=True)
class AxisValue:
    """The points that share a value of an axis.

    Attributes:
        points: how many.
        solved: of them.
        least: of each number over the complete ones.
    """

    points: int = 0
    solved: int = 0
    least: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Summary:
    """What is kept of the points for the table; no more than that table needs.

    Attributes:
        axes: their names.
        count: of all points.
        statuses: how many points ended how.
        reasons: of the first that are not solved.
        rows: of all points, if they are few.
        groups: by axis and value, if they are many.
    """

    axes: Sequence[str]
    count: int
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    rows: list[tuple[str, ...]] = field(default_factory=list)
    groups: dict[tuple[str, str], AxisValue] = field(default_factory=dict)

    def add(self, number: int, values: Mapping[str, Any], point: Mapping[str, Any]) -> None:
        """Count a point."""
        self.statuses[point["status"]] += 1
        if point["reason"] is not None and len(self.reasons) < _MOST_REASONS:
            self.reasons.append(f"point {number}: {point['status']}: {point['reason']}")
        told = [said(values[name]) for name in self.axes]
        if self.count <= MOST_ROWS:
            numbers = (_number(name, point[name] if point["complete"] else None) for name in _NUMBERS)
            gap = point.get("gap")
            gap_told = "" if gap is None else f"{100 * gap:.2f}"
            self.rows.append((str(number), *told, *numbers, gap_told, point["status"]))
            return
        for axis, value in zip(self.axes, told, strict=True):
            group = self.groups.setdefault((axis, value), AxisValue())
            group.points += 1
            group.solved += point["status"] == SOLVED
            for name in _NUMBERS if point["complete"] else ():
                if point[name] is not None:
                    group.least[name] = min(point[name], group.least.get(name, point[name]))

    def print(self, console: Console) -> None:
        """The table, and why points are not solved."""
        put(console, self._points(console) if self.rows else self._axes(console))
        for reason in self.reasons:
            console.print(reason, markup=False, highlight=False, soft_wrap=True)
        more = sum(self.statuses.values()) - self.statuses[SOLVED] - len(self.reasons)
        if more > 0:
            console.print(f"and {more:,} more: column reason of points.parquet", highlight=False)

    def _points(self, console: Console) -> Any:
        titles: list[Title] = [("\npoint", "right"), *((f"\n{name}", "right") for name in self.axes)]
        titles += [("latency\nkcycles", "right"), ("traffic\nkB", "right"), ("energy\nuJ", "right")]
        titles += [("gap\n%", "right"), ("\n", "left")]
        last = len(titles) - 1
        return fitted(titles, self.rows, (last - 1, last - 2), console)

    def _axes(self, console: Console) -> Any:
        titles: list[Title] = [("\naxis", "left"), ("\nvalue", "right"), ("\npoints", "right")]
        titles += [("\nsolved", "right"), ("least latency\nkcycles", "right")]
        titles += [("least traffic\nkB", "right"), ("least energy\nuJ", "right")]
        return fitted(titles, list(self._group_rows()), (6,), console)

    def _group_rows(self) -> Iterator[tuple[str, ...]]:
        for (axis, value), group in sorted(self.groups.items(), key=lambda item: self.axes.index(item[0][0])):
            numbers = (_number(name, group.least.get(name)) for name in _NUMBERS)
            yield (axis, value, f"{group.points:,}", f"{group.solved:,}", *numbers)


def _number(name: str, value: float | None) -> str:
    return "" if value is None else f"{value / _UNITS[name]:,.0f}"
