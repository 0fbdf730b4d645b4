"""Environments of the other tools: ``python -m benchmarks.peers.environments FOLDER [PEER ...]``.

Each peer gets a virtual environment ``FOLDER/PEER`` with a fixed version of it. FOLDER lies outside the
repository.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from hashlib import sha256
from math import inf
from pathlib import Path
from shutil import which
from typing import Any

from dnns.errors import InputError, unknown
from dnns.terminal.options import LineParser
from dnns.terminal.streams import guarded

ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).parent / "inside"
PEERS = {
    "scalesim": ("scalesim==3.0.0", "numpy<2.3"),
    "accelforge": ("accelforge==1.0.467",),
    "zigzag": ("zigzag-dse==3.9.1", "six"),  # which needs six and does not say so, as does stream
    "stream": ("stream-dse==2.1.1", "six"),
}
"""Requirements of each peer."""
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "start_new_session": True}


def python_of(folder: Path, peer: str) -> Path:
    """The interpreter of a peer's environment."""
    return folder / peer / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def has(folder: Path, peer: str) -> bool:
    """Whether a peer's environment was made whole; if not, says how on standard error."""
    if (folder / peer / "made").is_file():
        return True
    print(f"{peer}: missing; python -m benchmarks.peers.environments {folder} {peer}", file=sys.stderr)
    return False


def make(folder: Path, peer: str, interpreter: str) -> None:
    """One environment with what its peer requires; raises InputError if pip does not manage."""
    home = folder / peer
    (home / "made").unlink(missing_ok=True)
    steps = [
        [interpreter, "-m", "venv", str(home)],
        [str(python_of(folder, peer)), "-m", "pip", "install", "--quiet", *PEERS[peer]],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(str(home), "", f"{' '.join(step[1:4])} failed: {last}")
    (home / "made").write_text(" ".join(PEERS[peer]) + "\n")


def call(folder: Path, peer: str, script: str, task: Any, limit: float | None = None) -> Any:
    """What a script of ``inside/`` answers in a peer's environment; kept in ``FOLDER/answers``, asked once.

    Args:
        folder: of the environments.
        peer: whose environment.
        script: its name in ``inside/``; it reads the task from a file and writes its answer to another.
        task: plain data.
        limit: seconds, None for none.

    Returns:
        Its answer, plain data; None if the time ran out.

    Raises:
        RuntimeError: if the script fails; with the last line of what it said.
    """
    text = json.dumps({"peer": PEERS[peer], "script": script, "task": task}, sort_keys=True)
    kept = folder / "answers" / f"{peer}-{sha256(text.encode()).hexdigest()[:16]}.json"
    known = json.loads(kept.read_text()) if kept.is_file() else None
    if known is not None and (known["answer"] is not None or (limit or inf) <= known["limit"]):
        return known["answer"]
    answer = asked(folder, peer, script, task, limit)
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps({"limit": limit, "asked": json.loads(text), "answer": answer}) + "\n")
    return answer


def asked(folder: Path, peer: str, script: str, task: Any, limit: float | None) -> Any:
    """As ``call``, but asked anew, in an empty working folder."""
    with tempfile.TemporaryDirectory() as place:
        question, answer = Path(place, "task.json"), Path(place, "answer.json")
        question.write_text(json.dumps(task))
        python = python_of(folder.resolve(), peer)
        command = [str(python), str(INSIDE / f"{script}.py"), str(question), str(answer)]
        with subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True, **QUIET) as process:
            try:
                _, said = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started
                return None
        if process.returncode:
            last = (said.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"{peer}, {script}: {last}")
        return json.loads(answer.read_text())


def checked(folder: str) -> Path:
    """The folder of environments; raises InputError if it lies in the repository."""
    path = Path(folder)
    if path.resolve().is_relative_to(ROOT):
        raise InputError(folder, "", "lies in the repository, allowed: a folder outside it")
    return path


def interpreter_of(name: str) -> str:
    """The path of a Python of 3.12 or later; raises InputError if there is none of that name."""
    found = which(name)
    if found is None:
        raise InputError("--python", "", f"{name} is not there, allowed: a Python of 3.12 or later")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = version.split()[-1].split(".") if version else ["0", "0"]
    if numbers[0] != "3" or int(numbers[1]) < 12:
        raise InputError("--python", "", f"{name} is {version.strip()}, allowed: a Python of 3.12 or later")
    return found


def _main(args: argparse.Namespace) -> int:
    folder, interpreter = checked(args.folder), interpreter_of(args.python)
    for peer in args.peers or PEERS:
        if peer not in PEERS:
            raise InputError("PEER", "", unknown(peer, list(PEERS), "peer"))
    folder.mkdir(parents=True, exist_ok=True)
    for peer in args.peers or PEERS:
        make(folder, peer, interpreter)
        print(f"{peer}: {folder / peer}")
    return 0


def main() -> int:
    """Make the environments that are asked for."""
    parser = LineParser(prog="python -m benchmarks.peers.environments", description=__doc__)
    parser.add_argument("folder", help="where the environments are put")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"all unless named: {', '.join(PEERS)}")
    parser.add_argument("--python", default="python3.12", help="interpreter, 3.12 or later (python3.12)")
    args = parser.parse_args()
    return guarded(lambda: _main(args))


if __name__ == "__main__":
    sys.exit(main())
