"""The best that other mappers find beside ours, and our mappings priced by AccelForge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.peers.environments import call, has
from benchmarks.peers.layers import LAYERS, padded, plain
from benchmarks.peers.mappings import divisor_tiles, nodes
from dnns.layer import Layer
from formulation.bounds import compulsory_bits
from formulation.evaluation import evaluate
from formulation.hardware import Halo, Hardware
from formulation.mapping import Mapping
from formulation.problem import Kind, Objective, Problem
from solvers.methods import solve

SIZES = (128, 1536)
"""Buffers [KiB]."""
BITS = 16
LPF_LIMIT = 6
"""ZigZag's own default: loops are joined until so many are left to be ordered."""


def machine(kib: int, halo: Halo = Halo.REUSE) -> Hardware:
    """What the others model: a buffer without double buffers; tiles that slide, as AccelForge has them."""
    return Hardware(buffer_bytes=1024 * kib, double_buffered=False, halo=halo)


def best(layer: Layer, hardware: Hardware) -> tuple[int, Mapping, float]:
    """Least words, their mapping and seconds, proven by exhaustive search."""
    started = perf_counter()
    found = solve(Problem(layer, hardware, Objective(Kind.TRAFFIC)), method="exhaustive")
    assert found.cost is not None
    assert found.mapping is not None
    return found.cost.traffic_bits // BITS, found.mapping, perf_counter() - started


def accelforge(folder: Path, layer: Layer, kib: int, limit: float) -> tuple[str, str]:
    """AccelForge's least words and seconds."""
    task = {"layers": [plain(layer)], "sram_bits": 8192 * kib, "bits": BITS}
    answer = call(folder, "accelforge", "run_accelforge", task, limit)
    if answer is None:
        return "", f"> {limit:.0f}"
    return f"{answer['total']:,.0f}", f"{answer['seconds']:.0f}"


def priced(folder: Path, layer: Layer, kib: int, mapping: Mapping) -> dict[str, Any]:
    """AccelForge's words by tensor of a mapping, and the part of the buffer that it takes."""
    task = {"layers": [plain(layer)], "sram_bits": 8192 * kib, "bits": BITS, "mapping": nodes(layer, mapping)}
    return call(folder, "accelforge", "run_accelforge", task)


def zigzag(folder: Path, layer: Layer, kib: int, limit: float) -> tuple[str, str]:
    """ZigZag's least words, without the first partial sums that it reads, and seconds."""
    task = {"layer": plain(layer), "sram_bits": 8192 * kib, "bits": BITS, "lpf_limit": LPF_LIMIT}
    try:
        answer = call(folder, "zigzag", "run_zigzag", task, limit)
    except RuntimeError:
        return "fails", ""
    if answer is None:
        return "", f"> {limit:.0f}"
    return f"{without_first(answer, layer):,.0f}", f"{answer['seconds']:.0f}"


def without_first(answer: dict[str, Any], layer: Layer) -> float:
    """ZigZag's words less the reads of partial sums that are not there yet: one for each ofmap word."""
    reads = answer["words"]["O"]["data"]["rd_out_to_low"]
    return float(answer["total"]) - min(reads, layer.ofmap_words)


def table(folder: Path, limit: float) -> Iterator[str]:
    """The lines of the table of mappers, one after another."""
    named = {"AccelForge": accelforge, "ZigZag": zigzag}
    named = {name: peer for name, peer in named.items() if has(folder, peer.__name__)}
    heads, peers = "".join(f" {name} | s |" for name in named), named.values()
    heads += " ours in divisors |" * (accelforge in peers)
    yield f"| layer | SRAM KiB | compulsory | ours, clipped | ours | s |{heads}\n"
    yield f"|---|{'---:|' * (heads.count('|') + 5)}\n"
    for kib in SIZES:
        for layer in LAYERS:
            stored = padded(layer)
            words, mapping, seconds = best(stored, machine(kib))
            clipped, _, _ = best(layer, machine(kib))
            least = compulsory_bits(stored, machine(kib)) // BITS
            cells = [f"{n:,}" for n in (kib, least, clipped, words)] + [f"{seconds:.1f}"]
            for peer in peers:
                cells += peer(folder, stored, kib, limit)
            if accelforge in peers:
                divided = divisor_tiles(stored, mapping, channels=True)
                cells.append(f"{sum(priced(folder, stored, kib, divided)['words'].values()):,.0f}")
            yield f"| {layer.name} | {' | '.join(cells)} |\n"


def prices(folder: Path) -> Iterator[str]:
    """The lines of the table of our mappings priced by AccelForge."""
    yield "| layer | SRAM KiB | halo | mapping | words | AccelForge | buffer bits | AccelForge |\n"
    yield f"|---|---:|---|---|{'---:|' * 4}\n"
    equal = total = 0
    for kib in SIZES:
        for layer in map(padded, LAYERS):
            for halo in Halo:
                hardware = machine(kib, halo)
                mapping = divisor_tiles(layer, best(layer, hardware)[1])
                answer = priced(folder, layer, kib, mapping)
                cost = evaluate(layer, hardware, mapping)
                ours, theirs = cost.traffic_bits // BITS, sum(answer["words"].values())
                equal, total = equal + (ours == theirs), total + 1
                cells = [layer.name, str(kib), str(halo), str(mapping), f"{ours:,}", f"{theirs:,.0f}"]
                cells += [f"{cost.footprint.total:,}", f"{answer['sram'] * 8192 * kib:,.0f}"]
                yield f"| {' | '.join(cells)} |\n"
    yield f"\nThe words of {equal} of {total} are equal.\n"
