"""A mutation run over ``formulation`` and the code of the proofs: ``python -m tests.mutants``.

`cosmic-ray <https://cosmic-ray.readthedocs.io>`_ changes one operator, number, comparison, condition or the
like in a copy of the code. Of all possible changes a sample is drawn, evenly over the code; annotations,
decorators and the texts of errors are left out. The tests that belong to the code are run once as it is, and
pytest-cov notes which test runs which line. Each change is then tried with the tests that run its lines, the
quick ones first, ``--seconds`` of them; so the score is never too good. It is for the night:

    pip install cosmic-ray pytest-cov
    python -m tests.mutants                      # 300 changes, two rooms at a time
    python -m tests.mutants --sample 40 space    # of one room
    python -m tests.mutants --sample 20 formulation/pricing/cuts.py 'formulation/space/cut_*.py'

Each change is told as it has been tried; the run ends with the score. A change that no test saw is shown as a
difference; exit code 1 below 90 %.
"""

import argparse
import ast
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import unified_diff
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
AIM = 0.9
PATIENCE, SLOWER = (
    20.0,
    2.0,
)  # tests of a change may take so much [CPU s], and so many times as long as without
IDLE = 5.0  # and so many times that by the clock, on a busy machine
PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
LEFT_OUT = (
    "core/RemoveDecorator",
    "core/VariableInserter",
    "core/VariableReplacer",
    "core/ExceptionReplacer",
)
IGNORED = shutil.ignore_patterns(".git", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis")


@dataclass(frozen=True)
class Room:
    """Code, and the tests that belong to it, the quickest first."""

    code: tuple[str, ...]
    tests: tuple[str, ...]


_LAYERS = ("tests/conformance", "tests/layers")
ROOMS = {
    "base": Room(
        ("formulation/*.py", "formulation/pricing/*.py"), ("tests/formulation", *_LAYERS, "tests/shared")
    ),
    "space": Room(("formulation/space/*.py",), ("tests/formulation", *_LAYERS)),
    "relaxed": Room(("formulation/relaxed/*.py",), ("tests/formulation", *_LAYERS)),
    "program": Room(
        ("formulation/program/*.py",),
        (
            *("tests/formulation/test_program.py", *_LAYERS, "tests/commands/run/test_partition.py"),
            *("-k", "exact or program or milp or partition or bursts"),
        ),
    ),
    "nonlinear": Room(
        ("formulation/program/nonlinear/*.py",),
        ("tests/formulation/test_nonlinear.py", "tests/shared/test_nonlinear.py"),
    ),
    "shared": Room(("formulation/shared/**/*.py",), ("tests/shared", "tests/conformance")),
    "network": Room(
        ("formulation/network/**/*.py",),
        (
            "tests/network",
            "tests/commands/run/test_network_level.py",
            "tests/commands/exploring/test_size.py",
        ),
    ),
    "resident": Room(("solvers/network/resident/*.py",), ("tests/network/test_sharing.py", "tests/network")),
    "bounds": Room(
        ("solvers/bounds/*.py", "solvers/backends/posynomial.py"),
        ("tests/formulation", *_LAYERS, "tests/shared"),
    ),
    "exact": Room(("solvers/layers/exact*.py", "solvers/result.py"), _LAYERS),
    "check": Room(("solvers/check.py",), ("tests/certificates/test_trees.py", "tests/certificates")),
    "certificates": Room(
        ("solvers/certificates/*.py",),
        ("tests/certificates/test_trees.py", "tests/certificates"),
    ),
}


def skipped(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Spans (line, column) in which a change is none, or is one of texts."""

    def nodes(tree: ast.AST) -> Iterator[ast.AST | None]:
        for node in ast.walk(tree):
            if isinstance(node, ast.arg | ast.AnnAssign):
                yield node.annotation
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield from (*node.decorator_list, getattr(node, "returns", None))
            elif isinstance(node, ast.Raise | ast.JoinedStr):
                yield node
            elif isinstance(node, ast.Assign) and isinstance(
                node.value, ast.Name | ast.Attribute | ast.Subscript
            ):
                yield node  # aliases of types, and places without arithmetic

    found = [node for node in nodes(ast.parse(source)) if node is not None]
    return [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in found]


class Change(NamedTuple):
    """A change of the code: its place, and what cosmic-ray calls it."""

    file: str
    lines: range
    at: tuple[int, int]
    operator: str
    occurrence: int
    options: dict[str, Any]


class Copy:
    """A copy of the project in which one room's code is changed."""

    def __init__(self, folder: Path, name: str, tests: Sequence[str], most: float) -> None:
        """In a new folder.

        Args:
            folder: where.
            name: of a room, or files of one as a pattern.
            tests: in place of the room's, if any.
            most: seconds of tests a change.
        """
        self.folder, self.name, self._most = folder, name, most
        room = ROOMS[name] if name in ROOMS else next(r for r in ROOMS.values() if holds(r, name))
        self._globs, self._tests = room.code if name in ROOMS else (name,), tests or room.tests
        shutil.copytree(ROOT, folder, ignore=IGNORED)
        self.changes = self._changes()
        self._seconds: dict[str, float] = {}
        self._running: dict[tuple[str, int], set[str]] = {}

    def _files(self) -> list[str]:
        files = sorted({path for glob in self._globs for path in self.folder.glob(glob)})
        return [str(path.relative_to(self.folder)) for path in files]

    def _changes(self) -> list[Change]:
        """All changes that count, in the order of the code."""
        from cosmic_ray.work_db import WorkDB, use_db

        code = self._files()
        config = f"[cosmic-ray]\nmodule-path = {code}\ntimeout = 1\nexcluded-modules = []\n"
        config += 'test-command = "true"\n[cosmic-ray.distributor]\nname = "local"\n'
        (self.folder / "mutants.toml").write_text(config)
        program = Path(sys.executable).with_name("cosmic-ray")
        command = [program, "init", "mutants.toml", "mutants.sqlite"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        with use_db(self.folder / "mutants.sqlite", WorkDB.Mode.open) as db:
            found = [item.mutations[0] for item in db.work_items]
        spans = {file: skipped((self.folder / file).read_text()) for file in code}
        kept = []
        for one in found:
            file, (line, _), (last, _) = str(one.module_path), one.start_pos, one.end_pos
            inside = any(start <= one.start_pos and one.end_pos <= end for start, end in spans[file])
            if not inside and not one.operator_name.startswith(LEFT_OUT):
                lines, options = range(line, last + 1), dict(one.operator_args or {})
                kept.append(Change(file, lines, one.start_pos, one.operator_name, one.occurrence, options))
        return sorted(kept, key=lambda change: change[:1] + change[2:5])

    def measure(self) -> None:
        """Run the tests on the code as it is: how long each takes, and which lines it runs."""
        from coverage import CoverageData

        (self.folder / ".coveragerc").write_text("\n    ".join(("[run]\ninclude =", *self._files())))
        told = ["--cov", "--cov-context=test", "--cov-report=", "--durations=0", "--durations-min=0", "-vv"]
        done = self._pytest([*told, *self._tests], None)
        lost = set(re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", done.stdout, re.MULTILINE))
        if lost:
            print(f"{self.name}: left out, as they fail without a change: {', '.join(lost)}", flush=True)
        for seconds, test in re.findall(r"^([\d.]+)s (?:setup|call) +(\S.*)$", done.stdout, re.MULTILINE):
            if test not in lost:
                self._seconds[test] = self._seconds.get(test, 0.0) + float(seconds)
        data = CoverageData(str(self.folder / ".coverage"))
        data.read()
        for file in data.measured_files():
            name = str(Path(file).relative_to(self.folder.resolve()))
            for line, contexts in data.contexts_by_lineno(file).items():
                tests = {context.rpartition("|")[0] for context in contexts}
                self._running[name, line] = {test for test in tests if test in self._seconds}

    def attempt(self, change: Change) -> tuple[bool, str]:
        """Whether some test sees a change, and how, or the difference that none saw."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        path = self.folder / change.file
        before = path.read_text()
        after = mutate_code(before, get_operator(change.operator)(**change.options), change.occurrence)
        path.write_text(after)
        try:
            seen = self._seen(change)
        finally:
            path.write_text(before)
        lines = before.splitlines(), after.splitlines()
        return bool(seen), seen or "\n".join(unified_diff(*lines, change.file, change.file, "", "", 2, ""))

    def _seen(self, change: Change) -> str:
        """Which test sees a change that is made; nothing if none does."""
        near: set[str] = set().union(*(self._running.get((change.file, line), ()) for line in change.lines))
        turns: dict[str, int] = {}
        order = []
        for test in sorted(near, key=lambda test: self._seconds[test]):
            function = test.partition("[")[0]
            turns[function] = turns.get(function, 0) + 1
            order.append((turns[function], self._seconds[test], test))
        tests = [test for *_, test in sorted(order)]  # the quickest of each function, the next of each, ...
        sums = list(accumulate(self._seconds[test] for test in tests))
        tests = tests[: bisect_right(sums, self._most) + 1] or list(self._tests)
        usual = sum(self._seconds.get(test, 0.0) for test in tests) or sum(self._seconds.values())
        try:
            done = self._pytest(
                ["-x", "--hypothesis-profile", "unshrunk", *tests], round(PATIENCE + SLOWER * usual)
            )
        except subprocess.TimeoutExpired:
            return "took too long"
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return f"by {failed[0] if failed else 'all'}" if done.returncode else ""

    def _pytest(self, arguments: Sequence[str], most: int | None) -> subprocess.CompletedProcess[str]:
        """Run tests within so much CPU time [s]; without a limit what is compiled is kept."""
        (self.folder / "mutants.txt").write_text("\n".join(arguments))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "@mutants.txt"]
        settings = PIPES | {"env": os.environ | {"PYTHONDONTWRITEBYTECODE": "" if most is None else "1"}}
        with subprocess.Popen(command, cwd=self.folder, start_new_session=True, **settings) as process:
            if most is not None:
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (most, most))
            try:
                told, _ = process.communicate(timeout=most and IDLE * most)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if most is not None and process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            raise subprocess.TimeoutExpired(command, most)
        return subprocess.CompletedProcess(command, process.returncode, told)


def holds(room: Room, pattern: str) -> bool:
    """Whether files are code of a room, and there are some."""
    files = set(ROOT.glob(pattern))
    return bool(files) and files <= {path for glob in room.code for path in ROOT.glob(glob)}


def try_share(copy: Copy, share: float, seed: int) -> list[bool]:
    """Try a share of all changes of a copy, telling each; whether each was seen."""
    every = copy.changes
    count = min(max(1, round(share * len(every))), len(every))
    chosen = random.Random(f"{seed} {copy.name}").sample(every, count)
    copy.measure()
    seen = []
    for number, change in enumerate(chosen, 1):
        killed, told = copy.attempt(change)
        seen.append(killed)
        place = f"{change.file}:{change.lines[0]} {change.operator.rpartition('/')[2]}"
        print(f"{copy.name} {number}/{count} {place}: {told if killed else 'NOT SEEN'}", flush=True)
        if not killed:
            print(told, flush=True)
    print(f"{copy.name}: {sum(seen)} of {count} seen ({len(every):,} changes are possible)", flush=True)
    return seen


def main(argv: list[str] | None = None) -> int:
    """Draw, try, and tell the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}, or files of one; all if none"
    )
    parser.add_argument("--sample", type=int, default=300, help="changes that are tried (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument("--tests", nargs="*", default=(), help="in place of the rooms' own")
    text = "of tests that a change is tried with, as they take without it (default 60)"
    parser.add_argument("--seconds", type=float, default=60.0, help=text)
    parser.add_argument("--jobs", type=int, default=2, help="rooms at a time (default 2)")
    args = parser.parse_args(argv)
    names = args.rooms or list(ROOMS)
    for name in names:
        if name not in ROOMS and not any(holds(room, name) for room in ROOMS.values()):
            parser.error(f"got {name!r}, allowed: files of these rooms, {', '.join(ROOMS)}")
    with TemporaryDirectory() as folder, ThreadPoolExecutor(args.jobs) as pool:
        places = [Path(folder) / str(number) for number in range(len(names))]
        copies = list(pool.map(lambda *each: Copy(*each, args.tests, args.seconds), places, names))
        share = args.sample / sum(len(copy.changes) for copy in copies)
        parts = pool.map(lambda copy: try_share(copy, share, args.seed), copies)
        seen = [one for part in parts for one in part]
    killed = sum(seen)
    print(f"{killed} of {len(seen)} seen: {100 * killed / len(seen):.1f} %")
    return 0 if killed >= AIM * len(seen) else 1


if __name__ == "__main__":
    sys.exit(main())
