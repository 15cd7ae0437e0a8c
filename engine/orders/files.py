"""Where a venue account keeps what outlives a run, and the lock of the one process that trades it.

The lock of the folder guards the account's files. The lock of the key, in a folder of the user's
own on this machine, keeps a second state folder from trading the same account.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import make_folder, open_private
from fairlead.engine.secrets import Secret

PAPER = "paper"  # stands for the account of a run that sends nothing to a venue
HOLDER_BYTES_MAX = 4096
PROBE_BYTES = 64 * 1024


class AccountFiles(msgspec.Struct, frozen=True):
    """The files of the account `name`: a venue's key in the config, and the account's own name."""

    folder: Path
    name: str

    @property
    def journal(self) -> Path:
        return self.folder / f"{self.name}.journal.sqlite"

    @property
    def risk(self) -> Path:
        """Halt, losses and counters of the risk gate."""
        return self.folder / f"{self.name}.risk.json"

    @property
    def lock(self) -> Path:
        """Held by the run that trades the account."""
        return self.folder / f"{self.name}.lock"

    @property
    def flatten_lock(self) -> Path:
        """Held by the process that closes the account's positions."""
        return self.folder / f"{self.name}.flatten.lock"

    @property
    def is_paper(self) -> bool:
        return self.name.endswith(f"-{PAPER}")


def old_risk_file(folder: Path, *, paper: bool = False) -> Path:
    """Where all accounts of a state folder once shared one risk state."""
    return folder / f"risk-{PAPER if paper else 'live'}.json"


def require_writable(
    folder: Path, code: str = "STATE-UNWRITABLE", remedy: str = "name another folder in the config"
) -> None:
    """Make the folder and prove that it takes a file, so that no start fails half-way.

    Raises FairleadError of this code.
    """
    try:
        make_folder(folder)
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
    """Held from the start of a live run to its end; the kernel frees it when the process dies.

    `note` is kept in the file, for the message to whoever comes second.
    """

    def __init__(self, path: Path, note: str = "") -> None:
        self.path = path
        self._note = note
        self._file: int | None = None

    def __enter__(self) -> AccountLock:
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(file, HOLDER_BYTES_MAX, 0).decode(errors="replace")
            holder = " ".join(holder.split()) or "unknown"
            os.close(file)
            raise FairleadError(
                "STATE-LOCKED",
                f"process {holder} already trades this account ({self.path}); "
                "stop it first, or give this run another account and state_dir",
                Exit.LOCKED,
            ) from error
        self._file = file
        with contextlib.suppress(OSError):  # on a full disk it holds all the same, without a name
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}{self._note}\n".encode(), 0)
        return self

    def _open(self) -> int:
        try:
            make_folder(self.path.parent)
            return open_private(self.path, os.O_RDWR | os.O_CREAT)
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


def key_lock(
    adapter: str, addresses: Mapping[str, str], secrets: Mapping[str, Secret], state_dir: Path
) -> AccountLock:
    """The lock of the account that these credentials open at these addresses, on this machine.

    Raises FairleadError `LOCK-FOLDER` when the folder of such locks is not the user's own.
    """
    known = [adapter]
    known += [f"{name}={value}" for name, value in sorted(addresses.items())]
    known += [f"{name}={secret.reveal().strip()}" for name, secret in sorted(secrets.items())]
    fingerprint = hashlib.sha256("\0".join(known).encode()).hexdigest()[:16]
    path = _lock_folder() / f"{adapter}-{fingerprint}.lock"
    return AccountLock(path, note=f", state folder {state_dir},")


def _lock_folder() -> Path:
    """A folder that nobody else can write to: else a stranger could hold the locks."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.access(runtime, os.W_OK | os.X_OK):
        folder = Path(runtime) / "fairlead"
    else:
        folder = Path(tempfile.gettempdir()) / f"fairlead-{os.getuid()}"
    try:
        make_folder(folder)
        found = os.lstat(folder)
    except OSError as error:
        raise FairleadError(
            "LOCK-FOLDER", f"{folder} can't be made: {error.strerror}", Exit.FAILED
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise FairleadError(
            "LOCK-FOLDER",
            f"expected a folder that only this user writes to, {folder} is another's, a link, or "
            "open to others; remove it, or set XDG_RUNTIME_DIR",
            Exit.FAILED,
        )
    return folder
