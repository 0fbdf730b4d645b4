"""``python -m solvers.replay``: run a result's mappings tile by tile, and hold them against what it says."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from dnns.errors import InputError, unknown
from dnns.terminal.options import LineParser
from dnns.terminal.output import check_outputs, deliver
from dnns.terminal.streams import guarded, show, tell

if TYPE_CHECKING:
    from rich.console import Console

    from solvers.schedules.simulation.replay import Replay, ReplayedPart

DIFFERENT, DOES_NOT_FIT = 1, 3
"""Exit codes if the result is not what was replayed, or has no mapping of a layer."""


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.replay",
        description="Run every mapping of a result tile by tile on a simulated machine. Words, footprints, "
        "cycles and the model's latency must be the result's; the simulated latency stands beside it.",
        epilog="Exit code: 0 all is as the result says, 1 something is not, 2 bad input, "
        "3 a layer has no mapping.",
    )
    p.add_argument("result", help="the JSON that solvers.run writes (--outfile), layer by layer")
    p.add_argument(
        "--layer", action="append", metavar="NAME", help="only this layer; more than once for more"
    )
    text = "write an ofmap tile whole, or in pieces while the next one is made (whole)"
    p.add_argument("--writes", choices=("whole", "pieces"), default="whole", help=text)
    text = "visit each step by itself and skip nothing: the same numbers, slower"
    p.add_argument("--every-step", "--every_step", action="store_true", help=text)
    text = "also run random integers through the tiles, and compare with a direct computation"
    p.add_argument("--numbers", action="store_true", help=text)
    p.add_argument("--seed", type=int, metavar="N", help="of the random integers (0)")
    p.add_argument("--csv", metavar="F", help="write one line per part as CSV")
    p.add_argument("--quiet", action="store_true", help="no table")
    return p


def replay_result(
    result: str | Path | dict[str, Any],
    layers: Iterable[str] | None = None,
    *,
    writes: Literal["whole", "pieces"] = "whole",
    every_step: bool = False,
) -> Replay:
    """Replay a result.

    Args:
        result: its file, or ``Report.to_dict()``.
        layers: names of the layers; None for all.
        writes: whether the simulated engine writes an ofmap tile that stays for several steps whole, or in
            as many pieces, between the fetches for the next one.
        every_step: whether to skip nothing, which takes longer and gives the same.

    Raises:
        InputError: if it is no result of layers one by one, or has no layer of such a name.
    """
    from solvers.schedules.simulation.replay import replay_data
    from solvers.schedules.simulation.result_file import check_result, read_result

    if isinstance(result, dict):
        check_result(result, "result")
        data: Any = result
    else:
        data = read_result(result)
    known = [layer["name"] for layer in data["layers"]]
    names = None if layers is None else list(layers)
    for name in names or ():
        if name not in known:
            raise InputError("--layer", "", unknown(name, known, "layer"))
    return replay_data(data, names, in_pieces=writes == "pieces", every_step=every_step)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_args(argv)))


def _main(args: argparse.Namespace) -> int:
    check_outputs({"--csv": args.csv}, (args.result,))
    if args.seed is not None and (not args.numbers or args.seed < 0):
        raise InputError("--seed", "", f"got {args.seed}, allowed: at least 0, with --numbers")
    found = replay_result(args.result, args.layer, writes=args.writes, every_step=args.every_step)
    failed = deliver([(args.csv, lambda f: _csv(found, f))], None if args.quiet else lambda: _text(found))
    unmapped = list(found.unmapped)
    for line in (*found.differences, *(f"{name}: has no mapping, it is not replayed" for name in unmapped)):
        tell(line)
    for error in failed:
        raise error
    if found.differences or (args.numbers and not _numbers(args)):
        return DIFFERENT
    return DOES_NOT_FIT if unmapped else 0


def _numbers(args: argparse.Namespace) -> bool:
    """Run the layers on random integers, a line for each; returns whether all equal a direct computation."""
    from solvers.schedules.execution import LIMIT
    from solvers.schedules.execution.numbers import tried
    from solvers.schedules.execution.reader import read_plan

    chosen = [y for y in read_plan(args.result).layers if args.layer is None or y.name in args.layer]
    good = True
    for text, equal in tried(chosen, args.seed or 0, LIMIT):
        if not args.quiet or not equal:
            show(text)
        good = good and equal
    return good


def _rows(found: Replay) -> Iterator[dict[str, Any]]:
    from solvers.result import number

    for layer in found.layers:
        for part in layer.parts:
            run, moved = part.run, part.run.moved
            peaks = {f"peak_bytes.{name}": number(Fraction(bits, 8)) for name, bits in run.part_bits.items()}
            yield {
                "layer": layer.name,
                "part": part.name,
                "count": part.count,
                "steps": moved.steps,
                "macs": moved.macs,
                "traffic.ifmap": moved.ifmap,
                "traffic.weights": moved.weights,
                "traffic.ofmap_write": moved.ofmap_write,
                "traffic.ofmap_read": moved.ofmap_read,
                "traffic_bytes": number(Fraction(run.traffic_bits, 8)),
                **peaks,
                "compute_cycles": moved.cycles,
                "latency_cycles": number(part.model_cycles),
                "simulated_cycles": number(run.latency_cycles),
                "ratio": part.ratio,
                "first_cycles": number(run.first_cycles),
                "waiting_cycles": number(run.waiting_cycles),
                "last_cycles": number(run.last_cycles),
                "differences": len(layer.differences),
            }


def _csv(found: Replay, stream: IO[str]) -> None:
    rows = list(_rows(found))
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _text(found: Replay) -> str:
    from dnns.terminal.tables import Title, fitted, printed, put

    titles: list[Title] = [
        ("\nlayer", "left"),
        ("\nsteps", "right"),
        ("I / W / O out / O in\nkwords", "right"),
        ("peak I / O / W\nKiB", "right"),
        ("array\nkcycles", "right"),
        ("model\nkcycles", "right"),
        ("simulated\nkcycles", "right"),
        ("\nratio", "right"),
        ("begins / waits / ends\nkcycles", "right"),
    ]
    rows = [_cells(part) for layer in found.layers for part in layer.parts]

    def prints(console: Console) -> None:
        console.print(f"{found.network}: every tile moved and computed", markup=False)
        put(console, fitted(titles, rows, (1, 2, 3, 8, 4), console))
        console.print(_summary(found), markup=False)

    return printed(prints)


def _cells(part: ReplayedPart) -> tuple[str, ...]:
    run, moved = part.run, part.run.moved
    words = (moved.ifmap, moved.weights, moved.ofmap_write, moved.ofmap_read)
    peaks = " / ".join(f"{bits / 8192:,.1f}" for bits in run.part_bits.values())
    waits = (run.first_cycles, run.waiting_cycles, run.last_cycles)
    return (
        part.name + (f" x{part.count}" if part.count > 1 else ""),
        f"{moved.steps:,}",
        " / ".join(map(_thousands, words)),
        peaks,
        _thousands(moved.cycles),
        _thousands(part.model_cycles),
        _thousands(run.latency_cycles),
        f"{part.ratio:.3f}",
        " / ".join(map(_thousands, waits)),
    )


def _thousands(value: Fraction | int) -> str:
    return f"{float(value) / 1000:,.1f}"


def _summary(found: Replay) -> str:
    model, simulated = found.model_cycles, found.simulated_cycles
    ratio = f"{float(simulated / model):.3f} times the model's" if model else "no layer has a mapping"
    told = (
        f"{len(found.differences)} numbers differ from the result's"
        if found.differences
        else "all as the result says"
    )
    return (
        f"latency: model {float(model):,.0f} cycles, simulated {float(simulated):,.0f}, {ratio}\n"
        f"words, footprints, cycles, latency by the model: {told}"
    )


if __name__ == "__main__":
    sys.exit(main())
