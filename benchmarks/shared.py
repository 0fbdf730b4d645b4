"""Time and gap of shared ifmap tiles: ``python benchmarks/shared.py [METHOD ...] [--scenarios]``.

Every distinct deconvolution of FlowNetC (target: exhaustive 0.5 s, exact 5 s each, with proof) and of PSMNet
(target: 10 s each), on the reference machine and on the paper's; with ``--scenarios`` of all scenarios, each
on the scenario's machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from dnns.layer import Deconvolution, Network
from dnns.reader import read_network
from formulation.hardware import Hardware
from formulation.problem import Objective
from formulation.shared.problem import SharedProblem
from solvers.scenario import read_scenario
from solvers.shared.methods import solve

ROOT = Path(__file__).parent.parent
NETWORKS = ("flownetc", "psmnet")
MACHINES = {"16x16": Hardware(), "24x24, banks": Hardware(24, 24, bank_bytes=131_072)}

Problems = dict[SharedProblem, str]


def main() -> None:
    methods = [word for word in sys.argv[1:] if word != "--scenarios"]
    problems = of_scenarios() if "--scenarios" in sys.argv else of_networks()
    gaps: dict[str, list[float]] = {m: [] for m in methods or ("exhaustive", "exact", "constrained")}
    seconds = dict.fromkeys(gaps, 0.0)
    for problem, name in problems.items():
        cells = []
        for method, known in gaps.items():
            started = perf_counter()
            result = solve(problem, method=method, time_limit=60)
            took = perf_counter() - started
            seconds[method] += took
            known.append(100 * (result.gap or 0.0))
            cells.append(f"{method} {took:6.2f} s {result.solution_status.value:8} gap {known[-1]:6.3f} %")
        print(f"{name:40}", "  ".join(cells), flush=True)
    for method, known in gaps.items():
        mean, wide = sum(known) / len(known), sum(gap > 1 for gap in known)
        print(f"{method}: {len(known)} problems, {seconds[method]:.1f} s, mean gap {mean:.3f} %, ", end="")
        print(f"widest {max(known):.3f} %, {wide} above 1 %")


def of_networks() -> Problems:
    """The deconvolutions of two networks on two machines."""
    found: Problems = {}
    for network in NETWORKS:
        for layer in deconvolutions(read_network(ROOT / "dnns" / "networks" / f"{network}.yaml")):
            for machine, hardware in MACHINES.items():
                name = f"{network} {layer.name} {machine}"
                found.setdefault(SharedProblem(bare(layer), hardware, Objective()), name)
    return found


def of_scenarios() -> Problems:
    """The deconvolutions of all scenarios."""
    found: Problems = {}
    for file in sorted(f for f in (ROOT / "scenarios").rglob("*.yaml") if f.parent.name != "sweeps"):
        scenario = read_scenario(file)
        machine, objective = scenario.hardware.build(), scenario.objective.build()
        for layer in deconvolutions(scenario.read_network()):
            name = f"{file.relative_to(ROOT / 'scenarios').with_suffix('')} {layer.name}"
            found.setdefault(SharedProblem(bare(layer), machine, objective), name)
    return found


def deconvolutions(network: Network) -> Iterator[Deconvolution]:
    """Those of a network."""
    return (layer for layer in network.layers if isinstance(layer, Deconvolution))


def bare(layer: Deconvolution) -> Deconvolution:
    """A deconvolution without what does not matter to its cost."""
    return replace(layer, name="", op="conv", count=1)


if __name__ == "__main__":
    main()
