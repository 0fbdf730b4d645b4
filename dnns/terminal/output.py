"""Files that the command lines write: told early if that cannot be, and never left half written."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from time import monotonic, sleep
from typing import TextIO

from dnns.errors import InputError
from dnns.terminal.streams import show

STANDARD_OUTPUT = "-"
"""In place of a file's name."""
PIPE_SECONDS = 30.0
"""How long a pipe may be without anybody at its other end."""

Output = tuple[str | Path | None, Callable[[TextIO], None]]
"""A file, None for none, and what writes its text to a stream."""


def check_outputs(outputs: Mapping[str, str | Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Tell, before the work begins, what cannot be written, or would be written over.

    Args:
        outputs: files to write, by option; None for what is not asked for.
        inputs: files that are read.

    Raises:
        InputError: for the first file that cannot be written, or is an input or another output as well.
    """
    seen = {_identity(path): "an input of this run" for path in inputs if path is not None}
    for option, path in outputs.items():
        if path is None:
            continue
        if str(path) != STANDARD_OUTPUT:
            check_writable(path)
        identity = _identity(path)
        if identity in seen:
            raise InputError(option, "", f"{path} is {seen[identity]}, another file is needed")
        if identity is not None:
            seen[identity] = f"also the file of {option}"


def _identity(path: str | Path) -> object:
    """What two names of the same file have in common; None for devices and pipes, which many may use."""
    if str(path) == STANDARD_OUTPUT:
        return STANDARD_OUTPUT
    try:
        info = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return (info.st_dev, info.st_ino) if stat.S_ISREG(info.st_mode) else None


def check_writable(*paths: str | Path | None) -> None:
    """Raise InputError, before the work begins, for the first path that no file can be written to."""
    for path in paths:
        if path is None:
            continue
        try:
            reason = _obstacle(os.path.realpath(path))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
        if reason is not None:
            raise InputError(path, "", f"cannot be written: {reason}")


def _obstacle(path: str) -> str | None:
    """What keeps a file from being written, as far as can be told without doing it."""
    try:
        folder = stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        above = os.path.dirname(path)
        if not os.path.isdir(above):
            return "No such file or directory"
        return None if os.access(above, os.W_OK) else "Permission denied"
    if folder:
        return "Is a directory"
    return None if os.access(path, os.W_OK) else "Permission denied"


def deliver(outputs: Sequence[Output], text: Callable[[], str] | None) -> list[InputError]:
    """Write all files, then show a text on standard output; what fails keeps nothing else from being done.

    Args:
        outputs: the files; standard output, ``-``, takes the place of the text.
        text: what to show; None for nothing.

    Returns:
        What could not be written.
    """
    files = [(path, write) for path, write in outputs if path is not None]
    failed = []
    for path, write in files:
        try:
            write_file(path, write)
        except InputError as error:
            failed.append(error)
    if text is not None and all(str(path) != STANDARD_OUTPUT for path, _ in files):
        try:
            show(text())
        except InputError as error:
            failed.append(error)
    return failed


def write_file(path: str | Path, write: Callable[[TextIO], None]) -> None:
    """Write a text file whole: under another name first, which then takes the place of an old one.

    What is there but no ordinary file, such as a pipe or a terminal, is written to directly; ``-`` is
    standard output.

    Args:
        path: of the file.
        write: writes its text to a stream.

    Raises:
        InputError: if the file cannot be written; an old one is then as it was.
    """
    if str(path) == STANDARD_OUTPUT:
        stream = StringIO(newline="")
        write(stream)
        show(stream.getvalue())
        return
    file = Path(os.path.realpath(path))
    try:
        if (file.exists() and not file.is_file()) or not os.access(file.parent, os.W_OK):
            with open(_opened(file), "w", encoding="utf-8", newline="") as direct:
                write(direct)
        else:
            _replace(file, write)
    except OSError as error:
        raise InputError(path, "", f"cannot be written: {error.strerror}") from None


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole, such as a picture; raises InputError if it cannot be written."""
    try:
        with _replacing(Path(os.path.realpath(path))) as beside:
            beside.write_bytes(data)
    except OSError as error:
        raise InputError(path, "", f"cannot be written: {error.strerror}") from None


def _replace(file: Path, write: Callable[[TextIO], None]) -> None:
    with (
        _replacing(file) as beside,
        open(beside, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        write(stream)


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """Another name for a file, which takes the file's place once it is written."""
    beside = file.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield beside
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def _opened(file: Path) -> int:
    """A descriptor to write to what is there already; a pipe that nobody reads is not waited for in vain."""
    until = monotonic() + PIPE_SECONDS
    while True:
        try:
            number = os.open(file, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if monotonic() > until:
                raise OSError(errno.ENXIO, f"a pipe that nobody reads, for {PIPE_SECONDS:g} s") from None
            sleep(0.05)
        else:
            os.set_blocking(number, True)
            return number
