"""``python -m solvers.curve``: the least traffic, latency or energy against the size of the SRAM."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from dnns.errors import InputError
from dnns.terminal.options import LineParser
from dnns.terminal.streams import guarded
from solvers.cli.explored import add_options, check_files, handed_out
from solvers.run import check_pictures, progress, started
from solvers.size import ends

if TYPE_CHECKING:
    from rich.console import Console

    from solvers.exploring.curves import Curve, Curves
    from solvers.scenario import Scenario
    from solvers.views.plots.picture import Picture

_BAR = 30
_MOST = 4096
_UNITS = {
    "traffic": ("bytes", "MB", 10**6),
    "latency": ("cycles", "kcycles", 10**3),
    "energy": ("pJ", "mJ", 10**9),
}


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.curve",
        description="The least DRAM traffic, latency or energy of a layer, or of a network layer by layer, "
        "against the size of the SRAM: the proven optimum of every size, beside what holds for any schedule.",
        epilog="Exit code: 0 done, 2 bad input, 3 a layer does not fit the largest size.",
    )
    p.add_argument("scenario", help="scenario file (.yaml); its bufsize, method and objective do not matter")
    text = "what is least: traffic, latency, or energy"
    p.add_argument("--target", default="traffic", choices=tuple(_UNITS), help=text)
    text = "smallest and largest SRAM [bytes], K and M for KiB and MiB (32K:4M)"
    p.add_argument("--sram", default="32K:4M", metavar="FROM:TO", help=text)
    text = "how many sizes the table, the CSV and the bounds have, as many from each to its double (15)"
    p.add_argument("--sizes", type=int, default=15, metavar="N", help=text)
    add_options(p, "the curves, with every size at which they fall,", "layer and size")
    return p


def sizes(sram: str, count: int) -> list[int]:
    """So many sizes between those of ``--sram``, both included, in steps of a ratio; ascending."""
    low, high = ends(sram)
    if not 2 <= count <= _MOST:
        raise InputError("--sizes", "", f"got {count}, allowed: 2 to {_MOST:,}")
    return sorted({round(low * (high / low) ** (i / (count - 1))) for i in range(count)} | {low, high})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_args(argv)))


def _main(args: argparse.Namespace) -> int:
    wanted = sizes(args.sram, args.sizes)
    check_files(args)
    check_pictures(args.plots, args.report)
    with started(args.jobs) as workers, progress(args.quiet) as notify:
        from formulation.problem import Kind
        from solvers.exploring.curves import curves
        from solvers.scenario import read_scenario

        scenario = read_scenario(args.scenario)
        kind = Kind(args.target)
        found = curves(scenario, wanted, kind, layer=args.layer, workers=workers, notify=notify)
    outputs = [(args.outfile, partial(_json, found)), (args.csv, partial(_csv, found))]
    if args.report is not None:
        outputs.append((args.report, partial(_page, found, scenario, args.sram)))
    pictures = None if found.total is None else partial(_pictures, found)
    unfit = (f"{name}: does not fit {wanted[-1]:,} bytes" for name in found.unfit)
    return handed_out(args, outputs, partial(_text, found), pictures, unfit)


def _page(found: Curves, scenario: Scenario, sram: str, stream: IO[str]) -> None:
    from solvers.views.page.reports import exploration_page

    target = found.target.value
    title = f"{found.network}: {target} against the size of the buffer"
    command = f"python -m solvers.curve scenario.yaml --target {target} --sram {sram}"
    exploration_page(title, scenario, command, stream, curve=curves_dict(found))


def _pictures(found: Curves) -> Iterable[Picture]:
    from solvers.views.plots.curves import curve_pictures

    return curve_pictures(curves_dict(found))


def curves_dict(found: Curves) -> dict[str, Any]:
    """The curves as JSON has them: a value holds from its size up to the next."""
    return {
        "network": found.network,
        "target": found.target.value,
        "unit": _UNITS[found.target.value][0],
        "deconvolution": "split" if found.split else None,
        "layers": [{"name": curve.name, **_curve_dict(curve)} for curve in found.layers],
        "total": None if found.total is None else _curve_dict(found.total),
    }


def _curve_dict(curve: Curve) -> dict[str, Any]:
    from solvers.result import number

    def steps(values: Sequence[tuple[int, Any]]) -> list[dict[str, Any]]:
        return [{"buffer_bytes": size, "value": number(value)} for size, value in values]

    return {
        "points": steps(curve.steps),
        "compulsory": number(curve.bounds.compulsory),
        "bound": steps(curve.bounds.by_size),
    }


def _json(found: Curves, stream: IO[str]) -> None:
    json.dump(curves_dict(found), stream, indent=1)
    stream.write("\n")


def _rows(found: Curves) -> Iterator[dict[str, Any]]:
    from solvers.result import number

    total = [] if found.total is None or len(found.layers) == 1 else [found.total]
    for curve in (*found.layers, *total):
        for bytes_, bound in curve.bounds.by_size:
            yield {
                "layer": "" if curve is found.total else curve.name,
                "buffer_bytes": bytes_,
                "value": number(curve.at(bytes_)),
                "compulsory": number(curve.bounds.compulsory),
                "any_schedule": number(bound),
            }


def _csv(found: Curves, stream: IO[str]) -> None:
    names = ("layer", "buffer_bytes", "value", "compulsory", "any_schedule")
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(found))


def _text(found: Curves) -> str:
    from dnns.terminal.tables import Title, fitted, printed, put

    target = found.target.value
    _, unit, scale = _UNITS[target]
    titles: list[Title] = [
        ("SRAM\nKiB", "right"),
        (f"{target}\n{unit}", "right"),
        (f"any schedule\n{unit}", "right"),
        ("\ntimes", "right"),
        ("above any schedule\n", "left"),
    ]
    only = found.layers[0] if len(found.layers) == 1 and not found.unfit else None
    curve = only or found.total

    def prints(console: Console) -> None:
        whose = found.network if only is None else f"{found.network}, {only.name}"
        console.print(f"{whose}: least {target} of every size of the SRAM, layer by layer, proven")
        if found.split:
            console.print("Deconvolutions are split; that they share ifmap tiles is not looked at here.")
        if curve is None:
            console.print("No sum: some layer does not fit the largest size.")
            return
        above = [v - bound for bytes_, bound in curve.bounds.by_size if (v := curve.at(bytes_)) is not None]
        rows = [_row(curve, bytes_, bound, scale, max(above)) for bytes_, bound in curve.bounds.by_size]
        put(console, fitted(titles, rows, (4, 3), console))
        steps = f"{len(curve.steps):,} sizes at which it falls (--outfile has them)"
        console.print(f"{steps}; compulsory {float(curve.bounds.compulsory) / scale:,.2f} {unit}")

    return printed(prints)


def _row(curve: Curve, bytes_: int, bound: Fraction, scale: int, top: Fraction) -> tuple[str, ...]:
    value = curve.at(bytes_)
    kib = f"{bytes_ / 1024:,.0f}"
    if value is None:
        return (kib, "does not fit", f"{float(bound) / scale:,.2f}", "", "")
    bar = "█" * round(_BAR * float((value - bound) / top)) if top else ""
    times = f"{float(value / bound):,.2f}" if bound else "-"
    return (kib, f"{float(value) / scale:,.2f}", f"{float(bound) / scale:,.2f}", times, bar)


if __name__ == "__main__":
    sys.exit(main())
