"""The original tool's own mappings of FlowNetC, priced by our model: a table of ``docs/deconvolution.md``.

``python -m benchmarks.original``; ``--write`` puts it into the page. The tool's mappings are not published;
they follow from how it searches (method "Exhaustive", deconvolutions unsplit), which is stated here in our
words, after its published source. That it is the same search shows in its sums: cycles and words are those of
the tool's own run to the last one (``CYCLES``, ``WORDS``).

The SRAM is divided in steps of 5 % between ifmap and weights. Each part is filled: ``c`` output channels and
``p`` positions, whole multiples of the array's side A; the square root of p is the side of a tile::

    c * K^2 * Ci < weights' part      s^2 * p * Ci < ifmap's part
    c0 = Co / ceil(Co / c)            h0, w0 likewise, of floor(sqrt(p)); all input channels at once
    ifmap tile = (s h0 + K/2) (s w0 + K/2) Ci
    words, ifmap stays   = (weights' + ofmap tile) * tiles + (ifmap + ofmap tile) * H W / (h0 w0)
    words, weights stay  = (ifmap + ofmap tile) * tiles + (weights' + ofmap tile) * Co / c0
    cycles = max(MACs / A^2 / utilisation, words / words per cycle)

Tiles are counted in words, the SRAM in bytes; they need not be whole, and there is one copy of each.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, sqrt
from pathlib import Path

from dnns.layer import Deconvolution
from formulation.deconv import Treatment
from formulation.mapping import Mapping, Stationary, Tile
from formulation.problem import Problem
from solvers.layers.exhaustive import solve
from solvers.network.plan import plan_of
from solvers.scenario import read_scenario

PAGE = Path(__file__).parents[1] / "docs" / "deconvolution.md"
BEGIN, END = "<!-- table of benchmarks.original -->\n", "<!-- end of the table -->"
SIDE, WORDS_PER_CYCLE, ROOM, WIDTH = 16, 12.8, 1_572_864, 16
CYCLES, WORDS = 256_957_376, 126_453_216
"""Of the tool's own run: 960 x 576 x 6, 16 x 16, 1.5 MiB, 25.6 GB/s, 16 bit, Exhaustive."""


@dataclass(frozen=True, slots=True)
class Original:
    """What the tool makes of a layer.

    Attributes:
        cycles: as it counts them.
        words: as it counts them.
        order: whose tile stays while those of the other change.
        tile: output channels, rows and columns; fractions where extents are not multiples.
    """

    cycles: int
    words: int
    order: Stationary
    tile: tuple[float, float, float]

    def mapping(self, in_channels: int) -> Mapping:
        """The same in whole elements: of as many tiles."""
        co, height, width = (ceil(size) for size in self.tile)
        return Mapping(Tile(co, in_channels, 1, (height, width)), self.order)


def original(
    extents: tuple[int, int], in_channels: int, out_channels: int, kernel: int, stride: int
) -> Original:
    """What the tool finds for a layer of these output extents; the first of the least cycles, then words."""
    found = []
    for ifmap in range(1, 20):
        for weights in range(1, 21 - ifmap):
            parts = ROOM * ifmap / 20, ROOM * weights / 20
            found += _filled(parts, extents, in_channels, out_channels, kernel, stride)
    return min(found, key=lambda one: (one.cycles, one.words))


