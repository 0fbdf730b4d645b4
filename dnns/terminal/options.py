"""What the command lines share: errors in one line, the version, and options that name sizes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from dnns import PROJECT, __version__
from dnns.errors import InputError
from dnns.terminal.streams import BAD_INPUT

"""What the project is installed as."""


class LineParser(argparse.ArgumentParser):
    """A parser that tells an error in one line, and the version where it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.add_argument("--version", action="version", version=f"{PROJECT} {__version__}")

    def error(self, message: str) -> NoReturn:
        """One line, like every other error."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


def sizes(options: Sequence[str]) -> dict[str, int]:
    """``--dim NAME=SIZE`` options as a dictionary; raises InputError for anything else."""
    named: dict[str, int] = {}
    for option in options:
        name, equals, size = option.rpartition("=")
        if not equals or not name or not (size.isascii() and size.isdigit() and len(size) < 20):
            raise InputError("--dim", "", f"got {option[:60]!r}, allowed: NAME=SIZE, SIZE a whole number")
        named[name] = int(size)
    return named
