"""Payloads to events, without I/O: any bytes give events or `ParseError`.

Units: quantities base, prices quote, times nanoseconds. Sources: document sections 1, 2, 4, 5, 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarType,
    MarkPriceUpdate,
    OrderBookDeltas,
    Price,
    TradeTick,
)

from fairlead.adapters.base.book import BookGap, SequencedBook, padded
from fairlead.adapters.base.decode import above_zero, check_numbers, not_negative
from fairlead.adapters.base.venue import POST_ONLY_CROSSED, ParseError
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.instruments import StreamInstrument
from fairlead.adapters.poloniex.symbols import SMART, WireId, instrument_of, parse_wire_id
from fairlead.engine.identifiers import trade_id
from fairlead.engine.orders.model import (
    Kind,
    OrderState,
    Side,
    Tif,
    VenueBalance,
    VenueFill,
    VenueOrder,
)
from fairlead.engine.orders.trigger import kind_for

MS = 1_000_000  # nanoseconds
MAX_EXPONENT = 40
DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)

_AGGRESSORS = {
    "buy": AggressorSide.BUY,
    "sell": AggressorSide.SELL,
    "BUY": AggressorSide.BUY,
    "SELL": AggressorSide.SELL,
}

# Section 5. A regular order that the venue accepted and then failed was never in the book.
ORDER_STATES: dict[str, OrderState] = {
    "PENDING_NEW": OrderState.OPEN,
    "NEW": OrderState.OPEN,
    "PARTIALLY_FILLED": OrderState.OPEN,
    "FILLED": OrderState.FILLED,
    "PENDING_CANCEL": OrderState.CANCELLING,
    "PARTIALLY_CANCELED": OrderState.CANCELED,
    "CANCELED": OrderState.CANCELED,
    "CANCELLED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "REJECTED": OrderState.REFUSED,
    "FAILED": OrderState.REFUSED,
}
SMART_STATES: dict[str, OrderState] = {
    **ORDER_STATES,
    "PENDING_NEW": OrderState.WAITING,
    "NEW": OrderState.WAITING,
    "TRIGGERED": OrderState.OPEN,
}
SMART_TYPES = frozenset(
    {
        "STOP",
        "STOP_LIMIT",
        "TRAILING_STOP",
        "TRAILING_STOP_LIMIT",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT_LIMIT",
    }
)


def decode[T](
    decoder: msgspec.json.Decoder[T], payload: bytes | str, where: str, *, is_money: bool = False
) -> T:
    """Raises ParseError, and nothing else. `is_money`: of numbers that are not kept as text."""
    try:
        value = decoder.decode(payload)
        if is_money:
            check_numbers(value, payload)
        return value
    except DECODE_ERRORS as error:
        raise ParseError(where, str(error)[:160]) from None


def number(value: Decimal, where: str) -> Decimal:
    """A decimal that can be money: finite, and of a sane size."""
    if not value.is_finite() or abs(value.adjusted()) > MAX_EXPONENT:
        raise ParseError(where, f"expected a finite decimal, received {str(value)[:40]}")
    return value


def amount(value: Decimal, where: str) -> Decimal:
    """A `number` that is no debt: all but fees, which may be rebates."""
    return not_negative(number(value, where), where)


# -- market data ----------------------------------------------------------------------------------


def trade_tick(
    row: s.TradeRow | s.PublicTrade, instrument: StreamInstrument, ts_init: int
) -> TradeTick:
    """The size is `quantity`, in base units; `amount` is price x quantity in quote units."""
    try:
        return TradeTick(
            instrument.instrument_id,
            instrument.numbers.prices[row.price],
            instrument.numbers.sizes[row.quantity],
            _AGGRESSORS[row.taker_side],
            trade_id(row.id),
            row.create_time * MS,
            ts_init,
        )
    except KeyError:
        raise ParseError(
            "trade", f"expected buy or sell, received {row.taker_side[:20]!r}"
        ) from None
    except (ValueError, OverflowError) as error:
        raise ParseError("trade", str(error)[:160]) from None


def bar(
    row: s.CandleRow | s.Candle, instrument: StreamInstrument, bar_type: BarType, ts_init: int
) -> Bar:
    """A closed candle; `ts_event` is the moment it closed, 1 ms after the venue's `closeTime`."""
    prices, sizes = instrument.numbers.prices, instrument.numbers.sizes
    try:
        return Bar(
            bar_type,
            prices[row.open],
            prices[row.high],
            prices[row.low],
            prices[row.close],
            sizes[row.quantity],
            (row.close_time + 1) * MS,
            ts_init,
        )
    except (ValueError, OverflowError) as error:
        raise ParseError("candle", str(error)[:160]) from None


