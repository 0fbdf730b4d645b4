"""Kills a sweep at random moments, again and again: ``python -m tests.sweeps.killer SWEEP DIR KILLS``.

This process runs it once, into ``DIR-whole``, and is then copied for each run, so that dozens take seconds.
What was kept when a run was killed must not be solved again in any later one; this is told by the exit code.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from solvers.sweep import main
from solvers.sweeping.ledger import SweepLedger
from solvers.sweeping.store import Store


def note(log, word, problem):
    """A line in a file, whole even if the process is killed."""
    number = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(number, f"{word} {problem}\n".encode())
    os.close(number)


def watched(log):
    """Have every problem noted that is begun, and every answer that is kept."""
    put, call = Store.put, SweepLedger.call

    def put_noted(self, problem, answered):
        put(self, problem, answered)
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
    """Kill runs until so many were killed, with more and more time; then let one end. Tells what happened."""
    if main([sweep, "--out", f"{folder}-whole", "--quiet"]):  # imports what all runs need
        sys.exit("the run that is not killed failed")
    log = Path(f"{folder}.log")
    log.touch()
    watched(log)
    chance, arguments, whole = random.Random(7), [sweep, "--out", folder, "--quiet"], 0.1
    killed, ended, progress = 0, 0, set()
    while killed < kills:
        code = run(arguments, chance.uniform(0, whole))
        killed += code == -signal.SIGKILL
        ended += code == 0
        whole = min(whole + 0.03, 1.0) if code < 0 else 0.1
        progress.add(log.read_text().count("kept"))
        if code not in (0, -signal.SIGKILL):
            sys.exit(f"a run ended with {code}")
    code = run(arguments, None)
    print(f"{killed} killed, {ended} ended before, kept at the kills: {sorted(progress)}")
    if code or again(log):
        sys.exit(f"the last run ended with {code}, solved again: {again(log)}")


if __name__ == "__main__":
    kill_often(sys.argv[1], sys.argv[2], int(sys.argv[3]))
