"""``python -m solvers.export``: a result's mappings as the files of other tools."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dnns.errors import InputError, unknown
from dnns.terminal.options import LineParser
from dnns.terminal.output import write_file
from dnns.terminal.streams import guarded, show

if TYPE_CHECKING:
    from rich.console import Console

    from solvers.schedules.exports.nest import ExportNest
    from solvers.schedules.exports.result_file import Subject

TOOLS = {"timeloop": "Timeloop", "accelforge": "AccelForge", "zigzag": "ZigZag", "scalesim": "SCALE-Sim"}
WORDS = "words.csv"
LONGEST = 80


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.export",
        description="The mappings of a result as files of another tool: problem, architecture and mapping of "
        "each layer in a folder, and words.csv, the DRAM words that they move. What the tool cannot express "
        "is told.",
        epilog="Exit code: 0 something was written, 1 nothing could be, 2 bad input.",
    )
    p.add_argument("result", help="JSON that solvers.run wrote (--outfile)")
    p.add_argument("--to", required=True, choices=tuple(TOOLS), help="the tool")
    p.add_argument("--out", required=True, metavar="DIR", help="folder to write to; made if it is not there")
    p.add_argument("--layer", metavar="NAME", help="of this layer only, or of this part of one (up/0.1)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_args(argv)))


def _main(args: argparse.Namespace) -> int:
    from solvers.schedules.exports.result_file import read_subjects

    network, subjects = read_subjects(args.result)
    chosen = _chosen(subjects, args.layer, args.result)
    tool = import_module(f"solvers.schedules.exports.{args.to}")
    whys = [subject.obstacle or tool.obstacle(subject.nest) for subject in chosen]
    folders = _folders([subject.name for subject in chosen])
    out = Path(args.out)
    if not all(whys):
        _write(out, tool.files, [(s, f) for s, f, why in zip(chosen, folders, whys, strict=True) if not why])
    rows = [(s, why or f"{f}/") for s, f, why in zip(chosen, folders, whys, strict=True)]
    written = sum(not why for why in whys)
    show(_text(f"{network}: {written} of {len(rows)} written for {TOOLS[args.to]} to {out}", rows))
    return 0 if written else 1


def _chosen(subjects: list[Subject], layer: str | None, path: str) -> list[Subject]:
    chosen = [s for s in subjects if layer is None or layer in (s.layer, s.name)]
    if not chosen and layer is not None:
        names = dict.fromkeys(name for s in subjects for name in (s.layer, s.name))
        raise InputError("--layer", path, unknown(layer, list(names), "layer"))
    return chosen


def _folders(names: list[str]) -> list[str]:
    """A folder's name for each name, no two alike even where case does not count."""
    taken: set[str] = set()
    folders = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:LONGEST].strip("._") or "layer"
        folder, n = plain, 1
        while folder.lower() in taken:
            n += 1
            folder = f"{plain}-{n}"
        taken.add(folder.lower())
        folders.append(folder)
    return folders


def _write(
    out: Path, files: Callable[[ExportNest], dict[str, str]], subjects: list[tuple[Subject, str]]
) -> None:
    texts = {WORDS: _words(subjects)}
    for subject, folder in subjects:
        if subject.nest is not None:
            texts |= {f"{folder}/{name}": text for name, text in files(subject.nest).items()}
    for path in (out, *(out / folder for _, folder in subjects)):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("--out", "", f"{path} cannot be made: {error.strerror}") from None
    for name, text in texts.items():
        write_file(out / name, lambda stream, text=text: stream.write(text))  # type: ignore[misc]


def _words(subjects: list[tuple[Subject, str]]) -> str:
    """What this project counts for one run of each part: DRAM words, and cycles of the array."""
    from solvers.schedules.exports.texts import csv_text

    titles = ("layer", "folder", "runs", "weights", "ifmap", "ifmap_padded", "ofmap_write", "ofmap_read")
    rows = []
    for subject, folder in subjects:
        if (nest := subject.nest) is not None:
            w = nest.words
            words = (w.weights, w.ifmap, nest.padded.words.ifmap, w.ofmap_write, w.ofmap_read)
            rows.append((subject.name, folder, subject.runs, *words, nest.cost.compute_cycles))
    return csv_text((*titles, "compute_cycles"), rows)


def _text(head: str, rows: list[tuple[Subject, str]]) -> str:
    from dnns.terminal.tables import Title, fitted, printed, put

    titles: list[Title] = [("layer", "left"), ("runs", "right"), ("written, or why not", "left")]
    cells = [(subject.name, str(subject.runs), told) for subject, told in rows]

    def prints(console: Console) -> None:
        console.print(head, markup=False, highlight=False, soft_wrap=True)
        put(console, fitted(titles, cells, (1,), console))

    return printed(prints)


if __name__ == "__main__":
    sys.exit(main())
