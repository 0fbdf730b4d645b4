"""Columns of the tables that people read: units, and what is left out where there is no room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

from formulation.hardware import Hardware

Title = tuple[str, Literal["left", "right"]]
"""A column's title and the side its cells are aligned to."""
_ANY_WIDTH = 999
_KIB_FROM = 2**17  # bytes


@dataclass(frozen=True, slots=True)
class Unit:
    """What the numbers of a column are divided by, and its name."""

    name: str
    size: int

    def __call__(self, value: Fraction | int | None) -> str:
        """A quantity in this unit, ``-`` if there is none."""
        return "-" if value is None else f"{float(value) / self.size:,.0f}"


def buffer_unit(machine: Hardware) -> Unit:
    """KiB, or bytes where the buffer is small, for quantities in bits."""
    return Unit("KiB", 8 * 1024) if machine.buffer_bytes >= _KIB_FROM else Unit("B", 8)


def fitted(
    titles: Sequence[Title],
    rows: Iterable[Sequence[str]],
    dispensable: Iterable[int],
    console: Console,
    *,
    sections: Iterable[int] = (),
) -> Table:
    """The widest table that the console has room for: columns are left out, never cut.

    Args:
        titles: of all columns.
        rows: cells of all columns.
        dispensable: positions of columns in the order in which a narrow console does without them.
        console: gives the width.
        sections: positions of the rows that a line is drawn below.
    """
    rows, ends = list(rows), set(sections)
    shown = list(range(len(titles)))
    for left_out in (None, *dispensable):
        if left_out is not None:
            shown.remove(left_out)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title, side in (titles[column] for column in shown):
            table.add_column(title, justify=side, no_wrap=True)
        for place, row in enumerate(rows):
            table.add_row(*(row[column] for column in shown), end_section=place in ends)
        widest = console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).maximum
        if widest <= console.width:
            break
    return table
