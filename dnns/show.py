"""``python -m dnns.show FILE``: the layers of a network, their shapes, MACs and words, and the totals."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dnns.errors import InputError
from dnns.layer import Deconvolution, Network
from dnns.listing import OperatorRow, rows, shaping_summary
from dnns.options import BAD_INPUT, LineParser, sizes
from dnns.output import check_writable, write_file
from dnns.reader import read_network

_FIGURES = {"macs": "MACs", "ifmap": "ifmap\nwords", "weights": "weight\nwords", "ofmap": "ofmap\nwords"}
_CAPTION = "Shapes channels first, depth before height. Figures of one run; the total counts all runs."
_PIPED_WIDTH = 1000  # nothing is cut where nothing is a terminal


def _parser() -> argparse.ArgumentParser:
    parser = LineParser(prog="python -m dnns.show", description="Show the layers and totals of a network.")
    parser.add_argument("file", help="network: .yaml, .txt (the original tool's format) or .onnx")
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
    parser.add_argument("--csv", metavar="FILE", help="write the rows to a file as well")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: of the command line; default: the process's own.

    Returns:
        The exit code: 0, or 2 for bad input, which is told in one line on stderr.
    """
    options = _parser().parse_args(arguments)
    try:
        if not 1 <= options.bits <= 64:
            raise InputError("--bits", "", f"got {options.bits}, allowed: 1 to 64")
        check_writable(options.csv)
        network = read_network(
            options.file, input=options.input, input_3d=options.input_3d, dims=sizes(options.dim)
        )
        listed = [row for row in rows(network) if row.scheduled or options.all]
        if options.csv:
            _write_csv(options.csv, listed, options.bits)
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    console.print(_table(network, listed, options.bits))
    for line in _totals(network, options.bits):
        console.print(line, highlight=False, markup=False)
    return 0


def _table(network: Network, listed: Sequence[OperatorRow], bits: int) -> Table:
    table = Table(title=Text(network.name), show_footer=True, box=box.SIMPLE_HEAD, caption=_CAPTION)
    table.add_column("layer", "total", no_wrap=True, min_width=12, overflow="ellipsis")
    for title in ("op", "ifmap", "ofmap", "window"):
        table.add_column(title, no_wrap=True)
    table.add_column("runs", justify="right", no_wrap=True)
    whole = [row for row in rows(network) if row.scheduled]
    sums = {name: sum(getattr(row, name) * row.count for row in whole) for name in (*_FIGURES, "words")}
    for name, title in _FIGURES.items():
        total = f"{sums[name]:,}"
        table.add_column(title, total, justify="right", no_wrap=True, min_width=len(total))
    whole_ratio = f"{sums['macs'] * 8 / (sums['words'] * bits):.1f}" if sums["words"] else "-"
    table.add_column("MACs\n/byte", whole_ratio, justify="right", no_wrap=True, min_width=6)
    for row in listed:
        table.add_row(*_cells(row, bits), style=None if row.scheduled else "dim")
    return table


def _cells(row: OperatorRow, bits: int) -> list[Text]:
    many = ((f"{row.groups} groups", row.groups), (f"{row.count} times", row.count))
    runs = ", ".join(text for text, number in many if number > 1)
    figures = [f"{getattr(row, name):,}" if row.scheduled else "" for name in _FIGURES]
    intensity = f"{row.operational_intensity(bits):.1f}" if row.scheduled else ""
    texts = (
        row.name,
        row.op,
        _by(row.ifmap_shape),
        _by(row.ofmap_shape),
        row.window,
        runs,
        *figures,
        intensity,
    )
    return [Text(text) for text in texts]


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
        f"MACs/byte: each word of a layer moved once, {bits} bit a word",
    ]
    if deconvolutions:
        by_phases = f"{split:,} MACs by phases as above"
        lines.append(f"deconvolutions: {len(deconvolutions)}, {by_phases}, {naive:,} zero-inserted")
    summary = shaping_summary(network)
    return [*lines, f"only shaped: {summary}" if summary else "only shaped: none"]


def _write_csv(path: str | Path, listed: Sequence[OperatorRow], bits: int) -> None:
    fields = ("name", "op", "scheduled", "ifmap_shape", "ofmap_shape", "window", "groups", "count")
    figures = ("macs", "ifmap", "weights", "ofmap", "parameters")

    def write(stream: TextIO) -> None:
        writer = csv.writer(stream)
        writer.writerow([*fields, *figures, "macs_per_byte"])
        for row in listed:
            shapes = {"ifmap_shape": _by(row.ifmap_shape), "ofmap_shape": _by(row.ofmap_shape)}
            values = [shapes.get(name, getattr(row, name)) for name in (*fields, *figures)]
            writer.writerow([*values, row.operational_intensity(bits)])

    write_file(path, write)


if __name__ == "__main__":
    sys.exit(main())
