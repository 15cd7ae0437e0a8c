"""The run's own objects as the shapes that are told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nautilus_trader.model import InstrumentId, Venue

from fairlead.engine.guard.run_state import DenialRecord
from fairlead.engine.observe.account import Account, unit_of
from fairlead.engine.observe.assumptions import plain
from fairlead.engine.observe.page import told
from fairlead.engine.observe.summary import mark_price
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import REDUCE_TAG, Finding, role_of
from fairlead.engine.secrets import redact

if TYPE_CHECKING:
    from fairlead.engine.observe.page.sources import ShownAccount, Sources
    from fairlead.engine.status import BookStatus, StreamStatus

DEPTH_LEVELS = 25
ZERO = Decimal(0)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def of_order(order: LiveOrder, *, is_unknown: bool) -> told.OrderTold:
    """Of an order desk's."""
    known = order.told
    condition = known.trigger_condition
    return told.OrderTold(
        client_order_id=known.client_order_id,
        venue_order_id=order.venue_order_id,
        strategy=known.strategy,
        instrument=known.instrument,
        side=known.side.value,
        kind=known.kind.value,
        role=known.role.value,
        state=order.state.value,
        quantity=plain(known.quantity),
        filled=plain(order.filled),
        price=_text(known.price),
        trigger_price=_text(known.trigger_price),
        trigger_condition=None if condition is None else condition.value,
        time_in_force=known.time_in_force.value,
        is_unknown=is_unknown,
        is_missing=order.is_missing,
        cancel_requested=order.cancel_requested,
        ts_ns=order.ts_sent,
    )


def of_simulated(order: Any) -> told.OrderTold:
    """Of NautilusTrader's, on paper."""
    tags = order.tags or ()
    reduce_only = order.is_reduce_only or REDUCE_TAG in tags
    void = order.venue_order_id
    return told.OrderTold(
        client_order_id=str(order.client_order_id),
        venue_order_id=None if void is None else str(void),
        strategy=str(order.strategy_id),
        instrument=str(order.instrument_id),
        side=order.side.name,
        kind=order.order_type.name,
        role=role_of(tags, reduce_only=reduce_only).value,
        state=order.status.name,
        quantity=str(order.quantity),
        filled=str(order.filled_qty),
        price=_named(order, "price"),
        trigger_price=_named(order, "trigger_price"),
        trigger_condition=None,
        time_in_force=order.time_in_force.name,
        is_unknown=False,
        is_missing=False,
        cancel_requested=order.status.name == "PENDING_CANCEL",
        ts_ns=order.ts_init,
    )


def _named(order: Any, name: str) -> str | None:
    value = getattr(order, name, None)
    return None if value is None else str(value)


def of_fill(event: Any) -> told.FillTold:
    """Of NautilusTrader's event."""
    paid = event.commission
    side = event.liquidity_side.name
    return told.FillTold(
        client_order_id=str(event.client_order_id),
        trade_id=str(event.trade_id),
        strategy=str(event.strategy_id),
        instrument=str(event.instrument_id),
        side=event.order_side.name,
        quantity=str(event.last_qty),
        price=str(event.last_px),
        fee="0" if paid is None else plain(paid.as_decimal()),
        fee_currency="" if paid is None else paid.currency.code,
        is_maker=None if side not in ("MAKER", "TAKER") else side == "MAKER",
        ts_ns=event.ts_event,
    )


def of_stream(one: StreamStatus) -> told.StreamTold:
    return told.StreamTold(
        name=one.name,
        state=one.state.value,
        connected_since_ns=one.connected_since_ns,
        last_frame_ns=one.last_frame_ns,
        frames=one.frames,
        reconnects=one.reconnects,
        parse_errors=one.parse_errors,
        gaps=one.gaps,
        last_error=redact(one.last_error),
    )


def of_book(one: BookStatus, cache: Any) -> told.BookTold:
    top = None
    if cache is not None:
        top = cache.top_of_book(InstrumentId.from_str(one.instrument))
    return told.BookTold(
        instrument=one.instrument,
        state=one.state.value,
        since_ns=one.since_ns,
        last_update_ns=one.last_update_ns,
        gaps=one.gaps,
        resyncs=one.resyncs,
        bid=None if top is None else str(top[0]),
        ask=None if top is None else str(top[2]),
    )


