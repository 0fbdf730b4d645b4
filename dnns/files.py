"""Reading files without surprises: every failure is an ``InputError``, sizes and waiting are bounded."""

from __future__ import annotations

import os
import select
import stat
from pathlib import Path
from typing import BinaryIO

from dnns.errors import InputError

MAX_TEXT_BYTES = 4 << 20
PIPE_SECONDS = 30.0
"""How long the first byte of a pipe is waited for: there may be nobody at its other end."""


def read_bytes(path: str | Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: if it is missing, unreadable or larger than ``limit`` bytes, or a pipe without content.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(number, "rb", buffering=0) as stream:
            piped = stat.S_ISFIFO(os.fstat(number).st_mode)
            content = _piped(stream, limit + 1) if piped else _whole(stream, limit + 1)
    except (OSError, ValueError) as error:
        raise InputError(path, "", f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > limit:
        raise InputError(path, "", f"is larger than {limit} bytes, the most that is allowed")
    return content


def _whole(stream: BinaryIO, limit: int) -> bytes:
    """What a file or a device has, up to a limit."""
    os.set_blocking(stream.fileno(), True)
    content = bytearray()
    while len(content) < limit and (more := stream.read(limit - len(content))):
        content += more
    return bytes(content)


def _piped(stream: BinaryIO, limit: int) -> bytes:
    """What comes out of a pipe until its other end is closed, up to a limit."""
    content = bytearray()
    while len(content) < limit:
        if not select.select([stream], [], [], None if content else PIPE_SECONDS)[0]:
            raise ValueError(f"is a pipe that brought nothing for {PIPE_SECONDS:g} s")
        more = stream.read(limit - len(content))
        if more == b"":
            break
        content += more or b""
    return bytes(content)


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file.

    Raises:
        InputError: if it is missing, unreadable, larger than ``MAX_TEXT_BYTES`` or not UTF-8.
    """
    content = read_bytes(path, MAX_TEXT_BYTES)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(path, f"line {line}", f"is not UTF-8 text (byte {error.start})") from None
