"""Orders that the engine holds for a venue that lacks their kind, until the market is there.

Held is accepted: it is in the journal before anyone is told. A price that is fresh and whole fires
it; the gate is asked again, the release is journaled, and the order goes the way of every other. A
release that is proven not to be at the venue leaves it held. What may fire it is `trigger.py`'s to
say, for paper and backtest too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from fairlead.engine.orders.approved import Approved, intents_of
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.orders.live import STOP_KINDS, LiveOrder, fingerprint, new_order
from fairlead.engine.orders.model import (
    Capabilities,
    Intent,
    Kind,
    OrderState,
    Refused,
    Tif,
    TriggerSource,
)
from fairlead.engine.orders.sent import Sent
from fairlead.engine.orders.shared import Part, Shared
from fairlead.engine.orders.submission import Submission
from fairlead.engine.orders.table import Table
from fairlead.engine.orders.trigger import (
    Levels,
    fires,
    is_at_once,
    level_of,
    released,
    watched_price,
)

logger = logging.getLogger(__name__)

PASSED = "HELD-PASSED"
GIVEN_UP = "HELD-GIVEN-UP"


def may_be_held(kind: str, able: Capabilities) -> bool:
    """Whether the engine holds some orders of this kind, so that it needs the price they wait for.

    Of those that the venue has, too: what is not proven to lie ahead, a limit that can't rest.
    """
    if kind in STOP_KINDS and able.hold_passed:
        return True
    return kind in able.held or (able.holds_limits and kind == Kind.LIMIT)


class Passed(StrEnum):
    """What becomes of a held order whose level was passed while no process looked."""

    FIRE = "fire"
    CANCEL = "cancel"
    ASK = "ask"


class HeldSettings(msgspec.Struct, frozen=True, kw_only=True):
    """From `[venues.NAME.held]`; the price's source is `Capabilities.source_for`."""

    stale_after_ns: int = 5_000_000_000
    passed: Passed = Passed.FIRE
    rearms: bool = True
    rearm_secs: float = 1.0
    releases_max: int = 20


class _How(msgspec.Struct, frozen=True):
    """What is journaled of an order that is held."""

    source: TriggerSource
    level: Decimal
    condition: str


class _Why(msgspec.Struct, frozen=True):
    """What is journaled of a trigger that went off."""

    source: TriggerSource
    price: Decimal
    ts_event: int
    away: bool


class NotNow(msgspec.Struct, frozen=True):
    """The gate lets nothing go for the moment: it is asked again at the next price."""

    code: str
    message: str


# The gate, asked for what is to be released of the order (held, released).
Regate = Callable[[Intent, Intent], Approved | Refused | NotNow]


class _Seen:
    """One instrument's market, as it was last received. Times in ns: of the venue, of receipt."""

    __slots__ = ("asks", "bids", "book_ns", "last", "last_ns")

    def __init__(self) -> None:
        self.bids: Levels = ()
        self.asks: Levels = ()
        self.book_ns: tuple[int, int] | None = None
        self.last: Decimal | None = None
        self.last_ns: tuple[int, int] | None = None


