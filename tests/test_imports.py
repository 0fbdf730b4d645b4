"""Imports go one way, heavy packages stay behind their walls, and a plain run does not pay for them."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(p for folder in ("dnns", "formulation", "solvers") for p in (ROOT / folder).rglob("*.py"))
NAMES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES
}
PACKAGES = ("dnns", "formulation", "solvers")


def imports(path):
    """Every module that a file imports, at any depth of its code, those for types included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else node.module


def ours(name):
    """The project's modules that one of them imports."""
    return {other for other in imports(NAMES[name]) if other.split(".")[0] in PACKAGES} - {name}


def rooms():
    """What each room may import, as docs/architecture.md says."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \|.*\|([^|]*)\|$", text, re.MULTILINE)
    table = {room: set(re.findall(r"`([\w.]+)`", allowed)) for room, allowed in rows}
    base = "formulation.problem"
    return {room: names | table[base] if base in names else names for room, names in table.items()}


ROOMS = rooms()


def room_of(name):
    """The most particular room of the table that a module is in; a command is its own."""
    parts = name.split(".")
    known = [".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in ROOMS]
    return known[0] if known else "command"


def test_the_table_of_rooms_is_whole_and_without_circles():
    assert set(chain.from_iterable(ROOMS.values())) <= set(ROOMS)
    folders = {f"{name}.{p.parent.name}" for name in PACKAGES for p in (ROOT / name).glob("*/__init__.py")}
    assert folders <= set(ROOMS), "a room without a line in docs/architecture.md"
    order = TopologicalSorter(ROOMS)
    order.prepare()


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_one_way(name):
    room, used = room_of(name), {room_of(other) for other in ours(name)}
    if room != "command":
        assert used <= ROOMS[room] | {room}


def test_no_module_imports_itself_on_any_way():
    order = TopologicalSorter({name: ours(name) for name in NAMES})
    order.prepare()


def test_solver_packages_stay_in_their_backends():
    users = {"cyipopt": set(), "highspy": set(), "pyscipopt": set()}
    for path in MODULES:
        for name in imports(path):
            if name.split(".")[0] in users:
                users[name.split(".")[0]].add(path.stem)
    assert all(len(modules) <= 1 for modules in users.values()), users


def test_the_reference_walker_shares_no_code():
    for path in (ROOT / "tests" / "walkers").glob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] in PACKAGES], path


@pytest.mark.parametrize("method", ["Exhaustive", "Static"])
def test_a_plain_run_imports_no_optimiser(method, tmp_path):
    code = (
        "import sys; from solvers.run import main; "
        f"main(['--dnnfile', {str(ROOT / 'dnns' / 'test.txt')!r}, '--ifmap', '24', '16', '3', "
        f"'--search_method', {method!r}]); "
        "heavy = {'pyomo', 'highspy', 'cyipopt', 'scipy', 'pandas', 'onnx', 'matplotlib'}; "
        "heavy &= set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["formulation.relaxed.presolve", "formulation.shared.presolve"])
def test_a_presolve_needs_no_model(module):
    code = f"import sys, {module}; sys.exit('imported Pyomo' if 'pyomo' in sys.modules else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
