"""One account is traded by one process of a user on a machine, whatever the state folder.

Two things hold that: a lock file in a folder that hangs on nothing but the user, so that a login
shell, cron and a service meet in the same one; and on Linux a name that the process owns as long as
it lives, which needs no file, so that nothing that happens to files sets a second start free.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import pwd
import socket
import stat
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.files import make_folder
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.secrets import Secret

FOLDER_VARIABLE = "FAIRLEAD_RUNTIME_DIR"
IN_HOME = Path(".local/state/fairlead")
WITHOUT_HOME = "/var/tmp"  # noqa: S108 - a folder of the user's own in it, and checked
ROUNDS = 100_000  # the name is everybody's to read, the credentials are not to be guessed by it
ASKING_MAX = 16  # starts that were refused since the last look
CLAIM_TRIES = 5  # of a name whose owner ends at the moment
_CREDENTIALS_BYTES = 12  # of a peer, as C's int: process, user, group

logger = logging.getLogger(__name__)


class KeyLock(AccountLock):
    """The lock of the account that some credentials open at some addresses.

    `name` is what the process owns besides the file while it lives; None where there is no such
    thing. `remark` is what a person is to know of where the file is, or empty.
    """

    def __init__(self, path: Path, note: str, name: str | None, remark: str) -> None:
        super().__init__(path, note)
        self.remark = remark
        self._name = name
        self._owned: socket.socket | None = None

    def __enter__(self) -> KeyLock:
        super().__enter__()
        try:
            self._owned = None if self._name is None else self._claim(self._name)
        except OSError as error:  # a service may be kept from such sockets; the file holds
            logger.warning("the lock %s has no name besides: %s", self.path, error)
        except FairleadError:
            super().__exit__(None, None, None)
            raise
        return self

    def _claim(self, name: str) -> socket.socket | None:
        """Raises FairleadError when a process of this user owns the name."""
        for _ in range(CLAIM_TRIES):
            mine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                mine.bind(f"\0{name}")
                mine.listen(ASKING_MAX)
                return mine
            except OSError as error:
                mine.close()
                if error.errno != errno.EADDRINUSE:
                    raise
            owner = _owner(name)
            if owner is None:
                continue
            if owner[1] == os.getuid():
                raise self._held_by(f"{owner[0] or 'unknown'}, of which this file does not know,")
            break
        logger.warning(
            "LOCK-NAME: another user owns the name of the lock %s, which anyone could; only the "
            "file keeps a second run away",
            self.path,
        )
        return None

    def look(self) -> str | None:
        """As the file's; and those who asked are let go, so that more can ask."""
        while self._owned is not None:
            try:
                self._owned.accept()[0].close()
            except OSError:
                break
        return super().look()

    def __exit__(self, *_: object) -> None:
        if self._owned is not None:
            self._owned.close()
            self._owned = None
        super().__exit__()


def _owner(name: str) -> tuple[int, int] | None:
    """Process and user; the process is 0 where it answers nobody. None: it may be free by now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as asking:
        try:
            asking.connect(f"\0{name}")
        except ConnectionRefusedError:
            return None
        except BlockingIOError:  # too many have asked
            return 0, os.getuid()
        told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS_BYTES)
    pid, uid, _ = memoryview(told).cast("i")
    return pid, uid


def addresses_of(options: Mapping[str, Any]) -> dict[str, str]:
    """What tells accounts apart that one key opens: of an adapter's options those of addresses.

    Of one whose names are not ours (NautilusTrader's `base_url_http`) only an address of this
    machine does: there are simulators, each with accounts of its own. Elsewhere a key is one
    account, whether its address was written or left to the adapter.
    """
    return {
        name: str(value)
        for name, value in options.items()
        if name.endswith("url") or ("url" in name.split("_") and _is_here(value))
    }


def _is_here(address: object) -> bool:
    try:
        return is_loopback(urlsplit(str(address)).hostname or "")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether nothing but this machine is reached by it: a name, or an address without brackets."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def key_lock(
    adapter: str, addresses: Mapping[str, str], secrets: Mapping[str, Secret], state_dir: Path
) -> KeyLock:
    """The lock of the account that these credentials open at these addresses, on this machine.

    Raises FairleadError `LOCK-FOLDER` when the folder of such locks is not the user's own.
    """
    folder, remark = lock_folder()
    is_chosen = bool(os.environ.get(FOLDER_VARIABLE))
    known = [adapter]
    known += [f"{name}={value}" for name, value in sorted(addresses.items())]
    known += [f"{name}={secret.reveal().strip()}" for name, secret in sorted(secrets.items())]
    content = "\0".join(known).encode()
    path = folder / f"{adapter}-{hashlib.sha256(content).hexdigest()[:16]}.lock"
    return KeyLock(path, f", state folder {state_dir},", _name(content, folder, is_chosen), remark)


def _name(content: bytes, folder: Path, is_chosen: bool) -> str | None:
    """Abstract, which only Linux has: in no folder, and gone with its process."""
    if sys.platform != "linux":
        return None
    apart = os.fsencode(folder.resolve()) if is_chosen else b""
    made = hashlib.pbkdf2_hmac("sha256", content + b"\0" + apart, b"fairlead", ROUNDS)
    return f"fairlead-{os.getuid()}-{made.hex()[:32]}"


def lock_folder() -> tuple[Path, str]:
    """A folder that nobody else can write to, and what a person is to know of it, or nothing.

    Else a stranger could hold the locks. It is in the home folder that the system's list of users
    names, or, where that takes none, in `/var/tmp`. Raises FairleadError `LOCK-FOLDER`.
    """
    chosen = os.environ.get(FOLDER_VARIABLE, "")
    if chosen:
        if not os.path.isabs(chosen):
            raise _no_folder(f"expected an absolute path in {FOLDER_VARIABLE}, received {chosen!r}")
        return _own(Path(chosen)), (
            f"{FOLDER_VARIABLE} is set: only runs with the same value ({chosen}) see that they "
            "trade the same account"
        )
    home = _home()
    if home is not None:
        try:
            return _own(home / IN_HOME), ""
        except FairleadError as error:
            why = error.message
    else:
        why = "this user has no home folder of their own"
    folder = _own(Path(WITHOUT_HOME) / f"fairlead-{os.getuid()}")
    return folder, f"LOCK-FOLDER: the locks of accounts are in {folder}, as {why}"


def _home() -> Path | None:
    """As the system's list of users has it, whatever the environment says."""
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        is_own = home.stat().st_uid == os.getuid()
    except (KeyError, OSError, ValueError):
        return None
    return home if is_own else None


def _own(folder: Path) -> Path:
    try:
        make_folder(folder)
        found = os.lstat(folder)
        is_closed = not os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        raise _no_folder(f"{folder} can't be made: {error.strerror}") from error
    if is_closed:
        raise _no_folder(f"{folder} can't be written")
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise _no_folder(
            f"expected a folder that only this user writes to, {folder} is another's, a link, or "
            "open to others; remove it"
        )
    return folder


def _no_folder(why: str) -> FairleadError:
    return FairleadError(
        "LOCK-FOLDER",
        f"{why}. {FOLDER_VARIABLE} names another folder for the locks of accounts",
        Exit.FAILED,
    )
