"""What the order journal says that was executed, summed up like a run.

NautilusTrader's cache can't tell: it makes up orders for a position that it takes over, in whole
increments, and tells what an earlier run executed of an order within that order. Of a live session
that was killed and started again the journal tells both runs: it outlives them.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from nautilus_trader.model import InstrumentId

from fairlead.engine.observe import summary
from fairlead.engine.observe.account import Books
from fairlead.engine.observe.gone import Gone, Unsent, refusal, unsent
from fairlead.engine.observe.reasons import counted, has_reached, sorted_out, told_by
from fairlead.engine.orders.journal import Journal, JournaledOrder
from fairlead.engine.orders.journal_reads import JournalReads
from fairlead.engine.orders.model import OrderState, VenueFill
from fairlead.engine.orders.taken_over import Handed, Share, handed_since, shares

ZERO = Decimal(0)
UNOWNED = "(no order of it)"  # a fill whose order the journal has lost


class Opening(msgspec.Struct, frozen=True):
    """A journal before a run: its newest record (seq), net positions, orders not over."""

    seq: int
    # quantity and signed cost, by strategy and instrument
    positions: dict[tuple[str, str], tuple[Decimal, Decimal]]
    orders: frozenset[str]


_REASONED = frozenset({OrderState.REFUSED, OrderState.CANCELED, OrderState.EXPIRED})


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """What was booked from an opening on: every execution, and each order that was live then.

    The first `counted` of the executions were booked before the account's balances were read for
    the first time: what it began with by NautilusTrader has them already. Of the orders `unproven`
    were of unknown outcome then.
    """

    positions: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}  # at the opening
    orders: list[JournaledOrder] = []
    fills: list[tuple[str, VenueFill]] = []  # by client order id, as they were booked
    handed: list[Handed] = []  # positions, to a kill that was to close them, and back
    counted: int = 0
    unproven: frozenset[str] = frozenset()
    reasons: dict[str, str] = {}  # of the orders that were refused, or that the venue ended
    cancelled: dict[str, int] = {}  # when the venue took the cancel of an order, UNIX ns


def opening(journal: JournalReads) -> Opening:
    """Raises JournalError."""
    positions = {
        (one.strategy, one.instrument): (one.quantity, one.cost)
        for one in journal.positions()
        if one.quantity or one.cost
    }
    orders = frozenset(one.intent.client_order_id for one in journal.open_orders())
    return Opening(journal.newest(), positions, orders)


def booked(
    journal: JournalReads, since: Opening, counted: int = 0, unproven: frozenset[str] = frozenset()
) -> Booked:
    """Raises JournalError."""
    names, fills = journal.booked_since(since.seq)
    names |= since.orders | {name for name, _ in fills}
    orders = [order for name in sorted(names) if (order := journal.order(name)) is not None]
    ended = {one.intent.client_order_id: one.state for one in orders if one.state in _REASONED}
    told = {name: told_by(journal.refusal(name, state)) for name, state in ended.items()}
    reasons = {n: why for n, why in told.items() if why or ended[n] is OrderState.REFUSED}
    return Booked(
        positions=since.positions,
        orders=orders,
        fills=fills,
        handed=handed_since(journal, since.seq),
        counted=counted,
        unproven=unproven,
        reasons=reasons,
        cancelled=journal.cancels_taken_since(since.seq),
    )


def trading(
    path: Path,
    instruments: Mapping[str, Any],
    marks: Mapping[str, Decimal],
    start_ns: int,
    end_ns: int,
) -> summary.Trading:
    """Orders sent in the span and their fills. Instruments are NautilusTrader's, by id."""
    with closing(Journal.reading(path)) as journal:
        found = booked(journal, Opening(0, {}, frozenset()))
    orders = [order for order in found.orders if start_ns <= order.ts_sent <= end_ns]
    names = {order.intent.client_order_id for order in orders}
    fills = [(name, fill) for name, fill in found.fills if name in names]
    return _added_up(
        [Booked(orders=orders, fills=fills, reasons=found.reasons)], instruments, marks
    )


def live_trading(
    cache: Any, instruments: Iterable[str], runs: Sequence[Booked], gone: Iterable[Gone] = ()
) -> summary.Trading:
    """What one live run executed, by the journals of its accounts.

    The cache adds the orders that were denied, which no journal has, and the marks; `gone` are
    those that it held before.
    """
    ids = {name: InstrumentId.from_str(name) for name in instruments}
    known = {name: found for name, one in ids.items() if (found := cache.instrument(one))}
    marks = {
        name: mark for name in known if (mark := summary.mark_price(cache, ids[name])) is not None
    }
    kinds: dict[str, str] = {}
    reasons: dict[str, str] = {}
    never_sent: dict[str, Unsent] = {}
    for name, kind, reason, kept in (*map(_of_gone, gone), *map(_of_cached, cache.orders())):
        kinds[name] = kind
        if reason is not None:
            reasons[name] = reason
        never_sent.pop(name, None)
        if kept is not None:
            never_sent[name] = kept
    return _added_up(runs, known, marks, list(never_sent.values()), kinds, reasons)


def _of_gone(one: Gone) -> tuple[str, str, str | None, Unsent | None]:
    return one.row["client_order_id"], one.row["kind"], one.refused, one.unsent