def depth_of(cache: Any, instrument: str, now_ns: int) -> told.Depth:
    """Raises ValueError for what is no instrument id, LookupError where there is no book."""
    book = cache.order_book(InstrumentId.from_str(instrument))
    if book is None:
        raise LookupError(f"there is no book of {instrument}")
    bids, asks = (
        [[str(one.price), plain(Decimal(str(one.size())))] for one in levels[:DEPTH_LEVELS]]
        for levels in (book.bids(), book.asks())
    )
    return told.Depth(instrument=instrument, now_ns=now_ns, bids=bids, asks=asks)


def of_denial(one: DenialRecord) -> told.DenialTold:
    return told.DenialTold(
        ts_ns=one.ts_ns,
        code=one.denial.code,
        message=redact(one.denial.message),
        strategy=one.strategy,
        instrument=one.instrument,
        client_order_id=one.client_order_id,
    )


def of_finding(one: Finding) -> str:
    """In words."""
    return f"{one.instrument} {one.subject}: journal {one.journal}, venue {one.venue}; {one.action}"


def positions(sources: Sources) -> Iterator[tuple[str, told.PositionTold]]:
    """Of each instrument of the config. Raises JournalError."""
    gate, cache = sources.gate, sources.cache
    if gate is None or cache is None:
        return
    engine: defaultdict[str, dict[str, Decimal]] = defaultdict(dict)
    for (strategy, name), quantity in gate.ledger.by_strategy.items():
        engine[name][strategy] = quantity
    journals: defaultdict[str, dict[str, tuple[Decimal, Decimal | None]]] = defaultdict(dict)
    for account in sources.accounts:
        for one in account.journal.positions():
            journals[one.instrument][one.strategy] = (one.quantity, one.avg_price)
    for name in dict.fromkeys((*sources.loaded.config.instruments, *engine, *journals)):
        instrument = cache.instrument(InstrumentId.from_str(name))
        if instrument is not None:
            yield name, _position(sources, instrument, engine[name], journals[name])


def _position(
    sources: Sources,
    instrument: Any,
    engine: dict[str, Decimal],
    journal: dict[str, tuple[Decimal, Decimal | None]],
) -> told.PositionTold:
    base = instrument.base_currency.code
    held = sum(engine.values(), ZERO)
    mark = mark_price(sources.cache, instrument.id)
    account = Account(instrument)
    worth = None if mark is None else account.value(held, mark)
    parts = [
        told.PartTold(
            strategy=name,
            engine=plain(engine.get(name, ZERO)),
            journal=plain(journal.get(name, (ZERO, None))[0]) if sources.is_real else None,
            avg_price=_rounded(journal.get(name, (ZERO, None))[1]),
        )
        for name in sorted({*engine, *journal})
    ]
    kept = sum((one for one, _ in journal.values()), ZERO)
    step = instrument.size_increment.as_decimal()
    return told.PositionTold(
        instrument=str(instrument.id),
        base=base,
        quote=getattr(instrument, "settlement_currency", instrument.quote_currency).code,
        unit=unit_of(account.contract, base),
        engine=plain(held),
        journal=plain(kept) if sources.is_real else None,
        venue=_balance(sources.cache, instrument.id.venue, base),
        mark=_text(mark),
        worth=_rounded(worth),
        is_apart=sources.is_real and _are_apart(engine, journal, step),
        strategies=[one for one in parts if one.engine != "0" or one.journal not in (None, "0")],
    )


def _are_apart(
    engine: dict[str, Decimal],
    journal: dict[str, tuple[Decimal, Decimal | None]],
    step: Decimal,
) -> bool:
    """Whether they differ by an increment, of a strategy or in all."""
    by = [engine.get(one, ZERO) - journal.get(one, (ZERO, None))[0] for one in {*engine, *journal}]
    return any(abs(one) >= step for one in (*by, sum(by, ZERO)))


def _rounded(value: Decimal | None) -> str | None:
    return None if value is None else plain(round(value, 8))


def _balance(cache: Any, venue: Venue, currency: str) -> str | None:
    account = cache.account_for_venue(venue)
    if account is None or account.account_type.name != "CASH":
        return None
    for held, balance in account.balances().items():
        if held.code == currency:
            return plain(balance.total.as_decimal())
    return "0"


def compared(account: ShownAccount) -> told.ComparedTold:
    return told.ComparedTold(
        venue=account.venue.lower(),
        account=account.account,
        ts_ns=account.compared_ns,
        findings=len(account.findings),
    )
