"""Rows of the gateway to orders, executions and balances (sections 3, 5, 7). Pure.

Raises ParseError for what can't be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from fairlead.adapters.base.venue import ParseError, VenueInstrument
from fairlead.adapters.mudawyl import schemas as s
from fairlead.adapters.mudawyl.schemas import told
from fairlead.engine.orders.model import (
    Kind,
    OrderState,
    Side,
    TriggerCondition,
    VenueBalance,
    VenueFill,
    VenueOrder,
)

MAX_VALUE = Decimal(10) ** 15
NS_PER_MS = 1_000_000
_MS_MIN, _MS_MAX = 1_000_000_000_000, 9_000_000_000_000  # 2001 to 2255
_ZERO = Decimal(0)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z?")
_YEARS = range(2001, 2256)
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_STATES = {
    "open": OrderState.OPEN,
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "canceling": OrderState.CANCELLING,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REFUSED,
}
STOPS = frozenset({"stop", "stop_market"})
TARGETS = frozenset({"take_profit", "take_profit_market"})
TRAILING = "trailing_stop_market"
TYPES = frozenset({"limit", "market", TRAILING}) | STOPS | TARGETS
_KINDS = {
    "stop": Kind.STOP_LIMIT,
    "stop_market": Kind.STOP_MARKET,
    "take_profit": Kind.LIMIT,
    "take_profit_market": Kind.MARKET_IF_TOUCHED,
    TRAILING: Kind.TRAILING_STOP_MARKET,
}
_TRIGGERED = frozenset({Kind.STOP_LIMIT, Kind.STOP_MARKET, Kind.MARKET_IF_TOUCHED})
_WAITING = _TRIGGERED | {Kind.TRAILING_STOP_MARKET}  # whose price a row need not tell
_PRICED = frozenset({Kind.LIMIT, Kind.STOP_LIMIT})


def time_ns(text: str | None) -> int:
    """ISO 8601, UTC also where the Z is missing; 0 for none. Raises ParseError."""
    if not text:
        return 0
    match = _TIME.fullmatch(text)
    try:
        at = datetime.fromisoformat(match[1] if match else "").replace(tzinfo=UTC)
    except ValueError as error:
        raise ParseError("time", f"expected ISO 8601, received {text[:40]!r}") from error
    if match is None or at.year not in _YEARS:
        raise ParseError("time", f"expected a year of {_YEARS}, received {text[:40]!r}")
    return int(at.timestamp()) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))


def _positive(value: s.Number, name: str) -> Decimal | None:
    """A value above zero; zero, null and nothing are none. Raises ParseError."""
    found = told(value)
    if not found:
        return None
    if not 0 < found <= MAX_VALUE:
        raise ParseError(name, f"expected a value above 0, received {found}")
    return found


def created_ns(row: s.Order) -> int:
    """0 where it tells none. Raises ParseError for one in another unit."""
    millis = told(row.timestamp)
    return ms_ns(millis) if millis else time_ns(told(row.datetime))


def ms_ns(millis: int | None) -> int:
    """0 for none. Raises ParseError for another unit."""
    if not millis:
        return 0
    if not _MS_MIN <= millis <= _MS_MAX:
        raise ParseError("time", f"expected milliseconds since 1970, received {millis}")
    return millis * NS_PER_MS


def kind_of(row: s.Order) -> Kind:
    """What an order is here. Raises ParseError for a type that the document does not list.

    A target is a limit order that the gateway places when its price is reached, which is where it
    would trade. What was triggered is told as a limit or a market order with its stop price.
    """
    if row.type not in TYPES:
        raise ParseError("order", f"expected a type of {sorted(TYPES)}, received {row.type[:30]!r}")
    trigger, price = told(row.stop_price), told(row.price)
    if row.type == "limit":
        return Kind.STOP_LIMIT if trigger and trigger != price else Kind.LIMIT
    if row.type == "market":
        return Kind.STOP_MARKET if trigger else Kind.MARKET
    return _KINDS[row.type]


def order(row: s.Order, instrument: VenueInstrument, closes: Decimal = _ZERO) -> VenueOrder:
    """One order; `closes` is the quantity of one that closes the position, whatever that is.

    Raises ParseError.
    """
    kind, side = kind_of(row), _SIDES[row.side]
    filled = _positive(row.filled, "filled") or _ZERO
    quantity = _positive(row.amount, "amount") or max(closes, filled)
    status = told(row.status) or ""
    if status not in _STATES or row.symbol != instrument.symbol or not quantity:
        raise ParseError("order", f"{row.id}: a row without a known status, symbol or amount")
    if filled > quantity:
        raise ParseError("order", f"{row.id}: {filled} of {quantity} is filled")
    state = _STATES[status]
    trigger = _positive(row.stop_price, "stopPrice") if kind in _TRIGGERED else None
    if kind in _WAITING and row.type not in ("limit", "market") and state is OrderState.OPEN:
        state = OrderState.WAITING
    if state is OrderState.FILLED and filled < quantity:
        state = OrderState.CANCELED
    return VenueOrder(
        venue_order_id=row.id,
        instrument=instrument.id,
        side=side,
        kind=kind,
        state=state,
        quantity=quantity,
        filled=filled,
        avg_price=_average(row, filled),
        price=_positive(row.price, "price") if kind in _PRICED else None,
        trigger_price=trigger,
        trigger_condition=_condition(side, kind) if trigger else None,
        triggered=told(row.stop_price) is not None and row.type in ("limit", "market"),
        ts_created=created_ns(row),
    )


def _average(row: s.Order, filled: Decimal) -> Decimal | None:
    if not filled:
        return None
    cost = _positive(row.cost, "cost")
    return _positive(row.average, "average") or (cost / filled if cost else None)


def _condition(side: Side, kind: Kind) -> TriggerCondition:
    """A buy stop fires at or above its trigger, a sell stop at or below; targets the other way."""
    rises = (side is Side.BUY) is not (kind is Kind.MARKET_IF_TOUCHED)
    return TriggerCondition.GTE if rises else TriggerCondition.LTE


def fill(row: s.Trade, instrument: VenueInstrument) -> VenueFill:
    """One execution. Raises ParseError."""
    fee = told(row.fee)
    cost = None if fee is None else told(fee.cost)
    currency = None if fee is None else told(fee.currency)
    price, quantity = _positive(row.price, "price"), _positive(row.amount, "amount")
    if price is None or quantity is None or row.symbol != instrument.symbol:
        raise ParseError("trade", f"{row.id}: a row without price, amount or a known symbol")
    if cost is None or not currency:
        cost, currency = price * quantity * instrument.taker_fee, instrument.quote
    liquidity = told(row.taker_or_maker)
    return VenueFill(
        venue_order_id=row.order,
        trade_id=row.id,
        instrument=instrument.id,
        side=_SIDES[row.side],
        quantity=quantity,
        price=price,
        fee=cost,
        fee_currency=currency.upper(),
        is_maker=None if liquidity is None else liquidity == "maker",
        ts_event=time_ns(row.datetime),
    )


def held(row: s.Position | None) -> tuple[Decimal, Decimal]:
    """Signed quantity and entry price; however a flat position looks, it is zero.

    Raises ParseError.
    """
    contracts = None if row is None else _positive(row.contracts, "contracts")
    if row is None or contracts is None:
        return _ZERO, _ZERO
    size = contracts * (_positive(row.contract_size, "contractSize") or 1)
    side, entry = told(row.side), _positive(row.entry_price, "entryPrice")
    if side not in ("long", "short") or entry is None:
        raise ParseError("position", f"expected side and entry price, received {side!r}, {entry}")
    return (size if side == "long" else -size), entry


def balances(
    row: s.KeyBalance,
    positions: Mapping[str, tuple[Decimal, Decimal]],
    known: Mapping[str, VenueInstrument],
) -> list[VenueBalance]:
    """The account as if it had paid for its positions: what the journal's executions add up to.

    A position of +0.1 bought at 20000 is 0.1 of the base and -2000 of the quote currency. So the
    one comparison of balances compares positions too. `positions` are by instrument.
    """
    totals = dict(row.total)
    for name, (quantity, entry) in positions.items():
        facts = known[name]
        totals[facts.base] = totals.get(facts.base, _ZERO) + quantity
        totals[facts.quote] = totals.get(facts.quote, _ZERO) - quantity * entry
    return [
        VenueBalance(currency=currency.upper(), free=total, locked=_ZERO)
        for currency, total in totals.items()
    ]
