"""Certificates: ``python -m benchmarks.certificates [--corrupt N] [FILE ...]``.

Per scenario (deconvolutions split): leaves, size, seconds to make and to check. With ``--corrupt N``, N
random changes of one field in certificates of small layers: how many are accepted, and whether all that is
accepted is true, by every mapping counted by the tests' reference machines.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from formulation.problem import Kind, Problem
from solvers import check, run_scenario, solve
from solvers.certificate import certified, write_certificate
from solvers.scenario import read_scenario
from tests.certificates.corruption import corrupted, is_true
from tests.strategies import problems

ROOT = Path(__file__).parent.parent
LAYERS = 60  # of the campaign


def measured(path: Path) -> None:
    """One line of a scenario's certificate."""
    report = run_scenario(read_scenario(path, {"deconvolution": "split"}))
    started, stream = process_time(), StringIO()
    write_certificate(report, stream)
    made, text = process_time(), stream.getvalue()
    proven = [ok for _, _, ok in check.check(text)]
    seconds, leaves = process_time() - made, len(re.findall(r"\b[clm]\b", text))
    print(
        f"{path.stem:16} {len(proven):4} sub-problems, {proven.count(False)} not proven, {leaves:,} leaves, "
        f"{len(text) / 1e6:6.2f} MB, made in {made - started:6.2f} s, checked in {seconds:6.2f} s"
    )


def small_entries() -> list[dict[str, Any]]:
    """Certificates of random small problems that have a mapping."""
    found: list[dict[str, Any]] = []

    @settings(
        max_examples=4 * LAYERS,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(problems(most=4, channels=4, most_axes=2))
    def draw(problem: Problem) -> None:
        if len(found) < LAYERS and problem.objective.kind is not Kind.WEIGHTED:
            result = solve(problem, "exhaustive")
            if result.mapping is not None:
                found.append({"name": "random", **certified(result)})

    draw()
    return found


def accepted(entry: dict[str, Any]) -> bool:
    """Whether the checker accepts an entry."""
    try:
        check.verified(entry)
    except (check.Unproven, check.Malformed):
        return False
    return True


def campaign(count: int, seed: int) -> int:
    """Corrupt, check, and tell; returns how many false claims were accepted."""
    entries, random, good, false = small_entries(), Random(seed), 0, 0
    for number in range(count):
        entry = entries[number % len(entries)]
        changed = corrupted(entry, random)
        if changed != entry and accepted(changed):
            good += 1
            if not is_true(changed):
                false += 1
                print(f"false and accepted: {changed}")
    print(f"{count:,} changes of {len(entries)} certificates: {good:,} accepted, of which {false} are false")
    return false


def files(given: list[Path]) -> Iterator[Path]:
    """The scenarios to measure."""
    yield from given or (ROOT / "scenarios" / f"{name}.yaml" for name in ("unet", "flownetc", "resnet50"))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--corrupt", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.corrupt is not None:
        return int(campaign(args.corrupt, args.seed) > 0)
    for path in files(args.files):
        measured(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
