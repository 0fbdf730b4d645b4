"""The published comparison, reproduced: ``python -m solvers.asv``.

Per network, speed-up and traffic reduction over the best single static partition with zero-inserted
deconvolutions, of: splitting the deconvolutions (the partition stays); every layer and sub-convolution
optimised with a partition of its own; sub-convolutions sharing ifmap tiles where that is better. Once for
the deconvolutions alone and once for the whole network, beside what the paper prints (ASV, MICRO 2019):
speed-up, and reduction of *energy*.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from time import monotonic

from rich.console import Console

from dnns.errors import InputError
from dnns.layer import Deconvolution
from dnns.terminal.options import LineParser
from dnns.terminal.streams import guarded, show, tell
from dnns.terminal.tables import Title, fitted, printed, put
from formulation.mapping import Partition
from solvers.network.parts import LayerReport
from solvers.network.report import Report
from solvers.network.schedule import run_scenario
from solvers.scenario import Scenario, read_scenario
from solvers.shared.deconvolution import combine

SCENARIOS = Path(__file__).parent.parent / "scenarios" / "asv"
NETWORKS = ("dispnet", "flownetc", "gcnet", "psmnet", "dcgan", "gan3d")
STAGES = ("split", "+ optimised", "+ combined")
SCOPES = ("deconvolutions", "network")

#: Speed-up and energy reduction [%], read from the paper's figures: per network, scope and stage.
PUBLISHED = {
    "dispnet": (((3.80, 68), (3.92, 69), (4.01, 71)), ((1.39, 31), (1.51, 33), (1.53, 37))),
    "flownetc": (((3.88, 69), (3.93, 69), (4.00, 71)), ((1.40, 29), (1.46, 30), (1.46, 34))),
    "gcnet": (((3.93, 55), (8.01, 77), (8.01, 90)), ((1.37, 20), (1.47, 36), (1.47, 41))),
    "psmnet": (((3.92, 56), (7.42, 77), (7.43, 88)), ((1.64, 28), (1.85, 46), (1.86, 52))),
}


@dataclass(frozen=True, slots=True)
class Sum:
    """Latency [cycles] and traffic [bytes] of some layers."""

    latency: Fraction
    traffic: Fraction

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.latency + other.latency, self.traffic + other.traffic)


@dataclass(frozen=True, slots=True)
class WayTotals:
    """Totals of one way to run a network: of its deconvolutions, and of all its layers."""

    deconvolutions: Sum
    network: Sum


@dataclass(frozen=True, slots=True)
class AsvComparison:
    """One network run in all ways.

    Attributes:
        name: of the network.
        partition: the best single one, with zero-inserted deconvolutions.
        baseline: what that takes.
        stages: the three steps beyond it.
        shared: deconvolutions whose sub-convolutions share tiles, and all of them.
        seconds: wall time.
    """

    name: str
    partition: Partition
    baseline: WayTotals
    stages: tuple[WayTotals, WayTotals, WayTotals]
    shared: tuple[int, int]
    seconds: float

    def improvement(self, stage: int, scope: str) -> tuple[float, float]:
        """Speed-up, and traffic reduction [%], of one stage over the baseline."""
        before, after = getattr(self.baseline, scope), getattr(self.stages[stage], scope)
        return float(before.latency / after.latency), float(100 * (1 - after.traffic / before.traffic))


def compare(scenario: Scenario, name: str) -> AsvComparison:
    """Run a network in all ways; raises InputError if it cannot be read or a layer does not fit."""
    started = monotonic()
    fixed = {"search_method": "static", "time_limit": None}
    naive = run_scenario(
        scenario.model_copy(update={**fixed, "buffer_partition": "auto", "deconvolution": "naive"})
    )
    assert naive.partition is not None
    ratio = naive.partition.parts
    split = run_scenario(
        scenario.model_copy(update={**fixed, "buffer_partition": ratio, "deconvolution": "split"})
    )
    free = run_scenario(
        scenario.model_copy(
            update={"search_method": "exhaustive", "deconvolution": "split", "time_limit": None}
        )
    )
    combined, shared = _combined(free)
    baseline, stages = _stage(naive), (_stage(split), _stage(free), combined)
    return AsvComparison(name, naive.partition, baseline, stages, shared, monotonic() - started)


def _stage(report: Report) -> WayTotals:
    if not report.complete:
        raise InputError(report.network, "", "a layer does not fit the buffer")
    deconvolutions = [y for y in report.layers if isinstance(y.operator, Deconvolution)]
    return WayTotals(_sum(deconvolutions), _sum(report.layers))


def _sum(layers: Sequence[LayerReport]) -> Sum:
    total = Sum(Fraction(0), Fraction(0))
    for layer in layers:
        total += Sum(
            layer.total("latency_cycles") or Fraction(0), layer.total("traffic_bytes") or Fraction(0)
        )
    return total


def _combined(free: Report) -> tuple[WayTotals, tuple[int, int]]:
    """The totals with every deconvolution the better of shared tiles and split."""
    total, chosen, count = Sum(Fraction(0), Fraction(0)), 0, 0
    for layer in free.layers:
        deconv = layer.operator
        if isinstance(deconv, Deconvolution):
            parts = [(p.result, p.count // deconv.count) for p in layer.parts if p.result is not None]
            best = combine(deconv, layer.hardware, free.objective, split_results=parts)
            assert best.latency_cycles is not None
            assert best.traffic_bytes is not None
            total += Sum(deconv.count * best.latency_cycles, deconv.count * best.traffic_bytes)
            chosen, count = chosen + (best.choice == "combine"), count + 1
    whole = _stage(free)
    others = Sum(
        whole.network.latency - whole.deconvolutions.latency,
        whole.network.traffic - whole.deconvolutions.traffic,
    )
    return WayTotals(total, total + others), (chosen, count)


_TITLES: tuple[Title, ...] = (
    ("\nnetwork", "left"),
    ("\nstep", "left"),
    ("speed-up\nhere", "right"),
    ("speed-up\npaper", "right"),
    ("traffic\nless %", "right"),
    ("paper: energy\nless %", "right"),
)
_NOTE = (
    "The paper prints energy, which also counts what is computed and what is read from the SRAM: "
    "it is no figure for the traffic beside it."
)


def print_comparison(results: Sequence[AsvComparison], console: Console) -> None:
    """Print the tables, one per scope, and what the networks were run on."""
    for scope in SCOPES:
        rows = [row for result in results for row in _rows(result, scope)]
        table = fitted(_TITLES, rows, (3, 5), console, sections=range(2, len(rows) - 1, 3))
        table.title, table.title_justify = f"{scope}, against the best single partition", "left"
        put(console, table)
    console.print(_NOTE, highlight=False)
    for result in results:
        parts = " / ".join(f"{part // 8 // 1024}" for part in result.partition.parts)
        shared, deconvolutions = result.shared
        text = f"{result.name}: best single partition I / O / W {parts} KiB; tiles shared in {shared} of "
        console.print(f"{text}{deconvolutions} deconvolutions; {result.seconds:.0f} s", highlight=False)


def _rows(result: AsvComparison, scope: str) -> Iterator[tuple[str, ...]]:
    """A network's three steps; nothing where the paper has no figure."""
    published = PUBLISHED.get(result.name)
    for i, stage in enumerate(STAGES):
        speed, traffic = result.improvement(i, scope)
        paper = ("", "")
        if published is not None:
            theirs, energy = published[SCOPES.index(scope)][i]
            paper = (f"{theirs:.2f}", str(energy))
        yield "" if i else result.name, stage, f"{speed:.2f}", paper[0], f"{traffic:.1f}", paper[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(_parser().parse_args(argv).networks or NETWORKS))


def _parser() -> LineParser:
    p = LineParser(prog="python -m solvers.asv", description="The comparison published for ASV.")
    p.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}; all by default")
    return p


def _main(names: Sequence[str]) -> int:
    for name in names:
        if name not in NETWORKS:
            raise InputError("network", "", f"got {name!r}, allowed: {', '.join(NETWORKS)}")
    results = []
    for name in names:
        tell(name)
        results.append(compare(read_scenario(SCENARIOS / f"{name}.yaml"), name))
    show(printed(partial(print_comparison, results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
