"""The integer nonlinear programs of real layers, by SCIP: ``python -m benchmarks.nonlinear [FILE ...]``.

Per layer and loop order: what SCIP proves of the traffic, or the latency, within a time limit, its gap, nodes
and seconds; per layer, whether the least of the three is the exhaustive search's optimum, and no
bound above it. Needs the package pyscipopt. Without files, the layers of DCGAN, VGG-16 and U-Net (split).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from pyscipopt import Model

from benchmarks.constrained import problems
from formulation.mapping import Stationary
from formulation.pricing.objective import LATENCY, TRAFFIC, Measure, Quantity
from formulation.problem import Kind, Problem
from solvers.backends.nonlinear import dump_nonlinear
from solvers.layers import exhaustive

ROOT = Path(__file__).parent.parent
NETWORKS = ("dcgan", "vgg16", "unet")


def solved(file: Path, limit: float) -> tuple[str, float, float, int, float]:
    """Status, bound, value, nodes and seconds of a file."""
    started, scip = perf_counter(), Model()
    scip.hideOutput()
    scip.readProblem(str(file))
    scip.setParam("limits/time", limit)
    scip.optimize()
    value = scip.getObjVal() if scip.getNSols() else float("inf")
    return scip.getStatus(), scip.getDualbound(), value, scip.getNNodes(), perf_counter() - started


def report(problem: Problem, name: str, limit: float, quantity: Quantity) -> None:
    """A line for each loop order, and one for the layer."""
    best, least = exhaustive.solve(problem), []
    assert best.cost is not None
    optimum = float(best.objective_value or 0)
    with TemporaryDirectory() as folder:
        texts = dump_nonlinear(problem, [(Measure.only(quantity), None)], Path(folder), "layer")
        for stationary, text in zip(Stationary, texts, strict=True):
            status, bound, value, nodes, seconds = solved(text.with_suffix(".nl"), limit)
            least.append((bound, value))
            gap = 100 * (value - bound) / value
            print(f"{name:24} {stationary:7} {status:10} {value:14,.0f} {gap:8.3f} {nodes:9,} {seconds:7.1f}")
    bound, value = (min(numbers) for numbers in zip(*least, strict=True))
    assert bound <= optimum * (1 + 1e-6)
    assert value >= optimum * (1 - 1e-6)
    proven = "proven" if bound >= optimum * (1 - 1e-6) else f"bound {100 * (1 - bound / optimum):.3f} % below"
    found = "found" if value <= optimum * (1 + 1e-6) else f"{100 * (value / optimum - 1):.3f} % above"
    print(f"{name:24} optimum {'':10} {optimum:14,.0f} {found}, {proven}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("files", nargs="*", type=Path)
    options.add_argument("--limit", type=float, default=60.0, help="seconds for each program")
    options.add_argument("--layers", type=int, default=4, help="layers of each network, evenly chosen")
    options.add_argument("--latency", action="store_true", help="the least latency instead of traffic")
    args = options.parse_args()
    kind, quantity = (Kind.LATENCY, LATENCY) if args.latency else (Kind.TRAFFIC, TRAFFIC)
    titles = ("layer", "order", "status", quantity.key, "gap %", "nodes", "s")
    print("{:24} {:7} {:10} {:>14} {:>8} {:>9} {:>7}".format(*titles))
    for path in args.files or [ROOT / "scenarios" / f"{name}.yaml" for name in NETWORKS]:
        found = problems(path, kind)
        for problem in found[:: max(1, len(found) // args.layers)][: args.layers]:
            layer = problem.layer
            sizes = "x".join(str(axis.out) for axis in layer.axes)
            report(
                problem, f"{path.stem} {layer.in_channels}>{layer.out_channels} {sizes}", args.limit, quantity
            )


if __name__ == "__main__":
    main()
