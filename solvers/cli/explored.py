"""What the commands that explore a scenario have in common: options, files, pictures, what does not fit."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import IO, TYPE_CHECKING

from dnns.terminal.output import check_outputs, deliver

if TYPE_CHECKING:
    from solvers.views.plots.picture import Picture

DOES_NOT_FIT = 3
"""Exit code if a layer does not fit."""


def add_options(p: argparse.ArgumentParser, what: str, line: str) -> None:
    """The options of a command.

    Args:
        p: its parser.
        what: the JSON holds.
        line: of the CSV stands for.
    """
    p.add_argument("--layer", metavar="NAME", help="this layer alone")
    p.add_argument("--jobs", type=int, metavar="N", help="processes (1)")
    p.add_argument("--outfile", metavar="F", help=f"write {what} as JSON")
    p.add_argument("--csv", metavar="F", help=f"write one line per {line} as CSV")
    text = "folder for pictures, PNG and SVG (needs matplotlib)"
    p.add_argument("--plots", metavar="DIR", help=text)
    text = "write a page to look at, one HTML file that needs no network"
    p.add_argument("--report", metavar="F", help=text)
    p.add_argument("--quiet", action="store_true", help="no table, no progress")


def check_files(args: argparse.Namespace) -> None:
    """Raise InputError, before the work begins, for what cannot be written."""
    files = {"--outfile": args.outfile, "--csv": args.csv, "--report": args.report}
    check_outputs(files, (args.scenario,))


def handed_out(
    args: argparse.Namespace,
    outputs: Sequence[tuple[str | None, Callable[[IO[str]], None]]],
    text: Callable[[], str],
    pictures: Callable[[], Iterable[Picture]] | None,
    unfit: Iterable[str],
) -> int:
    """Write the files and the table, draw, and name what does not fit; returns the exit code.

    Args:
        args: of the command.
        outputs: names of files, and what writes them.
        text: the table.
        pictures: to draw; None where there are none.
        unfit: a line for each layer that does not fit.

    Raises:
        InputError: for what could not be written, after all else is done.
    """
    failed = deliver(outputs, None if args.quiet else text)
    if args.plots is not None and pictures is not None:
        from solvers.views.plots.picture import write_pictures

        failed += write_pictures(pictures(), args.plots)
    lines = list(unfit)
    for line in lines:
        print(line, file=sys.stderr)
    for error in failed:
        raise error
    return DOES_NOT_FIT if lines else 0
