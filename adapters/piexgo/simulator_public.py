"""Market data of the simulated PiexGo by REST, v1 and v2 (section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fairlead.adapters.piexgo.simulator_auth import EMPTY, Params
from fairlead.adapters.piexgo.simulator_markets import (
    SimMarket,
    bare,
    millis,
    price_text,
    seconds,
    size_text,
)
from fairlead.adapters.piexgo.simulator_state import PiexgoState
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.orders import Trade
from fairlead.adapters.simulation.routes import ApiError, Endpoint
from fairlead.engine.orders.model import Side

V1, V2 = "v1", "v2"  # groups: v2 has no envelope, and answers {} for what it refuses
BAD_SYMBOL = 10201
V1_TRADES, V2_TRADES = 500, 200
V2_DEPTH, V2_DEPTH_MAX = 10, 50


def need_market(venue: PiexgoState, params: Params) -> SimMarket:
    """Symbols of REST are upper case. Raises ApiError 10300 or 10201."""
    symbol = params.get("symbol", "")
    if not symbol:
        raise ApiError(EMPTY, "Parameter symbol is empty.")
    market = venue.markets.get(symbol)
    if market is None:
        raise ApiError(BAD_SYMBOL, "Invalid symbol.")
    return market


def deal_row(trade: Trade) -> dict[str, Any]:
    """A trade without its id: nobody is told it."""
    return {
        "time": millis(trade.ts_event),
        "direct": 0 if trade.aggressor is Side.BUY else 1,
        "price": price_text(trade.price),
        "vol": size_text(trade.quantity),
    }


def _time(venue: PiexgoState, params: Params) -> object:
    return {"server_time": millis(venue.exchange.now_ns)}


def _symbols(venue: PiexgoState, params: Params) -> object:
    return {
        "data": [
            {
                "symbol": market.id,
                "maker_fee": float(market.maker_fee),
                "taker_fee": float(market.taker_fee),
                "amount_precision": market.amount_precision,
                "price_precision": market.price_precision,
            }
            for market in venue.markets.values()
        ]
    }


def _order_book(venue: PiexgoState, params: Params) -> object:
    book = venue.exchange.markets[need_market(venue, params).id].book

    def rows(levels: list[tuple[Decimal, Decimal]]) -> list[dict[str, Any]]:
        return [
            {"index": index, "price": bare(price), "volume": bare(size)}
            for index, (price, size) in enumerate(levels)
        ]

    depth = venue.options.push_levels
    return {
        "asks": rows(book.asks.levels(depth)),
        "bids": rows(book.bids.levels(depth)),
        "ts": seconds(venue.exchange.now_ns),
    }


def _newest(venue: PiexgoState, market: SimMarket, count: int) -> list[dict[str, Any]]:
    trades = list(venue.exchange.markets[market.id].tape.trades)[-count:]
    return [deal_row(trade) for trade in reversed(trades)]


def _trades(venue: PiexgoState, params: Params) -> object:
    return {"data": _newest(venue, need_market(venue, params), V1_TRADES)}


def _ticker_row(venue: PiexgoState, market: SimMarket) -> dict[str, Any]:
    """`amount_1d` is the quote currency's, as the document's numbers say against its table."""
    day = venue.exchange.markets[market.id].tape.day(venue.exchange.now_ns)
    change = (day.last - day.open) / day.open * 100 if day.open else Decimal(0)
    return {
        "symbol": market.id,
        "last_price": float(day.last),
        "open_price": float(day.open),
        "high": float(day.high),
        "low": float(day.low),
        "change": float(change),
        "amount_1d": float(day.volume * day.last),
        "volume_1d": float(day.volume),
    }


def _tickers(venue: PiexgoState, params: Params) -> object:
    found: dict[str, list[dict[str, Any]]] = {}
    for market in venue.markets.values():
        found.setdefault(market.quote, []).append(_ticker_row(venue, market))
    return {"data": found}


def _ticker(venue: PiexgoState, params: Params) -> object:
    return {"ticker": _ticker_row(venue, need_market(venue, params))}


# -- v2 --------------------------------------------------------------------------------------------


def _symbols_v2(venue: PiexgoState, params: Params) -> object:
    return list(venue.markets)


def _assets_v2(venue: PiexgoState, params: Params) -> object:
    currencies = dict.fromkeys(c for m in venue.markets.values() for c in (m.base, m.quote))
    return [
        {
            "market": currency,
            "deposit_status": 0,
            "withdraw_status": 0,
            "status": 3,
            "withdraw_fee": 0.001,
            "withdraw_min": 0.01,
            "deposit_min": 0.001,
        }
        for currency in currencies
    ]


def _each(
    venue: PiexgoState, params: Params, row: Callable[[SimMarket], object]
) -> dict[str, object]:
    """One market's, or with `all` every one's, by symbol."""
    if params.get("symbol") == "all":
        return {market.id: row(market) for market in venue.markets.values()}
    market = need_market(venue, params)
    return {market.id: row(market)}


def _order_book_v2(venue: PiexgoState, params: Params) -> object:
    """Worst levels first: the document's example is in no order."""
    asked = natural(params.get("depth", str(V2_DEPTH)))
    if asked is None:
        raise ApiError(EMPTY, "Parameter depth is empty.")
    depth = min(asked, V2_DEPTH_MAX)

    def rows(levels: list[tuple[Decimal, Decimal]]) -> list[dict[str, str]]:
        return [{"price": bare(price), "quantity": bare(size)} for price, size in levels[::-1]]

    def of(market: SimMarket) -> object:
        book = venue.exchange.markets[market.id].book
        return {
            "asks": rows(book.asks.levels(depth)),
            "bids": rows(book.bids.levels(depth)),
            "timestamp": millis(venue.exchange.now_ns),
        }

    return _each(venue, params, of)