def _of_cached(order: Any) -> tuple[str, str, str | None, Unsent | None]:
    """Its id, its kind as its strategy gave it, why it was refused, and itself if never sent."""
    return str(order.client_order_id), order.order_type.name, refusal(order), unsent(order)


def _added_up(
    runs: Sequence[Booked],
    instruments: Mapping[str, Any],
    marks: Mapping[str, Decimal],
    cached: Sequence[Unsent] = (),
    kinds: Mapping[str, str] = MappingProxyType({}),
    reasons: Mapping[str, str] = MappingProxyType({}),
) -> summary.Trading:
    """`kinds` are those that strategies gave, where a held order was released as another;
    `reasons` those of refusals that the run itself was told of."""
    books = Books(instruments)
    books.open(one for run in runs for one in run.positions.items())
    orders = [order for run in runs for order in run.orders]
    fills = [one for run in runs for one in run.fills]
    fees: defaultdict[str, Decimal] = defaultdict(Decimal)
    filled: dict[str, Decimal] = {}
    for name, fill in fills:
        if fill.fee or fill.fee_currency:  # else nobody told one, as older journals have it
            fees[fill.fee_currency] += fill.fee
        filled[name] = filled.get(name, ZERO) + fill.quantity
    for run in runs:
        _book(books, run)
    denied = {one.client_order_id for one in cached if one.status == "DENIED"}
    sent = [one for one in orders if one.intent.client_order_id not in denied]
    journaled = {order.intent.client_order_id for order in orders}
    never_sent = [one for one in cached if one.client_order_id not in journaled - denied]
    known = {name: reason for run in runs for name, reason in run.reasons.items()}
    known |= reasons
    refused = [
        (one, known.get(one.intent.client_order_id, ""))
        for one in sent
        if one.state is OrderState.REFUSED
    ]
    of = sorted_out(
        [reason for _, reason in refused]
        + [reasons.get(one.client_order_id, "") for one in never_sent if one.status == "REJECTED"]
    )
    lines = [_order_line(one, filled.get(one.intent.client_order_id, ZERO)) for one in sent]
    lines += [one.line for one in never_sent]
    lines += [_fill_line(fill) for _, fill in fills]
    makers = [fill.is_maker for _, fill in fills]
    return summary.Trading(
        orders=len(sent) + len(never_sent),
        orders_by_kind=_counted(
            [kinds.get(one.intent.client_order_id, one.intent.kind.value) for one in sent]
            + [one.kind for one in never_sent]
        ),
        orders_by_status=_counted(
            [_status(one) for one in sent] + [one.status for one in never_sent]
        ),
        accepted=sum(one.venue_order_id is not None for one in sent),
        sent=sum(one.venue_order_id is not None for one in sent)
        + sum(one.venue_order_id is None and has_reached(reason) for one, reason in refused),
        filled=len(filled.keys() & journaled),
        fills=len(fills),
        maker_fills=None if None in makers else sum(one is True for one in makers),
        native_denials=summary.denials_by_name(
            reason for one in never_sent for reason in one.denials
        ),
        rejection_reasons=counted(of.rejected),
        unsent_reasons=counted(of.unsent),
        absent_reasons=counted(of.absent),
        fees=dict(sorted(fees.items())),
        instruments=books.instruments(marks),
        strategies=books.strategies(marks),
        orders_digest=hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest(),
    )


def whose(
    run: Booked, base_of: Callable[[str], str | None]
) -> tuple[list[tuple[Share, ...]], list[Handed]]:
    """Of each of its executions; and what was handed over for good. See `taken_over.shares`."""
    owners = {order.intent.client_order_id: order.intent.strategy for order in run.orders}
    owned = [(owners.get(name, UNOWNED), fill) for name, fill in run.fills]
    return shares(owned, run.handed, base_of)


def _book(books: Books, run: Booked) -> None:
    """Each execution, and each position that was handed over, in their order."""
    parts, handed = whose(run, books.base_of)
    for at, ((_, fill), of) in enumerate(zip(run.fills, parts, strict=True)):
        while handed and handed[0].at <= at:
            books.hand(handed.pop(0))
        books.book(of, fill)
    for one in handed:
        books.hand(one)


def _status(order: JournaledOrder) -> str:
    if order.filled and order.state in (OrderState.OPEN, OrderState.WAITING):
        return "PARTIALLY_FILLED"
    return order.state.status


def _order_line(order: JournaledOrder, filled: Decimal) -> str:
    """What identifies an order's course; its ids are random and left out."""
    one = order.intent
    what = (one.instrument, one.side, one.kind, one.quantity, one.price)
    parts = (one.strategy, one.ts_init, *what)
    return "|".join(map(str, ("order", *parts, one.trigger_price, order.state, filled)))


def _fill_line(fill: VenueFill) -> str:
    parts = (fill.ts_event, fill.instrument, fill.side, fill.price, fill.quantity, fill.fee)
    return "|".join(map(str, ("fill", *parts, fill.fee_currency)))


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def executed(path: Path) -> tuple[dict[str, Decimal], int]:
    """Executed quantity by venue order id, and the number of fills, over the whole journal."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT venue_order_id, filled FROM orders WHERE venue_order_id IS NOT NULL"
        ).fetchall()
        fills = db.execute("SELECT count(*) FROM fills").fetchone()[0]
    return {str(void): Decimal(filled) for void, filled in rows}, int(fills)
