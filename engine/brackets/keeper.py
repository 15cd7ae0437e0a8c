"""The brackets of one strategy: looks at each, does its next step, and remembers what was decided.

What a bracket is, and which exits it has, is stored before an exit is created, so that a restart
finds every order that may be out there. See `fairlead.engine.brackets.steps` for the steps
themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from fairlead.engine.brackets.steps import (
    Bracket,
    Cancel,
    Done,
    Grid,
    Leg,
    Place,
    Step,
    held_by,
    next_step,
    next_whole_step,
)
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import OrderState, Side

logger = logging.getLogger(__name__)

_STANDING = frozenset({OrderState.WAITING, OrderState.OPEN, OrderState.CANCELLING})
LOOK_NS = 200_000_000  # how often a strategy's brackets are looked at between its order events
CANCEL_AGAIN_NS = 5_000_000_000
RETRY_NS = 1_000_000_000  # after an exit that came to nothing at the venue; doubles each time
RETRY_MAX_NS = 60_000_000_000
GATE_MAX_NS = 5_000_000_000  # the same where the gate refused it, from LOOK_NS on
EXITS_KEPT = 100  # of a bracket: an older one that filled nothing will not any more
STEPS_AT_ONCE = 8  # of one look: a step may bring the next
SUBJECT = "BRACKETS"


class Owner(Protocol):
    """Who creates and cancels the orders, and knows the market and the position."""

    def now_ns(self) -> int: ...

    def leg(self, bracket: Bracket, client_order_id: str) -> Leg | None:
        """What is known of an order; None when it never left, and never will."""

    def price(self, instrument: str, side: Side) -> Decimal | None:
        """What an order of this side would get now: bid for a SELL, ask for a BUY."""

    def grid(self, instrument: str) -> Grid | None: ...

    def closes_bare(self) -> bool:
        """Whether a position whose stop the venue did not take is closed at the market."""

    def position(self, instrument: str) -> Decimal:
        """The strategy's net position, signed, base units, fees in base currency taken off."""

    def is_counted(self, leg: Leg) -> bool:
        """Whether all that the order has filled is in `position`, which may hear of it later."""

    def is_heard(self, leg: Leg) -> bool:
        """Whether an order that is over is none that the gate counts: it may hear of it later."""

    def leaving(self, instrument: str, side: Side, exits: frozenset[str]) -> Decimal:
        """What live reduce-only and market orders of `side` take, those of `exits` not counted."""

    def place(self, bracket: Bracket, client_order_id: str, exit_: Place) -> bool:
        """Create an exit; False when the risk gate refused it."""

    def cancel(self, instrument: str, client_order_ids: Sequence[str]) -> None: ...


class Store(Protocol):
    """Where brackets outlive the process."""

    def load(self, strategy: str) -> list[Bracket]: ...

    def save(self, strategy: str, brackets: Sequence[Bracket]) -> None:
        """Durable on return. Raises JournalError."""


class _Tries:
    """When the next exit of a bracket may be tried, after some that came to nothing."""

    __slots__ = ("count", "is_refused", "not_before_ns")

    def __init__(self) -> None:
        self.count = 0
        self.not_before_ns = 0
        self.is_refused = False

    def tried(self, now_ns: int) -> None:
        self.is_refused = False
        self._wait(now_ns, RETRY_NS, RETRY_MAX_NS)

    def refused(self, now_ns: int) -> None:
        """By the gate, at no cost: what it waits for, a book or a count, comes soon."""
        self.is_refused = True
        self._wait(now_ns, LOOK_NS, GATE_MAX_NS)

    def _wait(self, now_ns: int, first_ns: int, most_ns: int) -> None:
        self.not_before_ns = now_ns + min(most_ns, first_ns * 2**self.count)
        self.count = min(self.count + 1, RETRY_MAX_NS.bit_length())


