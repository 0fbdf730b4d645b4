"""``python -m solvers.run``: schedule a network and print, layer by layer, how each is best run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TextIO

from dnns import __version__
from dnns.errors import InputError
from dnns.terminal.output import check_outputs, deliver
from dnns.terminal.streams import BAD_INPUT, guarded, show, tell
from solvers.cli.arguments import parser
from solvers.cli.echo import option_named, shape_echoed
from solvers.cli.overrides import deconvolution, overrides

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from dnns.layer import Network
    from solvers.network.report import Report
    from solvers.network.resident.report import NetworkReport
    from solvers.network.tasks import Notify
    from solvers.network.workers import Workers
    from solvers.result import Result
    from solvers.scenario import Scenario

DOES_NOT_FIT, INTERNAL_ERROR = 3, 4
"""Exit codes if a layer has no answer."""


def read(args: argparse.Namespace) -> Scenario:
    """The scenario that the command line asks for; raises InputError."""
    from solvers.scenario import build_scenario, read_scenario

    fields = overrides(args)
    if asked := deconvolution(args.split, args.combine, ""):
        fields["deconvolution"] = asked
    if args.scenario is None and args.dnnfile is None:
        problem = "give a scenario (--list names the bundled ones), or --dnnfile with --ifmap W H C"
        raise InputError("python -m solvers.run", "", problem)
    with option_named(args):
        if args.scenario is None:
            scenario = build_scenario({}, fields, "")
        else:
            scenario = read_scenario(args.scenario, fields)
    check_used(args, scenario)
    if scenario.made_by not in ("", __version__):
        tell(f"{args.scenario}: note: made by version {scenario.made_by}, this is {__version__}")
    treatment = deconvolution(args.split, args.combine, scenario.deconvolution)
    return scenario.model_copy(update={"deconvolution": treatment})


def check_used(args: argparse.Namespace, scenario: Scenario) -> None:
    """Raise InputError for an option that would be ignored."""
    kind, method = scenario.objective.kind, scenario.search_method
    for option, objective in (("weights", "weighted"), ("tolerance", "balanced")):
        if getattr(args, option) is not None and kind != objective:
            raise InputError(f"--{option}", "", f"the objective is {kind}, allowed: {objective}")
    if args.buffer_partition is not None and not scenario.is_static and method != "combined":
        problem = (
            f"{method} gives each layer a partition of its own, allowed with: static, combined, --static"
        )
        raise InputError("--buffer_partition", "", problem)


def check_plots(folder: str | None) -> None:
    """Raise InputError if ``--plots`` asks for pictures that cannot be made, or not be written."""
    if folder is not None:
        from solvers.views.plots.picture import check_folder

        check_folder(folder, "--plots")


def check_pictures(plots: str | None, report: str | None) -> None:
    """Raise InputError if ``--plots`` or ``--report`` ask for what cannot be made."""
    check_plots(plots)
    if report is not None:
        from solvers.views.page.document import check_report

        check_report()


def check_model_type(network: Network, kind: str | None) -> None:
    """Raise InputError unless the network is what ``--model_type`` says."""
    axes = {len(layer.axes) for layer in network.layers}
    if (kind == "2D" and 3 in axes) or (kind == "3D" and 3 not in axes):
        raise InputError("--model_type", "", f"is {kind}, but the layers have {sorted(axes)} spatial axes")


@contextmanager
def progress(quiet: bool) -> Iterator[Notify | None]:
    """A progress bar on standard error, if that is a terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, name: bar.update(task, completed=done, total=total, description=name)


def unsolved(report: Report | NetworkReport) -> Iterator[tuple[int, str]]:
    """The exit code and a line for each part that does not fit, or was not solved."""
    from solvers.network.report import Report

    if not isinstance(report, Report):
        yield from ((DOES_NOT_FIT, line) for line in report.unfit_lines())
        yield from ((INTERNAL_ERROR, line) for line in report.error_lines())
        return
    for layer in report.layers:
        if layer.error is not None:
            yield INTERNAL_ERROR, f"{layer.operator.name}: internal error: {layer.error}"
        for part in layer.parts:
            if part.error is not None:
                yield INTERNAL_ERROR, f"{part.name}: internal error: {part.error}"
            elif part.result is not None and not part.solved:
                yield DOES_NOT_FIT, f"{part.name}: {_why(part.result)}"


def _why(result: Result) -> str:
    problem = result.problem
    if problem.fits_at_all:
        return f"no mapping found, {result.termination.value}"
    need, have = problem.smallest_need(), problem.partition
    room = f"{problem.hardware.buffer_bits / 8:,.0f} bytes"
    if have is not None:
        room += f", of which I O W {_bytes(have.parts)}, needed {_bytes(need.parts)}"
    return f"does not fit: its smallest tile needs {need.total / 8:,.0f} bytes, there are {room}"


