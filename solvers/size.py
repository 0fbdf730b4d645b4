"""``python -m solvers.size``: how large an SRAM a network needs, as one problem."""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any

from dnns.errors import InputError
from dnns.terminal.options import LineParser
from dnns.terminal.output import check_outputs, deliver
from dnns.terminal.streams import guarded
from solvers.run import check_plots, progress, started

if TYPE_CHECKING:
    from rich.console import Console

    from solvers.network.resident.sizing import Sized, Sizing

_SIZE = re.compile(r"(\d+)([KM]?)")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
#: Of each target: its unit, how many of them the table's unit is, that, and what it is never below.
_UNITS_OF = {
    "traffic": ("bytes", 10**6, "MB", "any schedule"),
    "latency": ("cycles", 1000, "kcycles", "roofline"),
    "energy": ("pJ", 10**6, "uJ", "any schedule"),
}
_BAR = 30
_MOST = 4096


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.size",
        description="The least DRAM traffic, latency or energy of a network as one problem (what stays "
        "on the chip, what is fused) against the size of the SRAM; every size that is looked at is proven.",
        epilog="Exit code: 0 done, 2 bad input.",
    )
    p.add_argument("scenario", help="scenario file (.yaml); its bufsize and objective do not matter here")
    text = "smallest and largest SRAM [bytes], K and M for KiB and MiB (128K:4M)"
    p.add_argument("--sram", default="128K:4M", metavar="FROM:TO", help=text)
    text = (
        "between the sizes that are looked at [bytes] (64K); exact: every size at which the optimum changes"
    )
    p.add_argument("--step", default="64K", metavar="BYTES|exact", help=text)
    text = "what is least: traffic, latency, or energy"
    p.add_argument("--target", default="traffic", choices=("traffic", "latency", "energy"), help=text)
    text = "say the smallest SRAM with so much traffic [bytes], latency [cycles] or energy [pJ] at most"
    p.add_argument("--reach", type=float, metavar="VALUE", help=text)
    levels, text = ("resident", "fused"), "resident feature maps, or fused layers besides (the scenario's)"
    p.add_argument("--network_level", "--network-level", choices=levels, help=text)
    text = "inference after inference: trained weights of some layers stay for good (the scenario's)"
    p.add_argument("--weights_resident", "--weights-resident", action="store_true", help=text)
    p.add_argument("--jobs", type=int, metavar="N", help="processes (1)")
    p.add_argument("--outfile", metavar="F", help="write the results as JSON")
    p.add_argument("--csv", metavar="F", help="write one line per size as CSV")
    text = "folder for a picture of the table, and of what a KiB is worth, PNG and SVG (needs matplotlib)"
    p.add_argument("--plots", metavar="DIR", help=text)
    p.add_argument("--quiet", action="store_true", help="no table, no progress")
    return p


def size(text: str, option: str) -> int:
    """A size in bytes; raises InputError unless it is a whole number above 0 with K, M or nothing behind."""
    match = _SIZE.fullmatch(text.upper())
    if match is None or int(match[1]) == 0 or len(text) > 15:
        raise InputError(
            option, "", f"got {text[:40]!r}, allowed: bytes, or a number with K or M, such as 512K"
        )
    return int(match[1]) * _UNITS[match[2]]


def ends(sram: str) -> tuple[int, int]:
    """The smallest and the largest size that ``--sram`` asks for [bytes]."""
    first, colon, last = sram.partition(":")
    if not colon:
        raise InputError("--sram", "", f"got {sram[:40]!r}, allowed: FROM:TO, such as 128K:4M")
    low, high = size(first, "--sram"), size(last, "--sram")
    if low > high:
        raise InputError("--sram", "", f"got {sram}, the first size must not be above the second")
    return low, high


def sizes(sram: str, step: str) -> list[int]:
    """The sizes that ``--sram`` and ``--step`` ask for, ascending, both ends included."""
    low, high = ends(sram)
    width = size(step, "--step")
    count = (high - low) // width + 1
    if count > _MOST:
        raise InputError("--step", "", f"got {step}, that is {count:,} sizes, at most {_MOST:,} are allowed")
    return sorted({*range(low, high + 1, width), high})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_args(argv)))


