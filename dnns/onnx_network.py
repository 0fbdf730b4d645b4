"""Networks from ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dnns.errors import InputError
from dnns.layer import Network


def read_onnx_network(path: str | Path, input: tuple[int, ...] | None, dims: Mapping[str, int]) -> Network:
    """Read a network from an ONNX file."""
    raise InputError(path, "", "ONNX files cannot be read yet")
