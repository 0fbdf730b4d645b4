"""The constrained method beside the exhaustive: ``python -m benchmarks.constrained [--random N] [FILE ...]``.

Per network: seconds per distinct layer, how far the rounded mapping is from the optimum, and the proven gap.
Balanced: traffic, given latency within the true cap; a miss of the cap is counted apart. Without files, all
networks of ``scenarios``; with ``--random N``, also N random layers of the tests, all objectives (from the
root of the repository, as ``python -m benchmarks.constrained``). The last column but one is the
gap that the relaxation leaves by itself. ``--models`` leaves the presolve out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from math import exp, log
from pathlib import Path
from time import perf_counter

from formulation.problem import Kind, Objective, Problem
from solvers.layers import constrained, exhaustive
from solvers.network.plan import parts_of
from solvers.scenario import read_scenario

ROOT = Path(__file__).parent.parent
Compared = tuple[float | None, float | None, float | None, float]
FLOWNETC = ["--dnnfile", "dnns/networks/flowNetC.txt", "--ifmap", "960", "576", "6", "--split", "False"]


def problems(path: Path, kind: Kind) -> list[Problem]:
    """The distinct problems of a scenario's network on its machine."""
    scenario = read_scenario(path)
    machine = scenario.hardware.build()
    layers = [
        part.layer for layer in scenario.read_network().layers for part in parts_of(layer, scenario.treatment)
    ]
    alike = {replace(layer, name="", op="conv", count=1) for layer in layers if layer is not None}
    return [Problem(layer, machine, Objective(kind)) for layer in sorted(alike, key=str)]


def compare(problem: Problem, presolve: str) -> Compared:
    """Ratio to the optimum (None if the cap is missed), gap, that of the relaxation by itself, seconds."""
    ours, best = constrained.solve(problem, presolve=presolve), exhaustive.solve(problem)
    if ours.cost is None or best.cost is None:
        return None, None, None, ours.seconds
    alone = ours.relaxed_gap(problem.steps[-1].measures[0])
    if problem.objective.kind is Kind.BALANCED and best.lower_bound.latency_cycles is not None:
        tick = problem.hardware.tick
        cap = problem.objective.cap(best.lower_bound.latency_cycles * tick.per_cycle)
        if ours.cost.latency_ticks > cap:
            return None, ours.gap, alone, ours.seconds
    return float(ours.objective_value / best.objective_value), ours.gap, alone, ours.seconds


def report(name: str, found: Iterable[Compared]) -> None:
    """One line of statistics."""
    rows = list(found)
    ratios = [r for r, *_ in rows if r is not None]
    gaps = [g for _, g, _, _ in rows if g is not None]
    alone = [g for _, _, g, _ in rows if g is not None]
    mean = exp(sum(map(log, ratios)) / len(ratios)) - 1 if ratios else 0.0
    worst = max(ratios, default=1.0) - 1
    average, widest = sum(gaps) / max(1, len(gaps)), max(gaps, default=0.0)
    seconds = sum(s for *_, s in rows)
    print(
        f"{name:24} {len(rows):4} {sum(r is None for r, *_ in rows):4} {len(rows) - len(gaps):4} "
        f"{100 * mean:9.3f} {100 * worst:8.3f} {100 * average:8.3f} {100 * widest:8.3f} "
        f"{100 * max(alone, default=0.0):8.3f} "
        f"{1e3 * seconds / max(1, len(rows)):8.0f}",
        flush=True,
    )


def random_problems(count: int) -> Iterator[Problem]:
    """Random problems of the tests' strategy."""
    from hypothesis import HealthCheck, Phase, given, settings

    from tests import strategies

    found: list[Problem] = []

    @settings(
        max_examples=count, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
    )
    @given(strategies.problems(most=12, channels=24))
    def draw(problem: Problem) -> None:
        found.append(problem)

    draw()
    return (p for p in found if p.fits_at_all)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("files", nargs="*", type=Path)
    options.add_argument("--random", type=int, default=0)
    options.add_argument("--objective", type=Kind, default=Kind.BALANCED)
    options.add_argument("--models", action="store_true", help="relaxed models and branching alone")
    args = options.parse_args()
    measured = partial(compare, presolve="none" if args.models else "full")
    started = perf_counter()
    command = [sys.executable, "-m", "solvers.run", *FLOWNETC, "--search_method", "Constrained", "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True)
    print(f"FlowNetC (960 x 576), one process, imports included: {perf_counter() - started:.2f} s")
    titles = ("n", "miss", "none", "mean +%", "worst +%", "gap %", "most %", "alone %", "ms")
    print(" " * 24, *(f"{t:>{w}}" for t, w in zip(titles, (4, 4, 4, 9, 8, 8, 8, 8, 8), strict=True)))
    for path in args.files or sorted((ROOT / "scenarios").glob("*.yaml")):
        report(path.stem, map(measured, problems(path, args.objective)))
    if args.random:
        drawn = list(random_problems(args.random))
        for kind in Kind:
            report(f"random, {kind.value}", map(measured, (p for p in drawn if p.objective.kind is kind)))


if __name__ == "__main__":
    main()
