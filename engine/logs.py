"""A run's log as a file that does not grow for ever, and as JSON, one object a line.

A line is one write at the file's end, so that none is split, by a rotation or by another run that
writes to the same file. Who finds the file full takes a lock, moves it to `NAME.1` (and that to
`NAME.2`, up to the number kept) and begins a new one; the others see that their file has moved, and
go on in the new one. What was being written meanwhile is whole, in `NAME.1`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path

from fairlead.engine.files import make_folder, open_private

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """`ts_ns` (UNIX), `level`, `logger`, `module`, `line`, `thread`, `message`; `traceback` too
    where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "ts_ns": round(record.created * 1e9),
            "level": record.levelname,
            "logger": record.name,
            "module": record.module,
            "line": record.lineno,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        found = record.exc_text
        if not found and record.exc_info:
            found = self.formatException(record.exc_info)
        if record.stack_info:
            found = "\n".join(text for text in (found, record.stack_info) if text)
        if found:
            told["traceback"] = found
        return json.dumps(told, ensure_ascii=False)


class RotatingFile(logging.Handler):
    """Appends to `path`; a file of `max_bytes` is moved, `keep` of those are kept.

    What a disk does not take is counted, and told by `on_lost` once for each time that it begins.
    """

    def __init__(
        self, path: Path, max_bytes: int, keep: int, on_lost: Callable[[str], object]
    ) -> None:
        """Raises OSError."""
        super().__init__()
        self.path = path
        self.lost = 0  # lines
        self._max_bytes = max_bytes
        self._keep = keep
        self._on_lost = on_lost
        self._is_losing = False
        self._is_cut = False  # the last line: a disk was full in the middle of it
        make_folder(path.parent)
        self._guard = open_private(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT)
        self._file = self._open()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._append(f"{self.format(record)}\n".encode(errors="replace"))
        except OSError as error:
            self.lost += 1
            if not self._is_losing:
                self._is_losing = True
                self._on_lost(f"the log {self.path} takes nothing: {error.strerror}")
        except Exception:
            self._on_lost(f"a line of the log is lost: {traceback.format_exc(limit=-1)}")
        else:
            self._is_losing = False

    def close(self) -> None:
        super().close()
        for descriptor in (self._file, self._guard):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._guard = -1

    def _open(self) -> int:
        return open_private(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def _append(self, line: bytes) -> None:
        """Raises OSError."""
        if not self._is_at_its_path():
            self._reopen()
        if self._is_full(len(line)):
            self._rotate(len(line))
        whole = b"\n" + line if self._is_cut else line
        written = os.write(self._file, whole)
        if written < len(whole):
            self._is_cut = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._is_cut = False

    def _is_at_its_path(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _is_full(self, more: int) -> bool:
        size = os.fstat(self._file).st_size
        return bool(size) and size + more > self._max_bytes

    def _reopen(self) -> None:
        opened = self._open()
        os.close(self._file)
        self._file, self._is_cut = opened, False

    def _rotate(self, more: int) -> None:
        """Under the lock; another run may have done it while this one waited for that."""
        fcntl.flock(self._guard, fcntl.LOCK_EX)
        try:
            if not self._is_at_its_path():
                self._reopen()
            if not self._is_full(more):
                return
            for number in range(self._keep, 0, -1):
                old = self.path if number == 1 else self._numbered(number - 1)
                if old.exists():
                    os.replace(old, self._numbered(number))
            self._reopen()
        finally:
            fcntl.flock(self._guard, fcntl.LOCK_UN)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
