"""Time of the exact method with proof, and its ratio to exhaustive search.

``python benchmarks/exact.py [SIEVE]``, one or more of ``prices`` (default), ``bounds`` and ``none`` (the
whole map space): what HiGHS is given. Seconds are of the processor: a busy machine does not matter much.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from time import process_time

from dnns.layer import Network
from dnns.reader import read_network
from formulation.deconv import Treatment
from formulation.problem import Problem
from solvers.layers import exact, exhaustive
from solvers.network.plan import parts_of

DNNS = Path(__file__).parent.parent / "dnns" / "networks"


def problems(network: Network) -> list[Problem]:
    layers = (part.layer for layer in network.layers for part in parts_of(layer, Treatment.SPLIT))
    return list(dict.fromkeys(Problem(layer) for layer in layers if layer is not None))


def measure(name: str, some: list[Problem], sieve: str) -> list[float]:
    """Seconds of each problem, in a line; stops where exact and exhaustive differ."""
    seconds, other, columns, nodes = [], 0.0, 0, 0
    for problem in some:
        started = process_time()
        result = exact.solve(problem, sieve=sieve)
        seconds.append(process_time() - started)
        started = process_time()
        reference = exhaustive.solve(problem)
        other += process_time() - started
        if result.objective_value != reference.objective_value or result.gap != 0:
            raise SystemExit(f"{name}: exact and exhaustive differ on {problem.layer}")
        solves = result.extras["solves"]
        assert isinstance(solves, list)
        columns = max(columns, *(solve["size"]["cols"] for solve in solves), 0)
        nodes = max(nodes, *(solve["nodes"] for solve in solves), 0)
    row = f"{sieve:7} {name:10} {len(seconds):6} {median(seconds):7.3f}s {max(seconds):7.3f}s"
    print(f"{row} {sum(seconds):7.2f}s {sum(seconds) / other:12.1f} {columns:8} {nodes:6}", flush=True)
    return seconds


def main(sieves: list[str]) -> None:
    networks = {
        "FlowNetC": read_network(DNNS / "flowNetC.txt", input=(6, 576, 960)),
        "U-Net": read_network(DNNS / "unet.yaml"),
        "ResNet-50": read_network(DNNS / "resnet50.yaml"),
    }
    head = f"{'sieve':7} {'':10} {'layers':>6} {'median':>8} {'worst':>8} {'total':>8}"
    print(f"{head} {'/ exhaustive':>12} {'columns':>8} {'nodes':>6}")
    for sieve in sieves or ["prices"]:
        every = [s for name, network in networks.items() for s in measure(name, problems(network), sieve)]
        print(
            f"{sieve:7} {'all':10} {len(every):6} {median(every):7.3f}s {max(every):7.3f}s {sum(every):7.2f}s"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
