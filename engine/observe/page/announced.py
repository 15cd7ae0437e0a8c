"""Where a run is, for who asks from another process: a file that the run keeps open and locked.

It says whose run it is, so that a config is answered by no other of its state folder. A token is
sent to nobody else: an address that a dead run has left may be another program's by now.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fairlead.engine.files import decoded, open_private
from fairlead.engine.observe.page.sign import SIGN, stem_of
from fairlead.engine.orders.lock import holder_of

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig

UP = ".up"
BYTES_MAX = 1 << 20  # of the file


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The run in process `pid`: its config's name and file, and the accounts that it holds, as
    their files are named. `address` is its page's; empty: it has none."""

    name: str
    mode: str
    pid: int
    config: str
    accounts: list[str]
    address: str


class Announced:
    """Of one run."""

    def __init__(self, loaded: LoadedConfig, mode: str, accounts: Sequence[str]) -> None:
        self._place = Place(
            name=loaded.config.name,
            mode=mode,
            pid=os.getpid(),
            config=str(loaded.path.absolute()),
            accounts=list(accounts),
            address="",
        )
        self._path = loaded.state_dir / f"{stem_of(loaded, mode, os.getpid())}{UP}"
        self._file: int | None = None

    def tell(self, address: str) -> None:
        """It is up, and its page there; what dead runs have left goes. Raises OSError."""
        told = msgspec.json.encode(msgspec.structs.replace(self._place, address=address))
        temporary = self._path.with_name(f".{self._path.name}.new")
        file = open_private(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(file, b"%d %b\n" % (self._place.pid, told))
            temporary.replace(self._path)
        except OSError:
            os.close(file)
            raise
        self._file = file
        for left in self._path.parent.glob(f"*{UP}"):
            _clear(left)

    def withdraw(self) -> None:
        """It is up no more. Never raises."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(self._file), os.lstat(self._path)):
                    self._path.unlink()
            os.close(self._file)
            self._file = None


def _clear(path: Path) -> None:
    """With its sign, where nobody holds it."""
    with contextlib.suppress(OSError):
        file = open_private(path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.with_name(path.name.removesuffix(UP) + SIGN).unlink(missing_ok=True)
            path.unlink()
        finally:
            os.close(file)


def places_of(folder: Path) -> Iterator[Place]:
    """Of the runs that are up, of whichever config and mode."""
    for path in sorted(folder.glob(f"*{UP}")):
        pid = holder_of(path)
        if pid is None:
            continue
        with contextlib.suppress(OSError), path.open("rb") as file:  # it ends just now
            told = decoded(file.read(BYTES_MAX).partition(b" ")[2], Place)
            if told is not None and told.pid == pid:
                yield told
