"""Kills a sweep at random moments, again and again: ``python -m tests.sweeps.killer SWEEP DIR KILLS``.

This process runs it once, into ``DIR-whole``, and is then copied for each run, so that dozens take seconds.
What was kept when a run was killed must not be solved again in any later one; this is told by the exit code.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from solvers.exploring.sweeping import executors
from solvers.exploring.sweeping.kept.store import Store
from solvers.exploring.sweeping.ledger import SweepLedger
from solvers.sweep import main


def note(log, word, problem):
    """A line in a file, whole even if the process is killed."""
    number = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(number, f"{word} {problem}\n".encode())
    os.close(number)


def watched(log):
    """Have every problem noted that is begun, and every answer that is kept; answers are kept often."""
    executors._TOGETHER = 0.01  # of a sweep this small few kills would fall between two times otherwise
    put, call = Store.put, SweepLedger.call

    def put_noted(self, answers):
        put(self, answers)
        for problem, _ in answers:
            note(log, "kept", problem)

    def call_noted(self, position):
        note(log, "begun", self._problems.digests[position])
        return call(self, position)

    Store.put, SweepLedger.call = put_noted, call_noted


def run(arguments, seconds):
    """A run in a session of its own, killed after a time unless it is None; its exit code."""
    child = os.fork()
    if child == 0:
        os.setsid()
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        os._exit(main(arguments))
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def again(log):
    """Problems that were begun after their answer was kept."""
    kept, twice = set(), []
    for line in Path(log).read_text().splitlines():
        word, problem = line.split()
        if word == "kept":
            kept.add(problem)
        elif problem in kept:
            twice.append(problem)
    return twice


def kill_often(sweep, folder, kills):
    """Kill runs until so many were killed, with more and more time; then let one end. Tells what happened.

    When a run ends before it is killed, its files are what they should be; then all begins anew, or goes on.
    """
    whole = f"{folder}-whole"
    if main([sweep, "--out", whole, "--quiet"]):  # imports what all runs need
        sys.exit("the run that is not killed failed")
    log = Path(f"{folder}.log")
    log.touch()
    watched(log)
    chance, arguments, longest = random.Random(7), [sweep, "--out", folder, "--quiet"], 0.1
    killed, ended, progress, code = 0, 0, set(), None
    while code != 0 or killed < kills:
        code = run(arguments, chance.uniform(0, longest) if killed < kills else None)
        progress.add(log.read_text().count("kept"))
        if again(log):
            sys.exit(f"solved again: {again(log)}")
        if code == -signal.SIGKILL:
            killed, longest = killed + 1, min(longest + 0.03, 1.0)
            continue
        if code != 0 or files(folder) != files(whole):
            sys.exit(f"a run ended with {code}, or other files than the one that is not killed")
        ended, longest = ended + 1, 0.1
        if killed < kills and chance.random() < 0.5:
            shutil.rmtree(folder)
            log.write_text("")
    print(f"{killed} killed, {ended} ended, kept at the kills: {sorted(progress)}")


def files(folder):
    """What must be the same however often it was killed."""
    return [(Path(folder) / name).read_bytes() for name in ("points.parquet", "layers.parquet")]


if __name__ == "__main__":
    kill_often(sys.argv[1], sys.argv[2], int(sys.argv[3]))
