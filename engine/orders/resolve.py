"""An order that the venue does not know any more is settled by a person's word, in the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.live import could_be
from fairlead.engine.orders.model import (
    Found,
    Intent,
    OrderRef,
    OrderState,
    Unsure,
    VenueFill,
    VenueOrder,
    VenueOrders,
)
from fairlead.engine.orders.sent import Stand, sent_since, stand_now


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says became of an order: executed so (quantity, price), the rest is gone."""

    reason: str
    by: str
    fills: tuple[tuple[Decimal, Decimal], ...] = ()
    fee: Decimal = Decimal(0)
    fee_currency: str = ""


async def require_forgotten(
    venue: VenueOrders,
    journal: Journal,
    order: JournaledOrder,
    stand: Callable[[], Stand] = stand_now,
) -> None:
    """The venue neither lists the order nor tells of it.

    Raises VenueUnavailable when that can't be read; FairleadError `RESOLVE-ALIVE` when the order is
    open there (or could be one that is), `RESOLVE-TOLD` when the venue tells how it ended.
    """
    intent = order.intent
    ref = OrderRef(
        instrument=intent.instrument,
        client_order_id=intent.client_order_id,
        venue_order_id=order.venue_order_id,
    )
    is_named = order.venue_order_id is not None and not journal.is_displaced(order)
    told: Sequence[VenueOrder] = await venue.orders([ref]) if is_named else ()
    listed = await venue.open_orders([intent.instrument])
    mine = [one for one in (*told, *listed) if _is(one, order, is_named=is_named)]
    if order.venue_order_id is None:
        mine += [one for one in listed if _could_be(journal, order, one)]
        known = journal.known_venue_ids(intent.instrument, 0)
        found = await venue.find(intent, known, *sent_since(journal, order, stand()))
        if isinstance(found, Found):
            mine.append(found.order)
        if isinstance(found, Unsure) and found.ambiguous:
            raise FairleadError(
                "RESOLVE-ALIVE",
                f"{intent.client_order_id} could be one of several at the venue: {found.reason}. "
                "Cancel at the venue what is not wanted, then resolve it",
                Exit.DRIFT,
            )
    for one in mine:
        is_over = one.state.is_terminal
        raise FairleadError(
            "RESOLVE-TOLD" if is_over else "RESOLVE-ALIVE",
            f"the venue knows {intent.client_order_id} as {one.venue_order_id}: {one.side} "
            f"{one.quantity} @ {one.price}, {one.state}, {one.filled} executed. "
            + (
                "The next start books that by itself"
                if is_over
                else "Cancel it (fairlead kill) or let the run go on with it"
            ),
            Exit.DRIFT,
        )


def _is(one: VenueOrder, order: JournaledOrder, *, is_named: bool) -> bool:
    """`is_named`: the venue order id is this order's still."""
    return (is_named and one.venue_order_id == order.venue_order_id) or (
        one.client_order_id is not None and one.client_order_id == order.intent.client_order_id
    )


def _could_be(journal: Journal, order: JournaledOrder, one: VenueOrder) -> bool:
    owner = journal.order_by_venue_id(one.instrument, one.venue_order_id)
    return owner is None and could_be(order.intent, one)


def executions(
    intent: Intent, word: Word, venue_order_id: str, *, quote: str, now_ns: int
) -> list[VenueFill]:
    """The word's executions of an order; the first has the fee."""
    return [
        VenueFill(
            venue_order_id=venue_order_id,
            trade_id=f"{intent.client_order_id}-resolved-{number}",
            instrument=intent.instrument,
            side=intent.side,
            quantity=quantity,
            price=price,
            fee=word.fee if number == 0 else Decimal(0),
            fee_currency=word.fee_currency or quote,
            client_order_id=intent.client_order_id,
            ts_event=now_ns,
            synthetic=True,
        )
        for number, (quantity, price) in enumerate(word.fills)
    ]


def resolve(
    journal: Journal, order: JournaledOrder, word: Word, *, base: str, quote: str, now_ns: int
) -> OrderState:
    """Book a plausible word: executions, and the order's end, in one transaction; gives that end.

    Raises JournalError.
    """
    intent = order.intent
    executed = sum((quantity for quantity, _ in word.fills), Decimal(0))
    rest = intent.quantity - order.filled
    fills = executions(intent, word, order.venue_order_id or "", quote=quote, now_ns=now_ns)
    if executed == rest:
        state = OrderState.FILLED
    elif order.venue_order_id is None and not order.filled and not fills:
        state = OrderState.REFUSED
    else:
        state = OrderState.CANCELED
    base_fees = [fill.fee if fill.fee_currency == base else Decimal(0) for fill in fills]
    journal.resolved(intent, list(zip(fills, base_fees, strict=True)), state, word)
    return state