def _main(args: argparse.Namespace) -> int:
    exact = args.step.lower() == "exact"
    low, high = ends(args.sram)
    wanted = [] if exact else sizes(args.sram, args.step)
    check_outputs({"--outfile": args.outfile, "--csv": args.csv}, (args.scenario,))
    check_plots(args.plots)
    with started(args.jobs) as workers, progress(args.quiet) as notify:
        from formulation.problem import Kind
        from solvers.network.levels import check_network_level
        from solvers.network.resident.sizing import sizing
        from solvers.scenario import read_scenario

        fields = {"network_level": args.network_level} if args.network_level else {}
        fields |= {"weights_resident": True} if args.weights_resident else {}
        scenario = read_scenario(args.scenario, fields)
        if scenario.network_level == "layers":
            scenario = scenario.replace(network_level="resident")
        check_network_level(scenario)
        target = Kind(args.target)
        if exact or scenario.weights_resident:
            from solvers.network.resident.exact_sizing import exact_sizing

            some = None if exact else wanted
            found = exact_sizing(scenario, low, high, target, sizes=some, workers=workers, notify=notify)
        else:
            found = sizing(scenario, wanted, target, workers=workers, notify=notify)
    outputs = [(args.outfile, lambda f: _json(found, f)), (args.csv, lambda f: _csv(found, f))]
    failed = deliver(
        outputs, None if args.quiet else lambda: _text(found, scenario.network_level, args.reach)
    )
    if args.plots is not None:
        from solvers.views.plots.picture import write_pictures
        from solvers.views.plots.sizes import sizing_picture

        failed += write_pictures([sizing_picture(_data(found))], args.plots)
    for error in failed:
        raise error
    return 0


def _rows(found: Sizing) -> list[dict[str, Any]]:
    from solvers.result import number

    energy = ("energy_pj",) if found.target.value == "energy" else ()
    names = ("taken_bytes", "traffic_bytes", "latency_cycles", *energy, "lower_bound")
    return [
        {
            "buffer_bytes": point.buffer_bytes,
            **{name: number(getattr(point, name)) for name in names},
            "optimal": point.optimal,
        }
        for point in found.points
    ]


def _data(found: Sizing) -> dict[str, Any]:
    data = {"network": found.network, "target": found.target.value, "least": float(found.least)}
    return data | {"programs": found.programs, "sizes": _rows(found)}


def _json(found: Sizing, stream: IO[str]) -> None:
    json.dump(_data(found), stream, indent=1)
    stream.write("\n")


def _csv(found: Sizing, stream: IO[str]) -> None:
    rows = _rows(found)
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _text(found: Sizing, level: str, reach: float | None) -> str:
    from dnns.terminal.tables import Title, fitted, printed, put

    basic, unit, name, least = _UNITS_OF[found.target.value]
    titles: list[Title] = [
        ("SRAM\nKiB", "right"),
        ("taken\nKiB", "right"),
        (f"{found.target.value}\n{name}", "right"),
        (f"times\n{least}", "right"),
        (f"a KiB saves\n{basic}", "right"),
        (f"above {least}\n", "left"),
        ("\nproven", "left"),
    ]
    steps = found.steps
    top = max(found.value(step) - found.least for step in steps)
    rows = []
    for place, step in enumerate(steps):
        value = found.value(step)
        saved = _saved(found, steps[place - 1], step) if place else ""
        bar = "█" * round(_BAR * float((value - found.least) / top)) if top else ""
        cells = (_kib(step.buffer_bytes), f"{float(step.taken_bytes) / 1024:,.0f}")
        ratio = f"{float(value / found.least):.2f}" if found.least else "-"
        rows.append(
            (*cells, f"{float(value) / unit:,.2f}", ratio, saved, bar, "yes" if step.optimal else "no")
        )

    def prints(console: Console) -> None:
        console.print(f"{found.network}, {level}: least {found.target.value} from each size of the SRAM on")
        put(console, fitted(titles, rows, (5, 1, 4, 3), console))
        if reach is not None:
            console.print(_reached(found, reach))

    return printed(prints)


def _kib(size: int) -> str:
    """With the digits that tell bytes apart where it is no whole number."""
    return f"{size / 1024:,.3f}" if size % 1024 else f"{size // 1024:,}"


def _saved(found: Sizing, before: Sized, after: Sized) -> str:
    kib = Fraction(after.buffer_bytes - before.buffer_bytes, 1024)
    return f"{float((found.value(before) - found.value(after)) / kib):,.0f}"


def _reached(found: Sizing, reach: float) -> str:
    unit = _UNITS_OF[found.target.value][0]
    point = found.reached(Fraction(reach))
    if point is None:
        return f"{reach:,.0f} {unit}: more than that, whatever size of these"
    return f"{reach:,.0f} {unit}: from {point.buffer_bytes:,} bytes of SRAM on"


if __name__ == "__main__":
    sys.exit(main())
