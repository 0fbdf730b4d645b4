"""Time of the exhaustive search: ``python benchmarks/exhaustive.py``.

Each network runs in a process of its own, imports included; single layers in this one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.problem import Problem
from solvers.layers.exhaustive import solve

ROOT = Path(__file__).parent.parent
NETWORKS = {
    "FlowNetC (960 x 576)": [
        "--dnnfile",
        "dnns/networks/flowNetC.txt",
        "--ifmap",
        "960",
        "576",
        "6",
        "--split",
        "False",
    ],
    "U-Net": ["--dnnfile", "dnns/networks/unet.yaml", "--split", "--search_method", "exhaustive"],
    "ResNet-50": ["--dnnfile", "dnns/networks/resnet50.yaml"],
}


def cube(out_channels: int, in_channels: int, *sizes: int, kernel: int = 3) -> Layer:
    pad = kernel // 2
    axes = tuple(Axis(n, kernel, 1, 1, pad, pad, n) for n in sizes)
    return Layer("cube", out_channels, in_channels, axes)


LAYERS = {
    "32->32 3x3x3 on 48x64x128": cube(32, 32, 48, 64, 128),
    "64->64 3x3x3 on 96x128x256": cube(64, 64, 96, 128, 256),
    "GC-Net 32->32 3x3x3 on 96x288x480": cube(32, 32, 96, 288, 480),
    "GC-Net 32->1 3x3x3 on 192x256x512": cube(1, 32, 192, 256, 512),
    "32->1 1x1x1 on 96x128x256, all tie": cube(1, 32, 96, 128, 256, kernel=1),
}


def main() -> None:
    for name, options in NETWORKS.items():
        started = perf_counter()
        command = [sys.executable, "-m", "solvers.run", *options, "--quiet"]
        subprocess.run(command, cwd=ROOT, check=True)
        print(f"{name:36} {perf_counter() - started:6.2f} s, imports included")
    for name, layer in LAYERS.items():
        started = perf_counter()
        solve(Problem(layer))
        print(f"{name:36} {perf_counter() - started:6.2f} s")
    print(f"largest process {getrusage(RUSAGE_CHILDREN).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
