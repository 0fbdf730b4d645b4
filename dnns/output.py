"""Files that the command lines write: told early if that cannot be, and never left half written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from dnns.errors import InputError


def check_writable(*paths: str | Path | None) -> None:
    """Raise InputError, before the work begins, for the first path that no file can be written to."""
    for path in paths:
        if path is None:
            continue
        file = Path(path)
        if file.is_dir():
            raise InputError(path, "", "cannot be written: Is a directory")
        if not file.exists() and not file.parent.is_dir():
            raise InputError(path, "", "cannot be written: No such file or directory")
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise InputError(path, "", "cannot be written: Permission denied")


def write_file(path: str | Path, write: Callable[[TextIO], None]) -> None:
    """Write a text file whole: under another name first, which then takes the place of an old one.

    What is there but no ordinary file, such as a pipe or a terminal, is written to directly.

    Args:
        path: of the file.
        write: writes its text to a stream.

    Raises:
        InputError: if the file cannot be written; an old one is then as it was.
    """
    file = Path(path)
    direct = (file.exists() and not file.is_file()) or not os.access(file.resolve().parent, os.W_OK)
    target = file if direct else file.resolve().with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(target, "w", encoding="utf-8", newline="") as stream:
            write(stream)
        if not direct:
            os.replace(target, file.resolve())
    except OSError as error:
        raise InputError(path, "", f"cannot be written: {error.strerror}") from None
    finally:
        if not direct:
            target.unlink(missing_ok=True)
