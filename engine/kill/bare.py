"""Positions whose protective stop a kill has taken away, by the journal.

The strategy believes what it believed before: it has sent its stop, and sends no other.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from decimal import Decimal

import msgspec

from fairlead.engine.kill.records import KILL_SUBJECT, KillRecord, kill_notes
from fairlead.engine.kill.state import Action, Kill
from fairlead.engine.orders.files import files_of
from fairlead.engine.orders.journal import Journal, JournaledOrder, JournalError
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Intent, OrderState, Side

DUST = Decimal("0.01")  # of the stop: what is left below it is no position to protect
LATE_NS = 60_000_000_000  # that a cancel may be booked after the clear of its kill
LOOK_SECS = 1.0  # between two looks of a run, at least
LOOK_SHARE = 20  # a look that took long is followed by a pause that many times as long

logger = logging.getLogger(__name__)


class Bare(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's position (signed base units), and the stop that it had, by client order id."""

    strategy: str
    instrument: str
    quantity: Decimal
    stop: str
    kill: Kill

    def __str__(self) -> str:
        return (
            f"{self.strategy} holds {self.quantity.normalize():f} of {self.instrument} without a "
            f"stop: {self.stop} was cancelled by the kill of {self.kill.scope}"
        )


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's position (signed base units) whose stop was cancelled, `ts_ns` when that was
    asked for; where it was not (`is_asked`) when it came. `kill` took it, if any did.
    """

    strategy: str
    instrument: str
    quantity: Decimal
    stop: str
    ts_ns: float
    is_asked: bool
    kill: Kill | None


class _Window(msgspec.Struct, frozen=True):
    """A kill that cancels, and until when it was in force, UNIX ns."""

    kill: Kill
    until: float

    def took(self, stop: Intent, end: _End) -> bool:
        """Whoever books it, whenever: a run that hung, or was dead, books it long after the clear.

        What was asked for at another time is the strategy's own decision.
        """
        if stop.ts_init > self.until or end.ts_ns < self.kill.ts_ns:
            return False
        if end.asked_ns is None:
            return True
        late = self.until + LATE_NS
        return end.asked_ns <= late and (end.asked_ns >= self.kill.ts_ns or end.ts_ns <= late)


class _End(msgspec.Struct, frozen=True):
    """The record by which an order was cancelled, and when that was asked for (UNIX ns), if ever.

    A cancel that `fairlead kill` sends is asked for in no journal.
    """

    seq: int
    ts_ns: float
    asked_ns: int | None


def bare_positions(
    journal: Journal,
    venue: str,
    account: str,
    in_force: Collection[Kill],
    gone: Collection[str] = (),
) -> list[Bare]:
    """All that the journal tells of is looked through. `venue` is the config's key; `gone` are ids
    of orders that the venue has cancelled, booked or not. Raises JournalError.
    """
    with journal.one_moment():
        windows = _windows(journal, in_force)
        return [
            Bare(
                strategy=one.strategy,
                instrument=one.instrument,
                quantity=one.quantity,
                stop=one.stop,
                kill=one.kill,
            )
            for one in (
                _lost(journal, venue, account, windows, dict.fromkeys(gone)) if windows else ()
            )
            if one.kill is not None
        ]


def lost_stops(
    journal: Journal,
    venue: str,
    account: str,
    in_force: Collection[Kill],
    unbooked: Mapping[str, int],
) -> list[Lost]:
    """The same of positions whose stop was cancelled by whomever, while no other lives; one whose
    cancel was asked for counts as gone, by `unbooked` (when, UNIX ns) past a dead journal, too."""
    with journal.one_moment():
        asked = {
            order.intent.client_order_id: _end(journal, order.intent.client_order_id).asked_ns
            for order in journal.open_orders()
            if order.cancel_requested and order.intent.protects
        }
        asked |= unbooked
        return list(_lost(journal, venue, account, _windows(journal, in_force), asked))


def kill_that_took(
    journal: Journal, order: JournaledOrder, in_force: Collection[Kill]
) -> Kill | None:
    """The kill by which an order was cancelled, or is to be: of those that the journal has, which
    are its account's, and those `in_force`, which may be in no journal yet. Raises JournalError."""
    intent, is_over = order.intent, order.state.is_terminal
    if (is_over and order.state is not OrderState.CANCELED) or intent.strategy == KILL_STRATEGY:
        return None
    venue = intent.instrument.rpartition(".")[2].lower()
    account = files_of(journal.path).name.removeprefix(f"{venue}-")
    mine = [
        kill
        for kill in in_force
        if kill.scope.covers(strategy=intent.strategy, venue=venue, account=account)
    ]
    if not is_over:
        return next(filter(_cancels, mine), None)
    end = _end(journal, intent.client_order_id)
    for window in _windows(journal, mine):
        scope = window.kill.scope
        is_its = scope.kind != "strategy" or scope.key == intent.strategy
        if is_its and window.took(intent, end):
            return window.kill
    return None