def mark_price(row: s.TickerRow, instrument: StreamInstrument, ts_init: int) -> Any | None:
    """The ticker's mark price, or None where the symbol has none. The ticker has no bid or ask."""
    if not row.mark_price:
        return None
    try:
        text = padded(row.mark_price, 18)  # validates; a mark may be finer than the tick
        price = Price.from_decimal_dp(Decimal(text), instrument.price_precision)
        return MarkPriceUpdate(instrument.instrument_id, price, row.ts * MS, ts_init)
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise ParseError("ticker", str(error)[:160]) from None


def book_snapshot(
    answer: s.OrderBook, instrument: StreamInstrument, ts_init: int
) -> OrderBookDeltas:
    """The REST book, whose sides are flat lists (trap 1). It has no id, so it can't resync."""
    book = SequencedBook(
        instrument.instrument_id, instrument.price_precision, instrument.size_precision
    )
    deltas = book.snapshot(0, _pairs(answer.asks), _pairs(answer.bids), answer.time * MS, ts_init)
    if isinstance(deltas, BookGap):
        raise ParseError("orderBook", str(deltas))
    return deltas


def _pairs(flat: Sequence[str]) -> list[tuple[str, str]]:
    if len(flat) % 2:
        raise ParseError("orderBook", f"expected price and quantity pairs, received {len(flat)}")
    return list(zip(flat[::2], flat[1::2], strict=True))


# -- orders ---------------------------------------------------------------------------------------


class Names(msgspec.Struct, frozen=True):
    """What names and carried quantities need: the venue, and size precisions by symbol."""

    venue: str
    size_precisions: Mapping[str, int]

    def instrument(self, symbol: str) -> str:
        return instrument_of(symbol, self.venue)

    def carried(self, wire: WireId, symbol: str) -> Decimal:
        """What was executed before a replacement, in base units."""
        return Decimal(wire.carried).scaleb(-self.size_precisions.get(symbol, 0))


def _side(text: str) -> Side:
    try:
        return Side(text.upper())
    except ValueError:
        raise ParseError("order", f"expected BUY or SELL, received {text[:20]!r}") from None


def _tif(text: str) -> Tif:
    return Tif(text) if text in Tif.__members__ else Tif.GTC


def _state(states: Mapping[str, OrderState], text: str) -> OrderState:
    try:
        return states[text]
    except KeyError:
        raise ParseError("order", f"undocumented state {text[:40]!r}") from None


def _kind(type_: str) -> Kind:
    if type_ == "MARKET":
        return Kind.MARKET
    return Kind.STOP_LIMIT if type_ in SMART_TYPES else Kind.LIMIT


def _reason(type_: str, venue_state: str, state: OrderState) -> str:
    """Why it was refused. A LIMIT_MAKER fails when it would take (section 2 gives no code)."""
    if state is not OrderState.REFUSED:
        return ""
    return f"{venue_state}: {POST_ONLY_CROSSED}" if type_ == "LIMIT_MAKER" else venue_state


def regular_order(order: s.Order, names: Names) -> VenueOrder:
    """A regular order as REST tells it. A replacement counts what was filled before it."""
    wire = parse_wire_id(order.client_order_id or "")
    carried = names.carried(wire, order.symbol)
    filled = amount(order.filled_quantity, "order")
    state = _state(ORDER_STATES, order.state)
    kind = _kind(order.type)
    return VenueOrder(
        venue_order_id=order.id,
        instrument=names.instrument(order.symbol),
        side=_side(order.side),
        kind=kind,
        state=state,
        quantity=max(amount(order.quantity, "order"), filled) + carried,
        filled=filled + carried,
        client_order_id=wire.client_order_id or None,
        avg_price=_average(filled, amount(order.filled_amount, "order"), carried),
        price=amount(order.price, "order") if kind is not Kind.MARKET and order.price else None,
        time_in_force=_tif(order.time_in_force),
        post_only=order.type == "LIMIT_MAKER",
        triggered=wire.condition is not None,
        ts_created=order.create_time * MS,
        ts_updated=order.update_time * MS,
        reason=_reason(order.type, order.state, state),
    )


def smart_order(order: s.SmartOrder, names: Names) -> VenueOrder:
    """A smart order keeps one venue order id for life: its triggered child's fills are its own."""
    wire = parse_wire_id(order.client_order_id or "")
    side = _side(order.side)
    state = _state(SMART_STATES, order.state)
    parent = VenueOrder(
        venue_order_id=SMART + order.id,
        instrument=names.instrument(order.symbol),
        side=side,
        kind=kind_for(side, wire.condition),
        state=state,
        quantity=amount(order.quantity, "smart order"),
        filled=Decimal(0),
        client_order_id=wire.client_order_id or None,
        price=amount(order.price, "smart order") or None,
        trigger_price=amount(order.stop_price, "smart order") or None,
        trigger_condition=wire.condition,
        time_in_force=_tif(order.time_in_force),
        triggered=order.state == "TRIGGERED",
        ts_created=order.create_time * MS,
        ts_updated=order.update_time * MS,
        reason=order.state if state is OrderState.REFUSED else "",
    )
    if order.triggered_order is None:
        return parent
    child = regular_order(order.triggered_order, names)
    return adopted(child, parent)


