"""Every trial of a study, kept for good: an append-only registry that says when it was cut.

One SQLite file a study. Each entry has the hash of all before it and its own content, and the
number and hash of the last one stand in a file beside it: an entry that was changed or taken out is
noticed, be it the last. What a killed search has finished is in it: the same search goes on.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import FILE_MODE, decoded, make_folder, write_whole

STUDIES = "studies"  # in the state folder
FILE, HEAD = "trials.sqlite", "head.json"
BUSY_SECS = 60.0  # for another search of the study to write its trial
FORMAT = 1
Kind = Literal["trial", "sweep", "screen", "hold", "gate", "spend"]
_TABLE = """CREATE TABLE IF NOT EXISTS entries (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
  at_ns INTEGER NOT NULL, chain TEXT NOT NULL)"""


class Head(msgspec.Struct, frozen=True):
    """The last entry that is known."""

    count: int
    chain: str
    format: int = FORMAT


class Entry(msgspec.Struct, frozen=True):
    seq: int
    kind: str
    key: str
    body: dict[str, Any]
    at_ns: int


class Registry:
    """Of one study, in `folder`. Close it.

    Raises FairleadError STUDY-CUT where entries are missing or were changed, STUDY-UNREADABLE.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        with _told(folder):
            make_folder(folder.parent)
            make_folder(folder)
            self._db = sqlite3.connect(folder / FILE, timeout=BUSY_SECS, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_TABLE)
            self._db.execute("CREATE INDEX IF NOT EXISTS by_key ON entries (kind, key)")
            (folder / FILE).chmod(FILE_MODE)
        try:
            self._head = self._checked()
        except BaseException:
            self._db.close()
            raise

    @property
    def head(self) -> Head:
        return self._head

    def append(self, kind: Kind, key: str, body: dict[str, Any]) -> Entry:
        """Raises FairleadError STUDY-UNREADABLE."""
        text = msgspec.json.encode(body, order="sorted").decode()
        with _told(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                last = self._db.execute(
                    "SELECT seq, chain FROM entries ORDER BY seq DESC LIMIT 1"
                ).fetchone()
                seq, before = (last[0] + 1, last[1]) if last else (1, "")
                at_ns = time.time_ns()
                chain = _link(before, seq, kind, key, text, at_ns)
                self._db.execute(
                    "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
                    (seq, kind, key, text, at_ns, chain),
                )
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._head = Head(seq, chain)
            self._write_head()
        return Entry(seq, kind, key, body, at_ns)

    def entries(self, kind: Kind) -> Iterator[Entry]:
        """Oldest first."""
        rows = self._db.execute(
            "SELECT seq, kind, key, body, at_ns FROM entries WHERE kind = ? ORDER BY seq", (kind,)
        ).fetchall()
        for seq, of, key, body, at_ns in rows:
            yield Entry(seq, of, key, msgspec.json.decode(body), at_ns)

    def find(self, kind: Kind, key: str) -> Entry | None:
        """The newest of this key."""
        row = self._db.execute(
            "SELECT seq, kind, key, body, at_ns FROM entries WHERE kind = ? AND key = ? "
            "ORDER BY seq DESC LIMIT 1",
            (kind, key),
        ).fetchone()
        if row is None:
            return None
        seq, of, known, body, at_ns = row
        return Entry(seq, of, known, msgspec.json.decode(body), at_ns)

    def count(self, kind: Kind) -> int:
        """Of different keys: a trial that was tried again is one."""
        sql = "SELECT COUNT(DISTINCT key) FROM entries WHERE kind = ?"
        return int(self._db.execute(sql, (kind,)).fetchone()[0])

    def keys(self, kind: Kind) -> set[str]:
        rows = self._db.execute("SELECT DISTINCT key FROM entries WHERE kind = ?", (kind,))
        return {key for (key,) in rows}

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """When the first entry was written, and the last; None: there is none."""
        first, last = self._db.execute("SELECT MIN(at_ns), MAX(at_ns) FROM entries").fetchone()
        return None if first is None else (first, last)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_head(self) -> None:
        temporary = self.folder / f".{HEAD}.{os.getpid()}"  # another search may write it, too
        data = msgspec.json.encode(self._head)
        write_whole(self.folder / HEAD, data, temporary=temporary, durable=False)

    def _checked(self) -> Head:
        """The whole chain, and what the head file knows of it."""
        known = self._known_head()
        chain, count = "", 0
        with _told(self.folder):
            rows = self._db.execute(
                "SELECT seq, kind, key, body, at_ns, chain FROM entries ORDER BY seq"
            )
            for seq, kind, key, body, at_ns, told in rows:
                count += 1
                chain = _link(chain, seq, kind, key, body, at_ns)
                if seq != count or chain != told:
                    raise self._cut(f"entry {count} is missing or was changed")
                if known is not None and seq == known.count and chain != known.chain:
                    raise self._cut(f"entry {seq} is not the one that was written")
        if known is not None and count < known.count:
            raise self._cut(f"{known.count - count} of {known.count} entries are missing")
        if known is None and count:
            raise self._cut(f"{HEAD}, which counts the entries, is missing or damaged")
        head = Head(count, chain)
        if known != head:  # a search that was killed between the two, or another that goes on
            self._head = head
            self._write_head()
        return head

    def _known_head(self) -> Head | None:
        try:
            return decoded((self.folder / HEAD).read_bytes(), Head)
        except OSError:
            return None

    def _cut(self, what: str) -> FairleadError:
        return FairleadError(
            "STUDY-CUT",
            f"the study {self.name} was cut: {what} in {self.folder / FILE}; nobody knows how many "
            "trials there were, so begin a study of another name",
            int(Exit.BAD_DATA),
        )


def _link(before: str, seq: int, kind: str, key: str, body: str, at_ns: int) -> str:
    text = "\n".join((before, str(seq), kind, key, str(at_ns), body))
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise FairleadError(
            "STUDY-UNREADABLE", f"{folder / FILE}: {error}", int(Exit.FAILED)
        ) from error


def studies_in(state_dir: Path) -> list[Path]:
    """The folders of a state folder's studies, by name."""
    return sorted(path.parent for path in (state_dir / STUDIES).glob(f"*/{FILE}"))


def key_of(*what: Any) -> str:
    """Of what makes a trial what it is: two with equal keys are one."""
    return hashlib.sha256(msgspec.json.encode(what, order="sorted")).hexdigest()[:40]
