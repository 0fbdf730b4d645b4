"""``python -m benchmarks.peers FOLDER``: other tools beside this one; ``--write`` renews ``docs/peers.md``.

FOLDER holds their environments (``python -m benchmarks.peers.environments FOLDER``) and keeps their answers
in ``FOLDER/answers``: what was asked once is not asked again. Tables of a peer that is missing are left out.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.peers import fused, mappers, simulated
from benchmarks.peers.environments import ROOT, checked, has
from dnns.errors import InputError, unknown
from dnns.terminal.options import LineParser
from dnns.terminal.streams import guarded

PAGE = ROOT / "docs" / "peers.md"
Table = Callable[[Path, float], Iterable[str]]
TABLES: dict[str, tuple[tuple[str, ...], Table]] = {
    "array": (("scalesim",), lambda folder, _: simulated.table(folder)),
    "mappers": ((), mappers.table),
    "prices": (("accelforge",), lambda folder, _: mappers.prices(folder)),
    "fused": ((), fused.table),
}
"""Each table with the peers that it cannot do without."""


def renewed(page: str, name: str, table: str) -> str:
    """The page with one of its tables replaced; it stands between two comments."""
    begin, end = f"<!-- table of benchmarks.peers: {name} -->\n", "<!-- end of the table -->"
    return re.sub(f"({begin}).*?({end})", lambda m: m[1] + table + m[2], page, flags=re.DOTALL)


def _main(args: argparse.Namespace) -> int:
    folder = checked(args.folder)
    if not folder.is_dir():
        raise InputError(args.folder, "", "is no folder; python -m benchmarks.peers.environments makes it")
    for name in args.tables:
        if name not in TABLES:
            raise InputError("TABLE", "", unknown(name, list(TABLES), "table"))
    for name in args.tables or TABLES:
        peers, table = TABLES[name]
        if not all([has(folder, peer) for peer in peers]):
            continue
        lines = []
        for line in table(folder, args.time_limit):
            print(line, end="", flush=True)
            lines.append(line)
        print()
        if args.write:
            PAGE.write_text(renewed(PAGE.read_text(), name, "".join(lines)))
    return 0


def main() -> int:
    """Print the tables that are asked for."""
    parser = LineParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("folder", help="of the environments")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"all unless named: {', '.join(TABLES)}")
    text = "seconds for another mapper's search of a layer, or of a chain (300)"
    parser.add_argument("--time-limit", type=float, default=300.0, metavar="S", help=text)
    parser.add_argument("--write", action="store_true", help="renew the tables of docs/peers.md")
    args = parser.parse_args()
    return guarded(lambda: _main(args))


if __name__ == "__main__":
    sys.exit(main())
