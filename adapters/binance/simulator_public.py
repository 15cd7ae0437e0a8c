"""Public REST endpoints of the simulated Binance, the same handlers for both products.

Sources: Spot "Market Data endpoints", USD-M "Market Data". `group` of an endpoint is its weight; of
`depth` it depends on the limit, of lists on whether a symbol is named.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fairlead.adapters.binance.simulator_auth import ApiError
from fairlead.adapters.binance.simulator_info import exchange_info
from fairlead.adapters.binance.simulator_markets import Product, SimMarket, fixed, millis
from fairlead.adapters.binance.simulator_state import BinanceState, Call
from fairlead.adapters.simulation.market import MS, SECOND_NS
from fairlead.adapters.simulation.numbers import natural
from fairlead.adapters.simulation.orders import Trade
from fairlead.adapters.simulation.routes import Endpoint
from fairlead.adapters.simulation.tape import MINUTE_NS, MinuteBar
from fairlead.engine.orders.model import Side

DEPTH_MAX = 5000
USDM_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
TRADES_MAX = 1000
KLINES_MAX = {Product.SPOT: 1000, Product.USDM: 1500}
DAY_MS = 86_400_000
FUNDING_MS = 8 * 3_600_000
FUNDING_RATE = "0.00010000"  # told, never paid
FIRST_MONDAY_NS = 4 * 86_400 * SECOND_NS  # the epoch is a Thursday
# Minutes of each interval; a month has 28 days at least. Spot's `1s` is not told.
INTERVALS = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1440,
    "3d": 4320,
    "1w": 10080,
    "1M": 28 * 1440,
}

Levels = list[tuple[Decimal, Decimal]]


def _count(call: Call, default: int, limit_max: int) -> int:
    """`limit`: more than the most is the most. Raises ApiError -1100 or -1130."""
    asked = natural(call.params.get("limit", str(default)))
    if asked is None:
        raise ApiError(-1100, "Illegal characters found in parameter 'limit'.")
    if asked == 0:
        raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(asked, limit_max)


def stamp(call: Call, name: str) -> int | None:
    """Milliseconds of a parameter, None where there is none. Raises ApiError -1100."""
    text = call.params.get(name)
    if text is None:
        return None
    found = natural(text)
    if found is None:
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'.")
    return found


def _ping(venue: BinanceState, call: Call) -> object:
    return {}


def _time(venue: BinanceState, call: Call) -> object:
    return {"serverTime": venue.now_ms}


# -- book and trades ------------------------------------------------------------------------------


def levels_text(market: SimMarket, levels: Levels) -> list[tuple[str, str]]:
    return [(market.price_text(price), market.size_text(size)) for price, size in levels]


def _depth(venue: BinanceState, call: Call) -> object:
    market = venue.market_of(call)
    is_spot = call.product is Product.SPOT
    limit = _count(call, 100 if is_spot else 500, DEPTH_MAX)
    if not is_spot and limit not in USDM_DEPTHS:
        raise ApiError(-4021, f"{limit} is not valid depth limit.")
    book = venue.exchange.markets[market.id].book
    told: dict[str, Any] = {"lastUpdateId": venue.book_clock.ids[market.id]}
    if not is_spot:
        told |= {"E": venue.now_ms, "T": venue.now_ms}
    told["bids"] = levels_text(market, book.bids.levels(limit))
    told["asks"] = levels_text(market, book.asks.levels(limit))
    return told


def trade_row(market: SimMarket, trade: Trade) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": trade.id,
        "price": market.price_text(trade.price),
        "qty": market.size_text(trade.quantity),
        "quoteQty": fixed(trade.price * trade.quantity, 8 if _is_spot(market) else 2),
        "time": millis(trade.ts_event),
        "isBuyerMaker": trade.aggressor is Side.SELL,
    }
    return row | ({"isBestMatch": True} if _is_spot(market) else {"isRPITrade": False})


def _is_spot(market: SimMarket) -> bool:
    return market.product is Product.SPOT


def agg_row(market: SimMarket, trade: Trade) -> dict[str, Any]:
    """Each trade is its own aggregate: they have the same numbers."""
    row: dict[str, Any] = {
        "a": trade.id,
        "p": market.price_text(trade.price),
        "q": market.size_text(trade.quantity),
        "f": trade.id,
        "l": trade.id,
        "T": millis(trade.ts_event),
        "m": trade.aggressor is Side.SELL,
    }
    return row | ({"M": True} if _is_spot(market) else {})


def _recent(venue: BinanceState, call: Call) -> list[Trade]:
    """Oldest first: from `fromId` or `startTime` the first `limit`, else the last."""
    market = venue.market_of(call)
    limit = _count(call, 500, TRADES_MAX)
    first = stamp(call, "fromId")
    start, end = stamp(call, "startTime"), stamp(call, "endTime")
    trades = [
        trade
        for trade in venue.exchange.markets[market.id].tape.trades
        if (first is None or trade.id >= first)
        and (start is None or millis(trade.ts_event) >= start)
        and (end is None or millis(trade.ts_event) <= end)
    ]
    return trades[-limit:] if first is None and start is None else trades[:limit]


def _trades(venue: BinanceState, call: Call) -> object:
    market = venue.market_of(call)
    return [trade_row(market, trade) for trade in _recent(venue, call)]


def _agg_trades(venue: BinanceState, call: Call) -> object:
    market = venue.market_of(call)
    return [agg_row(market, trade) for trade in _recent(venue, call)]


# -- klines ---------------------------------------------------------------------------------------


def kline_start(interval: str, ts_ns: int) -> int:
    """When the kline of `ts_ns` opens, UTC: months on the 1st, weeks on Monday."""
    if interval == "1M":
        day = datetime.fromtimestamp(ts_ns // SECOND_NS, UTC).date().replace(day=1)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * SECOND_NS
    span_ns = INTERVALS[interval] * MINUTE_NS
    first_ns = FIRST_MONDAY_NS if interval == "1w" else 0
    return ts_ns - (ts_ns - first_ns) % span_ns


def kline_end(interval: str, start_ns: int) -> int:
    """When the next kline opens."""
    if interval == "1M":
        return kline_start(interval, start_ns + 31 * 1440 * MINUTE_NS)
    return start_ns + INTERVALS[interval] * MINUTE_NS


def _klines(venue: BinanceState, call: Call) -> object:
    """Ascending; with a start the first `limit`, else the last. The newest may be open."""
    market = venue.market_of(call)
    interval = call.need("interval")
    if interval not in INTERVALS:
        raise ApiError(-1120)
    limit = _count(call, 500, KLINES_MAX[call.product])
    start, end = stamp(call, "startTime"), stamp(call, "endTime")
    tape = venue.exchange.markets[market.id].tape
    since = start
    if since is None:
        last = venue.now_ms if end is None else end
        since = max(0, last - (limit + 1) * INTERVALS[interval] * 60_000)
        if interval == "1M":
            since = 0
    bars = [
        bar
        for bar in tape.bars(lambda ts_ns: kline_start(interval, ts_ns), since * MS)
        if end is None or millis(bar.ts_open) <= end
    ]
    chosen = bars[-limit:] if start is None else bars[:limit]
    return [_kline(market, bar, interval) for bar in chosen]


def _kline(market: SimMarket, bar: MinuteBar, interval: str) -> list[Any]:
    """The taker's half of the volume is not kept: it is told as a half."""
    decimals = 8 if _is_spot(market) else 5
    return [
        millis(bar.ts_open),
        *(market.price_text(value) for value in (bar.open, bar.high, bar.low, bar.close)),
        market.size_text(bar.volume),
        millis(kline_end(interval, bar.ts_open)) - 1,
        fixed(bar.funds, decimals),
        bar.count,
        market.size_text(bar.volume / 2),
        fixed(bar.funds / 2, decimals),
        "0",
    ]


