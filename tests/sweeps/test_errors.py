"""A sweep that is wrong is told in one line, with its place, before anything runs or is written."""

import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from solvers.sweep import main

HEAD = "scenario: scenario.yaml\n"
BAD = [
    ("axes: {hardware.bufsize: [1]}", "scenario: missing"),
    (HEAD, "has no axes"),
    (HEAD + "axis: {}", "unknown field 'axis', did you mean axes"),
    ("scenario: none.yaml\naxes: {hardware.bufsize: [4096]}", "none.yaml: cannot be read: No such file"),
    ("scenario: nowhere\naxes: {hardware.bufsize: [4096]}", "unknown bundled scenario 'nowhere'"),
    (
        HEAD + "axes:\n  hardware.bufsiz: [4096]",
        "line 3, axes.hardware.bufsiz: unknown field 'hardware.bufsiz', did you mean hardware.bufsize",
    ),
    (HEAD + "axes:\n  bufsize: [4096]", "did you mean hardware.bufsize"),
    (HEAD + "axes:\n  dump_models: [here]", "unknown field 'dump_models'"),
    (
        HEAD + "axes:\n  hardware.bufsize: []",
        "axes.hardware.bufsize: got [], allowed: at least",
    ),
    (
        HEAD + "axes:\n  hardware.bufsize:\n    - 4096\n    - -1",
        "line 5, axes.hardware.bufsize[1]: got -1, allowed: 1 to",
    ),
    (HEAD + "axes:\n  hardware.bufsize: [big]", "axes.hardware.bufsize[0]: got 'big'"),
    (
        HEAD + "axes:\n  hardware.frequency: [1000]",
        "line 3, axes.hardware.frequency[0]: got 1000",
    ),
    (
        HEAD + "axes:\n  search_method: [Exhaustive, Magic]",
        "axes.search_method[1]: got 'Magic'",
    ),
    (HEAD + "axes:\n  objective.kind: [speed]", "axes.objective.kind[0]: got 'speed'"),
    (HEAD + "axes:\n  network: [none.yaml]", "none.yaml: cannot be read"),
    (
        HEAD + "axes:\n  hardware.bufsize: [4096]\n  hardware: [{bufsize: 5}]",
        "line 4, axes.hardware: sets what the axis hardware.bufsize sets as well",
    ),
    (
        HEAD + "axes:\n  hardware.bufsize: {from: 9, to: 4096, step: -1}",
        "line 3, axes.hardware.bufsize: step: got -1, allowed: above 0",
    ),
    (
        HEAD + "pairs:\n  - hardware.bufsize: [1024, 2048]\n    objective.kind: [traffic]",
        "line 3, pairs[0]: got hardware.bufsize 2, objective.kind 1, allowed: two fields or more, with",
    ),
    (HEAD + "pairs:\n  - hardware.bufsize: [1024]", "allowed: two fields or more"),
    (
        HEAD + "axes:\n  network_level: [layers, fused]\n  search_method: [exact, static]",
        "at network_level fused, search_method static: ",
    ),
    (
        HEAD + "axes:\n  hardware.bufsize: {from: 1, to: 9999, step: 1}\n"
        "  hardware.frequency: {from: 0.1, to: 5, step: 0.1}",
        "has 499,950 points, at most 100,000 are allowed",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_sweeps_are_one_line(sweep, capsys, text, message):
    sweep.write_text(text)
    assert main([str(sweep), "--out", str(sweep.with_name("out"))]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert message in err
    assert not sweep.with_name("out").exists()


def test_a_folder_of_something_else_is_left_alone(sweep, capsys, tmp_path):
    folder = tmp_path / "o"
    folder.mkdir()
    (folder / "points.parquet").write_text("mine")
    assert main([str(sweep), "--out", str(folder)]) == 2
    assert "holds other files and no sweep" in capsys.readouterr().err
    assert os.listdir(folder) == ["points.parquet"]
    (folder / "points.parquet").unlink()
    (folder / "sweep.sqlite").write_text("no database, but long enough to be looked at as one" * 99)
    assert main([str(sweep), "--out", str(folder)]) == 2
    assert "sweep.sqlite: is no sweep's" in capsys.readouterr().err


def test_a_folder_of_another_sweep_is_left_alone(sweep, capsys, tmp_path):
    folder = tmp_path / "o"
    assert main([str(sweep), "--out", str(folder), "--quiet"]) == 3
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    text = sweep.read_text()
    for changed in (text.replace("2KiB", "3KiB"), text.replace("[split, combine]", "[combine, split]")):
        sweep.write_text(changed)
        assert main([str(sweep), "--out", str(folder)]) == 2
        assert "holds another sweep" in capsys.readouterr().err
    sweep.write_text(text)
    network = sweep.with_name("tiny.yaml")
    network.write_text(network.read_text().replace("out_channels: 8", "out_channels: 7"))
    assert main([str(sweep), "--out", str(folder)]) == 2
    assert "holds another sweep" in capsys.readouterr().err
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before


def test_a_folder_that_cannot_be_made_is_told(sweep, capsys):
    assert main([str(sweep), "--out", str(sweep / "out")]) == 2
    assert "cannot be written: Not a directory" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_told(sweep, capsys, tmp_path):
    folder = tmp_path / "o"
    folder.mkdir(mode=0o500)
    assert main([str(sweep), "--out", str(folder)]) == 2
    assert "cannot be written: Permission denied" in capsys.readouterr().err


def test_two_runs_in_one_folder_are_told(sweep, capsys, tmp_path):
    from solvers.exploring.sweeping.axes.file import read_sweep
    from solvers.exploring.sweeping.kept.store import opened
    from solvers.exploring.sweeping.problems import Problems

    problems = Problems(read_sweep(sweep))
    problems.pose()
    folder = tmp_path / "o"
    with opened(folder, problems.identity):
        command = [sys.executable, "-m", "solvers.sweep", str(sweep), "--out", str(folder)]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (other.returncode, other.stdout) == (2, "")
        assert other.stderr == f"{folder}: another run is working in this folder\n"
    assert main([str(sweep), "--out", str(folder), "--quiet"]) == 3


def limited(kib, *arguments):
    """A run in which no file may grow beyond a limit, as on a disk that is full; what it tells."""
    pytest.importorskip("resource")
    code = (
        "import resource, sys; from solvers.sweep import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kib} << 10, {kib} << 10)); "
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *map(str, arguments), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_a_full_disk_is_told_and_what_is_kept_is_intact(sweep, tmp_path):
    folder, whole = tmp_path / "o", tmp_path / "whole"
    told = limited(12, sweep, "--out", folder)
    assert told.startswith(f"{folder}: cannot be written: ")
    assert told.endswith("what was finished before is kept\n")
    assert not list(folder.glob("*.parquet"))
    assert main([str(sweep), "--out", str(folder), "--quiet"]) == 3
    assert main([str(sweep), "--out", str(whole), "--quiet"]) == 3
    for name in ("points.parquet", "layers.parquet"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_tables_that_cannot_be_written_leave_the_old_ones(sweep, tmp_path):
    folder = tmp_path / "o"
    assert main([str(sweep), "--out", str(folder), "--quiet"]) == 3
    before = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    told = limited(2, sweep, "--out", folder)
    assert told == f"{folder}: cannot be written: File too large; the answers are kept\n"
    assert {path.name: path.read_bytes() for path in folder.glob("*.parquet")} == before
    assert not list(folder.glob(".*"))


def test_a_disk_that_is_full_can_be_given_room(sweep, tmp_path):
    mount = "mkdir {0} && mount -t tmpfs -o size=24k tmpfs {0}"
    able = ["unshare", "-rm", "sh", "-c", mount.format(tmp_path / "able")]
    if not shutil.which("unshare") or subprocess.run(able, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk")
    disk, whole = tmp_path / "disk", tmp_path / "whole"
    run = f"{sys.executable} -m solvers.sweep {sweep} --out {disk}/o --quiet"
    script = f"{mount.format(disk)}; {run}; echo $?; ls {disk}/o; mount -o remount,size=9m {disk}; "
    script += f"{run}; echo $?; cp {disk}/o/*.parquet {tmp_path}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.startswith(f"{disk}/o: cannot be written: database or disk is full; ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.split() == ["2", "sweep.sqlite", "sweep.sqlite-wal", "3"]
    assert main([str(sweep), "--out", str(whole), "--quiet"]) == 3
    for name in ("points.parquet", "layers.parquet"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_an_answer_that_was_altered_is_told(sweep, tmp_path, capsys):
    folder = tmp_path / "o"
    assert main([str(sweep), "--out", str(folder), "--quiet"]) == 3
    for old, new, message in (
        ('"mapping":[8,', '"mapping":[9,', "out_channels"),
        ('"termination"', '"ending"', "termination"),
    ):
        with sqlite3.connect(folder / "sweep.sqlite") as database:
            changed = "update kept set answer = replace(answer, ?, ?)"
            assert database.execute(changed, (old, new)).rowcount
        database.close()
        assert main([str(sweep), "--out", str(folder), "--quiet"]) == 2
        err = capsys.readouterr().err
        assert "sweep.sqlite: problem " in err
        assert f"cannot be right: {message}" in err or message in err
        assert len(err.splitlines()) == 1
