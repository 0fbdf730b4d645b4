"""``python -m dnns.show FILE``: the layers of a network, their shapes, MACs and words, and the totals."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dnns.errors import InputError
from dnns.layer import Deconvolution, Network
from dnns.reader import network_names, read_network
from dnns.terminal.listing import OperatorRow, left_out_lines, rows, shaping_summary
from dnns.terminal.options import LineParser, sizes
from dnns.terminal.output import Output, check_outputs, deliver
from dnns.terminal.streams import BAD_INPUT, guarded, show, tell
from dnns.terminal.tables import Title, fitted, printed, put

_FIGURES = {"macs": "\nMACs", "ifmap": "ifmap\nwords", "weights": "weight\nwords", "ofmap": "ofmap\nwords"}
_CAPTION = "Shapes channels first, depth before height. Figures of one run; the total counts all runs."


def _parser() -> argparse.ArgumentParser:
    parser = LineParser(prog="python -m dnns.show", description="Show the layers and totals of a network.")
    text = "network: .yaml, .txt (the original tool's format) or .onnx, or the name of a bundled one"
    parser.add_argument("file", nargs="?", help=text)
    parser.add_argument("--list", action="store_true", help="list the bundled networks")
    parser.add_argument(
        "--input",
        nargs="+",
        type=int,
        metavar="N",
        help="shape of the input, channels first: C [D] H W [elements]",
    )
    parser.add_argument(
        "--input-3d",
        nargs=4,
        type=int,
        metavar=("C", "D", "H", "W"),
        help="input of a text network's 3-D part",
    )
    parser.add_argument(
        "--dim",
        action="append",
        default=[],
        metavar="NAME=SIZE",
        help="size of a symbolic ONNX dimension; repeat it",
    )
    parser.add_argument(
        "--bits", type=int, default=16, help="width of a word, for MACs per byte [bits] (default 16)"
    )
    parser.add_argument("--all", action="store_true", help="also list operators that only shape the network")
    text = "leave out ONNX operators that are not supported, and list them"
    parser.add_argument("--skip-unsupported", "--skip_unsupported", action="store_true", help=text)
    parser.add_argument("--csv", metavar="FILE", help="write the rows to a file as well")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: of the command line; default: the process's own.

    Returns:
        The exit code: 0, or 2 for bad input, which is told in one line on stderr.
    """
    return guarded(lambda: _main(_parser().parse_args(arguments)))


def _main(options: argparse.Namespace) -> int:
    if options.list:
        show("".join(f"{name}\n" for name in network_names()))
        return 0
    if options.file is None:
        _parser().error("give a network (--list names the bundled ones)")
    if not 1 <= options.bits <= 64:
        raise InputError("--bits", "", f"got {options.bits}, allowed: 1 to 64")
    check_outputs({"--csv": options.csv}, (options.file,))
    network = read_network(
        options.file,
        input=options.input,
        input_3d=options.input_3d,
        dims=sizes(options.dim),
        skip_unsupported=options.skip_unsupported,
    )
    listed = [row for row in rows(network) if row.scheduled or options.all]

    def prints(console: Console) -> None:
        console.print(Text(network.name, style="italic"))
        put(console, _table(network, listed, options.bits, console))
        for line in (_CAPTION, *_totals(network, options.bits), *left_out_lines(network)):
            console.print(line, highlight=False, markup=False)

    outputs: list[Output] = [(options.csv, lambda stream: _write_csv(stream, listed, options.bits))]
    failed = deliver(outputs, lambda: printed(prints))
    for error in failed:
        tell(error)
    return BAD_INPUT if failed else 0


def _table(network: Network, listed: Sequence[OperatorRow], bits: int, console: Console) -> Table:
    left: list[Title] = [(f"\n{title}", "left") for title in ("layer", "op", "ifmap", "ofmap", "window")]
    right: list[Title] = [(title, "right") for title in ("\nruns", *_FIGURES.values(), "MACs\n/byte")]
    whole = [row for row in rows(network) if row.scheduled]
    sums = {name: sum(getattr(row, name) * row.count for row in whole) for name in (*_FIGURES, "words")}
    ratio = f"{sums['macs'] * 8 / (sums['words'] * bits):.1f}" if sums["words"] else "-"
    total = ("total", *[""] * 5, *(f"{sums[name]:,}" for name in _FIGURES), ratio)
    cells = [*(_cells(row, bits) for row in listed), total]
    return fitted([*left, *right], cells, _DISPENSABLE, console, sections=[len(listed) - 1])


#: Columns in the order in which a narrow console does without them: ofmap words, ifmap words, window, the
#: shapes, MACs per byte, runs, operator, weight words.
_DISPENSABLE = (9, 7, 4, 2, 3, 10, 5, 1, 8)


def _cells(row: OperatorRow, bits: int) -> tuple[str, ...]:
    many = ((f"{row.groups} groups", row.groups), (f"{row.count} times", row.count))
    runs = ", ".join(text for text, number in many if number > 1)
    figures = [f"{getattr(row, name):,}" if row.scheduled else "" for name in _FIGURES]
    intensity = f"{row.operational_intensity(bits):.1f}" if row.scheduled else ""
    shapes = _by(row.ifmap_shape), _by(row.ofmap_shape)
    return (row.name, row.op, *shapes, row.window, runs, *figures, intensity)


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _totals(network: Network, bits: int) -> list[str]:
    inputs = ", ".join(f"{name} {_by(shape)}" for name, shape in network.inputs) or "none"
    deconvolutions = [layer for layer in network.layers if isinstance(layer, Deconvolution)]
    split = sum(layer.macs * layer.count for layer in deconvolutions)
    naive = sum(layer.macs_zero_inserted * layer.count for layer in deconvolutions)
    lines = [
        f"inputs: {inputs}; batch {network.batch}",
        f"scheduled: {len(network.layers)} layers, {network.macs:,} MACs",
        f"parameters: {network.parameters:,} ({network.parameters * bits // 8:,} bytes at {bits} bit)",
        *_carried(network),
        f"MACs/byte: each word of a layer moved once, {bits} bit a word",
    ]
    if deconvolutions:
        by_phases = f"{split:,} MACs by phases as above"
        lines.append(f"deconvolutions: {len(deconvolutions)}, {by_phases}, {naive:,} zero-inserted")
    summary = shaping_summary(network)
    return [*lines, f"only shaped: {summary}" if summary else "only shaped: none"]


def _carried(network: Network) -> list[str]:
    """The word widths that the network carries itself, how many layers have which."""
    counts = Counter("/".join(map(str, node.bits)) for node in network.nodes if node.bits)
    widths = ", ".join(f"{width} x{count}" for width, count in counts.items())
    return [f"widths that the network carries, I/W/O/P: {widths} bit"] if counts else []


def _write_csv(stream: TextIO, listed: Sequence[OperatorRow], bits: int) -> None:
    fields = ("name", "op", "scheduled", "ifmap_shape", "ofmap_shape", "window", "groups", "count")
    figures = ("macs", "ifmap", "weights", "ofmap", "parameters")
    writer = csv.writer(stream)
    writer.writerow([*fields, *figures, "macs_per_byte"])
    for row in listed:
        shapes = {"ifmap_shape": _by(row.ifmap_shape), "ofmap_shape": _by(row.ofmap_shape)}
        values = [shapes.get(name, getattr(row, name)) for name in (*fields, *figures)]
        writer.writerow([*values, row.operational_intensity(bits)])


if __name__ == "__main__":
    sys.exit(main())
