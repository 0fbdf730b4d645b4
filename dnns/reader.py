"""One entry for every network file: the ending tells the format.

A reader's own packages are imported when a file of its kind is read, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dnns import PROJECT
from dnns.errors import InputError
from dnns.layer import Network

ENDINGS = ".yaml, .yml, .txt or .onnx"


NETWORKS = Path(__file__).parent / "networks"
"""Where the bundled networks are."""
_BUNDLED = (".yaml", ".txt")
_NAMED = "the name of a bundled network (python -m dnns.show --list)"


def read_network(
    path: str | Path,
    *,
    input: Sequence[int] | None = None,
    input_3d: Sequence[int] | None = None,
    dims: Mapping[str, int] | None = None,
    skip_unsupported: bool = False,
) -> Network:
    """Read a network.

    Args:
        path: a ``.yaml``, ``.yml``, ``.txt`` or ``.onnx`` file, or the name of a bundled network. Where a
            folder ``dnns`` has no such file, but its room ``networks`` has, that is read: paths from before
            there was a room stay good.
        input: shape of the network's input, channels first (C, (D,) H, W), in place of the file's own.
        input_3d: shape (C, D, H, W) from the first six-field line of a text network on.
        dims: values for the symbolic dimensions of an ONNX network.
        skip_unsupported: leave out operators of an ONNX network that are not supported;
            ``Network.left_out`` lists them.

    Raises:
        InputError: whatever is wrong, in one line.
    """
    path = _located(Path(path))
    ending = path.suffix.lower()
    shape = None if input is None else tuple(input)
    if input_3d is not None and ending != ".txt":
        raise InputError(path, "input_3d", "is for text networks (.txt), give input alone")
    if dims and ending != ".onnx":
        raise InputError(path, "dim", "symbolic dimensions are for ONNX networks (.onnx)")
    if ending == ".txt":
        from dnns.text_network import read_text_network

        return read_text_network(path, shape, None if input_3d is None else tuple(input_3d))
    if ending in (".yaml", ".yml"):
        from dnns.yaml_reader.network import read_yaml_network

        return read_yaml_network(path, shape)
    if ending == ".onnx":
        try:
            from dnns.onnx_reader.network import read_onnx_network
        except ImportError:
            problem = f"reading ONNX needs the package onnx: pip install '{PROJECT}[onnx]'"
            raise InputError(path, "", problem) from None
        return read_onnx_network(path, shape, dims or {}, skip_unsupported)
    raise InputError(path, "", f"ending is {ending!r}, allowed: {ENDINGS}, or {_NAMED}")


def network_names() -> list[str]:
    """The bundled networks, in order."""
    return sorted(path.stem for path in NETWORKS.iterdir() if path.suffix in _BUNDLED)


def bundled(name: str) -> Path | None:
    """The file of the bundled network of a name; None if there is none."""
    files = (NETWORKS / f"{name}{ending}" for ending in _BUNDLED)
    return next((file for file in files if name in network_names() and file.exists()), None)


def _located(path: Path) -> Path:
    """A path as it is; or the bundled network of that name, or the same file in the room of the networks."""
    if path.name == str(path) and not path.suffix and not path.exists():
        return bundled(path.name) or path
    moved = path.parent / "networks" / path.name
    return moved if path.parent.name == "dnns" and not path.exists() and moved.is_file() else path
