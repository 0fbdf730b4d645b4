"""Networks as one problem: DRAM traffic layer by layer, with resident maps, with fused stacks; times of each.

``python -m benchmarks.network`` prints the table of ``docs/network.md``; ``--write`` renews it. Objective
traffic, 16 x 16 array, 25.6 GB/s, 16 bit. Names of networks and sizes in KiB choose some of it.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from time import perf_counter

from solvers.network.levels import run_scenario
from solvers.network.workers import Workers
from solvers.scenario.model import build_scenario

ROOT = Path(__file__).parents[1]
NETWORKS = ("unet", "resnet50", "mobilenetv2", "flownetc", "vgg16", "dcgan", "bert_base")
SIZES = (256, 512, 1024, 1536)
HEAD = (
    "| network | SRAM KiB | nothing stays MB | resident MB | fused MB | any schedule MB "
    "| resident s | of it programs | fused s | of it programs |\n|---|---|---|---|---|---|---|---|---|---|"
)
BEGIN, END = "<!-- table of benchmarks.network -->\n", "<!-- end of the table -->"


def row(network: str, size: int, workers: Workers) -> str:
    """One network on one buffer."""
    totals, times = {}, []
    for level in ("resident", "fused"):
        fields = {
            "network": str(ROOT / "dnns" / "networks" / f"{network}.yaml"),
            "hardware": {"bufsize": size * 1024},
            "objective": "traffic",
            "network_level": level,
            "time_limit": 600,
        }
        started = perf_counter()
        totals[level] = run_scenario(build_scenario(fields, {}, ""), workers=workers).to_dict()["totals"]
        times += [perf_counter() - started, totals[level]["program_seconds"]]
        assert totals[level]["solution_status"] == "optimal", (network, size, level)
    fused = totals["fused"]
    megabytes = (
        fused["traffic_bytes_layers"],
        totals["resident"]["traffic_bytes"],
        fused["traffic_bytes"],
        fused["compulsory_bytes"],
    )
    cells = [f"{value / 1e6:.2f}" for value in megabytes] + [f"{seconds:.1f}" for seconds in times]
    return f"| {network} | {size} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NETWORKS)
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES, help="SRAM [KiB]")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="renew the table of docs/network.md")
    args = parser.parse_args()
    lines = [HEAD]
    print(HEAD)
    with Workers(args.jobs) as workers:
        for network in args.names:
            for size in args.sizes:
                lines.append(row(network, size, workers))
                print(lines[-1], flush=True)
    if args.write:
        page = ROOT / "docs" / "network.md"
        text = re.sub(
            f"{BEGIN}.*{END}", f"{BEGIN}{chr(10).join(lines)}\n{END}", page.read_text(), flags=re.DOTALL
        )
        page.write_text(text)


if __name__ == "__main__":
    main()
