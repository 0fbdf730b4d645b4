"""The installed command: ``dataflow-optimizer run ...`` is ``python -m solvers.run ...``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from dnns import PROJECT
from dnns.errors import InputError
from dnns.terminal.options import LineParser
from dnns.terminal.streams import guarded

COMMANDS = {
    "run": "solvers.run",
    "size": "solvers.size",
    "curve": "solvers.curve",
    "pareto": "solvers.pareto",
    "compare": "solvers.compare",
    "sweep": "solvers.sweep",
    "check": "solvers.check",
    "replay": "solvers.replay",
    "asv": "solvers.asv",
    "export": "solvers.export",
    "show": "dnns.show",
    "schedule": "solvers.show",
}
"""The module of each command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands with the arguments behind its name; returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in COMMANDS:
        code: int = import_module(COMMANDS[given[0]]).main(given[1:])
        return code
    return guarded(lambda: _help(given))


def _help(given: list[str]) -> int:
    parser = LineParser(prog="dataflow-optimizer", description=f"{PROJECT}: {', '.join(COMMANDS)}")
    text = "what to do; its own --help says more"
    parser.add_argument("command", nargs="?", metavar="|".join(COMMANDS), help=text)
    named = parser.parse_args(given[:1]).command
    if named is not None:
        raise InputError("dataflow-optimizer", "", f"got {named[:60]!r}, allowed: {', '.join(COMMANDS)}")
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
