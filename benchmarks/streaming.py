"""Small buffers, with and without streamed tiles: ``python benchmarks/streaming.py [KiB ...]``.

Eight layers of a layer's least traffic on the reference machine with 64, 128 and 256 KiB, single- and
double-buffered: words in whole tiles and streamed, and the seconds of both searches.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from time import process_time

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.bounds import least_traffic_bits
from formulation.hardware import Halo, Hardware
from formulation.problem import Kind, Objective, Problem
from solvers.layers.exhaustive import solve
from solvers.result import Result


def conv(out_channels: int, in_channels: int, kernel: int, stride: int, *sizes: int) -> Layer:
    """A convolution of an ifmap of the given sizes, padded by half a kernel."""
    pad = kernel // 2
    axes = tuple(Axis((n + 2 * pad - kernel) // stride + 1, kernel, stride, 1, pad, pad, n) for n in sizes)
    return Layer("", out_channels, in_channels, axes)


LAYERS = {
    "7x7/2 6->64 on 576x960": conv(64, 6, 7, 2, 576, 960),
    "5x5/2 64->128 on 288x480": conv(128, 64, 5, 2, 288, 480),
    "3x3 256->256 on 72x120": conv(256, 256, 3, 1, 72, 120),
    "3x3 512->512 on 36x60": conv(512, 512, 3, 1, 36, 60),
    "1x1 64->64 on 56x56": conv(64, 64, 1, 1, 56, 56),
    "3x3 512->512 on 7x7": conv(512, 512, 3, 1, 7, 7),
    "FC 2048->1000": conv(1000, 2048, 1, 1, 1),
    "GEMM 512x768x3072": conv(3072, 768, 1, 1, 512),
}


def timed(layer: Layer, machine: Hardware) -> tuple[Result, float]:
    """The least traffic, and the seconds of the processor."""
    started = process_time()
    return solve(Problem(layer, machine, Objective(Kind.TRAFFIC))), process_time() - started


def main() -> None:
    """One line for each layer, buffer and halo."""
    for kib in map(int, sys.argv[1:] or ("64", "128", "256")):
        for double, halo in (
            (False, Halo.REUSE),
            (True, Halo.REUSE),
            (False, Halo.REFETCH),
            (True, Halo.REFETCH),
        ):
            machine = Hardware(buffer_bytes=kib << 10, double_buffered=double, halo=halo)
            print(f"{kib} KiB, {'double' if double else 'single'}-buffered, halo {halo}: words, seconds")
            for name, layer in LAYERS.items():
                whole, slow = timed(layer, machine)
                cut, slower = timed(layer, replace(machine, streaming=True))
                assert whole.cost is not None
                assert cut.cost is not None
                least = least_traffic_bits(layer, machine) // 16
                words = [int(result.cost.traffic_bytes / 2) for result in (whole, cut) if result.cost]
                less = 100 * (words[1] / words[0] - 1)
                print(
                    f"  {name:26} {words[0]:12,} {words[1]:12,} {less:6.1f} %  any schedule {least:12,}"
                    f"  {slow:6.3f} {slower:6.3f} s  {cut.mapping}"
                )


if __name__ == "__main__":
    main()
