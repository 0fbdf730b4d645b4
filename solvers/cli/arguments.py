"""The options of ``python -m solvers.run``, and the scenario's fields that they stand for."""

from __future__ import annotations

import argparse
from math import inf
from pathlib import Path
from typing import Any

from dnns.errors import InputError
from dnns.terminal.options import LineParser, sizes
from solvers.backends import DEFAULT_MILP, MILP


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.run",
        description="Find, for each layer of a network, the tiling, loop order and buffer partition that "
        "minimise latency and DRAM traffic on a systolic-array accelerator.",
        epilog="Options override the scenario's fields. Exit code: 0 done, 2 bad input, "
        "3 a layer does not fit.",
    )
    text = "scenario file (.yaml), a result (.json) to run again, or the name of a bundled scenario"
    p.add_argument("scenario", nargs="?", help=text)
    p.add_argument("--list", action="store_true", help="list the bundled scenarios")
    p.add_argument("--schema", action="store_true", help="print the JSON Schema of results")
    _network_options(p)
    _machine_options(p)
    _search_options(p)
    _output_options(p)
    return p


def _option(group: argparse._ArgumentGroup, name: str, **settings: Any) -> None:
    """An option under both spellings, with ``_`` and with ``-``."""
    spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
    group.add_argument(*spellings, dest=name, default=None, **settings)


def _boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"got {text!r}, allowed: True or False")
    return words[text.lower()]


def _number(text: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(f"got {text[:40]!r}, allowed: a number")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text[:40]!r}, allowed: a whole number") from None


def _quantity(text: str) -> int | float | str:
    """A number; or a text with a unit, which the scenario reads."""
    try:
        return _number(text)
    except argparse.ArgumentTypeError:
        return text


_MACHINE = (
    "bufsize",
    "memory_bandwidth",
    "frequency",
    "halo",
    "dataflow",
    "fill",
    "double_buffered",
    "bank_bytes",
)
_OBJECTIVE = {"kind": "objective", "tolerance": "tolerance", "tolerance_over": "tolerance_over"}
_WIDTHS = ("ifmap", "weights", "ofmap", "partial_sums")


def _network_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("network")
    _option(
        group, "dnnfile", metavar="F", help="network: a .yaml, .txt or .onnx file, or a bundled one's name"
    )
    _option(
        group,
        "ifmap",
        nargs=3,
        type=_whole,
        metavar=("W", "H", "C"),
        help="input, in this order: width, height, channels",
    )
    shape = ("W", "H", "D", "C")
    _option(group, "ifmap3d", nargs=4, type=_whole, metavar=shape, help="3-D input, depth before channels")
    text = "size of a symbolic ONNX dimension; repeat it"
    _option(group, "dim", action="append", metavar="NAME=SIZE", help=text)
    text = "leave out ONNX operators that are not supported; they are listed"
    group.add_argument("--skip-unsupported", "--skip_unsupported", action="store_true", help=text)
    kinds = ("2D", "3D")
    text = "check that the network is all 2-D, or has 3-D layers"
    _option(group, "model_type", type=str.upper, choices=kinds, help=text)
    flag: dict[str, Any] = {"nargs": "?", "const": True, "type": _boolean, "metavar": "True|False"}
    _option(group, "split", **flag, help="split deconvolutions into disjoint sub-convolutions")
    _option(group, "combine", **flag, help="let sub-convolutions share each ifmap tile where that is better")


def _machine_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("machine")
    text = "SRAM buffer [bytes], or with a unit: 1536KiB"
    _option(group, "bufsize", type=_quantity, metavar="BYTES", help=text)
    text = "DRAM bandwidth [GB/s], or with a unit: 800MB/s"
    _option(group, "memory_bandwidth", type=_quantity, metavar="GB/S", help=text)
    text = "clock of the array [GHz], or with a unit: 800MHz"
    _option(group, "frequency", type=_quantity, metavar="GHZ", help=text)
    _option(
        group, "sa_size", type=_whole, nargs="+", metavar="A", help="array: A x A, or ROWS COLS [elements]"
    )
    text = "word width [bits]: of every tensor, or I W O P of ifmap, weights, ofmap, partial sums"
    _option(group, "bit_width", type=_whole, nargs="+", metavar="BITS", help=text)
    _option(group, "halo", choices=("refetch", "reuse"), help="whether tiles slide along one axis")
    text = "what is stationary in the array"
    _option(group, "dataflow", choices=("output", "weight", "input"), help=text)
    text = "whether filling and draining the array costs cycles"
    _option(group, "fill", choices=("overlapped", "exposed"), help=text)
    flag: dict[str, Any] = {"nargs": "?", "const": True, "type": _boolean, "metavar": "True|False"}
    _option(group, "double_buffered", **flag, help="whether transfers overlap with computation")
    text = "granularity of the buffer's parts [bytes], or with a unit: 32KiB"
    _option(group, "bank_bytes", type=_quantity, metavar="BYTES", help=text)
    text = "any field of the scenario, such as hardware.bufsize=1MiB; repeat it"
    group.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help=text)
    text = "take values beyond what is plausible as they are"
    group.add_argument("--insist", action="store_true", help=text)


