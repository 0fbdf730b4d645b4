"""Time of deconvolutions with shared ifmap tiles: ``python benchmarks/shared.py [METHOD ...]``.

Every distinct deconvolution of FlowNetC (target: exhaustive 0.5 s, exact 5 s each, with proof) and of PSMNet
(target: 10 s each), on the reference machine and on the paper's.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from dnns.layer import Deconvolution
from dnns.reader import read_network
from formulation.hardware import Hardware
from formulation.shared import SharedProblem
from solvers.shared import solve

ROOT = Path(__file__).parent.parent
NETWORKS = {"FlowNetC": "flownetc.yaml", "PSMNet": "psmnet.yaml"}
MACHINES = {"16x16": Hardware(), "24x24, banks": Hardware(24, 24, bank_bytes=131_072)}


def main() -> None:
    methods = sys.argv[1:] or ["exhaustive", "exact", "constrained"]
    for network, file in NETWORKS.items():
        layers = {}
        for layer in read_network(ROOT / "dnns" / file).layers:
            if isinstance(layer, Deconvolution):
                layers.setdefault(replace(layer, name=""), layer)
        for layer in layers.values():
            for machine, hardware in MACHINES.items():
                cells = []
                for method in methods:
                    started = perf_counter()
                    result = solve(SharedProblem(layer, hardware), method=method, time_limit=60)
                    seconds = perf_counter() - started
                    gap = "-" if result.gap is None else f"{100 * result.gap:.2f} %"
                    cells.append(f"{method} {seconds:6.2f} s {result.solution_status.value:8} gap {gap:8}")
                print(f"{network:9} {layer.name:18} {machine:13}", "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