class Brackets:
    """Every open bracket of one strategy."""

    def __init__(self, strategy: str, owner: Owner, store: Store) -> None:
        self._strategy = strategy
        self._owner = owner
        self._store = store
        self._open = {bracket.entry: bracket for bracket in store.load(strategy)}
        self._tries: dict[str, _Tries] = {}
        self._cancelled_ns: dict[str, int] = {}
        self._told: set[str] = set()  # exits that the venue did not take
        self._is_looking = False

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Bracket]:
        return iter(tuple(self._open.values()))

    def add(self, bracket: Bracket) -> None:
        """Remember a bracket whose entry is about to be created. Raises JournalError."""
        self._open[bracket.entry] = bracket
        try:
            self._save()
        except JournalError:
            del self._open[bracket.entry]
            raise

    def drop(self, entry: str) -> None:
        """Forget a bracket; its orders are left as they are."""
        bracket = self._open.pop(entry, None)
        if bracket is None:
            return
        self._tries.pop(entry, None)
        for name in (entry, *bracket.exits):
            self._cancelled_ns.pop(name, None)
            self._told.discard(name)
        try:
            self._save()
        except JournalError as error:  # the next start looks at it once more
            logger.error("bracket %s is over, which can't be recorded: %s", entry, error)

    def look(self) -> None:
        """Do what is next for each bracket. Called from within itself it does nothing."""
        if self._is_looking or not self._open:
            return
        self._is_looking = True
        try:
            free = self._free()
            for entry in list(self._open):
                self._advance(entry, free)
        finally:
            self._is_looking = False

    def _free(self) -> dict[tuple[str, Side], Decimal]:
        """By instrument and exit side: the position that nothing but brackets is to reduce."""
        exits: dict[tuple[str, Side], set[str]] = {}
        for bracket in self._open.values():
            key = bracket.instrument, bracket.exit_side
            exits.setdefault(key, set()).update(bracket.exits)
        free = {}
        for (instrument, side), ids in exits.items():
            position = self._owner.position(instrument)
            position = position if side is Side.SELL else -position
            leaving = self._owner.leaving(instrument, side, frozenset(ids))
            free[instrument, side] = max(position - leaving, Decimal(0))
        return free

    def _advance(self, name: str, free: dict[tuple[str, Side], Decimal]) -> None:
        for _ in range(STEPS_AT_ONCE):
            bracket = self._open.get(name)
            if bracket is None:  # over, by what its last step brought
                return
            entry = self._owner.leg(bracket, bracket.entry)
            if entry is None:
                self.drop(name)  # it never left, so nothing else did
                return
            known = [self._owner.leg(bracket, exit_) for exit_ in bracket.exits]
            exits = [leg for leg in known if leg is not None]
            key = bracket.instrument, bracket.exit_side
            if not self._owner.is_counted(entry):
                # What it brought is in no position: it would be over, or take another bracket's.
                free[key] -= min(sum((leg.remaining for leg in exits), Decimal(0)), free[key])
                return
            held = min(held_by(bracket, entry, exits), free[key])
            if not self._step(bracket, entry, exits, held):
                free[key] -= held
                return

    def _step(self, bracket: Bracket, entry: Leg, exits: Sequence[Leg], held: Decimal) -> bool:
        """Do the next step; whether there may be another at once."""
        grid = self._owner.grid(bracket.instrument)
        if grid is None:
            return False
        tries = self._tries.setdefault(bracket.entry, _Tries())
        if any(leg.is_standing for leg in exits) and not bracket.is_whole:
            tries.count = tries.not_before_ns = 0
        step = self._next(bracket, entry, exits, held, grid)
        if isinstance(step, Place):
            if not all(self._owner.is_heard(leg) for leg in exits if leg.is_over):
                return False  # the gate would refuse it; what it is to hear brings the next look
            return self._place(bracket, exits, step, tries)
        if isinstance(step, Cancel):
            self._cancel(bracket.instrument, step.client_order_ids)
        elif isinstance(step, Done):
            self._done(bracket, step.left)
        return False

    def _next(
        self, bracket: Bracket, entry: Leg, exits: Sequence[Leg], held: Decimal, grid: Grid
    ) -> Step:
        if not bracket.is_whole:
            price = self._owner.price(bracket.instrument, bracket.exit_side)
            return next_step(bracket, entry, exits, price=price, held=held, grid=grid)
        closes = self._owner.closes_bare()
        if held > 0:
            self._tell_failed(bracket, exits, closes=closes)
        return next_whole_step(bracket, entry, exits, held=held, grid=grid, closes=closes)

    def _tell_failed(self, bracket: Bracket, exits: Sequence[Leg], *, closes: bool) -> None:
        """Once of each exit that the venue did not take with its entry."""
        for leg in exits:
            name = leg.client_order_id
            failed = name in bracket.sent and leg.is_refused
            if not failed or name in self._told:
                continue
            self._told.add(name)
            if name != bracket.sent[-1]:
                then = "its others stand"
            else:
                then = "it is closed at the market" if closes else "it is left so"
            logger.error(
                "bracket %s holds a position without its exit %s (%s); %s",
                bracket.entry,
                name,
                leg.kind,
                then,
            )

    def _place(self, bracket: Bracket, exits: Sequence[Leg], step: Place, tries: _Tries) -> bool:
        now_ns = self._owner.now_ns()
        own = [leg for leg in exits if leg.client_order_id not in bracket.sent]
        if now_ns < tries.not_before_ns and self._came_to_nothing(own, tries):
            return False
        client_order_id = bracket.next_exit_id()
        grown = msgspec.structs.replace(
            bracket,
            exits=(*_worth_keeping(bracket, exits), client_order_id),
            tried=bracket.tried + 1,
        )
        self._open[bracket.entry] = grown
        try:
            self._save()
        except JournalError as error:
            self._open[bracket.entry] = bracket
            logger.error("no exit of bracket %s can be sent: %s", bracket.entry, error)
            return False
        if self._owner.place(grown, client_order_id, step):
            tries.tried(now_ns)
            return True
        tries.refused(now_ns)
        self._open[bracket.entry] = bracket  # it never left: the next try has the same id
        return False

    def _came_to_nothing(self, exits: Sequence[Leg], tries: _Tries) -> bool:
        """Whether the last exit did, so that the next has to wait.

        One that is on its way, has filled, or was cancelled for another did not: what the entry
        has filled since has its exit at once.
        """
        if not all(leg.is_over for leg in exits):
            return False
        if tries.is_refused or not exits:
            return True
        return not exits[-1].filled and exits[-1].client_order_id not in self._cancelled_ns

    def _cancel(self, instrument: str, client_order_ids: Sequence[str]) -> None:
        """Ask again only after a while: the answer may be on its way."""
        now_ns = self._owner.now_ns()
        due = [
            name
            for name in client_order_ids
            if now_ns - self._cancelled_ns.get(name, -CANCEL_AGAIN_NS) >= CANCEL_AGAIN_NS
        ]
        for name in due:
            self._cancelled_ns[name] = now_ns
        if due:
            self._owner.cancel(instrument, due)

    def _done(self, bracket: Bracket, left: Decimal) -> None:
        self.drop(bracket.entry)
        if left:
            logger.warning(
                "bracket %s is over with %s base units left, too few for an exit",
                bracket.entry,
                left,
            )

    def _save(self) -> None:
        self._store.save(self._strategy, tuple(self._open.values()))


