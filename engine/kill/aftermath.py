"""What a kill has come to by the journal: what the run beside it has done, and what is held yet.

The run's own thread, and its loop, are often first: the command then finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec

from fairlead.engine.kill.bare import Bare
from fairlead.engine.kill.sweep import SweptOrder
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import OrderState, Side

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
    gone: Mapping[str, OrderState],
    own: Collection[str],
    least: Mapping[str, Decimal],
    bare: Callable[[Journal, Collection[str]], Iterable[Bare]],
) -> Aftermath:
    """Since `since_ns`, UNIX ns. `gone` are the orders that the command saw to, and how they ended,
    `own` those that it sent to close; positions below the `least` that the venue takes are none;
    `bare` are those without their stop, once these orders are cancelled. Raises JournalError.
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
        ended = [name for name, state in gone.items() if state is not OrderState.FILLED]
        stopless = {(one.strategy, one.instrument) for one in bare(journal, ended)}
        stays = [
            Stays(
                strategy=one.strategy,
                instrument=one.instrument,
                quantity=one.quantity,
                is_stop_gone=(one.strategy, one.instrument) in stopless,
            )
            for one in journal.positions()
            if covers(one.strategy)
            and one.quantity
            and abs(one.quantity) >= least.get(one.instrument, Decimal(0))
        ]
    return Aftermath(cancelled=cancelled, closed=closed, stays=stays)
