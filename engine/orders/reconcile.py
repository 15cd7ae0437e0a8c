"""Compare what the journal knows with what the venue holds, and name every difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from engine.orders.desk import OrderDesk
from engine.orders.live import could_be
from engine.orders.model import Finding, VenueOrder, VenueOrders, ref_of


class Comparison(msgspec.Struct, frozen=True):
    """`externals` are open orders that someone else sent; `late` were given up here, yet live."""

    findings: tuple[Finding, ...]
    externals: tuple[VenueOrder, ...]
    late: tuple[VenueOrder, ...]


async def compare(
    venue: VenueOrders,
    desk: OrderDesk,
    instruments: Sequence[str],
    now_ns: Callable[[], int],
) -> Comparison:
    """Look at every open order of the account in these instruments.

    Raises VenueUnavailable when the venue can't be read whole; nothing is concluded then.
    """
    unproven = [order.intent for order in desk.unresolved()]
    findings: list[Finding] = []
    externals: list[VenueOrder] = []
    late: list[VenueOrder] = []
    for state in await venue.open_orders(instruments):
        owner = desk.journal.order_by_venue_id(state.instrument, state.venue_order_id)
        if owner is None and state.client_order_id:
            owner = state.client_order_id if desk.journal.order(state.client_order_id) else None
        if owner is not None and desk.get(owner) is not None:
            continue
        if owner is None and any(could_be(intent, state) for intent in unproven):
            continue  # perhaps the answer to a lost submit: the desk's own search decides
        if owner is not None:
            if await _has_ended(venue, state):
                continue  # it ended between the listing and now, or the listing lags
            late.append(state)
            findings.append(_finding("ORDER-LATE", state, "terminal", "cancelled", now_ns()))
            continue
        externals.append(state)
        findings.append(
            _finding("ORDER-EXTERNAL", state, "unknown", "adopted as external", now_ns())
        )
    return Comparison(tuple(findings), tuple(externals), tuple(late))


async def _has_ended(venue: VenueOrders, listed: VenueOrder) -> bool:
    """Whether the venue, asked for this order alone, says that it is over.

    Raises VenueUnavailable.
    """
    told = await venue.orders([ref_of(listed)])
    return any(
        order.venue_order_id == listed.venue_order_id and order.state.is_terminal for order in told
    )


def _finding(code: str, state: VenueOrder, journal: str, action: str, now: int) -> Finding:
    return Finding(
        code=code,
        instrument=state.instrument,
        subject=state.venue_order_id,
        journal=journal,
        venue=f"{state.side} {state.quantity} @ {state.price}, {state.state}",
        action=action,
        ts_event=now,
    )