def _worth_keeping(bracket: Bracket, exits: Sequence[Leg]) -> tuple[str, ...]:
    """The exits so far, without the oldest that came to nothing."""
    if len(bracket.exits) < EXITS_KEPT:
        return bracket.exits
    counts = {leg.client_order_id for leg in exits if leg.filled or not leg.is_over}
    spare = [name for name in bracket.exits if name not in counts and name not in bracket.sent]
    return tuple(name for name in bracket.exits if name not in spare[:1])


class JournalStore:
    """Brackets in the journals of the accounts that they trade, by NautilusTrader venue name."""

    def __init__(self, journals: Mapping[str, Journal]) -> None:
        self._journals = journals
        self._saved: dict[tuple[str, str], list[Bracket]] = {}

    def load(self, strategy: str) -> list[Bracket]:
        found: list[Bracket] = []
        for venue, journal in self._journals.items():
            note = journal.last_note(subject_of(strategy), list[Bracket])
            brackets = [] if note is None else note[1]
            self._saved[strategy, venue] = brackets
            found += brackets
        return found

    def save(self, strategy: str, brackets: Sequence[Bracket]) -> None:
        for venue, journal in self._journals.items():
            mine = [b for b in brackets if b.instrument.rpartition(".")[2] == venue]
            if self._saved.get((strategy, venue), []) != mine:
                journal.note(SUBJECT, subject_of(strategy), mine)
                self._saved[strategy, venue] = mine


class JournalLegs:
    """Orders of brackets as an account's journal knows them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._fees: dict[str, tuple[Decimal, Decimal]] = {}  # of so much filled

    def leg(self, client_order_id: str, base: str) -> Leg | None:
        """None when the journal has no intent of it. `base` is the base currency."""
        known = self._journal.order(client_order_id)
        if known is None:
            return None
        return Leg(
            client_order_id=client_order_id,
            kind=known.intent.kind,
            quantity=known.intent.quantity,
            filled=known.filled,
            price=known.intent.price,
            base_fee=self._base_fee(client_order_id, known.filled, base),
            is_standing=known.state in _STANDING,
            is_over=known.state.is_terminal,
            is_refused=known.state is OrderState.REFUSED,
        )

    def position(self, strategy: str, instrument: str) -> Decimal:
        """Net base units, signed, fees in base currency taken off."""
        mine = (p for p in self._journal.positions() if p.strategy == strategy)
        return sum((p.quantity for p in mine if p.instrument == instrument), Decimal(0))

    def _base_fee(self, client_order_id: str, filled: Decimal, base: str) -> Decimal:
        if not filled:
            return Decimal(0)
        counted = self._fees.get(client_order_id)
        if counted is None or counted[0] != filled:
            fills = self._journal.fills_of(client_order_id)
            fee = sum((fill.fee for fill in fills if fill.fee_currency == base), Decimal(0))
            counted = self._fees[client_order_id] = (filled, fee)
        return counted[1]


class MemoryStore:
    """For a simulated exchange, which outlives the process no more than its brackets do."""

    def load(self, strategy: str) -> list[Bracket]:
        return []

    def save(self, strategy: str, brackets: Sequence[Bracket]) -> None:
        """Nothing to keep."""


def subject_of(strategy: str) -> str:
    """What the records of a strategy's brackets are filed under."""
    return f"{SUBJECT} {strategy}"
