"""What holds for the project as a whole: its version, its licence, and what kind of file it consists of."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from dnns import PROJECT, __version__
from tests.faults import FAULTS

ROOT = Path(__file__).parent.parent
COMMANDS = (
    *("dnns.show", "solvers.run", "solvers.size", "solvers.compare", "solvers.asv", "solvers.show"),
    *("solvers.replay", "solvers.curve", "solvers.pareto", "solvers.sweep", "solvers.export"),
    "solvers.cli.main",
)
LEFTOVERS = {
    *(
        ".pkl",
        ".pickle",
        ".npy",
        ".npz",
        ".parquet",
        ".h5",
        ".db",
        ".sqlite",
        ".so",
        ".dll",
        ".dylib",
        ".pyd",
    ),
    *(".pyc", ".o", ".a", ".exe", ".zip", ".gz", ".whl", ".orig", ".rej", ".bak", ".swp", ".log", ".prof"),
}
PICTURES = {".png", ".jpg"}  # of the documentation


def tracked():
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_nothing_binary_or_left_over_is_tracked():
    files = [file for file in tracked() if not (file.suffix in PICTURES and "docs" in file.parts)]
    assert len(files) > 100
    bad = [file for file in files if file.suffix.lower() in LEFTOVERS or file.name.endswith("~")]
    bad += [file for file in files if b"\0" in file.read_bytes()]
    assert not bad


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_the_version(command):
    done = subprocess.run(
        [sys.executable, "-m", command, "--version"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{PROJECT} {__version__}\n", "")


def test_the_installed_command_runs_the_others(capsys):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"dataflow-optimizer": "solvers.cli.main:main"}
    from solvers.cli.main import COMMANDS, main

    assert {Path(*module.split(".")).with_suffix(".py") for module in COMMANDS.values()} == {
        path.relative_to(ROOT)
        for path in tracked()
        if path.suffix == ".py"
        and path.name != "main.py"
        and path.relative_to(ROOT).parts[0] in ("dnns", "solvers")
        and "\nif __name__ ==" in path.read_text()
    }
    assert main(["show", str(ROOT / "dnns" / "networks" / "dcgan.yaml")]) == 0
    assert "dcgan" in capsys.readouterr().out
    assert main(["sho"]) == 2
    assert capsys.readouterr().err.startswith("dataflow-optimizer: got 'sho', allowed: run, size, ")
    assert main([]) == 0


def test_types_are_shipped():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for package in ("dnns", "formulation", "solvers"):
        assert "py.typed" in data[package]
        assert (ROOT / package / "py.typed").exists()


def test_a_missing_extra_is_named(monkeypatch):
    from dnns.errors import InputError
    from dnns.terminal.frames import data_frame

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"needs pandas: pip install 'dnn-dataflow-optimizer\[pandas\]'"):
        data_frame([{"a": 1}])


def test_the_version_has_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["name"] == PROJECT
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "dnns.__version__"}
    written = re.compile(rf"""["']{re.escape(__version__)}["']""")
    assert [
        p.relative_to(ROOT).as_posix()
        for p in tracked()
        if p.suffix in (".py", ".toml") and written.search(p.read_text())
    ] == ["dnns/__init__.py"]


def test_the_licence_is_named_and_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("MIT", ["LICENSE"])
    assert "the authors" in (ROOT / "LICENSE").read_text()


def test_the_faults_of_the_nightly_run_are_in_the_code():
    for fault in FAULTS:
        assert (ROOT / fault.file).read_text().count(fault.right) == 1, fault.name


def test_one_class_name_one_meaning():
    names = Counter(
        node.name
        for package in ("dnns", "formulation", "solvers")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert not [name for name, count in names.items() if count > 1]
