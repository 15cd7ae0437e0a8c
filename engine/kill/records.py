"""Kills and halts in the order journal: who put one in force or ended it, when, and why."""

from __future__ import annotations

import time
from collections.abc import Iterable

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


class HaltRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A halt of the account, in force or (with the person's word) over."""

    halt: Halt
    cleared: Clearing | None = None


class KillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A kill that covers the account, in force or (with the person's word) over."""

    kill: Kill
    cleared: Cleared | None = None


def note(journal: Journal, record: HaltRecord | KillRecord) -> None:
    """Append the record, unless the journal ends with it already. Raises JournalError."""
    is_halt = isinstance(record, HaltRecord)
    subject = HALT_SUBJECT if is_halt else KILL_SUBJECT
    last = journal.last_note(subject, type(record))
    if last is None or last[1] != record:
        kind = ("HALT" if is_halt else "KILL") + ("" if record.cleared is None else "-CLEARED")
        journal.note(kind, subject, record)


def halt_of(journal: Journal) -> Halt | None:
    """The halt that the journal knows of and nobody has cleared. Raises JournalError."""
    last = journal.last_note(HALT_SUBJECT, HaltRecord)
    return None if last is None or last[1].cleared is not None else last[1].halt


def note_alone(accounts: Iterable[AccountFiles], records: Iterable[KillRecord]) -> list[str]:
    """Note in the journals of accounts that no run holds: a run notes what it sees by itself.

    Gives what went wrong, for a person.
    """
    wanted, problems = list(records), []
    for files in accounts if wanted else ():
        if not files.journal.exists():
            continue
        try:
            with AccountLock(files.lock):
                journal = Journal(files.journal, fsync=True, now_ns=time.time_ns)
                try:
                    for record in wanted:
                        note(journal, record)
                finally:
                    journal.close()
        except JournalError as error:
            problems.append(f"not noted in the journal: {error.message}")
        except FairleadError:
            continue  # a run holds the account
    return problems
