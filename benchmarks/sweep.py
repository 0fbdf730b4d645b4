"""Speed of sweeps: ``python -m benchmarks.sweep [POINTS]``.

FlowNetC's and ResNet-50's layers on POINTS machines (4) that differ in the size of the buffer, method
Exhaustive, deconvolutions split. Prints distinct problems (a layer on a machine) per second of a core (aim
100), what the sweep takes over its solving (aim: less than 5 %; solving is the method alone, without its
answer's text and figures), how long the same command takes when all is solved, and two processes against one
(aim 1.8), beside what two sweeps at once, which share nothing, get of this machine. One process is measured
in processor time, which other programs on the machine alter little; two in wall time, for which it must be
idle, and best with 64 points, as each command takes a second to start. Last, time and memory of 100,000 rows
whose problems are few.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time
from typing import Any

import pyarrow.parquet as parquet

from solvers.exploring.sweeping import ledger
from solvers.sweep import main as sweep

ROOT = Path(__file__).parents[1]
NETWORKS = ("flownetc", "resnet50")


def run(folder: Path, file: Path, *options: str) -> tuple[float, float, int]:
    """Wall and processor time of a sweep, and how many problems it has."""
    wall, own = perf_counter(), process_time()
    assert sweep([str(file), "--out", str(folder), "--quiet", *options]) == 0
    wall, own = perf_counter() - wall, process_time() - own
    return wall, own, parquet.read_table(folder / "seconds.parquet").num_rows


def command(file: Path, jobs: int, *folders: Path) -> float:
    """Wall time of a sweep from the shell, start included; of as many at once as there are folders."""
    began = perf_counter()
    line = [sys.executable, "-m", "solvers.sweep", str(file), "--quiet", "--jobs", str(jobs), "--out"]
    started = [subprocess.Popen([*line, str(folder)], cwd=ROOT) for folder in folders]
    assert not any(process.wait() for process in started)
    return perf_counter() - began


@contextmanager
def solving() -> Iterator[list[float]]:
    """Processor time of each problem that this process solves meanwhile."""
    spent: list[float] = []
    real = ledger.solved

    def timed(*arguments: Any) -> ledger.Solved:
        began = process_time()
        try:
            return real(*arguments)
        finally:
            spent.append(process_time() - began)

    ledger.solved = timed
    try:
        yield spent
    finally:
        ledger.solved = real


def speed(folder: Path, points: int) -> None:
    """One process, the same with nothing left to solve, then two processes."""
    file = folder / "speed.yaml"
    sizes = ", ".join(str((512 + 256 * k) << 10) for k in range(points))
    networks = ", ".join(f"{ROOT}/dnns/networks/{name}.yaml" for name in NETWORKS)
    axes = f"axes: {{network: [{networks}], hardware.bufsize: [{sizes}], deconvolution: [split]}}\n"
    file.write_text(f"scenario: resnet50\n{axes}")
    run(folder / "warm", _smallest(folder))
    with solving() as spent:
        one, all_of_it, count = run(folder / "one", file)
    rest = all_of_it - sum(spent)
    _, again, _ = run(folder / "one", file)
    print(f"{count} problems: {one:.1f} s, {all_of_it:.1f} s of the processor")
    print(f"{count / sum(spent):.1f} problems a second of a core (aim 100)")
    print(f"all but solving takes {rest:.2f} s: {100 * rest / sum(spent):.1f} % of it (aim: less than 5 %)")
    print(f"{again:.2f} s of the processor when all is solved already")
    one, two = (command(file, jobs, folder / f"jobs{jobs}") for jobs in (1, 2))
    print(f"as a command: {one:.1f} s, of two processes {two:.1f} s: {one / two:.2f} times as fast (aim 1.8)")
    both = command(file, 1, folder / "apart1", folder / "apart2")
    print(f"two such commands at once take {both:.1f} s: {2 * one / both:.2f} times as fast as in turn")


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
    took, own, count = run(folder / f"rows{points}", file)
    after = getrusage(RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{50 * points:,} rows of {count} problems: {took:.1f} s, {own:.1f} s of the processor; ", end="")
    print(f"memory {before:.0f} MB before, {after:.0f} MB at most")


def main(arguments: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        speed(Path(name), int(arguments[0]) if arguments else 4)
        for points in (200, 2000):
            many_rows(Path(name), points)


if __name__ == "__main__":
    main(sys.argv[1:])
