"""Every bundled scenario solved and replayed: the tables of ``docs/replay.md``, and seconds of each replay.

``python -m benchmarks.replay``; ``--write`` puts the tables into the page.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from solvers.network.levels import run_scenario
from solvers.replay import replay_result
from solvers.scenario import read_scenario
from solvers.scenario.bundled import names
from solvers.schedules.simulation.replay import Replay, ReplayedPart

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- tables of benchmarks.replay -->\n", "<!-- end of the tables -->"
FAR = 1.05


def parts(replay: Replay) -> Iterator[ReplayedPart]:
    """Of all layers."""
    return (part for layer in replay.layers for part in layer.parts)


def replayed(name: str) -> tuple[Replay, Replay]:
    """A scenario's mappings, ofmap tiles written whole and in pieces; seconds go to standard error."""
    data = json.loads(json.dumps(run_scenario(read_scenario(name)).to_dict()))
    started = perf_counter()
    whole = replay_result(data)
    print(f"{name}: {perf_counter() - started:.2f} s", file=sys.stderr)
    return whole, replay_result(data, writes="pieces")


def tables() -> str:
    """Both in Markdown: networks, and parts whose simulated latency is far above the model's."""
    networks = ["| network | parts | steps | model kcycles | simulated | ratio | in pieces |"]
    far = ["| network | part | steps | ratio | in pieces |"]
    networks.append(f"|---|{'---:|' * 6}")
    far.append(f"|---|---|{'---:|' * 3}")
    for name in names():
        whole, pieces = replayed(name)
        if whole.differences or pieces.differences:
            raise SystemExit("\n".join(whole.differences + pieces.differences))
        both = list(zip(parts(whole), parts(pieces), strict=True))
        steps = sum(part.count * part.run.moved.steps for part, _ in both)
        ratios = [f"{float(found.simulated_cycles / found.model_cycles):.4f}" for found in (whole, pieces)]
        times = [f"{float(cycles) / 1000:,.1f}" for cycles in (whole.model_cycles, whole.simulated_cycles)]
        networks.append(f"| {name} | {len(both)} | {steps:,} | {' | '.join([*times, *ratios])} |")
        for part, other in both:
            if part.ratio > FAR:
                cells = (name, part.name, f"{part.run.moved.steps:,}", f"{part.ratio:.3f}")
                far.append(f"| {' | '.join(cells)} | {other.ratio:.3f} |")
    return "\n".join(networks) + "\n\n" + "\n".join(far) + "\n"


def main() -> None:
    """Print them, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/replay.md")
    arguments = parser.parse_args()
    text, page = tables(), ROOT / "docs" / "replay.md"
    print(text)
    if arguments.write:
        old = page.read_text()
        page.write_text(re.sub(f"({BEGIN}).*?({END})", rf"\g<1>{text}\g<2>", old, flags=re.DOTALL))


if __name__ == "__main__":
    main()
