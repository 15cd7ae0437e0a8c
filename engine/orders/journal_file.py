"""Is the journal's file still the one that was opened, and whole?

SQLite does not notice when its file is removed, replaced, truncated or overwritten: it goes on
writing, and the next start knows nothing of what was sent. A look costs a few system calls. While a
connection is open no other descriptor of the file may be closed by this process: that would drop
SQLite's locks (POSIX), so one is kept from before the connection until after it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from fairlead.engine.files import make_private, open_private, sync

MAGIC = b"SQLite format 3\0"
SQLITES_OWN = ("-wal", "-shm")  # beside a database that is open, or was when it died
_READ_BYTES = 1 << 20


def make_journal(path: Path) -> None:
    """Make the database where there is no file: it is there with SQLite's header, or not at all.

    So whenever a process dies, no journal is ever empty: an empty one was cut. What an earlier
    journal left beside it is not this one's. Raises OSError, sqlite3.Error.
    """
    if os.path.lexists(path):
        return
    new = path.with_name(f".{path.name}.new")
    for left in (new, *(Path(f"{one}{end}") for one in (new, path) for end in SQLITES_OWN)):
        left.unlink(missing_ok=True)
    make_private(new)
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")  # writes the first page
    sync(new)
    os.replace(new, path)
    sync(path.parent)


def is_closed(path: Path) -> bool:
    """Whether all of it is in the main file."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size == 0
    except OSError:
        return path.exists()


def is_empty(path: Path) -> bool:
    """Whether it was cut to nothing."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


class JournalFile:
    """Kept from before the connection is opened until after it is closed. Raises OSError."""

    def __init__(self, path: Path) -> None:
        make_private(path)
        self._path = os.fspath(path)
        self._companions = (f"{self._path}-wal", f"{self._path}-shm")
        self._file = open_private(path, os.O_RDONLY)
        found = os.fstat(self._file)
        self._inode = (found.st_dev, found.st_ino)
        self._mark: tuple[int, int] | None = None  # size and time of the last write known of
        self._data_version = 0
        self._others: dict[str, tuple[int, int]] = {}  # inode and size of -wal and -shm
        self.is_intact = True  # what was opened can still be read, whatever the path names

    def close(self) -> None:
        os.close(self._file)

    def read_ahead(self) -> None:
        """Bring the file into memory front to back: page by page a cold disk is much slower."""
        at = 0
        while chunk := os.pread(self._file, _READ_BYTES, at):
            at += len(chunk)

    def settle(self, db: sqlite3.Connection) -> None:
        """What is there now is right: this process has just written it."""
        found = os.fstat(self._file)
        self._mark = (found.st_size, found.st_mtime_ns)
        self._data_version = _data_version(db)

    def problem(self, db: sqlite3.Connection, is_whole: Callable[[], bool]) -> str | None:
        """What became of the file, as words after its name; None while it is the same and whole.

        `is_whole` reads it anew; asked only when something else has written to it.
        """
        self.is_intact = False
        size = mtime = 0
        try:
            found = os.stat(self._path, follow_symlinks=False)
            size, mtime = found.st_size, found.st_mtime_ns
            is_same = (found.st_dev, found.st_ino) == self._inode
        except FileNotFoundError:
            self.is_intact = self._has_content()
            return "was removed"
        except OSError as error:
            return f"can't be looked at ({error.strerror})"
        if not is_same:
            self.is_intact = self._has_content()
            return "was replaced by another file"
        if self._mark is not None and size < self._mark[0]:
            return "was truncated"
        if not self._has_content():
            return "was overwritten"
        found_problem = self._companion_problem()
        if found_problem is not None:
            return found_problem
        if self._mark is not None and (size, mtime) != self._mark:
            version = _data_version(db)
            if version == self._data_version and not is_whole():
                return "was overwritten"
            self._mark, self._data_version = (size, mtime), version
        self.is_intact = True
        return None

    def _has_content(self) -> bool:
        try:
            return os.pread(self._file, len(MAGIC), 0) == MAGIC
        except OSError:
            return False

    def _companion_problem(self) -> str | None:
        """SQLite makes -wal and -shm at the first read, and keeps them while a process has them."""
        for path in self._companions:
            known = self._others.get(path)
            try:
                found = os.stat(path, follow_symlinks=False)
            except OSError:
                if known is None:
                    continue
                return f"lost its {path[-4:]}"
            if known is not None and (found.st_ino != known[0] or found.st_size < known[1]):
                return f"has another {path[-4:]} than before"
            self._others[path] = (found.st_ino, found.st_size)
        return None


def _data_version(db: sqlite3.Connection) -> int:
    """Changes when another connection has committed."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])