class Held(Part):
    """The part of a desk that holds orders. `regate` None: nothing is released."""

    def __init__(
        self,
        shared: Shared,
        table: Table,
        submission: Submission,
        times: Sent,
        settings: HeldSettings,
    ) -> None:
        super().__init__(shared)
        self._table = table
        self._submission = submission
        self._times = times
        self._settings = settings
        self._seen: dict[str, _Seen] = {}
        self._not_now: dict[str, str] = {}  # code told last, by client order id
        self.regate: Regate | None = None
        self.on_asked: Callable[[str, str], None] | None = None  # instrument, why it is halted
        table.kept_back = self.armed_again
        submission.takes, submission.hold = self.takes, self.hold

    # -- taking, changing, ending --------------------------------------------------------------

    def takes(self, intent: Intent) -> bool:
        """Whether the engine holds this new order, and does not send it."""
        if intent.kind in self._can.held:
            return True
        if intent.kind in STOP_KINDS:
            return self._can.hold_passed and not self._is_ahead(intent)
        is_resting = intent.kind is Kind.LIMIT and intent.time_in_force is Tif.GTC
        return self._can.holds_limits and is_resting and Tif.GTC not in self._can.time_in_force

    def _is_ahead(self, intent: Intent) -> bool:
        """Whether fresh data prove that the order's trigger is not passed."""
        price = self._price(intent)
        return price is not None and not fires(intent, price[0])

    def hold(self, intents: Sequence[Intent]) -> None:
        """Take new orders: durable, then accepted."""
        for intent in intents:
            level, condition = level_of(intent)
            how = _How(self._can.source_for(intent.kind), level, condition)
            ts = self._journal.hold([intent], how)
            order = LiveOrder(new_order(intent, ts, OrderState.HELD))
            order.held = intent
            self._table.live[intent.client_order_id] = order
            self._sink.order_submitted(intent)
            self._sink.order_held(intent, ts)
            self._look(intent.instrument, by_trade=False)  # the book may stand there already

    def adopt(self, order: LiveOrder) -> None:
        """After a restart, of every open order: what of it the engine held."""
        held, releases = self._journal.held_story(order.intent.client_order_id)
        if held is None:
            return
        order.held = held
        order.triggered = releases > 0 and not order.is_held
        order.is_away = order.is_held
        if order.is_held:
            order.intent = msgspec.structs.replace(held, release=releases)

    def cancel(self, order: LiveOrder, why: object = None) -> None:
        """Of one that is held: over at once, durably."""
        intent = order.told
        if not self._journal.cancel_held(intent.client_order_id, why):
            logger.warning("%s was cancelled by another process", intent.client_order_id)
        self._over(order)

    def _over(self, order: LiveOrder) -> None:
        intent = order.told
        self._table.finish(order, OrderState.CANCELED)
        self._sink.order_canceled(intent, intent.client_order_id, self._now_ns())

    def change(self, order: LiveOrder, changed: Intent) -> None:
        """A modify of one that is held."""
        changed = msgspec.structs.replace(changed, release=0)
        if not self._journal.changed_held(changed):
            self._over(order)
            return
        order.held = changed
        order.intent = msgspec.structs.replace(changed, release=order.intent.release)
        self._sink.order_replaced(changed, changed.client_order_id, self._now_ns())
        self._look(changed.instrument, by_trade=False)

    def armed_again(self, order: LiveOrder, kind: str, code: str, why: object) -> bool:
        """A release is proven not to be at the venue, or to have ended there without any
        execution: whether the order is held again. `kind` is that of the record."""
        held = order.held
        if held is None or order.is_held or order.filled or order.cancel_requested:
            return False
        is_refused = kind in ("RELEASE_REFUSED", "RELEASE_UNFILLED")
        if is_refused and not (self._settings.rearms and is_at_once(order.intent)):
            return False
        is_unsent = kind == "RELEASE_UNSENT"
        if order.intent.release >= self._settings.releases_max and not is_unsent:
            logger.error(
                "%s: %s was released %d times in vain; it is not armed again",
                GIVEN_UP,
                held.client_order_id,
                order.intent.release,
            )
            return False
        releases = order.intent.release
        self._journal.armed_again(held, kind, why)
        logger.warning("%s is held again: %s", held.client_order_id, code)
        self._table.disown(order)
        order.intent = msgspec.structs.replace(held, release=releases)
        order.state = OrderState.HELD
        order.is_firing = False
        if is_refused or is_unsent:
            order.release_after = asyncio.get_running_loop().time() + self._settings.rearm_secs
        order.settled.set()
        self._table.count_unknown()
        self._sink.order_held(held, self._now_ns())
        return True

    # -- the market ----------------------------------------------------------------------------

    def book(self, instrument: str, bids: Levels, asks: Levels, ts_event: int, ts: int) -> None:
        """A book as it stands now, best first; without levels it is not known."""
        seen = self._seen.setdefault(instrument, _Seen())
        seen.bids, seen.asks, seen.book_ns = bids, asks, (ts_event, ts)
        self._look(instrument, by_trade=False)

    def trade(self, instrument: str, price: Decimal, ts_event: int, ts: int) -> None:
        seen = self._seen.setdefault(instrument, _Seen())
        seen.last, seen.last_ns = price, (ts_event, ts)
        self._look(instrument, by_trade=True)

    def _price(self, intent: Intent) -> tuple[Decimal, int] | None:
        """What the order looks at, and the venue's time of it; None: unknown, or too old."""
        seen = self._seen.get(intent.instrument)
        if seen is None:
            return None
        if self._can.source_for(intent.kind) is TriggerSource.LAST:
            price, times = seen.last, seen.last_ns
        else:
            price, times = self._of_book(intent, seen), seen.book_ns
        if price is None or times is None:
            return None
        oldest = self._now_ns() - self._settings.stale_after_ns
        return None if min(times) < oldest else (price, times[0])

    def _of_book(self, intent: Intent, seen: _Seen) -> Decimal | None:
        tier, source = self._can.tier_price, self._can.source_for(intent.kind)
        return watched_price(source, intent.side, intent.quantity, seen.bids, seen.asks, tier)

    def _look(self, instrument: str, *, by_trade: bool) -> None:
        """Fire what waits for the price that a trade, or else the book, has told."""
        for order in self._waiting(instrument):
            if (self._can.source_for(order.intent.kind) is TriggerSource.LAST) is not by_trade:
                continue
            price = self._price(order.intent)
            if price is None:
                continue
            if not fires(order.intent, price[0]):
                order.is_away = False
            elif order.is_away and self._settings.passed is not Passed.FIRE:
                try:
                    self._passed(order, price[0])
                except JournalError as error:  # no defect of the stream that showed the price
                    self._shared.fail(error)
                    return
            else:
                order.is_firing = True
                self._shared.spawn(self._release(order, *price), "release a held order")

    def _waiting(self, instrument: str) -> list[LiveOrder]:
        now = asyncio.get_running_loop().time()
        return [
            order
            for order in self._table.live.values()
            if order.is_held
            and not order.is_firing
            and order.intent.instrument == instrument
            and now >= order.release_after
        ]

    def _passed(self, order: LiveOrder, price: Decimal) -> None:
        """Its level was passed while nobody looked."""
        intent = order.told
        level, condition = level_of(intent)
        source = self._can.source_for(intent.kind)
        asks = self._settings.passed is Passed.ASK
        self._shared.tell(
            PASSED,
            intent.instrument,
            intent.client_order_id,
            f"held until the price is {condition} {level}",
            f"the {source} price is {price} at the first look since the start",
            "kept held, and the instrument is halted: cancel it (fairlead kill), or set "
            'held.passed = "fire" or "cancel" for the next start'
            if asks
            else "cancelled, as held.passed says",
        )
        if not asks:
            self.cancel(order, {"code": PASSED, "message": "cancelled, as held.passed says"})
            return
        order.is_firing = True  # a person decides: not in this run
        if self.on_asked is not None:
            self.on_asked(intent.instrument, f"{PASSED} of {intent.client_order_id}")

    # -- release -------------------------------------------------------------------------------

    async def _release(self, order: LiveOrder, price: Decimal, ts_event: int) -> None:
        held = order.told
        sent = released(held, self._can, order.intent.release + 1)
        if not order.is_held:
            return
        if not self._may_go(order, held, sent):
            order.is_firing = False
            return
        self._not_now.pop(held.client_order_id, None)
        self._times.note()
        why = _Why(self._can.source_for(held.kind), price, ts_event, order.is_away)
        ts_sent = self._journal.release(sent, why)
        if ts_sent is None:  # cancelled by `fairlead kill` beside this run
            self._over(order)
            return
        order.intent, order.state, order.ts_sent = sent, OrderState.INTENDED, ts_sent
        order.loop_sent = asyncio.get_running_loop().time()
        order.settled.clear()
        order.is_firing = order.is_away = False
        if not order.triggered:
            order.triggered = True
            self._sink.order_triggered(held, held.client_order_id, ts_sent)
        await self._submission.send([order])

    def _may_go(self, order: LiveOrder, held: Intent, sent: Intent) -> bool:
        """Whether it is to be sent now; what the gate refuses for good is over."""
        if self._shared.stopped([sent]) is not None or self.regate is None:
            return False  # a kill cancels it; a stop that keeps orders keeps it
        if not self._can.client_order_ids and self._has_twin(sent):
            return self._waits(held, "DESK-UNPROVEN-TWIN", "its answer could not be told apart")
        answer = self.regate(held, sent)
        if isinstance(answer, NotNow):
            return self._waits(held, answer.code, answer.message)
        if isinstance(answer, Refused):
            self._table.refuse(order, answer.code, answer.message, answer)
            return False
        return intents_of([answer]) == [sent]

    def _has_twin(self, sent: Intent) -> bool:
        unproven: Iterable[LiveOrder] = self._table.unresolved()
        return any(one.fingerprint() == fingerprint(sent) for one in unproven)

    def _waits(self, held: Intent, code: str, message: str) -> bool:
        """Told once, while the reason stays."""
        cid = held.client_order_id
        if self._not_now.get(cid) != code:
            self._not_now[cid] = code
            self._journal.note("NOT_NOW", cid, {"code": code, "message": message})
            logger.warning("%s waits with its release: %s: %s", cid, code, message)
        return False
