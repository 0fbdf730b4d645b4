"""Speed of sweeps: ``python -m benchmarks.sweep [POINTS]``.

FlowNetC's and ResNet-50's layers on POINTS machines (4) that differ in the size of the buffer, method Exhaustive,
deconvolutions split. Prints distinct problems (a layer on a machine) per second and core (aim 100), what the
sweep takes over its solving (aim: less than 5 %), and two processes against one (aim 1.8). Last, memory and time of
100,000 rows whose problems are few.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

import pyarrow.parquet as parquet

from solvers.sweep import main as sweep

ROOT = Path(__file__).parents[1]
NETWORKS = ("flownetc", "resnet50")


def run(folder: Path, file: Path, *options: str) -> tuple[float, float, int]:
    """Wall time of a sweep, the seconds of all its problems, and how many these are."""
    started = perf_counter()
    assert sweep([str(file), "--out", str(folder), "--quiet", *options]) == 0
    took = perf_counter() - started
    seconds = parquet.read_table(folder / "seconds.parquet").column("seconds").to_pylist()
    return took, sum(seconds), len(seconds)


def speed(folder: Path, points: int) -> None:
    """One process, then two, on the same sweep."""
    file = folder / "speed.yaml"
    sizes = ", ".join(str((512 + 256 * k) << 10) for k in range(points))
    networks = ", ".join(f"{ROOT}/dnns/networks/{name}.yaml" for name in NETWORKS)
    axes = f"axes: {{network: [{networks}], hardware.bufsize: [{sizes}], deconvolution: [split]}}\n"
    file.write_text(f"scenario: resnet50\n{axes}")
    run(folder / "warm", _smallest(folder))
    one, solving, count = run(folder / "one", file, "--jobs", "1")
    print(f"{count} problems in {one:.1f} s, {count / solving:.1f} a second and core in the method (aim 100)")
    print(f"the sweep takes {100 * (one / solving - 1):.1f} % over its solving (aim: less than 5 %)")
    two, _, _ = run(folder / "two", file, "--jobs", "2")
    print(
        f"two processes take {two:.1f} s, {one / two:.2f} times as fast as one, starting them included (aim 1.8)"
    )


def _smallest(folder: Path) -> Path:
    """A sweep that imports what the others need."""
    file = folder / "warm.yaml"
    network = folder / "fc.yaml"
    network.write_text("name: fc\ninput: [8]\nlayers: [{name: a, op: fc, out_channels: 8}]\n")
    file.write_text(f"scenario: resnet50\naxes: {{network: [{network}]}}\n")
    return file


def many_rows(folder: Path, points: int) -> None:
    """A network of fifty layers that are alike, at points that differ in what costs nothing to solve."""
    layers = ", ".join(f"{{name: fc{k}, op: fc, out_channels: 8}}" for k in range(50))
    (folder / "deep.yaml").write_text(f"name: deep\ninput: [8]\nlayers: [{layers}]\n")
    file = folder / "rows.yaml"
    axes = f"hardware.bufsize: {{from: 1000, to: {999 + points // 4}, step: 1}}, longest_stack: [8]"
    ways = "deconvolution: [naive, split], insist: [false, true]"
    file.write_text(f"scenario: resnet50\naxes: {{network: [{folder}/deep.yaml], {axes}, {ways}}}\n")
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1e3
    took, solving, count = run(folder / f"rows{points}", file)
    after = getrusage(RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"{50 * points:,} rows of {count} problems: {took:.1f} s, {solving:.1f} s of them solving; ", end=""
    )
    print(f"memory {before:.0f} MB before, {after:.0f} MB at most")


def main(arguments: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        speed(Path(name), int(arguments[0]) if arguments else 4)
        for points in (200, 2000):
            many_rows(Path(name), points)


if __name__ == "__main__":
    main(sys.argv[1:])
