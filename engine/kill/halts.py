"""Halts of accounts: shown and cleared from outside a run, told and journaled by the run itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from fairlead.engine.errors import Exit, FairleadError, clear_command
from fairlead.engine.kill.records import HaltRecord, halt_of, note
from fairlead.engine.orders.files import PAPER, AccountFiles, old_risk_file
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.risk.facts import LOSS_CODES
from fairlead.engine.risk.state import Halt, RiskStateError, RiskStateFile
from fairlead.engine.risk.states import (
    Clearing,
    ClearingFile,
    RiskStates,
    clearing_file,
    forget_loss,
)

if TYPE_CHECKING:
    from fairlead.engine.config.loaded import LoadedConfig
    from fairlead.engine.risk.gate import RiskGate
    from fairlead.engine.status import RunStatus

logger = logging.getLogger(__name__)

TAKEN_SECS = 10.0  # for a run to take a person's word; it looks ten times a second
TAKEN_LOOK_SECS = 0.05
OPEN_ORDERS = {
    "halt": "open orders stay",
    "halt+cancel": "open orders are cancelled",
    "halt+cancel+flatten": "open orders are cancelled, positions closed",
}


class Account(msgspec.Struct, frozen=True):
    """One account of a config: the venue's key, the account's name, and its files.

    Of another config only the files are known: no venue, and both names in one.
    """

    venue: str
    name: str
    files: AccountFiles

    def __str__(self) -> str:
        return f"{self.venue} {self.name}".strip()


def accounts_of(folder: Path, names: Mapping[str, str]) -> list[Account]:
    """Live and paper accounts of a config in its state folder. `names` are by venue key."""
    return [
        Account(key, name, AccountFiles(folder, f"{key}-{name}"))
        for key, named in names.items()
        for name in dict.fromkeys((named, PAPER))
    ]


class FoundHalt(msgspec.Struct, frozen=True, kw_only=True):
    """A halt in force; `problem` where the state can't be read, which refuses every start."""

    venue: str
    account: str
    file: str
    reason: str = ""
    code: str = ""
    ts_ns: int = 0
    problem: str = ""
    scope: str = ""  # of the command that clears it
    clearing: Clearing | None = None  # what a person said that the run has not taken yet

    def __str__(self) -> str:
        where = f"halt of {self.venue} {self.account}"
        if not self.venue:
            where = f"halt of {self.account}, of another config,"
        if self.problem:
            return f"{where}: {self.problem}"
        since = datetime.fromtimestamp(self.ts_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        text = f"{where} since {since}: {self.reason}"
        return text if self.clearing is None else f"{text}; {_waiting(self.clearing)}"


def _waiting(said: Clearing) -> str:
    since = datetime.fromtimestamp(said.ts_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"its clear waits since {since}, by {said.by}: {said.reason}. The run that holds the "
        "account has not taken it; a start takes it, and so does the same command again"
    )


def halts_in(folder: Path, accounts: Sequence[Account]) -> list[FoundHalt]:
    """Every halt in force of these accounts, and of others that keep their state in the folder."""
    looked = [_found(one, accounts) for one in (*accounts, *others_in(folder, accounts))]
    return [one for one in looked if one is not None]


def others_in(folder: Path, accounts: Sequence[Account]) -> list[Account]:
    """Accounts of other configs that keep their state in the folder; only their files name them."""
    known = {account.files.name for account in accounts}
    ends = (".risk.json", ".journal.sqlite")
    names = {
        path.name.removesuffix(end)
        for end in ends
        for path in folder.glob(f"*{end}")
        if path.name.removesuffix(end) not in known
    }
    return [Account("", name, AccountFiles(folder, name)) for name in sorted(names)]


def _states(account: Account, accounts: Sequence[Account]) -> RiskStates:
    """The account's state as a run of its mode would load it. Raises RiskStateError."""
    files, venue = account.files, account.venue.upper()
    old = RiskStateFile(old_risk_file(files.folder, paper=files.is_paper))
    if files.risk.exists() or not account.venue or not old.path.exists():
        return RiskStates({venue: RiskStateFile(files.risk)})
    shared = {
        one.venue.upper(): RiskStateFile(one.files.risk)
        for one in accounts
        if one.files.is_paper == files.is_paper
    }
    return RiskStates(shared, old)


def _journaled(account: Account) -> Halt | None:
    """The halt that the account's journal knows of. Raises JournalError."""
    if account.files.is_paper or not account.files.journal.exists():
        return None
    with closing(Journal.reading(account.files.journal)) as journal:
        return halt_of(journal)


def _found(account: Account, accounts: Sequence[Account]) -> FoundHalt | None:
    """By the state file or, as at a start, by the journal, whatever became of that file."""
    if not account.venue:
        scope = f"account {account.name}"
    else:
        scope = f"account {PAPER}" if account.files.is_paper else f"venue {account.venue}"
    base = FoundHalt(
        venue=account.venue, account=account.name, file=str(account.files.risk), scope=scope
    )
    try:
        halt = _states(account, accounts).of_venue(account.venue.upper()).state.halt
        halt = halt or _journaled(account)
    except RiskStateError as error:
        return msgspec.structs.replace(base, problem=str(error))
    except JournalError as error:
        return msgspec.structs.replace(base, problem=error.message)
    if halt is None:
        return None
    said = clearing_file(RiskStateFile(account.files.risk)).read()
    if said is not None and said.halt_ts_ns != halt.ts_ns:
        said = None  # of another halt, which is over
    return msgspec.structs.replace(
        base, reason=halt.reason, code=halt.code, ts_ns=halt.ts_ns, clearing=said
    )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of clearing one halt."""

    halt: FoundHalt
    is_cleared: bool
    detail: str


def clear_halts(
    accounts: Sequence[Account], covered: Iterable[Account], *, reason: str, by: str
) -> list[Outcome]:
    """Clear the halts of the covered accounts, by the running process or, where none runs, here."""
    outcomes = []
    for account in covered:
        found = _found(account, accounts)
        if found is None:
            continue
        if found.problem:
            detail = "nobody can tell whether a halt is in force"
            outcomes.append(Outcome(halt=found, is_cleared=False, detail=detail))
            continue
        word = Clearing(halt_ts_ns=found.ts_ns, reason=reason, by=by, ts_ns=time.time_ns())
        outcomes.append(_clear(account, accounts, found, word))
    return outcomes


def _clear(
    account: Account, accounts: Sequence[Account], found: FoundHalt, word: Clearing
) -> Outcome:
    said = clearing_file(RiskStateFile(account.files.risk))
    deadline = time.monotonic() + TAKEN_SECS
    try:
        said.write(word)
        while True:
            try:
                with AccountLock(account.files.lock, " (clears a halt)"):
                    _clear_alone(account, accounts, word, said)
                    return Outcome(halt=found, is_cleared=True, detail="no run held the account")
            except FairleadError as error:
                if error.exit_code != Exit.LOCKED:
                    raise
            if said.read() is None:
                return Outcome(halt=found, is_cleared=True, detail="the run goes on trading")
            if time.monotonic() > deadline:
                detail = f"the run has not taken it within {TAKEN_SECS:g} s; it will when it can"
                return Outcome(halt=found, is_cleared=False, detail=detail)
            time.sleep(TAKEN_LOOK_SECS)
    except (OSError, RiskStateError, FairleadError) as error:
        return Outcome(halt=found, is_cleared=False, detail=str(error))


def _clear_alone(
    account: Account, accounts: Sequence[Account], word: Clearing, said: ClearingFile
) -> None:
    """With the account's lock held. Raises JournalError, RiskStateError; the halt then stays."""
    one = _states(account, accounts).of_venue(account.venue.upper())
    halt = one.state.halt or _journaled(account)
    if halt is not None and halt.ts_ns == word.halt_ts_ns:
        if not account.files.is_paper and account.files.journal.exists():
            with closing(
                Journal(account.files.journal, fsync=True, now_ns=time.time_ns)
            ) as journal:
                note(journal, HaltRecord(halt=halt, cleared=word))
        one.state.halt = None
        forget_loss(one.state, halt.code)
        one.save()
    said.remove()


class Traded(Protocol):
    """One venue account that the run trades."""

    @property
    def venue(self) -> str: ...
    @property
    def journal(self) -> Journal: ...


class RunHalts:
    """One run's halts: each is told once, loudly, and noted in its account's journal.

    `trading` fills while the run starts; a paper run has none.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        gate: RiskGate,
        status: RunStatus,
        trading: Sequence[Traded],
        now_ns: Callable[[], int],
        *,
        paper: bool,
    ) -> None:
        venues = loaded.config.venues.items()
        self._gate = gate
        self._names = {key: PAPER if paper else venue.account for key, venue in venues}
        self._is_paper = paper
        self._config = loaded.path
        self._on_breach = loaded.config.risk.on_breach
        self._status = status
        self._trading = trading
        self._now_ns = now_ns
        gate.on_halt = self._changed
        gate.on_problem = self._problem
        gate.how_cleared = self._how_cleared
        self._tell_those_in_force("in force since an earlier run, ")

    @property
    def asks(self) -> frozenset[str]:
        """See `RiskGate.breach_action`."""
        return self._gate.breach_action

    def look(self) -> None:
        """Obey what people said meanwhile."""
        self._gate.take_clearings()

    def opened(self, trading: Traded) -> None:
        """A journal is open: the halt that it knows of holds, whatever became of the state file.

        Raises JournalError.
        """
        kept = halt_of(trading.journal)
        halts = dict(self._gate.halts())
        mine = halts.get(trading.venue)
        if kept is not None and mine is None:
            self._gate.restore_halt(trading.venue, kept)
        elif mine is not None and mine != kept:
            note(trading.journal, HaltRecord(halt=mine))

    def verdict(self) -> str | None:
        """Why the run ends as halted, or None."""
        halts = self._gate.halts()
        if not halts:
            return None
        return self._line([venue for venue, _ in halts], halts[0][1])

    def _tell_those_in_force(self, what: str) -> None:
        by_halt: dict[Halt, list[str]] = {}
        for venue, halt in self._gate.halts():
            by_halt.setdefault(halt, []).append(venue)
        for halt, venues in by_halt.items():
            self._loud(f"{what}{self._line(venues, halt)}")

    def _loud(self, text: str) -> None:
        logger.critical("%s", text)
        self._status.problem(self._now_ns(), "HALTED", text)

    def _line(self, venues: Sequence[str], halt: Halt) -> str:
        keys = [venue.lower() for venue in venues]
        where = " and ".join(f"{key} {self._names[key]}" for key in keys)
        does = OPEN_ORDERS[self._on_breach if halt.code in LOSS_CODES else "halt"]
        return (
            f"HALTED {where}: {halt.reason}. Nothing new is sent, {does}; "
            f"it lasts, also over restarts, until: {self._how_cleared(venues)}"
        )

    def _how_cleared(self, venues: Sequence[str]) -> str:
        """The same command wherever the halt of these venues' accounts is told."""
        scope = "all" if len(venues) > 1 else f"venue {venues[0].lower()}"
        return clear_command(f"account {PAPER}" if self._is_paper else scope, self._config)

    def _changed(self, venues: Sequence[str], halt: Halt, cleared: Clearing | None) -> None:
        if cleared is None:
            self._loud(self._line(venues, halt))
        else:
            logger.warning(
                "the halt (%s) is cleared by %s: %s", halt.reason, cleared.by, cleared.reason
            )
        for trading in self._trading:
            if trading.venue in venues:
                try:
                    note(trading.journal, HaltRecord(halt=halt, cleared=cleared))
                except JournalError as error:
                    logger.error("the halt is not in the journal: %s", error)
        in_force = [f"{venue.lower()}: {one.reason}" for venue, one in self._gate.halts()]
        self._status.gauges["halt"] = "; ".join(in_force)

    def _problem(self, text: str) -> None:
        logger.error("RISK-STATE-CHANGED: %s", text)
        self._status.problem(self._now_ns(), "RISK-STATE-CHANGED", text)
