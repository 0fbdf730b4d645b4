"""The published comparison, reproduced: ``python -m solvers.asv``.

Per network, speed-up and reduction of energy and traffic over the best single static partition with
zero-inserted deconvolutions, of: splitting the deconvolutions (the partition stays); every layer and
sub-convolution optimised with a partition of its own; sub-convolutions sharing ifmap tiles where that is
better. Once for the deconvolutions alone and once for the whole network, beside what the paper prints (ASV,
MICRO 2019): speed-up, and reduction of energy. The networks are those of their papers, and those of the
original tool's files.
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
TOOL = ("tool_flownetc", "tool_gcnet", "tool_psmnet")
NETWORKS = ("dispnet", "flownetc", "gcnet", "psmnet", *TOOL, "dcgan", "gan3d")
STAGES = ("split", "+ optimised", "+ combined")
SCOPES = ("deconvolutions", "network")

#: Speed-up and energy reduction [%], read from the paper's figures: per network, scope and stage.
PUBLISHED = {
    "dispnet": (((3.80, 68), (3.92, 69), (4.01, 71)), ((1.39, 31), (1.51, 33), (1.53, 37))),
    "flownetc": (((3.88, 69), (3.93, 69), (4.00, 71)), ((1.40, 29), (1.46, 30), (1.46, 34))),
    "gcnet": (((3.93, 55), (8.01, 77), (8.01, 90)), ((1.37, 20), (1.47, 36), (1.47, 41))),
    "psmnet": (((3.92, 56), (7.42, 77), (7.43, 88)), ((1.64, 28), (1.85, 46), (1.86, 52))),
}


PUBLISHED |= {name: PUBLISHED[name.removeprefix("tool_")] for name in TOOL}


@dataclass(frozen=True, slots=True)
class Sum:
    """Latency [cycles], traffic [bytes] and energy [pJ] of some layers."""

    latency: Fraction = Fraction(0)
    traffic: Fraction = Fraction(0)
    energy: Fraction = Fraction(0)

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.latency + other.latency, self.traffic + other.traffic, self.energy + other.energy)

    def times(self, count: int) -> Sum:
        """So many in a row."""
        return Sum(count * self.latency, count * self.traffic, count * self.energy)


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

    def improvement(self, stage: int, scope: str) -> tuple[float, float, float]:
        """Speed-up, and reduction of traffic and of energy [%], of one stage over the baseline."""
        before, after = getattr(self.baseline, scope), getattr(self.stages[stage], scope)
        traffic, energy = after.traffic / before.traffic, after.energy / before.energy
        return float(before.latency / after.latency), float(100 * (1 - traffic)), float(100 * (1 - energy))


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
    total = Sum()
    for layer in layers:
        quantities = ("latency_cycles", "traffic_bytes", "energy_pj")
        total += Sum(*(layer.total(quantity) or Fraction(0) for quantity in quantities))
    return total


def _combined(free: Report) -> tuple[WayTotals, tuple[int, int]]:
    """The totals with every deconvolution the better of shared tiles and split."""
    total, chosen, count = Sum(), 0, 0
    for layer in free.layers:
        deconv = layer.operator
        if isinstance(deconv, Deconvolution):
            parts = [(p.result, p.count // deconv.count) for p in layer.parts if p.result is not None]
            best = combine(deconv, layer.hardware, free.objective, split_results=parts)
            assert best.latency_cycles is not None
            assert best.traffic_bytes is not None
            assert best.energy_pj is not None
            total += Sum(best.latency_cycles, best.traffic_bytes, best.energy_pj).times(deconv.count)
            chosen, count = chosen + (best.choice == "combine"), count + 1
    others = _sum([layer for layer in free.layers if not isinstance(layer.operator, Deconvolution)])
    return WayTotals(total, total + others), (chosen, count)


_TITLES: tuple[Title, ...] = (
    ("\nnetwork", "left"),
    ("\nstep", "left"),
    ("speed-up\nhere", "right"),
    ("speed-up\npaper", "right"),
    ("energy less %\nhere", "right"),
    ("energy less %\npaper", "right"),
    ("traffic\nless %", "right"),
)
_NOTE = (
    "Energy is that of the multiply-accumulates, of the SRAM on both sides, and of the DRAM, with the "
    "scenario's figures (docs/model.md); the mappings are those of least traffic within 1 % of the least "
    "latency."
)


def print_comparison(results: Sequence[AsvComparison], console: Console) -> None:
    """Print the tables, one per scope, and what the networks were run on."""
    for scope in SCOPES:
        rows = [row for result in results for row in _rows(result, scope)]
        table = fitted(_TITLES, rows, (3, 5, 4), console, sections=range(2, len(rows) - 1, 3))
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
        speed, traffic, energy = result.improvement(i, scope)
        paper = ("", "")
        if published is not None:
            theirs, saved = published[SCOPES.index(scope)][i]
            paper = (f"{theirs:.2f}", str(saved))
        here = f"{speed:.2f}", paper[0], f"{energy:.1f}", paper[1], f"{traffic:.1f}"
        yield "" if i else result.name, stage, *here


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
