"""Standard output and error: what can be shown is shown, and what cannot costs nothing but the showing."""

from __future__ import annotations

import atexit
import codecs
import gc
import os
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from dnns.errors import InputError

BAD_INPUT = 2
"""Exit code for bad input."""
INTERRUPTED = 130
"""Exit code after Ctrl-C."""

UNSHOWN = "dnns.unshown"
"""How to encode what an encoding does not have: as ``?``."""


def guarded(command: Callable[[], int]) -> int:
    """Run a command; bad input and an interruption are told in one line. Returns the exit code.

    The interpreter does not look for garbage when it ends, which takes it a tenth of a second.
    """
    _fill_closed()
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    try:
        return command()
    except InputError as error:
        tell(error)
        return BAD_INPUT
    except KeyboardInterrupt:
        tell("interrupted")
        return INTERRUPTED
    finally:
        _attempt(sys.stdout, "")  # what argparse has left there


def tell(line: object) -> None:
    """A line on standard error, if that takes it."""
    _attempt(sys.stderr, f"{line}\n")


def show(text: str) -> None:
    """Text on standard output, ``?`` for what its encoding does not have.

    A reader that has gone away, or a closed output, is no fault.

    Raises:
        InputError: if it cannot be written for another reason, such as a full disk.
    """
    show_all((text,))


def show_all(texts: Iterable[str]) -> None:
    """Texts one after another, as ``show`` does; what nobody reads any more is not made."""
    for text in texts:
        error = _attempt(sys.stdout, text)
        if isinstance(error, BrokenPipeError):
            return
        if error is not None:
            raise InputError("standard output", "", f"cannot be written: {error.strerror}")


def _attempt(stream: TextIO | None, text: str) -> OSError | None:
    """Write and flush; after an error the stream leads nowhere, so that none is told when Python ends."""
    if stream is None or stream.closed:
        return None
    try:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, UNSHOWN).decode(encoding))
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return error
    return None


def _fill_closed() -> None:
    """Let no file, nor a pipe, take the number of a standard stream that is closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _unshown(error: UnicodeError) -> tuple[str, int]:
    """As many ``?`` as the characters take cells, so that columns stay aligned."""
    from rich.cells import cell_len

    assert isinstance(error, UnicodeEncodeError)
    return "?" * cell_len(error.object[error.start : error.end]), error.end


codecs.register_error(UNSHOWN, _unshown)
