"""Small buffers, whole and streamed tiles, every method: ``python -m benchmarks.streaming [KiB ...]``.

Eight layers' least traffic on the reference machine with 64, 128 and 256 KiB, single- and double-buffered:
words, what each method proves, and its seconds of the processor. ``--write`` renews the tables of
``docs/streaming.md``; ``--halo refetch`` is for a machine whose tiles do not slide (printed only).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import process_time

from dnns.axes import Axis
from dnns.errors import InputError
from dnns.layer import Layer
from formulation.bounds import least_traffic_bits
from formulation.hardware import Halo, Hardware
from formulation.mapping import Partition
from formulation.problem import Kind, Objective, Problem
from solvers.methods import METHODS, solve
from solvers.result import Result

PAGE = Path(__file__).parents[1] / "docs" / "streaming.md"
BEGIN, END = "<!-- table of benchmarks.streaming: {} KiB -->\n", "<!-- end of the table -->"
HEAD = ("layer", "buffer", "tiles", "words", "less", "any schedule")
RATIOS = ((1, 1, 1), (3, 1, 1), (1, 3, 1), (1, 1, 3), (2, 2, 1), (2, 1, 2), (1, 2, 2))
"""Partitions of the buffer of which Static has the best."""


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method found: words, the gap to its bound, seconds; or why it refuses."""

    words: int
    gap: float | None
    seconds: float

    @classmethod
    def of(cls, ask: Callable[[], Result]) -> Answer | None:
        """The answer to a question; None if the method refuses it."""
        started = process_time()
        try:
            result = ask()
        except InputError:
            return None
        assert result.cost is not None
        words = int(result.cost.traffic_bytes / 2)
        return cls(words, result.gap, process_time() - started)


def static(problem: Problem) -> Result:
    """The best answer within one of the ``RATIOS``."""
    parts = [Partition.from_ratio(ratio, problem.hardware.buffer_bits, 1) for ratio in RATIOS]
    found = [solve(replace(problem, partition=part), "static") for part in parts]
    return min((r for r in found if r.cost is not None), key=lambda r: r.cost.traffic_bits if r.cost else 0)


def answers(problem: Problem) -> dict[str, Answer | None]:
    """Of every method."""
    asked: dict[str, Callable[[], Result]] = {name: partial(solve, problem, name) for name in METHODS}
    asked["static"] = partial(static, problem)
    return {name: Answer.of(ask) for name, ask in asked.items()}


def cell(answer: Answer | None, optimum: int) -> str:
    """Per cent above the optimum, if it is; the gap to what the method proves; seconds."""
    if answer is None:
        return "refused"
    above = 100 * (answer.words / optimum - 1)
    worse = f"+{above:.2f} %, " if answer.words > optimum else ""
    return f"{worse}gap {100 * (answer.gap or 0):.2f} %, {answer.seconds:.2f} s"


def rows(kib: int, halo: Halo) -> Iterator[str]:
    """One line for each layer, number of buffers, and kind of tiles."""
    yield f"| {' | '.join((*HEAD, *(name.capitalize() for name in METHODS)))} |"
    yield "|---|---|---|" + "---:|" * (len(HEAD) - 3 + len(METHODS))
    for name, layer in LAYERS.items():
        for double in (False, True):
            machine = Hardware(buffer_bytes=kib << 10, double_buffered=double, halo=halo)
            least, whole = least_traffic_bits(layer, machine) // 16, 0
            for streaming in (False, True):
                problem = Problem(layer, replace(machine, streaming=streaming), Objective(Kind.TRAFFIC))
                found = answers(problem)
                best = found["exhaustive"]
                assert best is not None
                whole = whole or best.words
                less = f"{100 * (1 - best.words / whole):.2f} %" if best.words < whole else ""
                told = (
                    name,
                    "double" if double else "single",
                    "streamed" if streaming else "whole",
                    f"{best.words:,}",
                    less,
                    f"{least:,}",
                    *(cell(found[method], best.words) for method in METHODS),
                )
                yield f"| {' | '.join(told)} |"


def warm() -> None:
    """Ask every method something small, so that no answer has to wait for its packages."""
    answers(Problem(conv(8, 8, 3, 1, 9, 9), Hardware(buffer_bytes=1 << 10), Objective(Kind.TRAFFIC)))


def main() -> None:
    """Print a table for each size of the buffer, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kib", type=int, nargs="*", default=[64, 128, 256], help="sizes of the buffer")
    parser.add_argument("--halo", type=Halo, default=Halo.REUSE, help="reuse or refetch")
    parser.add_argument("--write", action="store_true", help="into docs/streaming.md")
    options = parser.parse_args()
    warm()
    for kib in options.kib:
        lines = []
        print(f"{kib} KiB, halo {options.halo}")
        for line in rows(kib, options.halo):
            print(line, flush=True)
            lines.append(line)
        if options.write:
            begin, text = BEGIN.format(kib), "\n".join(lines) + "\n"
            page = PAGE.read_text()
            PAGE.write_text(re.sub(f"({begin}).*?({END})", rf"\g<1>{text}\g<2>", page, flags=re.DOTALL))


if __name__ == "__main__":
    main()
