"""The scenario's fields that the options of ``solvers.cli.arguments`` stand for."""

from __future__ import annotations

import argparse
from math import inf
from pathlib import Path
from typing import Any

from dnns.errors import InputError
from dnns.terminal.options import sizes
from solvers.cli.arguments import number

_MACHINE = (
    "preset",
    "bufsize",
    "memory_bandwidth",
    "frequency",
    "halo",
    "dataflow",
    "fill",
    "double_buffered",
    "bank_bytes",
    "streaming",
    "padding",
    "transfer_setup",
    "burst_bytes",
    "layout",
)
_OBJECTIVE = {"kind": "objective", "tolerance": "tolerance", "tolerance_over": "tolerance_over"}
_WIDTHS = ("ifmap", "weights", "ofmap", "partial_sums")


def overrides(args: argparse.Namespace) -> dict[str, Any]:
    """The scenario's fields that the options set.

    Raises:
        InputError: if options contradict each other.
    """
    fields: dict[str, Any] = {}
    if args.dnnfile is not None:
        file = Path(args.dnnfile)
        named = file.name == args.dnnfile and not file.suffix and not file.exists()
        fields["network"] = args.dnnfile if named else str(file.absolute())
    if args.ifmap is not None:
        fields["input"] = args.ifmap[::-1]
    if args.ifmap3d is not None:
        w, h, d, c = args.ifmap3d
        fields["input_3d" if args.ifmap is not None else "input"] = [c, d, h, w]
        if str(args.dnnfile or "").endswith(".txt"):
            fields["input_3d"] = fields.pop("input") if args.ifmap is None else fields["input_3d"]
    if args.skip_unsupported:
        fields["skip_unsupported"] = True
    if args.dim is not None:
        fields["dims"] = sizes(args.dim)
    machine = {name: getattr(args, name) for name in _MACHINE}
    if args.bit_width is not None:
        machine["bit_width"] = _widths(args.bit_width)
    if args.energy is not None:
        machine["energy"] = dict(zip(("mac", "sram", "dram", "static"), args.energy, strict=True))
    if args.sa_size is not None:
        machine["sa_size"] = args.sa_size[0] if len(args.sa_size) == 1 else args.sa_size
    fields |= {
        "hardware": _given(machine),
        "objective": _given({name: getattr(args, _OBJECTIVE[name]) for name in _OBJECTIVE} | _weights(args)),
    }
    for name in (
        "search_method",
        "static",
        "network_level",
        "longest_stack",
        "weights_resident",
        "exact_after",
        "backend",
        "sieve",
        "presolve",
        "dump_models",
    ):
        fields[name] = getattr(args, name)
    if args.dump_models is not None:
        fields["dump_models"] = str(Path(args.dump_models).absolute())
    if args.buffer_partition is not None:
        fields["buffer_partition"] = _partition(args.buffer_partition)
    fields = {name: value for name, value in fields.items() if value not in (None, {})}
    if args.time_limit is not None:
        fields["time_limit"] = args.time_limit or None
    if args.insist:
        fields["insist"] = True
    for text in args.set:
        _set(fields, text)
    return fields


def _widths(bits: list[int]) -> Any:
    if len(bits) not in (1, len(_WIDTHS)):
        raise InputError("--bit_width", "", f"got {len(bits)} widths, allowed: one, or I W O P")
    return bits[0] if len(bits) == 1 else dict(zip(_WIDTHS, bits, strict=True))


def _set(fields: dict[str, Any], text: str) -> None:
    """Enter ``FIELD=VALUE``, the value as YAML has it; raises InputError unless it is of that form."""
    from dnns.yaml_reader.file import yaml_value

    path, equals, value = text.partition("=")
    *outer, name = path.split(".")
    if not equals or not name or len(outer) > 1 or not all(outer):
        raise InputError("--set", "", f"got {text[:60]!r}, allowed: FIELD=VALUE or PART.FIELD=VALUE")
    data = yaml_value(value, "--set")
    if outer:
        inner = fields.setdefault(outer[0], {})
        fields[outer[0]] = {**(inner if isinstance(inner, dict) else {}), name: data}
    else:
        fields[name] = data


def _weights(args: argparse.Namespace) -> dict[str, Any]:
    if args.weights is None:
        return {}
    weights = args.weights
    if len(weights) not in (2, 3) or not (min(weights) >= 0 and 0 < sum(weights) < inf):
        got = " ".join(map(str, weights))
        problem = f"got {got}, allowed: two or three numbers of at least 0, one of them above 0"
        raise InputError("--weights", "", problem)
    return dict(zip(("latency", "traffic", "energy"), weights, strict=False))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _partition(words: list[str]) -> Any:
    if words == ["auto"]:
        return "auto"
    try:
        return [number(word) for word in words]
    except argparse.ArgumentTypeError:
        raise InputError("--buffer_partition", "", f"got {' '.join(words)}, allowed: I O W or auto") from None


def deconvolution(split: bool | None, combine: bool | None, default: str) -> str:
    """The treatment that ``--split`` and ``--combine`` ask for, on top of the scenario's.

    Raises:
        InputError: for ``--combine`` with ``--split False``.
    """
    if combine:
        if split is False:
            raise InputError(
                "--combine", "", "shares the tiles of a split deconvolution: leave out --split False"
            )
        return "combine"
    if split is False:
        return "naive"
    if split or (combine is False and default == "combine"):
        return "split"
    return default
