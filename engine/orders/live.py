"""One order between approval and its terminal state, and what the desk must know of its venue."""

from __future__ import annotations

import asyncio

import msgspec

from engine.orders.journal import JournaledOrder
from engine.orders.model import Intent, Kind, OrderRef, VenueOrder

STOP_KINDS = frozenset({Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED})


class DeskTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What the desk must know of the venue."""

    client_order_ids: bool
    private_stream: bool
    reports_fills: bool
    replace: bool
    batch_submit_max: int = 1
    batch_cancel_max: int = 1
    batch_query_max: int = 1
    max_order_lag_secs: float = 5.0


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
        "absent_looks",
        "absent_since",
        "cancel_requested",
        "cost",
        "fill_lag",
        "filled",
        "intent",
        "misses",
        "settled",
        "state",
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
        self.triggered = False
        self.absent_since: float | None = None
        self.absent_looks = 0
        self.misses = 0
        self.fill_lag = 0
        self.settled = asyncio.Event()

    @property
    def is_proven(self) -> bool:
        """The venue has shown that it has this order."""
        return self.venue_order_id is not None

    def ref(self) -> OrderRef:
        return OrderRef(
            instrument=self.intent.instrument,
            client_order_id=self.intent.client_order_id,
            venue_order_id=self.venue_order_id,
        )

    def fingerprint(self) -> tuple[object, ...]:
        return fingerprint(self.intent)


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


def could_be(intent: Intent, state: VenueOrder) -> bool:
    """Whether the venue's order can be the one that was intended, by the fields it tells."""
    same_kind = intent.kind is state.kind or {intent.kind, state.kind} == STOP_KINDS
    return (
        same_kind
        and intent.instrument == state.instrument
        and intent.side is state.side
        and intent.quantity == state.quantity
        and (state.price is None or intent.price is None or intent.price == state.price)
        and (state.trigger_price is None or intent.trigger_price == state.trigger_price)
    )
