"""What a kill has come to by the journal: what the run beside it has done, and what is held yet.

The run's own thread, and its loop, are often first: the command then finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec

from fairlead.engine.kill.sweep import SweptOrder
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import OrderState, Role, Side

BY_RUN = "cancelled by the run itself"


class Stays(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's position that a kill leaves, signed base units, by the journal."""

    strategy: str
    instrument: str
    quantity: Decimal
    is_stop_gone: bool

    def __str__(self) -> str:
        without = ": ITS STOP IS GONE" if self.is_stop_gone else ""
        return f"{self.instrument} position {self.quantity:f} of {self.strategy} stays{without}"


class Aftermath(msgspec.Struct, frozen=True, kw_only=True):
    """`cancelled` by the run; `closed` by it: what it bought (sold: negative), base units."""

    cancelled: list[SweptOrder]
    closed: dict[str, Decimal]
    stays: list[Stays]


def aftermath(
    path: Path,
    covers: Callable[[str], bool],
    since_ns: int,
    *,
    gone: Collection[str],
    own: Collection[str],
    least: Mapping[str, Decimal],
) -> Aftermath:
    """Since `since_ns`, UNIX ns. `gone` are the orders that the command saw to, `own` those that it
    sent to close; positions below the `least` that the venue takes are none. Raises JournalError.
    """
    with closing(Journal.reading(path)) as journal:
        cancelled: list[SweptOrder] = []
        closed: dict[str, Decimal] = {}
        for order in journal.over_since(since_ns):
            intent = order.intent
            if intent.strategy == KILL_STRATEGY:
                if order.filled and intent.client_order_id not in own:
                    bought = order.filled if intent.side is Side.BUY else -order.filled
                    closed[intent.instrument] = closed.get(intent.instrument, Decimal(0)) + bought
            elif (
                order.state is OrderState.CANCELED
                and covers(intent.strategy)
                and intent.client_order_id not in gone
            ):
                swept = SweptOrder(
                    instrument=intent.instrument,
                    venue_order_id=order.venue_order_id or "",
                    client_order_id=intent.client_order_id,
                    strategy=intent.strategy,
                    state=order.state,
                    is_left=False,
                    detail=BY_RUN,
                )
                cancelled.append(swept)
        bare = _without_stop(journal, {*gone, *(one.client_order_id for one in cancelled)})
        stays = [
            Stays(
                strategy=one.strategy,
                instrument=one.instrument,
                quantity=one.quantity,
                is_stop_gone=(one.strategy, one.instrument) in bare,
            )
            for one in journal.positions()
            if covers(one.strategy)
            and one.quantity
            and abs(one.quantity) >= least.get(one.instrument, Decimal(0))
        ]
    return Aftermath(cancelled=cancelled, closed=closed, stays=stays)


def _without_stop(journal: Journal, gone: Collection[str]) -> set[tuple[str, str]]:
    """By strategy and instrument: a stop is gone, and none is left."""
    orders = [order for name in gone if (order := journal.order(name)) is not None]
    stopped = {
        (order.intent.strategy, order.intent.instrument)
        for order in orders
        if order.intent.role is Role.STOP
    }
    left = {
        (order.intent.strategy, order.intent.instrument)
        for order in (journal.open_orders() if stopped else ())
        if order.intent.role is Role.STOP and order.intent.client_order_id not in gone
    }
    return stopped - left
