"""Data frames of the simulated Poloniex's channels (the venue document's sections 4 and 5)."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from fairlead.adapters.poloniex.simulator_markets import millis, number
from fairlead.adapters.poloniex.simulator_orders import (
    client_id,
    is_smart,
    quantity_text,
    regular_id,
    state_of,
    type_of,
)
from fairlead.adapters.poloniex.simulator_public import (
    INTERVALS,
    candle_end,
    candle_start,
    currencies_of,
    currency_row,
    market_row,
    ticker_row,
)
from fairlead.adapters.poloniex.simulator_state import PoloniexState
from fairlead.adapters.simulation.book import Book
from fairlead.adapters.simulation.orders import BalanceEntry, FillEntry, SimOrder, Trade
from fairlead.engine.orders.model import Side

WINDOW_LEVELS = 20
FIRST_BOOK_ID = 4_485_675
FIRST_ASSET_ID = 60_018_450_912_695_040
JUMP_MAX = 4
CANDLE_CHANNELS = {f"candles_{name.lower()}": name for name in INTERVALS}

Levels = dict[Decimal, Decimal]


def encode(message: object) -> str:
    return msgspec.json.encode(message).decode()


class BookFeed:
    """One market's `book_lv2`: 20 levels a side, told as changes chained by ids that may jump."""

    def __init__(self, symbol: str, book: Book, rng: Random, id_jump: float) -> None:
        self.id = FIRST_BOOK_ID
        self._symbol = symbol
        self._book = book
        self._rng = rng
        self._id_jump = id_jump
        self._last_id = self.id - 1
        self._changed_ms = 0
        self._asks: Levels = {}
        self._bids: Levels = {}

    def change(self, now_ms: int) -> str | None:
        """What changed in the window since the last frame; None for nothing."""
        asks = dict(self._book.asks.levels(WINDOW_LEVELS))
        bids = dict(self._book.bids.levels(WINDOW_LEVELS))
        told_asks, told_bids = _difference(self._asks, asks), _difference(self._bids, bids)
        if not told_asks and not told_bids:
            return None
        self._asks, self._bids = asks, bids
        self._last_id = self.id
        jumps = self._rng.random() < self._id_jump
        self.id += self._rng.randint(2, JUMP_MAX) if jumps else 1
        self._changed_ms = now_ms
        return self._frame("update", told_asks, told_bids, now_ms)

    def snapshot(self, now_ms: int) -> str:
        """The window as last told, so that the next change chains onto it."""
        asks = [[number(p), number(q)] for p, q in self._asks.items()]
        bids = [[number(p), number(q)] for p, q in self._bids.items()]
        return self._frame("snapshot", asks, bids, now_ms)

    def _frame(self, action: str, asks: list[list[str]], bids: list[list[str]], now_ms: int) -> str:
        row = {
            "symbol": self._symbol,
            "createTime": self._changed_ms,
            "asks": asks,
            "bids": bids,
            "lastId": self._last_id,
            "id": self.id,
            "ts": now_ms,
        }
        return encode({"channel": "book_lv2", "data": [row], "action": action})


def _difference(old: Levels, new: Levels) -> list[list[str]]:
    """Levels that left (quantity 0), then those that came or changed."""
    gone = [[number(price), "0"] for price in old if price not in new]
    return gone + [[number(p), number(q)] for p, q in new.items() if old.get(p) != q]


def book_frame(symbol: str, book: Book, depth: int, book_id: int, now_ms: int) -> str:
    """The `book` channel: the whole top of the book."""
    row = {
        "symbol": symbol,
        "createTime": now_ms,
        "asks": [[number(p), number(q)] for p, q in book.asks.levels(depth)],
        "bids": [[number(p), number(q)] for p, q in book.bids.levels(depth)],
        "id": book_id,
        "ts": now_ms,
    }
    return encode({"channel": "book", "data": [row]})


def trade_frame(trade: Trade, now_ms: int) -> str:
    """`takerSide` is lower case here, upper case in REST."""
    row = {
        "symbol": trade.market,
        "amount": number(trade.price * trade.quantity),
        "quantity": number(trade.quantity),
        "takerSide": trade.aggressor.value.lower(),
        "createTime": millis(trade.ts_event),
        "price": number(trade.price),
        "id": str(trade.id),
        "ts": now_ms,
    }
    return encode({"channel": "trades", "data": [row]})


def ticker_frame(venue: PoloniexState, symbol: str) -> str:
    return encode({"channel": "ticker", "data": [ticker_row(venue, venue.markets[symbol])]})


