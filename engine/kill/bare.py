"""Positions whose protective stop a kill has taken away, by the journal.

The strategy believes what it believed before: it has sent its stop, and sends no other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator
from decimal import Decimal

import msgspec

from fairlead.engine.kill.records import KILL_SUBJECT, KillRecord
from fairlead.engine.kill.state import Action, Kill
from fairlead.engine.orders.journal import Journal, JournaledOrder
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Intent, OrderState, Role, Side

NOTES_MAX = 10_000
DUST = Decimal("0.01")  # of the stop: what is left below it is no position to protect
LATE_NS = 60_000_000_000  # that a cancel may be booked after the clear of its kill
LOOK_SECS = 1.0  # between two looks of a run
SETTLED_LOOK_SECS = 10.0


class Bare(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's position (signed base units), and the stop that it had, by client order id."""

    strategy: str
    instrument: str
    quantity: Decimal
    stop: str
    kill: Kill

    def __str__(self) -> str:
        return (
            f"{self.strategy} holds {self.quantity:f} of {self.instrument} without a stop: "
            f"{self.stop} was cancelled by the kill of {self.kill.scope}"
        )


def bare_positions(
    journal: Journal, venue: str, account: str, in_force: Collection[Kill]
) -> list[Bare]:
    """Looked for among the newest records. `venue` is the config's key. Raises JournalError."""
    windows = list(_windows(journal, in_force))
    held = {
        (one.strategy, one.instrument): one.quantity
        for one in (journal.positions() if windows else ())
        if one.quantity and one.strategy != KILL_STRATEGY
    }
    if not held:
        return []
    stops: dict[tuple[str, str], JournaledOrder] = {}
    since_ns = min(kill.ts_ns for kill, _ in windows)
    for order in [*journal.over_since(since_ns), *journal.open_orders()]:
        intent = order.intent
        key = intent.strategy, intent.instrument
        if intent.role is Role.STOP and key in held:
            before = stops.get(key)
            if before is None or _newness(order) >= _newness(before):
                stops[key] = order
    found = []
    for (strategy, instrument), order in stops.items():
        if order.state is not OrderState.CANCELED:
            continue
        stop, quantity = order.intent, held[strategy, instrument]
        seq, ended_ns = _cancelled(journal, stop)
        for kill, until in windows:
            if (
                kill.scope.covers(strategy=strategy, venue=venue, account=account)
                and kill.ts_ns <= ended_ns <= until + LATE_NS
                and stop.ts_init <= until  # one that was sent after the clear was not taken by it
                and _is_still_held(journal, stop, quantity, seq)
            ):
                bare = Bare(
                    strategy=strategy,
                    instrument=instrument,
                    quantity=quantity,
                    stop=stop.client_order_id,
                    kill=kill,
                )
                found.append(bare)
                break
    return found


def _newness(order: JournaledOrder) -> tuple[bool, int]:
    """One that lives protects, whichever came last."""
    return not order.state.is_terminal, order.intent.ts_init


def _windows(journal: Journal, in_force: Collection[Kill]) -> Iterator[tuple[Kill, float]]:
    """Each kill that cancels, and until when it was in force, UNIX ns.

    The clear of one that a run noted, and did not live to see, is in no journal.
    """
    noted: dict[str, Kill] = {}
    for record in journal.notes_from(KILL_SUBJECT, 0, NOTES_MAX, KillRecord):
        scope = str(record.kill.scope)
        if record.cleared is None:
            if record.kill.action.rank >= Action.CANCEL.rank:
                noted.setdefault(scope, record.kill)  # a stronger one goes on with it
        elif (kill := noted.pop(scope, None)) is not None:
            yield kill, record.cleared.ts_ns
    scopes = {one.scope for one in in_force}
    yield from ((kill, math.inf if kill.scope in scopes else kill.ts_ns) for kill in noted.values())


def _cancelled(journal: Journal, stop: Intent) -> tuple[int, int]:
    """The number and the time (UNIX ns) of the record that says so."""
    ends = [
        (seq, ts) for seq, ts, kind, _ in journal.story(stop.client_order_id) if kind == "CANCELED"
    ]
    return ends[-1] if ends else (0, 0)


def _is_still_held(journal: Journal, stop: Intent, now: Decimal, seq: int) -> bool:
    """Whether it is the position that the stop protected, and more than dust of it: it was not
    flat since, by what the strategy has executed since, counted back."""
    dust = stop.quantity * DUST
    if abs(now) <= dust:
        return False
    _, fills = journal.booked_since(seq)
    for name, fill in reversed(fills):
        order = journal.order(name)
        if (
            order is not None
            and fill.instrument == stop.instrument
            and order.intent.strategy == stop.strategy
        ):
            now -= fill.quantity if fill.side is Side.BUY else -fill.quantity
            if abs(now) <= dust:
                return False
    return True


class BareLook:
    """Of one account of a run that looks often: little is read while there is nothing to find."""

    def __init__(self, journal: Journal, venue: str, account: str) -> None:
        self._journal = journal
        self._of = venue, account
        self._seq = 0  # of the newest note of a kill that was seen
        self._look_at = 0.0  # again, by the monotonic clock
        self._found: list[Bare] = []

    def now(self, in_force: Collection[Kill]) -> list[Bare]:
        """A few seconds old at most. Raises JournalError."""
        last = self._journal.last_note(KILL_SUBJECT, KillRecord)
        if last is None:
            return []
        seq, record = last
        at = time.monotonic()
        if seq == self._seq and at < self._look_at:
            return self._found
        self._seq = seq
        self._found = bare_positions(self._journal, *self._of, in_force)
        ts_ns = record.kill.ts_ns if record.cleared is None else record.cleared.ts_ns
        wait_secs = LOOK_SECS
        if time.time_ns() - ts_ns > LATE_NS:
            wait_secs = SETTLED_LOOK_SECS if self._found or in_force else math.inf
        self._look_at = at + wait_secs
        return self._found
