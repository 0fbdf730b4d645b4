"""Certificates: ``python -m benchmarks.certificates [--combine] [--method M] [--corrupt N] [FILE ...]``.

Per scenario: leaves, size, seconds to make and to check, the widest gap that is proven. With ``--corrupt N``:
N random changes of one field in certificates of small layers (by leaves, and with the multipliers of
Constrained, to which half of the changes are made) and deconvolutions, under every objective; how
many are accepted, and whether all that is accepted is true, by every mapping: of layers counted by the tests'
reference machines, of shared tiles priced by the formulation. Neither shares code with the checker.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from io import StringIO
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from formulation.problem import Kind
from solvers import check, run_scenario, solve
from solvers.certificates.certificate import NoProof, certified, write_certificate
from solvers.result import Result
from solvers.scenario import read_scenario
from solvers.shared.deconvolution import combine
from solvers.shared.deconvolution_result import DeconvolutionResult
from tests.certificates.corruption import corrupted, is_true, places
from tests.shared.test_cost import small_problems
from tests.strategies import BARE, problems

ROOT = Path(__file__).parent.parent
PROBLEM = ("layer", "machine", "partition", "objective")
EACH = 4  # layers of the campaign, and deconvolutions, for each objective


def measured(path: Path, deconvolution: str, method: str) -> None:
    """One line of a scenario's certificate."""
    changes = {"deconvolution": deconvolution, "search_method": method}
    report = run_scenario(read_scenario(path, changes))
    started, stream = process_time(), StringIO()
    write_certificate(report, stream)
    made, text = process_time(), stream.getvalue()
    found = list(check.check(text))
    seconds, leaves = process_time() - made, len(re.findall(r"\b[clm]\b", text))
    gaps = [float(gap) for _, told, _ in found for gap in re.findall(r"gap (\S+)%", told)]
    print(
        f"{path.stem:12} {len(found):4} sub-problems, {sum(not ok for *_, ok in found)} not proven, "
        f"{len(found) - len(gaps)} left out, {leaves:,} leaves, {len(text) / 1e6:5.2f} MB, "
        f"made in {made - started:5.1f} s, checked in {seconds:5.1f} s, gaps up to {max(gaps):.2f} %",
        flush=True,
    )


def drawn(
    strategy: SearchStrategy[Any], kinds: tuple[Kind, ...], solved: Callable[[Any], Any], duals: int = 0
) -> Iterator[dict[str, Any]]:
    """Certificates of random small problems that have a mapping, each objective in turn.

    Those for which the last of the claims has at least so many sets of multipliers.
    """
    found: list[dict[str, Any]] = []

    @settings(
        max_examples=8 * EACH * len(kinds),
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(strategy)
    def draw(problem: Any) -> None:
        if len(found) == EACH * len(kinds):
            return
        objective = replace(problem.objective, kind=kinds[len(found) % len(kinds)])
        answer: Result | DeconvolutionResult | None = solved(replace(problem, objective=objective))
        try:
            entry = {} if answer is None else {"name": "random", **certified(answer)}
        except NoProof:
            return
        if entry and (not duals or len(entry["claims"][-1]["duals"]) >= duals):
            found.append(entry)

    draw()
    yield from found


def layer(problem: Any, method: str = "exhaustive") -> Result | None:
    """The answer to a layer, None if nothing fits."""
    result = solve(problem, method)
    return None if result.mapping is None else result


def relaxed(problem: Any) -> Result | None:
    """The same by the relaxation."""
    return layer(problem, "constrained")


def deconvolution(problem: Any) -> DeconvolutionResult | None:
    """The better of sharing and splitting, None if nothing fits."""
    result = combine(problem.deconv, problem.hardware, problem.objective, problem.partition)
    return None if result.total is None else result


class Kept(check.Model):
    """The checker's model of a problem, which keeps what it has found of each box."""

    def __init__(self, entry: Any, part: Any = ()) -> None:
        super().__init__(entry, part)
        self.found: dict[str, tuple[Any, ...]] = {}

    def least(self, *args: Any) -> tuple[Any, ...]:
        """As of the checker."""
        key = repr(args)
        if key not in self.found:
            self.found[key] = super().least(*args)
        return self.found[key]


@lru_cache(maxsize=2000)
def kept(text: str) -> Kept:
    """The model of a problem, and perhaps of a part of it."""
    entry, part = json.loads(text)
    return Kept(entry, tuple(map(tuple, part)))


def known_model(entry: dict[str, Any], part: Any = ()) -> Kept:
    """In place of ``check.Model`` in a campaign, which meets few problems many times."""
    return kept(json.dumps([{k: entry[k] for k in PROBLEM}, part]))


def accepted(entry: dict[str, Any]) -> bool:
    """Whether the checker accepts an entry."""
    try:
        check.verified(entry)
    except (check.Unproven, *check.FOREIGN):
        return False
    return True


def campaign(count: int, seed: int) -> int:
    """Corrupt, check, and tell; returns how many false claims were accepted."""
    check.Model = known_model  # type: ignore[assignment, misc]
    small = problems(most=3, channels=3, most_axes=2, set_up=True)
    entries = [*drawn(small, tuple(Kind), layer), *drawn(small_problems(), BARE, deconvolution)]
    entries += drawn(problems(most=5, channels=9, most_axes=1, set_up=True), tuple(Kind), relaxed, duals=1)
    paths, random, false = [list(places(entry)) for entry in entries], Random(seed), 0
    tried: Counter[tuple[str, str]] = Counter()
    good: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        at = number % len(entries)
        entry = entries[at]
        duals = any("duals" in path for path in paths[at])
        kind = ("duals" if duals else entry["layer"]["op"], entry["objective"]["kind"])
        changed = corrupted(entry, random, paths[at])
        tried[kind] += 1
        if changed != entry and accepted(changed):
            good[kind] += 1
            if not is_true(changed):
                false += 1
                print(f"false and accepted: {changed}")
        if (number + 1) % 50_000 == 0:
            print(f"{number + 1:,} changes: {good.total():,} accepted, {false} false", flush=True)
    for (op, kind), times in sorted(tried.items()):
        print(f"{op:6} {kind:8} {times:9,} changes, {good[op, kind]:8,} accepted")
    print(f"{count:,} changes of {len(entries)} certificates: {good.total():,} accepted, {false} false")
    return false


def files(given: list[Path]) -> Iterator[Path]:
    """The scenarios to measure."""
    yield from given or (ROOT / "scenarios" / f"{name}.yaml" for name in ("unet", "flownetc", "resnet50"))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--combine", action="store_true", help="deconvolutions by the better of both ways")
    parser.add_argument("--method", default="exhaustive")
    parser.add_argument("--corrupt", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.corrupt is not None:
        return int(campaign(args.corrupt, args.seed) > 0)
    for path in files(args.files):
        measured(path, "combine" if args.combine else "split", args.method)
    return 0


if __name__ == "__main__":
    sys.exit(main())
