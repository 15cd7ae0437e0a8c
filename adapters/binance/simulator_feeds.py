"""What the streams of the simulated Binance tell of a market, as JSON text.

Sources: Spot "WebSocket Streams", USD-M "Websocket Market Streams". A frame is made once for all
who want it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from fairlead.adapters.binance.simulator_markets import (
    Product,
    SimMarket,
    fixed,
    millis,
)
from fairlead.adapters.binance.simulator_public import (
    DAY_MS,
    FUNDING_RATE,
    agg_row,
    best,
    kline_end,
    kline_start,
    levels_text,
    next_funding_ms,
    percent,
)
from fairlead.adapters.binance.simulator_state import BinanceState
from fairlead.adapters.simulation.market import MS
from fairlead.adapters.simulation.orders import Trade
from fairlead.adapters.simulation.tape import MinuteBar
from fairlead.engine.orders.model import Side

Frame = dict[str, Any]


class DiffFeed:
    """One `depth` stream: levels that changed since the last event.

    Spot: `U` is the last event's `u` + 1. Futures: `pu` is the last event's `u`, and `U` is the
    first id of this one, which is higher by what other symbols used. The first event begins at the
    id that the book had when the stream was asked for, so that a snapshot of it overlaps.
    """

    def __init__(self, market: SimMarket, interval_ms: int, last_id: int) -> None:
        self.market = market
        self.interval_ms = interval_ms
        self._last_id = last_id
        self._first_id: int | None = last_id  # None: of the next change
        self._next_ns = 0
        self._changed: dict[tuple[Side, Decimal], Decimal] = {}
        self._newest_id = last_id

    def add(self, side: Side, price: Decimal, size: Decimal, update_id: int) -> None:
        if update_id <= self._newest_id:
            return  # of before it began
        if self._first_id is None:
            self._first_id = update_id
        self._changed[side, price] = size
        self._newest_id = update_id

    def take(self, now_ns: int) -> Frame | None:
        if not self._changed or now_ns < self._next_ns:
            return None
        self._next_ns = now_ns + self.interval_ms * MS
        market, changed = self.market, self._changed
        is_spot = market.product is Product.SPOT
        frame: Frame = {"e": "depthUpdate", "E": millis(now_ns)}
        if not is_spot:
            frame["T"] = millis(now_ns)
        frame |= {"s": market.symbol}
        frame["U"] = self._last_id + 1 if is_spot else self._first_id
        frame["u"] = self._newest_id
        if not is_spot:
            frame["pu"] = self._last_id
        for name, wanted in (("b", Side.BUY), ("a", Side.SELL)):
            levels = [(price, size) for (side, price), size in changed.items() if side is wanted]
            frame[name] = levels_text(market, levels)
        self._last_id, self._changed, self._first_id = self._newest_id, {}, None
        return frame


def partial_depth(venue: BinanceState, market: SimMarket, levels: int) -> Frame:
    """The best levels, whole: spot's own shape, futures' as a diff's."""
    book = venue.exchange.markets[market.id].book
    bids = levels_text(market, book.bids.levels(levels))
    asks = levels_text(market, book.asks.levels(levels))
    update_id = venue.book_clock.ids[market.id]
    if market.product is Product.SPOT:
        return {"lastUpdateId": update_id, "bids": bids, "asks": asks}
    return {
        "e": "depthUpdate",
        "E": venue.now_ms,
        "T": venue.now_ms,
        "s": market.symbol,
        "U": update_id,
        "u": update_id,
        "pu": update_id - 1,
        "b": bids,
        "a": asks,
    }


def trade_frame(market: SimMarket, trade: Trade, now_ms: int) -> Frame:
    frame: Frame = {
        "e": "trade",
        "E": now_ms,
        "s": market.symbol,
        "t": trade.id,
        "p": market.price_text(trade.price),
        "q": market.size_text(trade.quantity),
        "T": millis(trade.ts_event),
        "m": trade.aggressor is Side.SELL,
    }
    return frame | ({"M": True} if market.product is Product.SPOT else {"X": "MARKET"})


def agg_frame(market: SimMarket, trade: Trade, now_ms: int) -> Frame:
    return {"e": "aggTrade", "E": now_ms, "s": market.symbol, **agg_row(market, trade)}


def book_ticker(venue: BinanceState, market: SimMarket) -> Frame:
    bid_price, bid_size, ask_price, ask_size = best(venue, market)
    frame: Frame = {
        "u": venue.book_clock.ids[market.id],
        "s": market.symbol,
        "b": bid_price,
        "B": bid_size,
        "a": ask_price,
        "A": ask_size,
    }
    if market.product is Product.SPOT:
        return frame
    return {"e": "bookTicker", **frame, "T": venue.now_ms, "E": venue.now_ms}