def candle_frame(venue: PoloniexState, channel: str, symbol: str) -> str | None:
    """The open candle; None before the first trade in it."""
    interval = CANDLE_CHANNELS[channel]
    start_ns = candle_start(interval, venue.exchange.now_ns)
    tape = venue.exchange.markets[symbol].tape
    bars = tape.bars(lambda ts_ns: candle_start(interval, ts_ns), start_ns)
    if not bars:
        return None
    bar = bars[-1]
    row = {
        "symbol": symbol,
        "amount": number(bar.funds),
        "high": number(bar.high),
        "quantity": number(bar.volume),
        "tradeCount": bar.count,
        "low": number(bar.low),
        "closeTime": millis(candle_end(interval, start_ns)) - 1,
        "startTime": millis(start_ns),
        "close": number(bar.close),
        "open": number(bar.open),
        "ts": venue.now_ms,
    }
    return encode({"channel": channel, "data": [row]})


def symbols_frame(venue: PoloniexState, symbols: list[str], action: str) -> str:
    rows = [market_row(venue, venue.markets[symbol]) for symbol in symbols]
    return encode({"channel": "symbols", "data": rows, "action": action})


def currencies_frame(venue: PoloniexState, names: list[str]) -> str:
    known = currencies_of(venue)
    rows = [currency_row(venue, name) for name in names if name in known]
    return encode({"channel": "currencies", "data": rows, "action": "snapshot"})


def exchange_frame(venue: PoloniexState, action: str) -> str:
    words = {True: "ON", False: "OFF"}
    row = {"MM": words[venue.modes.maintenance], "POM": words[venue.modes.post_only]}
    return encode({"channel": "exchange", "data": [row], "action": action})


# -- private --------------------------------------------------------------------------------------


def order_record(venue: PoloniexState, order: SimOrder, event: str) -> dict[str, Any]:
    """One record of the `orders` channel; fields of a trade are zero."""
    record: dict[str, Any] = {
        "symbol": order.market,
        "type": type_of(order),
        "quantity": quantity_text(order),
        "orderId": str(regular_id(order)),
        "tradeFee": "0",
        "clientOrderId": client_id(venue, order),
        "accountType": "SPOT",
        "feeCurrency": "",
        "eventType": event,
        "source": "SMART" if is_smart(order) else "API",
        "side": order.side.value,
        "filledQuantity": number(order.executed),
        "filledAmount": number(order.funds),
        "state": state_of(order),
        "tradeTime": 0,
        "tradeAmount": "0",
        "orderAmount": number(order.quote_amount or Decimal(0)),
        "createTime": millis(order.ts_triggered or order.ts_created),
        "price": number(order.price or Decimal(0)),
        "tradeQty": "0",
        "tradePrice": "0",
        "tradeId": "0",
        "ts": venue.now_ms,
    }
    if order.post_only:
        record["matchRole"] = "MAKER"  # absent for an order that may take
    return record


def smart_record(venue: PoloniexState, order: SimOrder, event: str) -> dict[str, Any]:
    """A smart order that waits, under the types that only the channel has."""
    last = venue.exchange.markets[order.market].tape.last_price or Decimal(0)
    assert order.trigger_price is not None
    is_loss = (order.trigger_price >= last) == (order.side is Side.BUY)
    return order_record(venue, order, event) | {
        "type": "STOP_LOSS_LIMIT" if is_loss else "TAKE_PROFIT_LIMIT",
        "orderId": str(order.id),
        "clientOrderId": order.client_order_id or "",
    }


def trade_record(venue: PoloniexState, order: SimOrder, fill: FillEntry) -> dict[str, Any]:
    return order_record(venue, order, "trade") | {
        "tradeFee": number(fill.fee),
        "feeCurrency": fill.fee_currency,
        "matchRole": "MAKER" if fill.is_maker else "TAKER",
        "tradeTime": millis(fill.ts_event),
        "tradeAmount": number(fill.price * fill.quantity),
        "tradeQty": number(fill.quantity),
        "tradePrice": number(fill.price),
        "tradeId": str(fill.trade_id),
    }


def balance_record(
    venue: PoloniexState, entry: BalanceEntry, event: str, count: int
) -> dict[str, Any]:
    """Absolute values of one currency, as they were just after the change."""
    return {
        "changeTime": millis(entry.ts_event),
        "accountId": venue.options.account_id,
        "accountType": "SPOT",
        "eventType": event,
        "available": number(entry.free),
        "currency": entry.currency,
        "id": FIRST_ASSET_ID + count,
        "userId": venue.options.user_id,
        "hold": number(entry.locked),
        "ts": venue.now_ms,
    }
