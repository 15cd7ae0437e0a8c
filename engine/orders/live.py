"""One order between approval and its terminal state, and the desk's timing."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec

from fairlead.engine.orders.journal import JournaledOrder
from fairlead.engine.orders.model import Intent, Kind, OrderRef, OrderState, VenueOrder
from fairlead.engine.orders.trigger import fired_kind

MIN_ABSENT_LOOKS = 3  # complete looks without the order before absence can be proven
CHAIN_READS = 2  # of the executions of an order that was replaced, once its end is told
_STOP_LIMITS = frozenset({Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED})
STOP_KINDS = _STOP_LIMITS | {
    Kind.STOP_MARKET,
    Kind.MARKET_IF_TOUCHED,
    Kind.TRAILING_STOP_MARKET,
}
KILL_STRATEGY = "KILL"  # whose orders flatten when the kill switch asks for it
UNASKED = "NATIVE-UNASKED"  # of an order that NautilusTrader tells of, and that nothing here sent


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Timing, from `[execution]`; seconds."""

    poll_secs: float = 1.0
    balance_poll_secs: float = 5.0
    unknown_query_secs: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 5.0)
    absent_quarantine_secs: float = 10.0
    settle_timeout_secs: float = 5.0


class LiveOrder:
    """One order between approval and its terminal state."""

    __slots__ = (
        "cancel_after",
        "cancel_refusal",
        "cancel_requested",
        "cost",
        "end_reads",
        "fill_lag",
        "fill_lag_since",
        "filled",
        "held",
        "intent",
        "is_away",
        "is_displaced",
        "is_firing",
        "is_forgotten",
        "is_missing",
        "is_reuse_told",
        "loop_sent",
        "misses",
        "old_ids",
        "owes_read",
        "reading",
        "release_after",
        "replace_ts",
        "replacing",
        "settled",
        "state",
        "told_filled",
        "triggered",
        "ts_sent",
        "venue_order_id",
    )

    def __init__(self, journaled: JournaledOrder) -> None:
        self.intent = journaled.intent
        self.state = journaled.state
        self.venue_order_id = journaled.venue_order_id
        self.filled = journaled.filled
        self.cost = journaled.cost
        self.cancel_requested = journaled.cancel_requested
        self.ts_sent = journaled.ts_sent
        self.loop_sent: float | None = None  # the same by the event loop's clock, in this process
        self.cancel_after = 0.0  # loop time from which its cancel may be sent again
        self.cancel_refusal = ""  # by the venue, of the last one that it answered
        self.replacing: Intent | None = None  # what a replacement under way would make of it
        self.replace_ts = 0  # when that was sent, ns
        self.old_ids: list[str] = []  # venue order ids that were replaced
        self.triggered = False
        self.misses = 0  # answers in a row that left it out
        self.is_missing = False  # the venue accepted it and tells nothing of it: it is looked for
        self.is_forgotten = False  # missing for longer than any lag: a person decides
        self.is_displaced = False  # its venue order id is another order's by now
        self.is_reuse_told = False
        self.fill_lag = 0  # reads in a row that brought no execution
        self.fill_lag_since = 0.0  # loop time of the first of them
        self.told_filled = journaled.filled  # the most that the venue's words of it told
        self.reading: asyncio.Task[None] | None = None  # of its executions, just now
        self.owes_read = False  # there may be executions that only a read to come can tell
        self.end_reads: int | None = None  # of its executions, since its end was told
        self.held: Intent | None = None  # as the engine held it, of one that it ever held
        self.is_away = False  # held while no process looked at its price
        self.is_firing = False  # its release is under way
        self.release_after = 0.0  # loop time from which it may be released again
        self.settled = asyncio.Event()

    @property
    def is_proven(self) -> bool:
        """The venue has shown that it has this order."""
        return self.venue_order_id is not None

    @property
    def is_held(self) -> bool:
        """The engine has it, and the venue does not."""
        return self.state is OrderState.HELD

    @property
    def is_known(self) -> bool:
        """It can be cancelled: the venue has shown it, or the engine holds it."""
        return self.is_proven or self.is_held

    @property
    def told(self) -> Intent:
        """The order as its strategy knows it, whatever it is at the venue."""
        return self.intent if self.held is None else self.held

    def seen(self) -> None:
        """The venue has told of it; a cancel that waited for that may be sent."""
        self.misses = 0
        if self.is_missing and not self.is_displaced:
            self.is_missing = self.is_forgotten = False
            self.cancel_after = 0.0

    def first_state(self) -> OrderState:
        """What it is once the venue has it, until more is told."""
        waits = self.intent.kind in STOP_KINDS and not self.triggered
        return OrderState.WAITING if waits else OrderState.OPEN

    def ref(self) -> OrderRef:
        return OrderRef(
            instrument=self.intent.instrument,
            client_order_id=self.intent.client_order_id,
            venue_order_id=self.venue_order_id,
            quantity=self.intent.quantity,
        )

    def refs(self) -> list[OrderRef]:
        """The order and those that it replaced at the venue."""
        old = [
            OrderRef(
                instrument=self.intent.instrument,
                client_order_id=self.intent.client_order_id,
                venue_order_id=venue_order_id,
            )
            for venue_order_id in self.old_ids
        ]
        return [*old, self.ref()]

    def fingerprint(self) -> tuple[object, ...]:
        return fingerprint(self.intent)


def new_order(
    intent: Intent, ts_sent: int, state: OrderState = OrderState.INTENDED
) -> JournaledOrder:
    """As the journal has an order that was just written down."""
    return JournaledOrder(
        intent=intent,
        state=state,
        venue_order_id=None,
        filled=Decimal(0),
        cost=Decimal(0),
        cancel_requested=False,
        ts_sent=ts_sent,
    )


def fingerprint(intent: Intent) -> tuple[object, ...]:
    """What a venue without client order ids can tell two orders apart by."""
    return (
        intent.instrument,
        intent.side,
        intent.kind,
        intent.quantity,
        intent.price,
        intent.trigger_price,
    )


def fired(intent: Intent) -> Intent:
    """The plain order that a stop becomes when its trigger is reached."""
    return msgspec.structs.replace(
        intent,
        kind=fired_kind(intent.kind),
        trigger_price=None,
        trigger_condition=None,
        trailing_offset=None,
    )


def could_be(intent: Intent, state: VenueOrder) -> bool:
    """Whether the venue's order can be the one that was intended, by the fields it tells."""
    same_kind = intent.kind is state.kind or {intent.kind, state.kind} == _STOP_LIMITS
    return (
        same_kind
        and intent.instrument == state.instrument
        and intent.side is state.side
        and intent.quantity == state.quantity
        and (state.price is None or intent.price is None or intent.price == state.price)
        and (state.trigger_price is None or intent.trigger_price == state.trigger_price)
    )