def _lost(
    journal: Journal,
    venue: str,
    account: str,
    windows: list[_Window],
    gone: Mapping[str, int | None],
) -> Iterator[Lost]:
    """`gone`: live orders that count as cancelled, and when that was asked for, where it was."""
    held = [one for one in journal.positions() if one.quantity and one.strategy != KILL_STRATEGY]
    live = journal.open_orders() if held else []
    for one in held:
        stop = _last_stop(journal, one.strategy, one.instrument, one.quantity, live, gone)
        if stop is None:
            continue
        intent, end = stop
        takers = [
            window.kill
            for window in windows
            if window.kill.scope.covers(strategy=one.strategy, venue=venue, account=account)
            and window.took(intent, end)
        ]
        if _is_still_held(journal, intent, one.quantity, end.seq):
            yield Lost(
                strategy=one.strategy,
                instrument=one.instrument,
                quantity=one.quantity,
                stop=intent.client_order_id,
                ts_ns=end.ts_ns if end.asked_ns is None else end.asked_ns,
                is_asked=end.asked_ns is not None,
                kill=takers[0] if takers else None,
            )


def _last_stop(
    journal: Journal,
    strategy: str,
    instrument: str,
    held: Decimal,
    live: Collection[JournaledOrder],
    gone: Mapping[str, int | None],
) -> tuple[Intent, _End] | None:
    """Of this position (signed base units) the stop that was the last to end, if it was cancelled.

    None while one lives.
    """
    closes = Side.SELL if held > 0 else Side.BUY
    last = None
    for order in live:
        intent = order.intent
        if (
            (intent.strategy, intent.instrument) == (strategy, instrument)
            and intent.protects
            and intent.side is closes
        ):
            if intent.client_order_id not in gone:
                return None
            last = intent, _End(journal.newest(), math.inf, gone[intent.client_order_id])
    if last is not None:
        return last
    for order in journal.stops_over(strategy, instrument):
        if order.intent.side is closes:
            if order.state is not OrderState.CANCELED:
                return None
            return order.intent, _end(journal, order.intent.client_order_id)
    return None


def _windows(journal: Journal, in_force: Collection[Kill]) -> list[_Window]:
    """Of each kill that cancels, the newest first.

    The clear of one that a run noted, and did not live to see, is in no journal; nor is the kill of
    a run that hung, but with its clear.
    """
    noted: dict[str, Kill] = {}
    found = []
    for record in kill_notes(journal):
        kill, scope = record.kill, str(record.kill.scope)
        if record.cleared is None:
            if _cancels(kill):
                noted.setdefault(scope, kill)  # a stronger one goes on with it
            continue
        kill = noted.pop(scope, kill)
        if _cancels(kill):
            found.append(_Window(kill, record.cleared.ts_ns))
    for kill in filter(_cancels, in_force):
        noted.setdefault(str(kill.scope), kill)
    scopes = {one.scope for one in in_force}
    found += [
        _Window(kill, math.inf if kill.scope in scopes else kill.ts_ns) for kill in noted.values()
    ]
    return sorted(found, key=lambda one: -one.kill.ts_ns)


