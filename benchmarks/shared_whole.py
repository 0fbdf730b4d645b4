"""Time of the exact method with proof where HiGHS is given the whole program of shared ifmap tiles.

``python benchmarks/shared_whole.py [NETWORK...]``, names of scenarios; by default some with deconvolutions.
Seconds are of the processor, for all steps of the balanced objective, the search that goes first included.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time

from dnns.layer import Deconvolution
from formulation.shared.problem import SharedProblem
from solvers.scenario import read_scenario
from solvers.shared import exact, exhaustive

SCENARIOS = Path(__file__).parent.parent / "scenarios"
LIMIT = 600.0  # seconds of wall time for a deconvolution: room for a busy machine


def problems(name: str) -> list[SharedProblem]:
    scenario = read_scenario(SCENARIOS / f"{name}.yaml")
    deconvs = [y for y in scenario.read_network().layers if isinstance(y, Deconvolution)]
    distinct = dict.fromkeys(replace(y, name="", count=1) for y in deconvs)
    return [SharedProblem(y, scenario.hardware.build()) for y in distinct]


def main(names: list[str]) -> None:
    for name in names or ["dcgan", "flownetc", "unet", "gcnet"]:
        seconds, sizes = [], [0]
        for problem in problems(name):
            started = process_time()
            reference = exhaustive.solve(problem)
            search = process_time() - started
            result = exact.solve(problem, sieve="none", time_limit=LIMIT)
            seconds.append(process_time() - started - search)
            solves = result.extras["solves"]
            assert isinstance(solves, list)
            sizes += [solve["size"]["cols"] for solve in solves]
            steps = ", ".join(f"{s['stage']} {s['size']['cols']} columns {s['nodes']} nodes" for s in solves)
            about = f"{name} {problem.deconv.in_channels}->{problem.deconv.out_channels}"
            print(
                f"{about:20} {seconds[-1]:6.1f} s ({search:.1f} the search) {result.termination}: {steps}",
                flush=True,
            )
            if result.objective_value != reference.objective_value:
                raise SystemExit(f"{about}: exact and exhaustive differ")
        about = f"{name:10} {len(seconds)}  median {median(seconds):.1f} s  worst {max(seconds):.1f} s"
        print(f"{about}  columns {max(sizes)}")


if __name__ == "__main__":
    main(sys.argv[1:])
