"""What set-ups of transfers cost: mappings found without them, priced with them, and found with them.

``python -m benchmarks.transfers [NETWORK ...]``: all layers (resnet50, unet), split, balanced; a line
for each number of cycles that a set-up takes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from time import process_time

from formulation.problem import Problem
from solvers.methods import solve
from solvers.network.plan import plan_of
from solvers.scenario import read_scenario

SETUPS = (0, 10, 100, 1000)


def problems(name: str) -> list[tuple[Problem, int]]:
    """The distinct problems of a network, with how often each runs."""
    scenario, found = read_scenario(name).replace(deconvolution="split"), {}
    for planned in plan_of(scenario.read_network(), scenario):
        for part in planned.parts:
            if part.layer is not None:
                problem = Problem(replace(part.layer, name="", count=1), planned.machine)
                found[problem] = found.get(problem, 0) + planned.operator.count * part.count
    return list(found.items())


def main(names: list[str]) -> None:
    """Print cycles of each network, by mappings found without and with set-ups, and seconds of the search."""
    for name in names or ["resnet50", "unet"]:
        every, known = problems(name), {}
        for setup in SETUPS:
            before = after = 0.0
            started = process_time()
            for problem, count in every:
                slow = replace(problem, hardware=replace(problem.hardware, transfer_setup=setup))
                found = solve(slow).mapping
                known.setdefault(problem, found)
                before += count * float(slow.evaluate(known[problem]).latency_cycles)
                after += count * float(slow.evaluate(found).latency_cycles)
            seconds = process_time() - started
            print(
                f"{name}: {setup} cycles a set-up: {before:,.0f} cycles as found without, "
                f"{after:,.0f} as found with; {seconds:.1f} s"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