def _cancels(kill: Kill) -> bool:
    return kill.action.rank >= Action.CANCEL.rank


def _end(journal: Journal, name: str) -> _End:
    """Of an order that was cancelled."""
    seq = ts_ns = 0
    asked_ns = None
    for number, ts, kind, _ in journal.story(name):
        if kind == "CANCEL" and asked_ns is None:
            asked_ns = ts
        elif kind == "CANCELED":
            seq, ts_ns = number, ts
    return _End(seq, ts_ns, asked_ns)


def _is_still_held(journal: Journal, stop: Intent, now: Decimal, seq: int) -> bool:
    """Whether it is the position that the stop protected, and more than dust of it: it was not
    flat since, nor turned, by what the strategy has executed since, counted back. What a flatten
    took over, and gave back as it could not close it, was held all the while."""
    dust, was = stop.quantity * DUST, now
    if abs(now) <= dust:
        return False
    for move in journal.moves_since(seq, stop.strategy, stop.instrument, KILL_STRATEGY):
        was -= move
        if abs(was) <= dust or (was > 0) != (now > 0):
            return False
    return True


class BareLook:
    """Of one account of a run that looks often: in a thread of its own, over a connection of its
    own, and only where a kill has cancelled and the journal has more than at the look before."""

    def __init__(self, journal: Journal, venue: str, account: str) -> None:
        self._journal = journal
        self._of = venue, account
        self._kill_seq = 0  # of the newest note of a kill that was seen
        self._seen: object = None  # what the last look was at
        self._look_at = 0.0  # again, by the monotonic clock
        self._thread: threading.Thread | None = None
        self._is_settled = False  # nothing that the journal may still get is a kill's work
        self._found: list[Bare] = []
        self.problem = ""  # why the last look came to nothing

    def now(self, in_force: Collection[Kill]) -> list[Bare]:
        """As the last look found it, a few seconds old. Raises JournalError."""
        at = time.monotonic()
        if at < self._look_at or (self._thread is not None and self._thread.is_alive()):
            return self._found
        last = self._journal.last_note(KILL_SUBJECT, KillRecord)
        if last is None or (self._is_settled and last[0] == self._kill_seq and not in_force):
            return self._found
        self._kill_seq = last[0]
        kills = tuple(in_force)
        seen = self._journal.newest(), kills
        if seen != self._seen:
            self._seen = seen
            self._look_at = math.inf  # the look says when
            self._thread = threading.Thread(
                target=self._look, args=(kills,), name="bare", daemon=True
            )
            self._thread.start()
        return self._found

    def wait(self) -> None:
        """Until the look that is under way is over."""
        if self._thread is not None:
            self._thread.join()

    def _look(self, in_force: tuple[Kill, ...]) -> None:
        began = time.monotonic()
        try:
            with closing(Journal.reading(self._journal.path)) as journal:
                self._found = bare_positions(journal, *self._of, in_force)
                self._is_settled = not self._found and self._is_over(journal, in_force)
            self.problem = ""
        except JournalError as error:
            self.problem = f"{error.code}: {error.message}"
            self._seen = None
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
            logger.exception("the look for positions without their stop")
        finally:
            took = time.monotonic() - began
            self._look_at = began + took + max(LOOK_SECS, LOOK_SHARE * took)

    def _is_over(self, journal: Journal, in_force: Collection[Kill]) -> bool:
        """Every kill was cleared long ago, and no stop lives that was under one: its end may be
        that kill's, whenever it is booked."""
        venue, account = self._of
        windows = _windows(journal, in_force)
        if any(one.until + LATE_NS > time.time_ns() for one in windows):
            return False
        return not any(
            order.intent.protects
            and order.intent.ts_init <= window.until
            and window.kill.scope.covers(
                strategy=order.intent.strategy, venue=venue, account=account
            )
            for order in journal.open_orders()
            for window in windows
        )