def adopted(child: VenueOrder, parent: VenueOrder) -> VenueOrder:
    """The triggered child's state in the name of its parent."""
    return msgspec.structs.replace(
        parent,
        state=child.state,
        filled=child.filled,
        avg_price=child.avg_price,
        triggered=True,
        ts_updated=max(parent.ts_updated, child.ts_updated),
        reason=child.reason,
    )


def _average(filled: Decimal, amount: Decimal, carried: Decimal) -> Decimal | None:
    """Own average; with a carried part the total's average is not known to the venue."""
    if not filled or carried:
        return None
    return amount / filled


def account_fill(trade: s.Trade, names: Names, venue_order_id: str | None = None) -> VenueFill:
    """One execution; the trade id is keyed by symbol, as the venue's counter may repeat."""
    return VenueFill(
        venue_order_id=venue_order_id or trade.order_id,
        trade_id=f"{trade.symbol}-{trade.id}",
        instrument=names.instrument(trade.symbol),
        side=_side(trade.side),
        quantity=above_zero(number(trade.quantity, "trade"), "trade"),
        price=above_zero(number(trade.price, "trade"), "trade"),
        fee=number(trade.fee_amount, "trade"),
        fee_currency=trade.fee_currency.upper(),
        client_order_id=parse_wire_id(trade.client_order_id or "").client_order_id or None,
        is_maker=_is_maker(trade.match_role),
        ts_event=trade.create_time * MS,
    )


def _is_maker(role: str | None) -> bool | None:
    return {"MAKER": True, "TAKER": False}.get(role or "")


def pushed_order(row: s.OrderRow, names: Names) -> VenueOrder:
    """An event of the `orders` channel; one of a smart type is the smart order itself."""
    wire = parse_wire_id(row.client_order_id or "")
    is_smart = row.type in SMART_TYPES
    carried = names.carried(wire, row.symbol)
    side = _side(row.side)
    filled = amount(row.filled_quantity, "orders")
    state = _state(SMART_STATES if is_smart else ORDER_STATES, row.state)
    price = amount(row.price, "orders")
    return VenueOrder(
        venue_order_id=(SMART if is_smart else "") + row.order_id,
        instrument=names.instrument(row.symbol),
        side=side,
        kind=kind_for(side, wire.condition) if is_smart else _kind(row.type),
        state=state,
        quantity=max(amount(row.quantity, "orders"), filled) + carried,
        filled=filled + carried,
        client_order_id=wire.client_order_id or None,
        avg_price=_average(filled, amount(row.filled_amount, "orders"), carried),
        price=price if price > 0 and row.type != "MARKET" else None,
        trigger_condition=wire.condition,
        post_only=row.type == "LIMIT_MAKER",
        triggered=row.source == "SMART" and not is_smart,
        ts_created=row.create_time * MS,
        ts_updated=row.ts * MS,
        reason=_reason(row.type, row.state, state),
    )


def pushed_fill(row: s.OrderRow, order: VenueOrder) -> VenueFill | None:
    """The execution of a `trade` event: `tradePrice` and `tradeQty`, never `price`."""
    if row.event_type != "trade":
        return None
    quantity, price = number(row.trade_qty, "orders"), number(row.trade_price, "orders")
    if quantity <= 0 or price <= 0:
        raise ParseError("orders", f"a trade of {quantity} at {price}")
    return VenueFill(
        venue_order_id=order.venue_order_id,
        trade_id=f"{row.symbol}-{row.trade_id}",
        instrument=order.instrument,
        side=order.side,
        quantity=quantity,
        price=price,
        fee=number(row.trade_fee, "orders"),
        fee_currency=row.fee_currency.upper(),
        client_order_id=order.client_order_id,
        is_maker=_is_maker(row.match_role),
        ts_event=(row.trade_time or row.ts) * MS,
    )


def pushed_balance(row: s.BalanceRow) -> VenueBalance:
    """Absolute values of one currency."""
    return VenueBalance(
        currency=row.currency.upper(),
        free=amount(row.available, "balances"),
        locked=amount(row.hold, "balances"),
    )


def account_balances(accounts: Sequence[s.AccountBalances]) -> list[VenueBalance]:
    """Every currency of the SPOT account."""
    found: dict[str, VenueBalance] = {}
    for account in accounts:
        if account.account_type != "SPOT":
            continue
        for row in account.balances:
            balance = VenueBalance(
                currency=row.currency.upper(),
                free=amount(row.available, "balances"),
                locked=amount(row.hold, "balances"),
            )
            found[balance.currency] = balance
    return list(found.values())