def _trades_v2(venue: PiexgoState, params: Params) -> object:
    return _newest(venue, need_market(venue, params), V2_TRADES)


def _volume_v2(venue: PiexgoState, params: Params) -> object:
    found = {}
    for market in venue.markets.values():
        day = venue.exchange.markets[market.id].tape.day(venue.exchange.now_ns)
        found[market.id] = {
            market.base: float(day.volume),
            market.quote: float(day.volume * day.last),
        }
    return found


def _ticker_v2(venue: PiexgoState, params: Params) -> object:
    def of(market: SimMarket) -> object:
        state = venue.exchange.markets[market.id]
        day = state.tape.day(venue.exchange.now_ns)
        bid, ask = state.book.bids.best(), state.book.asks.best()
        change = (day.last - day.open) / day.open * 100 if day.open else Decimal(0)
        return {
            "base_volume": float(day.volume),
            "highest_bid": float(bid.price) if bid else 0,
            "last_price": float(day.last),
            "lowest_ask": float(ask.price) if ask else 0,
            "percent_change": float(change),
            "quote_volume": float(day.volume * day.last),
            "symbol": market.id,
            "is_frozen": int(state.halted),
        }

    return _each(venue, params, of)


PUBLIC: tuple[Endpoint[PiexgoState, Params], ...] = (
    Endpoint("GET", "/api/v1/time", _time, V1),
    Endpoint("GET", "/api/v1/symbols", _symbols, V1),
    Endpoint("GET", "/api/v1/orderBook", _order_book, V1),
    Endpoint("GET", "/api/v1/trades", _trades, V1),
    Endpoint("GET", "/api/v1/tickers", _tickers, V1),
    Endpoint("GET", "/api/v1/ticker", _ticker, V1),
    Endpoint("GET", "/api/v2/symbols", _symbols_v2, V2),
    Endpoint("GET", "/api/v2/assets", _assets_v2, V2),
    Endpoint("GET", "/api/v2/orderBook", _order_book_v2, V2),
    Endpoint("GET", "/api/v2/trades", _trades_v2, V2),
    Endpoint("GET", "/api/v2/24hVolume", _volume_v2, V2),
    Endpoint("GET", "/api/v2/ticker", _ticker_v2, V2),
)
