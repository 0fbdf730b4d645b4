"""The options of ``python -m solvers.run``; ``overrides`` says which fields they stand for."""

from __future__ import annotations

import argparse
from typing import Any

from dnns.terminal.options import LineParser
from solvers.backends.registry import DEFAULT_MILP, MILP


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
    p.add_argument("--presets", action="store_true", help="list the machines that have a name")
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


def number(text: str) -> int | float:
    """A number as it was typed, whole or not; for argparse."""
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
        return number(text)
    except argparse.ArgumentTypeError:
        return text


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
    text = "a machine by name, in place of the scenario's (see --presets); other options change it"
    _option(group, "preset", metavar="NAME", help=text)
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
    text = "whether tiles may run in inner steps, of which one tensor is held in part"
    _option(group, "streaming", **flag, help=text)
    text = "whether zeros of the padding are fetched and stored like other words"
    _option(group, "padding", choices=("clipped", "counted"), help=text)
    text = "to set up each transfer of a tile between DRAM and buffer [cycles] (0)"
    _option(group, "transfer_setup", type=_whole, metavar="CYCLES", help=text)
    text = "bursts of which each contiguous run that is transferred takes whole ones [bytes] (none)"
    _option(group, "burst_bytes", type=_whole, metavar="BYTES", help=text)
    text = "with bursts: how feature maps lie in the DRAM, which says what is contiguous (NCHW)"
    _option(group, "layout", choices=("NCHW", "NHWC"), help=text)
    each = ("MAC", "SRAM", "DRAM", "STATIC")
    text = "energy of a multiply-accumulate [pJ], of a bit at SRAM and DRAM [pJ/bit], and static power [mW]"
    _option(group, "energy", nargs=4, type=number, metavar=each, help=text)
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
    kinds = ("latency", "traffic", "balanced", "energy", "weighted")
    _option(group, "objective", choices=kinds, help="what is minimised; balanced by default")
    _option(
        group, "tolerance", type=number, metavar="T", help="balanced: relative latency given up for traffic"
    )
    text = "balanced: each layer keeps the tolerance by itself, or the network as a whole"
    _option(group, "tolerance_over", choices=("layer", "network"), help=text)
    text = "weighted: LATENCY TRAFFIC [ENERGY], of each over the least that any mapping takes (0.5 0.5 0)"
    _option(group, "weights", nargs="+", type=number, metavar="W", help=text)
    text = "layers one by one, or the network as one problem: resident feature maps, fused layers besides"
    _option(group, "network_level", metavar="layers|resident|fused", help=text)
    _option(group, "longest_stack", type=_whole, metavar="N", help="fused: layers of a stack at most (8)")
    text = "resident, fused: inference after inference, trained weights of some layers stay for good"
    _option(group, "weights_resident", **flag, help=text)
    text = "Combined: go on to the mixed-integer program from the best mapping"
    _option(group, "exact_after", **flag, help=text)
    text = f"Exact: solver of the mixed-integer programs ({DEFAULT_MILP}); scip needs the package pyscipopt"
    _option(group, "backend", metavar="|".join(MILP), help=text)
    text = (
        "Exact: what is left out of the programs because a known mapping is better: nothing, what is worse "
    )
    text += "by its bound, or by its price (prices)"
    _option(group, "sieve", metavar="none|bounds|prices", help=text)
    text = "Constrained: what helps the relaxed models to their bounds; none: they prove them alone (full)"
    _option(group, "presolve", metavar="none|full", help=text)
    _option(group, "time_limit", type=number, metavar="S", help="per sub-problem [s]; 0 for none")
    _option(group, "dump_models", metavar="DIR", help="folder for the models' .lp and .nl files")


def _output_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("output")
    _option(group, "outfile", metavar="F", help="write the results as JSON")
    _option(group, "csv", metavar="F", help="write one line per part as CSV")
    text = "write a proof of every bound as JSON, for python -m solvers.check"
    _option(group, "certificate", metavar="F", help=text)
    text = "folder for pictures, PNG and SVG: roofline, parts of the buffer, cycles and traffic by layer "
    text += "(needs matplotlib)"
    _option(group, "plots", metavar="DIR", help=text)
    _option(group, "report", metavar="F", help="write a page to look at, one HTML file that needs no network")
    _option(group, "jobs", type=_whole, metavar="N", help="processes (1)")
    text = "also print what a KiB of buffer or a GB/s is worth, per layer and in all (Constrained, Combined)"
    group.add_argument("--sensitivity", action="store_true", help=text)
    text = "also print what each bound rests on, and how large the models were"
    group.add_argument("--verbose", action="store_true", help=text)
    group.add_argument("--quiet", action="store_true", help="no table, no progress")
