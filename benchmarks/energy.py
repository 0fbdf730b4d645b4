"""The objective energy beside traffic: seconds of both, over the same problems, in one run.

``python -m benchmarks.energy [METHOD ...]``: the distinct layers of FlowNetC and ResNet-50, split; DCGAN's
deconvolutions with shared ifmap tiles (``combine``); and whole networks, ``resident`` and ``fused``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import process_time

from dnns.layer import Deconvolution
from formulation.problem import Kind, Objective, Problem
from solvers.methods import solve
from solvers.network.plan import plan_of
from solvers.network.resident.run import run_network
from solvers.scenario import read_scenario
from solvers.shared.deconvolution import combine

METHODS = ("exhaustive", "constrained", "exact")
NETWORKS = ("dcgan", "resnet50", "flownetc")


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


def take_turns(name: str, times: int, work: Callable[[Kind], None]) -> None:
    """Print the CPU seconds of both objectives, and their ratio; the two take turns."""
    seconds = dict.fromkeys((Kind.TRAFFIC, Kind.ENERGY), 0.0)
    for _ in range(times):
        for kind in seconds:
            started = process_time()
            work(kind)
            seconds[kind] += process_time() - started
    ratio = seconds[Kind.ENERGY] / seconds[Kind.TRAFFIC]
    each = ", ".join(f"{kind} {total / times:.2f} s" for kind, total in seconds.items())
    print(f"{name}: {each}, ratio {ratio:.2f}", flush=True)


def main(methods: Sequence[str]) -> None:
    """Print a line for each method, and for each network as one problem."""
    every = problems()
    scenario = read_scenario("dcgan")
    shared = [planned for planned in plan_of(scenario.read_network(), scenario)]
    for method in methods or METHODS:

        def layers(kind: Kind, method: str = method) -> None:
            for problem in every:
                solve(replace(problem, objective=Objective(kind)), method=method)

        def tiles(kind: Kind, method: str = method) -> None:
            for planned in shared:
                if isinstance(planned.operator, Deconvolution):
                    combine(planned.operator, planned.machine, Objective(kind), method=method)

        take_turns(f"{method}, {len(every)} layers", 3, layers)
        take_turns(f"{method}, shared tiles of DCGAN", 3, tiles)
    for level in () if methods else ("resident", "fused"):
        for name in NETWORKS if level == "resident" else NETWORKS[:1]:

            def network(kind: Kind, name: str = name, level: str = level) -> None:
                machine = {"hardware": {"bufsize": 262144}, "network_level": level}
                run_network(read_scenario(name, {**machine, "objective": {"kind": kind.value}}))

            take_turns(f"{level}, {name} at 256 KiB", 1, network)


if __name__ == "__main__":
    main(sys.argv[1:])
