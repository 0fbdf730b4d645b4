"""The built wheel, installed into an environment of its own and used from an empty folder."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def done(*command, cwd, **settings):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COLUMNS")}
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, env=environment, capture_output=True, text=True, **settings
    )


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter that has the wheel; what the project needs is found where it is already."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)  # no builds of ours in it
    built = done(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source, cwd=folder)
    if built.returncode and "No matching distribution" in built.stderr:
        pytest.skip("setuptools cannot be fetched to build the wheel")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", symlinks=True, with_pip=False)
    python = folder / "env" / "bin" / "python"
    home = done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    packages = Path(home.stdout.strip())
    (packages / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ("-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    assert done(sys.executable, *install, cwd=folder).returncode == 0
    return python


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_it_runs_from_an_empty_folder(python, tmp_path):
    where = done(python, "-c", "import solvers; print(solvers.__file__)", cwd=tmp_path).stdout
    assert Path(where.strip()).is_relative_to(python.parents[1])
    listed = done(python, "-m", "solvers.run", "--list", cwd=tmp_path)
    assert listed.stdout.split() == sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml"))
    ran = done(python, "-m", "solvers.run", "dcgan", "--outfile", "r.json", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads((tmp_path / "r.json").read_text())["complete"]
    again = done(python, "-m", "solvers.run", "r.json", "--quiet", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    installed = python.parent / "dataflow-optimizer"
    asv = done(installed, "asv", "dcgan", cwd=tmp_path)
    assert asv.returncode == 0, asv.stderr
    assert "dcgan" in asv.stdout
