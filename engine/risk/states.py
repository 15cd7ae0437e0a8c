"""The risk states of a run's accounts: each has its own file, and each fact lies in one of them.

What is said of the run (the day's loss, a pause) is added up over its accounts; a halt of one of
them stops the whole run, and is written to no other account.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fairlead.engine.files import decoded, sync, write_whole
from fairlead.engine.risk.facts import LOSS_CODES, unit_worth
from fairlead.engine.risk.state import (
    Counter,
    CurrencyEquity,
    Halt,
    RiskState,
    RiskStateError,
    RiskStateFile,
    encoded,
)

if TYPE_CHECKING:
    from fairlead.engine.orders.journal_reads import JournalReads

CLEARING_BYTES_MAX = 64 * 1024


class Clearing(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that ends a halt: which (by its time), why, who, and when they said so."""

    halt_ts_ns: int
    reason: str
    by: str
    ts_ns: int


class ClearingFile:
    """Where the word lies until whoever holds the account has taken it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, clearing: Clearing) -> None:
        """Durable on return. Raises OSError."""
        temporary = self.path.with_name(f"{self.path.name}.new")
        write_whole(self.path, msgspec.json.encode(clearing) + b"\n", temporary=temporary)

    def read(self) -> Clearing | None:
        """None when there is none, or nothing that could be one."""
        try:
            with self.path.open("rb") as file:
                return decoded(file.read(CLEARING_BYTES_MAX), Clearing)
        except OSError:
            return None

    def remove(self) -> None:
        """It was obeyed, or is of no halt that is in force. Raises nothing."""
        try:
            os.unlink(self.path)
            sync(self.path.parent)
        except OSError:
            return  # read again, it clears a halt that is in force no more


class AccountState:
    """One account's state and its file; `venue` is its NautilusTrader venue name.

    A `venue` of "" stands for every venue; without a file nothing outlives the run.
    """

    def __init__(
        self,
        venue: str,
        state: RiskState,
        file: RiskStateFile | None,
    ) -> None:
        self.venue = venue
        self.state = state
        self.file = file
        self.clearing = None if file is None else clearing_file(file)
        self.journal: JournalReads | None = None  # once its executions are counted
        self.more_max = 0  # of `state.counted`, before it is made shorter
        self._loaded: RiskState | None = None
        self._written = b""
        self._mark: tuple[int, int, int] | None = None

    def hold_back(self) -> None:
        """The results are about to be taken over. Until they are, with what the journal holds, the
        file goes on to say what it said: a start that fails in between has taken nothing over."""
        if self.state.counted is not None:
            self._loaded = deepcopy(self.state)

    def taken_over(self, journal: JournalReads) -> None:
        self.journal, self._loaded = journal, None

    @property
    def is_held_back(self) -> bool:
        return self._loaded is not None

    def lift(self) -> None:
        """A person has ended its halt."""
        halt, self.state.halt = self.state.halt, None
        if halt is not None:
            for state in filter(None, (self.state, self._loaded)):
                forget_loss(state, halt.code)

    def _content(self) -> bytes:
        kept = self._loaded
        if kept is None:
            return encoded(self.state)
        results = {"equity": kept.equity, "held": kept.held, "trips": kept.trips}
        return encoded(msgspec.structs.replace(self.state, **results))

    def save(self) -> str | None:
        """Write what changed; tells when the file was another than this run had left there.

        Raises RiskStateError.
        """
        if self.file is None:
            return None
        content = self._content()
        mark = _mark(self.file.path)
        if content == self._written and mark == self._mark:
            return None
        was_touched = self._mark is not None and mark != self._mark
        self.file.write(content)
        self._written, self._mark = content, _mark(self.file.path)
        if not was_touched:
            return None
        what = "was removed" if mark is None else "was changed by something else"
        return f"{self.file.path} {what} during the run; it was written anew as the run knows it"


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from another, and from itself after a write."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class RiskStates:
    """Every account of a run. Raises RiskStateError when a file can't be read.

    `files` are by NautilusTrader venue name; one file alone serves all venues, None keeps nothing.
    `old` is the file that once was shared by all accounts of the folder: an account without a file
    of its own starts from what it says.
    """

    def __init__(
        self,
        files: RiskStateFile | Mapping[str, RiskStateFile] | None = None,
        old: RiskStateFile | None = None,
    ) -> None:
        if files is None or isinstance(files, RiskStateFile):
            state = RiskState() if files is None else files.load()
            self._rest = AccountState("", state, files)
            self._by_venue: dict[str, AccountState] = {}
            self.all: tuple[AccountState, ...] = (self._rest,)
            return
        loaded = _read_over(files, old)
        self._by_venue = {
            venue: AccountState(venue, loaded[venue], file) for venue, file in files.items()
        }
        self.all = tuple(self._by_venue.values())
        self._rest = AccountState("", RiskState(), None)  # a venue that the run has not

    @classmethod
    def only(cls, state: RiskState) -> RiskStates:
        """One state for all venues, kept in memory."""
        states = cls()
        states._rest.state = state
        return states

    @property
    def is_kept(self) -> bool:
        return any(account.file is not None for account in self.all)

    def of_venue(self, venue: str) -> AccountState:
        return self._by_venue.get(venue, self._rest)

    def of(self, instrument: str) -> AccountState:
        """The account of an instrument id."""
        if not self._by_venue:
            return self._rest
        return self.of_venue(instrument.rpartition(".")[2])

    def save(self) -> list[str]:
        """Write every account that changed; gives what was wrong with the files found.

        Raises RiskStateError, after all others were written.
        """
        found, failed = [], None
        for account in self.all:
            try:
                problem = account.save()
            except RiskStateError as error:
                failed = failed or error
                continue
            if problem is not None:
                found.append(problem)
        if failed is not None:
            raise failed
        return found

    def halts(self) -> list[tuple[AccountState, Halt]]:
        return [(one, one.state.halt) for one in self.all if one.state.halt is not None]


def clearing_file(state: RiskStateFile) -> ClearingFile:
    """Beside the state: `NAME.risk.json` has `NAME.clear.json`."""
    name = state.path.name.removesuffix(".json").removesuffix(".risk")
    return ClearingFile(state.path.with_name(f"{name}.clear.json"))


def read_over(old: RiskState, venue: str, *, takes_result: bool) -> RiskState:
    """An account's part of a state that several accounts shared. Its halt is everyone's.

    The result of a currency can't be told apart by account: the one with `takes_result` takes it
    whole, others start at the worth of what they hold, which is a result of 0.
    """
    held = {name: one for name, one in old.held.items() if _is_at(name, venue)}
    elsewhere = [one for name, one in old.held.items() if name not in held]
    mine = RiskState(
        halt=old.halt,
        flow={name: flow for name, flow in old.flow.items() if name == venue},
        held=held,
        trips={
            strategy: {name: trip for name, trip in trips.items() if _is_at(name, venue)}
            for strategy, trips in old.trips.items()
        },
        losses={strategy: list(ends) for strategy, ends in old.losses.items()},
        cooldowns=dict(old.cooldowns),
    )
    if takes_result:
        mine.counters = {code: msgspec.structs.replace(c) for code, c in old.counters.items()}
        mine.equity = {name: msgspec.structs.replace(e) for name, e in old.equity.items()}
    for one in elsewhere if takes_result else held.values():
        worth = one.quantity * unit_worth(one.multiplier, one.mark, inverse=one.inverse)
        entry = mine.equity.setdefault(one.currency, CurrencyEquity())
        entry.cash += worth if takes_result else -worth
    return mine


def _read_over(
    files: Mapping[str, RiskStateFile], old: RiskStateFile | None
) -> dict[str, RiskState]:
    """Each account's state; of those without a file the first that the old file names takes the
    old result. The old file stays: other configs may have accounts in this folder.
    """
    fresh = [venue for venue, file in files.items() if not file.path.exists()]
    if old is None or not fresh or not old.path.exists():
        return {venue: file.load() for venue, file in files.items()}
    shared = old.load()
    named = {*shared.flow, *(name.rpartition(".")[2] for name in shared.held)}
    taker = next((venue for venue in fresh if venue in named), None)
    return {
        venue: read_over(shared, venue, takes_result=venue == taker)
        if venue in fresh
        else file.load()
        for venue, file in files.items()
    }


def _is_at(instrument: str, venue: str) -> bool:
    return instrument.rpartition(".")[2] == venue


def merged_counters(states: RiskStates) -> dict[str, Counter]:
    """Counters by denial code over all accounts."""
    merged: dict[str, Counter] = {}
    for account in states.all:
        for code, counter in account.state.counters.items():
            into = merged.setdefault(code, Counter())
            into.evaluated += counter.evaluated
            into.refused += counter.refused
            into.nearest = max(into.nearest, counter.nearest)
    return merged


def forget_loss(state: RiskState, code: str) -> None:
    """A person has cleared a halt of this code: its loss is measured anew from here.

    Else the next look would halt for the same loss again.
    """
    if code not in LOSS_CODES:
        return
    for currency, entry in state.equity.items():
        equity = entry.cash + sum(
            one.quantity * unit_worth(one.multiplier, one.mark, inverse=one.inverse)
            for one in state.held.values()
            if one.currency == currency
        )
        if code == "DRAWDOWN":
            entry.peak = equity
        else:
            entry.day_start = equity