# -- tickers --------------------------------------------------------------------------------------


def _chosen(venue: BinanceState, call: Call) -> list[SimMarket]:
    if call.params.get("symbol"):
        return [venue.market_of(call)]
    if call.params.get("symbols"):
        names = call.params["symbols"].strip("[]").replace('"', "").split(",")
        return [venue.market(call.product, name) for name in names]
    return venue.of_product(call.product)


def _each(
    make: Callable[[BinanceState, SimMarket], dict[str, Any]],
) -> Callable[[BinanceState, Call], object]:
    """One row for the symbol that is named, else a list."""

    def handler(venue: BinanceState, call: Call) -> object:
        rows = [make(venue, market) for market in _chosen(venue, call)]
        return rows[0] if call.params.get("symbol") else rows

    return handler


def percent(first: Decimal, last: Decimal) -> str:
    return "0.000" if first == 0 else fixed((last / first - 1) * 100, 3)


def best(venue: BinanceState, market: SimMarket) -> tuple[str, str, str, str]:
    """Bid price and size, ask price and size; zero where a side is empty."""
    book = venue.exchange.markets[market.id].book
    zero = Decimal(0)
    (bid, ask) = ((side.levels(1) or [(zero, zero)])[0] for side in (book.bids, book.asks))
    (bid_price, bid_size), (ask_price, ask_size) = levels_text(market, [bid, ask])
    return bid_price, bid_size, ask_price, ask_size


def _ticker_24h(venue: BinanceState, market: SimMarket) -> dict[str, Any]:
    tape = venue.exchange.markets[market.id].tape
    day = tape.day(venue.exchange.now_ns)
    average = day.funds / day.volume if day.volume else day.last
    trades = tape.trades
    row: dict[str, Any] = {
        "symbol": market.symbol,
        "priceChange": market.price_text(day.last - day.open),
        "priceChangePercent": percent(day.open, day.last),
        "weightedAvgPrice": market.price_text(average),
        "lastPrice": market.price_text(day.last),
        "lastQty": market.size_text(trades[-1].quantity if trades else Decimal(0)),
        "openPrice": market.price_text(day.open),
        "highPrice": market.price_text(day.high),
        "lowPrice": market.price_text(day.low),
        "volume": market.size_text(day.volume),
        "quoteVolume": fixed(day.funds, 8 if _is_spot(market) else 2),
        "openTime": venue.now_ms - DAY_MS,
        "closeTime": venue.now_ms,
        "firstId": trades[0].id if trades else -1,
        "lastId": trades[-1].id if trades else -1,
        "count": day.count,
    }
    if _is_spot(market):
        bid_price, bid_size, ask_price, ask_size = best(venue, market)
        row |= {"prevClosePrice": row["openPrice"], "bidPrice": bid_price, "bidQty": bid_size}
        row |= {"askPrice": ask_price, "askQty": ask_size}
    return row


