"""Processes: what a layer's failure, a kill, or Ctrl-C costs, with real processes and real signals."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from solvers.network.preloads import likely_methods
from solvers.network.tasks import Failure, Task, run_tasks
from solvers.network.workers import Workers
from solvers.run import main

ROOT = Path(__file__).parents[3]
PROC = Path("/proc")
pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="looks for processes in /proc")

#: A method whose layers take as long as a file is there, fail or are killed, by the number of their filters.
FAULTY = """\
import os, signal, sys, time
from pathlib import Path
from solvers.layers.exhaustive import solve as exhaustive

def solve(problem, **options):
    folder = Path(os.environ["FAULTS"])
    filters = problem.layer.out_channels
    with open(folder / f"begun-{filters}", "a") as stream:
        stream.write("x")
    while (folder / "wait").exists():
        time.sleep(0.02)
    if (folder / f"fail-{filters}").exists():
        raise TypeError("axis is\\nnot supported")
    if (folder / f"kill-{filters}").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / f"once-{filters}").exists():
        (folder / f"once-{filters}").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return exhaustive(problem, **options)
"""


@pytest.fixture
def faulty(tiny, monkeypatch):
    """The tiny scenario with the method replaced, in every process; markers in its folder cause faults."""
    place = tiny.parent / "site"
    place.mkdir()
    (place / "faulty_method.py").write_text(FAULTY)
    method = str(place / "faulty_method.py")
    (place / "sitecustomize.py").write_text(
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'solvers.layers.static':\n"
        "            import importlib.util\n"
        f"            return importlib.util.spec_from_file_location(name, {method!r})\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), str(ROOT)]))
    monkeypatch.setenv("FAULTS", str(tiny.parent))
    tiny.write_text(tiny.read_text() + "search_method: static\nbuffer_partition: [1, 1, 1]\n")
    return tiny


def command(scenario, *options):
    return [sys.executable, "-m", "solvers.run", str(scenario), "--quiet", *map(str, options)]


def run(scenario, *options):
    """Exit code, lines on standard error, and the JSON."""
    out = scenario.parent / "out.json"
    done = subprocess.run(
        command(scenario, "--outfile", out, *options), capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stderr.splitlines(), json.loads(out.read_text())


def begin(scenario, *options):
    """A run that stands at its layers, in a session of its own."""
    (scenario.parent / "wait").touch()
    process = subprocess.Popen(
        command(scenario, "--outfile", scenario.parent / "out.json", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: list(scenario.parent.glob("begun-*")))
    return process


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


def session(number):
    """Living processes of a session."""
    found = []
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            state, _, _, owner = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(owner) == number and state != "Z":
            found.append(int(stat.parent.name))
    return found


JOBS = pytest.mark.parametrize("jobs", [1, 2])


@JOBS
def test_a_failing_layer_has_a_row_and_the_others_stand(faulty, jobs):
    whole = run(faulty)[2]
    (faulty.parent / "fail-8").touch()
    code, err, data = run(faulty, "--jobs", jobs)
    assert code == 4
    assert len(err) == 1
    assert err[0].startswith("a: internal error: TypeError: axis is not supported (solvers.layers.static:")
    assert data["complete"] is False
    part = data["layers"][0]["parts"][0]
    assert part["mapping"] is part["latency_cycles"] is None
    assert (part["termination"], part["solution_status"]) == ("error", "none")
    assert part["error"].startswith("TypeError: ")
    assert "bytes_needed" not in part
    for layer, before in zip(data["layers"][1:], whole["layers"][1:], strict=True):
        assert layer["latency_cycles"] == before["latency_cycles"] > 0
    numbers = sum(layer["latency_cycles"] for layer in data["layers"][1:])
    assert data["totals"]["latency_cycles"] == pytest.approx(numbers)


def test_a_layer_that_no_partition_can_be_weighed_for_has_a_row(tiny, monkeypatch, capsys):
    import solvers.network.partition as module

    real = module.layer_column

    def column(problem):
        return real(problem) if problem.layer.out_channels != 8 else 1 / 0

    monkeypatch.setattr(module, "layer_column", column)
    out = tiny.parent / "out.json"
    options = ["--static", "--buffer_partition", "auto", "--quiet", "--outfile", str(out)]
    assert main([str(tiny), *options]) == 4
    assert capsys.readouterr().err.startswith("a: internal error: ZeroDivisionError")
    layers = json.loads(out.read_text())["layers"]
    assert [layer["latency_cycles"] is None for layer in layers] == [True, False, False, False]


def test_a_combination_that_fails_is_its_layer_s_row(tiny, monkeypatch, capsys):
    import solvers.shared.deconvolution as module

    monkeypatch.setattr(module, "solve", lambda *_, **__: 1 / 0)
    out = tiny.parent / "out.json"
    assert main([str(tiny), "--combine", "--outfile", str(out)]) == 4
    text, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in err.splitlines()] == ["up", "gaps"]
    assert text.count("internal error") == 2
    layers = {layer["name"]: layer for layer in json.loads(out.read_text())["layers"]}
    assert layers["up"]["error"].startswith("ZeroDivisionError: division by zero")
    assert layers["up"]["latency_cycles"] is None
    assert layers["a"]["latency_cycles"] > 0


def test_an_error_counts_more_than_a_layer_that_does_not_fit(faulty):
    (faulty.parent / "fail-10").touch()
    code, err, _ = run(faulty, "--bufsize", "60")
    assert code == 4
    assert any("does not fit" in line for line in err)
    assert any("internal error" in line for line in err)


def test_a_killed_worker_s_layer_is_tried_again(faulty):
    whole = run(faulty)[2]
    (faulty.parent / "once-8").touch()
    code, err, data = run(faulty, "--jobs", 2)
    assert (code, err) == (0, [])
    assert data["totals"]["latency_cycles"] == whole["totals"]["latency_cycles"]


def test_a_worker_killed_twice_leaves_a_row(faulty):
    (faulty.parent / "kill-8").touch()
    code, err, data = run(faulty, "--jobs", 2)
    assert code == 4
    assert err == ["a: internal error: its process was killed by signal 9, 2 times"]
    assert (faulty.parent / "begun-8").read_text() == "xx"
    assert all(layer["latency_cycles"] for layer in data["layers"][1:])


def test_a_worker_killed_from_outside_is_replaced(faulty):
    process = begin(faulty, "--jobs", 2)
    workers = [pid for pid in session(process.pid) if is_worker(pid, process.pid)]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    (faulty.parent / "wait").unlink()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    assert json.loads((faulty.parent / "out.json").read_text())["complete"] is True


def is_worker(pid, first):
    """Whether a process was copied from the server, or was started by itself where there is no server."""
    try:
        parent = int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        command = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
    return b"spawn_main" in command or (b"forkserver" in command and parent != first)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(faulty, number):
    process = begin(faulty, "--jobs", 2)
    assert len(session(process.pid)) >= 3
    os.kill(process.pid, number)
    assert process.wait(timeout=20) == -number
    wait_for(lambda: not session(process.pid), seconds=10)
    assert process.communicate() == ("", "")
    assert not (faulty.parent / "out.json").exists()


@JOBS
def test_ctrl_c_on_the_group_is_one_line(faulty, jobs):
    process = begin(faulty, "--jobs", jobs)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    wait_for(lambda: not session(process.pid), seconds=10)
    assert not (faulty.parent / "out.json").exists()


def test_workers_that_cannot_start_are_told_in_one_line(tmp_path):
    script = tmp_path / "script.py"
    scenario = ROOT / "scenarios" / "dcgan.yaml"
    script.write_text(f"from solvers import run_scenario\nrun_scenario({str(scenario)!r}, jobs=2)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "jobs: a process for the work ended with exit code 1" in done.stderr
    assert 'needs: if __name__ == "__main__"' in done.stderr


def _add(*numbers):
    return sum(numbers)


def _fail(*_):
    raise ValueError("no")


@JOBS
def test_tasks_wait_for_what_they_need_and_come_back_in_order(jobs):
    tasks = [
        Task("one", _add, (1,), Failure, effort=1),
        Task("two", _add, (2,), Failure, effort=5),
        Task("bad", _fail, (), Failure),
        Task("both", _add, (10,), Failure, needs=(0, 1), effort=3),
        Task("all", _add, (100,), Failure, needs=(3, 3, 1), effort=2),
    ]
    told = []
    outcomes = []
    if jobs == 1:
        outcomes = run_tasks(tasks, notify=lambda *args: told.append(args))
    else:
        with Workers(jobs) as workers:
            outcomes = run_tasks(tasks, workers=workers, notify=lambda *args: told.append(args))
    assert outcomes[:2] + outcomes[3:] == [1, 2, 13, 128]
    assert outcomes[2].text.startswith("ValueError: no")
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5]
    assert {name for *_, name in told} == {task.name for task in tasks}


def test_what_most_work_waits_for_is_begun_first(tmp_path):
    order = tmp_path / "order"
    tasks = [
        Task("short", _note, (str(order), "short"), Failure, effort=1),
        Task("long", _note, (str(order), "long"), Failure, effort=9),
        Task("needed", _note, (str(order), "needed"), Failure, effort=2),
        Task("last", _note, (str(order), "last"), Failure, needs=(2,), effort=10),
    ]
    with Workers(1) as workers:
        run_tasks(tasks, workers=workers)
    assert order.read_text().split() == ["needed", "last", "long", "short"]


def test_kin_follow_each_other_as_soon_as_the_most_urgent_of_them(tmp_path):
    order = tmp_path / "order"
    given = [("a", 1), ("b", 5), ("c", 4), ("b", 2), ("a", 6), (None, 3), ("c", 4), (None, 7)]
    tasks = [
        Task("", _note, (str(order), f"{kin}{place}"), Failure, effort=effort, kin=kin)
        for place, (kin, effort) in enumerate(given)
    ]
    with Workers(1) as workers:
        run_tasks(tasks, workers=workers)
    assert order.read_text().split() == ["None7", "a0", "a4", "b1", "b3", "c2", "c6", "None5"]


def test_what_a_process_had_before_it_is_not_lost_with_it(tmp_path):
    order = tmp_path / "order"
    names = [f"{'kill' if place in (40, 41) else 'note'}{place}" for place in range(80)]
    tasks = [Task(name, _note_or_die, (str(order), name), Failure) for name in names]
    with Workers(1) as workers:
        run_tasks(tasks, workers=workers)
    begun = order.read_text().split()
    twice = [name for name in names for _ in range(2 if name.startswith("kill") else 1)]
    assert begun == twice, "each once, and what kills its process once more"


def test_what_a_process_was_to_have_is_not_lost_if_it_is_gone_before(tmp_path):
    order = tmp_path / "order"
    names = [f"note{place}" for place in range(40)]
    tasks = [Task(name, _note, (str(order), name), Failure, kin="all") for name in names]
    with Workers(1) as workers:
        workers.start(1)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        run_tasks(tasks, workers=workers)
    assert sorted(order.read_text().split()) == sorted(names), "each once"


def test_few_calls_are_shared_out_one_by_one():
    with Workers(2) as workers:
        workers.start(24)
        handed = [workers.hand_out(token, (_add, (token, 1)), "kin") for token in range(24)]
        assert handed == [True] * 6 + [False] * 18, "an eighth of what is left for each, so that none is last"
        found = {}
        while len(found) < 6:
            found |= dict(workers.answers())
        assert found == {token: token + 1 for token in range(6)}
        left = [workers.hand_out(token, (_add, (token, 1)), "kin") for token in range(18)]
        assert left == [True] * 4 + [False] * 14


def _note_or_die(path, name):
    before = Path(path).read_text().split() if Path(path).exists() else []
    _note(path, name)
    if name.startswith("kill") and name not in before:
        os.kill(os.getpid(), signal.SIGKILL)


def _note(path, name, *_):
    with open(path, "a") as stream:
        stream.write(f"{name} ")


def test_likely_methods_are_those_that_are_named(tmp_path):
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("scenario: resnet50\naxes: {search_method: [Exact, Constrained, exact]}\n")
    assert likely_methods(None, sweep) == ("exact", "constrained")
    assert likely_methods("Static", sweep) == ("static",)
    assert likely_methods(None, tmp_path / "none.yaml") == likely_methods(None) == ("exhaustive",)
    sweep.write_bytes(b"\xff\xfe")
    assert likely_methods(None, sweep, tmp_path) == ("exhaustive",)


def test_a_pipe_is_not_emptied_to_guess_a_method(tmp_path):
    pipe = tmp_path / "scenario"
    os.mkfifo(pipe)
    assert likely_methods(None, pipe) == ("exhaustive",)  # opening it would block
