"""``python -m solvers.run``: schedule a network and print, layer by layer, how each is best run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnns.errors import InputError
from dnns.options import BAD_INPUT, LineParser, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dnns.layer import Network
    from solvers.report import Report
    from solvers.scenario import Scenario
    from solvers.schedule import Notify

DOES_NOT_FIT, INTERRUPTED = 3, 130


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.run",
        description="Find, for each layer of a network, the tiling, loop order and buffer partition that "
        "minimise latency and DRAM traffic on a systolic-array accelerator.",
        epilog="Options override the scenario's fields. Exit code: 0 done, 2 bad input, "
        "3 a layer does not fit.",
    )
    p.add_argument("scenario", nargs="?", help="scenario file (.yaml)")
    _network_options(p)
    _machine_options(p)
    _search_options(p)
    _output_options(p)
    return p


def _option(group: argparse._ArgumentGroup, name: str, **settings: Any) -> None:
    """An option under both spellings, with ``_`` and with ``-``."""
    spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
    group.add_argument(*spellings, dest=name, default=None, **settings)


def _boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"got {text!r}, allowed: True or False")
    return words[text.lower()]


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _network_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("network")
    _option(group, "dnnfile", metavar="F", help="network file: .yaml, .txt or .onnx")
    _option(group, "ifmap", nargs=3, type=int, metavar=("W", "H", "C"), help="input: width, height, channels")
    shape = ("W", "H", "D", "C")
    _option(group, "ifmap3d", nargs=4, type=int, metavar=shape, help="3-D input, depth before channels")
    text = "size of a symbolic ONNX dimension; repeat it"
    _option(group, "dim", action="append", metavar="NAME=SIZE", help=text)
    kinds = ("2D", "3D")
    text = "check that the network is all 2-D, or has 3-D layers"
    _option(group, "model_type", type=str.upper, choices=kinds, help=text)
    flag: dict[str, Any] = {"nargs": "?", "const": True, "type": _boolean, "metavar": "True|False"}
    _option(group, "split", **flag, help="split deconvolutions into disjoint sub-convolutions")
    _option(group, "combine", **flag, help="let sub-convolutions share each ifmap tile where that is better")


def _machine_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("machine")
    _option(group, "bufsize", type=_number, metavar="BYTES", help="SRAM buffer [bytes]")
    _option(group, "memory_bandwidth", type=_number, metavar="GB/S", help="DRAM bandwidth [GB/s]")
    _option(group, "sa_size", type=int, nargs="+", metavar="A", help="array: A x A, or ROWS COLS [elements]")
    _option(group, "bit_width", type=int, metavar="BITS", help="word width of every tensor [bits]")
    _option(group, "halo", choices=("refetch", "reuse"), help="whether tiles slide along one axis")


def _search_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("search")
    methods = "Static, Constrained, Exhaustive, Exact or Combined, in any case"
    _option(group, "search_method", metavar="METHOD", help=methods)
    flag: dict[str, Any] = {"nargs": "?", "const": True, "type": _boolean, "metavar": "True|False"}
    _option(group, "static", **flag, help="fix the partition for all layers")
    text = "ratio of the buffer's parts for ifmap, ofmap, weights, or auto for the best single one"
    _option(group, "buffer_partition", nargs="+", metavar="I O W", help=text)
    kinds = ("latency", "traffic", "balanced", "weighted")
    _option(group, "objective", choices=kinds, help="what is minimised; balanced by default")
    _option(
        group, "tolerance", type=_number, metavar="T", help="balanced: relative latency given up for traffic"
    )
    text = "Combined: go on to the mixed-integer program from the best mapping"
    _option(group, "exact_after", **flag, help=text)
    _option(group, "time_limit", type=_number, metavar="S", help="per sub-problem [s]; 0 for none")
    _option(group, "dump_models", metavar="DIR", help="folder for the models' .lp and .nl files")


def _output_options(p: argparse.ArgumentParser) -> None:
    group = p.add_argument_group("output")
    _option(group, "outfile", metavar="F", help="write the results as JSON")
    _option(group, "csv", metavar="F", help="write one line per part as CSV")
    _option(group, "jobs", type=int, metavar="N", help="processes (1)")
    text = "also print what a KiB of buffer or a GB/s is worth, per layer and in all (Constrained, Combined)"
    group.add_argument("--sensitivity", action="store_true", help=text)
    group.add_argument("--quiet", action="store_true", help="no table, no progress")


def overrides(args: argparse.Namespace) -> dict[str, Any]:
    """The scenario's fields that the options set.

    Raises:
        InputError: if options contradict each other.
    """
    fields: dict[str, Any] = {}
    if args.dnnfile is not None:
        fields["network"] = str(Path(args.dnnfile).absolute())
    if args.ifmap is not None:
        fields["input"] = args.ifmap[::-1]
    if args.ifmap3d is not None:
        w, h, d, c = args.ifmap3d
        fields["input_3d" if args.ifmap is not None else "input"] = [c, d, h, w]
        if str(args.dnnfile or "").endswith(".txt"):
            fields["input_3d"] = fields.pop("input") if args.ifmap is None else fields["input_3d"]
    if args.dim is not None:
        fields["dims"] = sizes(args.dim)
    machine = {name: getattr(args, name) for name in ("bufsize", "memory_bandwidth", "bit_width", "halo")}
    if args.sa_size is not None:
        machine["sa_size"] = args.sa_size[0] if len(args.sa_size) == 1 else args.sa_size
    fields |= {
        "hardware": _given(machine),
        "objective": _given({"kind": args.objective, "tolerance": args.tolerance}),
    }
    for name in ("search_method", "static", "exact_after", "dump_models"):
        fields[name] = getattr(args, name)
    if args.dump_models is not None:
        fields["dump_models"] = str(Path(args.dump_models).absolute())
    if args.buffer_partition is not None:
        fields["buffer_partition"] = _partition(args.buffer_partition)
    fields = {name: value for name, value in fields.items() if value not in (None, {})}
    if args.time_limit is not None:
        fields["time_limit"] = args.time_limit or None
    return fields


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _partition(words: list[str]) -> Any:
    if words == ["auto"]:
        return "auto"
    try:
        return [_number(word) for word in words]
    except ValueError:
        raise InputError("--buffer_partition", "", f"got {' '.join(words)}, allowed: I O W or auto") from None


def deconvolution(split: bool | None, combine: bool | None, default: str) -> str:
    """The treatment that ``--split`` and ``--combine`` ask for, on top of the scenario's.

    Raises:
        InputError: for ``--combine`` with ``--split False``.
    """
    if combine:
        if split is False:
            raise InputError(
                "--combine", "", "shares the tiles of a split deconvolution: leave out --split False"
            )
        return "combine"
    if split is False:
        return "naive"
    if split or (combine is False and default == "combine"):
        return "split"
    return default


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        report = _run(args)
        _write(report, args)
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED
    lines = list(unfit(report))
    for line in lines:
        print(line, file=sys.stderr)
    return DOES_NOT_FIT if lines else 0


def _run(args: argparse.Namespace) -> Report:
    if args.jobs is not None and args.jobs < 1:
        raise InputError("--jobs", "", f"got {args.jobs}, must be at least 1")
    scenario = read(args)
    if args.sensitivity and scenario.search_method not in ("constrained", "combined"):
        problem = f"{scenario.search_method} has no multipliers, allowed with: constrained, combined"
        raise InputError("--sensitivity", "", problem)
    network = scenario.read_network()
    check_model_type(network, args.model_type)
    from solvers.schedule import run_scenario

    with progress(args.quiet) as notify:
        return run_scenario(scenario, network=network, jobs=args.jobs or 1, notify=notify)


def _write(report: Report, args: argparse.Namespace) -> None:
    for path, write in ((args.outfile, report.write_json), (args.csv, report.write_csv)):
        if path is not None:
            try:
                with open(path, "w", encoding="utf-8", newline="") as stream:
                    write(stream)
            except OSError as error:
                raise InputError(path, "", f"cannot be written: {error.strerror}") from None
    if not args.quiet:
        from rich.console import Console

        from solvers.table import WIDTH, print_report, print_sensitivity

        console = Console() if sys.stdout.isatty() else Console(width=WIDTH, no_color=True)
        print_report(report, console)
        if args.sensitivity:
            print_sensitivity(report, console)


if __name__ == "__main__":
    sys.exit(main())
