"""Kills and halts in the order journal: who put one in force or ended it, when, and why."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing

import msgspec

from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.state import Cleared, Kill
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.risk.state import Halt
from fairlead.engine.risk.states import Clearing

HALT_SUBJECT = "halt"  # stands where a client order id does
KILL_SUBJECT = "kill"
NOTES_MAX = 10_000  # of kills, that are read


class HaltRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A halt of the account, in force or (with the person's word) over."""

    halt: Halt
    cleared: Clearing | None = None


class KillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A kill that covers the account, in force or (with the person's word) over."""

    kill: Kill
    cleared: Cleared | None = None


def note(journal: Journal, record: HaltRecord | KillRecord) -> None:
    """Append the record, unless the journal has it: a halt as its last word, a kill anywhere, as a
    run sees later what a command has noted. Raises JournalError.
    """
    if isinstance(record, HaltRecord):
        kind, subject = "HALT", HALT_SUBJECT
        last = journal.last_note(subject, HaltRecord)
        is_known = last is not None and last[1] == record
    else:
        kind, subject = "KILL", KILL_SUBJECT
        is_known = record in kill_notes(journal)
    if not is_known:
        journal.note(kind + ("" if record.cleared is None else "-CLEARED"), subject, record)


def kill_notes(journal: Journal) -> list[KillRecord]:
    """Of every kill, oldest first. Raises JournalError."""
    return journal.notes_from(KILL_SUBJECT, 0, NOTES_MAX, KillRecord)


def halt_of(journal: Journal) -> Halt | None:
    """The halt that the journal knows of and nobody has cleared. Raises JournalError."""
    last = journal.last_note(HALT_SUBJECT, HaltRecord)
    return None if last is None or last[1].cleared is not None else last[1].halt


def note_kill(accounts: Iterable[AccountFiles], kill: Kill, cleared: Cleared | None) -> list[str]:
    """Note it in the journals of accounts. In one that a run holds only what is cleared: the run
    notes what it sees by itself, but one that hangs may never see it.

    Gives what went wrong, for a person.
    """
    problems = []
    for files in accounts:
        if not files.journal.exists():
            continue
        try:
            try:
                with AccountLock(files.lock, " (notes a kill)"):
                    _note_both(files, kill, cleared)
            except JournalError:
                raise
            except FairleadError:  # a run holds the account
                if cleared is not None:
                    _note_both(files, kill, cleared)
        except JournalError as error:
            problems.append(f"not noted in the journal: {error.message}")
    return problems


def _note_both(files: AccountFiles, kill: Kill, cleared: Cleared | None) -> None:
    """Raises JournalError."""
    with closing(Journal(files.journal, fsync=True, now_ns=time.time_ns)) as journal:
        note(journal, KillRecord(kill=kill))
        if cleared is not None:
            note(journal, KillRecord(kill=kill, cleared=cleared))
