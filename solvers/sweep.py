"""``python -m solvers.sweep``: a scenario at many points, kept as they are solved, as Parquet files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dnns import __version__
from dnns.errors import InputError
from dnns.terminal.options import LineParser
from dnns.terminal.output import check_outputs, deliver
from dnns.terminal.streams import INTERRUPTED, guarded, show, tell
from solvers.run import DOES_NOT_FIT, INTERNAL_ERROR, check_pictures, started

if TYPE_CHECKING:
    from rich.console import Console

    from solvers.exploring.sweeping.kept.store import Store
    from solvers.exploring.sweeping.ledger import SweepLedger
    from solvers.exploring.sweeping.problems import Problems
    from solvers.exploring.sweeping.summary import Summary
    from solvers.network.tasks import Executor
    from solvers.network.workers import Workers

_ANSWERS = "solvers.exploring.sweeping.kept.answers"
"""What a process needs that solves a problem."""


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.sweep",
        description="Solve a scenario at many points: machines, networks, methods, objectives. Each answer "
        "is kept at once, so the same command goes on where it was interrupted, however that was.",
        epilog="Exit code: 0 done, 2 bad input, 3 a layer does not fit at some point, 4 an internal error at "
        "some point, 130 interrupted.",
    )
    p.add_argument("sweep", help="sweep file (.yaml): a scenario, and the axes along which it is varied")
    text = "folder for the answers; new, empty, or of the same sweep. It ends with points.parquet, "
    text += "layers.parquet and seconds.parquet"
    p.add_argument("--out", required=True, metavar="DIR", help=text)
    p.add_argument("--jobs", type=int, metavar="N", help="processes (1)")
    text = "solve on the Dask cluster whose scheduler has this address, such as tcp://HOST:8786"
    p.add_argument("--cluster", metavar="ADDRESS", help=text)
    p.add_argument("--retry", action="store_true", help="try again what failed before")
    text = "folder for heat maps, PNG and SVG: latency and traffic over two of the axes (needs matplotlib)"
    p.add_argument("--plots", metavar="DIR", help=text)
    text = "write a page to look at, one HTML file that needs no network"
    p.add_argument("--report", metavar="F", help=text)
    p.add_argument("--quiet", action="store_true", help="no table, no progress")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_args(argv)))


def _main(args: argparse.Namespace) -> int:
    if args.cluster is not None and args.jobs is not None:
        raise InputError("--jobs", "", "is for processes here, leave it out with --cluster")
    check_outputs({"--report": args.report}, (args.sweep,))
    check_pictures(args.plots, args.report)
    with started(args.jobs, None, args.sweep, besides=(_ANSWERS,)) as workers:
        from solvers.exploring.sweeping.axes.file import read_sweep
        from solvers.exploring.sweeping.kept.store import opened
        from solvers.exploring.sweeping.kept.tables import check_arrow
        from solvers.exploring.sweeping.problems import Problems
        from solvers.exploring.sweeping.progress import told_progress

        check_arrow()
        problems = Problems(read_sweep(args.sweep))
        if workers is not None:
            workers.start(len(problems.sweep))
        with told_progress("points read", args.quiet) as notify:
            problems.pose(notify)
        with opened(args.out, problems.identity) as store:
            if args.retry:
                store.forget_failed()
            ledger = _solve(problems, store, workers, args)
            if ledger is None:
                return INTERRUPTED
            summary = write(problems, ledger, store.folder, args.quiet)
    if not args.quiet:
        _show(problems, summary, args)
    for error in _looked_at(problems, args):
        raise error
    codes = {"failed": INTERNAL_ERROR, "does not fit": DOES_NOT_FIT}
    return max((code for status, code in codes.items() if summary.statuses[status]), default=0)


def _solve(
    problems: Problems, store: Store, workers: Workers | None, args: argparse.Namespace
) -> SweepLedger | None:
    """Solve what is not solved yet; None if it was interrupted."""
    from solvers.exploring.sweeping.ledger import SweepLedger
    from solvers.exploring.sweeping.progress import told_progress
    from solvers.network.tasks import share_out

    with told_progress("problems", args.quiet) as notify:
        ledger = SweepLedger(problems, store, notify)
        if notify is not None:
            notify(ledger.count, len(ledger.tasks))
        try:
            if ledger.count < len(ledger.tasks):
                with _executor(problems, workers, args.cluster) as executor:
                    share_out(ledger, executor)
        except KeyboardInterrupt:
            kept = f"{ledger.count:,} of {len(ledger.tasks):,} problems are kept"
            tell(f"interrupted: {kept} in {args.out}, the same command goes on")
            return None
    return ledger


def _looked_at(problems: Problems, args: argparse.Namespace) -> list[InputError]:
    """Draw the heat maps and write the page; returns what could not be written."""
    if args.plots is None and args.report is None:
        return []
    from solvers.exploring.sweeping.labels import axis_columns
    from solvers.exploring.sweeping.pictures import points_of, sweep_pictures

    rows, name = points_of(Path(args.out)), Path(args.sweep).stem
    axes, failed = [column.name for column in axis_columns(problems.kinds)], []
    if args.plots is not None:
        from solvers.views.plots.picture import write_pictures

        failed += write_pictures(sweep_pictures(name, axes, rows), args.plots)
    if args.report is not None:
        from solvers.views.page.reports import exploration_page

        scenario, command = (
            next(iter(problems.sweep.points())).scenario,
            "python -m solvers.run scenario.yaml",
        )
        shown = {"axes": axes, "rows": rows}
        page = partial(exploration_page, f"{name}: a sweep", scenario, command, sweep=shown)
        failed += deliver([(args.report, page)], None)
    return failed


@contextmanager
def _executor(problems: Problems, workers: Workers | None, cluster: str | None) -> Iterator[Executor]:
    """Who solves, with what is needed imported."""
    if cluster is not None:
        from solvers.exploring.sweeping.cluster import connected

        with connected(cluster) as executor:
            yield executor
        return
    for method, combine in problems.loads():
        if workers is None:
            method.load(combine)
        else:
            workers.prepare((method.load, (combine,)))
    if workers is not None:  # where pandas is, pyarrow imports it with its first array
        workers.import_meanwhile("pyarrow.parquet", *(["pandas"] if find_spec("pandas") else []))
    if workers is None:
        from solvers.exploring.sweeping.executors import Here

        yield Here()
    else:
        yield workers


def write(problems: Problems, ledger: SweepLedger, folder: Path, quiet: bool) -> Summary:
    """Write the tables of a sweep whose problems are all solved; returns what is to be told of them."""
    from solvers.exploring.sweeping.kept.tables import LAYER, POINT, SECONDS, Column, schema, written
    from solvers.exploring.sweeping.labels import axis_columns, fitting, labels
    from solvers.exploring.sweeping.progress import told_progress
    from solvers.exploring.sweeping.summary import Summary

    about = {"sweep": problems.identity, "version": __version__}
    axes, number = axis_columns(problems.kinds), Column("point", "int", "", "number of the point")
    forms = {
        "points.parquet": schema((number, *axes, *POINT), about),
        "layers.parquet": schema((number, *LAYER), about),
        "seconds.parquet": schema(SECONDS, about),
    }
    sweep = problems.sweep
    summary = Summary(sweep.fields, len(sweep))
    with told_progress("points written", quiet) as notify, written(folder, forms) as tables:
        for point in problems.points():
            rows, values = ledger.rows(point), fitting(labels(point), axes)
            first = {"point": point.number}
            tables["points.parquet"].add([{**first, **values, **rows["point"]}])
            tables["layers.parquet"].add([{**first, **row} for row in rows["layers"]])
            summary.add(point.number, values, rows["point"])
            if notify is not None:
                notify(point.number + 1, len(sweep))
        tables["seconds.parquet"].add(ledger.seconds())
    return summary


def _show(problems: Problems, summary: Summary, args: argparse.Namespace) -> None:
    from dnns.terminal.tables import printed
    from solvers.exploring.sweeping.kept.rows import STATUSES

    sweep, counts = problems.sweep, summary.statuses
    ended = ", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts[status])
    asked = f"{len(problems.tasks):,} distinct problems of {problems.posed:,}"

    def prints(console: Console) -> None:
        head = f"{Path(sweep.file).name}: {len(sweep):,} points ({ended}), {asked}"
        console.print(head, markup=False, highlight=False, soft_wrap=True)
        summary.print(console)
        files = "points.parquet, layers.parquet, seconds.parquet"
        console.print(f"{args.out}: {files}", markup=False, highlight=False, soft_wrap=True)

    show(printed(prints))


if __name__ == "__main__":
    sys.exit(main())
