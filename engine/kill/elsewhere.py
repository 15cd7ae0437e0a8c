"""A halt of an account is seen by a start that keeps its state in another folder.

Beside the account's lock, in the user's folder of this machine, lies where its state was last kept.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from fairlead.engine.errors import Exit, FairleadError, clear_command
from fairlead.engine.files import decoded, write_whole
from fairlead.engine.kill.halts import Account, halts_in
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.lock import AccountLock

logger = logging.getLogger(__name__)

PLACE_BYTES_MAX = 64 * 1024


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account's state was last kept: the folder, by which names, by which config."""

    folder: str
    venue: str
    account: str
    config: str

    @property
    def files(self) -> AccountFiles:
        return AccountFiles(Path(self.folder), f"{self.venue}-{self.account}")


def require_no_halt_elsewhere(lock: AccountLock, here: Place) -> None:
    """With the lock of the account's key held, before its state is kept `here`.

    What can't be known is told. Raises FairleadError `HALT-ELSEWHERE` for a halt in force where the
    state was last kept, and for a state there that can't be read.
    """
    last = _read(_path(lock))
    if last is not None and last.files != here.files:
        _look_at(last)


def note_place(lock: AccountLock, here: Place) -> None:
    """The account's state is kept `here` from now on: its journal is there.

    Not before: the folder of a start that was refused holds nothing, so that the next one would be
    told of a state that is lost.
    """
    path = _path(lock)
    try:
        write_whole(path, msgspec.json.encode(here) + b"\n")
    except OSError as error:
        logger.error("%s: %s; a start from another folder will not see a halt", path, error)


def _path(lock: AccountLock) -> Path:
    return lock.path.with_suffix(".place.json")


def _read(path: Path) -> Place | None:
    """None when there is none; one that can't be read is told."""
    try:
        with path.open("rb") as file:
            place = decoded(file.read(PLACE_BYTES_MAX), Place)
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("%s can't be read (%s): a halt in another folder is not seen", path, error)
        return None
    if place is None:
        logger.warning("%s is damaged: a halt in another folder is not seen", path)
    return place


def _look_at(last: Place) -> None:
    """Raises FairleadError."""
    files = last.files
    if not files.risk.is_file() and not files.journal.is_file():
        logger.warning(
            "HALT-UNKNOWN: this account's state was last kept in %s as %s, and is not there any "
            "more: whether a halt was in force can't be known",
            last.folder,
            files.name,
        )
        return
    found = halts_in(files.folder, [Account(last.venue, last.account, files)])
    mine = [one for one in found if one.file == str(files.risk)]
    if mine:
        raise FairleadError(
            "HALT-ELSEWHERE",
            f"{mine[0]} (in {last.folder}, where this account's state was last kept). A halt "
            "belongs to the account, nothing was sent. To clear it: "
            f"{clear_command(f'venue {last.venue}', last.config)}",
            Exit.KILLED,
        )
