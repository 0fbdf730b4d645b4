"""``python -m solvers.show RESULT.json``: each layer's schedule as loops, C or a DMA program."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from dnns.errors import InputError, unknown
from dnns.terminal.options import LineParser
from dnns.terminal.streams import guarded, show, show_all
from solvers.schedules.execution import LIMIT

if TYPE_CHECKING:
    from solvers.schedules.execution.plan import NetworkPlan, ScheduledLayer

DIFFERS = 1
"""Exit code if numbers or words are not what they must be."""
_TOGETHER = 500  # lines shown at once


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.show",
        description="How each layer of a result is run: its loops over tiles, what is fetched, kept, spilled "
        "and written where; the same as C, or as a program of transfers; or run on random integers.",
        epilog="Exit code: 0 done, 1 numbers or words differ, 2 bad input.",
    )
    p.add_argument("result", help="the JSON that python -m solvers.run SCENARIO --outfile FILE wrote")
    p.add_argument("--layer", metavar="NAME", help="this layer only")
    text = "text; c: C99 that checks itself; json: every transfer and computation, one a line (text)"
    p.add_argument("--format", choices=("text", "c", "json"), help=text)
    text = "run on random integers, tile by tile, and compare with a direct computation"
    p.add_argument("--numbers", action="store_true", help=text)
    p.add_argument("--seed", type=int, metavar="N", help="of the random integers (0)")
    text = f"leave out layers of more multiply-accumulates ({LIMIT:,})"
    p.add_argument("--limit", type=int, metavar="MACS", help=text)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_args(argv)))


def _main(args: argparse.Namespace) -> int:
    _check(args)
    from solvers.schedules.execution.reader import read_plan

    plan = read_plan(args.result)
    layers = _chosen(plan, args)
    if args.numbers:
        return _run_numbers(layers, args.seed or 0, LIMIT if args.limit is None else args.limit)
    show_all(_shown(plan, layers, args.format or "text"))
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raise InputError for an option that would be ignored, or a number out of range."""
    for option in ("seed", "limit"):
        value = getattr(args, option)
        if value is not None and not args.numbers:
            raise InputError(f"--{option}", "", "is of --numbers, which is not given")
        if value is not None and value < 0:
            raise InputError(f"--{option}", "", f"got {value}, must be at least 0")
    if args.numbers and args.format:
        raise InputError("--format", "", "is of what is shown, --numbers runs it")


def _chosen(plan: NetworkPlan, args: argparse.Namespace) -> Sequence[ScheduledLayer]:
    """The layers asked for; C needs one that it can show."""
    layers = [layer for layer in plan.layers if args.layer in (None, layer.name)]
    if not layers:
        raise InputError("--layer", "", unknown(args.layer, [layer.name for layer in plan.layers], "layer"))
    if args.format == "c" and all(layer.not_in_c for layer in layers):
        told = "; ".join(f"{layer.name}: {layer.not_in_c}" for layer in layers)
        raise InputError(args.result, "layers", f"none that can be shown as C: {told}")
    return layers


def _shown(plan: NetworkPlan, layers: Sequence[ScheduledLayer], kind: str) -> Iterable[str]:
    if kind == "c":
        from solvers.schedules.execution.written.as_c import program

        return program(plan, layers)
    if kind == "json":
        from solvers.schedules.execution.written import as_json

        lines = chain((as_json.heading(plan),), *map(as_json.layer_lines, layers))
        return _joined(lines)
    from solvers.schedules.execution.written import as_text

    return chain((as_text.heading(plan),), _joined(chain.from_iterable(map(as_text.layer_text, layers))))


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Lines in pieces that are worth writing."""
    left = iter(lines)
    while together := list(islice(left, _TOGETHER)):
        yield "".join(f"{line}\n" for line in together)


def _run_numbers(layers: Sequence[ScheduledLayer], seed: int, limit: int) -> int:
    """Run layers on numbers, a line for each; returns the exit code."""
    from solvers.schedules.execution.numbers import tried

    code = 0
    for text, good in tried(layers, seed, limit):
        show(text)
        code = code if good else DIFFERS
    return code


if __name__ == "__main__":
    sys.exit(main())
