"""``python -m solvers.compare``: several methods on the same scenarios, side by side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dnns.errors import InputError
from dnns.terminal.options import LineParser
from dnns.terminal.output import check_outputs, deliver
from dnns.terminal.streams import guarded
from solvers.backends.registry import MILP, load
from solvers.cli.echo import option_named
from solvers.methods import METHODS
from solvers.run import check_plots, conclude, progress, started, unsolved

if TYPE_CHECKING:
    from rich.console import Console

    from solvers.cli.comparison import Comparison
    from solvers.network.tasks import Notify


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.compare",
        description="Solve scenarios by several methods, and show for each layer and in total what each "
        "method reaches, what it proves, and what it takes.",
        epilog="Exit code: 0 done, 2 bad input, 3 a layer does not fit for some method.",
    )
    p.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="scenario file (.yaml)")
    text = f"methods, with commas or spaces between (all: {','.join(METHODS)})"
    p.add_argument("--methods", nargs="+", default=list(METHODS), metavar="METHOD", help=text)
    p.add_argument("--csv", metavar="F", help="write one line per problem and method as CSV")
    p.add_argument("--json", metavar="F", help="write everything as JSON")
    text = "folder for pictures, PNG and SVG: cycles and traffic, gap and time by method (needs matplotlib)"
    p.add_argument("--plots", metavar="DIR", help=text)
    p.add_argument(
        "--report", metavar="F", help="write a page to look at, one HTML file that needs no network"
    )
    p.add_argument("--verbose", action="store_true", help="sizes of the mixed-integer programs as well")
    p.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (1)")
    text = f"Exact: solver of the mixed-integer programs ({' or '.join(MILP)})"
    p.add_argument("--backend", metavar="NAME", help=text)
    text = "per sub-problem and method [s], 0 for none; the scenario's by default"
    p.add_argument("--time-limit", "--time_limit", type=float, metavar="S", help=text)
    p.add_argument("--quiet", action="store_true", help="no table, no progress")
    return p


def chosen_methods(words: Sequence[str]) -> list[str]:
    """The methods named, each once; raises InputError for one that there is not."""
    names = [name.strip().lower() for word in words for name in word.split(",") if name.strip()]
    for name in names:
        if name not in METHODS:
            raise InputError("--methods", "", f"got {name[:60]!r}, allowed: {', '.join(METHODS)}")
    if not names:
        raise InputError("--methods", "", f"names none, allowed: {', '.join(METHODS)}")
    return list(dict.fromkeys(names))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_intermixed_args(argv)))


def _main(args: argparse.Namespace) -> int:
    comparisons = list(_compare_all(args))
    from solvers.cli.comparison import write_csv, write_json

    outputs = [(args.json, partial(write_json, comparisons)), (args.csv, partial(write_csv, comparisons))]
    if args.report is not None:
        outputs.append((args.report, partial(_page, comparisons)))
    failed = deliver(outputs, None if args.quiet else lambda: _text(comparisons, args))
    if args.plots is not None:
        failed += _draw(comparisons, args.plots)
    lines = (
        (code, f"{comparison.network}, {method}: {line}")
        for comparison in comparisons
        for method, report in comparison.reports.items()
        for code, line in unsolved(report)
    )
    return conclude(failed, lines)


def _compare_all(args: argparse.Namespace) -> Iterator[Comparison]:
    methods = chosen_methods(args.methods)
    with started(args.jobs) as workers:
        from solvers.cli.comparison import compare
        from solvers.scenario import read_scenario

        overrides: dict[str, Any] = {}
        if args.time_limit is not None:
            overrides["time_limit"] = args.time_limit or None
        with option_named(args):
            scenarios = [read_scenario(file, overrides) for file in args.scenarios]
        if args.backend is not None:
            load(MILP, args.backend.lower())
            scenarios = [s.model_copy(update={"backend": args.backend.lower()}) for s in scenarios]
        check_plots(args.plots)
        networks = (scenario.network_file for scenario in scenarios)
        files = {"--json": args.json, "--csv": args.csv, "--report": args.report}
        check_outputs(files, (*args.scenarios, *networks))
        if args.report is not None:
            from solvers.views.page.document import check_report

            check_report()
        for scenario in scenarios:
            with _watching(args.quiet) as watch:
                yield compare(scenario, methods, workers=workers, watch=watch)


def _draw(comparisons: Sequence[Comparison], folder: str) -> list[InputError]:
    """Write pictures, of several scenarios each to a folder of its own; returns what could not be written."""
    from solvers.views.plots.compared import comparison_pictures
    from solvers.views.plots.picture import folders, write_pictures

    homes = folders(folder, [Path(comparison.scenario.source).stem for comparison in comparisons])
    pictures = [comparison_pictures(comparison.to_dict()) for comparison in comparisons]
    return [error for some, home in zip(pictures, homes, strict=True) for error in write_pictures(some, home)]


@contextmanager
def _watching(quiet: bool) -> Iterator[Any]:
    """A progress bar whose description begins with the method, if standard error is a terminal."""
    with progress(quiet) as notify:
        if notify is None:
            yield None
            return

        def watch(method: str) -> Notify:
            return lambda done, total, name: notify(done, total, f"{method} {name}")

        yield watch


def _page(comparisons: Sequence[Comparison], stream: IO[str]) -> None:
    from solvers.views.page.document import Page, write_page

    results = [
        (f"{comparison.network}, {method}", report.to_dict(), report.graph)
        for comparison in comparisons
        for method, report in comparison.reports.items()
    ]
    files = _names([comparison.network for comparison in comparisons])
    methods = ",".join(comparisons[0].reports)
    page = Page(
        title=f"{', '.join(dict.fromkeys(comparison.network for comparison in comparisons))}: methods",
        results=results,
        comparisons=[comparison.to_dict() for comparison in comparisons],
        scenarios={name: c.scenario.to_dict() for name, c in zip(files, comparisons, strict=True)},
        command=f"python -m solvers.compare {' '.join(files)} --methods {methods}",
    )
    write_page(page, stream)


def _names(networks: Sequence[str]) -> list[str]:
    """A file's name for the scenario of each: letters and digits only, numbered."""
    plain = ["".join(c for c in name if c.isascii() and c.isalnum()) or "network" for name in networks]
    return [f"{name}-{i}.yaml" if len(plain) > 1 else f"{name}.yaml" for i, name in enumerate(plain, start=1)]


def _text(comparisons: Sequence[Comparison], args: argparse.Namespace) -> str:
    from dnns.terminal.tables import printed
    from solvers.cli.tables.comparison import print_comparison

    def prints(console: Console) -> None:
        for comparison in comparisons:
            print_comparison(comparison, console, verbose=args.verbose)

    return printed(prints)


if __name__ == "__main__":
    sys.exit(main())
