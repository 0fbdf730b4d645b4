"""Time of the exact method with proof, and its ratio to exhaustive search: ``python benchmarks/exact.py``."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import perf_counter

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


def main() -> None:
    networks = {
        "FlowNetC": read_network(DNNS / "flowNetC.txt", input=(6, 576, 960)),
        "U-Net": read_network(DNNS / "unet.yaml"),
        "ResNet-50": read_network(DNNS / "resnet50.yaml"),
    }
    print(
        f"{'':10} {'layers':>6} {'median':>8} {'worst':>8} {'total':>8} {'/ exhaustive':>12} {'columns':>8}"
    )
    for name, network in networks.items():
        seconds, other, columns = [], 0.0, 0
        for problem in problems(network):
            started = perf_counter()
            result = exact.solve(problem)
            seconds.append(perf_counter() - started)
            started = perf_counter()
            reference = exhaustive.solve(problem)
            other += perf_counter() - started
            if result.objective_value != reference.objective_value or result.gap != 0:
                raise SystemExit(f"{name}: exact and exhaustive differ on {problem.layer}")
            solves = result.extras["solves"]
            assert isinstance(solves, list)
            columns = max(columns, *(solve["size"]["cols"] for solve in solves))
        row = f"{name:10} {len(seconds):6} {median(seconds):7.3f}s {max(seconds):7.3f}s {sum(seconds):7.2f}s"
        print(f"{row} {sum(seconds) / other:12.1f} {columns:8}")


if __name__ == "__main__":
    main()
