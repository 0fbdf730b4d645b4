"""Answers on disk: a database in the folder of a sweep that keeps each as soon as it is there.

SQLite with a write-ahead log: whenever the process is killed, what was committed is there and nothing is
half there. The database is locked as long as it is open, so no two runs work in one folder.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dnns import __version__
from dnns.errors import InputError

DATABASE = "sweep.sqlite"
_KEPT = "what was finished before is kept"
_TABLES = """\
CREATE TABLE IF NOT EXISTS sweep (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (
    number INTEGER PRIMARY KEY, problem TEXT NOT NULL, answer TEXT NOT NULL, seconds REAL NOT NULL,
    failed INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that is kept.

    Attributes:
        text: JSON.
        seconds: that it took.
        failed: whether there is none, but a reason.
    """

    text: str
    seconds: float
    failed: bool

    def __reduce__(self) -> tuple[type[Answered], tuple[str, float, bool]]:
        """In few bytes, as it comes from another process."""
        return Answered, (self.text, self.seconds, self.failed)


class Store:
    """The answers of one sweep, one behind the other; to be had from ``opened``."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._numbers: dict[str, int] = {}
        self._look()

    def __contains__(self, problem: object) -> bool:
        """Whether a problem has an answer."""
        return problem in self._numbers

    def get(self, problem: str) -> Answered:
        """The answer to a problem that has one."""
        query = "SELECT answer, seconds, failed FROM kept WHERE number = ?"
        with _told(self.folder):
            text, seconds, failed = self._connection.execute(query, (self._numbers[problem],)).fetchone()
        return Answered(text, seconds, bool(failed))

    def seconds(self) -> dict[str, tuple[float, bool]]:
        """What each problem took, and whether it failed."""
        query = "SELECT problem, seconds, failed FROM kept"
        with _told(self.folder):
            return {name: (took, bool(failed)) for name, took, failed in self._connection.execute(query)}

    def put(self, answers: Sequence[tuple[str, Answered]]) -> None:
        """Keep the answers to new problems, all or none; raises InputError if they cannot be written."""
        first = self._last + 1
        rows = [
            (first + place, problem, kept.text, kept.seconds, kept.failed)
            for place, (problem, kept) in enumerate(answers)
        ]
        with _told(self.folder):
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO kept VALUES (?, ?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        self._numbers.update((problem, first + place) for place, (problem, _) in enumerate(answers))
        self._last += len(rows)

    def _look(self) -> None:
        """See what there is."""
        with _told(self.folder):
            found = self._connection.execute("SELECT problem, number FROM kept")
            self._numbers = dict(found)
        self._last = max(self._numbers.values(), default=0)

    def forget_failed(self) -> None:
        """Forget what failed, so that it is tried again."""
        with _told(self.folder):
            self._connection.execute("DELETE FROM kept WHERE failed")
        self._look()


@contextmanager
def opened(folder: str | Path, identity: str) -> Iterator[Store]:
    """The answers in a folder, which is made if there is none.

    Args:
        folder: new, empty, or of the same sweep.
        identity: of the sweep.

    Raises:
        InputError: if the folder is of another sweep, holds something else, cannot be written, or another
            run is working in it.
    """
    path = Path(folder)
    _check_folder(path)
    connection = None
    try:
        with _told(path):
            connection = sqlite3.connect(path / DATABASE, timeout=0, isolation_level=None)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";")[:-1]:
                connection.execute(statement)
            of = dict(connection.execute("SELECT name, value FROM sweep"))
            if not of:
                rows = [("sweep", identity), ("version", __version__)]
                connection.executemany("INSERT INTO sweep VALUES (?, ?)", rows)
            connection.execute("COMMIT")
        _check_same(path, of, identity)
        yield Store(path, connection)
    finally:
        if connection is not None:
            with _told(path):
                connection.close()


def _check_folder(path: Path) -> None:
    try:
        os.makedirs(path, exist_ok=True)
        names = os.listdir(path)
        writable = os.access(path, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:
        raise InputError(
            path, "", f"cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from None
    if not writable:
        raise InputError(path, "", "cannot be written: Permission denied")
    if names and DATABASE not in names:
        raise InputError(path, "", "holds other files and no sweep, allowed: a new or an empty folder")


def _check_same(path: Path, of: dict[str, str], identity: str) -> None:
    if not of or of.get("sweep") == identity:
        return
    made_by = of.get("version")
    if made_by != __version__:
        problem = f"was begun by version {made_by}, this is {__version__}; another folder is needed"
    else:
        problem = "holds another sweep (other axes, scenario or network), another folder is needed"
    raise InputError(path, "", problem)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of the database in one line."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_BUSY"):
            raise InputError(path, "", "another run is working in this folder") from None
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")) or not name:
            raise InputError(path / DATABASE, "", f"is no sweep's: {error}") from None
        raise InputError(path, "", f"cannot be written: {error}; {_KEPT}") from None
