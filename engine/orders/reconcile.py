"""Compare what the journal knows with what the venue holds, and name every difference."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from fairlead.engine.orders.journal import Journal, JournaledOrder
from fairlead.engine.orders.live import KILL_STRATEGY, STOP_KINDS, LiveOrder, could_be, fired
from fairlead.engine.orders.model import (
    Finding,
    OrderState,
    VenueFill,
    VenueOrder,
    VenueOrders,
    own_id,
    ref_of,
)

ORDER_OF_ANOTHER = "ORDER-OF-ANOTHER-ENGINE"
LEFT_ALONE = "left alone: it is no strategy's, and this run does not cancel it"
_ENGINE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
LISTING_LAG_NS = 60 * 1_000_000_000  # a list may be this old; an order's end is not undone by it


class Comparison(msgspec.Struct, frozen=True):
    """`externals` are open orders that someone else sent; `late` were given up here, yet live."""

    findings: tuple[Finding, ...]
    externals: tuple[VenueOrder, ...]
    late: tuple[VenueOrder, ...]


class Knowing(Protocol):
    """Who knows the account's orders: an order desk, or what reads its journal."""

    @property
    def journal(self) -> Journal: ...
    def get(self, client_order_id: str) -> LiveOrder | None: ...
    def live_orders(self) -> list[LiveOrder]: ...
    def unresolved(self) -> list[LiveOrder]: ...
    def may_turn_up_unnamed(self) -> list[LiveOrder]: ...
    def pushed_order(self, state: VenueOrder, fill: VenueFill | None) -> None: ...


async def compare(
    venue: VenueOrders,
    desk: Knowing,
    instruments: Sequence[str],
    now_ns: Callable[[], int],
) -> Comparison:
    """Look at every open order of the account in these instruments.

    Raises VenueUnavailable when the venue can't be read whole; nothing is concluded then.
    """
    findings: list[Finding] = []
    externals: list[VenueOrder] = []
    late: list[VenueOrder] = []
    listed = await venue.open_orders(instruments)
    # Read after the listing: it can show an order that was sent while it was asked for.
    given_up = desk.may_turn_up_unnamed()
    unproven = [order.intent for order in (*desk.unresolved(), *given_up)]
    # A stop may have fired since it was read, and stand under an id of its own.
    unproven += [
        fired(order.intent)
        for order in (*desk.live_orders(), *given_up)
        if order.intent.kind in STOP_KINDS and not order.is_held
    ]
    for state in listed:
        owner = _owner(desk, state)
        if owner is not None and (live := desk.get(owner)) is not None:
            if live.is_held:  # what was released of it, and given up
                desk.pushed_order(state, None)
            continue
        if owner is not None and _is_killers(desk.journal.order(owner)):
            continue  # `fairlead kill` is flattening from its own process: it looks after it
        if owner is None and any(could_be(intent, state) for intent in unproven):
            continue  # perhaps the answer to a lost submit: the desk's own search decides
        if owner is not None:
            if await _has_ended(venue, desk, owner, state, now_ns()):
                continue
            late.append(state)
            findings.append(_finding("ORDER-LATE", state, "terminal", "cancelled", now_ns()))
            continue
        if _was_a_stop(desk, state, now_ns()):
            continue
        externals.append(state)
        findings.append(_external(state, now_ns()))
    return Comparison(tuple(findings), tuple(externals), tuple(late))


def _owner(desk: Knowing, state: VenueOrder) -> str | None:
    """By its client order id first: a venue that was reset gives its own ids again."""
    named = own_id(state.client_order_id or "")
    if named and desk.journal.order(named) is not None:
        return named
    return desk.journal.order_by_venue_id(state.instrument, state.venue_order_id)


def _was_a_stop(desk: Knowing, state: VenueOrder, now: int) -> bool:
    """Whether it may be what a stop became that fired, and ended, while the list was read."""
    ended = desk.journal.over_since(now - LISTING_LAG_NS)
    stops = [order.intent for order in ended if order.intent.kind in STOP_KINDS]
    return any(could_be(fired(intent), state) for intent in stops)


def _external(state: VenueOrder, now: int) -> Finding:
    if not is_of_an_engine(state.client_order_id):
        return _finding("ORDER-EXTERNAL", state, "unknown", LEFT_ALONE, now)
    return _finding(
        ORDER_OF_ANOTHER,
        state,
        f"knows no {state.client_order_id}",
        f"{LEFT_ALONE}; its id is one of an engine like this: another one trades this account, or "
        "this journal is not the one that sent it",
        now,
    )


def is_of_an_engine(client_order_id: str | None) -> bool:
    """Whether the id looks like those that engines like this one make (a random UUID)."""
    return client_order_id is not None and _ENGINE_ID.fullmatch(client_order_id) is not None


def _is_killers(order: JournaledOrder | None) -> bool:
    return (
        order is not None and order.intent.strategy == KILL_STRATEGY and not order.state.is_terminal
    )


async def _has_ended(
    venue: VenueOrders, desk: Knowing, owner: str, listed: VenueOrder, now: int
) -> bool:
    """Whether the listing is only older than the order's end, which the venue has told.

    Raises VenueUnavailable.
    """
    journaled = desk.journal.order(owner)
    if journaled is None or journaled.state is OrderState.REFUSED:
        return False
    ended = desk.journal.ended_at(owner)
    if now - ended < LISTING_LAG_NS:
        return True
    told = await venue.orders([ref_of(listed)])
    return not any(
        order.venue_order_id == listed.venue_order_id and not order.state.is_terminal
        for order in told
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
