"""A chain of three layers as one problem: fused by us, by AccelForge's mapper and by Stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import yaml

from benchmarks.peers.environments import call, has
from benchmarks.peers.layers import bare, plain
from dnns.layer import Layer
from solvers.network.levels import run_scenario
from solvers.scenario.model import build_scenario

CHAIN = (
    bare("1x1, 64 to 64 at 58x58", 64, 64, (58, 58), 1),
    bare("3x3, 64 to 64 at 56x56", 64, 64, (56, 56), 3),
    bare("1x1, 64 to 256 at 56x56", 256, 64, (56, 56), 1),
)
"""A bottleneck of ResNet-50, with the padding of the 3x3 layer computed by the layer before it."""
SIZES = (128, 256, 512, 2048)
"""Buffers [KiB]."""
BITS = 16
FORCED = [{"dim": "conv2.D1", "tile": 1}]
"""Stream's chain cut into single rows of the last ofmap."""

Cell = tuple[str, str]


def network(chain: tuple[Layer, ...]) -> dict[str, Any]:
    """The chain as a network file has it."""
    first = chain[0]
    layers = [
        {"name": f"conv{n}", "op": "conv", "out_channels": layer.out_channels, "kernel": layer.axes[0].kernel}
        for n, layer in enumerate(chain)
    ]
    shape = [first.in_channels, *(axis.in_size for axis in first.axes)]
    return {"name": "chain", "input": shape, "layers": layers}


def ours(folder: Path, kib: int, level: str) -> Cell:
    """Our least words, proven, and seconds."""
    file = folder / "chain.yaml"
    file.write_text(yaml.safe_dump(network(CHAIN), sort_keys=False))
    hardware = {"bufsize": 1024 * kib, "double_buffered": False, "halo": "reuse"}
    fields = {"network": str(file.resolve()), "hardware": hardware, "objective": "traffic"}
    started = perf_counter()
    totals = run_scenario(build_scenario(fields | {"network_level": level}, {}, "")).to_dict()["totals"]
    return f"{totals['traffic_bytes'] * 8 // BITS:,}", f"{perf_counter() - started:.1f}"


def accelforge(folder: Path, kib: int, limit: float) -> Cell:
    """AccelForge's least words and seconds."""
    task = {"layers": [*map(plain, CHAIN)], "sram_bits": 8192 * kib, "bits": BITS}
    answer = call(folder, "accelforge", "run_accelforge", task, limit)
    return (f"{answer['total']:,.0f}", f"{answer['seconds']:.0f}") if answer else ("", f"> {limit:.0f}")


def stream(folder: Path, kib: int, limit: float, options: dict[str, Any] | None = None) -> Cell:
    """Stream's words and seconds; it minimises cycles."""
    task = {"layers": [*map(plain, CHAIN)], "sram_bits": 8192 * kib, "bits": BITS, "time_limit": limit}
    try:
        answer = call(folder, "stream", "run_stream", task | {"options": options or {}}, 2 * limit)
    except RuntimeError:
        return "infeasible", ""
    if answer is None:
        return "", f"> {2 * limit:.0f}"
    groups = "one group" if answer["groups"] == 1 else f"{answer['groups']} groups"
    return f"{sum(answer['words'].values()):,.0f} ({groups})", f"{answer['seconds']:.0f}"


def forced(folder: Path, kib: int, limit: float) -> Cell:
    """The same, told to fuse all three row by row."""
    return stream(
        folder, kib, limit, {"stage_options": {"fusion_cut_points": [], "intra_core_tiling": FORCED}}
    )


def table(folder: Path, limit: float) -> Iterator[str]:
    """The table, a row for a tool."""
    yield f"| words, s |{''.join(f' {kib} KiB | s |' for kib in SIZES)}\n|---|{'---:|' * 2 * len(SIZES)}\n"
    for level in ("layers", "resident", "fused"):
        yield row(f"ours, {level}", [ours(folder, kib, level) for kib in SIZES])
    others: list[tuple[str, str, Callable[[Path, int, float], Cell]]] = [
        ("AccelForge", "accelforge", accelforge),
        ("Stream", "stream", stream),
        ("Stream, told to fuse", "stream", forced),
    ]
    for name, peer, ask in others:
        if has(folder, peer):
            yield row(name, [ask(folder, kib, limit) for kib in SIZES])


def row(name: str, cells: list[Cell]) -> str:
    """A line of the table."""
    return f"| {name} | {' | '.join(text for cell in cells for text in cell)} |\n"
