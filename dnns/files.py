"""Reading files without surprises: every failure is an ``InputError``, and sizes are bounded."""

from __future__ import annotations

from pathlib import Path

from dnns.errors import InputError

MAX_TEXT_BYTES = 4 << 20


def read_bytes(path: str | Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: if it is missing, unreadable or larger than ``limit`` bytes.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        raise InputError(path, "", f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > limit:
        raise InputError(path, "", f"is larger than {limit} bytes, the most that is allowed")
    return content


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