def _bytes(parts: tuple[int, ...]) -> str:
    return " / ".join(f"{part / 8:,.0f}" for part in parts)


def conclude(failed: Iterable[InputError], unsolved: Iterable[tuple[int, str]]) -> int:
    """Tell what could not be written and what is not solved; returns the exit code."""
    codes = [0]
    for code, line in unsolved:
        tell(line)
        codes.append(code)
    for error in failed:
        tell(error)
        return BAD_INPUT
    return max(codes)


@contextmanager
def started(
    jobs: int | None, method: str | None = None, *files: str | None, besides: Sequence[str] = ()
) -> Iterator[Workers | None]:
    """The processes of ``--jobs``, which import while the input is read; None if it is one.

    Args:
        jobs: as it was given.
        method: likewise.
        files: that may name it if it is not; with neither, all methods are likely.
        besides: modules that they need, whatever the method.
    """
    if jobs is not None and jobs < 1:
        raise InputError("--jobs", "", f"got {jobs}, must be at least 1")
    if jobs in (None, 1):
        yield None
        return
    from solvers.network.preloads import PRELOADED, likely_methods
    from solvers.network.workers import Workers

    likely = likely_methods(method, *filter(None, files)) if method or files else tuple(PRELOADED)
    with Workers(jobs, likely, besides=besides) as workers:
        yield workers


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_args(argv)))


def _main(args: argparse.Namespace) -> int:
    if args.list:
        from solvers.scenario.bundled import names

        show("".join(f"{name}\n" for name in names()))
        return 0
    if args.presets:
        from dnns.terminal.tables import printed
        from solvers.cli.tables.presets import print_presets

        show(printed(print_presets))
        return 0
    if args.schema:
        import json

        from solvers.network.data.schema import result_schema

        show(f"{json.dumps(result_schema(), indent=1)}\n")
        return 0
    report = _run(args)
    outputs = [(args.outfile, report.write_json), (args.csv, report.write_csv)]
    if args.certificate is not None:
        outputs.append((args.certificate, partial(_certify, report)))
    if args.report is not None:
        from solvers.views.page.reports import run_page

        outputs.append((args.report, partial(run_page, report)))
    failed = deliver(outputs, None if args.quiet else lambda: _text(report, args))
    if args.plots is not None:
        from solvers.views.plots.picture import write_pictures
        from solvers.views.plots.report import report_pictures

        failed += write_pictures(report_pictures(report.to_dict()), args.plots)
    return conclude(failed, unsolved(report))


def _run(args: argparse.Namespace) -> Report | NetworkReport:
    with started(args.jobs, args.search_method, args.scenario) as workers:
        scenario = read(args)
        names = ("outfile", "csv", "certificate", "report")
        files = {f"--{name}": getattr(args, name) for name in names}
        check_outputs(files, (args.scenario, scenario.network_file))
        check_pictures(args.plots, args.report)
        if args.verbose and scenario.network_level != "layers":
            problem = f"tells of layers one by one, network_level is {scenario.network_level}"
            raise InputError("--verbose", "", problem)
        if args.sensitivity and scenario.search_method not in ("constrained", "combined"):
            problem = f"{scenario.search_method} has no multipliers, allowed with: constrained, combined"
            raise InputError("--sensitivity", "", problem)
        from solvers.network.levels import run_scenario
        from solvers.network.schedule import prepare

        if args.certificate is not None:
            from solvers.certificates.certificate import check_provable

            check_provable(scenario)
        if workers is None:
            prepare(workers, scenario)
        elif not args.quiet:
            level = "schedule" if scenario.network_level == "layers" else "network"
            workers.import_meanwhile("dnns.terminal.tables", f"solvers.cli.tables.{level}")
        with shape_echoed(args):
            network = scenario.read_network()
        for note in network.notes:
            tell(f"{scenario.network}: note: {note}")
        check_model_type(network, args.model_type)
        with progress(args.quiet) as notify:
            return run_scenario(scenario, network=network, workers=workers, notify=notify)


def _certify(report: Report | NetworkReport, stream: TextIO) -> None:
    from solvers.certificates.certificate import write_certificate
    from solvers.network.report import Report

    assert isinstance(report, Report)
    write_certificate(report, stream)


def _text(report: Report | NetworkReport, args: argparse.Namespace) -> str:
    from dnns.terminal.tables import printed
    from solvers.cli.tables.proof import print_proofs
    from solvers.cli.tables.schedule import print_report, print_sensitivity
    from solvers.network.report import Report

    def prints(console: Console) -> None:
        if not isinstance(report, Report):
            from solvers.cli.tables.network import print_network

            print_network(report, console)
            return
        print_report(report, console)
        if args.sensitivity:
            print_sensitivity(report, console)
        if args.verbose:
            print_proofs(report, console)

    return printed(prints)


if __name__ == "__main__":
    sys.exit(main())
