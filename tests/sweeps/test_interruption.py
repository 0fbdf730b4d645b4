"""Killed at any moment, the same command goes on: nothing lost, nothing twice, the same bytes in the end."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from solvers.sweep import main
from tests.commands.run.test_processes import faulty, is_worker, session, wait_for  # noqa: F401
from tests.sweeps.conftest import small

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
SEVERAL = """\
scenario: scenario.yaml
axes:
  hardware.bufsize: {from: 1KiB, to: 4KiB, step: 1KiB}
  deconvolution: [split, combine]
  hardware.sa_size: [4, [2, 8]]
"""
FILES = ("points.parquet", "layers.parquet")


def command(sweep, folder, *options):
    return [sys.executable, "-m", "solvers.sweep", str(sweep), "--out", str(folder), "--quiet", *options]


def files(folder):
    return [(folder / name).read_bytes() for name in FILES]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a run that is not interrupted; they do not depend on where its input is."""
    folder = tmp_path_factory.mktemp("whole")
    scenario = folder / "scenario.yaml"
    scenario.write_text("network: tiny.yaml\nhardware: {bufsize: 4096}\n")
    assert main([str(small(scenario, SEVERAL)), "--out", str(folder / "o"), "--quiet"]) == 0
    return files(folder / "o")


def test_killed_dozens_of_times(sweep, whole, tmp_path):
    sweep.write_text(SEVERAL)
    killer = [sys.executable, "-m", "tests.sweeps.killer", str(sweep), str(tmp_path / "o"), "36"]
    done = subprocess.run(killer, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    counts = re.search(r"36 killed, .*: \[(.*)\]", done.stdout)[1].split(", ")
    assert len(counts) > 3, "killed in the middle, not only at the start"
    assert files(tmp_path / "o") == files(tmp_path / "o-whole") == whole
    assert not list((tmp_path / "o").glob(".*"))


def test_the_whole_group_of_processes_is_killed(sweep, whole, tmp_path):
    sweep.write_text(SEVERAL)
    folder = tmp_path / "o"
    process = subprocess.Popen(command(sweep, folder, "--jobs", "2"), start_new_session=True)
    wait_for(lambda: [pid for pid in session(process.pid) if is_worker(pid, process.pid)], 60)
    time.sleep(random.uniform(0.1, 0.6))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not session(process.pid), 60)
    assert main([str(sweep), "--out", str(folder), "--quiet"]) == 0
    assert files(folder) == whole


def test_a_worker_is_killed(sweep, whole, tmp_path):
    sweep.write_text(SEVERAL)
    folder = tmp_path / "o"
    process = subprocess.Popen(command(sweep, folder, "--jobs", "2"), start_new_session=True)
    wait_for(lambda: [pid for pid in session(process.pid) if is_worker(pid, process.pid)], 60)
    while process.poll() is None and len(list(folder.glob("*.parquet"))) < 3:
        workers = [pid for pid in session(process.pid) if is_worker(pid, process.pid)]
        if workers:
            os.kill(workers[0], signal.SIGKILL)
            break
    assert process.wait(timeout=60) == 0
    assert files(folder) == whole


def test_a_problem_that_kills_its_process_is_a_row(faulty, tmp_path):  # noqa: F811
    sweep, folder = faulty.with_name("sweep.yaml"), tmp_path / "o"
    sweep.write_text("scenario: scenario.yaml\naxes: {hardware.bufsize: [2KiB, 4KiB]}\n")
    marker, begun = faulty.with_name("kill-8"), faulty.with_name("begun-8")
    marker.touch()
    assert subprocess.run(command(sweep, folder, "--jobs", "2"), check=False).returncode == 4
    points = parquet.read_table(folder / "points.parquet").to_pylist()
    reason = "a: its process was killed by signal 9, 2 times"
    assert [(p["status"], p["reason"], p["complete"]) for p in points] == [("failed", reason, False)] * 2
    assert all(point["latency_cycles"] > 0 for point in points)
    assert begun.read_text() == "xxxx"
    before = files(folder)
    again = [str(sweep), "--out", str(folder), "--quiet"]
    assert main(again) == 4, "what failed is kept as well"
    assert files(folder) == before
    marker.unlink()
    assert main([*again, "--retry"]) == 0
    assert main([str(sweep), "--out", str(tmp_path / "whole"), "--quiet"]) == 0
    assert files(folder) == files(tmp_path / "whole")


def test_ctrl_c_is_one_line_and_the_rest_is_kept(sweep, whole, tmp_path):
    sweep.write_text(SEVERAL)
    folder = tmp_path / "o"
    process = subprocess.Popen(
        command(sweep, folder), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for((folder / "sweep.sqlite").exists, 60)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    err = process.communicate(timeout=30)[1]
    if process.returncode == 0:
        pytest.skip("it was done before")
    assert process.returncode == 130
    assert re.fullmatch(r"interrupted(: \d+ of 24 problems are kept in .*, the same command goes on)?\n", err)
    assert main([str(sweep), "--out", str(folder), "--quiet"]) == 0
    assert files(folder) == whole
