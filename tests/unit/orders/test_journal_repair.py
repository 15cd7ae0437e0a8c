"""What a person is told to do about a journal goes by the cause, not by where it failed.

Whoever moves a sound journal away starts with no position.
"""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.journal_reads import DAMAGE, REPAIR, WHOLE, repair_of

SQLITE = {
    "SQLITE_FULL": "free the disk",
    "SQLITE_READONLY": "let this user read and write it",
    "SQLITE_PERM": "let this user read and write it",
    "SQLITE_NOMEM": "free memory",
    "SQLITE_IOERR_WRITE": "see to its disk",
    "SQLITE_CANTOPEN": "see to its disk",
}
SYSTEM = {
    errno.ENOSPC: "free the disk",
    errno.EDQUOT: "free the disk",
    errno.EMFILE: "ulimit -n",
    errno.ENFILE: "ulimit -n",
    errno.EACCES: "let this user read and write it",
    errno.EROFS: "let this user read and write it",
    errno.EIO: "see to its disk",
}


def made(path: Path) -> Path:
    Journal(path, fsync=False, now_ns=time.time_ns).close()
    return path


def refused_by(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


@pytest.mark.parametrize("name", SQLITE)
def test_a_cause_that_is_no_damage_asks_for_no_copy(tmp_path: Path, name: str) -> None:
    told = repair_of(refused_by(name), made(tmp_path / "j.sqlite"))
    assert told.startswith(WHOLE)
    assert SQLITE[name] in told


@pytest.mark.parametrize("code", SYSTEM)
def test_what_the_system_refused_is_told_by_its_cause(tmp_path: Path, code: int) -> None:
    told = repair_of(OSError(code, os.strerror(code)), tmp_path / "j.sqlite")
    assert told.startswith(WHOLE)
    assert SYSTEM[code] in told


def test_damage_asks_for_a_copy(tmp_path: Path) -> None:
    path = made(tmp_path / "j.sqlite")
    names = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
    codes = [getattr(sqlite3, name) for name in names] + list(DAMAGE)
    for code in codes:
        error = sqlite3.DatabaseError("damage")
        error.sqlite_errorcode = code
        assert repair_of(error, path) == REPAIR
    assert repair_of(sqlite3.DatabaseError("found by our own look"), path) == REPAIR


def opened(path: Path) -> None:
    Journal(path, fsync=False, now_ns=time.time_ns).close()


def read(path: Path) -> None:
    Journal.reading(path).close()


@pytest.mark.parametrize("use", [opened, read])
def test_a_process_with_too_many_files_open_is_told_so(
    tmp_path: Path, use: Callable[[Path], None]
) -> None:
    """At each file that opening a journal needs."""
    path = made(tmp_path / "j.sqlite")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    errors = []
    for more in range(20):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, hard))
        try:
            use(path)
        except JournalError as error:
            errors.append(error)
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert errors
    for error in errors:
        assert "ulimit -n" in error.message, error.message
        assert REPAIR not in error.message
        assert "Nothing was sent" not in error.message, "a kill has sent its cancels by then"


def test_a_disk_that_takes_no_byte_is_told_for_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    path = made(tmp_path / "j.sqlite")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        told = repair_of(refused_by("SQLITE_CANTOPEN"), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.startswith(f"{os.strerror(errno.EFBIG)}. {WHOLE}")


def test_a_full_disk_under_a_write_is_told_as_that(tmp_path: Path) -> None:
    path = made(tmp_path / "j.sqlite")
    journal = Journal(path, fsync=False, now_ns=time.time_ns)
    journal._db.execute("PRAGMA max_page_count = 1")  # what SQLite does where the disk is full
    with pytest.raises(JournalError, match="free the disk, then again") as error:
        journal.note("NOTE", "subject", "x" * 1_000_000)
    assert error.value.code == "JRN-WRITE"
    journal.close()
