"""A mutation run over ``formulation`` and the code of the proofs: ``python -m tests.mutants``.

`cosmic-ray <https://cosmic-ray.readthedocs.io>`_ changes one operator, number, comparison, condition or the
like in a copy of the code, and runs the tests that belong to it. Of all possible changes a sample is drawn,
evenly over the code; annotations, decorators and the texts of errors are left out. It takes hours, and is
meant for the night:

    python -m tests.mutants                      # 300 changes, two at a time
    python -m tests.mutants --sample 40 space    # of one room

It ends with the score and every change that no test saw, as a difference; exit code 1 below 90 %.
"""

import argparse
import ast
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
AIM = 0.9
TIMEOUT = 900  # of the tests of one change [s]
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
    "base": Room(("formulation/*.py",), ("tests/formulation", *_LAYERS, "tests/shared")),
    "space": Room(("formulation/space/*.py",), ("tests/formulation", *_LAYERS)),
    "relaxed": Room(("formulation/relaxed/*.py",), ("tests/formulation", *_LAYERS)),
    "program": Room(
        ("formulation/program/*.py",),
        ("tests/formulation/test_program.py", *_LAYERS, "tests/commands/run/test_partition.py"),
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
    "bounds": Room(("solvers/bounds/*.py",), ("tests/formulation", *_LAYERS, "tests/shared")),
    "exact": Room(("solvers/layers/exact*.py", "solvers/result.py"), _LAYERS),
    "check": Room(("solvers/check.py",), ("tests/certificates",)),
}


def skipped(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Spans (line, column) in which a change is none, or is one of texts."""

    def nodes(tree: ast.AST) -> Iterator[ast.AST | None]:
        for node in ast.walk(tree):
            if isinstance(node, ast.arg | ast.AnnAssign):
                yield node.annotation
            elif isinstance(node, ast.FunctionDef):
                yield node.returns
            elif isinstance(node, ast.Raise | ast.JoinedStr):
                yield node
            elif isinstance(node, ast.Assign) and isinstance(
                node.value, ast.Name | ast.Attribute | ast.Subscript
            ):
                yield node  # aliases of types, and places without arithmetic

    found = [node for node in nodes(ast.parse(source)) if node is not None]
    return [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in found]


def prepare(copy: Path, room: Room, tests: tuple[str, ...]) -> Path:
    """A session of cosmic-ray in a copy of the code, with all possible changes."""
    code = sorted(str(path.relative_to(copy)) for glob in room.code for path in copy.glob(glob))
    config = copy / "mutants.toml"
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {' '.join(tests)}"
    config.write_text(
        f"[cosmic-ray]\nmodule-path = {code}\ntimeout = {TIMEOUT}\nexcluded-modules = []\n"
        f'test-command = "{command}"\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    ray(copy, "init", "mutants.toml", "mutants.sqlite")
    return copy / "mutants.sqlite"


def ray(copy: Path, *arguments: str) -> None:
    """Run cosmic-ray in the copy."""
    program = Path(sys.executable).with_name("cosmic-ray")
    subprocess.run(
        [program, *arguments], cwd=copy, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def changes(session: Path, copy: Path) -> list[str]:
    """Names of the changes that count, in the order of the code."""
    from cosmic_ray.work_db import WorkDB, use_db

    spans: dict[str, list] = {}
    with use_db(session, WorkDB.Mode.open) as db:
        items = [(item.mutations[0], item.job_id) for item in db.work_items]
    kept = []
    for change, name in items:
        file = str(change.module_path)
        if file not in spans:
            spans[file] = skipped((copy / file).read_text())
        inside = any(start <= change.start_pos and change.end_pos <= end for start, end in spans[file])
        if not inside and not change.operator_name.startswith(LEFT_OUT):
            kept.append((file, change.start_pos, change.operator_name, change.occurrence, name))
    return [name for *_, name in sorted(kept)]


def try_all(copy: Path, session: Path, chosen: set[str]) -> list[tuple[bool, str]]:
    """Whether the tests saw each chosen change, and the change as a difference."""
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult

    with use_db(session, WorkDB.Mode.open) as db:
        rest = [item.job_id for item in db.work_items if item.job_id not in chosen]
        db.set_multiple_results(rest, WorkResult(WorkerOutcome.SKIPPED))
    ray(copy, "exec", "mutants.toml", "mutants.sqlite")
    with use_db(session, WorkDB.Mode.open) as db:
        return [(r.is_killed, r.diff or "") for name, r in db.results if name in chosen]


def run_room(name: str, share: float, seed: int) -> list[tuple[bool, str]]:
    """Try a share of all changes of one room; says how it went."""
    room = ROOMS[name]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=IGNORED)
        session = prepare(copy, room, room.tests)
        every = changes(session, copy)
        count = max(1, round(share * len(every)))
        chosen = random.Random(f"{seed} {name}").sample(every, min(count, len(every)))
        seen = try_all(copy, session, set(chosen))
    killed = sum(dead for dead, _ in seen)
    print(f"{name}: {killed} of {len(seen)} seen ({len(every):,} changes are possible)", flush=True)
    for diff in (diff for dead, diff in seen if not dead):
        print(diff, flush=True)
    return seen


def possible(name: str) -> int:
    """How many changes of a room count."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=IGNORED)
        return len(changes(prepare(copy, ROOMS[name], ROOMS[name].tests), copy))


def main(argv: list[str] | None = None) -> int:
    """Draw, try, and tell the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; all if none is named"
    )
    parser.add_argument("--sample", type=int, default=300, help="changes that are tried (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="rooms at a time (default 2)")
    args = parser.parse_args(argv)
    rooms = args.rooms or list(ROOMS)
    if unknown := set(rooms) - set(ROOMS):
        parser.error(f"got {sorted(unknown)[0]!r}, allowed: {', '.join(ROOMS)}")
    with ThreadPoolExecutor(args.jobs) as pool:
        share = args.sample / sum(pool.map(possible, rooms))
        seen = [
            one for part in pool.map(lambda name: run_room(name, share, args.seed), rooms) for one in part
        ]
    killed = sum(dead for dead, _ in seen)
    print(f"{killed} of {len(seen)} seen: {100 * killed / len(seen):.1f} %")
    return 0 if killed >= AIM * len(seen) else 1


if __name__ == "__main__":
    sys.exit(main())
