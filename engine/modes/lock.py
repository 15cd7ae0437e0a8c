"""The state folder: it takes files, and one process per account holds its lock."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from types import TracebackType

from engine.cli.exits import Exit
from engine.errors import FairleadError

PROBE_BYTES = 64 * 1024


def require_writable(
    folder: Path, code: str = "STATE-UNWRITABLE", remedy: str = "name another folder in the config"
) -> None:
    """Make the folder and prove that it takes a file, so that no start fails half-way.

    Raises FairleadError of this code.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
    except OSError as error:
        raise FairleadError(
            code,
            f"can't write in {folder}: {error.strerror}; nothing was sent. "
            f"Free the disk or {remedy}",
            Exit.FAILED,
        ) from error


class AccountLock:
    """Held from the start of a live run to its end; the kernel frees it when the process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def __enter__(self) -> AccountLock:
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(file, 64, 0).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise FairleadError(
                "STATE-LOCKED",
                f"process {holder} already trades this account ({self.path}); "
                "stop it first, or give this run another account and state_dir",
                Exit.LOCKED,
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        return self

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FairleadError(
                "STATE-UNWRITABLE",
                f"the lock {self.path} can't be opened: {error.strerror}",
                Exit.FAILED,
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
