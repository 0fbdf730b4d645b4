"""Protobuf's wire format: a model without the payload of its large tensors, bounded before it is parsed.

A parsed message takes some hundred times the bytes of an empty one, so the whole format is walked first: a
file with more fields or messages than any model needs is refused while nothing of it is in memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_GRAPH_BYTES = 256 << 20
MAX_FIELDS = 5_000_000
MAX_MESSAGES = 2_000_000
MAX_NESTING = 100
KEPT_BYTES = 64 << 10
"""Payloads up to this size are kept: shapes, axes and other small constants are among them."""

_PAYLOAD = frozenset({4, 5, 6, 7, 9, 10, 11})
"""Field numbers of a tensor's values in ``onnx.proto``."""
_FIXED = {1: 8, 5: 4}

Content = mmap.mmap | bytes
Span = tuple[int, int]


class WireError(ValueError):
    """The bytes are not protobuf's wire format, or more than is allowed."""


def slim(content: Content, descriptor: Any) -> bytes:
    """A message again, without the payload of large tensors.

    Args:
        content: its encoding.
        descriptor: protobuf's own description of the message's type.

    Raises:
        WireError: if it is not one, or too large without those.
    """
    pieces = _Walk(content, {}).message(0, len(content), descriptor, 0)
    whole: list[Span | bytes] = [(0, len(content))] if pieces is None else pieces
    if _size(whole) > MAX_GRAPH_BYTES:
        raise WireError(f"its graph is larger than {MAX_GRAPH_BYTES} bytes, the most that is allowed")
    out = bytearray()
    for piece in whole:
        out += piece if isinstance(piece, bytes) else content[slice(*piece)]
    return bytes(out)


def _size(pieces: list[Span | bytes]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)


@dataclass(slots=True)
class _Walk:
    """What is walked, the message types met so far by name, and counts."""

    content: Content
    types: dict[str, dict[int, Any]]
    fields: int = 0
    messages: int = 0

    def message(self, at: int, end: int, descriptor: Any, depth: int) -> list[Span | bytes] | None:
        """The pieces of a message that stay; None if all of it does."""
        self._count_message(depth)
        inner, is_tensor = self._inner(descriptor), descriptor.name == "TensorProto"
        pieces: list[Span | bytes] = []
        kept = at
        for start, number, value, stop in self.each(at, end):
            if number in inner:
                parts = self.message(value, stop, inner[number], depth + 1)
                if parts is not None:
                    header = _encoded(number << 3 | 2) + _encoded(_size(parts))
                    pieces += [(kept, start), header, *parts]
                    kept = stop
            elif is_tensor and number in _PAYLOAD and stop - value > KEPT_BYTES:
                pieces.append((kept, start))
                kept = stop
        return [*pieces, (kept, end)] if pieces else None

    def _count_message(self, depth: int) -> None:
        self.messages += 1
        if depth > MAX_NESTING:
            raise WireError(f"its messages are nested more than {MAX_NESTING} deep")
        if self.messages > MAX_MESSAGES:
            raise WireError(f"it has more than {MAX_MESSAGES} parts, the most that is allowed")

    def _inner(self, descriptor: Any) -> dict[int, Any]:
        """The types of a message type's fields that are messages themselves, by field number."""
        if descriptor.full_name not in self.types:
            self.types[descriptor.full_name] = {
                field.number: field.message_type for field in descriptor.fields if field.message_type
            }
        return self.types[descriptor.full_name]

    def each(self, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """The fields of a message: start, number if it has a length (else -1), start and end of the value."""
        while at < end:
            self._count_field()
            start, (tag, at) = at, self._varint(at, end)
            number, kind = tag >> 3, tag & 7
            value = at
            if number == 0:
                raise WireError("truncated or corrupt")
            if kind == 2:
                size, value = self._varint(at, end)
                at = value + size
            elif kind == 0:
                number, at = -1, self._varint(at, end)[1]
            elif kind in _FIXED:
                number, at = -1, at + _FIXED[kind]
            else:
                raise WireError("truncated or corrupt")
            if at > end:
                raise WireError("truncated")
            yield start, number, value, at

    def _count_field(self) -> None:
        self.fields += 1
        if self.fields > MAX_FIELDS:
            raise WireError(f"it has more than {MAX_FIELDS} fields, the most that is allowed")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 64:
            byte = self.content[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at
        raise WireError("truncated or corrupt")


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
