"""The locks of the one process that trades an account, and of the one that flattens it.

A lock file can be taken away under its holder, by a person or by what cleans folders up: the holder
looks again, and makes it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import make_folder, open_private

HOLDER_BYTES_MAX = 4096
TAKE_TRIES = 20  # others that end at the same moment may take the file away each time
TOUCH_SECS = 3600.0  # what cleans up goes by a file's age
# A process that was killed while it began another one: that one holds its locks until it is begun
GONE_SECS = 5.0
LOOK_SECS = 0.05


class AccountLock:
    """Held from the start of a live run to its end; the kernel frees it when the process dies.

    `note` is kept in the file, for the message to whoever comes second.
    """

    def __init__(self, path: Path, note: str = "") -> None:
        self.path = path
        self.is_lost = False  # another process has taken it meanwhile
        self._note = note
        self._file: int | None = None
        self._touched = 0.0

    def __enter__(self) -> AccountLock:
        self._file = self._take(GONE_SECS)
        return self

    def _take(self, wait_secs: float = 0.0) -> int:
        """Waits only at a start: a run looks again in its event loop. Raises FairleadError."""
        give_up = time.monotonic() + wait_secs
        tries = TAKE_TRIES
        while tries:
            tries -= 1
            file = self._open()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(file, HOLDER_BYTES_MAX, 0).decode(errors="replace").split()
                os.close(file)
                if _is_gone(holder) and time.monotonic() < give_up:
                    time.sleep(LOOK_SECS)
                    tries += 1
                    continue
                raise self._held_by(" ".join(holder) or "unknown") from error
            except OSError as error:
                os.close(file)
                raise self._refused("locked", error) from error
            if self._is_at_its_path(file):
                _sign(file, self._note)
                self._touched = time.monotonic()
                return file
            os.close(file)  # it was taken away before it was locked: it locks nothing
        raise self._held_by("unknown")

    def _held_by(self, holder: str) -> FairleadError:
        return FairleadError(
            "STATE-LOCKED",
            f"process {holder} already trades this account ({self.path}); "
            "stop it first, or give this run another account and state_dir",
            Exit.LOCKED,
        )

    def _refused(self, what: str, error: OSError) -> FairleadError:
        return FairleadError(
            "STATE-UNWRITABLE",
            f"the lock {self.path} can't be {what}: {error.strerror}",
            Exit.FAILED,
        )

    def _open(self) -> int:
        try:
            make_folder(self.path.parent)
            return open_private(self.path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise self._refused("opened", error) from error

    def _is_at_its_path(self, file: int) -> bool:
        """Whether a second start would meet this file."""
        try:
            there = os.lstat(self.path)
        except OSError:
            return False
        return os.path.samestat(os.fstat(file), there)

    def look(self) -> str | None:
        """See that a second start would still meet the lock, and make it anew where it is gone.

        Gives what a person must know, None while there is nothing. Once another process holds it,
        `is_lost` is True for good. Never raises.
        """
        if self._file is None or self.is_lost:
            return None
        if self._is_at_its_path(self._file):
            self._touch(self._file)
            return None
        try:
            file = self._take()
        except FairleadError as error:
            self.is_lost = error.exit_code == Exit.LOCKED
            what = "" if self.is_lost else "; a second start on this account may not be refused"
            return f"the lock {self.path} was taken away, and {error.message}{what}"
        os.close(self._file)
        self._file = file
        return (
            f"the lock {self.path} was taken away while this run held it; it is made anew. Until "
            "then a second start on this account may not have been refused"
        )

    def _touch(self, file: int) -> None:
        if time.monotonic() - self._touched >= TOUCH_SECS:
            self._touched = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(file)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class FlattenLock:
    """Held by the one process that flattens an account, or takes up what a flatten has left; the
    kernel frees it when that one dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Whether it is ours now. Raises OSError."""
        file = open_private(self.path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        _sign(file)
        self._file = file
        return True

    async def taken(self, secs: float) -> bool:
        """Whether it is ours within so many seconds. Raises OSError."""
        deadline = asyncio.get_running_loop().time() + secs
        while not self.take():
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(LOOK_SECS)
        return True

    @contextlib.asynccontextmanager
    async def held(self, secs: float) -> AsyncIterator[None]:
        """Raises FairleadError: another process has it for so many seconds."""
        if not await self.taken(secs):
            raise FairleadError(
                "KILL-FLATTEN",
                f"process {holder_of(self.path) or 'unknown'} is closing positions of this account "
                f"({self.path}) for longer than {secs:g} s; start again once it is over",
                Exit.LOCKED,
            )
        try:
            yield
        finally:
            self.free()

    def free(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _sign(file: int, note: str = "") -> None:
    """Who holds it, for the message to whoever comes second."""
    with contextlib.suppress(OSError):  # a full disk: it holds without a name
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}{note}\n".encode(), 0)


def holder_of(path: Path) -> int | None:
    """The process that holds a lock file, or keeps it open, which is not taken for the look.

    None: nobody does. By the file's own word, proven by what that process has open; else by the
    kernel's list of locks, which names files as no layered file system does.
    """
    found = signature_of(path)
    return None if found is None else found[0]


def signature_of(path: Path) -> tuple[int, str] | None:
    """The same with the note that it has left there, of what it does with the account; none of a
    run."""
    try:
        there = os.stat(path)
        with path.open("rb") as file:
            word = file.read(HOLDER_BYTES_MAX).decode(errors="replace").split()
    except OSError:
        return None
    named = int(word[0].rstrip(",")) if word and word[0].rstrip(",").isdecimal() else 0
    if named and _has_open(named, there):
        return named, " ".join(word[1:])
    pid = _locks(there)
    return None if pid is None else (pid, "")


def _has_open(pid: int, there: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.path.samestat(os.stat(f"{folder}/{name}"), there):
                return True
    return False


def _locks(there: os.stat_result) -> int | None:
    """By /proc/locks: `1: FLOCK  ADVISORY  WRITE PID MAJOR:MINOR:INODE 0 EOF`."""
    wanted = f"{os.major(there.st_dev):02x}:{os.minor(there.st_dev):02x}:{there.st_ino}"
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted:
            return int(words[4])
    return None


def _is_gone(holder: Sequence[str]) -> bool:
    """Whether the process that a lock file names is no more."""
    if not holder or not holder[0].isdecimal() or not holder[0].isascii():
        return False
    try:
        os.kill(int(holder[0]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
