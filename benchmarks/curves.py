"""Curves of 64 sizes and fronts of whole networks: seconds, and how many sizes and points they have.

``python -m benchmarks.curves`` beside the search of some of the sizes one by one, which a curve replaces.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from formulation.problem import Kind
from solvers.curve import sizes
from solvers.exploring.curves import curves
from solvers.exploring.fronts import fronts
from solvers.network.levels import run_scenario
from solvers.scenario import Scenario
from solvers.scenario.model import build_scenario

ROOT = Path(__file__).parents[1]
NETWORKS = ("resnet50", "vgg16", "mobilenetv2", "flownetc", "unet")
SIZES, FEW = 64, 8


def scenario(network: str) -> Scenario:
    """Split deconvolutions, so that both sides look at the same mappings."""
    file = str(ROOT / "dnns" / "networks" / f"{network}.yaml")
    return build_scenario({"network": file, "deconvolution": "split", "objective": "traffic"}, {}, "")


def row(network: str) -> str:
    """One network."""
    asked, wanted = scenario(network), sizes("32K:4M", SIZES)
    times = [perf_counter()]
    curve = curves(asked, wanted, Kind.TRAFFIC).total
    times.append(perf_counter())
    front = fronts(asked).total
    times.append(perf_counter())
    assert curve is not None
    assert front is not None
    for size in wanted[:: SIZES // FEW]:
        totals = run_scenario(asked.replace(bufsize=size)).to_dict()["totals"]
        assert curve.at(size) == totals["traffic_bytes"], (network, size)
    times.append(perf_counter())
    curve_s, front_s, few_s = (b - a for a, b in pairwise(times))
    cells = (len(curve.steps), f"{curve_s:.1f}", f"{few_s / FEW * SIZES:.1f}", len(front), f"{front_s:.1f}")
    return f"| {network} | {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NETWORKS)
    args = parser.parse_args()
    print(f"| network | sizes at which it falls | curve s | {SIZES} sizes one by one s | front | front s |")
    print("|---|---|---|---|---|---|")
    for name in args.names:
        print(row(name), flush=True)


if __name__ == "__main__":
    main()
