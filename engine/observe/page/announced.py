"""Where a run's page is, for who asks from another process: a file that the run keeps open.

A token is sent to nobody else: an address that a dead run has left may be another program's by now.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fairlead.engine.files import open_private
from fairlead.engine.orders.lock import HOLDER_BYTES_MAX, holder_of


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the page of the run in process `pid` is."""

    mode: str
    pid: int
    address: str


def place_file(folder: Path, mode: str) -> Path:
    """In the state folder; one a mode."""
    return folder / f"page.{mode}.address"


class Announced:
    """Of one run."""

    def __init__(self, folder: Path, mode: str) -> None:
        self._path = place_file(folder, mode)
        self._file: int | None = None

    def tell(self, address: str) -> None:
        """It is served there. Raises OSError."""
        self._file = open_private(self._path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()} {address}\n".encode(), 0)

    def withdraw(self) -> None:
        """It is served no more. Never raises."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(self._file), os.lstat(self._path)):
                    self._path.unlink()
            os.close(self._file)
            self._file = None


def place_of(folder: Path, modes: Sequence[str]) -> Place | None:
    """Of the run that is up, in the first mode that has one."""
    for mode in modes:
        path = place_file(folder, mode)
        pid = holder_of(path)
        if pid is None:
            continue
        with contextlib.suppress(OSError):  # it ends just now
            with path.open("rb") as file:
                words = file.read(HOLDER_BYTES_MAX).decode(errors="replace").split()
            if len(words) == 2 and words[0] == str(pid):
                return Place(mode=mode, pid=pid, address=words[1])
    return None
