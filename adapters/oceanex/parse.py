"""Bytes of the venue to values. Pure and total: any bytes give a value or raise `ParseError`.

Prices and sizes of the hot path stay text for `fairlead.adapters.base.book`; everything else is
Decimal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import AggressorSide, Bar, BarType, InstrumentId, TradeTick

from fairlead.adapters.base.book import Numbers, padded
from fairlead.adapters.base.decode import MISREAD, bounded, check_numbers, not_negative
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.oceanex import schemas as s
from fairlead.engine import identifiers
from fairlead.engine.orders.model import (
    Kind,
    OrderState,
    Side,
    TriggerCondition,
    VenueBalance,
    VenueOrder,
)
from fairlead.engine.orders.trigger import kind_for

MAX_FRAME_BYTES = 4 * 1024 * 1024
MAX_DECIMAL_DIGITS = 40
MAX_EPOCH_SECS = 9_000_000_000  # year 2255; beyond, nanoseconds leave 64 bits
NS_PER_SEC = 1_000_000_000

_QUOTE = ord('"')

_frame = msgspec.json.Decoder(s.PushFrame)
_text = msgspec.json.Decoder(str)
_book = msgspec.json.Decoder(s.PushBook)
_envelope = msgspec.json.Decoder(s.Envelope, strict=False)

# The document's own examples of 1011 and 9003 hold unescaped quotes: not JSON, yet clear.
_UNQUOTED_CODES = frozenset({1011, 9003})
_UNQUOTED = re.compile(rb'\A\s*\{.*"code"\s*:\s*(-?\d{1,6})\s*[,}].*\}\s*\Z', re.DOTALL)


def decimal(value: Decimal, where: str) -> Decimal:
    """Return `value` if it is finite and of a sane size, else raise ParseError."""
    if not value.is_finite():
        raise ParseError(where, "expected a finite number")
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_DECIMAL_DIGITS or value.adjusted() > 20:
        raise ParseError(where, "expected a number of at most 40 decimals and below 10^21")
    return value


def seconds_to_ns(secs: int, where: str) -> int:
    """Epoch seconds to nanoseconds. Raises ParseError."""
    if not 0 <= secs <= MAX_EPOCH_SECS:
        raise ParseError(where, f"expected epoch seconds, received {secs!r}")
    return secs * NS_PER_SEC


# -- REST ------------------------------------------------------------------------------------------


def envelope(body: bytes) -> s.Envelope:
    """Open a REST answer. Raises ParseError for anything but the venue's envelope (1)."""
    try:
        return _envelope.decode(body)
    except MISREAD as e:
        match = _UNQUOTED.match(body[:4096]) if len(body) <= 4096 else None
        if match is not None and int(match.group(1)) in _UNQUOTED_CODES:
            text = bounded(body.decode(errors="replace"))
            return s.Envelope(code=int(match.group(1)), message=text)
        raise ParseError("envelope", bounded(str(e))) from e


def opened_error(answer: s.Envelope) -> tuple[int, str, bool]:
    """Return (code, message, was wrapped) of an error.

    Code -2 may hold another error as JSON text, a refusal for rate among them (1.3).
    """
    if answer.code == -2:
        try:
            inner = msgspec.json.decode(answer.message, type=s.WrappedMessage, strict=False).error
        except MISREAD:
            return answer.code, bounded(answer.message), False
        return inner.code, bounded(inner.message), True
    return answer.code, bounded(answer.message), False


_SIDES = {"buy": Side.BUY, "sell": Side.SELL, "bid": Side.BUY, "ask": Side.SELL}
_STATES = {
    "wait": OrderState.OPEN,
    "wait_trigger": OrderState.WAITING,
    "cancelling": OrderState.CANCELLING,
    "cancel": OrderState.CANCELED,
    "done": OrderState.FILLED,
}


def _kind(row: s.Order, side: Side, condition: TriggerCondition | None) -> Kind:
    if row.ord_type == "limit":
        return Kind.LIMIT
    if row.ord_type == "market":
        return Kind.MARKET
    if row.ord_type == "stop_limit":
        return kind_for(side, condition)
    raise ParseError("order", f"unknown ord_type {row.ord_type[:20]!r}")


def _some(value: Decimal | None, where: str) -> Decimal | None:
    return None if value is None else not_negative(decimal(value, where), where)


def order(row: s.Order, instrument: str) -> VenueOrder:
    """An order row to a VenueOrder. Raises ParseError (sections 1.2, 4.4)."""
    side, state = _SIDES.get(row.side), _STATES.get(row.state)
    if side is None:
        raise ParseError("order", f"unknown side {row.side[:20]!r}")
    if state is None:
        raise ParseError("order", f"unknown state {row.state[:20]!r}")
    condition = None
    if row.trigger_condition:
        try:
            condition = TriggerCondition(row.trigger_condition)
        except ValueError as e:
            raise ParseError("order", "unknown trigger_condition") from e
    filled = decimal(row.executed_volume, "executed_volume")
    quantity = decimal(row.volume, "volume")
    if filled < 0 or quantity <= 0 or filled > quantity:
        raise ParseError("order", f"expected 0 <= {filled} executed <= {quantity} volume")
    price = _some(row.price, "price")
    average = _some(row.avg_price, "avg_price")
    is_stop = row.ord_type == "stop_limit"
    return VenueOrder(
        venue_order_id=str(row.id),
        instrument=instrument,
        side=side,
        kind=_kind(row, side, condition),
        state=state,
        quantity=quantity,
        filled=filled,
        avg_price=average if filled and average else None,
        price=None if row.ord_type == "market" or not price else price,
        trigger_price=_some(row.stop_price, "stop_price") if is_stop else None,
        trigger_condition=condition if is_stop else None,
        trades_count=row.trades_count,
        triggered=is_stop and (state in (OrderState.OPEN, OrderState.FILLED) or filled > 0),
        ts_created=0 if row.created_on is None else seconds_to_ns(row.created_on, "created_on"),
    )


