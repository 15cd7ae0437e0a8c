"""Locks of a recording folder, between processes; the system frees them when a process dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Self

_LOOK_SECS = 0.05


class FileLock:
    """An advisory lock on a file, which is made when it is not there and never deleted.

    Shared: many may hold it at once; exclusive: one. Raises OSError where the file can't be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def take(self, *, shared: bool = False, wait_secs: float = 0.0) -> bool:
        """False if somebody else still held it after `wait_secs`."""
        if self._fd is not None:
            return True
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        give_up = time.monotonic() + wait_secs
        while True:
            try:
                fcntl.flock(fd, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    os.close(fd)
                    return False
                time.sleep(_LOOK_SECS)
            except BaseException:
                os.close(fd)
                raise
            else:
                self._fd = fd
                return True

    @property
    def is_ours(self) -> bool:
        """Whether it is held, and the file at its path is still the one that is held."""
        if self._fd is None:
            return False
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def moved(self, path: Path) -> None:
        """The file has another path now."""
        self.path = path

    def release(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Whether another process holds the lock file at `path`; a missing one nobody holds."""
    if not path.exists():
        return False
    with FileLock(path) as lock:
        return not lock.take()
