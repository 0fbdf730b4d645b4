"""Imports go one way, heavy packages stay behind their walls, and a plain run does not pay for them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(p for folder in ("dnns", "formulation", "solvers") for p in (ROOT / folder).rglob("*.py"))
MAY_IMPORT = {
    "dnns": {"dnns"},
    "formulation": {"dnns", "formulation"},
    "solvers": {"dnns", "formulation", "solvers"},
}
PLAIN = {
    "exhaustive",
    "static",
    "search",
    "goals",
    "result",
    "scenario",
    "schedule",
    "report",
    "run",
    "table",
    "methods",
}


def imports(path):
    """Every module that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_imports_go_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    ours = {name for name in imports(path) if name.split(".")[0] in MAY_IMPORT}
    assert {name.split(".")[0] for name in ours} <= MAY_IMPORT[package]


def test_solver_packages_stay_in_their_backends():
    users = {"cyipopt": set(), "highspy": set(), "pyscipopt": set()}
    for path in MODULES:
        for name in imports(path):
            if name.split(".")[0] in users:
                users[name.split(".")[0]].add(path.stem)
    assert all(len(modules) <= 1 for modules in users.values()), users


def test_the_reference_walker_shares_no_code():
    assert not [n for n in imports(ROOT / "tests" / "walker.py") if n.split(".")[0] in MAY_IMPORT]


@pytest.mark.parametrize("method", ["Exhaustive", "Static"])
def test_a_plain_run_imports_no_optimiser(method, tmp_path):
    code = (
        "import sys; from solvers.run import main; "
        f"main(['--dnnfile', {str(ROOT / 'dnns' / 'test.txt')!r}, '--ifmap', '24', '16', '3', "
        f"'--search_method', {method!r}]); "
        "heavy = {'pyomo', 'highspy', 'cyipopt', 'scipy', 'pandas', 'onnx'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