def balances(member: s.Member) -> list[VenueBalance]:
    """`/members/me` to balances. Raises ParseError."""
    return [
        VenueBalance(
            currency=account.currency.upper(),
            free=not_negative(decimal(account.balance, "balance"), "balance"),
            locked=not_negative(decimal(account.locked, "locked"), "locked"),
        )
        for account in member.accounts
    ]


_AGGRESSORS = {
    "bid": AggressorSide.BUY,
    "ask": AggressorSide.SELL,
    "buy": AggressorSide.BUY,
    "sell": AggressorSide.SELL,
}


def _tick(
    instrument_id: InstrumentId,
    numbers: Numbers,
    side: str | None,
    trade_id: int,
    price: str,
    size: str,
    ts_event: int,
    ts_init: int,
) -> TradeTick:
    aggressor = _AGGRESSORS.get(side or "", AggressorSide.NO_AGGRESSOR)
    try:
        return TradeTick(
            instrument_id,
            numbers.prices[price],
            numbers.sizes[size],
            aggressor,
            identifiers.trade_id(str(trade_id)),
            ts_event,
            ts_init,
        )
    except (ValueError, OverflowError, TypeError) as e:
        raise ParseError("trade", bounded(str(e))) from e


def trade(row: s.Trade, instrument_id: InstrumentId, numbers: Numbers) -> TradeTick:
    """A row of `/trades` to a TradeTick; `ts_init` is the trade's time. Raises ParseError."""
    ts = seconds_to_ns(row.created_on, "created_on")
    return _tick(instrument_id, numbers, row.side, row.id, row.price, row.volume, ts, ts)


def bar(
    candle: s.Candle, bar_type: BarType, numbers: Numbers, minutes: int, what: str = "k-line"
) -> Bar:
    """A row of `/k` to a Bar stamped with its close. Raises ParseError.

    Rows are JSON floats, so digits beyond the precision are rounded away, half to even.
    """
    opened_at, open_, high, low, close, volume = candle
    ts = seconds_to_ns(opened_at, what) + minutes * 60 * NS_PER_SEC
    prices, sizes = numbers.prices, numbers.sizes
    try:
        o, h, low_, c = (
            prices[_rounded(value, prices.precision, what)] for value in (open_, high, low, close)
        )
        return Bar(bar_type, o, h, low_, c, sizes[_rounded(volume, sizes.precision, what)], ts, ts)
    except (ValueError, OverflowError, TypeError, ArithmeticError) as e:
        raise ParseError(what, bounded(str(e))) from e


def _rounded(value: Decimal, precision: int, where: str) -> str:
    return padded(f"{decimal(value, where):.{precision}f}", precision)


# -- push ------------------------------------------------------------------------------------------


def frame(data: bytes | str) -> s.PushFrame:
    """Open a Pusher frame. Raises ParseError."""
    if len(data) > MAX_FRAME_BYTES:
        raise ParseError("frame", f"expected at most {MAX_FRAME_BYTES} bytes, received {len(data)}")
    try:
        return _frame.decode(data)
    except MISREAD as e:
        raise ParseError("frame", bounded(str(e))) from e


def inner(data: msgspec.Raw) -> bytes | str | msgspec.Raw:
    """The JSON of a frame's `data`, taken out of a JSON text if it is one. Raises ParseError."""
    if memoryview(data)[0] != _QUOTE:
        return data
    try:
        return _text.decode(data)
    except MISREAD as e:
        raise ParseError("data", bounded(str(e))) from e


def _push_decoder[T](type_: type[T]) -> Callable[[msgspec.Raw], T]:
    typed = msgspec.json.Decoder(type_, strict=False)
    name = type_.__name__

    def decode(data: msgspec.Raw) -> T:
        try:
            text = inner(data)
            value = typed.decode(text)
            check_numbers(value, text)
            return value
        except MISREAD as e:
            raise ParseError(name, bounded(str(e))) from e

    return decode


push_trades = _push_decoder(s.PushTrades)
push_greeting = _push_decoder(s.PushGreeting)
push_tickers: Callable[[msgspec.Raw], dict[str, s.MarketTicker]] = _push_decoder(
    dict[str, s.MarketTicker]
)


def push_book(data: msgspec.Raw) -> s.PushBook:
    """The payload of `update`. Raises ParseError. Strict, for speed: prices are text (3.4)."""
    try:
        return _book.decode(inner(data))
    except MISREAD as e:
        raise ParseError("PushBook", bounded(str(e))) from e


def push_error(data: msgspec.Raw) -> s.PushError:
    """The payload of `pusher:error`: an object, JSON text of one, or plain text (3.1)."""
    text: Any = inner(data)
    try:
        return msgspec.json.decode(text, type=s.PushError, strict=False)
    except MISREAD:
        plain = text if isinstance(text, str) else bytes(text).decode(errors="replace")
        return s.PushError(message=bounded(plain))


def push_trade(
    row: s.PushTrade, instrument_id: InstrumentId, numbers: Numbers, ts_init: int
) -> TradeTick:
    """A pushed trade to a TradeTick; `ts_event` has seconds resolution. Raises ParseError."""
    ts_event = seconds_to_ns(row.date, "date")
    return _tick(
        instrument_id, numbers, row.type, row.tid, row.price, row.amount, ts_event, ts_init
    )
