"""Does a start go on from what the account's last run knew, or was its journal lost on the way?

Looked at before the journal is opened: opening would make a new one in the place of a lost one, and
the gate forgets what it valued as soon as it has read it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.risk.state import RiskStateError, RiskStateFile

logger = logging.getLogger(__name__)

JOURNAL_SAVED = "JOURNAL-SAVED"
JOURNAL_EMPTY = "JOURNAL-EMPTY"
TOLD = "execution.accept_unjournaled = true starts without it, for one start"
STARTED_NEW = "journal left out"  # stands where a client order id does
SQLITES_OWN = ("-wal", "-shm")  # beside a database that was looked into


class LeftOut(msgspec.Struct, frozen=True):
    """A person started without what was lost."""

    what: str


def require_continued(files: AccountFiles, *, accept: bool) -> None:
    """The account's lock is held. With `accept` what is lost is told, noted, and left behind.

    Raises FairleadError `JOURNAL-SAVED` when a journal that was taken away lies beside one that
    lacks its records, `JOURNAL-EMPTY` when positions were held and the journal is new.
    """
    lost = lost_beside(files.journal)
    held = "" if lost else _held_before(files)
    if not lost and not held:
        return
    text = _saved_text(files.journal, lost) if lost else _held_text(files, held)
    if not accept:
        code = JOURNAL_SAVED if lost else JOURNAL_EMPTY
        raise FairleadError(code, f"{text}. Nothing was sent", Exit.DRIFT)
    logger.critical("started without it, as the config says: %s", text)
    with closing(Journal(files.journal, fsync=True, now_ns=time.time_ns)) as journal:
        for subject in (STARTED_NEW, *(_subject(saved) for saved in lost)):
            journal.note("LEFT-OUT", subject, LeftOut(text))


def lost_beside(path: Path) -> list[Path]:
    """Saved journals that hold what the journal at `path` does not, oldest first."""
    beside = sorted(path.parent.glob(f"{path.name}.saved-*"))
    journals = [one for one in beside if not one.name.endswith(SQLITES_OWN)]
    return [saved for saved in journals if not _is_known(path, saved)]


def require_known(files: AccountFiles) -> None:
    """For what tells of the account by its journal: without it nothing is known, which is not that
    nothing is there. Raises JournalError `JOURNAL-SAVED`, `JOURNAL-EMPTY`.
    """
    if lost := lost_beside(files.journal):
        raise JournalError(JOURNAL_SAVED, _saved_text(files.journal, lost), Exit.DRIFT)
    if not files.journal.exists() and was_traded(files):
        raise JournalError(JOURNAL_EMPTY, _gone_text(files), Exit.DRIFT)


def was_traded(files: AccountFiles) -> bool:
    """Whether a live run ever had the account, by what lies there."""
    if files.is_paper:
        return False
    return files.journal.exists() or files.risk.exists() or bool(lost_beside(files.journal))


def _subject(saved: Path) -> str:
    return f"saved {saved.name}"


def _is_known(path: Path, saved: Path) -> bool:
    """The journal goes on from the saved one, or a person has left that out.

    A saved one that can't be read is not known: nobody can tell what it held.
    """
    try:
        with closing(Journal.reading(saved, at_rest=True)) as old:
            last = old.newest_record()
    except JournalError:
        last = (0, b"unreadable")
    if last is None:
        return True
    if _is_new(path):
        return False
    try:
        with closing(Journal.reading(path)) as now:
            return now.record_at(last[0]) == last or (
                now.last_note(_subject(saved), LeftOut) is not None
            )
    except JournalError:
        return True  # the start says what is wrong with the journal itself


def _is_new(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _held_before(files: AccountFiles) -> str:
    """What the gate valued last in the account whose journal is new; empty where that fits."""
    try:
        if not _is_new(files.journal):
            with closing(Journal.reading(files.journal)) as journal:
                if journal.has_orders() or journal.last_note(STARTED_NEW, LeftOut) is not None:
                    return ""
        held = RiskStateFile(files.risk).load().held
    except (JournalError, RiskStateError):
        return ""  # the start says what is wrong with it
    return ", ".join(
        f"{one.quantity:f} {name}" for name, one in sorted(held.items()) if one.quantity
    )


def _saved_text(path: Path, lost: Iterable[Path]) -> str:
    named = [str(saved) for saved in lost]
    return (
        f"{', '.join(named)} holds records that {path} lacks: it was saved when the journal was "
        "taken away under a run, and its orders and positions are not known. Put it back: move "
        f"{path} away if it is there, remove {path}-wal and {path}-shm, mv {named[-1]} {path}. If "
        f"it is not wanted, move it to another folder; {TOLD}"
    )


def _held_text(files: AccountFiles, held: str) -> str:
    return (
        f"{files.journal} is new and knows no order, but by {files.risk} the last run held {held}: "
        "the journal was taken away, and positions would start from zero. Put the journal back "
        f"from a copy (docs/journal.md); {TOLD}"
    )


def _gone_text(files: AccountFiles) -> str:
    """While there is none; a start makes one."""
    if held := _held_before(files):
        return _held_text(files, held).replace("is new and knows no order", "is not there", 1)
    return (
        f"{files.journal} is not there, but {files.risk} is, of a run before: the journal was "
        "taken away, and its orders and positions are not known. Put it back from a copy "
        "(docs/journal.md); the next live start makes a new one, which knows nothing of them"
    )
