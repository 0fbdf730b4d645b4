"""All two-level nests of small layers beside our streamed optimum: ``python -m benchmarks.nests [LAYERS]``.

Layers are drawn at random. For each number of words that a nest holds, and moves less than all that hold no
more, our least traffic in a buffer of that size is found and compared. ``--write`` renews the table of
``docs/streaming.md``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import BitWidths, Halo, Hardware
from formulation.problem import Kind, Objective, Problem
from solvers.layers.exhaustive import solve
from tests.nests import Nests

PAGE = Path(__file__).parents[1] / "docs" / "streaming.md"
BEGIN, END = "<!-- table of benchmarks.nests -->\n", "<!-- end of the table -->"


def matrix_product(random: Random, most: int) -> Layer:
    """A matrix product."""
    rows, out, channels = (random.randint(1, most) for _ in range(3))
    return Layer("", out, channels, (Axis(rows, in_size=rows),))


def convolution(random: Random, most: int, axes: int = 1) -> Layer:
    """A convolution; half of them have their padding as data."""
    own = tuple(axis(random, most) for _ in range(axes))
    own = tuple(a.stored for a in own) if random.random() < 0.5 else own
    return Layer("", random.randint(1, most), random.randint(1, most), own)


def axis(random: Random, most: int) -> Axis:
    """An axis of a kernel of up to three taps, with stride, dilation and padding."""
    kernel, stride, out = random.randint(1, 3), random.randint(1, 2), random.randint(1, most)
    dilation = random.randint(1, 2) if kernel > 1 else 1
    reach = (kernel - 1) * dilation
    size = (out - 1) * stride + reach + 1
    low = random.randint(0, reach)
    high = random.randint(0, min(reach, max(0, size - low - 1)))
    return Axis(out, kernel, stride, dilation, low, high, max(1, size - low - high))


def ours(layer: Layer, held: int, halo: Halo) -> int | None:
    """Words that our optimum moves in a buffer of so many words; None if nothing fits."""
    machine = Hardware(
        buffer_bytes=held, double_buffered=False, halo=halo, streaming=True, bits=BitWidths(8, 8, 8, 8)
    )
    cost = solve(Problem(layer, machine, Objective(Kind.TRAFFIC))).cost
    return None if cost is None else int(cost.traffic_bytes)


@dataclass
class Tally:
    """What came of many layers.

    Attributes:
        points: sizes of the buffer that were compared.
        beaten: layers of which a nest moves less than ours at some size.
        places: such sizes.
        fewer: by how much at most, as a part of ours.
        unfit: sizes at which a nest fits, and nothing of ours.
    """

    points: int = 0
    beaten: int = 0
    places: int = 0
    fewer: Fraction = Fraction(0)
    unfit: int = 0

    def add(self, layer: Layer, halo: Halo, nests: Any) -> None:
        """Compare a layer."""
        before = self.places + self.unfit
        for held, words, *_ in nests.front():
            self.points += 1
            least = ours(layer, held, halo)
            if least is None:
                self.unfit += 1
            elif words < least:
                self.places += 1
                self.fewer = max(self.fewer, 1 - Fraction(words, least))
        self.beaten += self.places + self.unfit > before


Draw = Callable[[Random], Layer]
CASES: dict[str, tuple[Draw, bool, bool, int]] = {
    "matrix products, to 4": (lambda r: matrix_product(r, 4), True, False, 1),
    "one axis, to 4": (lambda r: convolution(r, 4), True, False, 1),
    "one axis, to 4, halo refetched": (lambda r: convolution(r, 4), False, False, 1),
    "two axes, to 3": (lambda r: convolution(r, 3, 2), True, False, 2),
    "two axes, to 3, halo refetched": (lambda r: convolution(r, 3, 2), False, False, 2),
    "one axis, to 3, taps cut as well": (lambda r: convolution(r, 3), True, True, 2),
}
"""By name: layers, whether tiles slide, whether nests have loops over taps, and a divisor of how many."""


def row(name: str, layers: int) -> str:
    """A line of the table."""
    draw, slides, taps, divisor = CASES[name]
    random, tally, count = Random(name), Tally(), max(1, layers // divisor)
    for _ in range(count):
        layer = draw(random)
        tally.add(layer, Halo.REUSE if slides else Halo.REFETCH, Nests(layer, slides, taps))
    numbers = (count, tally.beaten, tally.points, tally.places, tally.unfit)
    fewer = f"{100 * float(tally.fewer):.1f} %" if tally.places else ""
    return f"| {name} | {' | '.join(f'{n:,}' for n in numbers)} | {fewer} |"


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layers", type=int, nargs="?", default=1000, help="of the first case")
    parser.add_argument("--write", action="store_true", help="into docs/streaming.md")
    options = parser.parse_args()
    lines = [
        "| layers, extents | layers | beaten | sizes | fewer words | only nests fit | at most |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines))
    for name in CASES:
        lines.append(row(name, options.layers))
        print(lines[-1], flush=True)
    if options.write:
        text, page = "\n".join(lines) + "\n", PAGE.read_text()
        PAGE.write_text(re.sub(f"({BEGIN}).*?({END})", rf"\g<1>{text}\g<2>", page, flags=re.DOTALL))


if __name__ == "__main__":
    main()
