"""``python -m solvers.run``: schedule a network and print, layer by layer, how each is best run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dnns.errors import InputError
from dnns.options import BAD_INPUT
from dnns.output import check_writable, write_file
from solvers.cli.arguments import deconvolution, overrides, parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dnns.layer import Network
    from solvers.network.report import Report
    from solvers.network.schedule import Notify
    from solvers.scenario import Scenario

DOES_NOT_FIT, INTERRUPTED = 3, 130


def read(args: argparse.Namespace) -> Scenario:
    """The scenario that the command line asks for; raises InputError."""
    from solvers.scenario import build_scenario, read_scenario

    fields = overrides(args)
    if args.scenario is None:
        if args.dnnfile is None:
            raise InputError(
                "python -m solvers.run", "", "give a scenario file, or --dnnfile with --ifmap W H C"
            )
        scenario = build_scenario({}, fields, "")
    else:
        scenario = read_scenario(args.scenario, fields)
    if args.weights is not None and scenario.objective.kind != "weighted":
        raise InputError("--weights", "", f"the objective is {scenario.objective.kind}, allowed: weighted")
    treatment = deconvolution(args.split, args.combine, scenario.deconvolution)
    return scenario.model_copy(update={"deconvolution": treatment})


def check_model_type(network: Network, kind: str | None) -> None:
    """Raise InputError unless the network is what ``--model_type`` says."""
    axes = {len(layer.axes) for layer in network.layers}
    if (kind == "2D" and 3 in axes) or (kind == "3D" and 3 not in axes):
        raise InputError("--model_type", "", f"is {kind}, but the layers have {sorted(axes)} spatial axes")


@contextmanager
def progress(quiet: bool) -> Iterator[Notify | None]:
    """A progress bar on standard error, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, name: bar.update(task, completed=done, total=total, description=name)


def unfit(report: Report) -> Iterator[str]:
    """One line for each part that does not fit, or was not solved."""
    for layer in report.layers:
        for part in layer.parts:
            if part.solved or part.result is None:
                continue
            problem = part.result.problem
            if problem.fits_at_all:
                yield f"{part.name}: no mapping found, {part.result.termination.value}"
                continue
            need, have = problem.smallest_need(), problem.partition
            room = f"{report.hardware.buffer_bits / 8:,.0f} bytes"
            if have is not None:
                room += f", of which I O W {_bytes(have.parts)}, needed {_bytes(need.parts)}"
            text = f"does not fit: its smallest tile needs {need.total / 8:,.0f} bytes, there are {room}"
            yield f"{part.name}: {text}"


def _bytes(parts: tuple[int, ...]) -> str:
    return " / ".join(f"{part / 8:,.0f}" for part in parts)


def print_lines(lines: Sequence[str]) -> int:
    """Tell what is not solved; returns the exit code."""
    for line in lines:
        print(line, file=sys.stderr)
    return DOES_NOT_FIT if lines else 0


def guarded(command: Callable[[], int]) -> int:
    """Run a command; bad input and an interruption are told in one line. Returns the exit code."""
    try:
        return command()
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parser().parse_args(argv)
    return guarded(lambda: _main(args))


def _main(args: argparse.Namespace) -> int:
    check_writable(args.outfile, args.csv)
    report = _run(args)
    if not args.quiet:
        _print(report, args)
    for path, write in ((args.outfile, report.write_json), (args.csv, report.write_csv)):
        if path is not None:
            write_file(path, write)
    return print_lines(list(unfit(report)))


def _run(args: argparse.Namespace) -> Report:
    if args.jobs is not None and args.jobs < 1:
        raise InputError("--jobs", "", f"got {args.jobs}, must be at least 1")
    scenario = read(args)
    if args.sensitivity and scenario.search_method not in ("constrained", "combined"):
        problem = f"{scenario.search_method} has no multipliers, allowed with: constrained, combined"
        raise InputError("--sensitivity", "", problem)
    network = scenario.read_network()
    check_model_type(network, args.model_type)
    from solvers.network.schedule import run_scenario

    with progress(args.quiet) as notify:
        return run_scenario(scenario, network=network, jobs=args.jobs or 1, notify=notify)


def _print(report: Report, args: argparse.Namespace) -> None:
    from rich.console import Console

    from solvers.cli.schedule_table import WIDTH, print_report, print_sensitivity

    console = Console() if sys.stdout.isatty() else Console(width=WIDTH, no_color=True)
    print_report(report, console)
    if args.sensitivity:
        print_sensitivity(report, console)


if __name__ == "__main__":
    sys.exit(main())