def _filled(
    parts: tuple[float, float], extents: tuple[int, int], ci: int, co: int, kernel: int, stride: int
) -> Iterator[Original]:
    """The mapping of one division of the SRAM, if anything fits."""
    taps, window = kernel * kernel * ci, stride * stride * ci
    if SIDE * window > parts[0] or SIDE * taps > parts[1]:
        return
    size = SIDE * max(1, ceil(parts[1] / (SIDE * taps)) - 1)
    side = floor(sqrt(SIDE * max(1, ceil(parts[0] / (SIDE * window)) - 1)))
    c0, (h0, w0) = co / ceil(co / size), (extent / ceil(extent / side) for extent in extents)
    positions, area = h0 * w0, extents[0] * extents[1]
    ofmap, weights = positions * c0, taps * c0
    ifmap = (stride * h0 + kernel / 2) * (stride * w0 + kernel / 2) * ci
    if ofmap + ifmap + weights > 1.01 * ROOM:
        return
    tiles = ceil(area * co / ofmap)
    used = ofmap / (ceil(c0 / SIDE) * SIDE * ceil(positions / SIDE) * SIDE)
    compute = area * co * taps / (SIDE * SIDE * used)
    ways = [
        ((ofmap + weights) * tiles + (ofmap + ifmap) * area / positions, Stationary.INPUT),
        ((ofmap + ifmap) * tiles + (ofmap + weights) * co / c0, Stationary.WEIGHT),
    ]
    yield min(
        (
            Original(max(round(compute), round(words / WORDS_PER_CYCLE)), round(words), order, (c0, h0, w0))
            for words, order in reversed(ways)
        ),
        key=lambda one: one.cycles,
    )


def problems() -> Iterator[tuple[str, Problem, Original]]:
    """Each layer as the tool has it, zero-inserted where it is a deconvolution, and what it finds."""
    scenario = read_scenario("asv_flownetc").replace(
        deconvolution=Treatment.NAIVE.value, search_method="Exhaustive"
    )
    for planned in plan_of(scenario.read_network(), scenario):
        (part,) = planned.parts
        layer = part.layer
        assert layer is not None
        height, width = layer.axes
        stride = 1 if isinstance(planned.operator, Deconvolution) else height.stride
        found = original(
            (height.out, width.out), layer.in_channels, layer.out_channels, height.kernel, stride
        )
        yield part.name, Problem(layer, planned.machine), found


def table() -> str:
    """The table in Markdown, with its sums."""
    head = ("layer", "tile", "stays", "its words", "ours", "its cycles", "ours", "needs [KiB]")
    lines = [f"| {' | '.join((*head, 'least words', 'cycles'))} |", f"|---|---|---|{'---:|' * 7}"]
    sums, large = [0] * 6, [0, 0]
    for name, problem, found in problems():
        mapping = found.mapping(problem.layer.in_channels)
        cost, best = problem.evaluate(mapping), solve(problem).cost
        assert best is not None
        need = cost.footprint.total // problem.hardware.copies
        large = [n + (copies * need > 8 * ROOM) for n, copies in zip(large, (1, 2), strict=True)]
        cells = [found.words, cost.traffic_bits // WIDTH, found.cycles, ceil(cost.latency_cycles)]
        cells += [best.traffic_bits // WIDTH, ceil(best.latency_cycles)]
        sums = [total + cell for total, cell in zip(sums, cells, strict=True)]
        tile = " x ".join(map(str, (mapping.tile.out_channels, *mapping.tile.spatial)))
        lines.append(_row([name, tile, found.order.value], cells, f"{need / 8192:,.0f}"))
    assert (sums[2], sums[0]) == (CYCLES, WORDS), "no longer the tool's own run"
    lines.append(_row(["sum", "", ""], sums, f"{large[0]} too large, {large[1]} twice"))
    return "\n".join(lines) + "\n"


def _row(first: list[str], cells: list[int], need: str) -> str:
    numbers = [f"{cell:,}" for cell in cells]
    return f"| {' | '.join([*first, *numbers[:4], need, *numbers[4:]])} |"


def main() -> None:
    """Print it, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="into docs/deconvolution.md")
    write, text = parser.parse_args().write, table()
    print(text)
    if write:
        old = PAGE.read_text()
        PAGE.write_text(re.sub(f"({BEGIN}).*?({END})", rf"\g<1>{text}\g<2>", old, flags=re.DOTALL))


if __name__ == "__main__":
    main()
