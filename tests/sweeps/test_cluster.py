"""``--cluster``: a real scheduler and real workers; one is killed on the way, then the command itself."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from solvers.sweep import main
from tests.commands.run.test_processes import wait_for
from tests.sweeps.test_interruption import FILES, ROOT, SEVERAL, command, files

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends signals")

ADDRESS = re.compile(r'"(tcp://[^"]+)"')


def dask(folder, *options):
    """A process of Dask's command line, told to keep to the loopback."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "9",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler, and its two workers."""
    found = tmp_path / "scheduler.json"
    scheduler = dask(
        tmp_path,
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        found,
    )
    processes = [scheduler]
    try:
        wait_for(lambda: found.exists() and ADDRESS.search(found.read_text()), 60)  # it may be half written
        address = ADDRESS.search(found.read_text())[1]
        options = (
            "worker",
            address,
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
        )
        processes += [dask(tmp_path, *options) for _ in range(2)]
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_worker_and_the_command_are_killed(sweep, cluster, tmp_path):
    address, workers = cluster
    sweep.write_text(SEVERAL)
    folder = tmp_path / "o"
    process = subprocess.Popen(command(sweep, folder, "--cluster", address))
    wait_for((folder / "sweep.sqlite").exists, 60)
    time.sleep(1)
    workers[0].kill()
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert subprocess.run(command(sweep, folder, "--cluster", address), check=False).returncode == 0
    assert main([str(sweep), "--out", str(tmp_path / "here"), "--quiet"]) == 0
    assert files(folder) == files(tmp_path / "here")


def test_a_scheduler_that_is_not_there_is_told(sweep, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("solvers.exploring.sweeping.cluster._PATIENCE", 0.5)
    assert main([str(sweep), "--out", str(tmp_path / "o"), "--cluster", "tcp://127.0.0.1:9"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("--cluster: tcp://127.0.0.1:9: cannot be reached: ")
    assert len(err.splitlines()) == 1
    assert not [name for name in FILES if (tmp_path / "o" / name).exists()]
    assert main([str(sweep), "--out", str(tmp_path / "o"), "--cluster", "nonsense://x"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_cluster_and_jobs_exclude_each_other(sweep, tmp_path, capsys):
    assert main([str(sweep), "--out", str(tmp_path / "o"), "--cluster", "x", "--jobs", "2"]) == 2
    assert capsys.readouterr().err.startswith("--jobs: is for processes here")