def _search_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("search")
    methods = "Static, Constrained, Exhaustive, Exact or Combined, in any case"
    _option(group, "search_method", metavar="METHOD", help=methods)
    flag: dict[str, Any] = {"nargs": "?", "const": True, "type": _boolean, "metavar": "True|False"}
    _option(group, "static", **flag, help="fix the partition for all layers")
    text = "ratio of the buffer's parts for ifmap, ofmap, weights, or auto for the best single one"
    text += " (with --combine, that of the split parts)"
    _option(group, "buffer_partition", nargs="+", metavar="I O W", help=text)
    kinds = ("latency", "traffic", "balanced", "weighted")
    _option(group, "objective", choices=kinds, help="what is minimised; balanced by default")
    _option(
        group, "tolerance", type=_number, metavar="T", help="balanced: relative latency given up for traffic"
    )
    text = "balanced: each layer keeps the tolerance by itself, or the network as a whole"
    _option(group, "tolerance_over", choices=("layer", "network"), help=text)
    shares = ("LATENCY", "TRAFFIC")
    text = "weighted: of latency / roofline, and of traffic / compulsory traffic (0.5 0.5)"
    _option(group, "weights", nargs=2, type=_number, metavar=shares, help=text)
    text = "layers one by one, or the network as one problem: resident feature maps, fused layers besides"
    _option(group, "network_level", metavar="layers|resident|fused", help=text)
    _option(group, "longest_stack", type=_whole, metavar="N", help="fused: layers of a stack at most (8)")
    text = "Combined: go on to the mixed-integer program from the best mapping"
    _option(group, "exact_after", **flag, help=text)
    text = f"Exact: solver of the mixed-integer programs ({DEFAULT_MILP}); scip needs the package pyscipopt"
    _option(group, "backend", metavar="|".join(MILP), help=text)
    text = (
        "Exact: what is left out of the programs because a known mapping is better: nothing, what is worse "
    )
    text += "by its bound, or by its price (prices)"
    _option(group, "sieve", metavar="none|bounds|prices", help=text)
    _option(group, "time_limit", type=_number, metavar="S", help="per sub-problem [s]; 0 for none")
    _option(group, "dump_models", metavar="DIR", help="folder for the models' .lp and .nl files")


def _output_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("output")
    _option(group, "outfile", metavar="F", help="write the results as JSON")
    _option(group, "csv", metavar="F", help="write one line per part as CSV")
    text = "write a proof of every bound as JSON, for python -m solvers.check"
    _option(group, "certificate", metavar="F", help=text)
    _option(group, "jobs", type=_whole, metavar="N", help="processes (1)")
    text = "also print what a KiB of buffer or a GB/s is worth, per layer and in all (Constrained, Combined)"
    group.add_argument("--sensitivity", action="store_true", help=text)
    text = "also print what each bound rests on, and how large the models were"
    group.add_argument("--verbose", action="store_true", help=text)
    group.add_argument("--quiet", action="store_true", help="no table, no progress")


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
        "exact_after",
        "backend",
        "sieve",
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
    latency, traffic = args.weights
    if not (min(latency, traffic) >= 0 and 0 < latency + traffic < inf):
        problem = f"got {latency} {traffic}, allowed: two numbers of at least 0, one of them above 0"
        raise InputError("--weights", "", problem)
    return {"latency": latency, "traffic": traffic}


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _partition(words: list[str]) -> Any:
    if words == ["auto"]:
        return "auto"
    try:
        return [_number(word) for word in words]
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
