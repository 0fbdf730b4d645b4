"""The objective energy beside traffic: seconds of both, over the same layers, in one run.

``python -m benchmarks.energy [METHOD ...]``: the distinct layers of FlowNetC and ResNet-50, split.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from time import perf_counter

from formulation.problem import Kind, Objective, Problem
from solvers.methods import solve
from solvers.network.plan import plan_of
from solvers.scenario import read_scenario


def problems() -> list[Problem]:
    """The distinct layers."""
    found = {}
    for name in ("flownetc", "resnet50"):
        scenario = read_scenario(name).replace(deconvolution="split")
        for planned in plan_of(scenario.read_network(), scenario):
            for part in planned.parts:
                if part.layer is not None:
                    found[replace(part.layer, name="", count=1)] = planned.machine
    return [Problem(layer, machine) for layer, machine in found.items()]


def main(methods: list[str]) -> None:
    """Print a line for each method: seconds, and their ratio; the two take turns."""
    every = problems()
    for method in methods or ["exhaustive", "constrained", "exact"]:
        seconds = dict.fromkeys((Kind.TRAFFIC, Kind.ENERGY), 0.0)
        for _ in range(3):
            for kind in seconds:
                started = perf_counter()
                for problem in every:
                    solve(replace(problem, objective=Objective(kind)), method=method)
                seconds[kind] += perf_counter() - started
        ratio = seconds[Kind.ENERGY] / seconds[Kind.TRAFFIC]
        each = ", ".join(f"{kind} {total / 3:.2f} s" for kind, total in seconds.items())
        print(f"{method}: {len(every)} layers, {each}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
