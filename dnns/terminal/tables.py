"""Tables that people read: what is left out where there is no room."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO, TextIOWrapper
from typing import Any, Literal

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dnns.terminal.streams import UNSHOWN

Title = tuple[str, Literal["left", "right"]]
"""A column's title and the side its cells are aligned to."""
Cell = str | Text
_ANY_WIDTH = 9999
_LEAST_NAME, _SHORTEST_NAME = 12, 6  # columns of a terminal
_LEFT_OUT = ".."


def printed(prints: Callable[[Console], None]) -> str:
    """What is printed to a console, as text for standard output.

    It is as wide as the terminal; elsewhere as the variable ``COLUMNS`` says, or as wide as it needs to be.
    """
    terminal = sys.stdout is not None and sys.stdout.isatty()
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) > 0 else _ANY_WIDTH
    settings: dict[str, Any] = {"force_terminal": True} if terminal else {"width": width, "no_color": True}
    encoding = (sys.stdout and sys.stdout.encoding) or "utf-8"
    text = TextIOWrapper(BytesIO(), encoding=encoding, errors=UNSHOWN, newline="")
    prints(Console(file=text, **settings))
    text.seek(0)
    return text.read()


def put(console: Console, table: Table) -> None:
    """Print a table whole, even if the console is too narrow for it: lines then wrap, no digit is lost."""
    width = console.width
    console.width = max(width, _needed(console, table))
    console.print(table)
    console.width = width


def _needed(console: Console, table: Table) -> int:
    """Columns of a terminal that a table takes; not counted (0) where there is room for any table."""
    if console.width >= _ANY_WIDTH:
        return 0
    return console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).maximum


def fitted(
    titles: Sequence[Title],
    rows: Iterable[Sequence[Cell]],
    dispensable: Iterable[int],
    console: Console,
    *,
    sections: Iterable[int] = (),
) -> Table:
    """The widest table that the console has room for: what is shown is never cut, names aside.

    Where there is no room for all, long names in the first column are shortened to a quarter of the width,
    then columns are left out one by one, then names are shortened further.

    Args:
        titles: of all columns.
        rows: cells of all columns.
        dispensable: positions of columns in the order in which a narrow console does without them.
        console: gives the width.
        sections: positions of the rows that a line is drawn below.
    """
    rows, ends = list(rows), set(sections)
    shown = list(range(len(titles)))
    table = _table(titles, rows, shown, ends)
    if _needed(console, table) <= console.width:
        return table
    longest = max(_LEAST_NAME, console.width // 4)
    for left_out in (None, *dispensable):
        if left_out is not None:
            shown.remove(left_out)
        table = _table(titles, _shortened(rows, longest), shown, ends)
        if _needed(console, table) <= console.width:
            return table
    widest = max((cell_len(str(row[0])) for row in _shortened(rows, longest)), default=0)
    room = widest - (_needed(console, table) - console.width)
    return _table(titles, _shortened(rows, max(_SHORTEST_NAME, room)), shown, ends)


def _table(
    titles: Sequence[Title], rows: Iterable[Sequence[Cell]], shown: list[int], ends: set[int]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, side in (titles[column] for column in shown):
        table.add_column(title, justify=side, no_wrap=True)
    for place, row in enumerate(rows):
        table.add_row(*(_text(row[column]) for column in shown), end_section=place in ends)
    return table


def _text(cell: Cell) -> Text:
    """A cell as it is: brackets in a layer's name are no markup, and it commands no terminal."""
    return cell if isinstance(cell, Text) else Text("".join(c if c.isprintable() else "?" for c in cell))


def _shortened(rows: Iterable[Sequence[Cell]], longest: int) -> Iterator[Sequence[Cell]]:
    """Rows whose first cells are so wide at most; of a longer one the middle is left out."""
    for name, *cells in rows:
        text = str(name)
        if cell_len(text) > longest:
            half = (longest - len(_LEFT_OUT)) // 2
            tail = set_cell_size(text[::-1], half)[::-1]
            text = set_cell_size(text, longest - len(_LEFT_OUT) - half) + _LEFT_OUT + tail
        yield (text, *cells)
