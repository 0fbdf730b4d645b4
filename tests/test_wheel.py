"""The built wheel, installed into an environment of its own and used from an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("dnns", "formulation", "solvers", "scenarios")
OTHERS = ("3.13",)
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")


def done(*command, cwd, **settings):
    left_out = ("PYTHONPATH", "COLUMNS", "PYTHONDONTWRITEBYTECODE")
    environment = {k: v for k, v in os.environ.items() if k not in left_out}
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, env=environment, capture_output=True, text=True, **settings
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of what is committed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)  # no builds of ours in it
    built = done(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source, cwd=folder)
    if built.returncode and "No matching distribution" in built.stderr:
        pytest.skip("setuptools cannot be fetched to build the wheel")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def installed(wheel, folder):
    """An interpreter like this one that has the wheel; what that needs is found where it is already."""
    venv.create(folder / "env", symlinks=True, with_pip=False)
    python = folder / "env" / "bin" / "python"
    home = done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    packages = Path(home.stdout.strip())
    (packages / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ("-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    assert done(sys.executable, *install, cwd=folder).returncode == 0
    return python


def at_hand(version, folder):
    """An interpreter of another version: on the path, or installed beside this one."""
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}*/bin/python{version}"))
    for python in filter(None, [shutil.which(f"python{version}"), *beside]):
        found = done(python, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])", cwd=folder)
        if found.stdout.strip() == version:
            return python
    pytest.skip(f"there is no Python {version} here")


def installed_with_needs(wheel, version, folder):
    """An interpreter of another version that has the wheel and all that it needs, nothing else."""
    env = folder / "env"
    made = done(at_hand(version, folder), "-m", "venv", "--without-pip", env, cwd=folder)
    assert made.returncode == 0, made.stderr
    python = env / "bin" / "python"
    install = ("-m", "pip", "--python", python, "install", "-q", "--no-compile", wheel)  # little of it is run
    got = done(sys.executable, *install, cwd=folder)
    if got.returncode and "No matching distribution" in got.stderr:
        pytest.skip(f"what it needs cannot be fetched for Python {version}")
    assert got.returncode == 0, got.stderr
    return python


def test_all_that_is_tracked_of_a_package_is_in_it(wheel):
    """Networks, presets, C, and what pages and pictures are made with: whatever room they are in."""
    command = ("git", "-C", ROOT, "ls-tree", "-r", "--name-only", "HEAD", *PACKAGES)
    tracked = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert set(tracked) <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("version", [None, *OTHERS])
def test_it_runs_from_an_empty_folder(wheel, version, tmp_path):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    python = installed(wheel, home) if version is None else installed_with_needs(wheel, version, home)
    where = done(python, "-c", "import solvers; print(solvers.__file__)", cwd=work).stdout
    assert Path(where.strip()).is_relative_to(python.parents[1])
    listed = done(python, "-m", "solvers.run", "--list", cwd=work)
    assert listed.stdout.split() == sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml"))
    for method in ("exhaustive", "exact", "constrained") if version is None else ("exact",):
        options = ("--search_method", method, "--outfile", "r.json")
        ran = done(python, "-W", "error", "-m", "solvers.run", "dcgan", *options, cwd=work)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert json.loads((work / "r.json").read_text())["complete"]
    again = done(python, "-m", "solvers.run", "r.json", "--quiet", cwd=work)
    assert (again.returncode, again.stderr) == (0, "")
    if version is not None:
        return
    asv = done(python.parent / "dataflow-optimizer", "asv", "dcgan", cwd=work)
    assert asv.returncode == 0, asv.stderr
    assert "dcgan" in asv.stdout