def ticker(venue: BinanceState, market: SimMarket) -> Frame:
    """`24hrTicker`."""
    tape = venue.exchange.markets[market.id].tape
    day = tape.day(venue.exchange.now_ns)
    average = day.funds / day.volume if day.volume else day.last
    trades = tape.trades
    frame: Frame = {
        "e": "24hrTicker",
        "E": venue.now_ms,
        "s": market.symbol,
        "p": market.price_text(day.last - day.open),
        "P": percent(day.open, day.last),
        "w": market.price_text(average),
        "c": market.price_text(day.last),
        "Q": market.size_text(trades[-1].quantity if trades else Decimal(0)),
        "o": market.price_text(day.open),
        "h": market.price_text(day.high),
        "l": market.price_text(day.low),
        "v": market.size_text(day.volume),
        "q": fixed(day.funds, 8),
        "O": venue.now_ms - DAY_MS,
        "C": venue.now_ms,
        "F": trades[0].id if trades else -1,
        "L": trades[-1].id if trades else -1,
        "n": day.count,
    }
    if market.product is Product.SPOT:
        bid_price, bid_size, ask_price, ask_size = best(venue, market)
        frame |= {"x": frame["o"], "b": bid_price, "B": bid_size, "a": ask_price, "A": ask_size}
    return frame


def mini_ticker(venue: BinanceState, market: SimMarket) -> Frame:
    whole = ticker(venue, market)
    return {"e": "24hrMiniTicker", **{name: whole[name] for name in "Escohlvq"}}


def mark_price(venue: BinanceState, market: SimMarket) -> Frame:
    price = fixed(venue.last_price(market), 8)
    return {
        "e": "markPriceUpdate",
        "E": venue.now_ms,
        "s": market.symbol,
        "p": price,
        "i": price,
        "P": price,
        "r": FUNDING_RATE,
        "T": next_funding_ms(venue.now_ms),
    }


class KlineFeed:
    """One `kline` stream: the open bar on an interval, and each bar once more when it closes."""

    def __init__(self, market: SimMarket, interval: str, now_ns: int) -> None:
        self.market = market
        self._interval = interval
        self._every_ns = (250 if market.product is Product.USDM else 1000) * MS
        self._start_ns = kline_start(interval, now_ns)
        self._next_ns = now_ns

    def take(self, venue: BinanceState, now_ns: int) -> list[Frame]:
        frames = []
        while (end_ns := kline_end(self._interval, self._start_ns)) <= now_ns:
            frames.append(self._frame(venue, now_ns, is_closed=True))
            self._start_ns = end_ns
        if not frames and now_ns >= self._next_ns:
            frames.append(self._frame(venue, now_ns, is_closed=False))
        if frames:
            self._next_ns = now_ns + self._every_ns
        return frames

    def _frame(self, venue: BinanceState, now_ns: int, *, is_closed: bool) -> Frame:
        market, start_ns = self.market, self._start_ns
        bar = self._bar(venue)
        decimals = 8 if market.product is Product.SPOT else 5
        kline: Frame = {
            "t": millis(start_ns),
            "T": millis(kline_end(self._interval, start_ns)) - 1,
            "s": market.symbol,
            "i": self._interval,
            "f": -1,
            "L": -1,
            "o": market.price_text(bar.open),
            "c": market.price_text(bar.close),
            "h": market.price_text(bar.high),
            "l": market.price_text(bar.low),
            "v": market.size_text(bar.volume),
            "n": bar.count,
            "x": is_closed,
            "q": fixed(bar.funds, decimals),
            "V": market.size_text(bar.volume / 2),
            "Q": fixed(bar.funds / 2, decimals),
            "B": "0",
        }
        return {"e": "kline", "E": millis(now_ns), "s": market.symbol, "k": kline}

    def _bar(self, venue: BinanceState) -> MinuteBar:
        """Flat at the last price where nothing was traded."""
        tape = venue.exchange.markets[self.market.id].tape
        bars = tape.bars(lambda ts_ns: kline_start(self._interval, ts_ns), self._start_ns)
        for bar in bars:
            if bar.ts_open == self._start_ns:
                return bar
        price = venue.last_price(self.market)
        return MinuteBar(self._start_ns, price, price, price, price)


def text(frame: object) -> str:
    return msgspec.json.encode(frame).decode()