def _price(venue: BinanceState, market: SimMarket) -> dict[str, Any]:
    row: dict[str, Any] = {
        "symbol": market.symbol,
        "price": market.price_text(venue.last_price(market)),
    }
    return row if _is_spot(market) else row | {"time": venue.now_ms}


def _book_ticker(venue: BinanceState, market: SimMarket) -> dict[str, Any]:
    bid_price, bid_size, ask_price, ask_size = best(venue, market)
    row: dict[str, Any] = {
        "symbol": market.symbol,
        "bidPrice": bid_price,
        "bidQty": bid_size,
        "askPrice": ask_price,
        "askQty": ask_size,
    }
    if _is_spot(market):
        return row
    return row | {"time": venue.now_ms, "lastUpdateId": venue.book_clock.ids[market.id]}


def _average(venue: BinanceState, call: Call) -> object:
    market = venue.market_of(call)
    price = market.price_text(venue.last_price(market))
    return {"mins": 5, "price": price, "closeTime": venue.now_ms}


# -- of futures -----------------------------------------------------------------------------------


def next_funding_ms(now_ms: int) -> int:
    return now_ms - now_ms % FUNDING_MS + FUNDING_MS


def _premium(venue: BinanceState, market: SimMarket) -> dict[str, Any]:
    price = fixed(venue.last_price(market), 8)
    return {
        "symbol": market.symbol,
        "markPrice": price,
        "indexPrice": price,
        "estimatedSettlePrice": price,
        "lastFundingRate": FUNDING_RATE,
        "interestRate": "0.00010000",
        "nextFundingTime": next_funding_ms(venue.now_ms),
        "time": venue.now_ms,
    }


def _funding(venue: BinanceState, call: Call) -> object:
    """The last one of each symbol."""
    at = next_funding_ms(venue.now_ms) - FUNDING_MS
    return [
        {
            "symbol": market.symbol,
            "fundingRate": FUNDING_RATE,
            "fundingTime": at,
            "markPrice": fixed(venue.last_price(market), 8),
        }
        for market in _chosen(venue, call)
    ]


def _open_interest(venue: BinanceState, call: Call) -> object:
    market = venue.market_of(call)
    return {"symbol": market.symbol, "openInterest": "10000.000", "time": venue.now_ms}


def _none(venue: BinanceState, call: Call) -> object:
    """Clients of all the venue's products ask for the others too: there are none here."""
    return []


def _no_symbols(venue: BinanceState, call: Call) -> object:
    return {"timezone": "UTC", "serverTime": venue.now_ms, "rateLimits": [], "symbols": []}


def _both(path: str, handler: Callable[[BinanceState, Call], object], weight: str) -> Any:
    return (
        Endpoint[BinanceState, Call]("GET", f"/api/v3/{path}", handler, weight),
        Endpoint[BinanceState, Call]("GET", f"/fapi/v1/{path}", handler, weight),
    )


PUBLIC: tuple[Endpoint[BinanceState, Call], ...] = (
    *_both("ping", _ping, "1"),
    *_both("time", _time, "1"),
    Endpoint("GET", "/api/v3/exchangeInfo", exchange_info, "20"),
    Endpoint("GET", "/fapi/v1/exchangeInfo", exchange_info, "1"),
    *_both("depth", _depth, "depth"),
    *_both("trades", _trades, "25"),
    *_both("historicalTrades", _trades, "25"),
    *_both("aggTrades", _agg_trades, "4"),
    *_both("klines", _klines, "2"),
    *_both("ticker/24hr", _each(_ticker_24h), "list"),
    *_both("ticker/price", _each(_price), "2"),
    *_both("ticker/bookTicker", _each(_book_ticker), "2"),
    Endpoint("GET", "/api/v3/uiKlines", _klines, "2"),
    Endpoint("GET", "/api/v3/avgPrice", _average, "2"),
    Endpoint("GET", "/fapi/v2/ticker/price", _each(_price), "2"),
    Endpoint("GET", "/fapi/v1/premiumIndex", _each(_premium), "1"),
    Endpoint("GET", "/fapi/v1/fundingRate", _funding, "1"),
    Endpoint("GET", "/fapi/v1/fundingInfo", _none, "1"),
    Endpoint("GET", "/fapi/v1/openInterest", _open_interest, "1"),
    Endpoint("GET", "/dapi/v1/exchangeInfo", _no_symbols, "1"),
    Endpoint("GET", "/eapi/v1/exchangeInfo", _no_symbols, "1"),
)
